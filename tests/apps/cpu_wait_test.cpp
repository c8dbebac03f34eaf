// SPDX-License-Identifier: BSD-3-Clause
// What other processes took from this one. Layer: tests.
#include "common/cpu_wait.hpp"

#include <gtest/gtest.h>

namespace handfast::apps {
namespace {

TEST(CpuWait, parse_schedstat_wait__second_of_three_figures) {
  EXPECT_EQ(parse_schedstat_wait("2368710000 50367600 218"), Duration{50'367'600});
  EXPECT_EQ(parse_schedstat_wait("0 0 0"), Duration{0});
}

TEST(CpuWait, parse_schedstat_wait__anything_else__nothing) {
  for (const char* text :
       {"", " ", "1", "1 ", "1 2", "1 x 3", "1  2 3", "1 -2 3", "1 99999999999999999999 3"})
    EXPECT_EQ(parse_schedstat_wait(text), std::nullopt) << text;
}

TEST(CpuWait, remark__only_where_the_wait_is_more_than_a_twentieth) {
  EXPECT_EQ(cpu_wait_remark(50ms, 1s), "");
  EXPECT_NE(cpu_wait_remark(51ms, 1s).find("51.0 ms of 1.00 s"), std::string::npos);
}

TEST(CpuWait, longest__starts_at_construction) {
  // A process that has just been started has not waited for as long as it may have before.
  const CpuWait wait;
  EXPECT_GE(wait.longest(), Duration{0});
  EXPECT_LT(wait.longest(), 10min);
}

}  // namespace
}  // namespace handfast::apps
