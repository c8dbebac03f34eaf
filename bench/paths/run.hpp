// SPDX-License-Identifier: BSD-3-Clause
// One measurement: flows over one emulated link for so long, by the receiver's bytes. Layer: bench.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "kernel_host.hpp"
#include "stack_host.hpp"
#include "world.hpp"

namespace handfast::paths {

enum class Kind { handfast, kernel };

/// The same for both directions.
struct PathSetup {
  std::uint64_t bits_per_second = 100'000'000;
  Duration round_trip{};  ///< of the link, half of it each way; the queue's and the rate's time come on top
  std::size_t queue_bytes = 0;       ///< 0: one bandwidth-delay product, at least 100 full frames
  std::size_t mark_above_bytes = 0;  ///< 0: no ECN marks
  double loss = 0, reorder = 0;
  Duration reorder_by = 2ms;
};

struct Flow {
  Kind sender = Kind::handfast, receiver = Kind::handfast;
  StackOptions stack = {};
  KernelOptions kernel = {};
};

struct RunPlan {
  PathSetup path;
  std::vector<Flow> flows;  ///< each begins `stagger` after the one before
  Duration stagger = 1s, length = 8s;
  std::uint64_t seed = 1;
  [[nodiscard]] bool real_time() const;
};

struct FlowResult {
  double mbit = 0;                ///< payload that reached the receiver's application
  std::uint64_t retransmits = 0;  ///< all of the run
};

struct RunResult {
  std::vector<FlowResult> flows;
  Lateness lateness;  ///< real time only
  std::uint64_t device_drops = 0;
  std::uint64_t lost = 0, queue_full = 0, marked = 0;  ///< by the link, on the way of the data
  int attempts = 1;
  bool started = true;  ///< false: the connections did not come up
  /// The emulator kept its times and no device dropped a frame behind its back.
  [[nodiscard]] bool is_sound() const;
};

[[nodiscard]] emulator::Rules rules_of(const PathSetup& path);
/// The same link without loss and reordering: connections are opened over it.
[[nodiscard]] emulator::Rules clean_rules_of(const PathSetup& path);

[[nodiscard]] RunResult run_once(const RunPlan& plan);
/// In real time again if the emulator was late, at most `max_attempts` times; the best of them.
inline constexpr int max_attempts = 3;
[[nodiscard]] RunResult run(const RunPlan& plan);

/// All of them, several at a time; results in the plans' order. `done` is called as each ends, on any thread.
[[nodiscard]] std::vector<RunResult> run_all(const std::vector<RunPlan>& plans, unsigned at_a_time,
                                             const std::function<void(std::size_t)>& done);

}  // namespace handfast::paths
