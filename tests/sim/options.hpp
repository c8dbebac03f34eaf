// SPDX-License-Identifier: BSD-3-Clause
// The command line of handfast-sim, both ways: what was asked for, and the words that ask for it again.
// Layer: simulator; knows plans, not runs.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sim/plan.hpp"

namespace handfast::sim {

struct Options {
  std::uint64_t first = 1, count = 300;
  std::vector<std::uint64_t> pinned;  ///< instead of a range
  Choice choice;
  std::string pcap, commit = "-";
  bool twice = false, verbose = false, stop = false, stats = false, shrink = true;
  bool allocations = false;  ///< the sweep instead of seeds
  bool blind = false;        ///< each seed with and without an attacker who sees nothing
  unsigned limit = 20;       ///< failures, after which the rest is not run
};

void print_usage();
/// False: what stands there makes no sense, and a line has said what.
[[nodiscard]] bool parse(int argc, char** argv, Options& options);
/// One command that does this seed again.
[[nodiscard]] std::string replay_command(std::uint64_t seed, const Choice& choice, bool blind);

}  // namespace handfast::sim
