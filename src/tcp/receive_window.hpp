// SPDX-License-Identifier: BSD-3-Clause
// The window that we offer: what of it is said in a segment, when it is worth an ACK of its own, and how it grows with
// what the application takes in a round trip. Layer: tcp. Knows nothing of where bytes wait.
#pragma once

#include <algorithm>

#include "tcp/context.hpp"
#include "wire/tcp.hpp"

namespace handfast::tcp {

/// A connection that has received less than this is no transfer worth measuring.
inline constexpr std::uint32_t tuning_begins = 16 * 1024;

/// The window of a SYN: it is never scaled (rfc7323 2.2).
[[nodiscard]] inline std::uint32_t syn_receive_window(const Context& cx) {
  return std::min<std::uint32_t>(cx.first_receive_limit, 65535);
}

/// Most bytes that may wait for this connection's application now.
[[nodiscard]] std::uint32_t receive_limit(const Context& cx, const Tcb& tcb);

/// The window field of the next segment; moves rcv_adv. What was offered stays in the window (SHLD-14, rfc7323 2.4);
/// the edge moves only by a useful amount (MUST-39).
[[nodiscard]] std::uint16_t window_field(Context& cx, Tcb& tcb);

/// The application has taken so much that the peer should be told without waiting for its next segment.
[[nodiscard]] bool window_update_is_due(const Context& cx, const Tcb& tcb);

/// Whether tune_receive_window() is to be called for a full-sized segment in order.
[[nodiscard]] inline bool tunes_receive_window(const Context& cx, const Tcb& tcb) {
  return cx.config.tcp.receive_buffer > cx.first_receive_limit &&
         (has(tcb, rcv_tuned) || distance(tcb.irs, tcb.rcv_nxt) >= tuning_begins);
}
/// Measures what the application takes in a round trip, up to `taken`, and lets the window follow.
void tune_receive_window(Context& cx, Tcb& tcb, const wire::TcpOptions& options, Seq taken);

}  // namespace handfast::tcp
