// SPDX-License-Identifier: BSD-3-Clause
// What a peer's timestamp says of a segment: PAWS and TS.Recent (RFC 7323 sections 3.2, 4.3 and 5). Layer:
// tcp. Knows nothing of round-trip times: those are in rtt.hpp.
#pragma once

#include <cstdint>

#include "tcp/context.hpp"

namespace handfast::tcp {

/// TS.Recent is good for 24 days (section 5.5).
inline constexpr std::uint32_t ts_recent_lifetime_ms = 24u * 24 * 3600 * 1000;

/// Ticks by which a segment may be older than TS.Recent: a retransmission that fills a gap moves TS.Recent
/// past segments that are late by a little, and to drop those costs a window each (section 5.3 calls it
/// unlikely; a path that reorders does it every few round trips). What PAWS is for lies a whole sequence
/// space back: 4 GiB within so many ticks would be 2 Tbit/s by a clock of milliseconds. deviates: 5.3 R1,
/// Paws.late_by_a_few_ticks__is_taken
inline constexpr std::uint32_t paws_slack = 16;

/// a < b on a clock that wraps (section 5.2).
[[nodiscard]] constexpr bool is_earlier(std::uint32_t a, std::uint32_t b) {
  return static_cast<std::int32_t>(a - b) < 0;
}

[[nodiscard]] inline bool ts_recent_is_valid(const Context& cx, const Tcb& tcb) {
  return cx.now_ms - tcb.heard_ms < ts_recent_lifetime_ms;
}

/// Section 3.2: agreed on and not there. An RST counts all the same; so does a SYN, which is a new beginning
/// (its challenge is what tells a peer that has lost its memory).
[[nodiscard]] inline bool lacks_timestamp(const Tcb& tcb, const wire::Segment& segment,
                                          const wire::TcpOptions& options) {
  return has(tcb, ts_enabled) && !options.has_timestamps && !segment.has(wire::rst | wire::syn);
}

/// Section 5.3 R1.
[[nodiscard]] inline bool paws_rejects(const Context& cx, const Tcb& tcb, const wire::Segment& segment,
                                       const wire::TcpOptions& options) {
  return has(tcb, ts_enabled) && options.has_timestamps && !segment.has(wire::rst) &&
         is_earlier(options.ts_val + paws_slack, tcb.ts_recent) && ts_recent_is_valid(cx, tcb);
}

/// Section 4.3 (2) and 5.3 R3, of a segment that may be the peer's; before heard_ms moves. What is too old to
/// compare with is replaced whatever it was (section 5.5).
inline void note_timestamp(const Context& cx, Tcb& tcb, const wire::Segment& segment,
                           const wire::TcpOptions& options) {
  if (!has(tcb, ts_enabled) || !options.has_timestamps || after(segment.seq, tcb.last_ack_sent)) return;
  if (is_earlier(options.ts_val, tcb.ts_recent) && ts_recent_is_valid(cx, tcb)) return;
  tcb.ts_recent = options.ts_val;
}

}  // namespace handfast::tcp
