// SPDX-License-Identifier: BSD-3-Clause
// The last frames of a test, kept so that a failure leaves a pcap behind; and the seed of this run.
// Layer: test support.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <span>
#include <string>
#include <vector>

#include "handfast/time.hpp"

namespace handfast::test {

/// Fresh for each process and printed once; HANDFAST_SEED replays.
[[nodiscard]] std::uint64_t run_seed();
/// The run's seed mixed with the running test's name, so that --gtest_filter replays the same.
[[nodiscard]] std::uint64_t test_seed();

class Recorder {
 public:
  static constexpr std::size_t most_frames = 400;

  void note(Time at, std::span<const std::byte> frame);
  /// Writes what is kept as a pcap into the temporary directory and prints its path, if the running test has
  /// failed.
  void write_on_failure() const;

 private:
  struct Kept {
    Time at;
    std::vector<std::byte> bytes;
  };
  std::deque<Kept> kept_;
};

}  // namespace handfast::test
