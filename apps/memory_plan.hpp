// SPDX-License-Identifier: BSD-3-Clause
// What so many connections take in memory, before anything is started: tables, entries, buffers, packets. Layer: apps.
// Pure arithmetic on a config; looks at no machine.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "handfast/stack.hpp"

namespace handfast::apps {

struct MemoryPlan {
  struct Row {
    std::string what;
    std::uint64_t count = 0;  ///< on all cores; 0: a size, not a number of things
    std::uint64_t bytes = 0;  ///< once all of it is in use
    std::string remark;
  };
  std::vector<Row> rows;
  std::uint64_t total_bytes = 0;
  Limits limits;                   ///< of each core: what has to be configured
  Duration time_wait_wanted{};     ///< 2MSL
  Duration time_wait_life{};       ///< how long an entry lasts at the rate: less than wanted when the table is too small
};

/// What the user asks for; numbers are of all cores together.
struct PlanWishes {
  std::uint64_t connections = 0;
  std::uint64_t rate = 0;         ///< connections per second that end here; 0: unknown, the config's table stands
  bool time_wait_given = false;   ///< the config's time_wait is the user's own, and is not sized for the rate
};

/// Refuses what no configuration can hold (more than 2^28 entries a core).
[[nodiscard]] Expected<MemoryPlan> plan_memory(const StackConfig& config, const PlanWishes& wishes);

}  // namespace handfast::apps
