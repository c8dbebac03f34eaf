// SPDX-License-Identifier: BSD-3-Clause
// SipHash, a keyed hash that an attacker without the key cannot steer (Aumasson and Bernstein, 2012).
// 1-3 for tables, 2-4 for what a peer gets to see (initial sequence numbers, cookies). Layer: base.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>

namespace handfast {

struct SipKey {
  std::uint64_t k0 = 0, k1 = 0;
};

/// The four words of state; the members are inline so that the fixed-length forms become straight code.
class SipState {
 public:
  constexpr explicit SipState(SipKey key)
      : v0_(key.k0 ^ 0x736f6d6570736575u),
        v1_(key.k1 ^ 0x646f72616e646f6du),
        v2_(key.k0 ^ 0x6c7967656e657261u),
        v3_(key.k1 ^ 0x7465646279746573u) {}

  template <int Rounds>
  constexpr void absorb(std::uint64_t word) {
    v3_ ^= word;
    for (int i = 0; i < Rounds; ++i) round();
    v0_ ^= word;
  }

  template <int Rounds>
  [[nodiscard]] constexpr std::uint64_t finish() {
    v2_ ^= 0xff;
    for (int i = 0; i < Rounds; ++i) round();
    return v0_ ^ v1_ ^ v2_ ^ v3_;
  }

 private:
  constexpr void round() {
    v0_ += v1_;
    v2_ += v3_;
    v1_ = std::rotl(v1_, 13) ^ v0_;
    v3_ = std::rotl(v3_, 16) ^ v2_;
    v0_ = std::rotl(v0_, 32);
    v2_ += v1_;
    v0_ += v3_;
    v1_ = std::rotl(v1_, 17) ^ v2_;
    v3_ = std::rotl(v3_, 21) ^ v0_;
    v2_ = std::rotl(v2_, 32);
  }

  std::uint64_t v0_, v1_, v2_, v3_;
};

/// Of any bytes.
[[nodiscard]] std::uint64_t siphash13(SipKey key, std::span<const std::byte> bytes);
[[nodiscard]] std::uint64_t siphash24(SipKey key, std::span<const std::byte> bytes);

namespace detail {
template <int C, int D>
[[nodiscard]] constexpr std::uint64_t siphash_two_words(SipKey key, std::uint64_t a, std::uint64_t b, std::uint64_t last) {
  SipState state{key};
  state.absorb<C>(a);
  state.absorb<C>(b);
  state.absorb<C>(last);  // with the length in bytes in its top byte
  return state.finish<D>();
}
inline constexpr std::uint64_t sixteen_bytes = std::uint64_t{16} << 56;
}  // namespace detail

/// Of 16 bytes given as two words (the first byte is the lowest of `a`).
[[nodiscard]] constexpr std::uint64_t siphash13(SipKey key, std::uint64_t a, std::uint64_t b) {
  return detail::siphash_two_words<1, 3>(key, a, b, detail::sixteen_bytes);
}
[[nodiscard]] constexpr std::uint64_t siphash24(SipKey key, std::uint64_t a, std::uint64_t b) {
  return detail::siphash_two_words<2, 4>(key, a, b, detail::sixteen_bytes);
}
/// Of 23 bytes: two words, and the lower seven bytes of a third. It costs no more than 16 do.
[[nodiscard]] constexpr std::uint64_t siphash24(SipKey key, std::uint64_t a, std::uint64_t b, std::uint64_t seven_bytes) {
  return detail::siphash_two_words<2, 4>(key, a, b, (seven_bytes & ~std::uint64_t{0} >> 8) | std::uint64_t{23} << 56);
}

}  // namespace handfast
