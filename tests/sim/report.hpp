// SPDX-License-Identifier: BSD-3-Clause
// What a range of seeds did: the sums that runner and report share, and how they are printed. Layer:
// simulator.
#pragma once

#include <array>
#include <cstdint>

#include "handfast/core.hpp"
#include "sim/options.hpp"

namespace handfast::sim {

using Transitions = std::array<std::array<std::uint64_t, state_count>, state_count>;

/// Plain: parent and children share it.
struct Progress {
  std::uint64_t seed = 0, done = 0, failures = 0, events = 0, frames = 0, twice = 0, blind = 0;
  std::uint64_t hash = 0;  ///< of all that all seeds did, whatever their order
  Duration virtual_time{}, longest_healing{};
  std::uint64_t slowest = 0;
  CoreStats stats;
  Transitions transitions{};
};

/// One line for people, and the line for the ledger.
void print_summary(const Options& options, const Progress& progress, double real_seconds);
void print_stats(const Progress& progress);

}  // namespace handfast::sim
