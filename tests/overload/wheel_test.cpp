// SPDX-License-Identifier: BSD-3-Clause
// More timers in one tick of the wheel than an advance looks at: whoever drives the wheel by next_deadline() gets on, and
// each fires at its time. Layer: tests of overload.
#include <gtest/gtest.h>

#include <vector>

#include "ds/timer_wheel.hpp"

namespace handfast::ds {
namespace {

struct Crowd {
  static constexpr Time start{Duration{std::int64_t{1} << 40}};
  static constexpr std::size_t limit = 256;
  explicit Crowd(std::size_t n) : nodes(n) {}
  /// As a simulator does it: to the next deadline, again and again. True if it ends.
  bool drive(std::size_t most_calls) {
    Time now = start;
    for (std::size_t call = 0; call < most_calls; ++call) {
      const auto next = wheel.next_deadline();
      if (!next) return true;
      now = std::max(now, *next);
      wheel.advance(now, limit, [&](TimerNode& node) {
        ++fired;
        wrong += node.deadline != now;
      });
    }
    return wheel.size() == 0;
  }
  TimerWheel wheel{start};
  std::vector<TimerNode> nodes;
  std::size_t fired = 0, wrong = 0;
};

TEST(WheelCrowd, thousands_at_one_moment_within_a_tick__fire_then) {
  for (const Duration in : {Duration{100ns}, Duration{1ms}, Duration{200ms}, Duration{1h}})
    for (const std::size_t n : {256u, 257u, 3000u}) {
      SCOPED_TRACE(std::to_string(n) + " in " + std::to_string(in.count()) + " ns");
      Crowd crowd{n};
      const Time when{Duration{((Crowd::start + in).time_since_epoch().count() & ~511ll) + 300}};
      for (TimerNode& node : crowd.nodes) crowd.wheel.arm(node, when);
      EXPECT_TRUE(crowd.drive(10'000));
      EXPECT_EQ(crowd.fired, n);
      EXPECT_EQ(crowd.wrong, 0u);
    }
}

TEST(WheelCrowd, thousands_spread_over_one_tick__each_fires_at_its_time) {
  Crowd crowd{5000};
  std::int64_t k = 0;
  for (TimerNode& node : crowd.nodes) {
    k = (k + 37) % 512;
    crowd.wheel.arm(node, Crowd::start + 512 * 20'000ns + Duration{k});
  }
  EXPECT_TRUE(crowd.drive(100'000));
  EXPECT_EQ(crowd.fired, 5000u);
  EXPECT_EQ(crowd.wrong, 0u);
}

}  // namespace
}  // namespace handfast::ds
