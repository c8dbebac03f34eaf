// SPDX-License-Identifier: BSD-3-Clause
// Every algorithm on the model of a path: it finds the rate, keeps it, shares it. Layer: tests of the protocol.
#include <gtest/gtest.h>

#include "congestion_path.hpp"
#include "tcp/bbr_state.hpp"

namespace handfast::test {
namespace {

struct Case {
  const char* name;
  const tcp::CongestionOps* ops;
};

class EveryAlgorithm : public testing::TestWithParam<Case> {};

double share(std::uint64_t bytes, const Path& path, double seconds) {
  return static_cast<double>(bytes) / (static_cast<double>(path.rules.rate) * seconds);
}

TEST_P(EveryAlgorithm, long_flow__fills_the_bottleneck) {
  Path path({});
  auto& flow = path.add(*GetParam().ops);
  path.run_for(5s);
  const std::uint64_t before = flow.delivered;
  path.run_for(20s);
  EXPECT_GT(share(flow.delivered - before, path, 20), 0.90);
  EXPECT_EQ(flow.timeouts, 0u);
}

TEST_P(EveryAlgorithm, ramp_up__half_of_the_rate_within_a_second) {
  Path path({});
  auto& flow = path.add(*GetParam().ops);
  path.run_for(1s);
  EXPECT_GT(share(flow.delivered, path, 1), 0.5);
}

TEST_P(EveryAlgorithm, two_flows__fair_within_a_fifth_over_30_seconds) {
  // Only DCTCP can keep a queue of a fifth of a round trip from running dry.
  const bool marks = GetParam().ops->counts_marks;
  Path path({.rate = 2'500'000, .rtt = 20ms, .buffer = 100'000, .mark_above = marks ? 15'000 : 0xffffffff});
  auto& first = path.add(*GetParam().ops);
  path.run_for(2s);
  auto& second = path.add(*GetParam().ops);
  path.run_for(20s);  // to meet
  const std::uint64_t a = first.delivered, b = second.delivered;
  path.run_for(30s);
  const double got_a = share(first.delivered - a, path, 30), got_b = share(second.delivered - b, path, 30);
  EXPECT_GT(got_a + got_b, 0.90);
  EXPECT_NEAR(got_a / (got_a + got_b), 0.5, 0.1) << got_a << " against " << got_b;
}

TEST_P(EveryAlgorithm, one_loss__costs_little) {
  Path path({.buffer = 2'000'000, .lose = [](int, std::uint64_t n) { return n == 3000; }});
  auto& flow = path.add(*GetParam().ops);
  path.run_for(20s);
  EXPECT_GT(share(flow.delivered, path, 20), 0.90);
}

TEST_P(EveryAlgorithm, slow_application__the_window_does_not_run_away) {
  Path path({});
  auto& flow = path.add(*GetParam().ops);
  flow.app_rate = 500'000;
  path.run_for(60s);
  EXPECT_GT(share(flow.delivered, path, 60), 0.035);
  EXPECT_EQ(flow.lost, 0u);
  EXPECT_LT(flow.tcb.cwnd, 200'000u) << "20000 bytes a round trip were all that was ever used";
}

TEST_P(EveryAlgorithm, everything_lost_for_a_while__comes_back) {
  bool dead = false;
  Path path({.lose = [&](int, std::uint64_t) { return dead; }});
  auto& flow = path.add(*GetParam().ops);
  path.run_for(3s);
  dead = true;
  path.run_for(1s);
  dead = false;
  path.run_for(2s);
  const std::uint64_t before = flow.delivered;
  path.run_for(10s);
  EXPECT_GE(flow.timeouts, 1u);
  EXPECT_GT(share(flow.delivered - before, path, 10), 0.80);
}

TEST_P(EveryAlgorithm, slow_and_long__one_megabit_and_300_ms) {
  Path path({.rate = 125'000, .rtt = 300ms, .buffer = 60'000});
  auto& flow = path.add(*GetParam().ops);
  path.run_for(10s);
  const std::uint64_t before = flow.delivered;
  path.run_for(30s);
  EXPECT_GT(share(flow.delivered - before, path, 30), 0.85);
}

TEST_P(EveryAlgorithm, data_centre__ten_gigabits_and_100_us) {
  const bool marks = GetParam().ops->counts_marks;
  Path path({.rate = 1'250'000'000, .rtt = 100us, .buffer = 1'000'000, .mark_above = marks ? 100'000 : 0xffffffff});
  auto& flow = path.add(*GetParam().ops);
  path.run_for(200ms);
  const std::uint64_t before = flow.delivered;
  path.run_for(300ms);
  EXPECT_GT(share(flow.delivered - before, path, 0.3), 0.85);
}

INSTANTIATE_TEST_SUITE_P(Congestion, EveryAlgorithm,
                         testing::Values(Case{"new_reno", &tcp::new_reno}, Case{"cubic", &tcp::cubic},
                                         Case{"dctcp", &tcp::dctcp}, Case{"bbr", &tcp::bbr}),
                         [](const auto& one) { return std::string{one.param.name}; });

}  // namespace
}  // namespace handfast::test
