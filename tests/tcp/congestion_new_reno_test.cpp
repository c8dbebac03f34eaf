// SPDX-License-Identifier: BSD-3-Clause
// NewReno's window against RFC 5681 and RFC 3465, and the pacing that the window-based algorithms share.
// Layer: tests of the protocol, below frames.
#include <gtest/gtest.h>

#include "congestion_bench.hpp"

namespace handfast::test {
namespace {

constexpr std::uint32_t mss = Bench::mss;
constexpr tcp::AckEvent unlimited{.cwnd_limited = false};

// rfc3465 2.2, 2.3a
TEST(NewRenoWindow, slow_start__adds_what_is_acknowledged_up_to_two_segments) {
  Bench b(tcp::new_reno);
  b.start();
  b.fill();
  b.ack(100);
  EXPECT_EQ(b.tcb.cwnd, 10 * mss + 100) << "RFC 3465: bytes, not ACKs";
  b.ack(2 * mss);
  EXPECT_EQ(b.tcb.cwnd, 12 * mss + 100);
  b.ack(5 * mss);
  EXPECT_EQ(b.tcb.cwnd, 14 * mss + 100) << "L = 2";
}

// rfc3465 2.3b
TEST(NewRenoWindow, slow_start_after_a_timeout__one_segment_for_each_ack) {
  Bench b(tcp::new_reno);
  b.start();
  b.fill();
  b.ops.on_timeout(b.cx, b.tcb, b.flight);
  b.tcb.recovery = tcp::Recovery::timeout;
  EXPECT_EQ(b.tcb.cwnd, mss);
  EXPECT_EQ(b.tcb.ssthresh, 5 * mss) << "half of the flight";
  b.ack(4 * mss, unlimited);
  EXPECT_EQ(b.tcb.cwnd, 2 * mss) << "RFC 3465 2.3: L = 1";
}

TEST(NewRenoWindow, second_timeout_of_a_flight__threshold_stays) {
  Bench b(tcp::new_reno);
  b.start();
  b.fill();
  b.ops.on_timeout(b.cx, b.tcb, b.flight);
  b.tcb.backoff = 1;
  b.ops.on_timeout(b.cx, b.tcb, b.flight);
  EXPECT_EQ(b.tcb.ssthresh, 5 * mss) << "RFC 5681 (4)";
}

TEST(NewRenoWindow, small_flight__ssthresh_is_at_least_two_segments) {
  Bench b(tcp::new_reno);
  b.start();
  b.tcb.snd_nxt = b.tcb.snd_una + mss;
  EXPECT_EQ(b.ops.reduce(b.cx, b.tcb, b.flight, false), 2 * mss);
  b.ops.on_timeout(b.cx, b.tcb, b.flight);
  EXPECT_EQ(b.tcb.ssthresh, 2 * mss);
}

// rfc5681 3.1f, rfc3465 2.1
TEST(NewRenoWindow, congestion_avoidance__one_segment_a_window) {
  Bench b(tcp::new_reno);
  b.tcb.ssthresh = b.tcb.cwnd;
  b.start();
  b.fill();
  for (int i = 0; i < 4; ++i) b.ack(2 * mss);
  EXPECT_EQ(b.tcb.cwnd, 10 * mss);
  b.ack(2 * mss);
  EXPECT_EQ(b.tcb.cwnd, 11 * mss);
  for (int i = 0; i < 5; ++i) b.ack(2 * mss);
  EXPECT_EQ(b.tcb.cwnd, 11 * mss) << "the larger window takes eleven";
  b.ack(mss);
  EXPECT_EQ(b.tcb.cwnd, 12 * mss);
}

TEST(NewRenoWindow, slow_start__stops_at_the_threshold) {
  Bench b(tcp::new_reno);
  b.tcb.ssthresh = 11 * mss;
  b.start();
  b.fill();
  b.ack(2 * mss);
  EXPECT_EQ(b.tcb.cwnd, 11 * mss);
}

TEST(NewRenoWindow, window_not_used_up__does_not_grow) {
  Bench b(tcp::new_reno);
  b.start();
  b.fill();
  for (int i = 0; i < 5; ++i) b.ack(2 * mss, unlimited);
  EXPECT_EQ(b.tcb.cwnd, 10 * mss);
}

TEST(NewRenoWindow, largest__never_beyond_a_gibibyte) {
  Bench b(tcp::new_reno);
  b.tcb.cwnd = tcp::max_window - 100;
  b.start();
  b.fill();
  b.ack(2 * mss);
  EXPECT_EQ(b.tcb.cwnd, tcp::max_window);
  b.tcb.ssthresh = b.tcb.cwnd;
  b.ack(tcp::max_window);
  b.ack(tcp::max_window);
  EXPECT_EQ(b.tcb.cwnd, tcp::max_window);
}

TEST(NewRenoWindow, more_in_flight_than_the_window__half_of_the_window) {
  Bench b(tcp::new_reno);
  b.start();
  b.tcb.snd_nxt = b.tcb.snd_una + 15 * mss;  // SACKed segments let five more out
  EXPECT_EQ(b.ops.reduce(b.cx, b.tcb, b.flight, false), 5 * mss);
}

TEST(Pacing, not_asked_for__no_rate) {
  Bench b(tcp::new_reno);
  b.start();
  b.fill();
  b.ack(mss);
  EXPECT_EQ(b.flight.pacing_rate, 0u);
}

TEST(Pacing, asked_for__twice_the_window_a_round_trip_in_slow_start_and_1_2_times_later) {
  CoreConfig config = tiny_config();
  config.tcp.pacing = true;
  Bench b(tcp::new_reno, config);
  b.start();
  EXPECT_EQ(b.flight.pacing_rate, 2ull * 10 * mss * 20) << "50 ms: twenty round trips a second";
  b.tcb.ssthresh = b.tcb.cwnd;
  b.fill();
  b.ack(mss);
  EXPECT_EQ(b.flight.pacing_rate, 12ull * 10 * mss * 20 / 10);
  EXPECT_EQ(b.flight.send_quantum, 2 * mss);
  b.tcb.cwnd = b.tcb.ssthresh = tcp::max_window;
  b.tcb.srtt_us = 1;
  b.ack(mss);
  EXPECT_EQ(b.flight.pacing_rate, 12ull * tcp::max_window * 100'000);
  EXPECT_EQ(b.flight.send_quantum, 65536u);
}

TEST(Pacing, held_by_the_rate_with_the_window_nearly_full__the_window_grows) {
  CoreConfig config = tiny_config();
  config.tcp.pacing = true;
  Bench b(tcp::new_reno, config);
  b.start();
  b.tcb.snd_nxt = b.tcb.snd_una + 9 * mss;
  b.ack(mss, unlimited);
  EXPECT_EQ(b.tcb.cwnd, 11 * mss);
  b.tcb.snd_nxt = b.tcb.snd_una + 4 * mss;
  b.ack(mss, unlimited);
  EXPECT_EQ(b.tcb.cwnd, 11 * mss);
}

TEST(Pacing, no_round_trip_known__no_rate) {
  CoreConfig config = tiny_config();
  config.tcp.pacing = true;
  Bench b(tcp::new_reno, config);
  b.tcb.srtt_us = 0;
  b.start();
  EXPECT_EQ(b.flight.pacing_rate, 0u);
}

}  // namespace
}  // namespace handfast::test
