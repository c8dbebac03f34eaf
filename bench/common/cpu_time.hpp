// SPDX-License-Identifier: BSD-3-Clause
// Processor time of the calling thread: on a machine that is shared, the wall's clock would count what others did.
// Layer: bench.
#pragma once

#include <time.h>

namespace handfast::bench {

inline double thread_cpu_seconds() {
  timespec ts{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
  return static_cast<double>(ts.tv_sec) + static_cast<double>(ts.tv_nsec) / 1e9;
}

}  // namespace handfast::bench
