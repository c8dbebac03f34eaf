// SPDX-License-Identifier: BSD-3-Clause
// handfast-explorer [--preemptions N] [--stale N] [GoogleTest's own]: how far to go. Layer: test of threads.
#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>

#include "explorer_test.hpp"

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  if (std::getenv("HANDFAST_LONG") != nullptr) handfast::explorer::preemptions = 3;
  for (int i = 1; i < argc; ++i) {
    int* number = nullptr;
    if (std::strcmp(argv[i], "--preemptions") == 0) number = &handfast::explorer::preemptions;
    if (std::strcmp(argv[i], "--stale") == 0) number = &handfast::explorer::stale;
    if (number == nullptr || i + 1 == argc) {
      std::fprintf(stderr, "usage: %s [--preemptions N] [--stale N] [--gtest_filter=...]\n", argv[0]);
      return 2;
    }
    *number = std::atoi(argv[++i]);
  }
  handfast::explorer::most_executions = 2'000'000'000;
  return RUN_ALL_TESTS();
}
