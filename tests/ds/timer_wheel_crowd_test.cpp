// SPDX-License-Identifier: BSD-3-Clause
// TimerWheel while a crowd of nodes is filed anew, so many a call: what else is armed fires in its time, of the crowd
// nobody is early, lost or for ever late.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <vector>

#include "ds/timer_wheel.hpp"
#include "seeded.hpp"

namespace handfast::ds {
namespace {

constexpr std::size_t limit = 64;
constexpr Duration step = 10us;
/// The spans of the buckets of level 3: 8.6 s.
constexpr Duration span{std::int64_t{1} << (TimerWheel::tick_bits + 3 * TimerWheel::level_bits)};

/// Idle connections whose keep-alives all lie in one coarse bucket, and time that goes on by polls.
class Crowd {
 public:
  static constexpr std::size_t count = 100'000;

  Crowd() : members(count) {
    for (TimerNode& node : members)
      wheel.arm(node, begin + Duration{static_cast<std::int64_t>(rng.next() % static_cast<std::uint64_t>(span.count()))});
    go_to(begin - step, ~std::size_t{0});
    EXPECT_EQ(wheel.size(), count);
  }
  void go_to(Time now, std::size_t most) {
    wheel.advance(now, most, [&](TimerNode& node) {
      EXPECT_LE(node.deadline, now);
      const Duration late = now - node.deadline;
      if (&node >= members.data() && &node < members.data() + count)
        ++expired;
      else
        latest = std::max(latest, late);
    });
  }
  /// Polls until the node has fired.
  void poll_until_fired(const TimerNode& node) {
    for (int i = 0; node.armed() && i < 1'000'000; ++i) poll();
    EXPECT_FALSE(node.armed());
  }
  void poll() { go_to(wheel.now() + step, limit); }
  bool is_being_filed() const { return wheel.lag() > Duration{0}; }

  Rng rng = test::seeded_rng();
  // The begin of a bucket two spans ahead of the start.
  const Time begin{7 * span};
  TimerWheel wheel{Time{5 * span + 1ms}};
  std::vector<TimerNode> members;
  std::size_t expired = 0;
  Duration latest{0};  // of those that are not of the crowd
};

TEST(TimerWheelCrowd, armed_meanwhile__fires_in_time) {
  Crowd crowd;
  for (int i = 0; i < 3; ++i) crowd.poll();
  ASSERT_TRUE(crowd.is_being_filed());
  TimerNode soon, next_tick, later;
  crowd.wheel.arm(soon, crowd.wheel.now() + 1ms);
  crowd.wheel.arm(next_tick, crowd.wheel.now() + 3us);
  crowd.wheel.arm(later, crowd.wheel.now() + 5ms);
  crowd.poll_until_fired(later);
  EXPECT_FALSE(soon.armed());
  EXPECT_FALSE(next_tick.armed());
  EXPECT_LE(crowd.latest, step);
  EXPECT_TRUE(crowd.is_being_filed()) << "the crowd was no crowd";
}

TEST(TimerWheelCrowd, armed_before_for_the_same_span__fires_in_time) {
  Crowd crowd;
  std::vector<TimerNode> others(20);
  for (std::size_t i = 0; i < others.size(); ++i) crowd.wheel.arm(others[i], crowd.begin - 5us + Duration{i * 100'000});
  // Those that lie in the coarse bucket themselves are part of the crowd; armed from close by they are not.
  for (int i = 0; i < 2; ++i) crowd.poll();
  for (std::size_t i = 1; i < others.size(); ++i) {
    crowd.wheel.cancel(others[i]);
    crowd.wheel.arm(others[i], crowd.wheel.now() + Duration{i * 100'000});
  }
  crowd.poll_until_fired(others.back());
  EXPECT_LE(crowd.latest, step);
}

TEST(TimerWheelCrowd, one_of_them_rearmed_for_soon__does_not_wait_for_the_others) {
  Crowd crowd;
  for (int i = 0; i < 3; ++i) crowd.poll();
  ASSERT_TRUE(crowd.is_being_filed());
  TimerNode& chosen = crowd.members[Crowd::count - 1];  // the last in the line, or soon one of the first
  TimerNode& other = crowd.members[0];
  for (TimerNode* node : {&chosen, &other}) {
    if (!node->armed()) continue;
    const Time due = crowd.wheel.now() + 500us;
    if (node->deadline <= due) continue;
    crowd.wheel.arm(*node, due);
    while (node->armed() && crowd.wheel.now() < due + 1ms) crowd.poll();
    EXPECT_FALSE(node->armed());
    EXPECT_LE(crowd.wheel.now(), due + step);
  }
}

// The share that other timers may take cannot starve the crowd: more of those are due at each poll than it looks at.
TEST(TimerWheelCrowd, others_due_at_every_poll__all_are_filed_in_bounded_time) {
  Crowd crowd;
  std::vector<TimerNode> busy(2 * limit);
  // Half of the limit is for what is filed anew, and half of that for the coarsest, whatever else there is.
  for (std::size_t polls = 0; polls < 4 * Crowd::count / limit + 100; ++polls) {
    for (TimerNode& node : busy)
      if (!node.armed()) crowd.wheel.arm(node, crowd.wheel.now() + 1us);
    crowd.poll();
  }
  for (TimerNode& node : busy) crowd.wheel.cancel(node);
  for (int i = 0; i < 20; ++i) crowd.poll();
  EXPECT_FALSE(crowd.is_being_filed());
}

TEST(TimerWheelCrowd, all_of_them__fire_once_and_only_those_due_at_first_are_late) {
  Crowd crowd;
  const Duration filing = static_cast<std::int64_t>(Crowd::count / limit + 100) * step;
  while (crowd.wheel.now() < crowd.begin + filing) crowd.poll();
  EXPECT_FALSE(crowd.is_being_filed());
  std::size_t due = 0;
  for (const TimerNode& node : crowd.members) due += !node.armed() || node.deadline <= crowd.wheel.now();
  EXPECT_EQ(crowd.expired, due);
  // And from here on in time, whatever the level that they were filed in.
  crowd.go_to(crowd.begin + span / 2, ~std::size_t{0});
  for (const TimerNode& node : crowd.members) {
    if (node.armed()) {
      EXPECT_GT(node.deadline, crowd.begin + span / 2);
    }
  }
  crowd.go_to(crowd.begin + span, ~std::size_t{0});
  EXPECT_EQ(crowd.expired, Crowd::count);
  EXPECT_EQ(crowd.wheel.size(), 0u);
}

TEST(TimerWheelCrowd, two_coarse_buckets_at_once__nobody_is_lost) {
  Crowd crowd;
  std::vector<TimerNode> more(Crowd::count);
  for (TimerNode& node : more) crowd.wheel.arm(node, crowd.begin + span + Duration{crowd.rng.below(1u << 30)});
  // The next bucket begins while the first is still being filed: one long pause.
  crowd.poll();
  crowd.go_to(crowd.begin + span + 1us, limit);
  ASSERT_TRUE(crowd.is_being_filed());
  TimerNode soon;
  crowd.wheel.arm(soon, crowd.wheel.now() + 100us);
  while (soon.armed() && crowd.latest == Duration{0} && crowd.wheel.now() < crowd.begin + span + 1ms) crowd.poll();
  EXPECT_FALSE(soon.armed());
  EXPECT_LE(crowd.latest, step);
  crowd.go_to(crowd.begin + 2 * span, ~std::size_t{0});
  EXPECT_EQ(crowd.wheel.size(), 0u);
  EXPECT_EQ(crowd.expired, Crowd::count);
}

}  // namespace
}  // namespace handfast::ds
