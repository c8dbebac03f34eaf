// SPDX-License-Identifier: BSD-3-Clause
// DCTCP's alpha and window against RFC 8257. Layer: tests of the protocol.
#include <gtest/gtest.h>

#include "congestion_bench.hpp"

namespace handfast::test {
namespace {

constexpr std::uint32_t mss = Bench::mss;

struct Sender : Bench {
  Sender() : Bench(tcp::dctcp) {
    start();
    tcb.cwnd = tcb.ssthresh = 100 * mss;
    fill();
  }
  /// Ends one observation window: a hundred ACKs, the first `marked` of them with ECE.
  void window(std::uint32_t marked) {
    for (std::uint32_t i = 0; i < 100; ++i) {
      tcb.snd_nxt = tcb.snd_una + 100 * mss;  // so that the next window ends with its hundredth ACK
      ack(mss, {.cwnd_limited = false, .ece = i < marked});
    }
  }
  /// What the next mark would cost: cwnd * alpha / 2.
  double alpha() { return 2.0 * (tcb.cwnd - ops.reduce(cx, tcb, flight, true)) / tcb.cwnd; }
};

// rfc8257 3.3b
TEST(Dctcp, at_first__alpha_is_one_and_a_mark_halves) {
  Sender s;
  EXPECT_NEAR(s.alpha(), 1.0, 0.001);
  EXPECT_EQ(s.ops.reduce(s.cx, s.tcb, s.flight, true), 50 * mss);
}

// rfc8257 3.3a
TEST(Dctcp, alpha__moving_average_of_the_marked_fraction) {
  Sender s;
  s.tcb.snd_nxt = s.tcb.snd_una + 100 * mss;
  s.ack(mss, {.cwnd_limited = false});  // WindowEnd starts at SND.UNA: the first ACK ends a window of its own
  double alpha = 15.0 / 16;
  EXPECT_NEAR(s.alpha(), alpha, 0.001);
  for (const std::uint32_t marked : {0u, 0u, 100u, 30u, 0u, 50u}) {
    s.window(marked);
    alpha = alpha * 15 / 16 + marked / 100.0 / 16;
    EXPECT_NEAR(s.alpha(), alpha, 0.001) << marked;
  }
}

// rfc8257 4.2
TEST(Dctcp, no_marks_for_long__alpha_reaches_zero_and_a_mark_costs_nothing) {
  Sender s;
  for (int i = 0; i < 500; ++i) s.window(0);
  EXPECT_EQ(s.ops.reduce(s.cx, s.tcb, s.flight, true), s.tcb.cwnd) << "section 4.2";
}

// rfc8257 4.2
TEST(Dctcp, everything_marked__alpha_stays_one) {
  Sender s;
  for (int i = 0; i < 100; ++i) s.window(1000);
  EXPECT_NEAR(s.alpha(), 1.0, 0.001);
  EXPECT_LE(s.alpha(), 1.0);
}

// rfc8257 3.5
TEST(Dctcp, loss__halves_whatever_alpha_says) {
  Sender s;
  for (int i = 0; i < 500; ++i) s.window(0);
  s.fill();
  EXPECT_EQ(s.ops.reduce(s.cx, s.tcb, s.flight, false), 50 * mss) << "section 3.5";
}

TEST(Dctcp, timeout__one_segment) {
  Sender s;
  s.ops.on_timeout(s.cx, s.tcb, s.flight);
  EXPECT_EQ(s.tcb.cwnd, mss);
  EXPECT_EQ(s.tcb.ssthresh, 50 * mss);
}

TEST(Dctcp, growth__as_newreno) {
  Bench d(tcp::dctcp), n(tcp::new_reno);
  d.tcb.ssthresh = n.tcb.ssthresh = 40 * mss;
  d.start();
  n.start();
  for (int i = 0; i < 12; ++i) d.round(50ms), n.round(50ms);
  EXPECT_EQ(d.tcb.cwnd, n.tcb.cwnd);
  EXPECT_GT(d.tcb.cwnd, 40 * mss);
}

TEST(Dctcp, asks_for_every_mark) {
  EXPECT_TRUE(tcp::dctcp.counts_marks);
  EXPECT_FALSE(tcp::cubic.counts_marks);
}

}  // namespace
}  // namespace handfast::test
