// SPDX-License-Identifier: BSD-3-Clause
// Which bytes are lost: duplicate ACKs and SACK (RFC 6582, RFC 6675), the time-out (RFC 5681). Layer: tcp.
// It orders retransmissions by moving recover and rtx_nxt; output.cpp sends them as the window allows.
#pragma once

#include <optional>

#include "tcp/context.hpp"

namespace handfast::tcp {

/// RFC 5681's three duplicate ACKs.
inline constexpr std::uint32_t duplicate_threshold = 3;

/// Up to here everything that the peer has not SACKed is taken for lost; snd_una when nothing is.
[[nodiscard]] Seq lost_edge(const Tcb& tcb);
/// The next run to send again, if any.
[[nodiscard]] std::optional<ds::Range> next_lost(const Tcb& tcb);
/// Bytes that are lost and not sent again yet.
[[nodiscard]] std::uint32_t lost_bytes(const Tcb& tcb);

/// Enters the blocks that make sense (inside (snd_una, snd_nxt], left before right); true if any byte was news.
bool apply_sack(Context& cx, Tcb& tcb, const wire::TcpOptions& options);
/// snd_una has moved by `acked` bytes of sequence space.
void on_new_ack(Context& cx, Tcb& tcb, std::uint32_t acked);
void on_duplicate_ack(Context& cx, Tcb& tcb);
/// The retransmission timer expired: all of the flight counts as lost.
void on_retransmission_timeout(Context& cx, Tcb& tcb);
/// Orders the whole flight again without a word on congestion (the window has opened after probes).
void resend_flight(Context& cx, Tcb& tcb);

}  // namespace handfast::tcp
