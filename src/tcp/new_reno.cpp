// SPDX-License-Identifier: BSD-3-Clause
// NewReno's window (RFC 5681 section 3.1, with byte counting after RFC 3465, L = 2). Layer: tcp.
// When to retransmit is recovery.cpp's business, the same for every algorithm.
#include <algorithm>

#include "tcp/congestion.hpp"

namespace handfast::tcp {
namespace {

std::uint32_t half_of_flight(const Tcb& tcb) {
  return std::max(distance(tcb.snd_una, tcb.snd_nxt) / 2, 2u * tcb.snd_mss);
}

void start(Context&, Tcb&, Flight&) {}

void on_ack(Context&, Tcb& tcb, Flight& flight, const AckEvent& event) {
  if (!event.cwnd_limited) return;
  const std::uint32_t mss = tcb.snd_mss;
  if (tcb.cwnd < tcb.ssthresh) {
    tcb.cwnd += std::min(event.acked, 2 * mss);
    return;
  }
  flight.cwnd_acked += event.acked;
  if (flight.cwnd_acked < tcb.cwnd) return;
  flight.cwnd_acked -= tcb.cwnd;
  tcb.cwnd += mss;
}

std::uint32_t reduce(Context&, Tcb& tcb, Flight&, bool) { return half_of_flight(tcb); }

void on_timeout(Context&, Tcb& tcb, Flight& flight) {
  // RFC 5681 (4): ssthresh halves once for a flight, not again for its retransmissions.
  if (tcb.backoff == 0) tcb.ssthresh = half_of_flight(tcb);
  tcb.cwnd = tcb.snd_mss;
  flight.cwnd_acked = 0;
}

void on_recovered(Context&, Tcb&, Flight&) {}
void on_undo(Context&, Tcb&, Flight&) {}

}  // namespace

const CongestionOps new_reno{start, on_ack, reduce, on_timeout, on_recovered, on_undo};

}  // namespace handfast::tcp
