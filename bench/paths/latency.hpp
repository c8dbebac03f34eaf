// SPDX-License-Identifier: BSD-3-Clause
// Request and response of 64 bytes between a kernel's client and an echo: Handfast's, and the kernel's.
// Layer: bench.
#pragma once

#include "options.hpp"

namespace handfast::paths {

/// Real time; needs namespaces. Prints p50 and p99.
void measure_latency(const Options& options);

}  // namespace handfast::paths
