// SPDX-License-Identifier: BSD-3-Clause
// SipHash over any number of bytes. Layer: base.
#include "base/siphash.hpp"

namespace handfast {
namespace {

/// Up to eight bytes, the first one lowest.
std::uint64_t load_word(std::span<const std::byte> bytes) {
  std::uint64_t word = 0;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    word |= std::to_integer<std::uint64_t>(bytes[i]) << (8 * i);
  }
  return word;
}

template <int C, int D>
std::uint64_t hash_bytes(SipKey key, std::span<const std::byte> bytes) {
  const std::uint64_t length = bytes.size();
  SipState state{key};
  for (; bytes.size() >= 8; bytes = bytes.subspan(8)) state.absorb<C>(load_word(bytes.first(8)));
  state.absorb<C>(length << 56 | load_word(bytes));
  return state.finish<D>();
}

}  // namespace

std::uint64_t siphash13(SipKey key, std::span<const std::byte> bytes) { return hash_bytes<1, 3>(key, bytes); }

std::uint64_t siphash24(SipKey key, std::span<const std::byte> bytes) { return hash_bytes<2, 4>(key, bytes); }

}  // namespace handfast
