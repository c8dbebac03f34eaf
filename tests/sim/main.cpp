// SPDX-License-Identifier: BSD-3-Clause
// handfast-sim: runs seeds, prints what they did, and for each failure the command that replays it. Layer:
// simulator.
#include <malloc.h>
#include <sys/mman.h>

#include <chrono>
#include <cstdio>
#include <new>
#include <string_view>

#include "sim/runner.hpp"

namespace handfast::sim {
namespace {

int main_of(int argc, char** argv) {
  Options options;
  if (argc == 2 && (std::string_view{argv[1]} == "--help" || std::string_view{argv[1]} == "-h"))
    return print_usage(), 0;
  if (!parse(argc, argv, options)) return 2;
  // Every seed makes and ends a few hosts: their tables' pages are kept for the next.
  ::mallopt(M_MMAP_THRESHOLD, 64 << 20);
  ::mallopt(M_TRIM_THRESHOLD, 256 << 20);
  if (options.allocations) return sweep_allocations(options) == 0 ? 0 : 1;
  void* shared = ::mmap(nullptr, sizeof(Progress), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (shared == MAP_FAILED) return 2;
  Progress& progress = *new (shared) Progress;
  const auto begun = std::chrono::steady_clock::now();
  run_seeds(options, progress);
  const std::chrono::duration<double> real = std::chrono::steady_clock::now() - begun;
  print_summary(options, progress, real.count());
  if (options.stats) print_stats(progress);
  return progress.failures == 0 ? 0 : 1;
}

}  // namespace
}  // namespace handfast::sim

int main(int argc, char** argv) { return handfast::sim::main_of(argc, argv); }
