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

std::uint32_t initial_window(const Context& cx, const Tcb& tcb) {
  const std::uint32_t segments = cx.config.tcp.initial_window, mss = tcb.snd_mss;
  return std::min(segments * mss, std::max(2 * mss, segments * 1460));
}

}  // namespace handfast::tcp
