// SPDX-License-Identifier: BSD-3-Clause
// One EAL for all tests of the binary. Run again as `dpdk-tests --start-eal ARGS...` it only starts EAL with
// those arguments and prints the error, because EAL can be started once in a process. Layer: tests.
#include <gtest/gtest.h>

#include <cstdio>
#include <cstring>
#include <optional>
#include <string>

#include "dpdk/eal.hpp"

namespace {

using handfast::dpdk::Eal;
using handfast::dpdk::EalOptions;

int start_only(int argc, char** argv) {
  EalOptions options;
  options.extra.assign(argv + 2, argv + argc);
  const auto eal = Eal::start(options);
  if (eal) {
    std::printf("started with %u cores\n", eal->cores());
    return 0;
  }
  std::printf("what: %s\nremedy: %s\n", eal.error().what.c_str(), eal.error().remedy.c_str());
  return 3;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc > 1 && std::strcmp(argv[1], "--start-eal") == 0) return start_only(argc, argv);
  testing::InitGoogleTest(&argc, argv);
  EalOptions options;
  options.cores =
      3;  // more than small machines have: the mapping of several cores to one processor is tested too
  options.memory = handfast::dpdk::MemoryMode::ordinary_pages;  // the same everywhere, and of a fixed size
  auto eal = Eal::start(options);
  if (!eal) {
    std::fprintf(stderr, "%s\n%s\n", eal.error().what.c_str(), eal.error().remedy.c_str());
    return 3;
  }
  return RUN_ALL_TESTS();
}
