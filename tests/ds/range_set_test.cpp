// SPDX-License-Identifier: BSD-3-Clause
// RangeSet against a bitmap, around the wrap of sequence numbers; its limit; the order for SACK.
#include "ds/range_set.hpp"

#include <gtest/gtest.h>

#include <array>
#include <bitset>
#include <cstdint>
#include <vector>

#include "seeded.hpp"

namespace handfast::ds {
namespace {

constexpr Seq at(std::uint32_t offset) { return Seq{0xffffff80u} + offset; }  // 128 before the wrap

template <unsigned Max>
std::vector<Range> all(const RangeSet<Max>& set) {
  return {set.begin(), set.end()};
}

TEST(RangeSet, insert__apart_touching_and_bridging__merges) {
  RangeSet<4> set;
  EXPECT_TRUE(set.empty());
  EXPECT_EQ(set.insert(at(100), at(120)), Insert::added);
  EXPECT_EQ(set.insert(at(140), at(160)), Insert::added);
  EXPECT_EQ(set.size(), 2u);
  EXPECT_EQ(set.insert(at(120), at(125)), Insert::added);  // touches on the right
  EXPECT_EQ(set.insert(at(135), at(140)), Insert::added);  // touches on the left
  EXPECT_EQ(all(set), (std::vector<Range>{{at(100), at(125)}, {at(135), at(160)}}));
  EXPECT_EQ(set.insert(at(110), at(150)), Insert::added);
  EXPECT_EQ(all(set), (std::vector<Range>{{at(100), at(160)}}));
  EXPECT_EQ(set.bytes(), 60u);
  EXPECT_EQ(set.insert(at(100), at(160)), Insert::duplicate);
  EXPECT_EQ(set.insert(at(130), at(131)), Insert::duplicate);
  EXPECT_EQ(set.insert(at(500), at(500)), Insert::duplicate);
  EXPECT_EQ(set.size(), 1u);
}

TEST(RangeSet, insert__one_range_too_many__is_full_and_unchanged) {
  RangeSet<2> set;
  ASSERT_EQ(set.insert(at(10), at(20)), Insert::added);
  ASSERT_EQ(set.insert(at(30), at(40)), Insert::added);
  const std::vector<Range> before = all(set);
  EXPECT_EQ(set.insert(at(50), at(60)), Insert::full);
  EXPECT_EQ(set.insert(at(0), at(5)), Insert::full);
  EXPECT_EQ(set.insert(at(22), at(28)), Insert::full);
  EXPECT_EQ(all(set), before);
  EXPECT_EQ(set.insert(at(40), at(60)), Insert::added);  // needs no new one
  EXPECT_EQ(set.insert(at(0), at(100)), Insert::added);
  EXPECT_EQ(set.size(), 1u);
}

TEST(RangeSet, widest_window__just_below_half_the_space) {
  RangeSet<3> set;
  const Seq base{0xc0000000u};
  EXPECT_EQ(set.insert(base, base + 1), Insert::added);
  EXPECT_EQ(set.insert(base + 0x7ffffffe, base + 0x7fffffff), Insert::added);
  EXPECT_EQ(set.next_gap(base, base + 0x7fffffff), (Range{base + 1, base + 0x7ffffffe}));
  EXPECT_EQ(set.bytes(), 2u);
  set.trim_below(base + 0x7ffffffe);
  EXPECT_EQ(all(set), (std::vector<Range>{{base + 0x7ffffffe, base + 0x7fffffff}}));
}

TEST(RangeSet, recent__last_inserted_first_then_the_most_recently_reported) {
  RangeSet<4> set;
  set.insert(at(10), at(20));
  set.insert(at(30), at(40));
  set.insert(at(50), at(60));
  set.insert(at(70), at(80));
  set.insert(at(32), at(34));  // a duplicate makes its range recent again (and is what the ACK answers)
  std::array<Range, 3> three;
  ASSERT_EQ(set.recent(three, at(32)), 3u);
  EXPECT_EQ(three, (std::array<Range, 3>{{{at(30), at(40)}, {at(70), at(80)}, {at(50), at(60)}}}));
  set.insert(at(20), at(22));
  ASSERT_EQ(set.recent(three, at(20)), 3u);
  EXPECT_EQ(three, (std::array<Range, 3>{{{at(10), at(22)}, {at(30), at(40)}, {at(70), at(80)}}}));
  ASSERT_EQ(set.recent(three, at(55)), 3u);  // whatever was inserted, the named one is first
  EXPECT_EQ(three[0], (Range{at(50), at(60)}));
  std::array<Range, 8> many;
  EXPECT_EQ(set.recent(many, at(200)), 4u);
  EXPECT_EQ(many[0], (Range{at(10), at(22)}));
  EXPECT_EQ(set.recent({}, at(10)), 0u);
}

constexpr std::uint32_t window = 256;
using Bits = std::bitset<window>;

unsigned runs(const Bits& bits) {
  unsigned count = 0;
  for (std::uint32_t i = 0; i < window; ++i) count += bits[i] && (i == 0 || !bits[i - 1]) ? 1 : 0;
  return count;
}

template <unsigned Max>
void expect_same(const RangeSet<Max>& set, const Bits& bits, Seq base, Rng& rng) {
  ASSERT_EQ(set.size(), runs(bits));
  ASSERT_EQ(set.bytes(), bits.count());
  ASSERT_EQ(set.empty(), bits.none());
  Bits copy;
  for (const Range& range : set) {
    ASSERT_TRUE(before(range.left, range.right));
    for (Seq s = range.left; s != range.right; s += 1) copy.set(distance(base, s));
  }
  ASSERT_EQ(copy, bits);

  const std::uint32_t left = rng.below(window), right = left + rng.below(window - left + 1);
  bool covered = true;
  for (std::uint32_t i = left; i < right; ++i) covered = covered && bits[i];
  ASSERT_EQ(set.covers(base + left, base + right), covered);
  ASSERT_EQ(set.contains(base + left), bits[left]);

  std::uint32_t gap_left = left;
  while (gap_left < right && bits[gap_left]) ++gap_left;
  std::uint32_t gap_right = gap_left;
  while (gap_right < right && !bits[gap_right]) ++gap_right;
  const auto gap = set.next_gap(base + left, base + right);
  ASSERT_EQ(gap.has_value(), gap_left < right);
  if (gap) {
    ASSERT_EQ(*gap, (Range{base + gap_left, base + gap_right}));
  }

  Bits uncovered, expected;
  set.for_each_gap(base + left, base + right, [&](Range r) {
    EXPECT_TRUE(before(r.left, r.right));
    for (Seq s = r.left; s != r.right; s += 1) uncovered.set(distance(base, s));
  });
  for (std::uint32_t i = left; i < right; ++i) expected[i] = !bits[i];
  ASSERT_EQ(uncovered, expected);
}

template <unsigned Max>
void compare_with_bitmap(Rng& rng, Seq base, std::uint32_t longest) {
  RangeSet<Max> set;
  Bits bits;
  for (int step = 0; step < 3000; ++step) {
    const std::uint32_t left = rng.below(window);
    const std::uint32_t right = left + rng.below(std::min(longest, window - left) + 1);
    const std::uint32_t choice = rng.below(100);
    if (choice == 0) {
      set.clear();
      bits.reset();
    } else if (choice < 6) {
      set.trim_below(base + left);
      for (std::uint32_t i = 0; i < left; ++i) bits.reset(i);
    } else {
      Bits after = bits;
      for (std::uint32_t i = left; i < right; ++i) after.set(i);
      const Insert expected = after == bits        ? Insert::duplicate
                              : runs(after) <= Max ? Insert::added
                                                   : Insert::full;
      ASSERT_EQ(set.insert(base + left, base + right), expected);
      if (expected == Insert::added) bits = after;
      std::array<Range, 3> some;
      const unsigned count = set.recent(some, base + left);
      ASSERT_EQ(count, std::min(3u, set.size()));
      if (expected != Insert::full && left != right) {
        ASSERT_TRUE(before_eq(some[0].left, base + left) && before_eq(base + right, some[0].right));
      }
    }
    ASSERT_NO_FATAL_FAILURE(expect_same(set, bits, base, rng));
  }
}

TEST(RangeSet, random_use__around_the_wrap__behaves_like_a_bitmap) {
  Rng rng = test::seeded_rng();
  for (const Seq base : {Seq{0}, at(0), Seq{0x7fffff80}, Seq{static_cast<std::uint32_t>(rng.next())}}) {
    compare_with_bitmap<1>(rng, base, 40);
    compare_with_bitmap<4>(rng, base, 40);
    compare_with_bitmap<64>(rng, base, 8);
  }
}

}  // namespace
}  // namespace handfast::ds
