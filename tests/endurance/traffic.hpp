// SPDX-License-Identifier: BSD-3-Clause
// Ordinary traffic of every kind between two stacks, each byte checked: connections that come and go, that stay, that
// carry much, that say nothing. Layer: tests of endurance. Knows the public headers alone.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "handfast/core.hpp"

namespace handfast::test {

/// Sends back what comes.
struct EchoBack {
  std::array<std::uint64_t, static_cast<std::size_t>(CloseReason::count_)> ended{};
  std::size_t on_data(Conn& c, const RxView& in) {
    const std::size_t n = c.send(in.bytes());
    if (n < in.size()) c.pause_rx();
    return n;
  }
  void on_writable(Conn& c) { c.resume_rx(); }
  void on_peer_fin(Conn& c) { c.close(); }
  void on_closed(ConnId, CloseReason why) { ++ended[static_cast<std::size_t>(why)]; }
};

/// What one connection is to do: `turns` times send `bytes`, wait for all of them to come back, be silent for `pause`.
struct Task {
  std::uint32_t bytes = 100, turns = 1;
  Duration pause{};
  bool keepalive = false;
};

/// The client's end of each.
class Traffic {
 public:
  struct State {
    Task task;
    std::uint64_t sent = 0, received = 0, turn_ends = 0;
    std::uint32_t turns = 0;
  };
  std::uint64_t opened = 0, established = 0, finished = 0, wrong_bytes = 0, echoed = 0;
  std::array<std::uint64_t, static_cast<std::size_t>(CloseReason::count_)> ended{};
  std::vector<ConnId> living;  ///< in the order of on_connect; those that ended too

  /// Connects; false if that was refused at once.
  bool open(Core& core, HandlerRef self, Endpoint to, const Task& task, ConnectOptions options = {}) {
    const auto id = core.connect(to, self, options);
    if (!id) return false;
    core.find(*id)->user<State>().task = task;
    ++opened;
    return true;
  }

  void on_connect(Conn& c, State& s) {
    ++established;
    living.push_back(c.id());
    if (s.task.keepalive) c.set_keepalive(true);
    next_turn(c, s);
  }
  std::size_t on_data(Conn& c, State& s, const RxView& in) {
    for (const char byte : in.text()) wrong_bytes += byte != content[s.received++ % period];
    echoed += in.size();
    if (s.received < s.turn_ends) return in.size();
    if (s.turns == s.task.turns)
      c.close();
    else if (s.task.pause == Duration{})
      next_turn(c, s);
    else
      c.arm(s.task.pause);
    return in.size();
  }
  void on_timer(Conn& c, State& s) { next_turn(c, s); }
  void on_writable(Conn& c, State& s) { pump(c, s); }
  void on_closed(ConnId, State& s, CloseReason why) {
    ++ended[static_cast<std::size_t>(why)];
    finished += why == CloseReason::finished && s.turns == s.task.turns && s.received == s.turn_ends;
  }

 private:
  static constexpr std::size_t period = 65521;  // prime: what lands a window or 2^16 bytes off is seen
  inline static const std::string content = [] {
    std::string all;
    std::uint64_t state = 0x243f6a8885a308d3u;
    while (all.size() < 2 * period) {
      state = state * 6364136223846793005u + 1442695040888963407u;
      all.push_back(static_cast<char>(state >> 56));
    }
    for (std::size_t i = period; i < all.size(); ++i) all[i] = all[i - period];
    return all;
  }();

  void next_turn(Conn& c, State& s) {
    ++s.turns;
    s.turn_ends += s.task.bytes;
    pump(c, s);
    if (s.task.bytes == 0) c.close();
  }
  static void pump(Conn& c, State& s) {
    while (s.sent < s.turn_ends) {
      const std::size_t most = std::min<std::uint64_t>(period, s.turn_ends - s.sent);
      const std::size_t n = c.send(std::string_view{content}.substr(s.sent % period, most));
      s.sent += n;
      if (n < most) return;
    }
  }
};

}  // namespace handfast::test
