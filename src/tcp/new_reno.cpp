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

void on_ack(Context&, Tcb& tcb, std::uint32_t acked) {
  const std::uint32_t mss = tcb.snd_mss;
  if (tcb.cwnd < tcb.ssthresh) {
    tcb.cwnd += std::min(acked, 2 * mss);
    return;
  }
  tcb.cwnd_acked += acked;
  if (tcb.cwnd_acked < tcb.cwnd) return;
  tcb.cwnd_acked -= tcb.cwnd;
  if (tcb.cwnd < (1u << 30)) tcb.cwnd += mss;
}

void on_timeout(Context&, Tcb& tcb) {
  // RFC 5681 (4): ssthresh halves once for a flight, not again for its retransmissions.
  if (tcb.backoff == 0) tcb.ssthresh = half_of_flight(tcb);
  tcb.cwnd = tcb.snd_mss;
  tcb.cwnd_acked = 0;
}

}  // namespace

const CongestionOps new_reno{on_ack, half_of_flight, on_timeout};

}  // namespace handfast::tcp
