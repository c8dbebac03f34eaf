// SPDX-License-Identifier: BSD-3-Clause
// BBR's search on the model of a path, state by state, against draft-ietf-ccwg-bbr. Layer: tests of the protocol.
// 100 Mbit/s and 40 ms if nothing else is said: 500000 bytes. The clock's microseconds wrap after five seconds.
#include <gtest/gtest.h>

#include "congestion_path.hpp"
#include "tcp/bbr_state.hpp"

namespace handfast::test {
namespace {

using tcp::Bbr;
using Mode = Bbr::Mode;
constexpr std::uint32_t mss = Bench::mss;

/// A flow, and when it entered which state.
struct Watched {
  explicit Watched(PathRules rules) : path(std::move(rules)), flow(path.add(tcp::bbr)), m(tcp::own<Bbr>(flow.flight)) {
    began = path.cx.now;
    flow.on_event = [this] {
      if (changes.empty() || changes.back().mode != m.mode) changes.push_back({path.cx.now - began, m.mode});
    };
  }
  /// True once it is in that state.
  bool reach(Mode mode, Duration limit) {
    const Time end = path.cx.now + limit;
    while (path.cx.now < end) {
      if (m.mode == mode) return true;
      path.run_for(1ms);
    }
    return false;
  }
  [[nodiscard]] std::vector<Duration> entries(Mode mode) const {
    std::vector<Duration> at;
    for (const auto& c : changes) {
      if (c.mode == mode) at.push_back(c.at);
    }
    return at;
  }
  [[nodiscard]] double bw() const {
    return static_cast<double>(std::max(m.max_bw[0], m.max_bw[1])) / static_cast<double>(path.rules.rate);
  }

  struct Change {
    Duration at;
    Mode mode;
  };
  Path path;
  Path::Flow& flow;
  const Bbr& m;
  Time began;
  std::vector<Change> changes;
};

TEST(BbrStartup, plateau__rate_found_and_drained_after_three_rounds_without_growth) {
  Watched w({.buffer = 2'000'000});
  ASSERT_TRUE(w.reach(Mode::drain, 2s));
  EXPECT_NEAR(w.bw(), 1.0, 0.02);
  // Ten segments become 342 in six rounds of doubling; the seventh shows that it is the end, and three confirm it.
  EXPECT_LE(w.m.rounds, 6u + 1 + 3 + 1);
  EXPECT_TRUE(w.m.full_bw_reached);
  EXPECT_EQ(w.m.inflight_hi, Bbr::no_volume) << "nothing was lost";
  EXPECT_EQ(w.flow.lost, 0u);
}

TEST(BbrStartup, first_rate__2_77_times_the_initial_window_a_round_trip) {
  Bench b(tcp::bbr);
  b.start();
  EXPECT_EQ(b.flight.pacing_rate, 10ull * mss * 20 * 277 / 100);
}

TEST(BbrStartup, shallow_buffer__loss_ends_it_and_bounds_the_flight) {
  Watched w({.buffer = 50'000});
  ASSERT_TRUE(w.reach(Mode::drain, 2s));
  EXPECT_GE(w.m.inflight_hi, w.path.bdp() * 9 / 10);
  EXPECT_LE(w.m.inflight_hi, w.path.bdp() * 3);
  EXPECT_GT(w.bw(), 0.9);
}

TEST(BbrStartup, application_limited_without_loss__never_leaves) {
  Watched w({});
  w.flow.app_rate = 1'000'000;
  w.path.run_for(4s);
  EXPECT_EQ(w.m.mode, Mode::startup);
  EXPECT_EQ(w.flow.lost, 0u);
}

TEST(BbrDrain, half_the_rate_until_one_bdp_is_in_flight) {
  Watched w({.buffer = 2'000'000});
  ASSERT_TRUE(w.reach(Mode::drain, 2s));
  EXPECT_NEAR(static_cast<double>(w.flow.flight.pacing_rate) / static_cast<double>(w.m.bw), 0.495, 0.001);
  EXPECT_GT(w.flow.in_flight(), w.path.bdp());
  // DOWN has nothing to do after it, and is left with the same ACK.
  ASSERT_TRUE(w.reach(Mode::probe_cruise, 200ms)) << "a BDP of queue at half the rate: two rounds";
  EXPECT_LE(w.flow.in_flight(), w.path.bdp() * 102 / 100);
}

TEST(BbrProbeBw, cycle__down_cruise_refill_up_every_two_to_three_seconds) {
  Watched w({.buffer = 2'000'000});
  w.path.run_for(4900ms);
  const std::vector<Mode> order{Mode::startup,      Mode::drain,    Mode::probe_cruise,
                                Mode::probe_refill, Mode::probe_up, Mode::probe_down, Mode::probe_cruise};
  ASSERT_GE(w.changes.size(), order.size());
  for (std::size_t i = 0; i < order.size(); ++i) EXPECT_EQ(w.changes[i].mode, order[i]) << i;
  const Duration wait = w.entries(Mode::probe_refill)[0] - w.entries(Mode::probe_cruise)[0];
  EXPECT_GE(wait, 2s);
  EXPECT_LE(wait, 3s + 80ms);
  const Duration refill = w.entries(Mode::probe_up)[0] - w.entries(Mode::probe_refill)[0];
  EXPECT_GE(refill, 39ms) << "one round";
  EXPECT_LE(refill, 90ms);
}

TEST(BbrProbeBw, short_round_trips__probes_as_often_as_reno_would) {
  Watched w({.rate = 12'500'000, .rtt = 10ms, .buffer = 2'000'000});
  w.path.run_for(3s);
  // 62 or 63 rounds of 10 ms; the first is 0 or 1 ahead.
  const auto at = w.entries(Mode::probe_refill);
  ASSERT_GE(at.size(), 3u);
  EXPECT_NEAR(static_cast<double>((at[1] - at[0]) / 1ms), 690, 120);
}

TEST(BbrProbeBw, cruise__no_queue_and_the_whole_rate) {
  Watched w({.buffer = 2'000'000});
  ASSERT_TRUE(w.reach(Mode::probe_cruise, 3s));
  w.path.run_for(500ms);
  ASSERT_EQ(w.m.mode, Mode::probe_cruise);
  const std::uint64_t before = w.flow.delivered;
  for (int i = 0; i < 100; ++i) {
    w.path.run_for(10ms);
    EXPECT_LT(w.path.queued(), w.path.bdp() / 10);
  }
  EXPECT_GT(static_cast<double>(w.flow.delivered - before), 0.97 * 12'500'000);
}

TEST(BbrProbeBw, path_gets_four_times_as_fast__found_within_three_cycles) {
  Watched w({.buffer = 2'000'000});
  w.path.run_for(4s);
  w.path.rules.rate *= 4;
  w.path.run_for(9s);
  EXPECT_GT(w.bw(), 0.9);
}

TEST(BbrProbeBw, path_gets_slower__follows_within_two_cycles) {
  Watched w({.buffer = 2'000'000});
  w.path.run_for(4s);
  w.path.rules.rate /= 2;
  w.path.run_for(12s);  // a cycle takes three seconds, PROBE_RTT starts its waiting over
  EXPECT_NEAR(w.bw(), 1.0, 0.05);
}

TEST(BbrProbeRtt, every_five_seconds__half_a_bdp_for_200_ms_and_a_round) {
  Watched w({.buffer = 2'000'000});
  std::uint32_t least = 0xffffffff;
  for (int i = 0; i < 21'000; ++i) {
    w.path.run_for(1ms);
    if (w.m.mode == Mode::probe_rtt) least = std::min(least, w.flow.in_flight());
  }
  const auto at = w.entries(Mode::probe_rtt);
  ASSERT_GE(at.size(), 3u);
  ASSERT_LE(at.size(), 4u);
  for (std::size_t i = 1; i < at.size(); ++i) EXPECT_NEAR(static_cast<double>((at[i] - at[i - 1]) / 1ms), 5280, 150) << i;
  EXPECT_LE(least, w.path.bdp() * 55 / 100);
  EXPECT_GE(least, w.path.bdp() * 40 / 100);
  EXPECT_NEAR(w.m.min_rtt_us, 40'117, 150) << "and one packet's time on the wire";
}

TEST(BbrProbeRtt, longer_path__believed_after_ten_seconds) {
  Watched w({.buffer = 2'000'000});
  w.path.run_for(6s);
  w.path.rules.rtt = 80ms;
  w.path.run_for(4s);
  EXPECT_LT(w.m.min_rtt_us, 41'000u);
  w.path.run_for(12s);
  EXPECT_GE(w.m.min_rtt_us, 80'000u);
  const std::uint64_t before = w.flow.delivered;
  w.path.run_for(10s);
  EXPECT_GT(static_cast<double>(w.flow.delivered - before), 0.9 * 10 * 12'500'000);
}

TEST(BbrProbeRtt, after_silence__not_entered) {
  Watched w({.buffer = 2'000'000});
  w.path.run_for(4s);
  w.flow.on = false;
  w.path.run_for(8s);
  w.flow.on = true;
  w.flow.try_send();
  EXPECT_NEAR(static_cast<double>(w.flow.flight.pacing_rate), 0.99 * static_cast<double>(w.m.bw), 10)
      << "restarts at exactly bw";
  const std::size_t before = w.entries(Mode::probe_rtt).size();
  w.path.run_for(2s);
  EXPECT_EQ(w.entries(Mode::probe_rtt).size(), before);
}

TEST(BbrLoss, one_percent_at_random__hardly_slows_it) {
  Rng rng(5);
  Watched w({.buffer = 2'000'000, .lose = [&](int, std::uint64_t) { return rng.below(100) == 0; }});
  w.path.run_for(5s);
  const std::uint64_t before = w.flow.delivered;
  w.path.run_for(20s);
  EXPECT_GT(static_cast<double>(w.flow.delivered - before), 0.8 * 20 * 12'500'000);
}

TEST(BbrLoss, round_with_loss_in_cruise__follows_what_was_delivered_and_no_lower_than_seven_tenths) {
  bool lossy = false;
  std::uint64_t n = 0;
  Watched w({.buffer = 2'000'000, .lose = [&](int, std::uint64_t) { return lossy && ++n % 2 == 0; }});
  ASSERT_TRUE(w.reach(Mode::probe_cruise, 3s));
  w.path.run_for(200ms);
  ASSERT_EQ(w.m.mode, Mode::probe_cruise);
  const std::uint64_t bw = w.m.bw;
  lossy = true;
  w.path.run_for(45ms);  // half of a round's packets
  lossy = false;
  w.path.run_for(120ms);
  ASSERT_EQ(w.m.mode, Mode::probe_cruise);
  EXPECT_LT(w.m.bw, bw);
  EXPECT_GE(w.m.bw, bw * 70 / 100 * 70 / 100) << "two rounds of it at most";
  EXPECT_LT(w.m.inflight_lo, Bbr::no_volume);
  ASSERT_TRUE(w.reach(Mode::probe_refill, 4s));
  w.path.run_for(1ms);
  EXPECT_EQ(w.m.bw_lo, Bbr::no_rate) << "forgotten when the pipe is filled again";
}

TEST(BbrLoss, shallow_buffer_probe__bound_is_learned_and_throughput_kept) {
  Watched w({.buffer = 100'000});
  w.path.run_for(5s);
  const std::uint64_t before = w.flow.delivered, lost = w.flow.lost;
  w.path.run_for(20s);
  const double got = static_cast<double>(w.flow.delivered - before);
  EXPECT_GT(got, 0.9 * 20 * 12'500'000);
  EXPECT_LT(w.m.inflight_hi, Bbr::no_volume);
  EXPECT_LT(static_cast<double>(w.flow.lost - lost), 0.02 * got);
}

TEST(BbrLoss, congestion_mark__counts_as_a_round_with_loss) {
  Watched w({.buffer = 2'000'000});
  ASSERT_TRUE(w.reach(Mode::probe_cruise, 3s));
  w.path.run_for(200ms);
  const std::uint64_t bw = w.m.bw;
  w.path.rules.mark_above = 0;
  const_cast<Bbr&>(w.m).mode = Mode::probe_cruise;
  tcp::AckEvent marked;
  marked.ece = true;
  tcp::bbr.on_ack(w.path.cx, w.flow.tcb, w.flow.flight, marked);
  EXPECT_TRUE(w.m.loss_in_round);
  w.path.run_for(100ms);
  EXPECT_LE(w.m.bw, bw);
  EXPECT_LT(w.m.inflight_lo, Bbr::no_volume);
}

TEST(BbrTimeout, one_segment__then_the_window_from_before) {
  Watched w({.buffer = 2'000'000});
  ASSERT_TRUE(w.reach(Mode::probe_cruise, 3s));
  w.path.run_for(100ms);
  const std::uint32_t cwnd = w.flow.tcb.cwnd;
  tcp::bbr.on_timeout(w.path.cx, w.flow.tcb, w.flow.flight);
  EXPECT_EQ(w.flow.tcb.cwnd, mss);
  w.flow.tcb.recovery = tcp::Recovery::timeout;
  w.flow.flight.recover = w.flow.tcb.snd_nxt;
  w.path.run_for(100ms);
  EXPECT_EQ(w.flow.tcb.recovery, tcp::Recovery::open);
  EXPECT_GE(w.flow.tcb.cwnd, cwnd * 6 / 10);
}

TEST(BbrUndo, startup_left_for_a_loss_that_was_none__goes_on_with_it) {
  Watched w({.buffer = 50'000});
  ASSERT_TRUE(w.reach(Mode::drain, 2s));
  ASSERT_TRUE(w.m.undo_set) << "it was the loss that ended startup";
  tcp::bbr.on_undo(w.path.cx, w.flow.tcb, w.flow.flight);
  EXPECT_EQ(w.m.mode, Mode::startup);
  EXPECT_FALSE(w.m.full_bw_reached);
  EXPECT_EQ(w.m.inflight_hi, Bbr::no_volume);
  EXPECT_EQ(w.m.bw_lo, Bbr::no_rate);
}

TEST(BbrWindow, fastest_and_longest__neither_wraps_nor_passes_a_gibibyte) {
  Bench b(tcp::bbr);
  b.tcb.srtt_us = 2'000'000'000;
  b.start();
  b.fill();
  for (std::uint32_t i = 0; i < 200; ++i) {
    b.pass(100ms);
    tcp::AckEvent e{.rtt_us = 0xfffffff0, .cwnd_limited = true};
    e.rate = {.delivered = 0xf0000000, .interval_us = 1, .prior_delivered = b.flight.delivered, .in_flight = b.tcb.cwnd};
    b.ack(b.tcb.cwnd / 2, e);
    EXPECT_LE(b.tcb.cwnd, tcp::max_window);
    EXPECT_GE(b.tcb.cwnd, 4 * mss);
    EXPECT_LE(b.flight.pacing_rate, std::uint64_t{1} << 38);
  }
}

}  // namespace
}  // namespace handfast::test
