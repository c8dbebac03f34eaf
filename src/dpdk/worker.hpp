// SPDX-License-Identifier: BSD-3-Clause
// One core of a stack: its queue pair, its shard, its loop, and a copy of its counters that other threads may
// read. Layer: dpdk.
#pragma once

#include <array>
#include <atomic>
#include <cstring>
#include <memory>

#include "dpdk/clock.hpp"
#include "dpdk/dpdk_io.hpp"
#include "shard/loop.hpp"

namespace handfast::dpdk {

class Worker {
 public:
  Worker(const CoreConfig& config, const Port& port, std::uint16_t queue, const TscClock& clock,
         shard::Mesh* mesh)
      : clock_(clock), io_(port, queue), shard_(config, clock.now(), mesh), loop_(shard_, io_) {}
  ~Worker() { loop_.stop(); }
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  std::size_t poll() {
    const Time now = clock_.now();
    if (now >= publish_at_) {
      publish();
      publish_at_ = now + 10ms;
    }
    return loop_.poll(now);
  }

  [[nodiscard]] Core& core() { return shard_.core(); }
  [[nodiscard]] std::size_t backlog() const { return loop_.backlog(); }

  /// At most 10 ms old; any thread.
  [[nodiscard]] CoreStats published() const {
    std::array<std::uint64_t, words> copy{};
    for (std::size_t i = 0; i < words; ++i) copy[i] = published_[i].load(std::memory_order_relaxed);
    CoreStats stats;
    std::memcpy(static_cast<void*>(&stats), copy.data(), sizeof stats);
    return stats;
  }
  /// On the owning thread, or when it has stopped.
  void publish() {
    const CoreStats stats = shard_.stats();
    std::array<std::uint64_t, words> copy{};
    std::memcpy(copy.data(), &stats, sizeof stats);
    for (std::size_t i = 0; i < words; ++i) published_[i].store(copy[i], std::memory_order_relaxed);
  }

 private:
  static constexpr std::size_t words = sizeof(CoreStats) / sizeof(std::uint64_t);
  static_assert(std::is_trivially_copyable_v<CoreStats> && sizeof(CoreStats) % sizeof(std::uint64_t) == 0);

  const TscClock& clock_;
  DpdkIo io_;
  shard::Shard shard_;
  shard::Loop<DpdkIo> loop_;
  Time publish_at_{};
  std::array<std::atomic<std::uint64_t>, words> published_{};
};

}  // namespace handfast::dpdk
