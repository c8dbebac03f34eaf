// SPDX-License-Identifier: BSD-3-Clause
// What leaves: data, ACK, FIN, SYN, RST, described for the shard to write. Layer: tcp.
#pragma once

#include "tcp/context.hpp"

namespace handfast::tcp {

/// Everything that a connection may send now: retransmissions, new data, FIN, else the ACK that is due. Called once
/// a burst for each connection marked dirty. Marks it again when the queue of segments was full.
void output(Context& cx, Tcb& tcb);

/// SYN or SYN,ACK by state; also to send it again.
void send_syn(Context& cx, Tcb& tcb);
void send_syn_ack(Context& cx, HalfOpen& half);
/// SYN,ACK whose sequence number is a cookie; keeps nothing.
void send_cookie(Context& cx, const Listener& listener, const wire::Segment& syn, const Handshake& handshake,
                 std::uint32_t flow_sum);
/// <SEQ=SND.NXT><ACK=RCV.NXT><CTL=ACK> at once.
void send_ack(Context& cx, Tcb& tcb);
/// The same with a D-SACK block (RFC 2883): bytes that came again.
void send_ack_of_duplicate(Context& cx, Tcb& tcb, const ds::Range& duplicate);
/// The same, at most challenge_acks_per_second (RFC 5961 section 7); says whether it was sent.
bool send_challenge_ack(Context& cx, Tcb& tcb);
bool send_challenge_ack(Context& cx, HalfOpen& half);
void send_time_wait_ack(Context& cx, TimeWait& entry);
/// A probe below the window: keep-alive (RFC 9293 section 3.8.4).
void send_keepalive(Context& cx, Tcb& tcb);
/// One byte of new data, or of old, past the window (section 3.8.6.1).
void send_window_probe(Context& cx, Tcb& tcb);
/// <SEQ=SND.NXT><CTL=RST> of an ABORT.
void send_reset(Context& cx, Tcb& tcb);
void send_reset(Context& cx, HalfOpen& half);
/// The reply to a segment of no connection (section 3.5.2, group 1), rate-limited by shard.
void send_reset_for(Context& cx, const wire::Segment& segment);
/// <SEQ=SEG.ACK><CTL=RST>: an ACK of what was never sent, before synchronisation.
void send_reset_at_ack(Context& cx, const wire::Segment& segment);

/// Called when the last byte was acknowledged or the connection ended.
void release_extent(Context& cx, Extent& extent);

/// Tail loss probe (RFC 8985 section 7.3): new data if there is some, else the last segment again; whatever the
/// congestion window says. False: no place.
bool send_tail_probe(Context& cx, Tcb& tcb, Flight& flight);
/// What is in flight once more, where there is no memory for a flight.
bool resend_without_flight(Context& cx, Tcb& tcb);

}  // namespace handfast::tcp
