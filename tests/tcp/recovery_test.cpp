// SPDX-License-Identifier: BSD-3-Clause
// Loss: the retransmission timer (RFC 6298), fast retransmit and recovery with and without SACK (RFC 5681,
// 6582, 6675), the congestion window. Layer: tests of the protocol, through frames alone.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "shard/shard.hpp"
#include "support/peer.hpp"
#include "support/usage.hpp"

namespace handfast::test {
namespace {

constexpr std::uint32_t mss = 1460;

/// Takes what has been sent; the sequence numbers of it.
std::vector<std::uint32_t> sent(Trace& t) {
  std::vector<std::uint32_t> seqs;
  while (auto p = t.peer.poll()) seqs.push_back(p->seq - t.peer.irs);
  return seqs;
}

using Seqs = std::vector<std::uint32_t>;
std::uint32_t nth(std::uint32_t i) { return 1 + i * mss; }

/// A connection with n full segments in flight.
void with_flight(Trace& t, std::uint32_t n, Handshake h = {}) {
  t.listen();
  t.peer.open(h);
  t.with([n](Conn& c) {
    c.set_nodelay(true);
    c.send(std::string(n * mss, 'f'));
  });
  ASSERT_EQ(sent(t).size(), n);
}

// --- the timer
// -----------------------------------------------------------------------------------------------------

TEST(Rto, doubles_and_gives_up_after_r2) {
  Trace t;
  t.listen();
  t.peer.open();
  t.with([](Conn& c) { c.send("lost"); });
  t.peer.expect();
  std::vector<Duration> times;
  while (!t.app.reason()) {
    t.advance(100ms);
    while (auto p = t.peer.poll()) {
      EXPECT_EQ(p->payload, "lost");
      times.push_back(p->at - (t.now() - t.elapsed()));
    }
  }
  ASSERT_GE(times.size(), 5u);
  EXPECT_EQ(times[0], 200ms) << "the SYN-ACK was answered at once: RTO is rto_min";
  for (std::size_t i = 2; i < times.size(); ++i)
    EXPECT_EQ(times[i] - times[i - 1], std::min<Duration>(2 * (times[i - 1] - times[i - 2]), 60s)) << i;
  EXPECT_EQ(t.app.reason(), CloseReason::timed_out);
  EXPECT_GE(t.elapsed(), 100s) << "SHLD-11";
  EXPECT_LE(t.elapsed(), 361s);
}

TEST(Rto, first_sample__srtt_is_r_and_rttvar_half_of_it) {
  Trace t;
  t.listen();
  t.peer.syn().mss(mss);
  t.peer.expect().syn_ack();
  t.advance(100ms);
  t.peer.ack();
  const ConnStats s = t.conn().stats();
  EXPECT_EQ(s.srtt, 100ms);
  EXPECT_EQ(s.rttvar, 50ms);
  EXPECT_EQ(s.rto, 300ms) << "SRTT + 4 RTTVAR";
}

TEST(Rto, quick_peer__least_is_200_ms_and_not_the_second_of_rfc_6298) {
  Trace t;
  t.listen();
  t.peer.syn().mss(mss);
  t.peer.expect().syn_ack();
  t.advance(1ms);
  t.peer.ack();
  EXPECT_EQ(t.conn().stats().rto, 200ms);
}

TEST(Rto, next_sample__weights_of_rfc_6298) {
  Trace t;
  t.listen();
  t.peer.syn().mss(mss);
  t.peer.expect().syn_ack();
  t.advance(100ms);
  t.peer.ack();
  t.with([](Conn& c) { c.send("x"); });
  t.peer.expect();
  t.advance(180ms);
  t.peer.ack();
  const ConnStats s = t.conn().stats();
  EXPECT_EQ(s.rttvar, 57500us);
  EXPECT_EQ(s.srtt, 110ms);
}

TEST(Rto, karn__no_sample_from_what_was_sent_twice) {
  Trace t;
  t.listen();
  t.peer.open();
  t.with([](Conn& c) { c.send("x"); });
  const Duration before = t.conn().stats().srtt;
  t.peer.expect();
  t.advance_to_frame(1s);
  t.peer.expect();
  t.advance(150ms);
  t.peer.ack();
  EXPECT_EQ(t.conn().stats().srtt, before);
  EXPECT_EQ(t.conn().stats().retransmits, 1u);
}

TEST(Rto, with_timestamps__a_retransmission_can_be_timed) {
  Trace t;
  t.listen();
  t.peer.open(with_ts);
  t.with([](Conn& c) { c.send("x"); });
  t.peer.expect();
  t.advance_to_frame(1s);
  t.peer.expect();
  t.advance(400ms - 1us);
  t.peer.ack();
  EXPECT_GE(t.conn().stats().srtt, 40ms);
}

TEST(Rto, new_ack__restarts_the_timer) {
  Trace t;
  with_flight(t, 2);
  t.advance(150ms);
  t.peer.ack().ack(nth(1));
  t.advance(150ms);
  EXPECT_TRUE(sent(t).empty()) << "RFC 6298 (5.3)";
  t.advance(1s);
  EXPECT_EQ(sent(t).front(), nth(1));
}

TEST(Rto, all_acknowledged__timer_is_off) {
  Trace t;
  with_flight(t, 2);
  t.peer.ack();
  t.expect_nothing_until(10min);
}

TEST(Rto, timeout__one_segment_then_slow_start_through_the_rest) {
  Trace t;
  with_flight(t, 8);
  t.advance_to_frame(2s);
  EXPECT_EQ(sent(t), Seqs{nth(0)});
  EXPECT_EQ(t.conn().stats().congestion_window, mss);
  EXPECT_EQ(t.conn().stats().slow_start_threshold, 4 * mss) << "half of the flight";
  t.peer.ack().ack(nth(1));
  EXPECT_EQ(sent(t), (Seqs{nth(1), nth(2)}));
  t.peer.ack().ack(nth(8));
  EXPECT_TRUE(sent(t).empty());
  EXPECT_EQ(t.conn().unacked(), 0u);
}

TEST(Rto, second_timeout__halves_no_further) {
  Trace t;
  with_flight(t, 8);
  t.advance_to_frame(2s);
  t.advance_to_frame(2s);
  EXPECT_EQ(t.conn().stats().slow_start_threshold, 4 * mss) << "RFC 5681 (4): once for a flight";
  sent(t);
}

TEST(UserTimeout, unacknowledged_for_longer__ends) {
  Trace t;
  t.listen();
  t.peer.open();
  t.with([](Conn& c) {
    c.set_user_timeout(5s);
    c.send("x");
  });
  t.advance(5s - 1ms);
  EXPECT_FALSE(t.app.reason());
  t.advance(10s);
  EXPECT_EQ(t.app.reason(), CloseReason::timed_out);
  sent(t);
}

// --- fast retransmit
// -----------------------------------------------------------------------------------------------

TEST(FastRetransmit, three_duplicate_acks__the_first_is_sent_again_at_once) {
  Trace t;
  with_flight(t, 8);
  t.peer.ack().ack(1);
  t.peer.ack().ack(1);
  EXPECT_TRUE(sent(t).empty());
  t.peer.ack().ack(1);
  EXPECT_EQ(sent(t), Seqs{nth(0)});
  EXPECT_EQ(t.stats().fast_retransmits, 1u);
  EXPECT_EQ(t.conn().stats().slow_start_threshold, 4 * mss);
  t.peer.ack().ack(1);
  t.peer.ack().ack(1);
  EXPECT_EQ(t.stats().fast_retransmits, 1u) << "once for a loss";
  t.peer.ack().ack(nth(8));
  EXPECT_EQ(t.conn().stats().congestion_window, 4 * mss);
  EXPECT_TRUE(sent(t).empty());
}

TEST(FastRetransmit, window_updates_and_data__are_no_duplicates) {
  Trace t;
  with_flight(t, 8);
  for (std::uint32_t i = 1; i < 8; ++i) t.peer.ack().ack(1).window(60000 + i);
  for (int i = 0; i < 5; ++i) t.peer.ack().ack(1).data("data");
  EXPECT_EQ(t.stats().fast_retransmits, 0u);
  sent(t);
}

TEST(FastRetransmit, nothing_outstanding__duplicates_change_nothing) {
  Trace t;
  t.listen();
  t.peer.open();
  const std::uint32_t before = t.conn().stats().congestion_window;
  for (int i = 0; i < 1000; ++i) t.peer.ack();
  EXPECT_EQ(t.conn().stats().congestion_window, before) << "sec_C12";
  EXPECT_EQ(t.stats().fast_retransmits, 0u);
  t.expect_nothing();
}

TEST(NewReno, partial_ack__the_next_hole_without_waiting) {
  Trace t;
  with_flight(t, 8);
  for (int i = 0; i < 3; ++i) t.peer.ack().ack(1);
  EXPECT_EQ(sent(t), Seqs{nth(0)});
  t.peer.ack().ack(nth(3));  // 0 arrived; 1 and 2 had; 3 was lost too
  EXPECT_EQ(sent(t), Seqs{nth(3)});
  t.peer.ack().ack(nth(6));
  EXPECT_EQ(sent(t), Seqs{nth(6)});
  t.peer.ack().ack(nth(8));
  EXPECT_EQ(t.stats().fast_retransmits, 1u) << "one reduction for the window";
  EXPECT_EQ(t.conn().unacked(), 0u);
}

TEST(SackRecovery, holes_are_filled_and_nothing_that_was_sacked_is_sent_again) {
  Trace t;
  with_flight(t, 8, with_sack);
  // 0, 2 and 5 were lost.
  t.peer.ack().ack(1).sack({{nth(1), nth(2)}});
  t.peer.ack().ack(1).sack({{nth(3), nth(5)}, {nth(1), nth(2)}});
  t.peer.ack().ack(1).sack({{nth(6), nth(8)}, {nth(3), nth(5)}, {nth(1), nth(2)}});
  Seqs again = sent(t);
  t.advance(50ms);
  t.peer.ack().ack(nth(2)).sack({{nth(6), nth(8)}, {nth(3), nth(5)}});
  for (const std::uint32_t s : sent(t)) again.push_back(s);
  t.peer.ack().ack(nth(5)).sack({{nth(6), nth(8)}});
  for (const std::uint32_t s : sent(t)) again.push_back(s);
  EXPECT_EQ(again, (Seqs{nth(0), nth(2), nth(5)}));
  t.peer.ack().ack(nth(8));
  EXPECT_EQ(usage_of(t.core()), (Usage{.connections = 1, .flights = 1})) << "what it knows of the path is kept for a second";
  t.advance(2s);
  EXPECT_EQ(usage_of(t.core()), (Usage{.connections = 1}));
  EXPECT_EQ(t.stats().fast_retransmits, 1u);
}

TEST(SackRecovery, by_sack_alone__a_lost_edge_of_more_than_three_segments) {
  Trace t;
  with_flight(t, 8, with_sack);
  t.peer.ack().ack(1).sack({{nth(1), nth(5)}});  // one ACK says it all (RFC 6675 IsLost)
  EXPECT_EQ(sent(t), Seqs{nth(0)});
}

TEST(SackRecovery, after_a_timeout__what_was_sacked_is_kept__rfc_6675_5_1) {
  Trace t;
  with_flight(t, 4, with_sack);
  t.peer.ack().ack(1).sack({{nth(1), nth(2)}});
  EXPECT_EQ(sent(t), Seqs{nth(0)}) << "by RACK: what left after it has arrived";
  t.advance_to_frame(2s);
  EXPECT_EQ(sent(t), Seqs{nth(0)}) << "by the timer";
  EXPECT_EQ(t.stats().timeouts, 1u);
  EXPECT_EQ(t.conn().stats().sacked, mss);
  EXPECT_EQ(t.stats().sack_reneging, 0u);
}

TEST(SackRecovery, the_peer_drops_what_it_had_sacked__all_is_sent_again) {
  Trace t;
  with_flight(t, 4, with_sack);
  t.peer.ack().ack(1).sack({{nth(1), nth(4)}});
  EXPECT_EQ(sent(t), Seqs{nth(0)});
  t.peer.ack().ack(nth(1));  // the hole is filled, and nothing behind it is there (RFC 2018 8)
  t.advance_to_frame(2s);
  EXPECT_EQ(sent(t), Seqs{nth(1)});
  EXPECT_EQ(t.conn().stats().sacked, 0u);
  EXPECT_EQ(t.stats().sack_reneging, 1u);
  t.peer.ack().ack(nth(2));
  EXPECT_EQ(sent(t), (Seqs{nth(2), nth(3)}));
}

TEST(SackRecovery, second_loss_after_a_full_recovery__is_found_by_sack_too) {
  Trace t;
  with_flight(t, 8, with_sack);
  t.peer.ack().ack(1).sack({{nth(1), nth(8)}});
  EXPECT_EQ(sent(t), Seqs{nth(0)});
  t.peer.ack().ack(nth(8));
  t.with([](Conn& c) { c.send(std::string(4 * mss, 'g')); });
  EXPECT_EQ(sent(t).size(), 4u);
  t.peer.ack().ack(nth(8)).sack({{nth(9), nth(12)}});
  EXPECT_EQ(sent(t), Seqs{nth(8)}) << "no need to wait for the timer";
}

TEST(SackRecovery, sec_B14__nonsense_blocks__ignored) {
  Trace t;
  with_flight(t, 4, with_sack);
  const std::vector<std::vector<Block>> bad = {
      {{nth(2), nth(1)}},      {{nth(1), nth(1)}},
      {{0u - 5000, 0u - 100}}, {{0u - 100, nth(2)}},
      {{nth(2), nth(4) + 1}},  {{nth(10), nth(12)}},
      {{1, 1u + (1u << 31)}},  {{nth(3), nth(2)}, {nth(2), nth(1)}, {nth(4), nth(1)}, {5, 4}}};
  for (const auto& blocks : bad) {
    t.peer.ack().ack(1).window(60000).sack(blocks);
    t.peer.ack().ack(1).window(60001).sack(blocks);
  }
  EXPECT_EQ(t.conn().stats().sacked, 0u);
  EXPECT_TRUE(sent(t).empty());
  t.peer.ack().ack(nth(1)).sack({{1, nth(1)}});  // D-SACK (RFC 2883)
  EXPECT_EQ(t.stats().fast_retransmits, 0u);
  sent(t);
}

TEST(SackRecovery, ack_inside_a_sacked_block__survives_and_recovers) {
  Trace t;
  with_flight(t, 4, with_sack);
  t.peer.ack().ack(1).sack({{nth(1), nth(3)}});
  t.peer.ack().ack(nth(1) + 700);  // what an honest peer never says
  sent(t);
  for (int i = 0; i < 20 && t.conn().unacked() != 0; ++i) {
    t.advance(500ms);
    while (auto p = t.peer.poll())
      t.peer.rcv_nxt = std::max(t.peer.rcv_nxt, p->seq - t.peer.irs + p->length());
    t.peer.ack();
  }
  EXPECT_EQ(t.conn().unacked(), 0u);
}

TEST(SackRecovery, sec_C10__ten_thousand_blocks_in_random_order__bounded_and_completes) {
  CoreConfig config = small_config();
  config.tcp.send_buffer = 1 << 20;
  Trace t{config};
  t.listen();
  t.peer.open({.mss = 216, .wscale = 8, .ts = false, .sack = true});
  // Open the congestion window first.
  std::size_t queued = 0;
  const auto feed = [&](Conn& c) {
    while (queued < 4000000) {
      const std::size_t n = c.send(std::string(60000, 's'));
      queued += n;
      if (n < 60000) return;
    }
  };
  t.app.writable = feed;
  t.with([&](Conn& c) { feed(c); });
  for (int i = 0; i < 20000 && t.conn().stats().flight < 200000; ++i) {
    if (t.peer.quiet()) break;
    t.peer.expect();
    t.peer.ack();
  }
  sent(t);
  const std::uint32_t flight = t.conn().stats().flight, una = t.peer.rcv_nxt - flight;
  ASSERT_GT(flight, 100000u);
  for (int i = 0; i < 10000; ++i) {
    const std::uint32_t at = una + 216 * (1 + 2 * t.rng().below(flight / 432 - 1));
    t.peer.ack().ack(una).sack({{at, at + 216}});
  }
  EXPECT_LE(usage_of(t.core()).flights, 1u);
  sent(t);
  t.app.writable = nullptr;
  t.peer.rcv_nxt = una + flight;
  for (int i = 0; i < 20000 && t.conn().unacked() != 0; ++i) {
    t.peer.ack();
    sent(t);
    t.advance(10ms);
  }
  EXPECT_EQ(t.conn().unacked(), 0u);
}

// --- the congestion window
// ------------------------------------------------------------------------------------------

TEST(Congestion, initial_window__ten_segments) {
  Trace t;
  t.listen();
  t.peer.open();
  t.with([](Conn& c) { c.send(std::string(20 * mss, 'x')); });
  EXPECT_EQ(sent(t).size(), 10u);
}

TEST(Congestion, slow_start__two_segments_more_for_an_ack_of_two) {
  Trace t;
  t.listen();
  t.peer.open();
  t.with([](Conn& c) { c.send(std::string(100 * mss, 'x')); });
  ASSERT_EQ(sent(t).size(), 10u);
  t.peer.ack().ack(nth(2));
  EXPECT_EQ(sent(t).size(), 4u);
}

TEST(Congestion, sec_C12__ack_division__grows_by_bytes_and_not_by_acks) {
  Trace t;
  t.listen();
  t.peer.open();
  t.with([](Conn& c) { c.send(std::string(20 * mss, 'x')); });
  sent(t);
  const std::uint32_t before = t.conn().stats().congestion_window;
  for (std::uint32_t i = 1; i <= mss; ++i) t.peer.ack().ack(1 + i);
  EXPECT_LE(t.conn().stats().congestion_window, before + mss);
  sent(t);
}

TEST(Congestion, sec_C12__stretch_ack__grows_by_two_segments_at_most) {
  Trace t;
  t.listen();
  t.peer.open();
  t.with([](Conn& c) { c.send(std::string(40 * mss, 'x')); });
  sent(t);
  const std::uint32_t before = t.conn().stats().congestion_window;
  t.peer.ack().ack(nth(10));
  EXPECT_LE(t.conn().stats().congestion_window, before + 2 * mss);
  sent(t);
}

TEST(Congestion, application_limited__window_does_not_grow) {
  Trace t;
  t.listen();
  t.peer.open();
  const std::uint32_t before = t.conn().stats().congestion_window;
  for (int i = 0; i < 50; ++i) {
    t.with([](Conn& c) { c.send("little"); });
    sent(t);
    t.peer.ack();
  }
  EXPECT_EQ(t.conn().stats().congestion_window, before);
}

// --- beyond 2 and 4 GiB: the state that a long transfer reaches, set by hand
// --------------------------------------------

tcp::Tcb& block_of(Trace& t) { return *t.core().shard().find(t.app.last()); }

TEST(LongTransfer, snd_una_meets_the_initial_number_again__is_no_syn) {
  Trace t;
  t.listen();
  t.peer.open();
  t.with([](Conn& c) { c.send("0123456789"); });
  t.peer.expect().data("0123456789");
  tcp::Tcb& tcb = block_of(t);
  tcb.iss = tcb.snd_una;  // as after 2^32 - 1 bytes
  tcb.send_wraps = 1;
  t.advance_to_frame(2s);
  t.peer.expect().flags(ACK).seq(1).data("0123456789");
  t.peer.ack().ack(6);
  t.advance_to_frame(2s);
  t.peer.expect().flags(ACK).seq(6).data("56789");
  t.peer.ack().ack(11);
  tcb.iss = tcb.snd_una;
  t.with([](Conn& c) { c.send("more"); });
  t.peer.expect().flags(ACK).seq(11).data("more");
}

TEST(LongTransfer, two_gib_without_loss__fast_retransmit_still_works) {
  Trace t;
  t.listen();
  t.peer.open();
  // One acknowledged segment at every gibibyte or so: numbers are moved on in between.
  tcp::Tcb& tcb = block_of(t);
  t.with([](Conn& c) { c.set_nodelay(true); });
  for (int i = 0; i < 6; ++i) {
    t.with([](Conn& c) { c.send("step"); });
    sent(t);
    t.peer.ack();
    constexpr std::uint32_t leap = 1u << 29;
    tcb.snd_una += leap;
    tcb.snd_nxt += leap;
    tcb.snd_wl2 += leap;
    t.peer.rcv_nxt += leap;
  }
  t.with([](Conn& c) { c.send(std::string(6 * mss, 'f')); });
  const Seqs flight = sent(t);
  ASSERT_EQ(flight.size(), 6u);
  for (int i = 0; i < 3; ++i) t.peer.ack().ack(flight[0]);
  EXPECT_EQ(sent(t), Seqs{flight[0]});
}

}  // namespace
}  // namespace handfast::test
