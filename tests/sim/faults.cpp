// SPDX-License-Identifier: BSD-3-Clause
// What befalls the ends during the chaos, and how it stops; see world.hpp. Layer: simulator.
#include <algorithm>

#include "sim/world.hpp"
#include "support/packet.hpp"

namespace handfast::sim {
namespace {

constexpr std::size_t no_limit = ~std::size_t{0};

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
  if (plan_.has(Fault::crash) && which == 0 && end.stack && end.lives < 3) {
    crash(end);
    at(now_ + std::chrono::milliseconds{down}, [this, &end] {
      if (!end.stack) start(end);
    });
    return;
  }
  if (!end.stack) return;
  if (plan_.has(Fault::ring)) end.stack->limit_transmit(kind == 0 ? no_limit : ring);
  if (plan_.has(Fault::buffers)) end.stack->limit_buffers(which < 4 ? no_limit : buffers);
  if (plan_.has(Fault::stall) && kind == 1) end.stalled_until = now_ + std::chrono::milliseconds{stall};
  if (plan_.has(Fault::clock)) {
    const Duration ticks[] = {1ns, 1ms, 10ms, 100ms};
    if (which == 1) end.tick = ticks[kind];
    const Duration jumps[] = {1s, 10s, 1h, 600h};
    if (which == 2) end.clock_offset += jumps[jump < 10 ? 0 : jump < 18 ? 1 : jump == 18 ? 2 : 3];
    if (which == 3) end.step_back = std::chrono::milliseconds{stall};
  }
  if (plan_.has(Fault::listener)) {
    if (which == 4) end.stack->core().pause(end.listener);
    if (which == 5) end.stack->core().resume(end.listener);
    if (which == 6) end.stack->core().close(end.listener);
    if (which == 7) listen(end);
    end.wanted = now_;
  }
  if (kind == 2) end.app->held.clear();
}

void World::crash(End& end) {
  end.app->held.clear();
  stats_.add(end.stack->core().stats());
  end.app->crashing = true;
  end.stack.reset();
  end.app->crashing = false;
  if (end.app->references != 0) ledger_.fail("I26 send_ref not released by the end of the stack");
  end.wanted = Time::max();
  if (lives_.below(2) == 0) end.config.seed = lives_.next();
}

void World::heal() {
  healed_ = ledger_.healed = true;
  network_.heal();
  for (auto& end : ends_) {
    if (!end->stack) start(*end);
    if (!end->stack) return;
    end->stack->limit_transmit(no_limit);
    end->stack->limit_buffers(no_limit);
    end->stalled_until = Time::min();
    end->tick = Duration{1};
    end->app->held.clear();
    if (plan_.has(Fault::listener)) {
      end->stack->core().resume(end->listener);
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
  forged.source_mac = mac_of((forged.source.address.value & 0xff) - 1);
  forged.destination_mac = mac_of(to);
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
