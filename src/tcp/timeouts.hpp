// SPDX-License-Identifier: BSD-3-Clause
// RFC 9293 section 3.10.8 and the timers of later RFCs: one wheel node a connection, several deadlines.
// Layer: tcp. What ends a connection here shows up in Context::finished.
#pragma once

#include "tcp/context.hpp"

namespace handfast::tcp {

/// (Re)starts: expires after the current RTO (RFC 6298 (5.1), (5.3)).
void start_retransmission_timer(Context& cx, Tcb& tcb);
/// Where the application or the peer has set a user timeout, no later than that.
[[nodiscard]] Time before_giving_up(const Context& cx, const Tcb& tcb, Time deadline);
/// After the current RTO for a zero window, after override_timeout for a small one.
void start_persist_timer(Context& cx, Tcb& tcb, bool small_window);
/// The ACK that is due (ack_delayed) waits at most delayed_ack.
void start_delayed_ack_timer(Context& cx, Tcb& tcb);
/// Keep-alive after keepalive_idle of silence; or the bound of an orphan's FIN-WAIT-2.
void start_keepalive_timer(Context& cx, Tcb& tcb);
void start_fin_wait_2_timer(Context& cx, Tcb& tcb);

/// The connection's node fired: whichever deadlines have passed are served, and the node is filed for the next.
/// True when the application's own timer is among them.
bool connection_timer(Context& cx, Tcb& tcb);
/// SYN-ACK again, or the end of the half-open connection.
void half_open_timer(Context& cx, HalfOpen& half);
void start_half_open_timer(Context& cx, HalfOpen& half);

}  // namespace handfast::tcp
