// SPDX-License-Identifier: BSD-3-Clause
// The pacer against the definition, with awkward rates and long runs. Layer: tests.
#include "common/rate.hpp"

#include <gtest/gtest.h>

#include <random>

namespace handfast::apps {
namespace {

constexpr Time start{Duration{12'345}};

TEST(Pacer, take__any_rate__each_start_at_the_floor_of_its_exact_time) {
  for (const std::uint64_t rate :
       {1U, 3U, 7U, 1'000U, 999'983U, 333'333'333U, 999'999'999U, 1'000'000'000U}) {
    Pacer pacer{rate, start};
    for (std::uint64_t n = 0; n < 10'000; ++n) {
      const auto exact = n / rate * 1'000'000'000 + n % rate * 1'000'000'000 / rate;
      EXPECT_EQ(pacer.take(), start + Duration{static_cast<std::int64_t>(exact)}) << rate << " " << n;
    }
  }
}

TEST(Pacer, due__random_times__equals_what_can_be_taken) {
  std::mt19937_64 random{42};
  for (int round = 0; round < 200; ++round) {
    const std::uint64_t rate = 1 + random() % (round % 2 == 0 ? 50U : 1'000'000'000U);
    Pacer pacer{rate, start};
    Time now = start;
    for (int step = 0; step < 20; ++step) {
      now += Duration{static_cast<std::int64_t>(random() % (2'000'000'000'000U / rate + 1))};
      const auto due = pacer.due(now);
      std::uint64_t taken = 0;
      while (pacer.next_at() <= now) {
        (void)pacer.take();
        ++taken;
      }
      ASSERT_EQ(due, taken) << rate;
      ASSERT_EQ(pacer.due(now), 0U);
      ASSERT_EQ(pacer.due(pacer.next_at() - Duration{1}), 0U);
      ASSERT_GE(pacer.due(pacer.next_at()), 1U);
    }
  }
}

TEST(Pacer, due__one_second_and_a_year__exactly_the_rate_and_no_drift) {
  for (const std::uint64_t rate : {1U, 3U, 123'457U, 10'000'000U}) {
    const Pacer pacer{rate, start};
    EXPECT_EQ(pacer.due(start), 1U);  // the first is due at once
    EXPECT_EQ(pacer.due(start + 1s), rate + 1);
    EXPECT_EQ(pacer.due(start + 1s - 1ns), rate);
    EXPECT_EQ(pacer.due(start + 24h * 365), rate * 86'400 * 365 + 1);
  }
}

TEST(Pacer, due__before_the_start__none) {
  Pacer pacer{1000, start};
  EXPECT_EQ(pacer.due(start - 1ns), 0U);
  EXPECT_EQ(pacer.due(Time{}), 0U);
  // Taken ahead of time: nothing is due until the clock has caught up.
  (void)pacer.take();
  (void)pacer.take();
  EXPECT_EQ(pacer.due(start + 1ms), 0U);
  EXPECT_EQ(pacer.due(start + 2ms), 1U);
}

TEST(Pacer, per_second__out_of_range__clamped) {
  EXPECT_EQ(Pacer(0, start).per_second(), 1U);
  EXPECT_EQ(Pacer(UINT64_MAX, start).per_second(), Pacer::max_per_second);
}

}  // namespace
}  // namespace handfast::apps
