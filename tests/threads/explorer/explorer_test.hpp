// SPDX-License-Identifier: BSD-3-Clause
// How far the explorer goes in this run, and how its result is told. Layer: test of threads.
#pragma once

#include <gtest/gtest.h>

#include <cstring>
#include <functional>
#include <memory>
#include <string>

#include "machine.hpp"

namespace handfast::explorer {

/// From the command line; each scenario runs once in order (no old values, time as it passes) and once with
/// them.
inline int preemptions = 2;
inline int stale = 1;
/// Of one exploration. Mutants are looked for up to here; what is right must be exhausted before.
inline std::uint64_t most_executions = 20'000'000;

/// A world that is put into its first state by copying it back; what is stored through the seam the machine
/// undoes itself.
template <class World>
class Stage {
 public:
  Stage() : image_(std::make_unique<std::byte[]>(sizeof(World))) { keep(); }
  [[nodiscard]] World& world() { return world_; }
  /// The present state is the first.
  void keep() { std::memcpy(image_.get(), static_cast<const void*>(&world_), sizeof(World)); }
  void reset() { std::memcpy(static_cast<void*>(&world_), image_.get(), sizeof(World)); }

 private:
  World world_;
  std::unique_ptr<std::byte[]> image_;
};

inline Bounds in_order() { return {preemptions, 0, most_executions}; }
inline Bounds with_old_values() { return {preemptions, stale, most_executions}; }

inline void expect_sound(const Outcome& outcome, const char* how) {
  EXPECT_EQ(outcome.failure, "") << how;
  EXPECT_TRUE(outcome.exhausted) << how << ": gave up after " << outcome.executions << " executions";
  std::printf("  %s: %llu schedules, %llu accesses\n", how,
              static_cast<unsigned long long>(outcome.executions),
              static_cast<unsigned long long>(outcome.steps));
}

}  // namespace handfast::explorer
