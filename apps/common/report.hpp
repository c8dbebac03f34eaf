// SPDX-License-Identifier: BSD-3-Clause
// What a load test found: counters and two latency distributions, as a table for people and as JSON for
// programs. Layer: apps. Knows nothing of the stack: causes of failure are names and counts.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "common/histogram.hpp"
#include "handfast/time.hpp"

namespace handfast::apps {

/// The totals of one run. Each core fills its own; merge() adds them up.
struct LoadReport {
  Duration duration{};            ///< the run's length by the clock; the longest one wins in merge()
  bool open_loop = false;         ///< started by rate, latency from the intended start; else by concurrency
  std::uint64_t target_rate = 0;  ///< connections per second that were asked for; 0 in a closed loop

  std::uint64_t opened = 0;       ///< connects that were started
  std::uint64_t established = 0;  ///< that reached ESTABLISHED
  std::uint64_t closed = 0;       ///< established ones that ended as planned
  std::uint64_t requests = 0;     ///< answers received in full
  std::uint64_t not_ok = 0;       ///< of them, with an HTTP status of 400 or above
  std::uint64_t not_started = 0;  ///< due by the rate, yet never started (no free port, or the run ended)
  std::uint64_t retransmits = 0;
  std::uint64_t time_wait_cut_short = 0;
  std::uint64_t bytes_in = 0;
  std::uint64_t bytes_out = 0;
  std::map<std::string, std::uint64_t> failed;  ///< by the close reason's name; those of count 0 are left out

  std::map<std::string, std::uint64_t> dropped;  ///< frames that went no further here, by the reason's name

  LatencyHistogram connect;  ///< until ESTABLISHED
  LatencyHistogram life;     ///< until the connection's last callback

  [[nodiscard]] std::uint64_t failed_total() const;
  [[nodiscard]] double connections_per_second() const;
  [[nodiscard]] double requests_per_second() const;

  void merge(const LoadReport& other);

  /// A table, with a line break after each line.
  [[nodiscard]] std::string to_text() const;
  /// One object with stable names; times in nanoseconds and named so.
  [[nodiscard]] std::string to_json() const;
};

/// What one second brought.
struct SecondSample {
  Duration at{};                  ///< since the start of the run
  Duration span{};                ///< what the sample covers: a second, or less for the last one
  std::uint64_t established = 0;  ///< in this span
  std::uint64_t open_now = 0;
  std::uint64_t failed = 0;       ///< in this span
  std::uint64_t retransmits = 0;  ///< in this span
  Duration connect_p50{};
  Duration connect_p99{};
};

/// The head of the columns that second_line() prints, without a line break.
[[nodiscard]] std::string second_header();
/// One line, aligned under the head, without a line break.
[[nodiscard]] std::string second_line(const SecondSample& sample);

}  // namespace handfast::apps
