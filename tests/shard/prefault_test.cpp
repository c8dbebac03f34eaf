// SPDX-License-Identifier: BSD-3-Clause
// Limits::prefault: the tables of a shard are in memory before the first frame; without it none of them are.
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

#include "handfast/frame_port.hpp"

namespace handfast {
namespace {

/// Bytes of this process that have memory behind them.
std::int64_t resident() {
  std::ifstream in("/proc/self/statm");
  std::int64_t size = 0, pages = 0;
  in >> size >> pages;
  return pages * ::sysconf(_SC_PAGESIZE);
}

/// What creating a stack of so many connections adds to that.
std::int64_t added_by(std::uint32_t connections, bool prefault) {
  CoreConfig config;
  config.limits.connections = connections;
  config.limits.half_open = config.limits.time_wait = 0;
  config.limits.prefault = prefault;
  const std::int64_t before = resident();
  const auto stack = FrameStack::create(
      config, Time{}, [](void*, std::span<const std::byte>) {}, nullptr);
  EXPECT_TRUE(stack);
  return resident() - before;
}

// A control block of 256 bytes, the application's 64, and 14 in a table of nine entries a cache line, half of
// them used.
TEST(Prefault, limits__with_and_without__tables_are_resident_at_start_or_not) {
  constexpr std::uint32_t few = 1000, many = 101'000;
  (void)added_by(few, true);  // what is only done once
  const std::int64_t between = added_by(many, true) - added_by(few, true);
  EXPECT_GE(between, (many - few) * (256 + 64 + 14));
  EXPECT_LT(between, (many - few) * (256 + 64 + 14) * 5 / 4);  // not the rarer half
  EXPECT_LT(added_by(many, false), 16 << 20);
}

}  // namespace
}  // namespace handfast
