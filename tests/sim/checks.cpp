// SPDX-License-Identifier: BSD-3-Clause
// What must hold when a run comes to its end: all over, within the bound, silent, nothing held. Layer:
// simulator; see world.hpp.
#include <algorithm>

#include "shard/shard.hpp"
#include "sim/world.hpp"
#include "support/usage.hpp"

namespace handfast::sim {
namespace {

constexpr Duration silence = 10min;

}  // namespace

bool World::all_ended() const {
  for (const Talk& talk : ledger_.talks)
    for (unsigned i = 0; i < 2; ++i) {
      const Side& side = talk.side[i];
      if ((side.id != ConnId{}) && !side.ended) return false;
    }
  for (const auto& end : ends_) {
    for (std::uint16_t i = 0; end->stack && i < end->stack->shards(); ++i) {
      const test::Usage usage = test::usage_of(end->stack->core(i));
      if (usage.connections != 0 || usage.half_open != 0) return false;
    }
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
      if (auto& stack = ends_[talk.end[i]]->stack)
        what += " " + block_text(stack->core(talk.side[i].shard), talk.side[i].id);
    }
    if (said)
      for (const unsigned end : talk.end)
        if (auto& stack = ends_[end]->stack)
          what += " end " + std::to_string(end) + " " + block_text(stack->core(0), ConnId{});
  }
  for (const auto& end : ends_)
    for (std::uint16_t i = 0; end->stack && i < end->stack->shards(); ++i) {
      Core& core = end->stack->core(i);
      const test::Usage usage = test::usage_of(core);
      if (usage.connections + usage.half_open != 0)
        what += "\n  end " + std::to_string(end->index) + " shard " + std::to_string(i) + ": " +
                std::to_string(usage.connections) + " connections, " + std::to_string(usage.half_open) +
                " half-open, due in " + std::to_string((due(*end) - now_) / 1us) + " us";
      // Also those that no application knows of.
      tcp::Context& cx = core.shard().tcp();
      for (std::uint32_t n = 0; n < cx.tcbs.high_water(); ++n)
        if ((cx.tcbs[n].generation & 1) != 0) what += "\n  " + block_text(core, {n, cx.tcbs[n].generation});
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

/// I28: who is spoken to answers each segment at most once and a half, but for what timers and applications
/// say.
void World::check_amplification(const End& end) {
  CoreStats said = end.past;
  if (end.stack) said.add(end.stack->stats());
  std::uint64_t ended = 0;
  for (const std::uint64_t n : said.closed) ended += n;
  const std::uint64_t timers = said.delayed_acks + said.keepalive_probes + said.zero_window_probes +
                               said.retransmits + said.tail_loss_probes + said.half_open_expired;
  const std::uint64_t most = end.segments_in + end.segments_in / 2 + timers + 2 * end.app->calls + 2 * ended;
  if (end.traffic.bare > most)
    ledger_.fail("I28 end " + std::to_string(end.index) + " sent " + std::to_string(end.traffic.bare) +
                 " segments without data, with a reason for " + std::to_string(most));
}

void World::check_nothing_left() {
  for (auto& end : ends_) {
    check_amplification(*end);
    if (!end->stack) continue;
    for (std::uint16_t i = 0; i < end->stack->shards(); ++i) check_nothing_left(*end, i);
    if (end->stack->buffers_in_use() != 0)
      ledger_.fail("I26 frame buffers left on end " + std::to_string(end->index) + ": " +
                   std::to_string(end->stack->buffers_in_use()) + ", with the application " +
                   std::to_string(end->app->held.size()));
    if (end->app->references != 0)
      ledger_.fail("I26 send_ref not released on end " + std::to_string(end->index));
  }
}

void World::check_nothing_left(End& end, std::uint16_t shard) {
  const std::string who = " on end " + std::to_string(end.index) + " shard " + std::to_string(shard);
  Core& core = end.stack->core(shard);
  const test::Usage u = test::usage_of(core);
  if (u != test::Usage{})
    ledger_.fail("I26 left" + who + ": connections " + std::to_string(u.connections) + " half-open " +
                 std::to_string(u.half_open) + " time-wait " + std::to_string(u.time_wait) + " extents " +
                 std::to_string(u.extents) + " chunks " + std::to_string(u.chunks) + " receive buffers " +
                 std::to_string(u.receive_buffers) + " flights " + std::to_string(u.flights) +
                 " path searches " + std::to_string(u.path_searches));
  if (core.shard().held().size() + core.shard().ready().size() + core.shard().looped().size() != 0)
    ledger_.fail("I26 frames left" + who + ": held for a neighbour " +
                 std::to_string(core.shard().held().size()) + ", ready " +
                 std::to_string(core.shard().ready().size()) + ", to ourselves " +
                 std::to_string(core.shard().looped().size()));
  const auto& cx = core.shard().tcp();
  if (cx.tcb_wheel.size() != 0 || cx.half_open_wheel.size() != 0) ledger_.fail("I21 timers left" + who);
  const CoreStats stats = core.stats();
  if (stats.connections != 0 || stats.half_open != 0 || stats.time_wait != 0)
    ledger_.fail("I26 gauges are not zero" + who);
}

}  // namespace handfast::sim
