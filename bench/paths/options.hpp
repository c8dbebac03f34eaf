// SPDX-License-Identifier: BSD-3-Clause
// What paths-bench takes on its command line. Layer: bench.
#pragma once

#include <string>
#include <vector>

#include "run.hpp"

namespace handfast::paths {

enum class What { matrix, fairness, latency };

struct Options {
  What what = What::matrix;
  std::vector<double> loss{0, 0.1, 1, 5};      ///< percent
  std::vector<double> round_trip{0, 10, 100};  ///< ms
  std::vector<double> reorder{0, 1, 10};       ///< percent
  std::vector<std::string> pairs{"hh", "hk", "kh", "kk"};
  PathSetup path;  ///< all but loss, delay and reordering
  StackOptions stack;
  std::string stack_congestion = "cubic";
  KernelOptions kernel;
  double seconds = 0;  ///< 0: as the kind of measurement likes it
  unsigned repeats = 0, virtual_repeats = 3;
  unsigned parallel = 0;  ///< 0: as many as processors
  std::uint64_t seed = 1;
  bool markdown = false, quiet = false;
  double at_least = 0;  ///< Mbit/s that every figure of the matrix must reach, or the exit code is 1
  std::string json;
};

/// Throws std::invalid_argument with a sentence.
[[nodiscard]] Options parse_options(int argc, const char* const* argv);
[[nodiscard]] const char* usage();

}  // namespace handfast::paths
