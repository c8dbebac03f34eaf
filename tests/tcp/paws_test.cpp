// SPDX-License-Identifier: BSD-3-Clause
// RFC 7323: timestamps on every segment, which value is echoed, PAWS, clocks that wrap and connections that
// sleep. Layer: tests of the protocol, through frames alone.
#include <gtest/gtest.h>

#include <string>

#include "support/peer.hpp"

namespace handfast::test {
namespace {

int drain(Peer& p) {
  int n = 0;
  while (p.poll()) ++n;
  return n;
}

/// A connection whose peer's clock starts at `base`; the test writes every TSval itself.
struct Clocked {
  explicit Clocked(std::uint32_t base_value) : base(base_value) {
    t.listen();
    t.peer.syn().mss(1460).ts(base, 0);
    const Packet answer = t.peer.expect().syn_ack().packet();
    EXPECT_TRUE(answer.ts);
    if (answer.ts) mine = answer.ts->first;
    t.peer.ack().ts(base, mine);
  }
  /// The TSecr of the next segment, which must be there.
  std::uint32_t echo() {
    const Packet p = t.peer.expect().packet();
    EXPECT_TRUE(p.ts);
    return p.ts ? p.ts->second - base : ~0u;
  }
  Trace t;
  std::uint32_t base, mine = 0;
};

// --- section 3.2
// ----------------------------------------------------------------------------------------------

// rfc7323 3.2b, 3.2c
TEST(Timestamps, segment_without_them__dropped_silently_and_counted) {
  Trace t;
  t.listen();
  t.peer.open(with_ts);
  t.peer.ts_on = false;
  t.peer.ack().seq(1).data("no stamp");
  t.peer.segment(ACK).seq(1);
  t.peer.fin().seq(1);
  t.expect_nothing();
  EXPECT_EQ(t.app.received(), "");
  EXPECT_EQ(t.state(), State::established) << "MUST NOT abort";
  EXPECT_EQ(t.drops(Drop::tcp_no_timestamp), 3u);
  t.peer.ts_on = true;
  t.peer.ack().data("stamped");
  EXPECT_EQ(t.app.received(), "stamped");
}

// rfc7323 3.2b
TEST(Timestamps, rst_without_them__counts) {
  Trace t;
  t.listen();
  t.peer.open(with_ts);
  t.peer.ts_on = false;
  t.peer.rst();
  EXPECT_EQ(t.app.reason(), CloseReason::reset_by_peer);
}

// deviates: rfc7323 3.2b (a SYN without them is challenged as any other)
TEST(Timestamps, syn_without_them_from_a_peer_that_forgot__is_challenged) {
  Trace t;
  t.listen();
  t.peer.open(with_ts);
  t.peer.ts_on = false;
  t.peer.segment(SYN).seq(5000).mss(1460);
  t.peer.expect().pure_ack().seq(1).ack(1);
  EXPECT_EQ(t.drops(Drop::tcp_no_timestamp), 0u);
}

// rfc7323 3.2b
TEST(Timestamps, third_segment_without_them__waits_for_one_that_has_them) {
  Trace t;
  t.listen();
  t.peer.syn().mss(1460).ts(t.peer.ts_now(), 0);
  t.peer.expect().syn_ack();
  t.peer.ack();
  t.expect_nothing();
  EXPECT_EQ(t.stats().half_open, 1u);
  EXPECT_EQ(t.drops(Drop::tcp_no_timestamp), 1u);
  t.peer.ts_on = true;
  t.peer.ack();
  EXPECT_EQ(t.state(), State::established);
}

// rfc7323 3.2b
TEST(Timestamps, in_time_wait_a_segment_without_them__gets_no_answer) {
  Trace t;
  t.listen();
  t.peer.open(with_ts);
  t.with([](Conn& c) { c.close(); });
  t.peer.finish_after_fin();
  t.peer.ts_on = false;
  t.peer.fin().seq(1);
  t.expect_nothing();
  EXPECT_EQ(t.drops(Drop::tcp_no_timestamp), 1u);
  t.peer.ts_on = true;
  t.peer.fin().seq(1);
  t.peer.expect().pure_ack().ack(2);
}

// rfc7323 3.2d
TEST(Timestamps, not_agreed_on__are_ignored) {
  Trace t;
  t.listen();
  t.peer.open();
  t.peer.ack().data("a").ts(1000, 1);
  t.peer.ack().data("b").ts(1, 1);
  EXPECT_EQ(t.app.received(), "ab");
  t.advance(1s);
  EXPECT_FALSE(t.peer.expect().packet().ts);
}

// rfc7323 3.2a
TEST(Timestamps, on_every_segment_once_agreed_on) {
  Trace t;
  t.listen();
  t.peer.open(modern);
  t.with([](Conn& c) { c.send(std::string(5000, 'x')); });
  while (auto p = t.peer.poll()) EXPECT_TRUE(p->ts) << p->text();
  t.peer.ack().seq(3000).data("beyond a gap");
  EXPECT_TRUE(t.peer.expect().packet().ts);
  t.with([](Conn& c) { c.close(); });
  t.advance(5s);
  while (auto p = t.peer.poll()) EXPECT_TRUE(p->ts) << p->text();
}

// --- section 5.2: resets
// -----------------------------------------------------------------------------------------

// rfc7323 5.2a
TEST(Timestamps, rst_of_an_abort__carries_them) {
  Clocked c{700};
  c.t.with([](Conn& conn) { conn.abort(); });
  const Packet p = c.t.peer.expect().rst_ack().packet();
  ASSERT_TRUE(p.ts);
  EXPECT_EQ(p.ts->second, 700u);
}

// rfc7323 5.2a
TEST(Timestamps, rst_in_answer__echoes_the_value_and_has_none_of_its_own) {
  Trace t;
  t.peer.ack().seq(5).ack(9).data("to nobody").ts(4242, 17);
  const Packet p = t.peer.expect().rst().packet();
  ASSERT_TRUE(p.ts);
  EXPECT_EQ(p.ts->first, 0u);
  EXPECT_EQ(p.ts->second, 4242u);
  t.peer.ack().seq(5).ack(9).data("to nobody");
  EXPECT_FALSE(t.peer.expect().rst().packet().ts);
}

// rfc7323 5.2b
TEST(Paws, rst_with_an_old_value__counts_and_one_that_is_challenged_teaches_nothing) {
  Clocked c{5000};
  c.t.peer.rst().seq(10).ts(9000, 0);  // in the window, not at its edge: RFC 5961
  EXPECT_EQ(c.echo(), 0u) << "an RST's value MUST NOT be taken";
  c.t.peer.rst().seq(1).ts(1, 0);
  EXPECT_EQ(c.t.app.reason(), CloseReason::reset_by_peer);
}

// --- section 4.3: what is echoed
// --------------------------------------------------------------------------------

// rfc7323 4.3a, case (A)
TEST(Echo, delayed_acks__the_earliest_unacknowledged_segment) {
  CoreConfig config = small_config();
  Clocked c{100};
  c.t.peer.ack().data("A").ts(101, c.mine);
  c.t.peer.ack().data("B").ts(102, c.mine);
  c.t.peer.ack().data("C").ts(103, c.mine);
  c.t.advance(config.tcp.delayed_ack);
  EXPECT_EQ(c.echo(), 1u);
  c.t.peer.ack().data("D").ts(104, c.mine);
  c.t.advance(config.tcp.delayed_ack);
  EXPECT_EQ(c.echo(), 4u);
}

// rfc7323 4.3b, 4.3c, cases (B) and (C): the RFC's second example
TEST(Echo, out_of_order__the_segment_that_advanced_the_edge) {
  Clocked c{0xfffffffe};  // and the clock wraps on the way
  const auto ts = [&](std::uint32_t n) { return c.base + n; };
  const std::string full(1460, 'x');
  c.t.peer.ack().seq(1).data("A").ts(ts(1), c.mine);
  c.t.advance(1s);
  EXPECT_EQ(c.echo(), 1u);
  c.t.peer.ack().seq(3).data("C").ts(ts(3), c.mine);
  EXPECT_EQ(c.echo(), 1u);
  c.t.peer.ack().seq(2).data("B").ts(ts(2), c.mine);
  EXPECT_EQ(c.echo(), 2u);
  c.t.peer.ack().seq(5).data("E").ts(ts(5), c.mine);
  EXPECT_EQ(c.echo(), 2u);
  c.t.peer.ack().seq(4).data("D").ts(ts(4), c.mine);
  EXPECT_EQ(c.echo(), 4u);
  EXPECT_EQ(c.t.app.received(), "ABCDE");
}

// rfc7323 5.3b, by 4.3 (2): Last.ACK.sent
TEST(Echo, old_duplicate_that_is_not_before_ts_recent__does_not_move_it_beyond_what_was_acknowledged) {
  Clocked c{100};
  c.t.peer.ack().seq(1).data("A").ts(101, c.mine);
  c.t.peer.ack().seq(2).data("B").ts(109, c.mine);  // after Last.ACK.sent: not taken
  c.t.advance(1s);
  EXPECT_EQ(c.echo(), 1u);
}

// --- section 5.3: PAWS
// ----------------------------------------------------------------------------------------

// rfc7323 5.3a, R1
TEST(Paws, old_value__is_answered_and_dropped) {
  Clocked c{1000};
  c.t.peer.ack().seq(1).data("old").ts(983, c.mine);
  c.t.peer.expect().pure_ack().seq(1).ack(1);
  EXPECT_EQ(c.t.drops(Drop::tcp_old_timestamp), 1u);
  EXPECT_EQ(c.t.app.received(), "");
  c.t.peer.ack().seq(1).data("new").ts(1000, c.mine);
  EXPECT_EQ(c.t.app.received(), "new") << "the same value is not old";
}

// rfc7323 5.3a, 5.3b: s < t if 0 < t - s < 2^31
TEST(Paws, clock_wraps__new_is_new_and_old_is_old) {
  for (const std::uint32_t base : {0xffffffffu, 0x7fffffffu, 0x80000000u, 0u}) {
    Clocked c{base};
    c.t.peer.ack().data("a").ts(base + 17, c.mine);
    EXPECT_EQ(c.t.app.received(), "a") << base;
    c.t.advance(1s);
    drain(c.t.peer);
    c.t.peer.ack().seq(2).data("b").ts(base, c.mine);
    EXPECT_EQ(c.t.app.received(), "a") << base;
    c.t.peer.ack().seq(2).data("b").ts(base + 0x7fffffff, c.mine);
    EXPECT_EQ(c.t.app.received(), "ab") << base;
    drain(c.t.peer);
  }
}

// rfc7323 5.5
TEST(Paws, after_24_days_of_silence__any_value_is_taken_and_then_the_next_ones) {
  Clocked c{1000};
  c.t.advance(24 * 24h + 1s);
  const std::uint32_t wrapped = 1000 - 5;
  c.t.peer.ack().data("awake").ts(wrapped, c.mine);
  EXPECT_EQ(c.t.app.received(), "awake");
  c.t.advance(1s);
  EXPECT_EQ(c.echo(), 0u - 5) << "R3 updates TS.Recent with the new segment's";
  c.t.peer.ack().data(" and").ts(wrapped + 1, c.mine);
  c.t.peer.ack().data(" well").ts(wrapped + 2, c.mine);
  EXPECT_EQ(c.t.app.received(), "awake and well");
}

// rfc7323 5.5
TEST(Paws, after_23_days_of_silence__an_old_value_is_still_old) {
  Clocked c{1000};
  c.t.advance(23 * 24h);
  c.t.peer.ack().seq(1).data("no").ts(983, c.mine);
  c.t.peer.expect().pure_ack();
  EXPECT_EQ(c.t.app.received(), "");
}

// deviates: rfc7323 5.3 R1, by 16 ticks. C and D, sent with A, are held back until the copy of B has come.
TEST(Paws, late_by_a_few_ticks__is_taken) {
  Clocked c{1000};
  c.t.peer.ack().seq(1).data("A").ts(1000, c.mine);
  c.t.advance(1s);
  c.t.peer.ack().seq(2).data("B").ts(1016, c.mine);
  c.t.peer.ack().seq(3).data("C").ts(1000, c.mine);
  EXPECT_EQ(c.t.app.received(), "ABC");
  c.t.peer.ack().seq(4).data("D").ts(1001, c.mine);
  EXPECT_EQ(c.t.app.received(), "ABCD");
  EXPECT_EQ(c.t.drops(Drop::tcp_old_timestamp), 0u);
  c.t.advance(1s);
  Packet last;
  while (auto p = c.t.peer.poll()) last = *p;
  ASSERT_TRUE(last.ts);
  EXPECT_EQ(last.ts->second, 1016u) << "TS.Recent does not go back";
  c.t.peer.ack().seq(5).data("E").ts(999, c.mine);
  EXPECT_EQ(c.t.app.received(), "ABCD") << "nor does the edge of what is taken";
  EXPECT_EQ(c.t.drops(Drop::tcp_old_timestamp), 1u);
  drain(c.t.peer);
}

// rfc7323 5.3a: an out-of-order segment's value is looked at when it arrives and not again
TEST(Paws, gap_filled_by_a_later_copy__what_was_queued_counts) {
  Clocked c{1};
  c.t.peer.ack().seq(1).data("A").ts(1, c.mine);
  c.t.peer.ack().seq(3).data("C").ts(1, c.mine);
  c.t.peer.ack().seq(2).data("B").ts(2, c.mine);
  EXPECT_EQ(c.t.app.received(), "ABC");
  drain(c.t.peer);
}

// --- the handshake
// ----------------------------------------------------------------------------------------------

// rfc7323 5.3b: found as a first RTT sample of the peer that was as long as its SYN had been lost
TEST(HalfOpenTimestamps, syn_again_with_a_newer_value__is_what_is_echoed) {
  Trace t;
  t.listen();
  t.peer.syn().mss(1460).ts(1000, 0);
  EXPECT_EQ(t.peer.expect().syn_ack().packet().ts->second, 1000u);
  t.peer.syn().seq(0).mss(1460).ts(2000, 0);
  EXPECT_EQ(t.peer.expect().syn_ack().packet().ts->second, 2000u);
  t.advance_to_frame(5s);
  EXPECT_EQ(t.peer.expect().syn_ack().packet().ts->second, 2000u) << "our own repetition, too";
}

// rfc7323 5.3a: duplicate SYNs
TEST(HalfOpenTimestamps, old_duplicate_of_the_syn__changes_nothing) {
  Trace t;
  t.listen();
  t.peer.syn().mss(1460).ts(2000, 0).wscale(3);
  t.peer.expect().syn_ack();
  t.peer.syn().seq(0).mss(700).ts(1000, 0);
  const Packet answer = t.peer.expect().syn_ack().packet();
  EXPECT_EQ(answer.ts->second, 2000u);
  EXPECT_TRUE(answer.wscale);
}

// rfc7323 3.2: TSopt in a SYN-ACK only if it was in the SYN; a peer that tries again without is taken by its
// word
TEST(HalfOpenTimestamps, syn_again_without_options__they_are_off) {
  Trace t;
  t.listen();
  {
    Send s = t.peer.syn();
    t.peer.offer(s, modern);
  }
  t.peer.expect().syn_ack();
  t.peer.syn().seq(0).mss(1000);
  const Packet answer = t.peer.expect().syn_ack().packet();
  EXPECT_FALSE(answer.ts || answer.wscale || answer.sack_permitted);
  t.peer.snd_nxt = 1;
  t.peer.ack().data("plain");
  EXPECT_EQ(t.app.received(), "plain");
  EXPECT_FALSE(t.conn().stats().timestamps);
  EXPECT_EQ(t.conn().stats().mss, 1000u);
}

// rfc7323 5.4: the clock ticks once a millisecond, from an offset that is the tuple's own
TEST(Timestamps, own_clock__a_tick_is_a_millisecond_and_never_goes_back) {
  Clocked c{1};
  std::uint32_t last = c.mine;
  Duration at = c.t.elapsed();
  for (const Duration step : {1ms, 999ms, 60000ms, 3600000ms}) {
    c.t.advance(step);
    c.t.peer.ack().seq(0).ts(2, 0);  // a probe, that is answered
    const Packet p = c.t.peer.expect().packet();
    ASSERT_TRUE(p.ts);
    EXPECT_EQ(p.ts->first - last, static_cast<std::uint32_t>((c.t.elapsed() - at) / 1ms));
    last = p.ts->first;
    at = c.t.elapsed();
  }
}

// rfc7323 3.2e: when the ACK bit is not set TSecr is zero, and is not looked at
TEST(Timestamps, tsecr_of_a_syn__zero_when_sent_and_ignored_when_received) {
  Trace t;
  t.connect();
  EXPECT_EQ(t.peer.expect().syn().packet().ts->second, 0u);
  t.advance(100ms);
  t.peer.syn().mss(1460).ts(77, 0x12345678);
  EXPECT_EQ(t.peer.expect().syn_ack().packet().ts->second, 77u);
  t.peer.ts_on = true;
  t.peer.ts_base = 77;
  t.peer.ack();
  EXPECT_EQ(t.state(), State::established);
}

}  // namespace
}  // namespace handfast::test
