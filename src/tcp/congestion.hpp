// SPDX-License-Identifier: BSD-3-Clause
// The seam for congestion control: what loss recovery tells an algorithm, and what it asks. Layer: tcp.
// A new one is one file with these functions, and one line in congestion.cpp. The window (Tcb::cwnd, Tcb::ssthresh)
// and Flight::pacing_rate are its to set; which bytes are lost and when they leave is none of its business.
#pragma once

#include "tcp/context.hpp"
#include "tcp/flight.hpp"

namespace handfast::tcp {

/// One ACK with news.
struct AckEvent {
  std::uint32_t acked = 0;           ///< bytes that SND.UNA moved by
  std::uint32_t delivered = 0;       ///< bytes newly known to have arrived: acknowledged, or SACKed first now
  std::uint32_t lost = 0;            ///< bytes newly taken for lost
  std::uint32_t prior_flight = 0;    ///< bytes in flight before this ACK (pipe)
  std::uint32_t flight = 0;          ///< and after it
  std::uint32_t rtt_us = 0;          ///< of the newest segment that it delivers and that was sent once; 0: none
  bool cwnd_limited = false;         ///< the window was what held the last flush back (RFC 7661, RFC 5681 section 3.1)
  bool ece = false;                  ///< the ACK has ECE (RFC 3168); for DCTCP, the acknowledged bytes met congestion
  RateSample rate;
};

struct CongestionOps {
  /// The flight was taken from the pool just now, and `own` is zeros. cwnd and ssthresh are the connection's.
  void (*start)(Context& cx, Tcb& tcb, Flight& flight);
  /// Every ACK with news while recovery is open, or after a time-out; with `models` in fast recovery too.
  void (*on_ack)(Context& cx, Tcb& tcb, Flight& flight, const AckEvent& event);
  /// Loss without a time-out, or ECE (`ecn`): the new ssthresh, at least two segments (RFC 5681 (4)). Called once a
  /// window. Without `models` the caller sets ssthresh, and moves cwnd there by proportional rate reduction.
  std::uint32_t (*reduce)(Context& cx, Tcb& tcb, Flight& flight, bool ecn);
  /// The retransmission timer expired for new data: sets ssthresh and cwnd (RFC 5681 section 3.1: one segment).
  void (*on_timeout)(Context& cx, Tcb& tcb, Flight& flight);
  /// Fast recovery is over: cwnd is ssthresh by now, unless `models`.
  void (*on_recovered)(Context& cx, Tcb& tcb, Flight& flight);
  /// The last reduction was an error (spurious time-out, reordering): cwnd and ssthresh have been put back.
  void (*on_undo)(Context& cx, Tcb& tcb, Flight& flight);
  /// Sets cwnd and pacing on every ACK by a model of the path; recovery does not move cwnd.
  bool models = false;
  /// Needs ECN and every mark of it (DCTCP): ECE follows each CE, not until CWR.
  bool counts_marks = false;
};

[[nodiscard]] const CongestionOps& congestion(const Tcb& tcb);

extern const CongestionOps new_reno;

/// RFC 6928 (1) with our factor: min(IW * MSS, max(2 * MSS, IW * 1460)).
[[nodiscard]] std::uint32_t initial_window(const Context& cx, const Tcb& tcb);

/// The bound on any window: what the sequence space and the window scale can tell apart (RFC 7323 section 2.3).
inline constexpr std::uint32_t max_window = 1u << 30;

}  // namespace handfast::tcp
