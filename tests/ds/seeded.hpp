// SPDX-License-Identifier: BSD-3-Clause
// A generator with a fresh seed for each test, printed, so that a failure can be replayed:
// HANDFAST_SEED=... tests/ds/ds-test --gtest_filter=...
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <random>

#include "base/rng.hpp"

namespace handfast::test {

inline Rng seeded_rng() {
  const char* given = std::getenv("HANDFAST_SEED");
  const std::uint64_t seed = given != nullptr ? std::strtoull(given, nullptr, 0) : std::random_device{}();
  std::printf("HANDFAST_SEED=%llu\n", static_cast<unsigned long long>(seed));
  return Rng{seed};
}

}  // namespace handfast::test
