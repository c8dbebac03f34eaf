// SPDX-License-Identifier: BSD-3-Clause
// Single steps of RFC 9293 section 3.10.7 that the matrix found wrong once, or where we deviate, each as a
// short trace. Layer: tests of the protocol, through frames alone.
#include <gtest/gtest.h>

#include <string>

#include "support/peer.hpp"

namespace handfast::test {
namespace {

// Section 3.10.7.4 first: what lies beyond a gap is held, a FIN without text, too.
TEST(Steps, bare_fin_beyond_a_gap__is_kept_until_the_gap_is_filled) {
  for (const bool sack : {false, true}) {
    Trace t;
    t.listen();
    t.peer.open({.sack = sack});
    t.peer.fin().seq(1 + 8);
    t.peer.expect().pure_ack().ack(1);
    t.peer.ack().seq(1).data("half");  // the application takes it; what is missing is still missing
    EXPECT_EQ(t.app.count("fin"), 0);
    t.peer.ack().seq(5).data("rest");
    EXPECT_EQ(t.app.received(), "halfrest");
    EXPECT_EQ(t.app.count("fin"), 1);
    EXPECT_EQ(t.state(), State::close_wait);
    std::uint32_t acked = 0;
    while (const auto p = t.peer.poll()) acked = p->ack - t.peer.iss;
    EXPECT_EQ(acked, 10u);
  }
}

TEST(Steps, bare_fin_beyond_a_gap__takes_no_buffer_of_the_half_that_is_kept) {
  CoreConfig config = small_config();
  config.limits.recovery_blocks = 2;
  Trace t{config};
  t.listen();
  t.peer.open();
  auto other = t.another_peer(41000);
  other->open();
  t.peer.fin().seq(9);
  t.peer.expect().pure_ack().ack(1);
  other->fin().seq(9);
  other->expect().pure_ack().ack(1);
  EXPECT_EQ(t.drops(Drop::tcp_no_memory), 1u);
  other->ack().seq(1).data("12345678");
  other->fin().seq(9);
  EXPECT_EQ(t.app.count("fin"), 1);
}

// Section 3.10.7.4 second, the first of its three checks: a sequence number outside of the window, though
// text that it carries reaches into it: silently.
TEST(Steps, rst_that_begins_before_the_window__is_dropped_without_an_answer) {
  Trace t;
  t.listen();
  t.peer.syn().mss(1460);
  t.peer.expect().syn_ack();
  t.peer.rst().seq(0).data("0123456789");  // half-open
  t.expect_nothing();
  t.peer.ack().seq(1).data("text");
  t.advance(50ms);
  t.peer.expect().pure_ack().ack(5);
  t.peer.rst().seq(4).data("0123456789");
  t.expect_nothing();
  EXPECT_EQ(t.drops(Drop::tcp_rst_not_exact), 0u);
  EXPECT_EQ(t.drops(Drop::tcp_out_of_window), 1u);
  EXPECT_EQ(t.drops(Drop::tcp_duplicate), 1u);
  EXPECT_EQ(t.stats().challenge_acks, 0u);
  EXPECT_EQ(t.state(), State::established);
}

// Section 3.10.7.4 seventh and eighth: ignored, and counted. The second FIN is a deviation:
// docs/rfc-exceptions.md.
TEST(Steps, text_and_fin_behind_the_peers_fin__are_ignored_and_counted) {
  Trace t;
  t.listen();
  t.peer.open();
  t.peer.fin();
  t.peer.expect().pure_ack().ack(2);
  t.peer.ack().seq(2).data("more");
  EXPECT_EQ(t.drops(Drop::tcp_out_of_window), 1u);
  t.peer.fin().seq(2);
  EXPECT_EQ(t.drops(Drop::tcp_out_of_window), 2u);
  t.expect_nothing_until(100ms);
  EXPECT_EQ(t.app.received(), "");
  t.peer.ack().seq(1);  // below the window: its answer says what is expected next
  t.peer.expect().pure_ack().ack(2);
}

// Section 3.10.7.4 first: with the window closed a RST counts; it is not dropped, so no counter
// may say so.
TEST(Steps, rst_with_text_at_a_closed_window__resets_and_counts_as_no_drop) {
  CoreConfig config = small_config();
  config.tcp.receive_buffer = config.tcp.receive_buffer_initial = 2048;
  Trace t{config};
  t.listen();
  t.app.accepted = [](Conn& c) { c.pause_rx(); };
  t.peer.open();
  t.peer.ack().data(std::string(1024, 'a'));
  t.peer.ack().data(std::string(1024, 'b'));
  t.advance(50ms);
  while (t.peer.poll()) {
  }
  t.peer.rst().data("why");
  EXPECT_EQ(t.app.reason(), CloseReason::reset_by_peer);
  EXPECT_EQ(t.drops(Drop::tcp_window_full), 0u);
}

// Section 3.5.2, group 3: in TIME-WAIT too an unacceptable acknowledgment is answered.
TEST(Steps, time_wait__ack_of_what_was_never_sent__is_answered) {
  Trace t;
  t.listen();
  t.peer.open();
  t.with([](Conn& c) { c.close(); });
  t.peer.finish_after_fin();
  t.peer.ack();
  t.expect_nothing();
  t.peer.ack().ack(3);
  t.peer.expect().pure_ack().seq(2).ack(2);
  EXPECT_EQ(t.drops(Drop::tcp_time_wait), 2u);
}

// Section 3.10.7.4: a SYN, an ACK of what was never sent or no ACK at all end it before the fifth step's
// restart. Below the window they are answered, and that is all.
TEST(Steps, time_wait__fin_that_is_no_repetition__does_not_restart_2msl) {
  Trace t;
  t.listen();
  t.peer.open();
  t.with([](Conn& c) { c.close(); });
  t.peer.finish_after_fin();
  t.advance(50s);
  const auto expect_ack = [&] {
    t.peer.expect().pure_ack().seq(2).ack(2);
    t.advance(1s);
  };
  t.peer.segment(FIN).seq(1);
  expect_ack();
  t.peer.segment(SYN | FIN | ACK).seq(0);
  expect_ack();
  t.peer.fin().seq(1).ack(3);
  expect_ack();
  t.advance(8s);
  EXPECT_EQ(t.stats().time_wait, 0u);
}

// PAWS holds in TIME-WAIT too: an old duplicate of the FIN is not the FIN again, and an old ACK is answered.
TEST(Steps, time_wait__old_timestamp__is_answered_and_does_not_restart_2msl) {
  Trace t;
  t.listen();
  t.peer.open(with_ts);
  t.with([](Conn& c) { c.close(); });
  t.advance(100ms);
  t.peer.finish_after_fin();
  t.advance(50s);
  const std::uint32_t old = t.peer.ts_base;
  t.peer.fin().seq(1).ts(old, 0);
  t.peer.expect().pure_ack().seq(2).ack(2);
  t.peer.ack().seq(2).ts(old, 0);
  t.peer.expect().pure_ack().seq(2).ack(2);
  t.advance(11s);
  EXPECT_EQ(t.stats().time_wait, 0u);
}

// And where two SYNs crossed: a SYN-ACK older than the SYN before it ends no handshake.
TEST(Steps, simultaneous_open__syn_ack_with_an_old_timestamp__is_answered_and_changes_nothing) {
  Trace t;
  t.connect();
  t.peer.expect().syn();
  const std::uint32_t now = t.peer.ts_now();
  t.peer.syn().mss(1460).ts(now, 0);
  t.peer.expect().syn_ack().seq(0).ack(1);
  t.peer.syn_ack().seq(0).ts(now - 1000, 0);
  t.peer.expect().pure_ack().seq(1).ack(1);
  EXPECT_EQ(t.drops(Drop::tcp_old_timestamp), 1u);
  EXPECT_EQ(t.app.count("connect"), 0);
  t.peer.syn_ack().seq(0).ts(now + 1, 0);
  EXPECT_EQ(t.app.count("connect"), 1);
}

// Where timestamps were agreed on, what lacks them is dropped in silence, in the window or not.
TEST(Steps, half_open__without_timestamps_and_out_of_the_window__no_answer) {
  Trace t;
  t.listen();
  t.peer.syn().mss(1460).ts(100, 0);
  t.peer.expect().syn_ack();
  t.peer.ack().seq(0);
  t.peer.ack().seq(1 + 65535);
  t.expect_nothing();
  EXPECT_EQ(t.drops(Drop::tcp_no_timestamp), 2u);
}

// Deviates from section 3.10.7.3 fourth: docs/rfc-exceptions.md.
TEST(Steps, syn_sent__syn_ack_with_data_fin_and_urgent__opens_and_takes_nothing_else) {
  Trace t;
  t.connect();
  t.peer.expect().syn();
  t.peer.syn_ack().seq(0).mss(1460).data("early").fin().urgent(3);
  t.peer.expect().pure_ack().seq(1).ack(1);
  EXPECT_EQ(t.state(), State::established);
  EXPECT_EQ(t.app.events, std::vector<std::string>{"connect"});
  t.peer.fin().seq(1).data("early");
  EXPECT_EQ(t.app.received(), "early");
  EXPECT_EQ(t.state(), State::close_wait);
}

// Deviates from section 3.10.7.4 fifth and seventh: docs/rfc-exceptions.md.
TEST(Steps, time_wait__segments_in_the_window__are_answered_twice_in_half_a_second) {
  Trace t;
  t.listen();
  t.peer.open();
  t.with([](Conn& c) { c.close(); });
  t.peer.finish_after_fin();
  for (int half_second = 0; half_second < 2; ++half_second) {
    t.advance(500ms);
    t.peer.ack().seq(2).data("text");
    t.peer.expect().pure_ack().seq(2).ack(2);
    t.peer.ack().seq(7);
    t.peer.expect().pure_ack().seq(2).ack(2);
    t.peer.segment(PSH).seq(2).data("text");
    t.expect_nothing();
  }
  EXPECT_EQ(t.drops(Drop::tcp_time_wait), 6u);
  EXPECT_EQ(t.drops(Drop::tcp_challenge_limited), 2u);
}

// Deviates from section 3.10.7.4 fifth: docs/rfc-exceptions.md.
TEST(Steps, time_wait__ack_that_is_too_old__no_answer) {
  Trace t;
  t.listen();
  t.peer.open();
  t.with([](Conn& c) { c.close(); });
  t.peer.finish_after_fin();
  t.peer.ack().ack(0u - 100000);
  t.expect_nothing();
  EXPECT_EQ(t.drops(Drop::tcp_time_wait), 1u);
}

}  // namespace
}  // namespace handfast::test
