// SPDX-License-Identifier: BSD-3-Clause
// The histogram against an exact sort, at its ends, merged. Layer: tests.
#include "common/histogram.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <sstream>
#include <string>
#include <vector>

namespace handfast::apps {
namespace {

// Values over all magnitudes, as latencies are.
std::vector<std::int64_t> random_values(std::uint64_t seed, std::size_t count) {
  std::mt19937_64 random{seed};
  std::uniform_real_distribution<double> exponent{0.0, std::log(3.6e12)};
  std::vector<std::int64_t> values(count);
  for (auto& value : values) value = static_cast<std::int64_t>(std::exp(exponent(random)));
  return values;
}

TEST(Histogram, percentile__any_values__within_a_thousandth_above_the_exact_one) {
  for (const std::uint64_t seed : {1U, 2U, 3U}) {
    auto values = random_values(seed, 20'000);
    LatencyHistogram histogram;
    for (const auto value : values) histogram.record(Duration{value});
    std::sort(values.begin(), values.end());
    for (const double percent : {0.0, 0.01, 1.0, 25.0, 50.0, 75.0, 90.0, 99.0, 99.9, 99.99, 100.0}) {
      const auto rank = static_cast<std::size_t>(std::ceil(percent / 100.0 * 20'000.0));
      const auto exact = values[rank == 0 ? 0 : rank - 1];
      const auto found = histogram.percentile(percent).count();
      EXPECT_GE(found, exact) << percent << " seed " << seed;
      EXPECT_LE(static_cast<double>(found - exact), static_cast<double>(exact) / 1024.0)
          << percent << " seed " << seed;
    }
    EXPECT_EQ(histogram.min().count(), values.front());
    EXPECT_EQ(histogram.max().count(), values.back());
  }
}

TEST(Histogram, record__small_values__kept_exactly) {
  for (std::int64_t ns = 0; ns < 2048; ++ns) {
    LatencyHistogram histogram;
    histogram.record(Duration{ns});
    histogram.record(Duration{1'000'000});
    EXPECT_EQ(histogram.percentile(50).count(), ns);
  }
}

TEST(Histogram, index__neighbours_at_every_power_of_two__never_falls_and_steps_by_at_most_one) {
  constexpr unsigned bits = LatencyHistogram::sub_bucket_bits;
  for (unsigned power = 1; power < 42; ++power) {
    for (std::int64_t offset = -3; offset <= 3; ++offset) {
      const auto value = static_cast<std::int64_t>(std::uint64_t{1} << power) + offset;
      if (value < 1) continue;
      const auto here = detail::histogram_index(static_cast<std::uint64_t>(value), bits);
      const auto before = detail::histogram_index(static_cast<std::uint64_t>(value - 1), bits);
      EXPECT_TRUE(here == before || here == before + 1) << value;
    }
  }
}

TEST(Histogram, record__outside_the_range__counted_at_the_nearest_end) {
  LatencyHistogram histogram;
  histogram.record(Duration{-1});
  histogram.record(LatencyHistogram::highest);
  EXPECT_EQ(histogram.clamped(), 1U);
  histogram.record_n(LatencyHistogram::highest + Duration{1}, 2);
  histogram.record(Duration::max());
  histogram.record(Duration::min());
  EXPECT_EQ(histogram.clamped(), 5U);
  EXPECT_EQ(histogram.count(), 6U);
  EXPECT_EQ(histogram.min(), Duration{0});
  EXPECT_EQ(histogram.max(), LatencyHistogram::highest);
  EXPECT_EQ(histogram.percentile(100), LatencyHistogram::highest);
}

TEST(Histogram, everything__empty__is_zero) {
  LatencyHistogram histogram;
  histogram.record_n(5ms, 0);
  EXPECT_EQ(histogram.count(), 0U);
  EXPECT_EQ(histogram.min(), Duration{0});
  EXPECT_EQ(histogram.max(), Duration{0});
  EXPECT_EQ(histogram.mean(), Duration{0});
  EXPECT_EQ(histogram.deviation(), Duration{0});
  EXPECT_EQ(histogram.percentile(99), Duration{0});
  EXPECT_NE(histogram.to_hgrm().find("#[Max     ="), std::string::npos);
}

TEST(Histogram, mean_and_deviation__known_values__to_three_digits) {
  LatencyHistogram histogram;
  histogram.record_n(1ms, 3);
  histogram.record_n(5ms, 1);
  EXPECT_NEAR(static_cast<double>(histogram.mean().count()), 2e6, 2e3);
  EXPECT_NEAR(static_cast<double>(histogram.deviation().count()), std::sqrt(3.0) * 1e6, 2e3);
}

TEST(Histogram, merge__two_halves__equals_the_whole) {
  const auto values = random_values(7, 5'000);
  LatencyHistogram whole, left, right;
  for (std::size_t i = 0; i < values.size(); ++i) {
    whole.record(Duration{values[i]});
    (i % 3 == 0 ? left : right).record(Duration{values[i]});
  }
  left.merge(right);
  EXPECT_EQ(left.count(), whole.count());
  EXPECT_EQ(left.to_hgrm(), whole.to_hgrm());
  left.merge(LatencyHistogram{});
  EXPECT_EQ(left.min(), whole.min());
  left.reset();
  EXPECT_EQ(left.to_hgrm(), LatencyHistogram{}.to_hgrm());
}

TEST(Histogram, hgrm__any_values__rows_rise_and_end_at_the_maximum) {
  LatencyHistogram histogram;
  for (const auto value : random_values(9, 10'000)) histogram.record(Duration{value});
  std::istringstream text{histogram.to_hgrm()};
  std::string line;
  std::getline(text, line);
  std::getline(text, line);
  double last_value = -1, last_share = -1, value = 0, share = 0;
  std::uint64_t total = 0;
  int rows = 0;
  while (std::getline(text, line) && !line.starts_with('#')) {
    std::istringstream row{line};
    ASSERT_TRUE(row >> value >> share >> total) << line;
    EXPECT_GE(value, last_value);
    EXPECT_GT(share, last_share);
    last_value = value;
    last_share = share;
    ++rows;
  }
  EXPECT_EQ(share, 1.0);
  EXPECT_EQ(total, 10'000U);
  EXPECT_NEAR(value, static_cast<double>(histogram.max().count()) / 1000.0, 0.001);
  // Five rows for each halving of the rest, and no more than that.
  EXPECT_GT(rows, 40);
  EXPECT_LT(rows, 120);
}

}  // namespace
}  // namespace handfast::apps
