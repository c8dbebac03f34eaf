// SPDX-License-Identifier: BSD-3-Clause
// Watches the clients of a load test from one thread: asks each core for its figures by post(), prints a line
// each second, decides when all is over, adds up the report. Layer: apps. Shares no counter with the cores'
// hot paths.
#pragma once

#include <cstdio>
#include <memory>
#include <vector>

#include "common/report.hpp"
#include "handfast/core.hpp"
#include "load_client.hpp"

namespace handfast::apps {

class LoadMonitor {
 public:
  /// How long connections may take to play to their end when no more are started.
  static constexpr Duration grace = 2s;

  /// One client for each of `cores`; lines go to `out`, nowhere if null.
  LoadMonitor(const LoadPlan& plan, std::uint16_t cores, std::FILE* out);

  /// On the core itself, before its first poll.
  Expected<void> start(Core& core) { return clients_[core.shard_index()]->start(core); }
  /// Call it about every 10 ms, on one thread, with that of core `i` in cores[i]; false when the test is
  /// over.
  [[nodiscard]] bool tick(Time now, const std::vector<Core*>& cores);
  /// Ends the test early; on the thread of tick().
  void interrupt() { interrupted_ = true; }

  /// Once the cores have stopped.
  [[nodiscard]] LoadReport report(const std::vector<Core*>& cores);
  /// Adds what a stack's cores counted: retransmits, TIME-WAIT, drops.
  static void add_stats(LoadReport& report, const CoreStats& stats);
  /// Nobody had answered for the next hop when connections were started.
  [[nodiscard]] bool unresolved() const;
  /// Why no connection could be started at all, if so.
  [[nodiscard]] std::optional<Error> error() const;

 private:
  struct Watched {
    enum class Ask : std::uint8_t { none, posted, answered } ask = Ask::none;  // of publish()
    bool stopped = false;                                                      // stop() was posted
    LoadCounters counters;
    CoreStats core;
    std::uint64_t open_now = 0;
  };

  bool collect(const std::vector<Core*>& cores);
  void absorb(std::size_t index, const LoadSample& sample);
  void print_line(Time now);
  void stop_all(const std::vector<Core*>& cores);
  [[nodiscard]] LoadPhase slowest_phase() const;

  std::FILE* out_;
  std::vector<std::unique_ptr<LoadClient>> clients_;
  std::vector<Watched> watched_;
  LoadReport total_;
  LatencyHistogram second_;  // connect latencies since the last line
  SecondSample last_;        // its counts are the totals at the last line
  Time began_{}, last_line_{}, next_line_{}, closing_since_{};
  bool started_ = false, closing_ = false, interrupted_ = false;
};

}  // namespace handfast::apps
