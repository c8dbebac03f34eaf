// SPDX-License-Identifier: BSD-3-Clause
// Explicit congestion notification (RFC 3168): who asks for it, what marks on arriving segments mean for our ACKs, and the
// exact echo that DCTCP wants instead (RFC 8257 section 3.2). Layer: tcp. What a sender does about ECE is recovery's.
#pragma once

#include "tcp/congestion.hpp"
#include "tcp/context.hpp"

namespace handfast::tcp {

inline constexpr std::uint8_t ecn_capable = 2;            ///< ECT(0) in the TOS byte
inline constexpr std::uint8_t congestion_experienced = 3;

/// By configuration, or because the algorithm is nothing without it.
[[nodiscard]] inline bool wants_ecn(const Context& cx, CongestionControl congestion) {
  return cx.config.tcp.ecn || congestion == CongestionControl::dctcp;
}
/// rfc3168 6.1.1: the flags of a SYN that asks for it, and of the SYN,ACK that agrees.
[[nodiscard]] inline bool is_ecn_setup_syn(const wire::Segment& syn) {
  return (syn.flags & (wire::ece | wire::cwr)) == (wire::ece | wire::cwr);
}
[[nodiscard]] inline bool is_ecn_setup_syn_ack(const wire::Segment& syn_ack) {
  return (syn_ack.flags & (wire::ece | wire::cwr)) == wire::ece;
}

/// An acceptable segment of a connection with ECN: CWR ends the echo, CE begins it.
void note_marks(Context& cx, Tcb& tcb, const wire::Segment& segment);

/// ECE where there is no flight to react with: one segment is in flight at most.
void react_to_ece_alone(Context& cx, Tcb& tcb);

}  // namespace handfast::tcp
