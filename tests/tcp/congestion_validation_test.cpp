// SPDX-License-Identifier: BSD-3-Clause
// Congestion window validation against RFC 7661: what an unused window is worth. Layer: tests of the protocol.
#include <gtest/gtest.h>

#include "congestion_bench.hpp"

namespace handfast::test {
namespace {

constexpr std::uint32_t mss = Bench::mss;
constexpr tcp::AckEvent unlimited{.cwnd_limited = false};

/// A window of `segments`, all of it used lately.
struct Used : Bench {
  explicit Used(std::uint32_t segments = 100, const tcp::CongestionOps& algorithm = tcp::new_reno) : Bench(algorithm) {
    tcb.ssthresh = segments * mss;
    start();
    while (tcb.cwnd < segments * mss) round(50ms);
    round(50ms);
    round(50ms);
    tcb.cwnd = tcb.ssthresh = segments * mss;
  }
  /// Everything is acknowledged and the application is silent.
  void fall_silent() {
    tcb.progress_ms = cx.now_ms;
    ack(distance(tcb.snd_una, tcb.snd_nxt), unlimited);
  }
  /// A round trip in which the application uses so much.
  void use(std::uint32_t segments) {
    tcb.snd_nxt = tcb.snd_una + segments * mss;
    pass(50ms);
    for (std::uint32_t i = 0; i < segments / 2; ++i) ack(2 * mss, unlimited);
  }
  void restart(bool with_flight = true) {
    tcp::restart_after_idle(cx, tcb, with_flight ? &flight : nullptr);
  }
};

// rfc7661 4.2
TEST(WindowValidation, at_first__validated_and_pipe_ack_undefined) {
  Bench b(tcp::new_reno);
  b.start();
  EXPECT_FALSE(b.flight.unvalidated);
  EXPECT_FALSE(b.flight.pipe_known);
}

TEST(WindowValidation, window_in_use__validated) {
  Used u;
  EXPECT_FALSE(u.flight.unvalidated);
  u.fall_silent();
  EXPECT_NEAR(tcp::window_in_use(u.cx, u.tcb, u.flight), 100 * mss, 4 * mss) << "pipeACK, with nothing in flight";
}

// rfc7661 4.4a
TEST(WindowValidation, less_than_half_for_a_second__not_validated_and_kept) {
  Used u;
  u.fall_silent();
  for (int i = 0; i < 10; ++i) u.use(20);
  EXPECT_FALSE(u.flight.unvalidated) << "the highest sample of the last second counts (section 4.2)";
  for (int i = 0; i < 20; ++i) u.use(20);
  EXPECT_TRUE(u.flight.unvalidated);
  EXPECT_EQ(u.tcb.cwnd, 100 * mss);
  for (int i = 0; i < 4; ++i) u.use(60);
  EXPECT_FALSE(u.flight.unvalidated) << "more than half is used again";
}

// rfc7661 4.4.3
TEST(WindowValidation, five_minutes_of_little_use__halved_once_a_period_down_to_the_initial_window) {
  Used u;
  u.fall_silent();
  for (int i = 0; i < 40; ++i) u.use(10);
  ASSERT_TRUE(u.flight.unvalidated);
  const auto minutes = [&](int n) {
    for (int i = 0; i < n * 60; ++i) {
      u.pass(950ms);
      u.use(4);
    }
  };
  minutes(4);
  EXPECT_EQ(u.tcb.cwnd, 100 * mss);
  u.tcb.ssthresh = 2 * mss;
  minutes(2);
  EXPECT_EQ(u.tcb.cwnd, 50 * mss);
  EXPECT_EQ(u.tcb.ssthresh, 75 * mss) << "section 4.4.3: 3/4 of the window before";
  minutes(5);
  EXPECT_EQ(u.tcb.cwnd, 25 * mss);
  minutes(20);
  EXPECT_EQ(u.tcb.cwnd, 10 * mss);
}

// rfc7661 4.4.2
TEST(WindowValidation, idle_for_an_rto__window_kept_and_paced) {
  Used u;
  u.fall_silent();
  u.pass(10s);
  u.restart();
  EXPECT_EQ(u.tcb.cwnd, 100 * mss);
  EXPECT_TRUE(u.flight.unvalidated);
  EXPECT_EQ(u.flight.pacing_rate, 2ull * 100 * mss * 20);
  for (int i = 0; i < 3; ++i) {
    u.fill();
    u.round(50ms);
  }
  EXPECT_FALSE(u.flight.unvalidated);
  EXPECT_EQ(u.flight.pacing_rate, 0u) << "it bears it";
}

TEST(WindowValidation, idle_for_less_than_an_rto__as_before) {
  Used u;
  u.fall_silent();
  u.pass(150ms);
  u.restart();
  EXPECT_FALSE(u.flight.unvalidated);
  EXPECT_EQ(u.flight.pacing_rate, 0u);
}

TEST(WindowValidation, idle_for_periods__halved_for_each) {
  Used u(200);
  u.fall_silent();
  u.pass(11min);
  u.restart();
  u.restart();
  EXPECT_EQ(u.tcb.cwnd, 50 * mss);
  EXPECT_EQ(u.tcb.ssthresh, 200 * mss);
}

TEST(WindowValidation, flight_given_back_meanwhile__the_same) {
  Used u(200);
  u.fall_silent();
  u.pass(6min);
  u.restart(false);
  EXPECT_EQ(u.tcb.cwnd, 100 * mss);
  u.restart(false);
  EXPECT_EQ(u.tcb.cwnd, 100 * mss) << "once, however often the sender is held back";
  u.flight = {};
  u.start();
  EXPECT_TRUE(u.flight.unvalidated);
  EXPECT_EQ(u.flight.pacing_rate, 2ull * 100 * mss * 20);
}

TEST(WindowValidation, window_never_grew__idle_changes_nothing) {
  Bench b(tcp::new_reno);
  b.start();
  b.tcb.progress_ms = b.cx.now_ms;
  b.pass(1h);
  tcp::restart_after_idle(b.cx, b.tcb, &b.flight);
  EXPECT_EQ(b.tcb.cwnd, 10 * mss);
  EXPECT_FALSE(b.flight.unvalidated);
  EXPECT_EQ(b.flight.pacing_rate, 0u);
}

TEST(WindowValidation, window_never_grew__little_use_is_not_paced) {
  Bench b(tcp::new_reno);
  b.start();
  for (int i = 0; i < 100; ++i) {
    b.tcb.snd_nxt = b.tcb.snd_una + 2 * mss;
    b.pass(1s);
    b.ack(2 * mss, unlimited);
    EXPECT_EQ(b.flight.pacing_rate, 0u);
  }
}

TEST(WindowValidation, while_a_loss_is_repaired__no_samples) {
  Used u;
  u.ops.on_timeout(u.cx, u.tcb, u.flight);
  u.tcb.recovery = tcp::Recovery::timeout;
  for (int i = 0; i < 10; ++i) u.use(20);
  EXPECT_FALSE(u.flight.pipe_known) << "section 4.2";
  u.tcb.recovery = tcp::Recovery::open;
  for (int i = 0; i < 10; ++i) u.use(20);
  EXPECT_TRUE(u.flight.pipe_known);
}

TEST(WindowValidation, round_trip_below_a_millisecond__not_paced) {
  Used u;
  u.fall_silent();
  u.tcb.srtt_us = 200;
  u.pass(1s);
  u.restart();
  EXPECT_EQ(u.flight.pacing_rate, 0u);
}

// rfc7661 4.4b
TEST(WindowValidation, loss_while_not_validated__half_of_what_was_used_less_what_was_lost) {
  Used u;
  u.fall_silent();
  for (int i = 0; i < 40; ++i) u.use(40);
  ASSERT_TRUE(u.flight.unvalidated);
  u.tcb.snd_nxt = u.tcb.snd_una + 60 * mss;  // a burst of more than pipeACK
  u.lose(10 * mss);
  EXPECT_EQ(u.tcb.ssthresh, 30 * mss) << "max(pipeACK 40, FlightSize 60) / 2";
  u.recover();
  EXPECT_EQ(u.tcb.cwnd, 25 * mss) << "section 4.4.1: (60 - 10) / 2";
  EXPECT_EQ(u.tcb.ssthresh, 25 * mss);
  EXPECT_FALSE(u.flight.pipe_known);
  EXPECT_FALSE(u.flight.unvalidated);
}

TEST(WindowValidation, loss_at_the_end_of_a_burst__what_was_used_before_counts) {
  Used u;
  u.fall_silent();
  u.use(100);
  u.tcb.snd_nxt = u.tcb.snd_una + 4 * mss;
  u.lose();
  EXPECT_EQ(u.tcb.ssthresh, 50 * mss) << "pipeACK, not the little that was in flight";
}

TEST(WindowValidation, cubic_while_not_validated__half_and_not_seven_tenths) {
  Used u(100, tcp::cubic);
  u.fall_silent();
  u.tcb.cwnd = 100 * mss;
  for (int i = 0; i < 40; ++i) u.use(40);
  ASSERT_TRUE(u.flight.unvalidated);
  u.tcb.snd_nxt = u.tcb.snd_una + 40 * mss;
  u.lose();
  EXPECT_EQ(u.tcb.ssthresh, 20 * mss);
}

TEST(WindowValidation, timeout__ends_the_phase) {
  Used u;
  u.fall_silent();
  for (int i = 0; i < 40; ++i) u.use(40);
  u.ops.on_timeout(u.cx, u.tcb, u.flight);
  EXPECT_FALSE(u.flight.unvalidated);
  EXPECT_FALSE(u.flight.pipe_known);
}

}  // namespace
}  // namespace handfast::test
