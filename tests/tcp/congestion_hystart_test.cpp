// SPDX-License-Identifier: BSD-3-Clause
// HyStart++ against RFC 9406: rounds, eight samples, the clamp, the way back. Layer: tests of the protocol.
#include <gtest/gtest.h>

#include "congestion_bench.hpp"
#include "tcp/hystart.hpp"

namespace handfast::test {
namespace {

constexpr std::uint32_t mss = Bench::mss;
using tcp::HyStart;

struct Rounds {
  HyStart hystart;
  Seq una{0xfffffff0}, nxt{0xfffffff0};
  /// A round of `acks` ACKs with that round trip; the phase after it.
  HyStart::Phase round(std::uint32_t rtt_us, int acks = 16) {
    for (int i = 0; i < acks - 1; ++i) hystart.on_ack(una + 1, nxt, rtt_us);
    una = nxt;
    nxt += 1000;
    return hystart.on_ack(una, nxt, rtt_us);
  }
  void begin() {
    nxt += 1000;
    hystart.on_ack(una, nxt, 0);
  }
};

TEST(HyStart, round_trip_stands__goes_on) {
  Rounds r;
  r.begin();
  for (int i = 0; i < 20; ++i) EXPECT_EQ(r.round(40'000), HyStart::Phase::slow_start);
}

TEST(HyStart, rise_of_an_eighth__conservative_and_over_after_five_rounds) {
  Rounds r;
  r.begin();
  r.round(40'000);
  EXPECT_EQ(r.round(44'999), HyStart::Phase::slow_start);
  r = {};
  r.begin();
  r.round(40'000);
  EXPECT_EQ(r.round(45'000), HyStart::Phase::conservative) << "40 ms / 8";
  // That round was the first of the five, in part.
  for (int i = 0; i < 3; ++i) EXPECT_EQ(r.round(45'000), HyStart::Phase::conservative) << i;
  EXPECT_EQ(r.round(45'000), HyStart::Phase::over);
  EXPECT_EQ(r.round(1'000), HyStart::Phase::over) << "for good";
}

TEST(HyStart, threshold__clamped_to_4_and_16_ms) {
  Rounds r;
  r.begin();
  r.round(1'000);
  EXPECT_EQ(r.round(4'999), HyStart::Phase::slow_start);
  r = {};
  r.begin();
  r.round(1'000);
  EXPECT_EQ(r.round(5'000), HyStart::Phase::conservative);
  r = {};
  r.begin();
  r.round(400'000);
  EXPECT_EQ(r.round(415'999), HyStart::Phase::slow_start);
  r = {};
  r.begin();
  r.round(400'000);
  EXPECT_EQ(r.round(416'000), HyStart::Phase::conservative);
}

TEST(HyStart, seven_samples__say_nothing) {
  Rounds r;
  r.begin();
  r.round(40'000);
  EXPECT_EQ(r.round(90'000, 7), HyStart::Phase::slow_start);
  r = {};
  r.begin();
  r.round(40'000);
  EXPECT_EQ(r.round(90'000, 8), HyStart::Phase::conservative);
}

TEST(HyStart, one_low_sample_in_the_round__it_is_the_least_that_counts) {
  Rounds r;
  r.begin();
  r.round(40'000);
  r.hystart.on_ack(r.una + 1, r.nxt, 41'000);
  EXPECT_EQ(r.round(90'000), HyStart::Phase::slow_start);
}

TEST(HyStart, round_trip_falls_again__back_to_slow_start) {
  Rounds r;
  r.begin();
  r.round(40'000);
  EXPECT_EQ(r.round(50'000), HyStart::Phase::conservative);
  EXPECT_EQ(r.round(49'000), HyStart::Phase::slow_start) << "below the round that ended it: it was jitter";
  EXPECT_EQ(r.round(60'000), HyStart::Phase::conservative) << "and it may end again";
}

TEST(HyStart, acks_without_a_sample__are_not_counted) {
  Rounds r;
  r.begin();
  r.round(40'000);
  for (int i = 0; i < 20; ++i) r.hystart.on_ack(r.una + 1, r.nxt, 0);
  EXPECT_EQ(r.round(90'000, 7), HyStart::Phase::slow_start);
}

TEST(CubicSlowStart, eight_segments_an_ack__a_quarter_of_it_while_conservative_then_avoidance) {
  Bench b(tcp::cubic);
  b.start();
  b.tcb.cwnd = 64 * mss;
  b.fill();
  const std::uint32_t before = b.tcb.cwnd;
  b.ack(20 * mss, {.rtt_us = 50'000, .cwnd_limited = true});
  EXPECT_EQ(b.tcb.cwnd, before + 8 * mss) << "L = 8 (RFC 9406 4.3)";
  b.round(50ms);
  b.round(50ms);
  ASSERT_EQ(b.tcb.ssthresh, tcp::no_threshold);
  b.round(80ms);
  const std::uint32_t slow = b.tcb.cwnd;
  b.ack(4 * mss, {.rtt_us = 80'000, .cwnd_limited = true});
  EXPECT_EQ(b.tcb.cwnd, slow + mss);
  for (int i = 0; i < 6; ++i) b.round(80ms);
  EXPECT_LT(b.tcb.ssthresh, tcp::no_threshold);
  EXPECT_GE(b.tcb.cwnd, b.tcb.ssthresh);
}

TEST(CubicSlowStart, after_a_loss__no_hystart) {
  Bench b(tcp::cubic);
  b.tcb.cwnd = 20 * mss;
  b.tcb.ssthresh = 100 * mss;
  b.start();
  b.fill();
  b.ack(8 * mss, {.rtt_us = 50'000, .cwnd_limited = true});
  EXPECT_EQ(b.tcb.cwnd, 22 * mss) << "L = 2";
  for (int i = 0; i < 20; ++i) b.ack(2 * mss, {.rtt_us = 500'000, .cwnd_limited = true});
  EXPECT_EQ(b.tcb.ssthresh, 100 * mss);
}

}  // namespace
}  // namespace handfast::test
