// SPDX-License-Identifier: BSD-3-Clause
// The machine's facts: the list format, and that what is found makes sense here.
#include "dpdk/machine.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

namespace handfast::dpdk {
namespace {

using Cpus = std::vector<unsigned>;

TEST(cpu_list, ranges_and_single_ones__in_order) {
  EXPECT_EQ(parse_cpu_list("0-2,8,10-11\n"), (Cpus{0, 1, 2, 8, 10, 11}));
  EXPECT_EQ(parse_cpu_list("3"), Cpus{3});
}

TEST(cpu_list, malformed__ends_where_the_fault_is) {
  EXPECT_EQ(parse_cpu_list(""), Cpus{});
  EXPECT_EQ(parse_cpu_list("\n"), Cpus{});
  EXPECT_EQ(parse_cpu_list("5,x,7"), Cpus{5});
  EXPECT_EQ(parse_cpu_list("4-2"), Cpus{});
  EXPECT_EQ(parse_cpu_list("1,2-"), Cpus{1});
  EXPECT_EQ(parse_cpu_list("0-4000000000"), Cpus{});
}

TEST(machine, probed__is_plausible) {
  const auto facts = probe_machine();
  ASSERT_FALSE(facts.cpus.empty());
  EXPECT_LT(facts.cpus[0], 8192u);
  EXPECT_GT(facts.memory_total_bytes, 64u << 20);
  EXPECT_LE(facts.memory_available_bytes, facts.memory_total_bytes);
  EXPECT_EQ(facts.is_root, geteuid() == 0);
  EXPECT_TRUE(facts.tun_present || !facts.tun_usable);
  for (const auto& pages : facts.huge_pages) EXPECT_LE(pages.free, pages.total);
}

TEST(machine, free_huge_bytes__count_two_mebibyte_pages_only) {
  MachineFacts facts;
  EXPECT_EQ(facts.free_2m_bytes(), 0u);
  facts.huge_pages = {{2u << 20, 10, 3}, {1u << 30, 4, 4}};
  EXPECT_EQ(facts.free_2m_bytes(), 6u << 20);
}

}  // namespace
}  // namespace handfast::dpdk
