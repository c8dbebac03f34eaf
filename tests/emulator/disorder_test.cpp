// SPDX-License-Identifier: BSD-3-Clause
// The disorderly half of the emulator: loss, bursts, doubles, inverted bits, reordering; by their statistics.
// Seeds are fixed, bounds are five standard deviations of what the rule says.
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <set>

#include "emulator/direction.hpp"
#include "numbered.hpp"

namespace handfast::emulator::test {
namespace {

constexpr std::uint32_t many = 200'000;

void expect_share(std::size_t hits, std::size_t of, double p) {
  const double n = static_cast<double>(of), sigma = std::sqrt(n * p * (1 - p));
  EXPECT_NEAR(static_cast<double>(hits), n * p, 5 * sigma);
}

std::set<std::uint32_t> lost_of(std::uint64_t seed, Rules rules) {
  Direction way{seed, std::move(rules)};
  std::set<std::uint32_t> lost;
  for (std::uint32_t n = 0; n < 20'000; ++n) lost.insert(n);
  for (const Arrival& a : stream(way, 20'000)) lost.erase(a.n);
  return lost;
}

TEST(Disorder, loss__share_is_the_rate) {
  for (const double p : {0.001, 0.01, 0.05, 0.5}) {
    Direction way{1, {.loss = p}};
    expect_share(many - stream(way, many).size(), many, p);
    EXPECT_EQ(way.counts().lost + way.counts().delivered, many);
  }
}

TEST(Disorder, loss__zero_and_one_are_exact) {
  Direction none{2}, all{2, {.loss = 1}};
  EXPECT_EQ(stream(none, 10'000).size(), 10'000u);
  EXPECT_EQ(stream(all, 10'000).size(), 0u);
}

TEST(Disorder, loss__is_independent_by_frame) {
  Direction way{3, {.loss = 0.1}};
  std::vector<bool> came(many);
  for (const Arrival& a : stream(way, many)) came[a.n] = true;
  std::size_t pairs = 0;
  for (std::size_t n = 1; n < many; ++n) pairs += !came[n] && !came[n - 1];
  expect_share(pairs, many, 0.01);
}

TEST(Disorder, bursts__mean_loss_and_length_follow_the_chain) {
  Direction way{4, {.bursts = Bursts{.p = 0.01, .r = 0.25}}};
  std::vector<bool> came(many);
  for (const Arrival& a : stream(way, many)) came[a.n] = true;
  std::size_t lost = 0, runs = 0;
  for (std::size_t n = 0; n < many; ++n) {
    lost += !came[n];
    runs += !came[n] && (n == 0 || came[n - 1]);
  }
  const double mean = static_cast<double>(lost) / many,
               length = static_cast<double>(lost) / static_cast<double>(runs);
  EXPECT_NEAR(mean, 0.01 / 0.26, 0.004);
  EXPECT_NEAR(length, 4, 0.3);
}

TEST(Disorder, bursts__loss_inside_each_state) {
  Direction way{5, {.bursts = Bursts{.p = 0.1, .r = 0.1, .good_loss = 0.02, .bad_loss = 0.4}}};
  const double share = 1 - static_cast<double>(stream(way, many).size()) / many;
  EXPECT_NEAR(share, (0.02 + 0.4) / 2, 0.01);
}

TEST(Disorder, lose__takes_exactly_what_it_names) {
  Direction way{6, {.lose = [](std::size_t n, std::span<const std::byte> frame) {
                  return n == 3 || frame.size() == 77;
                }}};
  way.push(at(0us), numbered(100, 77));
  for (std::uint32_t n = 1; n < 6; ++n) way.push(at(0us), numbered(n));
  std::vector<std::uint32_t> came;
  for (const Arrival& a : arrivals(way)) came.push_back(a.n);
  EXPECT_EQ(came, (std::vector<std::uint32_t>{1, 2, 4, 5}));
}

TEST(Disorder, duplicate__copies_are_equal_and_follow) {
  Direction way{7, {.duplicate = 0.1, .delay = 1ms}};
  const auto all = stream(way, many, 1us);
  expect_share(all.size() - many, many, 0.1);
  for (std::size_t i = 1; i < all.size(); ++i) {
    ASSERT_LE(all[i - 1].n, all[i].n);
    ASSERT_TRUE(all[i].n != all[i - 1].n || all[i].frame == all[i - 1].frame);
  }
}

TEST(Disorder, corrupt__inverts_one_bit_beyond_the_ethernet_header) {
  Direction way{8, {.corrupt = 0.2}};
  std::size_t hit = 0;
  std::set<std::size_t> places;
  for (std::uint32_t n = 0; n < 20'000; ++n) way.push(at(0us), Frame(64));
  for (const Arrival& a : arrivals(way)) {
    int bits = 0;
    for (std::size_t i = 0; i < a.frame.size(); ++i) {
      const int here = std::popcount(std::to_integer<unsigned>(a.frame[i]));
      if (here != 0) places.insert(i);
      bits += here;
    }
    ASSERT_LE(bits, 1);
    hit += bits != 0;
  }
  expect_share(hit, 20'000, 0.2);
  EXPECT_EQ(places.size(), 50u) << "every byte of the datagram, none of the header's";
  EXPECT_EQ(*places.begin(), 14u);
}

TEST(Disorder, reorder__held_back_by_just_that_much) {
  Direction way{9, {.delay = 10ms, .reorder = 0.1, .reorder_by = 2ms}};
  std::size_t late = 0;
  for (const Arrival& a : stream(way, many, 1us)) {
    const Duration took = a.at - a.n * 1us;
    ASSERT_TRUE(took == 10ms || took == 12ms);
    late += took == 12ms;
  }
  expect_share(late, many, 0.1);
  EXPECT_EQ(way.counts().held_back, late);
}

TEST(Disorder, jitter__uniform_and_bounded_and_overtaking) {
  Direction way{10, {.delay = 1ms, .jitter = 100us}};
  double sum = 0;
  std::size_t overtaken = 0;
  std::uint32_t highest = 0;
  for (const Arrival& a : stream(way, many, 10us)) {
    const Duration more = a.at - a.n * 10us - 1ms;
    ASSERT_GE(more, 0us);
    ASSERT_LE(more, 100us);
    sum += static_cast<double>(more.count());
    overtaken += a.n < highest;
    highest = std::max(highest, a.n);
  }
  EXPECT_NEAR(sum / many, 50'000, 400);  // sigma of the mean: 65 ns
  EXPECT_GT(overtaken, many / 4);
}

TEST(Disorder, no_jitter__equal_times_keep_their_order) {
  Direction way{11, {.delay = 1ms}};
  for (std::uint32_t n = 0; n < 1000; ++n) way.push(at(0us), numbered(n));
  const auto all = arrivals(way);
  for (std::uint32_t n = 0; n < 1000; ++n) ASSERT_EQ(all[n].n, n);
}

TEST(Disorder, seed__replays_and_differs) {
  const Rules rules{
      .loss = 0.05, .duplicate = 0.01, .delay = 1ms, .jitter = 1ms, .reorder = 0.1, .reorder_by = 1ms};
  Direction a{12, rules}, b{12, rules}, c{13, rules};
  const auto of_a = stream(a, 5000), of_b = stream(b, 5000), of_c = stream(c, 5000);
  const auto same = [](const auto& x, const auto& y) {
    return std::ranges::equal(x, y,
                              [](const Arrival& i, const Arrival& j) { return i.at == j.at && i.n == j.n; });
  };
  EXPECT_TRUE(same(of_a, of_b));
  EXPECT_FALSE(same(of_a, of_c));
}

TEST(Disorder, seed__loses_the_same_frames_whatever_else_is_on) {
  const auto alone = lost_of(14, {.loss = 0.03});
  EXPECT_FALSE(alone.empty());
  EXPECT_EQ(alone,
            lost_of(14, {.loss = 0.03, .duplicate = 0.5, .jitter = 1ms, .reorder = 0.5, .reorder_by = 1ms}));
}

}  // namespace
}  // namespace handfast::emulator::test
