// SPDX-License-Identifier: BSD-3-Clause
// A pseudo-random generator as a value: one 64-bit seed replays everything.
// Layer: base. Not for secrets: those are drawn by the caller and used with siphash.hpp.
// Source: Blackman and Vigna, xoshiro256**, seeded by splitmix64.
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <limits>

namespace handfast {

class Rng {
 public:
  using result_type = std::uint64_t;

  constexpr explicit Rng(std::uint64_t seed) {
    // splitmix64 is a bijection of a counter: of four neighbours at most one is zero, so the state never is.
    for (std::uint64_t& word : state_) {
      seed += 0x9e3779b97f4a7c15u;
      std::uint64_t z = seed;
      z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
      z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
      word = z ^ (z >> 31);
    }
  }

  [[nodiscard]] constexpr std::uint64_t next() {
    const std::uint64_t result = std::rotl(state_[1] * 5, 7) * 9;
    const std::uint64_t shifted = state_[1] << 17;
    state_[2] ^= state_[0];
    state_[3] ^= state_[1];
    state_[1] ^= state_[2];
    state_[0] ^= state_[3];
    state_[2] ^= shifted;
    state_[3] = std::rotl(state_[3], 45);
    return result;
  }

  /// Uniform in [0, bound), without bias; 0 for a bound of 0. Repeats with a chance below bound / 2^32.
  [[nodiscard]] constexpr std::uint32_t below(std::uint32_t bound) {
    std::uint64_t product = (next() >> 32) * bound;
    if (static_cast<std::uint32_t>(product) < bound) {
      const std::uint32_t threshold = (0u - bound) % bound;
      while (static_cast<std::uint32_t>(product) < threshold) product = (next() >> 32) * bound;
    }
    return static_cast<std::uint32_t>(product >> 32);
  }

  // UniformRandomBitGenerator
  static constexpr result_type min() { return 0; }
  static constexpr result_type max() { return std::numeric_limits<result_type>::max(); }
  constexpr result_type operator()() { return next(); }

 private:
  std::array<std::uint64_t, 4> state_{};
};

}  // namespace handfast
