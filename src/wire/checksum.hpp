// SPDX-License-Identifier: BSD-3-Clause
// The Internet checksum (RFC 1071, RFC 1624). Layer: wire. Knows nothing of headers but the TCP pseudo
// header. A sum is the plain 64-bit sum of 32-bit words in the machine's own order (RFC 1071 section 2(B):
// byte order does not matter until the end). It cannot overflow before 16 GiB, so the sums of pieces are
// joined with `+`.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>

#include "handfast/address.hpp"
#include "wire/bytes.hpp"

namespace handfast::wire {

/// The two halves of a word, as a sum.
[[nodiscard]] constexpr std::uint64_t sum_word(std::uint64_t native) {
  return (native & 0xffffffffu) + (native >> 32);
}

namespace detail {
#if defined(__x86_64__) && !defined(HANDFAST_PARANOID)
inline constexpr bool carries_in_hardware = true;
#else
inline constexpr bool carries_in_hardware = false;  // and every load is one that a sanitizer sees
#endif

/// `sum` and `words` words at `from`, each carry added at the other end (2^64 counts as 1, like every power of 2^16).
/// No compiler of today makes a chain of add-with-carry of anything that can be said in C++.
template <unsigned words>
[[nodiscard, gnu::always_inline]] inline std::uint64_t add_words(const std::byte* from, std::uint64_t sum) {
  static_assert(words == 1 || words == 2 || words == 4);
#if defined(__x86_64__)
  if constexpr (carries_in_hardware) {
    const auto& covered = *reinterpret_cast<const std::byte(*)[8 * words]>(from);
    if constexpr (words == 4)
      asm("addq (%1), %0\n\tadcq 8(%1), %0\n\tadcq 16(%1), %0\n\tadcq 24(%1), %0\n\tadcq $0, %0" : "+r"(sum) : "r"(from), "m"(covered) : "cc");
    else if constexpr (words == 2)
      asm("addq (%1), %0\n\tadcq 8(%1), %0\n\tadcq $0, %0" : "+r"(sum) : "r"(from), "m"(covered) : "cc");
    else
      asm("addq (%1), %0\n\tadcq $0, %0" : "+r"(sum) : "r"(from), "m"(covered) : "cc");
    return sum;
  }
#endif
  for (unsigned i = 0; i < words; ++i) sum += __builtin_add_overflow(sum, load_native<std::uint64_t>(from + 8 * i), &sum) ? 1 : 0;
  return sum;
}
/// The same for one word at hand.
[[nodiscard, gnu::always_inline]] inline std::uint64_t add_word(std::uint64_t word, std::uint64_t sum) {
#if defined(__x86_64__)
  if constexpr (carries_in_hardware) {
    asm("addq %1, %0\n\tadcq $0, %0" : "+r"(sum) : "r"(word) : "cc");
    return sum;
  }
#endif
  sum += __builtin_add_overflow(sum, word, &sum) ? 1 : 0;
  return sum;
}

/// Pieces of at least this many bytes are worth a call of the vectorized loop.
inline constexpr std::size_t long_sum_bytes = 128;
[[nodiscard]] std::uint64_t sum_long(const std::byte* from, std::size_t size, std::uint64_t start);

/// Zero to seven bytes as one word, as if zeros followed.
[[nodiscard]] inline std::uint64_t load_tail(const std::byte* from, std::size_t size) {
  std::uint64_t word = 0;
  std::size_t at = 0;
  const auto place = [&word, &at](std::uint64_t piece, std::size_t width) {
    word |= piece << 8 * (little_endian ? at : 8 - width - at);
    at += width;
  };
  if ((size & 4) != 0) place(load_native<std::uint32_t>(from), 4);
  if ((size & 2) != 0) place(load_native<std::uint16_t>(from + at), 2);
  if ((size & 1) != 0) place(load8(from + at), 1);
  return word;
}

/// The last zero to seven bytes before `end` as one word, as if zeros followed. Eight bytes before `end` are
/// read; no branch.
[[nodiscard]] inline std::uint64_t load_tail_backwards(const std::byte* end, std::size_t size) {
  const auto word = load_native<std::uint64_t>(end - 8);
  const auto surplus = static_cast<unsigned>(56 - 8 * size);
  return little_endian ? word >> 8 >> surplus : word << 8 << surplus;
}
}  // namespace detail

/// A sum that is joined with no other: 64 bits whose carries came round, to be folded. `start` is another one, or a sum.
[[nodiscard, gnu::always_inline]] inline std::uint64_t sum_around(const std::byte* from, std::size_t left, std::uint64_t start) {
  if (left >= detail::long_sum_bytes) return detail::add_word(detail::sum_long(from, left, 0), start);
  if (left < 8) return detail::add_word(detail::load_tail(from, left), start);
  // A header with timestamps is one round of this.
  for (std::size_t rounds = left / 32; rounds != 0; --rounds, from += 32) start = detail::add_words<4>(from, start);
  if ((left & 16) != 0) {
    start = detail::add_words<2>(from, start);
    from += 16;
  }
  if ((left & 8) != 0) {
    start = detail::add_words<1>(from, start);
    from += 8;
  }
  left &= 7;
  return left == 0 ? start : detail::add_word(detail::load_tail_backwards(from + left, left), start);
}

/// The sum of bytes that stand at an even offset of what the checksum covers; an odd last byte counts as if a
/// zero followed. `start` is another sum.
[[nodiscard, gnu::always_inline]] inline std::uint64_t sum_bytes(std::span<const std::byte> bytes, std::uint64_t start = 0) {
  return start + sum_word(sum_around(bytes.data(), bytes.size(), 0));
}

/// Copies and sums in one pass. The two must not overlap.
std::uint64_t copy_and_sum(std::byte* to, std::span<const std::byte> from, std::uint64_t start = 0);

/// 16 bits in native order, not complemented. Zero only for a sum of zero.
[[nodiscard]] constexpr std::uint16_t fold(std::uint64_t sum) {
  // Adding a word to itself turned by half its width leaves in the upper half both halves' sum and its carry.
  sum += std::rotl(sum, 32);
  auto half = static_cast<std::uint32_t>(sum >> 32);
  half += std::rotl(half, 16);
  return static_cast<std::uint16_t>(half >> 16);
}

/// The checksum field, ready for a native 16-bit store.
[[nodiscard]] constexpr std::uint16_t finish(std::uint64_t sum) {
  return static_cast<std::uint16_t>(~fold(sum));
}

/// True where a sum over everything, the checksum field included, says intact.
[[nodiscard]] constexpr bool sum_is_good(std::uint64_t sum) { return fold(sum) == 0xffff; }

/// What a piece contributes that starts at an odd offset, from its sum as if it started at an even one
/// (RFC 1071 section 2(B)).
[[nodiscard]] constexpr std::uint64_t sum_at_odd_offset(std::uint64_t sum) {
  return __builtin_bswap16(fold(sum));
}

/// A host-order number as it stands in a packet.
[[nodiscard]] constexpr std::uint64_t sum_of16(std::uint16_t value) { return swap16(value); }
[[nodiscard]] constexpr std::uint64_t sum_of32(std::uint32_t value) { return swap32(value); }

/// rfc9293 3.1, the pseudo header: addresses, zero, protocol, length of the TCP segment.
[[nodiscard]] constexpr std::uint64_t pseudo_header_sum(Ipv4Address source, Ipv4Address destination,
                                                        std::uint8_t protocol, std::uint32_t length) {
  return sum_of32(source.value) + sum_of32(destination.value) + sum_of32(protocol) + sum_of32(length);
}

/// The checksum field after a covered piece has changed from `old_sum` to `new_sum` (RFC 1624 equation 3).
/// Both fields as they stand in memory.
[[nodiscard]] constexpr std::uint16_t adjust(std::uint16_t checksum, std::uint64_t old_sum,
                                             std::uint64_t new_sum) {
  const auto complement = [](std::uint16_t v) { return static_cast<std::uint16_t>(~v); };
  return finish(std::uint64_t{complement(checksum)} + complement(fold(old_sum)) + fold(new_sum));
}

}  // namespace handfast::wire
