// SPDX-License-Identifier: BSD-3-Clause
// The event loop of a run and its phases; see world.hpp. Layer: simulator. Faults are in faults.cpp.
#include "sim/world.hpp"

#include <algorithm>

#include "shard/shard.hpp"
#include "support/usage.hpp"

namespace handfast::sim {
namespace {

constexpr std::uint64_t most_events = 4'000'000;
constexpr Duration silence = 10min;
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
      now_(plan.start) {
  Rng rng = aspect(plan.seed, 8);
  for (unsigned i = 0; i < plan.ends.size(); ++i) {
    auto end = std::make_unique<End>();
    end->world = this;
    end->index = i;
    end->config = plan.ends[i];
    end->app = std::make_unique<Application>(ledger_, plan, i);
    const Duration batches[] = {0us, 0us, 20us, 1ms};
    end->batch = batches[rng.below(4)];
    ends_.push_back(std::move(end));
  }
  for (auto& end : ends_) start(*end);
}

World::~World() {
  for (auto& end : ends_) {
    end->app->held.clear();
    end->stack.reset();
  }
}

void World::start(End& end) {
  auto made = FrameStack::create(
      end.config, local(end),
      [](void* e, std::span<const std::byte> frame) {
        auto& from = *static_cast<End*>(e);
        from.world->on_frame(from, frame);
      },
      &end);
  if (!made) return ledger_.fail("the plan is not valid: " + made.error().what);
  end.stack = std::move(*made);
  end.oracle = {};
  end.conduct = {};
  end.last_poll = Time::min();
  ++end.lives;
  end.handler = *end.stack->core().add_handler_ref(*end.app);
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
  const auto listener = end.stack->core().listen_with({any, served_port}, end.handler, options);
  if (listener) end.listener = *listener;
}

void World::connect(const Exchange& x, unsigned number) {
  const std::uint64_t seed = aspect(plan_.seed, 10000 + number).next();
  if (!x.simultaneous) return connect_one(x, x.client, x.server, x.local_port, served_port, seed);
  // Both sides open; each is the other's server, and either may come too late.
  const auto other = static_cast<Port>(x.local_port + 100);
  connect_one(x, x.client, x.server, x.local_port, other, seed);
  connect_one(x, x.server, x.client, other, x.local_port, seed);
}

void World::connect_one(const Exchange& x, unsigned from, unsigned to, Port local, Port remote,
                        std::uint64_t seed) {
  End& end = *ends_[from];
  if (!end.stack) return;
  const bool second = x.simultaneous && from == x.server;
  const unsigned number = second ? 1 : 0;
  ConnectOptions options;
  options.local.port = local;
  options.fast_open = x.fast_open;
  options.congestion_control = x.congestion;
  const std::uint32_t early =
      x.fast_open ? std::min({x.turns ? x.request : x.habits[0].bytes, 1000u, end.config.tcp.send_buffer})
                  : 0;
  const std::uint64_t salt = Rng{seed}.next();
  const auto data = content(salt, 0, 0, early);
  options.data = data;
  const auto id = end.stack->core().connect({address_of(to), remote}, end.handler, options);
  ledger_.note(id ? 1 : 0);
  if (!id) return;
  auto conn = end.stack->core().find(*id);
  if (!conn) return ledger_.fail("connect said yes, and there is no connection");
  Talk* talk = nullptr;
  std::uint32_t index = 0;
  if (second) talk = ledger_.find(conn->peer(), conn->local());
  if (talk != nullptr && !talk->side[1].ended && talk->plan == &x && talk->side[1].id == ConnId{}) {
    index = static_cast<std::uint32_t>(talk - ledger_.talks.data());
  } else {
    if (second) {  // the first could not: nobody will answer
      conn->abort();
      conn->user<Application::State>() = {0xffffffff, Application::nobody};
      end.wanted = now_;
      return;
    }
    index = ledger_.open(x, conn->local(), conn->peer(), seed);
    ledger_.talks[index].started = true;
  }
  Side& side = ledger_.talks[index].side[number];
  side.id = *id;
  side.written = data.size();
  conn->user<Application::State>() = {index, number};
  end.wanted = now_;
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

void World::poll(End& end) {
  end.last_poll = now_;
  end.wanted = Time::max();
  const Time then = local(end);
  end.stack->poll(then - end.step_back);
  end.step_back = {};
  const auto next = end.stack->next_deadline();
  end.busy = next && *next <= then ? end.busy + 1 : 0;
  Core& core = end.stack->core();
  end.oracle.check(core, ledger_);
  end.conduct.polled(core, plan_, ledger_);
  for (auto& other : ends_)  // now and then: what they agreed on stays
    if (events_ % 8 == 0 && other.get() != &end && other->stack) check_agreement(core, other->stack->core(), ledger_);
  // Where ends may know of a connection by its cookie alone, an old ACK opens a twin that has forgotten what came.
  if ((plan_.faults & (mask(Fault::memory) | mask(Fault::listener))) != 0) return;
  for (auto& other : ends_)
    if (other.get() != &end && other->stack) {
      check_both(core, other->stack->core(), ledger_);
      check_both(other->stack->core(), core, ledger_);
    }
}

void World::on_frame(End& from, std::span<const std::byte> frame) {
  capture_.note(now_, frame);
  ledger_.note(static_cast<std::uint64_t>(now_.time_since_epoch().count()));
  ledger_.note(frame);
  wire_.check(from.index, frame);
  if (from.stack) from.conduct.leaves(from.stack->core(), plan_, now_, frame, ledger_);
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
    end.conduct.arrives(end.stack->core(), now_, frame);
    end.stack->receive(frame);
    end.wanted = std::min(end.wanted, now_ + end.batch);
  });
  for (auto& end : ends_)
    if (due(*end) <= now_) poll(*end);
  return true;
}

bool World::all_ended() const {
  for (const Talk& talk : ledger_.talks)
    for (unsigned i = 0; i < 2; ++i) {
      const Side& side = talk.side[i];
      if ((side.id != ConnId{}) && !side.ended) return false;
    }
  for (const auto& end : ends_) {
    if (!end->stack) continue;
    const test::Usage usage = test::usage_of(end->stack->core());
    if (usage.connections != 0 || usage.half_open != 0) return false;
  }
  return true;
}

std::string World::what_is_left() {
  std::string what;
  for (const Talk& talk : ledger_.talks) {
    bool said = false;
    for (unsigned i = 0; i < 2; ++i) {
      if (talk.side[i].id == ConnId{} || talk.side[i].ended) continue;
      if (!said) what += ledger_.text(talk);
      said = true;
      if (auto& stack = ends_[talk.end[i]]->stack) what += " " + block_text(stack->core(), talk.side[i].id);
    }
    if (said)
      for (const unsigned end : talk.end)
        if (auto& stack = ends_[end]->stack)
          what += " end " + std::to_string(end) + " " + block_text(stack->core(), ConnId{});
  }
  for (const auto& end : ends_) {
    if (!end->stack) continue;
    const test::Usage usage = test::usage_of(end->stack->core());
    if (usage.connections + usage.half_open != 0)
      what += "\n  end " + std::to_string(end->index) + ": " + std::to_string(usage.connections) +
              " connections, " + std::to_string(usage.half_open) + " half-open, due in " +
              std::to_string((due(*end) - now_) / 1us) + " us";
  }
  // Connections that no application knows of.
  for (const auto& end : ends_) {
    if (!end->stack) continue;
    tcp::Context& cx = end->stack->core().shard().tcp();
    for (std::uint32_t n = 0; n < cx.tcbs.high_water(); ++n)
      if ((cx.tcbs[n].generation & 1) != 0)
        what += "\n  " + block_text(end->stack->core(), {n, cx.tcbs[n].generation});
  }
  return what;
}

/// What the last connection may take: back-offs that the chaos has left, and every way in which an end may
/// give up.
Duration World::healing_bound() const {
  Duration bound{};
  for (const auto& end : ends_) {
    const TcpConfig& tcp = end->config.tcp;
    Duration mine = 4 * tcp.rto_max + 3min;
    if (!plan_.orderly)
      mine += tcp.connect_timeout +
              std::max(tcp.r2_timeout, tcp.user_timeout_option ? tcp.user_timeout_most : Duration{}) +
              tcp.keepalive_idle + 10 * tcp.keepalive_interval + tcp.fin_wait_2_timeout;
    bound = std::max(bound, mine);
  }
  return bound;
}

/// I29, I26: nobody has anything left to say, and nothing is held.
void World::check_silence() {
  Duration time_wait{};
  for (const auto& end : ends_) {
    const TcpConfig& tcp = end->config.tcp;
    // An old SYN makes a half-open connection, for as long as nobody refuses it.
    time_wait = std::max<Duration>(time_wait, 2 * tcp.msl + (tcp.syn_ack_retries + 1) * tcp.rto_max);
  }
  const Time quiet_from = now_ + time_wait + 70s;  // also what lingers: idle flights, replayed frames
  while (step(quiet_from)) {
  }
  const std::uint64_t segments = wire_.segments();
  while (step(quiet_from + silence)) {
  }
  if (!ledger_.failed() && wire_.segments() != segments)
    ledger_.fail("I29 no silence: " + std::to_string(wire_.segments() - segments) +
                 " segments after all had ended");
}

void World::check_nothing_left() {
  for (auto& end : ends_) {
    if (!end->stack) continue;
    const std::string who = " on end " + std::to_string(end->index);
    Core& core = end->stack->core();
    const test::Usage u = test::usage_of(core);
    if (u != test::Usage{})
      ledger_.fail("I26 left" + who + ": connections " + std::to_string(u.connections) + " half-open " +
                   std::to_string(u.half_open) + " time-wait " + std::to_string(u.time_wait) + " extents " +
                   std::to_string(u.extents) + " chunks " + std::to_string(u.chunks) + " receive buffers " +
                   std::to_string(u.receive_buffers) + " flights " + std::to_string(u.flights) +
                   " path searches " + std::to_string(u.path_searches));
    if (end->stack->buffers_in_use() != 0)
      ledger_.fail("I26 frame buffers left" + who + ": " + std::to_string(end->stack->buffers_in_use()) +
                   ", of these held for a neighbour " + std::to_string(core.shard().held().size()) +
                   ", ready " + std::to_string(core.shard().ready().size()) + ", to ourselves " +
                   std::to_string(core.shard().looped().size()) + ", with the application " +
                   std::to_string(end->app->held.size()));
    if (end->app->references != 0) ledger_.fail("I26 send_ref not released" + who);
    const auto& cx = core.shard().tcp();
    if (cx.tcb_wheel.size() != 0 || cx.half_open_wheel.size() != 0) ledger_.fail("I21 timers left" + who);
    const CoreStats stats = core.stats();
    if (stats.connections != 0 || stats.half_open != 0 || stats.time_wait != 0)
      ledger_.fail("I26 gauges are not zero" + who);
  }
}

Result World::run() {
  const Time begun = now_;
  schedule_chaos();
  while (step(plan_.start + plan_.chaos)) {
  }
  heal();
  const Time healed_at = now_;
  const Time limit = now_ + healing_bound();
  while (!all_ended() && step(limit)) {
  }
  const Duration healing = now_ - healed_at;
  if (!ledger_.failed() && !all_ended()) ledger_.fail("I17 something never ends: " + what_is_left());
  if (!ledger_.failed()) {
    for (auto& end : ends_) end->app->held.clear();
    check_silence();
  }
  if (!ledger_.failed()) {
    for (auto& end : ends_) {
      end->app->held.clear();  // an old frame may have begun something after the others had ended
      poll(*end);
    }
    check_nothing_left();
  }
  if (!ledger_.failed()) ledger_.check_end(plan_);
  for (const auto& end : ends_)
    if (end->stack) stats_.add(end->stack->core().stats());
  return {ledger_.failure(), now_ - begun, events_, network_.frames(), ledger_.hash(), stats_, healing};
}

}  // namespace handfast::sim
