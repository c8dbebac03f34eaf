// SPDX-License-Identifier: BSD-3-Clause
// The window that we offer: what of it is said in a segment, when it is worth an ACK of its own, and how it
// grows with what the application takes in a round trip. Layer: tcp. Knows nothing of where bytes wait.
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

[[nodiscard]] inline std::uint8_t shift_of(const Tcb& tcb) { return has(tcb, wscale_enabled) ? tcb.rcv_wscale : std::uint8_t{0}; }

/// The window field where `limit` bytes may wait and `unread` do; moves rcv_adv.
[[nodiscard]] inline std::uint16_t offer_window(Tcb& tcb, std::uint32_t limit, std::uint32_t unread) {
  const std::uint32_t space = limit > unread ? limit - unread : 0;
  std::uint32_t window = distance(tcb.rcv_nxt, tcb.rcv_adv);  // what is offered stays offered
  if (space > window && space - window >= std::min<std::uint32_t>(limit / 2, tcb.rcv_mss)) window = space;
  const std::uint8_t shift = shift_of(tcb);
  const std::uint32_t granule = 1u << shift, below = granule - 1;
  if (unread == 0 && window <= limit) [[likely]] {  // rounded up it is within the limit rounded up: nothing to correct
    const std::uint32_t field = std::min<std::uint32_t>((window + below) >> shift, 65535);
    tcb.rcv_adv = max(tcb.rcv_adv, tcb.rcv_nxt + (field << shift));
    return static_cast<std::uint16_t>(field);
  }
  // Rounded up, or the right edge would creep back by the bits that the shift drops. But not past the limit:
  // a peer whose segments are smaller than the granule would push the edge before it for ever, and nothing
  // would bound what is held. Then the edge that is said is a little short of the one that holds
  // (rfc7323 2.4).
  std::uint32_t field = (window + below) >> shift;
  if ((field << shift) + unread > ((limit + below) & ~below)) field = window >> shift;
  field = std::min<std::uint32_t>(field, 65535);
  tcb.rcv_adv = max(tcb.rcv_adv, tcb.rcv_nxt + (field << shift));
  return static_cast<std::uint16_t>(field);
}

/// The window field of the next segment; moves rcv_adv. What was offered stays in the window (SHLD-14,
/// rfc7323 2.4); the edge moves only by a useful amount (MUST-39).
[[nodiscard]] std::uint16_t measured_window_field(Context& cx, Tcb& tcb);
[[nodiscard]] inline std::uint16_t window_field(Context& cx, Tcb& tcb) {
  if (tcb.receive != nullptr || has(tcb, rcv_tuned)) [[unlikely]] return measured_window_field(cx, tcb);
  return offer_window(tcb, cx.first_receive_limit, 0);
}

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
