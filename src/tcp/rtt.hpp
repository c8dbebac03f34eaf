// SPDX-License-Identifier: BSD-3-Clause
// Round-trip time and the retransmission time-out: RFC 6298. Layer: tcp.
#pragma once

#include <algorithm>
#include <cstdint>

#include "tcp/context.hpp"

namespace handfast::tcp {

/// A sample, microseconds. (2.2), (2.3): alpha 1/8, beta 1/4, K 4; the clock's granularity is below a tick of the wheel.
inline void take_rtt_sample(const Context& cx, Tcb& tcb, std::uint32_t sample_us) {
  // Beyond rto_max it was not the path that took so long (a machine that slept), and what is paced would wait for hours.
  const auto most = static_cast<std::uint32_t>(cx.config.tcp.rto_max / 1us);
  const std::uint32_t r = std::clamp<std::uint32_t>(sample_us, 1, most);
  if (tcb.srtt_us == 0) {
    tcb.srtt_us = r;
    tcb.rttvar_us = r / 2;
  } else {
    const std::uint32_t error = r > tcb.srtt_us ? r - tcb.srtt_us : tcb.srtt_us - r;
    tcb.rttvar_us = tcb.rttvar_us - tcb.rttvar_us / 4 + error / 4;
    tcb.srtt_us = std::max<std::uint32_t>(tcb.srtt_us - tcb.srtt_us / 8 + r / 8, 1);
  }
  const TcpConfig& config = cx.config.tcp;
  const std::int64_t rto = std::int64_t{tcb.srtt_us} + std::max<std::int64_t>(1000, 4 * std::int64_t{tcb.rttvar_us});
  tcb.rto_us = static_cast<std::uint32_t>(std::clamp<std::int64_t>(rto, config.rto_min / 1us, config.rto_max / 1us));
}

/// RTO with the backoff of (5.5), bounded by rto_max (2.5).
[[nodiscard]] inline Duration current_rto(const Context& cx, const Tcb& tcb) {
  const std::uint64_t backed_off = std::uint64_t{tcb.rto_us} << std::min<unsigned>(tcb.backoff, 16);
  return std::min<Duration>(std::chrono::microseconds{backed_off}, cx.config.tcp.rto_max);
}

}  // namespace handfast::tcp
