// SPDX-License-Identifier: BSD-3-Clause
// Every table and pool of a shard with 1, 2, 3 ... places, up to as many as a short script needs, and a port that has a
// buffer for the first n frames: whatever is missing, connections end as they must, no byte is wrong, nothing leaks, and
// what can be served later is. Layer: tests of endurance, in virtual time. (A failure in the middle of one poll is the
// simulator's to find.)
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>

#include "endurance/traffic.hpp"
#include "shard/shard.hpp"
#include "support/pair.hpp"
#include "support/usage.hpp"

namespace handfast::test {
namespace {

constexpr std::size_t no_limit = std::numeric_limits<std::size_t>::max();

/// Of everything that is sized at start: the least and the most that the script is run with.
struct Pool {
  const char* name;
  std::uint32_t least, most;
  std::uint32_t step;
  void (*set)(Limits&, std::uint32_t);
};

const Pool pools[] = {
    {"connections", 1, 8, 1, [](Limits& l, std::uint32_t n) { l.connections = n; }},
    {"half_open", 1, 8, 1, [](Limits& l, std::uint32_t n) { l.half_open = n; }},
    {"time_wait", 1, 8, 1, [](Limits& l, std::uint32_t n) { l.time_wait = n; }},
    {"chunks", 32, 60, 1, [](Limits& l, std::uint32_t n) { l.buffer_memory = std::uint64_t{n} * 2048; }},
    {"extents", 1, 40, 1, [](Limits& l, std::uint32_t n) { l.send_extents = n; }},
    {"recovery_blocks", 1, 12, 1, [](Limits& l, std::uint32_t n) { l.recovery_blocks = n; }},
    {"path_searches", 0, 8, 1, [](Limits& l, std::uint32_t n) { l.path_searches = n; }},
    {"paths", 0, 2, 1, [](Limits& l, std::uint32_t n) { l.paths = n; }},
    {"neighbours", 1, 2, 1, [](Limits& l, std::uint32_t n) { l.neighbours = n; }},
    {"held_frames", 1, 8, 1, [](Limits& l, std::uint32_t n) { l.held_frames = n; }},
};

/// Six connections that open at once over a bad path, one of them with more than a window, on a path that swallows large
/// frames for a while; each echoes, closes, is gone.
class Script {
 public:
  Script(std::uint64_t seed, const std::function<void(CoreConfig&)>& adjust)
      : pair(seed, link(), [&](CoreConfig& c) {
          c.tcp.msl = 1s;
          c.tcp.keepalive = true;  // an end whose peer could not keep its half is told so
          c.tcp.keepalive_idle = 10s;
          c.tcp.keepalive_interval = 1s;
          c.tcp.connect_timeout = 180s;
          c.tcp.r2_timeout = 100s;
          c.tcp.path_mtu_discovery = PathMtuDiscovery::always;
          if (adjust) adjust(c);
        }) {
    pair.rules.lose = [this](int, std::size_t, std::span<const std::byte> frame) {
      return frame.size() > 1200 && narrow_from <= pair.now() && pair.now() < narrow_from + 3s;
    };
    EXPECT_TRUE(pair.core(1).listen_with({any, 80}, *pair.core(1).add_handler_ref(server)));
    self = *pair.core(0).add_handler_ref(client);
  }

  void run() {
    narrow_from = pair.now() + 20ms;
    for (int i = 0; i < 6; ++i) open({.bytes = i == 0 ? 60'000u : 2500u, .turns = 2, .pause = 30ms});
  }
  /// Everybody is gone; nothing is held.
  void expect_the_end() {
    EXPECT_TRUE(pair.run_idle(2h)) << "something never ends";
    EXPECT_EQ(client.wrong_bytes, 0u);
    std::uint64_t all = 0;
    for (const std::uint64_t n : client.ended) all += n;
    EXPECT_EQ(all, client.opened) << "on_closed, once for each";
    pair.run_for(10s);
    for (int end = 0; end < 2; ++end) {
      SCOPED_TRACE("end " + std::to_string(end));
      EXPECT_EQ(usage_of(pair.core(end)), Usage{});
      const auto& cx = pair.core(end).shard().tcp();
      EXPECT_EQ(cx.tcb_wheel.size() + cx.half_open_wheel.size(), 0u) << "timers";
      EXPECT_EQ(pair.stack(end).buffers_in_use(), 0u);
    }
  }
  /// Now that the others are gone there is room for one.
  void expect_served_now() {
    const std::uint64_t before = client.finished;
    pair.rules.lose = nullptr;
    pair.rules.loss = 0;
    open({.bytes = 300});
    expect_the_end();
    EXPECT_EQ(client.finished, before + 1) << "one alone";
  }

  Traffic client;
  EchoBack server;
  Pair pair;

 private:
  static LinkRules link() {
    LinkRules rules;
    rules.delay = 5ms;
    rules.jitter = 3ms;
    rules.loss = 0.03;
    rules.duplicate = 0.02;
    return rules;
  }
  void open(const Task& task) { static_cast<void>(client.open(pair.core(0), self, {Pair::address(1), 80}, task)); }
  HandlerRef self;
  Time narrow_from = Time::max();
};

TEST(Exhaustion, script_with_enough_of_everything__all_finish) {
  Script script{test_seed(), {}};
  script.run();
  script.expect_the_end();
  EXPECT_EQ(script.client.finished, 6u);
  EXPECT_GT(script.pair.core(1).stats().out_of_order, 0u);
  script.expect_served_now();
}

/// Either end of each pool, each size.
class OfPool : public ::testing::TestWithParam<std::tuple<Pool, int>> {};
std::string name_of(const testing::TestParamInfo<std::tuple<Pool, int>>& info) {
  return std::string{std::get<0>(info.param).name} + "_of_end_" + std::to_string(std::get<1>(info.param));
}
INSTANTIATE_TEST_SUITE_P(Exhaustion, OfPool, testing::Combine(testing::ValuesIn(pools), testing::Values(0, 1)), name_of);

TEST_P(OfPool, n_places__clean_end_nothing_left_and_served_afterwards) {
  const Pool& pool = std::get<0>(GetParam());  // no structured binding: clang 14 lets no lambda have one
  const int end = std::get<1>(GetParam());
  for (std::uint32_t n = pool.least; n <= pool.most; n += pool.step) {
    SCOPED_TRACE(std::to_string(n) + " places");
    bool refused = false;
    Script script{test_seed() + n, [&, made = 0](CoreConfig& c) mutable {
                    if (made++ != end) return;
                    const Limits before = c.limits;
                    pool.set(c.limits, n);
                    if (validate(c)) refused = true, c.limits = before;  // out of the range that is allowed
                  }};
    if (refused) continue;
    script.run();
    script.expect_the_end();
    script.expect_served_now();
    if (testing::Test::HasFailure()) return;
  }
}

TEST(Exhaustion, port_has_n_more_buffers_for_a_second__all_finish) {
  for (int end = 0; end < 2; ++end)
    for (std::size_t n = 0; n < 80; ++n) {
      SCOPED_TRACE("end " + std::to_string(end) + ", " + std::to_string(n) + " buffers");
      Script script{test_seed() + n, {}};
      script.pair.stack(end).limit_buffers(n);
      script.run();
      script.pair.run_for(1s);
      script.pair.stack(end).limit_buffers(no_limit);
      script.expect_the_end();
      EXPECT_EQ(script.client.finished, script.client.opened);
      if (testing::Test::HasFailure()) return;
    }
}

TEST(Exhaustion, port_has_n_more_buffers_for_ever__all_end_and_nothing_is_left) {
  for (int end = 0; end < 2; ++end)
    for (std::size_t n = 0; n < 80; n += 1 + n / 8) {
      SCOPED_TRACE("end " + std::to_string(end) + ", " + std::to_string(n) + " buffers");
      Script script{test_seed() + n, {}};
      script.pair.stack(end).limit_buffers(n);
      script.run();
      script.expect_the_end();
      if (testing::Test::HasFailure()) return;
    }
}

}  // namespace
}  // namespace handfast::test
