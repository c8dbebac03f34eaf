// SPDX-License-Identifier: BSD-3-Clause
// The TSC clock: its arithmetic at any age and rate, and its rate against the system's clock.
#include "dpdk/clock.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <thread>

namespace handfast::dpdk {
namespace {

std::int64_t ns(Time time) { return time.time_since_epoch().count(); }

TEST(tsc_clock, one_second_of_cycles__is_one_second) {
  for (const std::uint64_t hz : {1'000'000'000ull, 2'100'000'000ull, 2'999'999'999ull, 4'700'000'001ull}) {
    const TscClock clock(hz, 500);
    EXPECT_EQ(ns(clock.at(500)), 0);
    EXPECT_NEAR(static_cast<double>(ns(clock.at(500 + hz))), 1e9, 1.0) << hz;
  }
}

TEST(tsc_clock, ten_years__neither_overflows_nor_drifts) {
  const std::uint64_t hz = 4'000'000'000;
  const std::uint64_t seconds = 10ull * 365 * 24 * 3600;
  const TscClock clock(hz, 0);
  EXPECT_EQ(ns(clock.at(hz * seconds)), static_cast<std::int64_t>(seconds * 1'000'000'000));
}

TEST(tsc_clock, counter_behind_the_origin__is_the_origin) {
  const TscClock clock(1'000'000'000, 1000);
  EXPECT_EQ(ns(clock.at(999)), 0);
}

TEST(tsc_clock, running__agrees_with_the_system) {
  const TscClock clock;
  const auto system_start = std::chrono::steady_clock::now();
  const auto start = clock.now();
  std::this_thread::sleep_for(std::chrono::milliseconds{50});
  const auto passed = clock.now() - start;
  const auto system_passed = std::chrono::steady_clock::now() - system_start;
  EXPECT_GE(passed, std::chrono::milliseconds{49});
  EXPECT_LE(passed, system_passed + std::chrono::milliseconds{1});
}

}  // namespace
}  // namespace handfast::dpdk
