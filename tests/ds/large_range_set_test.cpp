// SPDX-License-Identifier: BSD-3-Clause
// LargeRangeSet against a bitmap, through growth and back; its limit, an empty pool, hostile orders.
#include "ds/large_range_set.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <set>
#include <vector>

#include "seeded.hpp"

namespace handfast::ds {
namespace {

template <std::size_t Bytes>
struct CountedPool {
  struct alignas(16) Block {
    std::array<std::byte, Bytes> bytes;
  };
  std::size_t capacity = 100000;
  std::size_t in_use = 0, most = 0, calls = 0;
  std::set<Block*> out;

  Block* allocate() {
    if (in_use == capacity) return nullptr;
    most = std::max(most, ++in_use);
    ++calls;
    auto* const block = new Block;  // a heap block of its own: a sanitizer sees what reaches over its end
    out.insert(block);
    return block;
  }
  void free(Block* block) {
    EXPECT_EQ(out.erase(block), 1u);
    delete block;
    --in_use;
  }
};

constexpr Seq at(std::uint32_t offset) { return Seq{0xffffff00u} + offset; }  // 256 before the wrap

template <class Set>
std::vector<Range> all(const Set& set) {
  std::vector<Range> out;
  set.for_each([&](const Range& r) {
    out.push_back(r);
    return true;
  });
  return out;
}

using Pool = CountedPool<2048>;
using Real = LargeRangeSet<Pool, 64, 8192>;

TEST(LargeRangeSet, few__stay_in_the_object) {
  Pool pool;
  Real set;
  for (std::uint32_t i = 0; i < 64; ++i) ASSERT_EQ(set.insert(pool, at(10 * i), at(10 * i + 5)), Insert::added);
  EXPECT_EQ(pool.calls, 0u);
  EXPECT_EQ(set.size(), 64u);
  EXPECT_EQ(set.bytes(), 320u);
  EXPECT_EQ(set.front(), (Range{at(0), at(5)}));
  EXPECT_EQ(set.back(), (Range{at(630), at(635)}));
  EXPECT_EQ(set.insert(pool, at(0), at(640)), Insert::added);
  EXPECT_EQ(all(set), (std::vector<Range>{{at(0), at(640)}}));
}

TEST(LargeRangeSet, empty_pool__is_full_and_unchanged) {
  for (const std::size_t blocks : {0u, 1u}) {
    Pool pool;
    pool.capacity = blocks;
    Real set;
    for (std::uint32_t i = 0; i < 64; ++i) ASSERT_EQ(set.insert(pool, at(10 * i), at(10 * i + 5)), Insert::added);
    const auto before = all(set);
    EXPECT_EQ(set.insert(pool, at(1000), at(1005)), Insert::full);
    EXPECT_EQ(set.insert(pool, at(6), at(8)), Insert::full);
    EXPECT_EQ(all(set), before);
    EXPECT_EQ(set.bytes(), 320u);
    EXPECT_EQ(pool.in_use, 0u);
    EXPECT_EQ(set.insert(pool, at(5), at(10)), Insert::added) << "needs no place of its own";
  }
}

TEST(LargeRangeSet, limit__every_order_of_arrival_reaches_it) {
  Rng rng = test::seeded_rng();
  for (int order = 0; order < 4; ++order) {
    std::vector<std::uint32_t> places(8192);
    for (std::uint32_t i = 0; i < places.size(); ++i) places[i] = i;
    if (order == 1) std::ranges::reverse(places);
    if (order == 2)
      for (std::size_t i = places.size() - 1; i != 0; --i)
        std::swap(places[i], places[rng.below(static_cast<std::uint32_t>(i + 1))]);
    if (order == 3)  // outside in: always at the end of one leaf and the start of another
      for (std::uint32_t i = 0; i < places.size(); ++i) places[i] = i % 2 == 0 ? i / 2 : 8191 - i / 2;
    Pool pool;
    Real set;
    for (const std::uint32_t p : places) ASSERT_EQ(set.insert(pool, at(4 * p), at(4 * p + 2)), Insert::added);
    EXPECT_EQ(set.size(), 8192u);
    EXPECT_LE(pool.most, 129u);
    EXPECT_EQ(set.insert(pool, at(40000), at(40001)), Insert::full);
    EXPECT_EQ(set.insert(pool, at(2), at(4)), Insert::added) << "merges two";
    EXPECT_EQ(set.insert(pool, at(40000), at(40001)), Insert::added);
    set.clear(pool);
    EXPECT_EQ(pool.in_use, 0u);
    EXPECT_TRUE(set.empty());
  }
}

TEST(LargeRangeSet, thinned_to_one_in_each_block__blocks_are_given_back_and_the_limit_is_still_reached) {
  Pool pool;
  Real set;
  for (std::uint32_t i = 0; i < 8192; ++i) ASSERT_EQ(set.insert(pool, at(4 * i), at(4 * i + 2)), Insert::added);
  // One merged range for every 128 small ones.
  for (std::uint32_t i = 0; i < 8192; i += 128) ASSERT_EQ(set.insert(pool, at(4 * i), at(4 * i + 4 * 127)), Insert::added);
  EXPECT_EQ(set.size(), 64u);
  EXPECT_LE(set.blocks(), 3u);
  for (std::uint32_t i = 0; i < 8192 - 64; ++i)
    ASSERT_EQ(set.insert(pool, at(100000 + 4 * i), at(100000 + 4 * i + 2)), Insert::added);
  set.trim_below(pool, at(200000));
  EXPECT_EQ(set.blocks(), 0u);
  EXPECT_EQ(pool.in_use, 0u);
}

TEST(LargeRangeSet, overlap_and_find__first_part_that_is_there) {
  Pool pool;
  Real set;
  set.insert(pool, at(100), at(200));
  set.insert(pool, at(300), at(400));
  EXPECT_EQ(set.find_range(at(100)), (Range{at(100), at(200)}));
  EXPECT_EQ(set.find_range(at(199)), (Range{at(100), at(200)}));
  EXPECT_EQ(set.find_range(at(200)), std::nullopt);
  EXPECT_EQ(set.find_range(at(500)), std::nullopt);
  EXPECT_EQ(set.first_overlap(at(0), at(100)), std::nullopt);
  EXPECT_EQ(set.first_overlap(at(0), at(101)), (Range{at(100), at(101)}));
  EXPECT_EQ(set.first_overlap(at(150), at(500)), (Range{at(150), at(200)}));
  EXPECT_EQ(set.first_overlap(at(200), at(500)), (Range{at(300), at(400)}));
  EXPECT_EQ(set.first_overlap(at(400), at(500)), std::nullopt);
}

/// Against one flag for each number of a window.
template <class Set, class P>
void compare_with_bitmap(Rng& rng, Seq base, std::uint32_t window, std::uint32_t longest, unsigned most, int steps) {
  P pool;
  Set set;
  std::vector<bool> bits(window, false);
  const auto runs = [&](const std::vector<bool>& b) {
    unsigned n = 0;
    for (std::uint32_t i = 0; i < window; ++i) n += b[i] && (i == 0 || !b[i - 1]) ? 1 : 0;
    return n;
  };
  for (int step = 0; step < steps; ++step) {
    const std::uint32_t left = rng.below(window);
    const bool huge = rng.below(200) == 0;
    const std::uint32_t right = left + rng.below(std::min(huge ? window : longest, window - left) + 1);
    const std::uint32_t choice = rng.below(1000);
    if (choice == 0) {
      set.clear(pool);
      std::fill(bits.begin(), bits.end(), false);
    } else if (choice < 8) {
      const std::uint32_t edge = left / 2;
      set.trim_below(pool, base + edge);
      for (std::uint32_t i = 0; i < edge; ++i) bits[i] = false;
    } else {
      std::vector<bool> after = bits;
      for (std::uint32_t i = left; i < right; ++i) after[i] = true;
      const Insert expected = after == bits ? Insert::duplicate : runs(after) <= most ? Insert::added : Insert::full;
      ASSERT_EQ(set.insert(pool, base + left, base + right), expected);
      if (expected == Insert::added) bits = after;
    }
    ASSERT_EQ(set.size(), runs(bits));
    ASSERT_EQ(set.bytes(), static_cast<std::uint32_t>(std::ranges::count(bits, true)));
    std::vector<bool> copy(window, false);
    Seq edge = base;
    set.for_each([&](const Range& r) {
      EXPECT_TRUE(before(r.left, r.right) && before_eq(edge, r.left));
      for (Seq s = r.left; s != r.right; s += 1) copy[distance(base, s)] = true;
      edge = r.right + 1;
      return true;
    });
    ASSERT_EQ(copy, bits);
    if (!set.empty()) {
      ASSERT_TRUE(bits[distance(base, set.front().left)] && bits[distance(base, set.back().right) - 1]);
    }
    // Gaps and overlaps of some stretch.
    const std::uint32_t from = rng.below(window), to = from + rng.below(window - from + 1);
    std::vector<bool> holes(window, false), wanted(window, false);
    set.for_each_gap(base + from, base + to, [&](const Range& r) {
      EXPECT_TRUE(before(r.left, r.right));
      for (Seq s = r.left; s != r.right; s += 1) holes[distance(base, s)] = true;
    });
    for (std::uint32_t i = from; i < to; ++i) wanted[i] = !bits[i];
    ASSERT_EQ(holes, wanted);
    std::uint32_t first = from;
    while (first < to && !bits[first]) ++first;
    std::uint32_t last = first;
    while (last < to && bits[last]) ++last;
    const auto overlap = set.first_overlap(base + from, base + to);
    ASSERT_EQ(overlap.has_value(), first < to);
    if (overlap) {
      ASSERT_EQ(*overlap, (Range{base + first, base + last}));
    }
    ASSERT_EQ(set.find_range(base + from).has_value(), bits[from]);
  }
  set.clear(pool);
  ASSERT_EQ(pool.in_use, 0u);
}

TEST(LargeRangeSet, random_use__around_the_wrap__behaves_like_a_bitmap) {
  Rng rng = test::seeded_rng();
  // Blocks of eight ranges: splits, merges and moves all the time.
  using SmallPool = CountedPool<64>;
  using Small = LargeRangeSet<SmallPool, 2, 8>;
  using BiggerPool = CountedPool<256>;
  using Bigger = LargeRangeSet<BiggerPool, 4, 128>;
  for (const Seq base : {Seq{0}, at(0), Seq{0x7fffff80}, Seq{static_cast<std::uint32_t>(rng.next())}}) {
    compare_with_bitmap<Small, SmallPool>(rng, base, 256, 12, 8, 3000);
    compare_with_bitmap<Bigger, BiggerPool>(rng, base, 1024, 4, 128, 3000);
    compare_with_bitmap<Real, Pool>(rng, base, 4096, 2, 8192, 1500);
  }
}

}  // namespace
}  // namespace handfast::ds
