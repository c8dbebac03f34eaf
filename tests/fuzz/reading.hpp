// SPDX-License-Identifier: BSD-3-Clause
// Numbers and sums out of bytes, the plain way: shares nothing with src/wire, so that the two can be compared.
// Layer: fuzz.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace handfast::fuzz {

using Bytes = std::span<const std::byte>;

[[nodiscard]] inline std::uint32_t get(Bytes b, std::size_t at, std::size_t n) {
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < n; ++i) value = value << 8 | std::to_integer<std::uint32_t>(b[at + i]);
  return value;
}

inline void put(std::span<std::byte> b, std::size_t at, std::uint32_t value) {
  b[at] = static_cast<std::byte>(value >> 8);
  b[at + 1] = static_cast<std::byte>(value);
}

/// rfc1071: the sum of 16-bit words with the carries put back, a zero behind an odd end.
[[nodiscard]] inline std::uint32_t plain_sum(Bytes b, std::uint32_t start = 0) {
  std::uint64_t sum = start;
  std::size_t i = 0;
  for (; i + 1 < b.size(); i += 2)
    sum += std::to_integer<std::uint32_t>(b[i]) << 8 | std::to_integer<std::uint32_t>(b[i + 1]);
  if (i < b.size()) sum += std::to_integer<std::uint32_t>(b[i]) << 8;
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint32_t>(sum);
}

}  // namespace handfast::fuzz
