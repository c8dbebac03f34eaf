// SPDX-License-Identifier: BSD-3-Clause
// Two flows through one bottleneck: what each gets. Layer: bench.
#pragma once

#include "options.hpp"

namespace handfast::paths {

/// Every pair of Handfast's algorithms in virtual time, then, where `kernel`, each beside a kernel's flow in
/// real time.
void measure_fairness(const Options& options, bool kernel);

}  // namespace handfast::paths
