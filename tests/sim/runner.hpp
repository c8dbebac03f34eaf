// SPDX-License-Identifier: BSD-3-Clause
// Runs seeds in child processes, so that an assertion or a hang ends one seed and not the run. Layer:
// simulator.
#pragma once

#include <string>

#include "sim/report.hpp"
#include "sim/world.hpp"

namespace handfast::sim {

/// One seed, and what was wrong with it; empty: nothing.
[[nodiscard]] std::string failure_of(std::uint64_t seed, const Choice& choice, bool blind);
/// As failure_of, in a process of its own: also "died", and "endless". Silent.
[[nodiscard]] std::string failure_apart(std::uint64_t seed, const Choice& choice, bool blind);

/// All that was asked for; `progress` is shared memory.
void run_seeds(const Options& options, Progress& progress);
/// A script, once for each of its allocations; the number of failures.
[[nodiscard]] unsigned sweep_allocations(const Options& options);

/// The smallest choice found that fails by the same invariant.
[[nodiscard]] Choice shrink(std::uint64_t seed, const Choice& choice, bool blind, const std::string& failure);

}  // namespace handfast::sim
