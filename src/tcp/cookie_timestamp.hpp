// SPDX-License-Identifier: BSD-3-Clause
// The options that a SYN cookie cannot hold ride in the low bits of TSval and come back in TSecr. Layer: tcp.
#pragma once

#include <algorithm>
#include <cstdint>

#include "tcp/half_open.hpp"

namespace handfast::tcp {

inline constexpr std::uint32_t cookie_ts_mask = 0x3f;  // sack, wscale present, shift

/// Not after the true clock, or the peer's PAWS would refuse what follows.
[[nodiscard]] inline std::uint32_t cookie_timestamp(std::uint32_t ts, const Handshake& h) {
  const std::uint32_t bits = (h.sack ? 0x20u : 0u) | (h.wscale ? 0x10u | (h.snd_wscale & 0xfu) : 0u);
  const std::uint32_t with_bits = (ts & ~cookie_ts_mask) | bits;
  return static_cast<std::int32_t>(with_bits - ts) > 0 ? with_bits - (cookie_ts_mask + 1) : with_bits;
}

inline void read_cookie_timestamp(std::uint32_t ts_ecr, Handshake& h) {
  h.sack = (ts_ecr & 0x20) != 0;
  h.wscale = (ts_ecr & 0x10) != 0;
  // The echo is the peer's word, not ours: rfc7323 2.3 holds for it too.
  h.snd_wscale = h.wscale ? std::min<std::uint8_t>(ts_ecr & 0xf, 14) : std::uint8_t{0};
}

}  // namespace handfast::tcp
