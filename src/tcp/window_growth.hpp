// SPDX-License-Identifier: BSD-3-Clause
// What the window-based algorithms share: slow start, Reno's linear growth, the rate at which a window is paced.
// Layer: tcp. Knows neither losses nor which algorithm calls.
#pragma once

#include <limits>

#include "tcp/congestion.hpp"

namespace handfast::tcp {

/// ssthresh of a connection that has never met congestion (RFC 5681 section 3.1: arbitrarily high).
inline constexpr std::uint32_t no_threshold = std::numeric_limits<std::uint32_t>::max();

[[nodiscard]] inline bool in_slow_start(const Tcb& tcb) { return tcb.cwnd < tcb.ssthresh; }

/// The window is what holds the sender back. While it is paced its last flush ended at the rate more often than at the
/// window: then what was in flight tells.
[[nodiscard]] inline bool is_window_used(const Tcb& tcb, const Flight& flight, const AckEvent& event) {
  if (event.cwnd_limited || flight.pacing_rate == 0) return event.cwnd_limited;
  return std::uint64_t{event.prior_flight} + flight.send_quantum + tcb.snd_mss > tcb.cwnd;
}

/// May an ACK open the window? What the application leaves unused proves nothing (RFC 7661 section 4.4).
[[nodiscard]] inline bool may_grow(const Tcb& tcb, const Flight& flight, const AckEvent& event) {
  return event.acked != 0 && (tcb.recovery == Recovery::timeout || is_window_used(tcb, flight, event));
}

/// RFC 3465's L: segments that one ACK may add. One while slow start repairs a loss (section 2.3 MUST), for ACKs then
/// cover what has left the network long ago.
[[nodiscard]] inline std::uint32_t slow_start_limit(const Tcb& tcb, std::uint32_t segments) {
  return (tcb.recovery == Recovery::timeout ? 1u : segments) * tcb.snd_mss;
}

/// Adds `bytes` up to ssthresh.
void grow_exponentially(Tcb& tcb, std::uint32_t bytes);
/// One segment for each window that is acknowledged (RFC 5681 (3) as RFC 3465 section 2.1 counts it).
void grow_linearly(Tcb& tcb, Flight& flight, std::uint32_t acked);
/// Both, as RFC 5681 and RFC 3465 with L = 2 have them.
void grow_as_reno(Tcb& tcb, Flight& flight, const AckEvent& event);

/// RFC 5681 (4)'s FlightSize, and no more than the window: what SACK let out beyond it is not in flight twice.
[[nodiscard]] std::uint32_t flight_size(const Tcb& tcb);

/// Sets the rate for a window: twice what fills the round trip in slow start, 1.2 times later, if the configuration
/// wants pacing or a window that nobody has tried lately is about to be used (RFC 7661 section 4.4.2); else none.
void pace_window(const Context& cx, const Tcb& tcb, Flight& flight);

/// Bytes that may leave together at this rate: a millisecond's worth, two segments to 64 KiB.
[[nodiscard]] std::uint32_t quantum_of(std::uint64_t pacing_rate, std::uint32_t mss);

}  // namespace handfast::tcp
