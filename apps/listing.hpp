// SPDX-License-Identifier: BSD-3-Clause
// kill -USR1: the connections, listed on stderr by a thread of its own while the cores run. Layer: apps.
// It reads the flow tables beside their owners and never stops them (Stack::connections).
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <csignal>
#include <stop_token>
#include <thread>

#include "handfast/stack.hpp"

namespace handfast::apps {

class Listing {
 public:
  explicit Listing(const Stack& stack) : stack_(stack) {
    asked() = false;
    std::signal(SIGUSR1, [](int) { asked() = true; });
    thread_ = std::jthread{[this](const std::stop_token& stop) { watch(stop); }};
  }
  ~Listing() { std::signal(SIGUSR1, SIG_IGN); }
  Listing(const Listing&) = delete;
  Listing& operator=(const Listing&) = delete;

 private:
  static constexpr std::size_t most_lines = 50;

  static std::atomic<bool>& asked() {
    static std::atomic<bool> flag{false};
    return flag;
  }
  void watch(const std::stop_token& stop) const {
    while (!stop.stop_requested()) {
      if (asked().exchange(false)) print();
      std::this_thread::sleep_for(std::chrono::milliseconds{50});
    }
  }
  void print() const;

  const Stack& stack_;
  std::jthread thread_;  // last: it ends before what it reads
};

}  // namespace handfast::apps
