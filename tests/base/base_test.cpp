// SPDX-License-Identifier: BSD-3-Clause
// Sequence numbers at their wrap, flow keys, names of drop reasons, assertions.
#include <gtest/gtest.h>

#include <set>
#include <string>

#include "base/assert.hpp"
#include "base/flow_key.hpp"
#include "base/rng.hpp"
#include "base/seq.hpp"
#include "handfast/drop.hpp"

namespace handfast {
namespace {

TEST(Seq, order__holds_across_the_wrap) {
  for (const std::uint32_t base : {0u, 1u, 0x7fffffffu, 0x80000000u, 0xfffffffeu, 0xffffffffu}) {
    const Seq a{base};
    for (const std::uint32_t step : {1u, 2u, 1000u, 0x7fffffffu}) {
      EXPECT_TRUE(before(a, a + step)) << base << ' ' << step;
      EXPECT_TRUE(before_eq(a, a + step));
      EXPECT_TRUE(after(a + step, a));
      EXPECT_FALSE(before(a + step, a));
      EXPECT_FALSE(after_eq(a, a + step));
      EXPECT_EQ(max(a, a + step), a + step);
      EXPECT_EQ(min(a + step, a), a);
      EXPECT_EQ(distance(a, a + step), step);
      EXPECT_EQ(a + step - step, a);
    }
    EXPECT_FALSE(before(a, a));
    EXPECT_TRUE(before_eq(a, a));
    EXPECT_TRUE(after_eq(a, a));
    EXPECT_EQ(distance(a, a), 0u);
  }
}

TEST(FlowKey, ends__come_back_as_they_went_in) {
  const Endpoint local{{10, 0, 0, 1}, 80};
  const Endpoint remote{{10, 0, 0, 2}, 65535};
  const FlowKey key{local, remote};
  EXPECT_EQ(key.local(), local);
  EXPECT_EQ(key.remote(), remote);
  EXPECT_NE(key, FlowKey(remote, local));
}

TEST(Drop, every_reason__has_its_own_name) {
  std::set<std::string_view> names;
  for (std::size_t i = 0; i < drop_count; ++i) {
    const std::string_view text = name(static_cast<Drop>(i));
    EXPECT_FALSE(text.empty());
    EXPECT_TRUE(names.insert(text).second) << text;
  }
  EXPECT_EQ(name(Drop::none), "none");
  EXPECT_EQ(name(Drop::tcp_out_of_window), "tcp_out_of_window");
  EXPECT_EQ(name(Drop::tx_no_buffer), "tx_no_buffer");
}

TEST(Drop, value_outside__is_unknown_and_reads_nothing) {
  EXPECT_EQ(name(Drop::count_), "unknown");
  EXPECT_EQ(name(static_cast<Drop>(255)), "unknown");
}

TEST(AssertDeathTest, failed_condition__says_where_and_aborts) {
  EXPECT_DEATH(HF_ASSERT(1 + 1 == 3), "base_test.cpp:.*assertion failed: 1 \\+ 1 == 3");
}

TEST(Assert, condition_that_holds__is_evaluated_once) {
  int calls = 0;
  HF_ASSERT(++calls == 1);
  EXPECT_EQ(calls, 1);
}

}  // namespace
}  // namespace handfast
