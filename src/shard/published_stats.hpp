// SPDX-License-Identifier: BSD-3-Clause
// A copy of a core's counters that other threads may read at any time. Layer: shard. Knows nothing of who
// publishes when.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "handfast/core.hpp"

namespace handfast::shard {

class PublishedStats {
 public:
  /// The owner alone.
  void publish(const CoreStats& stats) {
    std::array<std::uint64_t, words> copy{};
    std::memcpy(copy.data(), &stats, sizeof stats);
    for (std::size_t i = 0; i < words; ++i) words_[i].store(copy[i], std::memory_order_relaxed);
  }
  /// Any thread. Each number is whole; two of them may be of different calls of publish().
  [[nodiscard]] CoreStats read() const {
    std::array<std::uint64_t, words> copy{};
    for (std::size_t i = 0; i < words; ++i) copy[i] = words_[i].load(std::memory_order_relaxed);
    CoreStats stats;
    std::memcpy(static_cast<void*>(&stats), copy.data(), sizeof stats);
    return stats;
  }

 private:
  static constexpr std::size_t words = sizeof(CoreStats) / sizeof(std::uint64_t);
  static_assert(std::is_trivially_copyable_v<CoreStats> && sizeof(CoreStats) % sizeof(std::uint64_t) == 0);

  std::array<std::atomic<std::uint64_t>, words> words_{};
};

}  // namespace handfast::shard
