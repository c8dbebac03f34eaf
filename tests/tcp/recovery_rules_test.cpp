// SPDX-License-Identifier: BSD-3-Clause
// Single rules of loss recovery that no trace shows by itself: what limits what. Layer: tests of the protocol, through
// frames, and for what cannot be seen from outside, through the flight.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "shard/shard.hpp"
#include "support/peer.hpp"

namespace handfast::test {
namespace {

constexpr std::uint32_t mss = 1460;
using Seqs = std::vector<std::uint32_t>;

std::uint32_t nth(std::uint32_t i) { return 1 + i * mss; }
Seqs sent(Trace& t) {
  Seqs seqs;
  while (auto p = t.peer.poll()) seqs.push_back(p->seq - t.peer.irs);
  return seqs;
}
tcp::Flight& flight_of(Trace& t) {
  tcp::Tcb* tcb = t.core().shard().find(t.conn().id());
  EXPECT_NE(tcb->flight, nullptr);
  return *tcb->flight;
}
/// n segments queued, as many sent as the initial window takes; 100 ms later.
void with_flight(Trace& t, std::uint32_t n, Handshake h = with_sack) {
  t.listen();
  {
    Send syn = t.peer.syn();
    t.peer.offer(syn, h);
  }
  t.peer.expect().syn_ack();
  t.peer.ts_on = h.ts;
  t.advance(100ms);
  t.peer.ack();
  t.with([n](Conn& c) {
    c.set_nodelay(true);
    c.send(std::string(n * mss, 'f'));
  });
  sent(t);
  t.advance(100ms);
}

// rfc3042 2c, rfc6675 4b
TEST(RecoveryRules, with_sack__duplicate_without_news_lets_nothing_leave__news_lets_as_much) {
  Trace t;
  with_flight(t, 14);
  t.peer.ack().ack(1);
  t.peer.ack().ack(1);
  EXPECT_TRUE(sent(t).empty());
  t.peer.ack().ack(1).sack({{nth(1), nth(2)}});
  EXPECT_EQ(sent(t), Seqs{nth(10)}) << "one segment has left the network";
}

// rfc6675 5d
TEST(RecoveryRules, window_above_the_estimate_by_less_than_a_segment__nothing_leaves) {
  Trace t;
  with_flight(t, 14);
  t.peer.ack().ack(1 + mss / 2);
  const ConnStats s = t.conn().stats();
  EXPECT_LT(s.congestion_window - s.flight, mss + mss / 2);
  EXPECT_LE(sent(t).size(), 1u);
  EXPECT_LE(t.conn().stats().flight, t.conn().stats().congestion_window);
}

// rfc6675 5c
TEST(RecoveryRules, what_was_sacked_beyond_the_recovery_point__is_remembered) {
  Trace t;
  with_flight(t, 20);
  t.peer.ack().ack(1).sack({{nth(1), nth(10)}});
  const Seqs again = sent(t);
  ASSERT_FALSE(again.empty());
  EXPECT_EQ(again[0], nth(0));
  ASSERT_GE(again.back(), nth(10)) << "new data beyond the recovery point";
  t.peer.ack().ack(1).sack({{again.back(), again.back() + mss}, {nth(1), nth(10)}});
  sent(t);
  ASSERT_GT(again.back(), nth(10));
  t.peer.ack().ack(nth(10)).sack({{again.back(), again.back() + mss}});
  EXPECT_EQ(t.conn().stats().sacked, mss);
}

// rfc5682 3.1a
TEST(RecoveryRules, timeout_in_recovery__what_was_lost_goes_before_new_data) {
  Trace t;
  with_flight(t, 30);
  t.peer.ack().ack(1).sack({{nth(6), nth(10)}});
  sent(t);
  t.advance_to_frame(5s);
  while (t.stats().timeouts == 0) t.advance(50ms);
  sent(t);
  const std::uint32_t end = t.conn().stats().flight;
  t.peer.ack().ack(nth(1)).sack({{nth(6), nth(10)}});
  const Seqs after = sent(t);
  ASSERT_FALSE(after.empty());
  EXPECT_LT(after[0], 1 + end) << "not F-RTO's new data";
}

// rfc6298 3b
TEST(RecoveryRules, one_sample_a_round_trip_at_least) {
  Trace t;
  with_flight(t, 2);
  t.peer.ack().ack(nth(2));
  Duration last = t.conn().stats().srtt;
  for (int i = 0; i < 5; ++i) {
    t.with([](Conn& c) { c.send(std::string(2 * mss, 'g')); });
    sent(t);
    t.advance(150ms);
    t.peer.ack();
    EXPECT_GT(t.conn().stats().srtt, last) << i;
    last = t.conn().stats().srtt;
  }
}

// rfc6298 4
TEST(RecoveryRules, constant_round_trip__time_out_stays_above_it_by_the_clocks_granularity) {
  CoreConfig config = small_config();
  config.tcp.rto_min = 1ms;
  Trace t{config};
  t.listen();
  t.peer.open();
  for (int i = 0; i < 200; ++i) {
    t.with([](Conn& c) { c.send("x"); });
    sent(t);
    t.advance(50ms);
    t.peer.ack();
  }
  const ConnStats s = t.conn().stats();
  EXPECT_NEAR(static_cast<double>(s.srtt / 1us), 50'000, 1'000);
  EXPECT_GE(s.rto, s.srtt + 1ms);
  EXPECT_LE(s.rto, s.srtt + 3ms);
}

// rfc8985 6.2a
TEST(RecoveryRules, least_round_trip__of_long_ago_is_forgotten) {
  Trace t;
  t.listen();
  t.peer.open(with_sack);
  const auto round = [&t](Duration rtt) {
    t.with([](Conn& c) { c.send(std::string(2 * mss, 'g')); });
    sent(t);
    t.advance(rtt);
    t.peer.ack();
  };
  round(10ms);
  EXPECT_EQ(flight_of(t).min_rtt_us, 10'000u);
  for (int i = 0; i < 10; ++i) round(100ms);
  EXPECT_EQ(flight_of(t).min_rtt_us, 10'000u);
  for (int i = 0; i < 3100; ++i) round(100ms);
  EXPECT_EQ(flight_of(t).min_rtt_us, 100'000u);
}

// rfc8985 6.2b, rfc6298 3a
TEST(RecoveryRules, ack_that_may_be_of_the_first_copy__gives_no_round_trip) {
  Trace t;
  with_flight(t, 8);
  t.peer.ack().ack(1).sack({{nth(1), nth(8)}});
  EXPECT_EQ(sent(t)[0], nth(0));
  const ConnStats before = t.conn().stats();
  const std::uint32_t rack = flight_of(t).rack_rtt_us;
  t.advance(1ms);
  t.peer.ack().ack(nth(8));  // quicker than the path: the first copy was only late
  EXPECT_EQ(t.conn().stats().srtt, before.srtt);
  EXPECT_EQ(flight_of(t).rack_rtt_us, rack);
}

// rfc8985 6.2e
TEST(RecoveryRules, reordering_window__is_a_smoothed_round_trip_at_most) {
  Trace t;
  with_flight(t, 2);
  t.peer.ack().ack(nth(2));
  for (int i = 0; i < 20; ++i) {  // the handshake took no time; this makes SRTT what it is
    t.with([](Conn& c) { c.send(std::string(2 * mss, 'g')); });
    sent(t);
    t.advance(100ms);
    t.peer.ack();
  }
  t.with([](Conn& c) { c.send(std::string(4 * mss, 'g')); });
  sent(t);
  tcp::Flight& flight = flight_of(t);
  flight.reordering_seen = true;
  flight.reo_wnd_mult = 200;
  t.advance(100ms);
  t.peer.ack().ack(nth(42)).sack({{nth(43), nth(46)}});
  EXPECT_TRUE(sent(t).empty());
  const Duration srtt = t.conn().stats().srtt;
  ASSERT_NE(flight.reorder_deadline, tcp::never);
  EXPECT_LE(flight.reorder_deadline - t.now(), srtt);
  EXPECT_GE(flight.reorder_deadline - t.now(), srtt - 5ms);
}

// rfc5681 4.3b, rfc8985 9.3b
TEST(RecoveryRules, retransmission_is_lost_too__ssthresh_falls_twice) {
  Trace t;
  with_flight(t, 30, modern);
  t.peer.ack().ack(1).sack({{nth(1), nth(4)}});
  sent(t);
  const std::uint32_t once = t.conn().stats().slow_start_threshold;
  std::uint32_t edge = 4;
  for (int i = 0; i < 6 && t.conn().stats().slow_start_threshold == once; ++i) {
    t.advance(100ms);
    ++edge;
    const std::uint32_t step = 1448;
    t.peer.ack().ack(1).sack({{1 + step, 1 + edge * step}});
    t.advance(60ms);
    const Seqs more = sent(t);
    if (!more.empty()) edge = (more.back() - 1) / step;
  }
  EXPECT_LT(t.conn().stats().slow_start_threshold, once);
  EXPECT_GE(t.conn().stats().slow_start_threshold, 2u * 1448);
}

// rfc6937 3a: what the reordering timer finds is lost, and nothing was delivered: while more is out than the
// threshold it lets nothing leave but the first segment of a recovery.
TEST(RecoveryRules, losses_found_by_the_reordering_timer__are_no_deliveries) {
  CoreConfig config = small_config();
  config.tcp.initial_window = 20;
  Trace t{config};
  with_flight(t, 2);
  t.peer.ack().ack(1).sack({{nth(1), nth(2)}});
  t.peer.ack().ack(nth(2));  // reordered: from now on there is a window for that, a quarter of the round trip
  for (int i = 0; i < 20; ++i) {
    t.with([](Conn& c) { c.send(std::string(mss, 'f')); });
    t.advance(1ms);
  }
  ASSERT_EQ(sent(t).size(), 20u);
  t.advance(99ms);
  t.peer.ack().ack(nth(2)).sack({{nth(21), nth(22)}});
  EXPECT_TRUE(sent(t).empty());
  t.advance(14ms);
  EXPECT_EQ(sent(t), Seqs{nth(2)});
  EXPECT_GE(flight_of(t).lost, 6 * mss) << "the timer has found more";
}

}  // namespace
}  // namespace handfast::test
