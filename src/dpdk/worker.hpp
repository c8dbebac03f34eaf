// SPDX-License-Identifier: BSD-3-Clause
// One core of a stack: its queue pair, its shard, its loop, and a copy of its counters that other threads may
// read. Layer: dpdk.
#pragma once

#include <cstddef>

#include "dpdk/clock.hpp"
#include "dpdk/dpdk_io.hpp"
#include "shard/loop.hpp"
#include "shard/published_stats.hpp"

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
  [[nodiscard]] CoreStats published() const { return published_.read(); }
  /// On the owning thread, or when it has stopped.
  void publish() { published_.publish(shard_.stats()); }

 private:
  const TscClock& clock_;
  DpdkIo io_;
  shard::Shard shard_;
  shard::Loop<DpdkIo> loop_;
  Time publish_at_{};
  shard::PublishedStats published_;
};

}  // namespace handfast::dpdk
