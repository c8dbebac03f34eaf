// SPDX-License-Identifier: BSD-3-Clause
// The table of algorithms, and the initial window. Layer: tcp.
#include "tcp/congestion.hpp"

#include <algorithm>

namespace handfast::tcp {

const CongestionOps& congestion(const Tcb& tcb) {
  switch (tcb.congestion) {
    case CongestionControl::new_reno: return new_reno;
    case CongestionControl::cubic: break;
    case CongestionControl::dctcp: return dctcp;
    case CongestionControl::bbr: return bbr;
  }
  return cubic;
}

void change_congestion_control(Context& cx, Tcb& tcb, Flight* flight, CongestionControl algorithm) {
  const bool modelled = congestion(tcb).models;
  tcb.congestion = algorithm;
  const CongestionOps& ops = congestion(tcb);
  // A model has no threshold, and what it found is no window to double. Without a flight, and with no more than the initial
  // window (or none yet: the SYN is out), it has found nothing: rfc5681 3.1, the first threshold is as high as can be.
  const bool has_found = flight != nullptr || tcb.cwnd > initial_window(cx, tcb);
  if (modelled && !ops.models && has_found) tcb.ssthresh = std::min(tcb.ssthresh, std::max(tcb.cwnd, 2u * tcb.snd_mss));
  if (flight == nullptr || !flight->started) return;
  flight->own = {};
  flight->pacing_rate = 0;
  flight->send_quantum = 0;
  flight->cwnd_acked = 0;
  ops.start(cx, tcb, *flight);
}

std::uint32_t initial_window(const Context& cx, const Tcb& tcb) {
  const std::uint32_t segments = cx.config.tcp.initial_window, mss = tcb.snd_mss;
  return std::min(segments * mss, std::max(2 * mss, segments * 1460));
}

}  // namespace handfast::tcp
