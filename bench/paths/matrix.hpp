// SPDX-License-Identifier: BSD-3-Clause
// Goodput over the matrix of loss, delay and reordering, for every pair of ends. Layer: bench.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "options.hpp"

namespace handfast::paths {

struct Goodput {
  double mean = 0, least = 0, most = 0;  ///< Mbit/s
  double retransmits = 0;                ///< mean
  double late_p99_us = 0, late_most_us = 0;
  std::uint64_t queue_full = 0, lost = 0;  ///< of the last run, on the way of the data
  int attempts = 1;
  bool sound = true;
};

struct Cell {
  double loss, round_trip_ms, reorder;  ///< percent, ms, percent
  std::map<std::string, Goodput> by_pair;
};

/// Measures; `kernel` false leaves out the pairs with a kernel.
[[nodiscard]] std::vector<Cell> measure_matrix(const Options& options, bool kernel);
void print_matrix(const Options& options, const std::vector<Cell>& cells);
/// The lowest figure of all; Mbit/s.
[[nodiscard]] double worst_of(const std::vector<Cell>& cells);
/// Throws std::runtime_error if the file cannot be written.
void write_matrix(const Options& options, const std::vector<Cell>& cells);

}  // namespace handfast::paths
