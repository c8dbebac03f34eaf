// SPDX-License-Identifier: BSD-3-Clause
// So many connections between two stacks of one process, on one core over a ring pair: opened as fast as it goes,
// kept alive by probes, closed. Layer: bench.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "handfast/handfast.hpp"

namespace handfast::bench {

struct TownOptions {
  std::uint32_t connections = 1000;
  Duration keep_alive = 10s;          ///< idle time after which the client's end probes
  std::uint32_t time_wait = 1u << 20; ///< entries at most at the end that closes first
  bool prefault = false;              ///< memory of the tables is taken before anything is opened
};

/// What one phase came to. A gap is what lies between one poll of a stack and the next.
struct Phase {
  double seconds = 0;
  std::uint64_t done = 0;           ///< connections opened, probes answered, connections closed
  Duration longest_gap{};           ///< by the clock: what others did on this processor is in it
  Duration longest_work{};          ///< the same in processor time
  std::uint64_t faults = 0;         ///< pages that the kernel gave within the longest work
  Duration timer_lag{};             ///< the latest that a timer has fired so far
  std::uint64_t resident_bytes = 0; ///< of the process, at the end of it
};

class Town {
 public:
  explicit Town(const TownOptions& options);
  Town(const Town&) = delete;
  Town& operator=(const Town&) = delete;

  [[nodiscard]] Phase open();
  /// Until every connection was probed once.
  [[nodiscard]] Phase keep();
  [[nodiscard]] Phase close();

  /// How long it took to make both stacks.
  [[nodiscard]] double start_seconds() const { return start_seconds_; }
  [[nodiscard]] std::uint64_t resident_at_start() const { return resident_at_start_; }
  /// What this program itself keeps for its connections: their names.
  [[nodiscard]] std::uint64_t own_bytes() const { return ids_.capacity() * sizeof(ConnId); }
  /// Connections that ended when nobody closed them.
  [[nodiscard]] std::uint64_t lost() const { return counts_.lost; }
  [[nodiscard]] std::uint64_t cut_short() const { return client_->core(0).stats().time_wait_cut_short; }

 private:
  struct Counts {
    std::uint64_t established = 0, closed = 0, lost = 0;
  };
  struct Visitor {
    Counts* counts;
    void on_connect(Conn&) { ++counts->established; }
    void on_closed(ConnId, CloseReason reason) { ++(reason == CloseReason::finished ? counts->closed : counts->lost); }
  };
  struct Resident {
    void on_peer_fin(Conn& c) { c.close(); }
  };

  /// Polls both ends, after `work()`, until `done()`.
  template <class Work, class Done>
  Phase run(Work&& work, Done&& done);

  TownOptions options_;
  std::unique_ptr<Stack> server_, client_;
  HandlerRef visitor_;
  Counts counts_;
  std::vector<ConnId> ids_;
  std::uint64_t resident_at_start_ = 0;
  double start_seconds_ = 0;
};

}  // namespace handfast::bench
