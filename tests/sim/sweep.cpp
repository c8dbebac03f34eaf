// SPDX-License-Identifier: BSD-3-Clause
// Every allocation of a short script fails once: for each poll of each end, each pool and each number of
// allocations that still succeed in it. Layer: simulator; see runner.hpp.
#include <cstdio>

#include "sim/runner.hpp"

namespace handfast::sim {
namespace {

/// More than a poll of the script takes from any pool, so that the last ones fail nowhere.
constexpr std::uint32_t most_kept = 3;

/// Two ends, a request with its answer and a transfer both ways, over a path that loses and reorders.
Plan draw_script(std::uint64_t seed) {
  Choice choice;
  choice.force = mask(Fault::loss) | mask(Fault::reorder) | mask(Fault::duplicate);
  choice.single = true;
  choice.chaos = 200ms;
  Plan plan = draw_plan(seed, choice);
  plan.orderly = false;  // what finds no memory may end
  plan.ends.resize(2);
  plan.shards.resize(2);
  for (CoreConfig& end : plan.ends) {
    end.limits.buffer_memory = 64 << 10;
    end.limits.send_extents = 64;
    end.limits.connections = end.limits.half_open = 4;
    end.limits.recovery_blocks = 4;
    end.tcp.connect_timeout = 60s;
    end.tcp.r2_timeout = 100s;
    end.tcp.keepalive = true;
  }
  plan.exchanges.resize(1);
  Exchange& both = plan.exchanges[0];
  both = {};
  both.habits[0].bytes = 9000;
  both.habits[1].bytes = 6000;
  both.habits[1].read = Habits::Read::some;
  both.habits[0].mixed_sends = both.habits[0].takes_buffers = true;
  Exchange second;
  second.turns = true;
  second.at = 5ms;
  second.request = second.habits[0].bytes = 100;
  second.response = second.habits[1].bytes = 3000;
  plan.exchanges.push_back(second);
  return plan;
}

}  // namespace

unsigned sweep_allocations(const Options& options) {
  unsigned failures = 0;
  std::uint64_t runs = 0;
  for (std::uint64_t seed = options.first; seed != options.first + options.count; ++seed) {
    const Plan plan = draw_script(seed);
    const Result calm = World{plan, 0}.run();
    if (!calm.failure.empty())
      return std::printf("the script of seed %llu fails by itself: %s\n",
                         static_cast<unsigned long long>(seed), calm.failure.c_str()),
             1;
    for (unsigned end = 0; end < 2; ++end)
      for (std::uint64_t poll = 0; poll < calm.polls[end]; ++poll)
        for (unsigned pool = 0; pool < pool_count; ++pool)
          for (std::uint32_t keep = 0; keep <= most_kept; ++keep) {
            World world{plan, 0};
            world.famine = Famine{end, poll, static_cast<Pool>(pool), keep};
            const Result result = world.run();
            ++runs;
            if (result.failure.empty()) continue;
            ++failures;
            std::printf("FAILED: script %llu, end %u, poll %llu, %u left of %s: %s\n",
                        static_cast<unsigned long long>(seed), end, static_cast<unsigned long long>(poll),
                        keep, std::string{name(static_cast<Pool>(pool))}.c_str(), result.failure.c_str());
            if (failures >= options.limit) return failures;
          }
  }
  std::printf("allocations: %llu runs, %u failures\n", static_cast<unsigned long long>(runs), failures);
  return failures;
}

}  // namespace handfast::sim
