// SPDX-License-Identifier: BSD-3-Clause
// The seam for congestion control: what loss recovery asks of an algorithm. Layer: tcp.
// A new one is one file with three functions, and one line in congestion.cpp.
#pragma once

#include "tcp/context.hpp"

namespace handfast::tcp {

struct CongestionOps {
  /// `acked` new bytes, outside of fast recovery, while the window was the limit.
  void (*on_ack)(Context& cx, Tcb& tcb, std::uint32_t acked);
  /// Loss without a time-out: the new ssthresh (RFC 5681 (4): at least two segments).
  std::uint32_t (*ssthresh_after_loss)(const Tcb& tcb);
  /// The retransmission timer expired for new data.
  void (*on_timeout)(Context& cx, Tcb& tcb);
};

[[nodiscard]] const CongestionOps& congestion(const Tcb& tcb);

extern const CongestionOps new_reno;

/// RFC 6928 (1) with our factor: min(IW * MSS, max(2 * MSS, IW * 1460)).
[[nodiscard]] std::uint32_t initial_window(const Context& cx, const Tcb& tcb);

}  // namespace handfast::tcp
