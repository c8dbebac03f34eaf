// SPDX-License-Identifier: BSD-3-Clause
// DCTCP (RFC 8257): the window shrinks by how much of it met congestion, not by that it did. Layer: tcp.
// For networks of one owner whose switches mark; where nothing is marked, and for losses, it is NewReno.
#include <algorithm>

#include "tcp/window_growth.hpp"
#include "tcp/window_validation.hpp"

namespace handfast::tcp {
namespace {

constexpr std::uint32_t one = 1u << 20;  // alpha's 1
constexpr unsigned gain_shift = 4;       // g = 1/16 (section 4.2)

struct Dctcp {
  std::uint32_t alpha;
  Seq window_end;
  std::uint64_t acked, marked;  // in this observation window
};

/// Section 3.3, steps 1 to 8.
void observe(const Tcb& tcb, Dctcp& state, const AckEvent& event) {
  state.acked += event.acked;
  if (event.ece) state.marked += event.acked;
  if (state.acked == 0 || !after(tcb.snd_una, state.window_end)) return;
  const auto fraction = static_cast<std::uint32_t>(state.marked * one / state.acked);
  // Section 4.2: alpha must be able to reach 0, and never pass 1.
  if (state.alpha >> gain_shift == 0) state.alpha = 0;
  state.alpha = std::min(state.alpha - (state.alpha >> gain_shift) + (fraction >> gain_shift), one);
  state.window_end = tcb.snd_nxt;
  state.acked = state.marked = 0;
}

void start(Context& cx, Tcb& tcb, Flight& flight) {
  auto& state = own<Dctcp>(flight);
  state.alpha = one;
  state.window_end = tcb.snd_una;
  start_validation(cx, tcb, flight);
  pace_window(cx, tcb, flight);
}

void on_ack(Context& cx, Tcb& tcb, Flight& flight, const AckEvent& event) {
  observe(tcb, own<Dctcp>(flight), event);
  validate_window(cx, tcb, flight, event);
  grow_as_reno(tcb, flight, event);
  pace_window(cx, tcb, flight);
}

std::uint32_t reduce(Context& cx, Tcb& tcb, Flight& flight, bool ecn) {
  flight.cwnd_acked = 0;
  if (!ecn) return reduced_window(cx, tcb, flight, 512);  // section 3.5
  // Step 9, of the window as far as it is known to be used.
  const std::uint32_t window = flight.unvalidated ? window_in_use(cx, tcb, flight) : tcb.cwnd;
  if (flight.unvalidated) forget_validation(flight);
  const std::uint64_t cut = std::uint64_t{window} * own<Dctcp>(flight).alpha / (2 * one);
  return std::max(window - static_cast<std::uint32_t>(cut), 2u * tcb.snd_mss);
}

void on_timeout(Context& cx, Tcb& tcb, Flight& flight) {
  auto& state = own<Dctcp>(flight);
  state.acked = state.marked = 0;
  new_reno.on_timeout(cx, tcb, flight);
}

void on_recovered(Context& cx, Tcb& tcb, Flight& flight) { new_reno.on_recovered(cx, tcb, flight); }
void on_undo(Context& cx, Tcb& tcb, Flight& flight) { new_reno.on_undo(cx, tcb, flight); }

}  // namespace

const CongestionOps dctcp{start, on_ack, reduce, on_timeout, on_recovered, on_undo, false, true};

}  // namespace handfast::tcp
