// SPDX-License-Identifier: BSD-3-Clause
// Both ends in this process, over a ring pair: on one core in turn, or on one each. Layer: bench.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <thread>

#include "result.hpp"
#include "workload.hpp"

namespace handfast::bench {

/// Polls a stack and adds up for how long it had something to do; the clock is read once a poll.
class Polled {
 public:
  /// `clock`: the stack whose time both ends of a process go by; each has an origin of its own.
  Polled(Stack& stack, const Stack& clock) : stack_(&stack), clock_(&clock) {}
  /// From `now` on; returns the time afterwards.
  Time poll(Time now) {
    const bool worked = stack_->poll(0) != 0;
    const Time after = clock_->now();
    if (worked) busy_ += after - now;
    return after;
  }
  [[nodiscard]] Duration busy() const { return busy_; }

 private:
  Stack* stack_;
  const Stack* clock_;
  Duration busy_{};
};

class OneProcess {
 public:
  OneProcess(const Options& options, std::uint32_t open, bool two_cores);
  ~OneProcess();
  OneProcess(const OneProcess&) = delete;
  OneProcess& operator=(const OneProcess&) = delete;

  [[nodiscard]] Result run();

 private:
  void both();
  void spin(double seconds);
  [[nodiscard]] Result measure();
  void stop_server();

  const Options& options_;
  std::uint32_t open_;
  bool two_cores_;
  std::unique_ptr<Stack> server_, client_;
  std::optional<Polled> server_polled_, client_polled_;
  std::optional<Requester> requester_;
  std::atomic<bool> server_stop_{false};
  std::atomic<std::int64_t> server_busy_ns_{0};  // published by the server's thread
  std::thread server_thread_;
};

}  // namespace handfast::bench
