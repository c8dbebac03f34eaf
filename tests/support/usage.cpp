// SPDX-License-Identifier: BSD-3-Clause
// Leak checks; see usage.hpp. Layer: test support.
#include "support/usage.hpp"

#include <gtest/gtest.h>

#include "shard/shard.hpp"

namespace handfast::test {

Usage usage_of(Core& core) {
  const auto& cx = core.shard().tcp();
  return {cx.tcbs.size(),     cx.half_opens.size(),        cx.time_waits.size(),   cx.extents.in_use(),
          cx.chunks.in_use(), cx.receive_buffers.in_use(), cx.flights.in_use(),
          cx.path_searches.size()};
}

void expect_nothing_held(Core& core) {
  const Usage u = usage_of(core);
  EXPECT_EQ(u.connections, 0u);
  EXPECT_EQ(u.half_open, 0u);
  EXPECT_EQ(u.extents, 0u);
  EXPECT_EQ(u.chunks, 0u);
  EXPECT_EQ(u.receive_buffers, 0u);
  EXPECT_EQ(u.flights, 0u);
  EXPECT_EQ(u.path_searches, 0u);
  const CoreStats s = core.stats();
  EXPECT_EQ(s.connections, 0u);
  EXPECT_EQ(s.half_open, 0u);
  EXPECT_EQ(s.time_wait, u.time_wait);
}

}  // namespace handfast::test
