// SPDX-License-Identifier: BSD-3-Clause
// SIGINT and SIGTERM as a flag, for a run that has something to say before it ends. Layer: apps.
#pragma once

#include <atomic>
#include <csignal>

namespace handfast::apps {

/// From construction on the first signal sets the flag, and a second one ends the process as if nobody
/// listened.
class SignalFlag {
 public:
  SignalFlag() {
    seen_ = false;
    struct sigaction action {};
    action.sa_handler = [](int) { seen_.store(true, std::memory_order_relaxed); };
    action.sa_flags = static_cast<int>(SA_RESETHAND);
    for (const int signal : {SIGINT, SIGTERM}) sigaction(signal, &action, nullptr);
  }
  SignalFlag(const SignalFlag&) = delete;
  SignalFlag& operator=(const SignalFlag&) = delete;
  [[nodiscard]] bool seen() const { return seen_.load(std::memory_order_relaxed); }

 private:
  static inline std::atomic<bool> seen_{false};
};

}  // namespace handfast::apps
