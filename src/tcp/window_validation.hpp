// SPDX-License-Identifier: BSD-3-Clause
// Congestion window validation: what a window is worth that the application has not used (RFC 7661). Layer: tcp.
// For the window-based algorithms; one that models the path needs on_restart alone.
//
// RFC 5681 section 4.1 would begin again at the initial window after an idle RTO. It asks that of senders whose bursts
// nothing spreads, and its price is paid by those who answer now and then: a slow start for each answer. RFC 7661 keeps
// the window for five minutes instead, on three conditions that are met here: it does not grow unused, a loss then costs
// what exceeds the rate that was really used, and the first use of it is paced. A connection whose window never passed
// the initial one sees nothing of this.
#pragma once

#include "tcp/congestion.hpp"

namespace handfast::tcp {

/// The non-validated period (RFC 7661 section 5: at most five minutes).
inline constexpr std::uint32_t nonvalidated_period_ms = 5 * 60 * 1000;

/// A flight was taken. A window larger than the initial one is then from earlier times.
void start_validation(const Context& cx, const Tcb& tcb, Flight& flight);
/// Every ACK with news that on_ack gets: pipeACK (section 4.2), the phase (4.3), the end of the period (4.4.3).
void validate_window(const Context& cx, Tcb& tcb, Flight& flight, const AckEvent& event);

/// max(pipeACK, FlightSize) within the window: what a loss has to be measured by (section 4.4.1).
[[nodiscard]] std::uint32_t window_in_use(const Context& cx, const Tcb& tcb, const Flight& flight);
/// The new ssthresh after a loss or a mark: `keep` 1024ths of what was in use, no more than half of it in the
/// non-validated phase, at least two segments.
[[nodiscard]] std::uint32_t reduced_window(const Context& cx, Tcb& tcb, Flight& flight, std::uint32_t keep);
/// Recovery is over: section 4.4.1's second reduction, and pipeACK is undefined.
void end_reduction(Tcb& tcb, Flight& flight);
/// A time-out, or the reduction was an error: nothing of the phase is left.
void forget_validation(Flight& flight);

/// Takes a window down that has gone unused for one or more whole periods (section 4.4.3).
void expire_window(const Context& cx, Tcb& tcb, std::uint32_t periods);

/// The first new data may leave after all was acknowledged, and Tcb::progress_ms still says when that was. `flight` may be
/// null. The caller has looked at `is_idle_restart`, or has a flight.
/// Twice does no more than once: what wants to leave may be held back.
void restart_after_idle(Context& cx, Tcb& tcb, Flight* flight);

/// Silent for longer than the RTO (RFC 5681 section 4.1).
[[nodiscard]] inline bool is_idle_restart(const Context& cx, const Tcb& tcb) {
  return std::uint64_t{cx.now_ms - tcb.progress_ms} * 1000 > tcb.rto_us;
}

}  // namespace handfast::tcp
