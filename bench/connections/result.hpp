// SPDX-License-Identifier: BSD-3-Clause
// One row of connections-bench, for people or as a line of JSON. Layer: bench.
#pragma once

#include <cstdint>

#include "options.hpp"

namespace handfast::bench {

struct Result {
  std::uint32_t open = 0;
  int cores = 1;
  double rate = 0;                      ///< connections (or requests) per second
  double ns = 0;                        ///< for one of them: of processor time on one core, else by the clock
  double client_ns = 0, server_ns = 0;  ///< of the time that each end was busy, for one of them
  std::uint64_t failed = 0, retransmits = 0, cut_short = 0;
  double packets = 0;  ///< in both directions, for one of them
};

void print_header(const Options& options);
void print(const Options& options, const Result& result);

}  // namespace handfast::bench
