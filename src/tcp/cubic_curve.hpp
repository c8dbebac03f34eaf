// SPDX-License-Identifier: BSD-3-Clause
// W_cubic and K of RFC 9438 section 4.2 in integers: bytes and milliseconds, C = 0.4 segments a second cubed. Layer: tcp.
// Good to a byte or a millisecond up to windows of 1 GiB; knows no connection.
#pragma once

#include <algorithm>
#include <cstdint>

namespace handfast::tcp {

/// Further than this from K no window of 1 GiB lies, down to segments of 48 bytes.
inline constexpr std::uint64_t most_cubic_ms = 400'000;

/// The largest r with r * r * r <= x; x up to most_cubic_ms cubed.
[[nodiscard]] constexpr std::uint64_t cube_root(std::uint64_t x) {
  std::uint64_t root = 0;
  for (unsigned bit = 19; bit-- > 0;) {
    const std::uint64_t tried = root | (std::uint64_t{1} << bit);
    if (tried * tried * tried <= x) root = tried;
  }
  return root;
}

/// K: how long the curve takes over `below` bytes up to W_max. (2): the cube root of below / C.
[[nodiscard]] constexpr std::uint32_t cubic_k_ms(std::uint32_t below, std::uint32_t mss) {
  // Seconds cubed are 10^9 milliseconds cubed, 1 / C is 2.5.
  const std::uint64_t cubed = std::uint64_t{below} * 2'500'000'000u / mss;
  return static_cast<std::uint32_t>(cube_root(std::min(cubed, most_cubic_ms * most_cubic_ms * most_cubic_ms)));
}

/// W_cubic(t), (1): C (t - K)^3 + W_max, within 0 and 1 GiB.
[[nodiscard]] constexpr std::uint32_t cubic_window(std::uint32_t w_max, std::uint32_t k_ms, std::uint64_t t_ms,
                                                   std::uint32_t mss) {
  constexpr std::uint64_t most = std::uint64_t{1} << 30;
  const std::uint64_t from_k = std::min(t_ms < k_ms ? k_ms - t_ms : t_ms - k_ms, most_cubic_ms);
  // At most 6.4e13 * 2.7e5.
  const std::uint64_t away = from_k * from_k * from_k / 1000 * (4 * std::uint64_t{mss}) / 10'000'000;
  if (t_ms < k_ms) return w_max > away ? static_cast<std::uint32_t>(w_max - away) : 0;
  return static_cast<std::uint32_t>(std::min(w_max + away, most));
}

}  // namespace handfast::tcp
