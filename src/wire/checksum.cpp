// SPDX-License-Identifier: BSD-3-Clause
// The loops of checksum.hpp for long pieces: 64 bytes a step, in whatever vectors the target has. Layer:
// wire.
#include "wire/checksum.hpp"

#include <type_traits>

namespace handfast::wire {
namespace {

constexpr std::size_t block_bytes = 64;
using Block [[gnu::vector_size(block_bytes)]] = std::uint64_t;
constexpr std::size_t lanes = block_bytes / sizeof(std::uint64_t);

/// From the sums of words and of their upper halves, lane by lane. The words' own sum has wrapped, and that
/// is no loss: with the upper halves' sum known, the lower halves' sum is what it must be modulo 2^64. This
/// saves a mask per word.
std::uint64_t join_lanes(const Block& words, const Block& uppers) {
  const Block sums = words - (uppers << 32) + uppers;
  std::uint64_t total = 0;
  for (std::size_t lane = 0; lane < lanes; ++lane) total += sums[lane];
  return total;
}

}  // namespace

std::uint64_t detail::sum_long(const std::byte* from, std::size_t size, std::uint64_t start) {
  Block words{};
  Block uppers{};
  for (; size >= block_bytes; size -= block_bytes, from += block_bytes) {
    Block block;
    std::memcpy(&block, from, block_bytes);
    words += block;
    uppers += block >> 32;
  }
  return sum_bytes({from, size}, start + join_lanes(words, uppers));
}

std::uint64_t copy_and_sum(std::byte* __restrict to, std::span<const std::byte> bytes, std::uint64_t start) {
  const std::byte* __restrict from = bytes.data();
  std::size_t left = bytes.size();
  if (left >= detail::long_sum_bytes) {
    Block words{};
    Block uppers{};
    for (; left >= block_bytes; left -= block_bytes, from += block_bytes, to += block_bytes) {
      Block block;
      std::memcpy(&block, from, block_bytes);
      std::memcpy(to, &block, block_bytes);
      words += block;
      uppers += block >> 32;
    }
    start += join_lanes(words, uppers);
  }
  if (left < 8) {
    start += sum_word(detail::load_tail(from, left));
    for (; left != 0; --left) *to++ = *from++;
    return start;
  }
  // The bytes of a header's or a short message's size: whole pieces, and the last of them again for the end.
  const std::uint64_t sum = sum_around(from, left, 0);
  const auto copy = [&](std::size_t at, auto size) { std::memcpy(to + at, from + at, size); };
  if (left >= 32) {
    for (std::size_t at = 0; at + 32 < left; at += 32) copy(at, std::integral_constant<std::size_t, 32>{});
    copy(left - 32, std::integral_constant<std::size_t, 32>{});
  } else if (left >= 16) {
    copy(0, std::integral_constant<std::size_t, 16>{});
    copy(left - 16, std::integral_constant<std::size_t, 16>{});
  } else {
    copy(0, std::integral_constant<std::size_t, 8>{});
    copy(left - 8, std::integral_constant<std::size_t, 8>{});
  }
  return start + sum_word(sum);
}

}  // namespace handfast::wire
