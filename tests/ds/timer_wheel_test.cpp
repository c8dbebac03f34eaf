// SPDX-License-Identifier: BSD-3-Clause
// TimerWheel: never early, exact deadlines, nothing lost by limits, jumps or wraps; against a sorted model.
#include "ds/timer_wheel.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "seeded.hpp"

namespace handfast::ds {
namespace {

constexpr std::size_t no_limit = ~std::size_t{0};
constexpr Time origin{Duration{1'000'000'000'123}};

struct Timers {
  explicit Timers(Time start = origin) : wheel(start) {}
  std::size_t advance(Time now, std::size_t limit = no_limit) {
    fired.clear();
    return wheel.advance(now, limit, [&](TimerNode& node) { fired.push_back(&node); });
  }
  TimerWheel wheel;
  std::vector<TimerNode*> fired;
};

TEST(TimerWheel, empty__has_no_deadline) {
  Timers timers;
  EXPECT_EQ(timers.wheel.next_deadline(), std::nullopt);
  EXPECT_EQ(timers.advance(origin + 24h), 0u);
  EXPECT_EQ(timers.wheel.size(), 0u);
  EXPECT_EQ(timers.wheel.lag(), 0ns);
}

TEST(TimerWheel, any_distance__fires_exactly_at_the_deadline_and_not_a_nanosecond_before) {
  for (std::int64_t distance :
       {1LL, 2LL, 511LL, 512LL, 513LL, 131'071LL, 131'072LL, 131'073LL, 33'554'431LL, 33'554'432LL,
        1'000'000'000LL, 8'589'934'592LL, 300'000'000'000LL, 2'199'023'255'552LL, 562'949'953'421'311LL,
        562'949'953'421'312LL, 5'000'000'000'000'000LL}) {
    SCOPED_TRACE(distance);
    Timers timers;
    TimerNode node;
    const Time deadline = origin + Duration{distance};
    timers.wheel.arm(node, deadline);
    EXPECT_TRUE(node.armed());
    EXPECT_EQ(timers.advance(deadline - 1ns), 0u);
    EXPECT_EQ(timers.advance(deadline), 1u);
    EXPECT_FALSE(node.armed());
    EXPECT_EQ(timers.wheel.size(), 0u);
  }
}

TEST(TimerWheel, stepping_from_deadline_to_deadline__arrives_in_few_steps) {
  for (std::int64_t distance : {1LL, 1000LL, 200'000'000LL, 7'200'000'000'000LL, 500'000'000'000'000LL}) {
    Timers timers;
    TimerNode node;
    const Time deadline = origin + Duration{distance};
    timers.wheel.arm(node, deadline);
    unsigned steps = 0;
    Time last = origin;
    while (const std::optional<Time> next = timers.wheel.next_deadline()) {
      ASSERT_LE(*next, deadline);
      ASSERT_GT(*next, last);
      last = *next;
      timers.advance(last);
      ASSERT_LE(++steps, TimerWheel::levels + 1);
    }
    EXPECT_EQ(last, deadline);
  }
}

TEST(TimerWheel, deadline_not_after_now__fires_at_the_next_advance_even_for_the_same_time) {
  Timers timers;
  timers.advance(origin + 1s);
  TimerNode past, present;
  timers.wheel.arm(past, origin - 1h);
  timers.wheel.arm(present, origin + 1s);
  ASSERT_TRUE(timers.wheel.next_deadline().has_value());
  EXPECT_LE(*timers.wheel.next_deadline(), origin + 1s);
  EXPECT_EQ(timers.advance(origin + 1s), 2u);
}

TEST(TimerWheel, extreme_deadlines__neither_fire_early_nor_overflow) {
  Timers timers;
  TimerNode never, always;
  timers.wheel.arm(never, Time::max());
  timers.wheel.arm(always, Time::min());
  EXPECT_EQ(timers.advance(origin), 1u);
  EXPECT_EQ(timers.advance(origin + 24h * 365 * 50), 0u);
  EXPECT_TRUE(never.armed());
  EXPECT_EQ(timers.advance(Time::max() - 1ns), 0u);
  EXPECT_EQ(timers.advance(Time::max()), 1u);
}

TEST(TimerWheel, start_before_the_epoch__works) {
  Timers timers{Time{-1h}};
  TimerNode before, after;
  timers.wheel.arm(before, Time{-1s});
  timers.wheel.arm(after, Time{1s});
  EXPECT_EQ(timers.advance(Time{-1s} - 1ns), 0u);
  EXPECT_EQ(timers.advance(Time{-1s}), 1u);
  EXPECT_EQ(timers.advance(Time{1s} - 1ns), 0u);
  EXPECT_EQ(timers.advance(Time{1s}), 1u);
}

TEST(TimerWheel, step_back_in_time__is_ignored) {
  Timers timers;
  TimerNode node;
  timers.advance(origin + 10s);
  EXPECT_EQ(timers.advance(origin), 0u);
  EXPECT_EQ(timers.wheel.now(), origin + 10s);
  timers.wheel.arm(node, origin + 11s);
  EXPECT_EQ(timers.advance(origin + 5s), 0u);
  EXPECT_EQ(timers.advance(origin + 11s), 1u);
}

TEST(TimerWheel, rearm__later_earlier_and_between__the_last_word_counts) {
  Timers timers;
  TimerNode node;
  timers.wheel.arm(node, origin + 300ms);
  timers.wheel.arm(node, origin + 900ms);
  EXPECT_EQ(timers.wheel.size(), 1u);
  EXPECT_EQ(timers.advance(origin + 400ms), 0u);  // found early, filed anew
  timers.wheel.arm(node, origin + 2s);
  timers.wheel.arm(node, origin + 950ms);
  EXPECT_EQ(timers.advance(origin + 950ms - 1ns), 0u);
  timers.wheel.arm(node, origin + 960ms);
  timers.wheel.arm(node, origin + 951ms);
  EXPECT_EQ(timers.advance(origin + 951ms - 1ns), 0u);
  EXPECT_EQ(timers.advance(origin + 951ms), 1u);
}

TEST(TimerWheel, rearm__earlier_within_the_present_tick__fires_in_time) {
  Timers timers{Time{0ns}};
  TimerNode node;
  timers.wheel.arm(node, Time{500ns});
  EXPECT_EQ(timers.advance(Time{10ns}), 0u);
  timers.wheel.arm(node, Time{20ns});  // the same bucket, so only the deadline was stored
  EXPECT_LE(*timers.wheel.next_deadline(), Time{20ns});
  EXPECT_EQ(timers.advance(Time{20ns}), 1u);
}

TEST(TimerWheel, cancel__not_armed_or_twice__does_nothing) {
  Timers timers;
  TimerNode a, b;
  timers.wheel.cancel(a);
  timers.wheel.arm(a, origin + 1s);
  timers.wheel.arm(b, origin + 1s);
  timers.wheel.cancel(a);
  timers.wheel.cancel(a);
  EXPECT_FALSE(a.armed());
  EXPECT_EQ(timers.wheel.size(), 1u);
  timers.advance(origin + 1s);
  ASSERT_EQ(timers.fired.size(), 1u);
  EXPECT_EQ(timers.fired[0], &b);
}

TEST(TimerWheel, cancel__the_last_one__no_deadline_is_left) {
  Timers timers;
  TimerNode node;
  timers.wheel.arm(node, origin + 1s);
  timers.wheel.cancel(node);
  EXPECT_EQ(timers.wheel.next_deadline(), std::nullopt);
}

TEST(TimerWheel, callback__rearms_itself_cancels_others_and_arms_new) {
  TimerWheel wheel{origin};
  std::vector<TimerNode> nodes(5);
  for (int i = 0; i < 4; ++i) wheel.arm(nodes[static_cast<std::size_t>(i)], origin + 1s);
  int calls = 0;
  const auto expired = [&](TimerNode& node) {
    ++calls;
    EXPECT_FALSE(node.armed());
    if (calls == 1) {
      wheel.arm(node, origin + 2s);
      int cancelled = 0;
      for (TimerNode& other : nodes) {
        if (&other != &node && other.armed() && ++cancelled <= 2) wheel.cancel(other);
      }
      wheel.arm(nodes[4], origin);  // due already
    }
  };
  wheel.advance(origin + 1s, no_limit, expired);
  EXPECT_EQ(calls, 2);
  EXPECT_EQ(wheel.size(), 2u);
  wheel.advance(origin + 1s, no_limit, expired);
  EXPECT_EQ(calls, 3);
  EXPECT_FALSE(nodes[4].armed());
  wheel.advance(origin + 2s, no_limit, expired);
  EXPECT_EQ(calls, 4);
  EXPECT_EQ(wheel.size(), 0u);
}

TEST(TimerWheel, callback__rearms_itself_for_now__does_not_hold_up_the_call) {
  TimerWheel wheel{origin};
  TimerNode node;
  wheel.arm(node, origin + 1s);
  for (int call = 0; call < 3; ++call) {
    EXPECT_EQ(wheel.advance(origin + 5s, no_limit, [&](TimerNode& n) { wheel.arm(n, origin + 5s); }), 1u);
  }
}

TEST(TimerWheel, limit__equal_deadlines__nothing_lost_and_lag_told) {
  constexpr std::size_t count = 10'000;
  Timers timers;
  std::vector<TimerNode> nodes(count);
  for (TimerNode& node : nodes) timers.wheel.arm(node, origin + 100ms);
  std::size_t fired = 0;
  int calls = 0;
  while (fired < count) {
    const std::size_t now = timers.advance(origin + 150ms, 32);
    ASSERT_LE(now, 32u);
    fired += now;
    // Each node is looked at once on each level at most, and these began at most 100 ms ago.
    ASSERT_LE(++calls, static_cast<int>(count / 32 * TimerWheel::levels + 1));
    if (fired < count) {
      EXPECT_GE(timers.wheel.lag(), 49ms);
      EXPECT_LE(*timers.wheel.next_deadline(), timers.wheel.now());
    }
  }
  timers.advance(origin + 150ms, 32);
  EXPECT_EQ(timers.wheel.lag(), 0ns);
  EXPECT_EQ(timers.wheel.size(), 0u);
}

TEST(TimerWheel, limit__cancel_and_rearm_what_is_left__holds) {
  Timers timers;
  std::vector<TimerNode> nodes(10);
  for (TimerNode& node : nodes) timers.wheel.arm(node, origin + 10s);
  while (timers.advance(origin + 20s, 1) == 0) {
  }
  std::vector<TimerNode*> left;
  for (TimerNode& node : nodes) {
    if (node.armed()) left.push_back(&node);
  }
  ASSERT_EQ(left.size(), 9u);
  timers.wheel.cancel(*left[0]);
  timers.wheel.arm(*left[1], origin + 30s);
  timers.wheel.arm(*left[2], origin + 1s);
  std::size_t fired = 0;
  for (int i = 0; i < 100; ++i) fired += timers.advance(origin + 20s, 1);
  EXPECT_EQ(fired, 7u);
  EXPECT_TRUE(left[1]->armed());
  EXPECT_EQ(timers.advance(origin + 30s), 1u);
}

TEST(TimerWheel, limit_zero__does_nothing_but_remembers_the_time) {
  Timers timers;
  TimerNode node;
  timers.wheel.arm(node, origin + 1s);
  EXPECT_EQ(timers.advance(origin + 2s, 0), 0u);
  EXPECT_EQ(timers.wheel.now(), origin + 2s);
  EXPECT_GT(timers.wheel.lag(), 0ns);
  EXPECT_EQ(timers.advance(origin + 2s, 1), 1u);
}

TEST(TimerWheel, many_days_idle_then_armed__still_exact) {
  Timers timers;
  TimerNode keep, node;
  timers.wheel.arm(keep, origin + 24h * 100);
  for (int day = 1; day < 40; ++day) {
    const Time now = origin + day * 24h;
    timers.advance(now);
    timers.wheel.arm(node, now + 200ms);
    ASSERT_EQ(timers.advance(now + 200ms - 1ns), 0u);
    ASSERT_EQ(timers.advance(now + 200ms), 1u);
  }
  EXPECT_EQ(timers.advance(origin + 24h * 100 - 1ns), 0u);
  EXPECT_EQ(timers.advance(origin + 24h * 100), 1u);
}

// As a shard's loop does it, all of it inlined: g++ 12.2 at -O2 once took the head of the list for unchanged
// while nodes were taken from it.
class Shard {
 public:
  Shard() : nodes_(1000) {}
  void arm_all(Rng& rng) {
    for (TimerNode& node : nodes_) wheel_.arm(node, wheel_.now() + Duration{rng.below(1u << 30)});
  }
  [[gnu::noinline]] void expire_all() {
    const Duration step{(std::int64_t{1} << 30) * 32 / static_cast<std::int64_t>(nodes_.size())};
    while (wheel_.size() != 0 && wheel_.now() < origin + 10s) {
      wheel_.advance(wheel_.now() + step, 256, [this](TimerNode&) { ++expired_; });
    }
  }
  std::size_t armed() const { return wheel_.size(); }
  std::size_t expired() const { return expired_; }

 private:
  std::vector<TimerNode> nodes_;
  TimerWheel wheel_{origin};
  std::size_t expired_ = 0;
};

TEST(TimerWheel, drained_in_steps__by_an_inlined_callback__each_fires_once) {
  const auto shard = std::make_unique<Shard>();
  Rng rng = test::seeded_rng();
  shard->arm_all(rng);
  shard->expire_all();
  EXPECT_EQ(shard->armed(), 0u);
  EXPECT_EQ(shard->expired(), 1000u);
}

// The model: which node is armed for when, sorted.
class Model {
 public:
  explicit Model(std::size_t count) : deadline_of_(count) {}
  void arm(std::uint32_t node, Time deadline) {
    cancel(node);
    deadline_of_[node] = deadline;
    sorted_.insert({deadline, node});
  }
  void cancel(std::uint32_t node) {
    if (deadline_of_[node]) sorted_.erase({*deadline_of_[node], node});
    deadline_of_[node].reset();
  }
  std::optional<Time> deadline_of(std::uint32_t node) const { return deadline_of_[node]; }
  std::optional<Time> earliest() const {
    return sorted_.empty() ? std::nullopt : std::optional{sorted_.begin()->first};
  }
  std::size_t size() const { return sorted_.size(); }

 private:
  std::vector<std::optional<Time>> deadline_of_;
  std::set<std::pair<Time, std::uint32_t>> sorted_;
};

class RandomUse {
 public:
  static constexpr std::uint32_t count = 200;

  RandomUse(std::uint64_t seed, Time start, unsigned widest)
      : rng_(seed), widest_(widest), now_(start), wheel_(start), model_(count), nodes_(count) {}

  void run(int steps) {
    for (int step = 0; step < steps && !testing::Test::HasFatalFailure(); ++step) {
      const std::uint32_t node = rng_.below(count);
      switch (rng_.below(8)) {
        case 0:
          cancel(node);
          break;
        case 1:
          step_to_next_deadline();
          break;
        case 2:
          advance(now_ + some_time(), no_limit);
          break;
        case 3:
          advance(now_ + some_time(), rng_.below(20));
          break;
        case 4:
          arm(node, some_multiple());
          break;
        default:
          arm(node, now_ + some_time() - (rng_.below(8) == 0 ? some_time() : 0ns));
          break;
      }
      check();
    }
  }

 private:
  // Every order of magnitude is as likely as any other.
  Duration some_time() { return Duration{rng_.next() >> (63 - rng_.below(widest_))}; }
  // Deadlines that meet: the next multiple of some power of two.
  Time some_multiple() {
    const std::int64_t unit = std::int64_t{1} << rng_.below(widest_);
    return Time{Duration{(now_.time_since_epoch().count() / unit + 1) * unit}};
  }
  std::uint32_t number_of(const TimerNode& node) const {
    return static_cast<std::uint32_t>(&node - nodes_.data());
  }
  void arm(std::uint32_t node, Time deadline) {
    wheel_.arm(nodes_[node], deadline);
    model_.arm(node, deadline);
  }
  void cancel(std::uint32_t node) {
    wheel_.cancel(nodes_[node]);
    model_.cancel(node);
  }

  void advance(Time now, std::size_t limit) {
    now_ = std::max(now_, now);
    std::set<std::uint32_t> armed_within;
    const std::size_t fired = wheel_.advance(now, limit, [&](TimerNode& node) {
      const std::optional<Time> deadline = model_.deadline_of(number_of(node));
      ASSERT_TRUE(deadline.has_value());
      ASSERT_LE(*deadline, now_);  // never early
      ASSERT_EQ(node.deadline, *deadline);
      model_.cancel(number_of(node));
      if (quiet_ || rng_.below(4) != 0) return;
      const std::uint32_t other = rng_.below(2) == 0 ? number_of(node) : rng_.below(count);
      if (rng_.below(3) == 0) {
        cancel(other);
      } else {
        arm(other, now_ + some_time() - (rng_.below(4) == 0 ? some_time() : 0ns));
        armed_within.insert(other);
      }
    });
    ASSERT_LE(fired, limit);
    if (limit == no_limit) {  // all that was due has fired, but for what became due within the call
      for (std::uint32_t i = 0; i < count; ++i) {
        const std::optional<Time> deadline = model_.deadline_of(i);
        if (deadline && *deadline <= now_) {
          ASSERT_TRUE(armed_within.contains(i));
        }
      }
      ASSERT_EQ(wheel_.lag(), 0ns);
    }
  }

  void check() {
    ASSERT_EQ(wheel_.size(), model_.size());
    ASSERT_EQ(wheel_.now(), now_);
    const std::optional<Time> next = wheel_.next_deadline();
    ASSERT_EQ(next.has_value(), model_.size() != 0);
    if (!next) return;
    ASSERT_LE(*next, std::max(*model_.earliest(), now_));  // nothing expires before it
  }
  void step_to_next_deadline() {
    quiet_ = true;  // what a callback arms and cancels again may leave a time behind that has passed
    advance(wheel_.next_deadline().value_or(now_), no_limit);
    quiet_ = false;
    if (model_.size() == 0 || *model_.earliest() <= now_) return;
    ASSERT_GT(*wheel_.next_deadline(), now_);  // leads on
  }

  Rng rng_;
  unsigned widest_;
  Time now_;
  bool quiet_ = false;
  TimerWheel wheel_;
  Model model_;
  std::vector<TimerNode> nodes_;
};

TEST(TimerWheel, random_use__all_magnitudes__agrees_with_a_sorted_model) {
  Rng rng = test::seeded_rng();
  for (int round = 0; round < 30; ++round) RandomUse{rng.next(), origin, 51}.run(4000);
}
TEST(TimerWheel, random_use__short_times__agrees_with_a_sorted_model) {
  Rng rng = test::seeded_rng();
  for (int round = 0; round < 30; ++round) RandomUse{rng.next(), origin, 20}.run(4000);
}
TEST(TimerWheel, random_use__across_a_turn_of_every_level__agrees_with_a_sorted_model) {
  Rng rng = test::seeded_rng();
  for (int round = 0; round < 30; ++round) {
    // The end of the top level's 2^49 ns, and the epoch.
    RandomUse{rng.next(), Time{Duration{(std::int64_t{1} << 49) - 100'000}}, 30}.run(2000);
    RandomUse{rng.next(), Time{Duration{-100'000}}, 30}.run(2000);
  }
}

}  // namespace
}  // namespace handfast::ds
