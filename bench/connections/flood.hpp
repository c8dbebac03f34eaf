// SPDX-License-Identifier: BSD-3-Clause
// Spoofed SYNs at a listener whose half-open table is used up: what each costs, in time and in memory. Layer: bench.
#pragma once

#include "options.hpp"

namespace handfast::bench {

/// Prints one row; 1 where a SYN was not answered by a cookie.
int run_flood(const Options& options);

}  // namespace handfast::bench
