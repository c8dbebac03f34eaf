// SPDX-License-Identifier: BSD-3-Clause
// What stands at each sequence number of every stream in the stateful targets: so that a byte at a wrong place is seen
// without keeping what was sent. Layer: fuzz.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

namespace handfast::fuzz {

/// By the lower 16 bits of the number; once more behind it, so that a run of up to 64 KiB is one piece.
inline const std::array<std::byte, 2 * 65536>& pattern() {
  static const auto made = [] {
    std::array<std::byte, 2 * 65536> bytes;
    for (std::uint32_t i = 0; i < bytes.size(); ++i)
      bytes[i] = static_cast<std::byte>((i & 0xffff) * 2654435761u >> 24);
    return bytes;
  }();
  return made;
}

/// `size` up to 65536.
[[nodiscard]] inline std::span<const std::byte> content(std::uint32_t seq, std::size_t size) {
  return std::span{pattern()}.subspan(seq & 0xffff, size);
}

[[nodiscard]] inline bool is_content(std::uint32_t seq, std::span<const std::byte> bytes) {
  return bytes.size() <= 65536 && (bytes.empty() || std::memcmp(content(seq, bytes.size()).data(), bytes.data(), bytes.size()) == 0);
}

}  // namespace handfast::fuzz
