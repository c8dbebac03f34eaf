// SPDX-License-Identifier: BSD-3-Clause
// The inside oracle; see inside.hpp. Layer: fuzz.
#include "fuzz/inside.hpp"

#include <algorithm>

#include "fuzz/fuzz.hpp"
#include "shard/shard.hpp"
#include "tcp/invariants.hpp"

namespace handfast::fuzz {
namespace {

bool after(std::uint32_t a, std::uint32_t b) { return static_cast<std::int32_t>(a - b) > 0; }

bool is_synchronised(const tcp::Tcb& tcb) {
  return has(tcb, tcp::in_table) && !has(tcb, tcp::ended) && tcb.state != State::syn_sent && tcb.state != State::syn_received;
}

struct Edge {
  State from, to;
};
/// rfc9293 3.3.2, figure 5, for a block in use; where a segment does two steps at once both are listed, and CLOSED can
/// be reached from anywhere (RST, abort, time-outs).
constexpr Edge edges[] = {
    {State::syn_sent, State::syn_received},     {State::syn_sent, State::established},
    {State::syn_received, State::established},  {State::syn_received, State::fin_wait_1},
    {State::syn_received, State::close_wait},   {State::established, State::fin_wait_1},
    {State::established, State::close_wait},    {State::fin_wait_1, State::fin_wait_2},
    {State::fin_wait_1, State::closing},        {State::close_wait, State::last_ack},
};
struct Seen {
  std::array<std::uint64_t, std::size(edges)> direct{};
  std::array<std::array<std::uint64_t, state_count>, state_count> all{};
};
Seen& transitions() {
  static Seen seen;
  return seen;
}

/// Whether a way leads there; several steps may lie between two looks.
bool reachable(State from, State to) {
  if (from == to || to == State::closed) return true;
  return std::ranges::any_of(edges, [&](const Edge& e) { return e.from == from && reachable(e.to, to); });
}

void note_transition(State from, State to) {
  if (from == to) return;
  FUZZ_CHECK(reachable(from, to));
  ++transitions().all[static_cast<std::size_t>(from)][static_cast<std::size_t>(to)];
  for (std::size_t i = 0; i < std::size(edges); ++i)
    if (edges[i].from == from && edges[i].to == to) ++transitions().direct[i];
}

void check_sums(const tcp::Context& cx) {
  std::uint32_t in_table = 0, pending = 0;
  for (std::uint32_t i = 0; i < cx.tcbs.high_water(); ++i) {
    const tcp::Tcb& tcb = cx.tcbs[i];
    if ((tcb.generation & 1) == 0) continue;
    in_table += has(tcb, tcp::in_table) ? 1 : 0;
    pending += has(tcb, tcp::accept_pending) ? 1 : 0;
  }
  FUZZ_CHECK(cx.flows.size() == in_table + cx.half_opens.size() + cx.time_waits.size());
  std::uint32_t waiting = 0, half_open = 0;
  for (const tcp::Listener& listener : cx.listeners) {
    FUZZ_CHECK(!listener.open || (listener.waiting <= listener.backlog && listener.half_open <= listener.backlog));
    waiting += listener.waiting;
    half_open += listener.half_open;
  }
  FUZZ_CHECK(waiting == pending && half_open == cx.half_opens.size());
}

}  // namespace

void Inside::check(Core& core) {
  tcp::Context& cx = core.shard().tcp();
  seen_.resize(std::max<std::size_t>(seen_.size(), cx.tcbs.high_water()));
  for (std::uint32_t i = 0; i < cx.tcbs.high_water(); ++i) {
    const tcp::Tcb& tcb = cx.tcbs[i];
    if ((tcb.generation & 1) == 0) continue;
    tcp::check_invariants(cx, tcb);
    Seen& seen = seen_[i];
    const bool same = seen.generation == tcb.generation;
    note_transition(same ? seen.state : tcb.state, tcb.state);
    const Seen now{tcb.generation, tcb.rcv_nxt.raw(), tcb.rcv_adv.raw(), tcb.snd_una.raw(), tcb.snd_nxt.raw(), tcb.state};
    if (same && is_synchronised(tcb) && seen.state != State::syn_sent && seen.state != State::syn_received) {
      FUZZ_CHECK(!after(seen.rcv_nxt, now.rcv_nxt) && !after(seen.rcv_adv, now.rcv_adv));
      FUZZ_CHECK(!after(seen.snd_una, now.snd_una) && !after(seen.snd_nxt, now.snd_nxt));
    }
    seen = now;
    // What could be sent, and is not, has something that will send it.
    const bool waits = is_synchronised(tcb) && tcb.send_queued != 0 && tcb.snd_una == tcb.snd_nxt && !has(tcb, tcp::dirty);
    const bool paced = tcb.flight != nullptr && tcb.flight->pace_deadline != tcp::never;
    FUZZ_CHECK(!waits || tcb.rtx_deadline != tcp::never || paced);
  }
  check_sums(cx);
}

void Inside::check_nothing_held(Core& core) {
  const tcp::Context& cx = core.shard().tcp();
  FUZZ_CHECK(cx.tcbs.size() == 0 && cx.half_opens.size() == 0 && cx.time_waits.size() == 0 && cx.flows.size() == 0);
  FUZZ_CHECK(cx.chunks.in_use() == 0 && cx.extents.in_use() == 0);
  FUZZ_CHECK(cx.receive_buffers.in_use() == 0 && cx.flights.in_use() == 0 && cx.path_searches.size() == 0);
  FUZZ_CHECK(cx.tcb_wheel.size() == 0 && cx.half_open_wheel.size() == 0);
}

void Inside::report() {
  std::size_t seen = 0;
  for (std::size_t i = 0; i < std::size(edges); ++i) {
    seen += transitions().direct[i] != 0 ? 1 : 0;
    if (transitions().direct[i] == 0)
      std::fprintf(stderr, "not seen: %s to %s\n", name(edges[i].from).data(), name(edges[i].to).data());
  }
  std::fprintf(stderr, "transitions: %zu of %zu seen\n", seen, std::size(edges));
}

State state_of(Core& core, std::uint32_t slot) {
  if (slot == tcp::npos) return State::closed;
  switch (tcp::FlowSlot::kind(slot)) {
    case tcp::FlowKind::half_open: return State::syn_received;
    case tcp::FlowKind::time_wait: return State::time_wait;
    case tcp::FlowKind::connection: break;
  }
  return core.shard().tcp().tcbs[tcp::FlowSlot::index(slot)].state;
}

}  // namespace handfast::fuzz
