// SPDX-License-Identifier: BSD-3-Clause
// The plan against sizes that are promised elsewhere (config.hpp) and against arithmetic done by hand. Layer: tests.
#include "memory_plan.hpp"

#include <gtest/gtest.h>

#include <numeric>

namespace handfast::apps {
namespace {

const MemoryPlan::Row& row(const MemoryPlan& plan, const std::string& what) {
  for (const auto& candidate : plan.rows)
    if (candidate.what == what) return candidate;
  ADD_FAILURE() << "no row \"" << what << "\"";
  static const MemoryPlan::Row none;
  return none;
}

TEST(MemoryPlan, plan_memory__ten_million__promised_bytes_of_each_entry) {
  StackConfig config;
  const auto plan = plan_memory(config, {.connections = 10'000'000});
  ASSERT_TRUE(plan);
  EXPECT_EQ(row(*plan, "control blocks").bytes, 2'560'000'000u);
  EXPECT_EQ(row(*plan, "half-open").bytes, 128u * config.core.limits.half_open);
  EXPECT_EQ(row(*plan, "TIME-WAIT").bytes, 64u * config.core.limits.time_wait);
  EXPECT_EQ(row(*plan, "buffers, 2 KiB each").bytes, config.core.limits.buffer_memory);
  // Nine entries in 64 bytes, half of them used: 14.2 bytes an entry.
  const auto& table = row(*plan, "flow table");
  EXPECT_NEAR(static_cast<double>(table.bytes) / static_cast<double>(table.count), 64.0 / 9 / 0.5, 0.01);
  const auto sum = std::accumulate(plan->rows.begin(), plan->rows.end(), std::uint64_t{0},
                                   [](std::uint64_t n, const MemoryPlan::Row& r) { return n + r.bytes; });
  EXPECT_EQ(plan->total_bytes, sum);
  EXPECT_EQ(plan->limits.connections, 10'000'000u);
}

TEST(MemoryPlan, plan_memory__rate__time_wait_for_twice_the_msl) {
  const auto plan = plan_memory({}, {.connections = 1000, .rate = 50'000});
  ASSERT_TRUE(plan);
  EXPECT_EQ(row(*plan, "TIME-WAIT").count, 3'000'000u);  // 60 s
  EXPECT_EQ(plan->time_wait_life, 60s);
  EXPECT_EQ(plan->time_wait_wanted, 60s);
}

TEST(MemoryPlan, plan_memory__time_wait_given_and_too_small__entries_live_bound_by_rate) {
  StackConfig config;
  config.core.limits.time_wait = 100'000;
  const auto plan = plan_memory(config, {.connections = 1000, .rate = 50'000, .time_wait_given = true});
  ASSERT_TRUE(plan);
  EXPECT_EQ(row(*plan, "TIME-WAIT").count, 100'000u);
  EXPECT_EQ(plan->time_wait_life, 2s);
  EXPECT_EQ(plan->time_wait_wanted, 60s);
}

TEST(MemoryPlan, plan_memory__time_wait_given_and_enough__full_life) {
  StackConfig config;
  config.core.limits.time_wait = 100'000;
  const auto plan = plan_memory(config, {.connections = 1000, .rate = 100, .time_wait_given = true});
  ASSERT_TRUE(plan);
  EXPECT_EQ(plan->time_wait_life, 60s);
}

TEST(MemoryPlan, plan_memory__several_cores__divided_and_rounded_up) {
  StackConfig config;
  config.cores = 4;
  config.core.limits.time_wait = 1000;
  const auto plan = plan_memory(config, {.connections = 1001, .rate = 2000, .time_wait_given = true});
  ASSERT_TRUE(plan);
  EXPECT_EQ(plan->limits.connections, 251u);
  EXPECT_EQ(row(*plan, "control blocks").count, 1004u);
  EXPECT_EQ(plan->time_wait_life, 2s);  // 4000 entries on all cores
}

TEST(MemoryPlan, plan_memory__more_than_a_table_holds__refused_with_a_remedy) {
  const auto plan = plan_memory({}, {.connections = (std::uint64_t{1} << 28) + 1});
  ASSERT_FALSE(plan);
  EXPECT_EQ(plan.error().kind, ErrorKind::usage);
  EXPECT_NE(plan.error().remedy.find("--cores"), std::string::npos);
  EXPECT_FALSE(plan_memory({}, {.connections = 1, .rate = 10'000'000}));  // 600 M entries of TIME-WAIT
}

}  // namespace
}  // namespace handfast::apps
