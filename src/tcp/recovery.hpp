// SPDX-License-Identifier: BSD-3-Clause
// Loss recovery of a connection with a flight: what an ACK, a duplicate ACK and the retransmission timer mean for
// what is to be sent again and for the window (RFC 5681, 6582, 6675, 6937, 8985). Layer: tcp.
// It marks records as lost; output.cpp sends them as the window allows.
#pragma once

#include "tcp/context.hpp"
#include "tcp/flights.hpp"

namespace handfast::tcp {

/// One ACK, beside what deliver_ack() found in it.
struct AckArrival {
  Seq prior_una;           ///< snd_una before it; it has moved by now
  std::uint32_t told = 0;  ///< segments that it covers, but for the first: without SACK duplicate ACKs have told of them
  bool duplicate = false;  ///< in RFC 5681's sense
  bool ece = false;
  bool reduced = false;    ///< ... and the window has fallen for it: this ACK does not raise it again
  bool has_echo = false;
  std::uint32_t echo = 0;  ///< TSecr
};

/// ECE on an ACK of data, before snd_una moves: the window falls once a window of data (RFC 3168 section 6.1.2). Says
/// whether it did.
[[nodiscard]] bool react_to_ece(Context& cx, Tcb& tcb, Flight& flight, Seq ack);
/// Once for each ACK that arrives while there is a flight, after snd_una has moved: RTT, losses, undo, window.
void react_to_ack(Context& cx, Tcb& tcb, Flight& flight, const Delivery& delivery, const AckArrival& arrival);
/// The retransmission timer expired for data: all that RACK does not think to be in flight counts as lost.
void on_retransmission_timeout(Context& cx, Tcb& tcb);
/// The reordering timer expired (RFC 8985 section 6.2).
void on_reordering_timeout(Context& cx, Tcb& tcb, Flight& flight);
/// Orders the whole flight again without a word on congestion: the window has opened after probes, or the path takes
/// smaller segments only.
void resend_flight(Context& cx, Tcb& tcb);

/// Sets rtx_deadline for what is in flight: the earliest of reordering timer, tail probe and retransmission timer.
void set_alarm(Context& cx, Tcb& tcb, Flight& flight);
/// RFC 6298 (5.1), (5.3): the retransmission timer runs from now.
void restart_rto(Context& cx, Tcb& tcb, Flight& flight);

}  // namespace handfast::tcp
