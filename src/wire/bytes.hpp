// SPDX-License-Identifier: BSD-3-Clause
// Unaligned loads and stores in network byte order, and the native loads that checksums work on.
// Layer: wire. Knows nothing of formats; who calls has checked the bounds.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "handfast/address.hpp"

namespace handfast::wire {

static_assert(std::endian::native == std::endian::little || std::endian::native == std::endian::big);
inline constexpr bool little_endian = std::endian::native == std::endian::little;

/// From host to network order and back: the same function both ways.
[[nodiscard]] constexpr std::uint16_t swap16(std::uint16_t v) {
  return little_endian ? __builtin_bswap16(v) : v;
}
[[nodiscard]] constexpr std::uint32_t swap32(std::uint32_t v) {
  return little_endian ? __builtin_bswap32(v) : v;
}
[[nodiscard]] constexpr std::uint64_t swap64(std::uint64_t v) {
  return little_endian ? __builtin_bswap64(v) : v;
}

/// In the machine's own order.
template <class Word>
[[nodiscard]] inline Word load_native(const std::byte* from) {
  Word word;
  std::memcpy(&word, from, sizeof word);
  return word;
}
template <class Word>
inline void store_native(std::byte* to, Word word) {
  std::memcpy(to, &word, sizeof word);
}

[[nodiscard]] inline std::uint8_t load8(const std::byte* from) {
  return std::to_integer<std::uint8_t>(*from);
}
[[nodiscard]] inline std::uint16_t load16(const std::byte* from) {
  return swap16(load_native<std::uint16_t>(from));
}
[[nodiscard]] inline std::uint32_t load32(const std::byte* from) {
  return swap32(load_native<std::uint32_t>(from));
}
[[nodiscard]] inline std::uint64_t load64(const std::byte* from) {
  return swap64(load_native<std::uint64_t>(from));
}

inline void store8(std::byte* to, std::uint8_t v) { *to = std::byte{v}; }
inline void store16(std::byte* to, std::uint16_t v) { store_native(to, swap16(v)); }
inline void store32(std::byte* to, std::uint32_t v) { store_native(to, swap32(v)); }
inline void store64(std::byte* to, std::uint64_t v) { store_native(to, swap64(v)); }

[[nodiscard]] inline MacAddress load_mac(const std::byte* from) {
  MacAddress mac;
  std::memcpy(mac.bytes.data(), from, mac.bytes.size());
  return mac;
}
inline void store_mac(std::byte* to, const MacAddress& mac) {
  std::memcpy(to, mac.bytes.data(), mac.bytes.size());
}

}  // namespace handfast::wire
