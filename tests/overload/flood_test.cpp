// SPDX-License-Identifier: BSD-3-Clause
// SYNs of nobody by the ten thousand beside clients who mean it: all of those are served, and what is forged costs no
// memory. Layer: tests of overload, in virtual time. What one costs in time is bench/overload's to say.
#include <gtest/gtest.h>

#include "endurance/traffic.hpp"
#include "overload/forged_syn.hpp"
#include "shard/shard.hpp"
#include "support/pair.hpp"
#include "support/usage.hpp"

namespace handfast::test {
namespace {

struct Flood {
  explicit Flood(double loss) : pair(test_seed(), rules(loss), [](CoreConfig& c) { c.link.gateway = Pair::address(0); }) {
    EXPECT_TRUE(pair.core(1).listen_with({any, 80}, *pair.core(1).add_handler_ref(server)));
    self = *pair.core(0).add_handler_ref(client);
  }
  static LinkRules rules(double loss) {
    LinkRules link;
    link.loss = loss;
    link.delay = 2300us;  // so that no place becomes free just as a real SYN arrives
    return link;
  }
  /// `syns` forged ones a millisecond, one client every four.
  void run(int ms, int syns) {
    for (int i = 0; i < ms; ++i) {
      for (int k = 0; k < syns; ++k) pair.stack(1).receive(build(forged_syn(pair.rng())));
      if (i % 4 == 0) {
        EXPECT_TRUE(client.open(pair.core(0), self, {Pair::address(1), 80}, {.bytes = 1000}));
      }
      pair.run_for(1ms);
    }
  }
  Traffic client;
  EchoBack server;
  Pair pair;
  HandlerRef self;
};

TEST(SynFlood, forged_beside_real__every_real_connection_succeeds) {
  for (const double loss : {0.0, 0.02}) {
    SCOPED_TRACE(loss);
    Flood flood{loss};
    flood.run(2000, 20);
    EXPECT_GT(flood.pair.core(1).stats().syn_cookies_sent, 30'000u);
    EXPECT_TRUE(flood.pair.run_until([&] { return flood.client.finished == flood.client.opened; }, 1min));
    EXPECT_EQ(flood.client.finished, flood.client.opened) << "of " << flood.client.opened;
    EXPECT_EQ(flood.client.wrong_bytes, 0u);
    EXPECT_GT(flood.pair.core(1).stats().syn_cookies_accepted, flood.client.opened / 2)
        << "accepted: " << flood.pair.core(1).stats().accepted << ", half-open " << usage_of(flood.pair.core(1)).half_open;
    EXPECT_TRUE(flood.pair.run_idle(1min));
  }
}

TEST(SynFlood, beyond_the_limit__neither_memory_nor_timers) {
  Flood flood{0};
  auto& core = flood.pair.core(1);
  ASSERT_TRUE(flood.pair.run_until([&] { return core.resolve(Pair::address(0)); }, 1s));
  for (int i = 0; i < 200; ++i) flood.pair.stack(1).receive(build(forged_syn(flood.pair.rng())));
  flood.pair.run_for(3ms);
  const Usage full = usage_of(core);
  const std::size_t timers = core.shard().tcp().half_open_wheel.size() + core.shard().tcp().tcb_wheel.size();
  EXPECT_EQ(full.half_open, core.config().limits.half_open);
  for (int i = 0; i < 3000; ++i) flood.pair.stack(1).receive(build(forged_syn(flood.pair.rng())));
  flood.pair.run_for(1ms);
  EXPECT_GT(core.stats().syn_cookies_sent, 3000u);
  EXPECT_EQ(usage_of(core), full) << "0 bytes for each";
  EXPECT_EQ(core.shard().tcp().half_open_wheel.size() + core.shard().tcp().tcb_wheel.size(), timers);
  EXPECT_EQ(flood.pair.stack(1).buffers_in_use(), 0u) << "answers, or frames that wait for a neighbour";
  EXPECT_TRUE(flood.pair.run_idle(1min));
}

}  // namespace
}  // namespace handfast::test
