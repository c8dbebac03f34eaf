// SPDX-License-Identifier: BSD-3-Clause
// How long a peer may be silent: R1 and R2 (RFC 9293 section 3.8.3), the user timeout and its option (RFC
// 5482). Layer: tcp. Knows nothing of which segment is sent again.
#pragma once

#include "tcp/context.hpp"

namespace handfast::tcp {

/// user_timeout_ds of a connection that is never given up.
inline constexpr std::uint16_t endless = 0xffff;

/// R2: how long nothing new may be acknowledged. Duration::max() for an endless one.
[[nodiscard]] Duration give_up_after(const Context& cx, const Tcb& tcb);
/// Whether that is the application's own word. Then it binds a peer too that answers every probe and keeps its window shut:
/// whoever sets no limit waits for such a one for ever (rfc9293 3.8.6.1).
[[nodiscard]] bool is_user_timeout_ours(const Context& cx, const Tcb& tcb);
/// A segment was sent again after a time-out, tcb.backoff times now: at R1 the connection is in doubt.
void note_retransmission(Context& cx, Tcb& tcb);

/// The value of the option (RFC 5482 section 3.3): seconds, or minutes where those do not fit; never the
/// reserved 0.
[[nodiscard]] std::uint16_t encode_user_timeout(Duration timeout);
[[nodiscard]] Duration decode_user_timeout(std::uint16_t field);
/// What our next option says.
[[nodiscard]] std::uint16_t advertised_user_timeout(const Context& cx, const Tcb& tcb);
/// The peer's option.
void take_user_timeout(const Context& cx, Tcb& tcb, std::uint16_t field);
/// The application's choice: it overrides the peer's wish from here on.
void choose_user_timeout(Context& cx, Tcb& tcb, Duration limit);
/// The option leaves with the next segment, where it is enabled.
void announce_user_timeout(Context& cx, Tcb& tcb);

}  // namespace handfast::tcp
