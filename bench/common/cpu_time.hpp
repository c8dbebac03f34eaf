// SPDX-License-Identifier: BSD-3-Clause
// Processor time of the calling thread: on a machine that is shared, the wall's clock would count what others did.
// Layer: bench.
#pragma once

#include <sys/resource.h>
#include <time.h>

#include <cstdint>

namespace handfast::bench {

inline double thread_cpu_seconds() {
  timespec ts{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
  return static_cast<double>(ts.tv_sec) + static_cast<double>(ts.tv_nsec) / 1e9;
}

/// How often the kernel has given the calling thread a page that it touched first.
inline std::uint64_t thread_page_faults() {
  rusage usage{};
  ::getrusage(RUSAGE_THREAD, &usage);
  return static_cast<std::uint64_t>(usage.ru_minflt);
}

}  // namespace handfast::bench
