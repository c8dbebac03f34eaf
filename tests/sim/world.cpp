// SPDX-License-Identifier: BSD-3-Clause
// The event loop of a run and its phases; see world.hpp. Layer: simulator. Faults are in faults.cpp.
#include "sim/world.hpp"

#include <algorithm>

namespace handfast::sim {
namespace {

constexpr std::uint64_t most_events = 4'000'000;
/// Where a poll leaves something undone; and where that goes on, as with a port that takes nothing.
constexpr Duration busy_step = 10us, blocked_step = 500us;
constexpr std::uint32_t most_busy = 50;

}  // namespace

World::World(const Plan& plan, std::size_t frames_kept)
    : plan_(plan),
      ledger_(plan.seed),
      network_(plan),
      wire_(ledger_, plan),
      capture_(frames_kept),
      faults_(aspect(plan.seed, 5)),
      attacks_(aspect(plan.seed, 6)),
      lives_(aspect(plan.seed, 7)),
      ports_(aspect(plan.seed, 11)),
      now_(plan.start) {
  Rng rng = aspect(plan.seed, 8);
  for (unsigned i = 0; i < plan.ends.size(); ++i) {
    auto end = std::make_unique<End>();
    end->world = this;
    end->index = i;
    end->config = plan.ends[i];
    end->app = std::make_unique<Application>(ledger_, plan, i);
    end->app->ended = [this](std::uint32_t talk) { reopen(talk); };
    if (plan.wraps) end->clock_offset = offset_to_wrap(plan, i);
    const Duration batches[] = {0us, 0us, 20us, 1ms};
    end->batch = batches[rng.below(4)];
    ends_.push_back(std::move(end));
  }
  for (auto& end : ends_) start(*end);
}

World::~World() {
  for (auto& end : ends_) {
    end->app->ended = nullptr;
    end->droughts.clear();
    end->app->held.clear();
    end->stack.reset();
  }
}

void World::start(End& end) {
  if (auto error = validate(end.config)) return ledger_.fail("the plan is not valid: " + error->what);
  end.config.link.mac = network_.mac(end.index);
  const std::uint16_t shards = plan_.shards[end.index];
  end.stack = std::make_unique<HostStack>(
      end.config, shards, local(end), ports_.next(),
      [](void* e, std::span<const std::byte> frame) {
        auto& from = *static_cast<End*>(e);
        from.world->on_frame(from, frame);
      },
      &end);
  end.conduct = {};
  end.oracles = std::vector<InsideOracle>(shards);
  end.listeners.assign(shards, {});
  end.handlers.clear();
  end.droughts.clear();
  for (std::uint16_t i = 0; i < shards; ++i) {
    end.handlers.push_back(*end.stack->core(i).add_handler_ref(*end.app));
    end.droughts.push_back(std::make_unique<Drought>());
  }
  end.last_poll = Time::min();
  ++end.lives;
  listen(end);
}

void World::listen(End& end) {
  ListenOptions options;
  Rng rng = aspect(plan_.seed, 50 + end.index);
  const std::uint32_t small = 1 + rng.below(3);
  if (plan_.has(Fault::listener)) options.backlog = small;
  if (rng.below(2) == 0) options.fast_open = 4;
  if (rng.below(3) == 0)
    options.congestion_control = static_cast<CongestionControl>(rng.below(congestion_control_count));
  for (std::uint16_t i = 0; i < end.stack->shards(); ++i) {
    const auto listener = end.stack->core(i).listen_with({any, served_port}, end.handlers[i], options);
    if (listener) end.listeners[i] = *listener;
  }
}

void World::connect(const Exchange& x, unsigned number) {
  const std::uint64_t seed = aspect(plan_.seed, 10000 + number).next();
  if (x.with_itself) {
    connect_one(x, {x.client, x.client, x.local_port, x.local_port, seed});
    return;
  }
  if (!x.simultaneous) {
    connect_one(x, {x.client, x.server, x.local_port, served_port, seed});
    return;
  }
  // Both sides open; each is the other's server, and either may come too late.
  const auto other = static_cast<Port>(x.local_port + 100);
  connect_one(x, {x.client, x.server, x.local_port, other, seed});
  connect_one(x, {x.server, x.client, other, x.local_port, seed});
}

/// The same two endpoints once more: at once, or (while the first connection stands in TIME-WAIT here) a
/// little later.
void World::reopen(std::uint32_t index) {
  const Talk& talk = ledger_.talks[index];
  const Exchange& x = *talk.plan;
  if (healed_ || talk.ghost || talk.again >= x.reopen) return;
  const Opening opening{
      x.client,      x.server, talk.client.port, served_port, aspect(plan_.seed, 20000 + index).next(),
      talk.again + 1};
  if (x.reopen_inside && connect_one(x, opening)) return;
  const auto again = [this, &x, opening](auto self) -> void {
    if (healed_ || connect_one(x, opening)) return;
    at(now_ + 700ms, [self] { self(self); });
  };
  at(now_, [again] { again(again); });
}

bool World::connect_one(const Exchange& x, const Opening& opening) {
  End& end = *ends_[opening.from];
  if (!end.stack || end.drains_until) return false;
  const bool second = x.simultaneous && opening.from == x.server;
  const unsigned number = second ? 1 : 0;
  ConnectOptions options;
  options.local.port = opening.local;
  options.fast_open = x.fast_open;
  options.congestion_control = x.congestion;
  const std::uint32_t early =
      x.fast_open ? std::min({x.turns ? x.request : x.habits[0].bytes, 1000u, end.config.tcp.send_buffer})
                  : 0;
  const std::uint64_t salt = Rng{opening.seed}.next();
  const auto data = content(salt, 0, 0, early);
  options.data = data;
  const Endpoint remote{address_of(opening.to), opening.remote};
  // Any core may open a connection; between two given ports the one that owns it.
  auto shard = static_cast<std::uint16_t>(opening.seed % end.stack->shards());
  if (opening.local != 0)
    shard = end.stack->owner(FlowKey{{address_of(opening.from), opening.local}, remote});
  Core& core = end.stack->core(shard);
  const auto id = core.connect(remote, end.handlers[shard], options);
  ledger_.note(id ? 1 : 0);
  if (!id) return false;
  auto conn = core.find(*id);
  if (!conn) return ledger_.fail("connect said yes, and there is no connection"), false;
  end.wanted = now_;
  Talk* talk = nullptr;
  std::uint32_t index = 0;
  if (second) talk = ledger_.find(conn->peer(), conn->local());
  if (talk != nullptr && !talk->side[1].ended && talk->plan == &x && talk->side[1].id == ConnId{}) {
    index = static_cast<std::uint32_t>(talk - ledger_.talks.data());
  } else {
    if (second) {  // the first could not: nobody will answer
      conn->abort();
      conn->user<Application::State>() = {0xffffffff, Application::nobody};
      return false;
    }
    index = ledger_.open(x, conn->local(), conn->peer(), opening.seed);
    ledger_.talks[index].started = true;
    if (const tcp::Tcb* tcb = core.shard().find(*id)) ledger_.talks[index].iss = tcb->iss.raw();
    ledger_.talks[index].again = opening.again;
  }
  Side& side = ledger_.talks[index].side[number];
  side.id = *id;
  side.shard = shard;
  side.written = data.size();
  conn->user<Application::State>() = {index, number};
  return true;
}

Time World::local(const End& end) const {
  const Duration t = (now_ + end.clock_offset).time_since_epoch();
  return Time{t / end.tick * end.tick};
}

Time World::due(const End& end) const {
  if (!end.stack) return Time::max();
  Time when = end.wanted;
  if (const auto deadline = end.stack->next_deadline()) {
    const Duration t = deadline->time_since_epoch();
    const Time mine = Time{(t + end.tick - Duration{1}) / end.tick * end.tick} - end.clock_offset;
    when = std::min(when, mine);
  }
  if (when != Time::max() && end.last_poll != Time::min())
    when = std::max(when, end.last_poll + (end.busy < most_busy ? busy_step : blocked_step));
  return when == Time::max() ? when : std::max(when, end.stalled_until);
}

/// Only where a poll is one step of the protocol: one core, a port that neither lies nor sleeps, memory for
/// what comes, and nothing that a checksum does not find. Of the plan and not of the moment, since steps are
/// seen in two halves.
bool World::judges(const End& end) const {
  constexpr std::uint32_t blurs =
      mask(Fault::memory) | mask(Fault::drought) | mask(Fault::nic) | mask(Fault::garble);
  return end.stack && end.stack->shards() == 1 && !end.drains_until && !famine && (plan_.faults & blurs) == 0;
}

void World::poll(End& end) {
  end.last_poll = now_;
  end.wanted = Time::max();
  const bool starves = famine && famine->end == end.index && famine->poll == end.polls;
  if (starves && famine->pool == Pool::frames) end.stack->faults.buffers_left = famine->keep;
  if (starves && famine->pool != Pool::frames)
    end.droughts[0]->begin(end.stack->core(0), famine->pool, famine->keep);
  ++end.polls;
  const Time then = local(end);
  end.stack->poll(then - end.step_back);
  end.step_back = {};
  const auto next = end.stack->next_deadline();
  end.busy = next && *next <= then ? end.busy + 1 : 0;
  for (std::uint16_t i = 0; i < end.stack->shards(); ++i) {
    test::Withheld withheld = end.droughts[i]->withheld();
    withheld.views = static_cast<std::uint32_t>(end.app->held.size());
    end.oracles[i].check(end.stack->core(i), withheld, ledger_);
  }
  if (starves) {
    end.droughts[0]->end();
    end.stack->faults.buffers_left = PortFaults::no_limit;
  }
  if (end.drains_until) go_on_draining(end);
  if (judges(end)) end.conduct.polled(end.stack->core(0), plan_, ledger_);
  for (auto& other : ends_)  // now and then: what they agreed on stays
    if (events_ % 8 == 0 && other.get() != &end && judges(end) && judges(*other))
      check_agreement(end.stack->core(0), other->stack->core(0), ledger_);
  // Where ends may know of a connection by its cookie alone, an old ACK opens a twin that has forgotten what
  // came.
  if (!end.stack || (plan_.faults & (mask(Fault::memory) | mask(Fault::listener) | mask(Fault::drought) |
                                     mask(Fault::drain))) != 0)
    return;
  for (auto& other : ends_) {
    if (other.get() == &end || !other->stack) continue;
    for (std::uint16_t i = 0; i < end.stack->shards(); ++i)
      for (std::uint16_t j = 0; j < other->stack->shards(); ++j) {
        check_both(end.stack->core(i), other->stack->core(j), ledger_);
        check_both(other->stack->core(j), end.stack->core(i), ledger_);
      }
  }
}

void World::go_on_draining(End& end) {
  bool done = true;
  for (std::uint16_t i = 0; i < end.stack->shards(); ++i) done = end.stack->core(i).drain() && done;
  if (!done && now_ < *end.drains_until) {
    end.wanted = std::min(end.wanted, std::min(now_ + 50ms, *end.drains_until));
    return;
  }
  if (!done) {
    for (std::uint16_t i = 0; i < end.stack->shards(); ++i) end.stack->core(i).abort_all();
    end.stack->poll(local(end));
  }
  stop(end);
  at(now_ + std::chrono::milliseconds{lives_.below(3000)}, [this, &end] {
    if (!end.stack) start(end);
  });
}

void World::on_frame(End& from, std::span<const std::byte> frame) {
  capture_.note(now_, frame);
  ledger_.note(static_cast<std::uint64_t>(now_.time_since_epoch().count()));
  ledger_.note(frame);
  wire_.check(from.index, frame, from.traffic);
  if (judges(from)) from.conduct.leaves(from.stack->core(0), plan_, now_, frame, ledger_);
  network_.push(now_, from.index, frame);
}

bool World::step(Time limit) {
  Time next = network_.next().value_or(Time::max());
  if (!agenda_.empty()) next = std::min(next, agenda_.begin()->first);
  for (const auto& end : ends_) next = std::min(next, due(*end));
  if (ledger_.failed()) return false;
  if (next > limit) {
    now_ = std::max(now_, limit);
    return false;
  }
  now_ = std::max(now_, next);
  ++events_;
  if (events_ > most_events) {
    ledger_.fail("I17 too many events, something spins: " + what_is_left());
    return false;
  }
  while (!agenda_.empty() && agenda_.begin()->first <= now_) {
    const auto what = std::move(agenda_.begin()->second);
    agenda_.erase(agenda_.begin());
    what();
  }
  network_.deliver(now_, [this](unsigned to, std::span<const std::byte> frame) {
    End& end = *ends_[to];
    if (!end.stack) return;
    if (judges(end)) end.conduct.arrives(end.stack->core(0), local(end), frame);
    end.stack->receive(frame);
    ++end.segments_in;
    end.wanted = std::min(end.wanted, now_ + end.batch);
  });
  for (auto& end : ends_)
    if (due(*end) <= now_) poll(*end);
  return true;
}

Result World::run() {
  const Time begun = now_;
  ledger_.garbled = plan_.has(Fault::garble);
  schedule_chaos();
  while (step(plan_.start + plan_.chaos)) {
  }
  heal();
  const Time healed_at = now_;
  const Time limit = now_ + healing_bound();
  while (!all_ended() && step(limit)) {
  }
  const Duration healing = now_ - healed_at;
  std::vector<std::uint64_t> polls;
  for (const auto& end : ends_) polls.push_back(end->polls);
  if (!ledger_.failed() && !all_ended()) ledger_.fail("I17 something never ends: " + what_is_left());
  if (!ledger_.failed()) {
    for (auto& end : ends_) end->app->held.clear();
    check_silence();
  }
  if (!ledger_.failed()) {
    for (auto& end : ends_) {
      end->app->held.clear();  // an old frame may have begun something after the others had ended
      if (end->stack) poll(*end);
    }
    check_nothing_left();
  }
  if (!ledger_.failed()) ledger_.check_end(plan_);
  for (const auto& end : ends_) {
    stats_.add(end->past);
    if (end->stack) stats_.add(end->stack->stats());
  }
  return {ledger_.failure(), now_ - begun,   events_,         network_.frames(), ledger_.hash(), stats_,
          healing,           ledger_.seen(), std::move(polls)};
}

}  // namespace handfast::sim
