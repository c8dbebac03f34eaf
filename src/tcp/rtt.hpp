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
  const std::uint32_t r = std::clamp<std::uint32_t>(sample_us, 1, cx.rto_max_us);
  std::uint32_t srtt = r, rttvar = r / 2;
  if (tcb.srtt_us != 0) {
    const std::uint32_t before = tcb.srtt_us, error = r > before ? r - before : before - r;
    rttvar = tcb.rttvar_us - tcb.rttvar_us / 4 + error / 4;
    srtt = std::max<std::uint32_t>(before - before / 8 + r / 8, 1);
  }
  tcb.srtt_us = srtt;
  tcb.rttvar_us = rttvar;
  const std::uint64_t rto = srtt + std::max<std::uint64_t>(1000, 4 * std::uint64_t{rttvar});
  tcb.rto_us = static_cast<std::uint32_t>(std::clamp<std::uint64_t>(rto, cx.rto_min_us, cx.rto_max_us));
}

/// RTO with the backoff of (5.5), bounded by rto_max (2.5).
[[nodiscard]] inline Duration current_rto(const Context& cx, const Tcb& tcb) {
  const std::uint64_t backed_off = std::uint64_t{tcb.rto_us} << std::min<unsigned>(tcb.backoff, 16);
  return std::chrono::microseconds{std::min<std::uint64_t>(backed_off, cx.rto_max_us)};
}

}  // namespace handfast::tcp
