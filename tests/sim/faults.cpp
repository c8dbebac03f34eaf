// SPDX-License-Identifier: BSD-3-Clause
// What befalls the ends during the chaos, and how it stops; see world.hpp. Layer: simulator.
#include <algorithm>

#include "sim/world.hpp"
#include "support/packet.hpp"

namespace handfast::sim {
namespace {

constexpr std::size_t no_limit = PortFaults::no_limit;

}  // namespace

void World::schedule_chaos() {
  const Time end = plan_.start + plan_.chaos;
  for (unsigned i = 0; i < plan_.exchanges.size(); ++i)
    at(plan_.start + plan_.exchanges[i].at, [this, i] { connect(plan_.exchanges[i], i); });
  // Weather changes a few times; how often depends on the seed.
  Rng rng = aspect(plan_.seed, 9);
  const Duration mean = std::max<Duration>(plan_.chaos / static_cast<int>(1 + rng.below(12)), 20ms);
  const auto some = [&rng](Duration around) {
    return Duration{static_cast<Duration::rep>(rng.next() % static_cast<std::uint64_t>(2 * around.count()))} +
           1us;
  };
  for (Time t = plan_.start + some(mean); t < end; t += some(mean))
    at(t, [this] { network_.change_weather(); });
  const Duration trouble = std::max<Duration>(plan_.chaos / static_cast<int>(1 + rng.below(20)), 20ms);
  for (Time t = plan_.start + some(trouble); t < end; t += some(trouble)) {
    const unsigned victim = rng.below(static_cast<std::uint32_t>(ends_.size()));
    at(t, [this, victim] { disturb(*ends_[victim]); });
  }
  const Duration between = std::max<Duration>(plan_.chaos / 400, 1ms);
  if (plan_.has(Fault::attacker))
    for (Time t = plan_.start; t < end; t += some(between)) at(t, [this] { attack(); });
}

/// One more trouble for one end, or the end of one. Every draw is made whatever the faults are.
void World::disturb(End& end) {
  const std::uint32_t ring = faults_.below(6), buffers = faults_.below(40), stall = faults_.below(1000),
                      kind = faults_.below(4);
  const std::uint32_t which = faults_.below(8), jump = faults_.below(20), down = faults_.below(10000);
  Rng ports{faults_.next()}, links{faults_.next()}, pools{faults_.next()};
  disturb_link(end, links);
  if (end.drains_until) return;
  if (plan_.has(Fault::crash) && which == 0 && end.stack && end.lives < 3) {
    crash(end);
    at(now_ + std::chrono::milliseconds{down}, [this, &end] {
      if (!end.stack) start(end);
    });
    return;
  }
  if (!end.stack) return;
  if (plan_.has(Fault::drain) && which == 1 && kind < 2 && end.lives < 3) return drain(end);
  if (plan_.has(Fault::ring)) end.stack->faults.transmit_limit = kind == 0 ? no_limit : ring;
  if (plan_.has(Fault::buffers)) end.stack->faults.buffers_left = which < 4 ? no_limit : buffers;
  if (plan_.has(Fault::stall) && kind == 1) end.stalled_until = now_ + std::chrono::milliseconds{stall};
  if (plan_.has(Fault::nic)) disturb_port(end, ports);
  if (plan_.has(Fault::clock)) {
    const Duration ticks[] = {1ns, 1ms, 10ms, 100ms};
    if (which == 1) end.tick = ticks[kind];
    const Duration jumps[] = {1s, 10s, 1h, 600h};
    if (which == 2) end.clock_offset += jumps[jump < 10 ? 0 : jump < 18 ? 1 : jump == 18 ? 2 : 3];
    if (which == 3) end.step_back = std::chrono::milliseconds{stall};
  }
  if (plan_.has(Fault::listener)) disturb_listener(end, which);
  if (plan_.has(Fault::drought)) {
    end_droughts(end);
    // One after the other: compilers differ in the order of arguments.
    const std::uint32_t which_pools = pools.below(1u << pool_count), keep = pools.below(4);
    if (kind != 0) begin_drought(end, which_pools, keep);
  }
  if (kind == 2) end.app->held.clear();
}

void World::disturb_port(End& end, Rng& rng) {
  PortFaults& faults = end.stack->faults;
  faults.bursts = rng.below(2) == 0 ? 0 : 1 + rng.below(64);
  faults.completion = rng.below(2) == 0 ? Duration{} : std::chrono::microseconds{1 + rng.below(20000)};
  faults.judges_sums = rng.below(2) == 0;
  faults.lies = rng.below(3) == 0 ? 10 + rng.below(90) : 0;
  faults.strays = rng.below(2) == 0 ? 0 : 1 + rng.below(8);
  const auto shard = static_cast<std::uint16_t>(rng.below(end.stack->shards()));
  const std::chrono::milliseconds sleep{1 + rng.below(1000)};
  if (rng.below(3) == 0) end.stack->stall(shard, local(end) + sleep);
}

void World::disturb_link(End& end, Rng& rng) {
  static constexpr Duration longest[] = {1ms, 100ms, 3s, 30s};
  const Duration most = longest[rng.below(4)];
  const Duration down{static_cast<Duration::rep>(rng.next() % static_cast<std::uint64_t>(most.count()))};
  const std::uint32_t kind = rng.below(4);
  if (!plan_.has(Fault::outage)) return;
  if (kind == 0) network_.take_down(end.index, now_ + down);
  if (kind == 1) network_.lose_arp(now_ + down);
}

void World::disturb_listener(End& end, std::uint32_t which) {
  if (which < 4) return;
  if (which == 7) return listen(end);
  for (std::uint16_t i = 0; i < end.stack->shards(); ++i) {
    Core& core = end.stack->core(i);
    if (which == 4) core.pause(end.listeners[i]);
    if (which == 5) core.resume(end.listeners[i]);
    if (which == 6) core.close(end.listeners[i]);
  }
  end.wanted = now_;
}

void World::begin_drought(End& end, std::uint32_t which, std::uint32_t keep) {
  for (std::uint16_t i = 0; i < end.stack->shards(); ++i)
    for (unsigned pool = 0; pool < pool_count; ++pool)
      if ((which >> pool & 1) != 0) end.droughts[i]->begin(end.stack->core(i), static_cast<Pool>(pool), keep);
  if ((which >> static_cast<unsigned>(Pool::frames) & 1) != 0) end.stack->faults.buffers_left = keep;
}

void World::end_droughts(End& end) {
  for (auto& drought : end.droughts) drought->end();
  if (end.stack && plan_.has(Fault::drought)) end.stack->faults.buffers_left = no_limit;
  end.wanted = now_;
}

/// The end of a stack, whatever it was doing.
void World::stop(End& end) {
  end_droughts(end);
  end.drains_until.reset();
  end.app->held.clear();
  end.past.add(end.stack->stats());
  end.app->crashing = true;
  end.stack.reset();
  end.app->crashing = end.app->draining = false;
  if (end.app->references != 0) ledger_.fail("I26 send_ref not released by the end of the stack");
  end.wanted = Time::max();
}

/// All that it knew is gone. It comes back with the secrets it had, or others, and maybe with another card.
void World::crash(End& end) {
  stop(end);
  if (lives_.below(2) == 0) end.config.seed = lives_.next();
  if (lives_.below(3) == 0) network_.change_card(end.index);
}

/// As on SIGTERM: no more is accepted, FINs are sent, what has not ended by then is aborted; see poll().
void World::drain(End& end) {
  end_droughts(end);
  end.app->draining = true;
  for (Talk& talk : ledger_.talks)
    for (unsigned side = 0; side < 2; ++side)
      if (talk.end[side] == end.index && talk.side[side].id != ConnId{} && !talk.side[side].ended)
        talk.drained = true;
  end.drains_until = now_ + std::chrono::milliseconds{lives_.below(8000)};
  end.wanted = now_;
}

void World::heal() {
  healed_ = ledger_.healed = true;
  network_.heal();
  if (plan_.has(Fault::severed)) {
    const auto n = static_cast<std::uint32_t>(ends_.size());
    const std::uint32_t from = lives_.below(n);
    network_.sever(from, (from + 1 + lives_.below(n - 1)) % n);
  }
  for (auto& end : ends_) {
    end_droughts(*end);
    if (end->drains_until) stop(*end);
    if (!end->stack) start(*end);
    if (!end->stack) return;
    end->stack->faults = {};
    for (std::uint16_t i = 0; i < end->stack->shards(); ++i) end->stack->stall(i, Time::min());
    end->stalled_until = Time::min();
    end->tick = Duration{1};
    end->app->held.clear();
    if (plan_.has(Fault::listener)) {
      for (std::uint16_t i = 0; i < end->stack->shards(); ++i) end->stack->core(i).resume(end->listeners[i]);
      listen(*end);
    }
    end->wanted = now_;
  }
}

/// A forger who knows the addresses, and sometimes the ports, and never sees an answer.
void World::attack() {
  test::Packet forged;
  const auto ends = static_cast<std::uint32_t>(ends_.size());
  const unsigned victim = attacks_.below(ends), mask_of = (victim + 1 + attacks_.below(ends - 1)) % ends;
  forged.source = {address_of(mask_of), static_cast<Port>(1 + attacks_.below(65535))};
  forged.destination = {address_of(victim), served_port};
  if (!ledger_.talks.empty() && attacks_.below(4) != 0) {
    const Talk& talk = ledger_.talks[attacks_.below(static_cast<std::uint32_t>(ledger_.talks.size()))];
    const bool to_client = attacks_.below(2) == 0;
    forged.source = to_client ? talk.server : talk.client;
    forged.destination = to_client ? talk.client : talk.server;
  }
  const unsigned to = (forged.destination.address.value & 0xff) - 1;
  forged.source_mac = network_.mac((forged.source.address.value & 0xff) - 1);
  forged.destination_mac = network_.mac(to);
  forged.seq = static_cast<std::uint32_t>(attacks_.next());
  const std::uint8_t flags[] = {test::SYN,
                                test::ACK,
                                test::RST,
                                test::FIN | test::ACK,
                                test::SYN | test::ACK,
                                test::RST | test::ACK,
                                0,
                                static_cast<std::uint8_t>(attacks_.below(64))};
  forged.flags = flags[attacks_.below(8)];
  // A SYN to who has just sent one makes a simultaneous open of it (rfc9293 3.10.7.3): nothing tells it from
  // a real one.
  if (plan_.forced && forged.has(test::SYN) && !forged.has(test::ACK) && forged.source.port == served_port)
    forged.flags = test::RST;
  if (forged.has(test::ACK)) forged.ack = static_cast<std::uint32_t>(attacks_.next());
  forged.window = static_cast<std::uint16_t>(attacks_.next());
  if (attacks_.below(2) == 0) forged.payload.assign(attacks_.below(1400), 'x');
  if (attacks_.below(2) == 0)
    forged.ts = {static_cast<std::uint32_t>(attacks_.next()), static_cast<std::uint32_t>(attacks_.next())};
  const auto frame = test::build(forged);
  capture_.note(now_, frame);
  network_.inject(now_, to, frame);
}

}  // namespace handfast::sim
