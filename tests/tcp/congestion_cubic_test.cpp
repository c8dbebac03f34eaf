// SPDX-License-Identifier: BSD-3-Clause
// CUBIC's window against the formulas of RFC 9438 (and 8312) in floating point. Layer: tests of the protocol.
#include <gtest/gtest.h>

#include <cmath>

#include "congestion_bench.hpp"
#include "tcp/cubic_curve.hpp"

namespace handfast::test {
namespace {

constexpr std::uint32_t mss = Bench::mss;

/// (1) and (2) in segments and seconds.
double k_of(double w_max, double cwnd_epoch) { return std::cbrt((w_max - cwnd_epoch) / 0.4); }
double w_cubic(double t, double k, double w_max) { return 0.4 * std::pow(t - k, 3) + w_max; }

TEST(CubicCurve, cube_root__is_the_largest_whole_one) {
  for (std::uint64_t r : {0ull, 1ull, 2ull, 99ull, 4642ull, 65535ull, 399'999ull}) {
    EXPECT_EQ(tcp::cube_root(r * r * r), r);
    EXPECT_EQ(tcp::cube_root((r + 1) * (r + 1) * (r + 1) - 1), r);
  }
  EXPECT_EQ(tcp::cube_root(tcp::most_cubic_ms * tcp::most_cubic_ms * tcp::most_cubic_ms), tcp::most_cubic_ms);
}

// rfc8312 4.1
TEST(CubicCurve, any_window_and_time__as_the_formula) {
  for (const std::uint32_t segment : {48u, 536u, 1460u, 9000u}) {
    for (const double segments : {2.0, 10.0, 1000.0, 1e5}) {
      const auto w_max = static_cast<std::uint32_t>(std::min(segments * segment, 1.0 * tcp::max_window));
      const auto epoch = static_cast<std::uint32_t>(w_max * 0.7);
      const double k = k_of(1.0 * w_max / segment, 1.0 * epoch / segment);
      const std::uint32_t k_ms = tcp::cubic_k_ms(w_max - epoch, segment);
      EXPECT_NEAR(k_ms, k * 1000, 1.01) << segment << " " << w_max;
      for (const double t : {0.0, 0.3, 0.9, 1.0, 1.7, 4.0}) {
        const double expected = std::min(w_cubic(t * k, k, 1.0 * w_max / segment) * segment, 1.0 * tcp::max_window);
        const auto got = tcp::cubic_window(w_max, k_ms, static_cast<std::uint64_t>(t * k * 1000), segment);
        // A millisecond of the curve's slope where it is, and a few bytes.
        const double slope = 3 * 0.4 * std::pow((t - 1) * k, 2) * segment / 1000;
        EXPECT_NEAR(got, expected, 4 + 2 * slope) << segment << " " << w_max << " " << t;
      }
    }
  }
}

TEST(CubicCurve, far_from_the_plateau__stays_within_its_bounds) {
  EXPECT_EQ(tcp::cubic_window(1000, 400'000, 0, 65535), 0u);
  EXPECT_EQ(tcp::cubic_window(1000, 0, ~std::uint64_t{0} / 2, 65535), tcp::max_window);
  EXPECT_EQ(tcp::cubic_k_ms(tcp::max_window, 1), tcp::most_cubic_ms);
}

/// A window of `segments` in congestion avoidance, lost and recovered once.
void lose_at(Bench& b, std::uint32_t segments) {
  b.tcb.cwnd = segments * mss;
  b.tcb.ssthresh = b.tcb.cwnd;
  b.start();
  b.fill();
  b.round(50ms);
  b.tcb.cwnd = segments * mss;
  b.fill();
  b.lose();
  b.recover();
}

// rfc8312 4.5
TEST(CubicWindow, loss__keeps_seven_tenths) {
  Bench b(tcp::cubic);
  lose_at(b, 100);
  EXPECT_NEAR(b.tcb.cwnd, 70 * mss, mss / 4);
}

TEST(CubicWindow, small_window__keeps_two_segments) {
  Bench b(tcp::cubic);
  b.tcb.cwnd = 2 * mss;
  b.start();
  b.fill();
  EXPECT_EQ(b.ops.reduce(b.cx, b.tcb, b.flight, false), 2 * mss);
  b.ops.on_timeout(b.cx, b.tcb, b.flight);
  EXPECT_EQ(b.tcb.ssthresh, 2 * mss);
  EXPECT_EQ(b.tcb.cwnd, mss);
}

// rfc8312 4.1
TEST(CubicWindow, after_a_loss__follows_the_curve_through_plateau_and_beyond) {
  Bench b(tcp::cubic);
  lose_at(b, 1000);
  const double epoch = 1.0 * b.tcb.cwnd / mss, k = k_of(1000, epoch);
  ASSERT_NEAR(k, 9.1, 0.1);
  const Time from = b.cx.now;
  for (int i = 0; i < 300; ++i) {  // 15 s, plateau at 9
    b.round(50ms);
    const double t = std::chrono::duration<double>(b.cx.now - from).count();
    const double model = w_cubic(t, k, 1000);
    // The window is where the curve will be in a round trip, and gets there within one.
    EXPECT_NEAR(1.0 * b.tcb.cwnd / mss, model, 0.004 * model) << t;
  }
  EXPECT_GT(b.tcb.cwnd, 1080 * mss);
}

TEST(CubicWindow, step__is_at_most_half_a_window_each_round_trip) {
  Bench b(tcp::cubic);
  lose_at(b, 100);
  b.round(50ms);
  for (int i = 0; i < 400; ++i) b.pass(150ms), b.ack(1);  // a minute on the curve, and next to nothing acknowledged
  const std::uint32_t before = b.tcb.cwnd;
  ASSERT_LT(before, 80 * mss);
  b.ack(b.tcb.cwnd);
  EXPECT_NEAR(b.tcb.cwnd, before * 3 / 2, mss) << "section 4.2: the target is at most half as much again";
}

// rfc8312 4.2
TEST(CubicWindow, short_round_trips__grows_as_reno_would) {
  Bench b(tcp::cubic);
  b.tcb.srtt_us = 1000;
  lose_at(b, 100);
  const double epoch = 1.0 * b.tcb.cwnd / mss;
  double estimate = epoch;
  // Section 4.3: 9/17 segments a round trip up to the window before the loss, then one.
  for (int i = 0; i < 100; ++i) {
    const std::uint32_t acks = b.tcb.cwnd / (2 * mss);
    for (std::uint32_t n = 0; n < acks; ++n) {
      const double segments = 2.0 * (estimate < 100 ? 9.0 / 17 : 1) / (1.0 * b.tcb.cwnd / mss);
      b.pass(1ms / acks);
      b.ack(2 * mss);
      estimate += segments;
    }
  }
  EXPECT_GT(estimate, 110);
  EXPECT_NEAR(1.0 * b.tcb.cwnd / mss, estimate, 0.5);
}

// rfc8312 4.6
TEST(CubicWindow, loss_below_the_last_one__fast_convergence) {
  Bench b(tcp::cubic);
  lose_at(b, 1000);
  b.tcb.cwnd = 800 * mss;
  b.fill();
  b.lose();
  b.recover();
  const double epoch = 1.0 * b.tcb.cwnd / mss;
  ASSERT_NEAR(epoch, 560, 1);
  // Section 4.7: W_max = 800 * 0.85 = 680, not 800: the plateau is there after K(680, 560) = 6.7 s.
  const double k = k_of(680, epoch);
  const Time from = b.cx.now;
  while (b.cx.now - from < 6700ms) b.round(50ms);
  EXPECT_NEAR(1.0 * b.tcb.cwnd / mss, w_cubic(6.7, k, 680), 5);
}

TEST(CubicWindow, first_avoidance_without_loss__starts_on_the_plateau) {
  Bench b(tcp::cubic);
  b.tcb.cwnd = b.tcb.ssthresh = 1000 * mss;
  b.start();
  b.fill();
  const Time from = b.cx.now;
  while (b.cx.now - from < 8s) b.round(50ms);
  // K = 0: 0.4 * 8^3 = 205 segments.
  EXPECT_NEAR(1.0 * b.tcb.cwnd / mss, 1205, 15);
}

// rfc8312 4.7, 4.8
TEST(CubicWindow, after_a_timeout__plateau_where_avoidance_begins_and_seven_tenths_as_threshold) {
  Bench b(tcp::cubic);
  b.tcb.cwnd = b.tcb.ssthresh = 1000 * mss;
  b.start();
  b.fill();
  b.round(50ms);
  b.tcb.cwnd = 1000 * mss;
  b.fill();
  b.ops.on_timeout(b.cx, b.tcb, b.flight);
  EXPECT_NEAR(b.tcb.ssthresh, 700 * mss, mss);
  EXPECT_EQ(b.tcb.cwnd, mss);
  b.tcb.cwnd = b.tcb.ssthresh;  // slow start gets there
  b.fill();
  const Time from = b.cx.now;
  while (b.cx.now - from < 5s) b.round(50ms);
  EXPECT_NEAR(1.0 * b.tcb.cwnd / mss, 700 + 0.4 * 125, 6) << "K is 0 (section 4.8)";
}

// rfc8312 5.8
TEST(CubicWindow, application_limited_period__is_no_time_on_the_curve) {
  Bench b(tcp::cubic);
  lose_at(b, 1000);
  for (int i = 0; i < 20; ++i) b.round(50ms);
  const std::uint32_t before = b.tcb.cwnd;
  for (int i = 0; i < 400; ++i) {  // 20 s
    b.pass(50ms);
    b.ack(2 * mss, {.cwnd_limited = false});
  }
  EXPECT_EQ(b.tcb.cwnd, before);
  b.fill();
  b.round(50ms);
  b.round(50ms);
  const double k = k_of(1000, 700);
  EXPECT_NEAR(1.0 * b.tcb.cwnd / mss, w_cubic(1.1, k, 1000), 12) << "one second on the curve, not 21 (RFC 9438 5.8)";
}

TEST(CubicWindow, second_timeout_of_a_flight__threshold_stays) {
  Bench b(tcp::cubic);
  b.tcb.cwnd = b.tcb.ssthresh = 1000 * mss;
  b.start();
  b.fill();
  b.ops.on_timeout(b.cx, b.tcb, b.flight);
  const std::uint32_t ssthresh = b.tcb.ssthresh;
  b.tcb.backoff = 1;
  b.tcb.snd_nxt = b.tcb.snd_una + mss;
  b.ops.on_timeout(b.cx, b.tcb, b.flight);
  EXPECT_EQ(b.tcb.ssthresh, ssthresh) << "RFC 5681 (4)";
  EXPECT_EQ(b.tcb.cwnd, mss);
}

TEST(CubicWindow, application_pauses_between_bursts__are_no_time_on_the_curve) {
  Bench b(tcp::cubic);
  lose_at(b, 1000);
  for (int i = 0; i < 20; ++i) b.round(50ms);
  const std::uint32_t before = b.tcb.cwnd;
  for (int i = 0; i < 100; ++i) {  // ten seconds of pauses shorter than the RTO
    b.pass(100ms);
    b.ack(2 * mss);
    b.pass(1us);
    b.ack(2 * mss, {.cwnd_limited = false});
  }
  b.round(50ms);
  b.round(50ms);
  EXPECT_LT(b.tcb.cwnd, before + 20 * mss);
}

TEST(CubicWindow, idle__is_no_time_on_the_curve) {
  Bench b(tcp::cubic);
  lose_at(b, 1000);
  for (int i = 0; i < 20; ++i) b.round(50ms);
  b.pass(20s);
  b.ops.on_restart(b.cx, b.tcb, b.flight);
  b.round(50ms);
  b.round(50ms);
  EXPECT_NEAR(1.0 * b.tcb.cwnd / mss, w_cubic(1.1, k_of(1000, 700), 1000), 12);
}

TEST(CubicWindow, undo__goes_on_where_the_curve_was) {
  Bench b(tcp::cubic), untouched(tcp::cubic);
  lose_at(b, 1000);
  lose_at(untouched, 1000);
  for (int i = 0; i < 60; ++i) b.round(50ms), untouched.round(50ms);
  const std::uint32_t cwnd = b.tcb.cwnd, ssthresh = b.tcb.ssthresh;
  b.lose();
  b.pass(2s);
  b.tcb.recovery = tcp::Recovery::open;
  b.tcb.cwnd = cwnd;
  b.tcb.ssthresh = ssthresh;
  b.ops.on_undo(b.cx, b.tcb, b.flight);
  for (int i = 0; i < 100; ++i) b.round(50ms), untouched.round(50ms);
  EXPECT_NEAR(b.tcb.cwnd, untouched.tcb.cwnd, mss);
}

TEST(CubicWindow, undo_of_a_timeout_in_recovery__the_state_before_both) {
  Bench b(tcp::cubic);
  lose_at(b, 1000);
  for (int i = 0; i < 60; ++i) b.round(50ms);
  const std::uint32_t cwnd = b.tcb.cwnd;
  b.lose();
  b.tcb.cwnd = b.tcb.ssthresh;
  b.ops.on_timeout(b.cx, b.tcb, b.flight);
  b.tcb.recovery = tcp::Recovery::open;
  b.tcb.cwnd = cwnd;
  b.tcb.ssthresh = cwnd / 2;
  b.ops.on_undo(b.cx, b.tcb, b.flight);
  for (int i = 0; i < 60; ++i) b.round(50ms);
  EXPECT_NEAR(1.0 * b.tcb.cwnd / mss, w_cubic(6, k_of(1000, 700), 1000), 12) << "W_max is 1000 again";
}

TEST(CubicWindow, largest_window__neither_wraps_nor_passes_a_gibibyte) {
  Bench b(tcp::cubic);
  b.tcb.cwnd = b.tcb.ssthresh = tcp::max_window;
  b.start();
  b.fill();
  for (int i = 0; i < 10; ++i) {
    b.pass(1s);
    b.ack(tcp::max_window / 2);
    EXPECT_EQ(b.tcb.cwnd, tcp::max_window);
  }
  b.lose();
  b.recover();
  EXPECT_NEAR(b.tcb.cwnd, 0.7 * tcp::max_window, 0.001 * tcp::max_window);
  for (int i = 0; i < 10000; ++i) {
    b.pass(50ms);
    b.ack(tcp::max_window / 10);
  }
  EXPECT_EQ(b.tcb.cwnd, tcp::max_window);
}

}  // namespace
}  // namespace handfast::test
