// SPDX-License-Identifier: BSD-3-Clause
// The generator: replays from its seed, has no bias, and is what <algorithm> wants.
#include "base/rng.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <random>
#include <set>
#include <vector>

namespace handfast {
namespace {

static_assert(std::uniform_random_bit_generator<Rng>);

TEST(Rng, same_seed__same_numbers) {
  Rng a{42};
  Rng b{42};
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(a.next(), b.next());
}

TEST(Rng, known_seed__known_numbers) {
  // From an independent implementation of splitmix64 and xoshiro256** in another language.
  Rng rng{0};
  EXPECT_EQ(rng.next(), 0x99ec5f36cb75f2b4u);
  EXPECT_EQ(rng.next(), 0xbf6e1f784956452au);
  EXPECT_EQ(rng.next(), 0x1a5f849d4933e6e0u);
}

TEST(Rng, neighbouring_seeds__share_no_number) {
  std::set<std::uint64_t> seen;
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    Rng rng{seed};
    for (int i = 0; i < 100; ++i) seen.insert(rng.next());
  }
  EXPECT_EQ(seen.size(), 10'000u);
}

TEST(Rng, copy__goes_on_alone_from_the_same_place) {
  Rng a{5};
  (void)a.next();
  Rng b = a;
  EXPECT_EQ(a.next(), b.next());
}

TEST(Rng, below__stays_below_and_reaches_both_ends) {
  Rng rng{3};
  for (const std::uint32_t bound : {1u, 2u, 3u, 7u, 1000u}) {
    std::set<std::uint32_t> seen;
    for (int i = 0; i < 20'000; ++i) {
      const std::uint32_t value = rng.below(bound);
      ASSERT_LT(value, bound);
      seen.insert(value);
    }
    EXPECT_EQ(*seen.begin(), 0u);
    EXPECT_EQ(*seen.rbegin(), bound - 1);
  }
  EXPECT_EQ(rng.below(0), 0u);
}

TEST(Rng, below_a_bound_that_does_not_divide__has_no_bias) {
  // With the bound 3 * 2^30, plain multiplication would give the lowest third of the numbers twice as often
  // in one residue class modulo 3 as the others. Three classes, a fair share each, five sigma.
  Rng rng{1};
  constexpr std::uint32_t bound = 3u << 30;
  constexpr int draws = 300'000;
  std::array<int, 3> classes{};
  for (int i = 0; i < draws; ++i) ++classes[rng.below(bound) % 3];
  for (const int count : classes) EXPECT_NEAR(count, draws / 3, 1300);
}

TEST(Rng, shuffle__is_a_permutation) {
  std::vector<int> numbers(100);
  for (int i = 0; i < 100; ++i) numbers[static_cast<std::size_t>(i)] = i;
  auto shuffled = numbers;
  std::shuffle(shuffled.begin(), shuffled.end(), Rng{9});
  EXPECT_NE(shuffled, numbers);
  std::sort(shuffled.begin(), shuffled.end());
  EXPECT_EQ(shuffled, numbers);
}

}  // namespace
}  // namespace handfast
