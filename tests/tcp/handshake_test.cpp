// SPDX-License-Identifier: BSD-3-Clause
// RFC 9293 section 3.5: opening, passive, active, simultaneous, with oneself, and what may go wrong on the
// way. Layer: tests of the protocol, through frames alone.
#include <gtest/gtest.h>

#include <vector>

#include "support/peer.hpp"

namespace handfast::test {
namespace {

// MUST-14
TEST(Handshake, passive__three_segments__accepts) {
  Trace t;
  t.listen();
  t.peer.syn().mss(1460);
  const auto answer = t.peer.expect().syn_ack().seq(0).ack(1).window(65535);
  EXPECT_EQ(answer.packet().mss, 1460);
  EXPECT_FALSE(answer.packet().wscale || answer.packet().sack_permitted || answer.packet().ts)
      << "not offered (RFC 7323 2.5)";
  EXPECT_TRUE(t.app.events.empty()) << "half open is not open";
  t.peer.ack();
  t.expect_nothing();
  EXPECT_EQ(t.app.events, std::vector<std::string>{"accept"});
  EXPECT_EQ(t.state(), State::established);
  EXPECT_EQ(t.stats().established, 1u);
  EXPECT_EQ(t.stats().half_open, 0u);
}

// MUST-14, MUST-16, rfc6691 2b, rfc7323 2.3a, 2.2d
TEST(Handshake, passive__options_offered__are_granted) {
  Trace t;
  t.listen();
  t.peer.syn().mss(1400).wscale(7).sack_ok().ts(t.peer.ts_now(), 0);
  const Packet answer = t.peer.expect().syn_ack().packet();
  EXPECT_EQ(answer.mss, 1460);
  EXPECT_EQ(answer.wscale, 7) << "65535 << 7 is the first that holds 6 MiB";
  EXPECT_TRUE(answer.sack_permitted);
  ASSERT_TRUE(answer.ts);
  EXPECT_EQ(answer.ts->second, t.peer.ts_now());
  t.peer.ts_on = true;
  t.peer.ack();
  const ConnStats s = t.conn().stats();
  EXPECT_TRUE(s.timestamps && s.sack && s.window_scale);
  EXPECT_EQ(s.mss, 1400u - 12) << "MUST-16: options are taken off";
  EXPECT_EQ(s.send_window, 65535u << 7);
}

// MUST-15
TEST(Handshake, passive__no_mss_option__sends_536) {
  Trace t;
  t.listen();
  t.peer.open({.mss = std::nullopt});
  EXPECT_EQ(t.conn().stats().mss, 536u);
}

TEST(Handshake, passive__third_segment_with_data__is_delivered) {
  Trace t;
  t.listen();
  t.peer.syn().mss(1460);
  t.peer.expect().syn_ack();
  t.peer.ack().data("hello");
  EXPECT_EQ(t.app.events, (std::vector<std::string>{"accept", "data:5"}));
  EXPECT_EQ(t.app.received(), "hello");
}

TEST(Handshake, passive__third_segment_with_data_and_fin__is_delivered) {
  Trace t;
  t.listen();
  t.peer.syn().mss(1460);
  t.peer.expect().syn_ack();
  t.peer.ack().data("hello").fin();
  EXPECT_EQ(t.app.events, (std::vector<std::string>{"accept", "data:5", "fin"}));
  t.peer.expect().pure_ack().ack(7);
  EXPECT_EQ(t.state(), State::close_wait);
}

TEST(Handshake, passive__third_segment_lost_then_data__opens) {
  Trace t;
  t.listen();
  t.peer.syn().mss(1460);
  t.peer.expect().syn_ack();
  t.advance(300ms);  // the ACK is lost
  t.peer.ack().data("late");
  EXPECT_EQ(t.app.events, (std::vector<std::string>{"accept", "data:4"}));
}

TEST(Handshake, passive__third_segment_lost__syn_ack_comes_again_and_is_answered) {
  Trace t;
  t.listen();
  t.peer.syn().mss(1460);
  t.peer.expect().syn_ack();
  EXPECT_EQ(t.advance_to_frame(5s), 1s);
  t.peer.expect().syn_ack().seq(0).ack(1);
  t.peer.ack();
  EXPECT_EQ(t.state(), State::established);
  t.expect_nothing_until(30s);
}

// rfc4987 3.3
TEST(Handshake, passive__silence__syn_ack_at_0_1_3_seconds_then_nothing) {
  Trace t;
  t.listen();
  t.peer.syn().mss(1460);
  t.peer.expect().syn_ack().at(0s);
  t.advance(30s);
  t.peer.expect().syn_ack().at(1s);
  t.peer.expect().syn_ack().at(3s);
  t.expect_nothing_until(5min);
  EXPECT_EQ(t.stats().half_open, 0u);
  EXPECT_EQ(t.stats().half_open_expired, 1u);
  EXPECT_TRUE(t.app.events.empty());
}

TEST(Handshake, passive__peers_syn_comes_again__answered_and_the_count_starts_over) {
  Trace t;
  t.listen();
  t.peer.syn().mss(1460);
  t.peer.expect().syn_ack();
  for (int i = 0; i < 6; ++i) {  // a peer that waits longer than our two retries would last
    t.advance(2500ms);
    while (t.peer.poll()) {
    }
    t.peer.syn().seq(0).mss(1460);
    t.peer.expect().syn_ack().seq(0).ack(1);
  }
  t.peer.snd_nxt = 1;
  t.peer.ack();
  EXPECT_EQ(t.state(), State::established);
  EXPECT_EQ(t.stats().passive_opens, 1u);
}

TEST(Handshake, active__three_segments__connects) {
  Trace t;
  t.connect();
  const auto first = t.peer.expect().syn().seq(0).window(65535);
  EXPECT_EQ(first.packet().mss, 1460);
  EXPECT_EQ(first.packet().wscale, 7);
  EXPECT_TRUE(first.packet().sack_permitted);
  ASSERT_TRUE(first.packet().ts);
  EXPECT_EQ(first.packet().ts->second, 0u);
  EXPECT_TRUE(t.app.events.empty());
  t.peer.syn_ack().mss(1460);
  t.peer.expect().pure_ack().seq(1).ack(1);
  EXPECT_EQ(t.app.events, std::vector<std::string>{"connect"});
  EXPECT_EQ(t.state(), State::established);
  const ConnStats s = t.conn().stats();
  EXPECT_FALSE(s.timestamps || s.sack || s.window_scale);
  EXPECT_EQ(s.mss, 1460u);
}

TEST(Handshake, active__data_sent_in_on_connect__rides_on_the_third_segment) {
  Trace t;
  t.app.connected = [](Conn& c) { c.send("GET"); };
  t.connect();
  t.peer.expect().syn();
  t.peer.syn_ack().mss(1460);
  t.peer.expect().flags(ACK).seq(1).ack(1).data("GET");
  t.expect_nothing();
}

TEST(Handshake, active__data_queued_in_syn_sent__leaves_when_open) {
  Trace t;
  const ConnId id = t.connect();
  t.peer.expect().syn();
  EXPECT_EQ(t.core().find(id)->send("early"), 5u);
  t.poll();
  t.expect_nothing();
  t.peer.syn_ack().mss(1460);
  t.peer.expect().flags(ACK).data("early");
}

// MUST-22, MUST-23, rfc6298 2.1, 5.5
TEST(Handshake, active__silence__syn_at_doubling_times_for_three_minutes) {
  Trace t;
  const ConnId id = t.connect();
  std::vector<Duration> times;
  for (int i = 0; i < 1000 && !t.app.records[id].closed; ++i) {
    t.advance(500ms);
    while (auto p = t.peer.poll()) {
      EXPECT_EQ(p->flags, SYN);
      times.push_back(p->at - (t.now() - t.elapsed()));
    }
  }
  EXPECT_EQ(times, (std::vector<Duration>{0s, 1s, 3s, 7s, 15s, 31s, 63s, 123s}));
  EXPECT_EQ(t.app.records[id].closed, CloseReason::connect_timed_out);
  EXPECT_GE(t.elapsed(), 180s) << "MUST-23";
  EXPECT_LE(t.elapsed(), 245s);
  EXPECT_FALSE(t.app.records[id].opened);
}

// rfc5681 3.1c, rfc6928 2b, rfc6298 5.7
TEST(Handshake, active__first_syn_lost__opens_with_a_small_window_and_a_long_rto) {
  Trace t;
  t.connect();
  t.peer.expect().syn();
  t.advance(1s);
  t.peer.answer_open();
  EXPECT_EQ(t.conn().stats().congestion_window, 1460u) << "RFC 5681 3.1";
  EXPECT_EQ(t.conn().stats().rto, 3s) << "RFC 6298 (5.7)";
  EXPECT_EQ(t.conn().stats().retransmits, 1u);
}

TEST(Handshake, active__our_ack_lost__syn_ack_is_acknowledged_again) {
  Trace t;
  t.open_active();
  t.peer.syn_ack().seq(0).mss(1460);
  t.peer.expect().pure_ack().seq(1).ack(1);
  EXPECT_EQ(t.state(), State::established);
}

TEST(Handshake, active__closed_port__refused) {
  Trace t;
  const ConnId id = t.connect();
  t.peer.expect().syn();
  t.peer.rst().seq(0).ack(1);
  EXPECT_EQ(t.app.records[id].closed, CloseReason::refused);
  EXPECT_FALSE(t.app.records[id].opened);
  t.expect_nothing_until(5min);
}

TEST(Handshake, active__syn_ack_with_data__data_comes_again_and_is_delivered) {
  Trace t;
  t.connect();
  t.peer.expect().syn();
  t.peer.syn_ack().seq(0).mss(1460).data("early");
  t.peer.snd_nxt = 1;
  const auto first = t.peer.expect().flags(ACK);
  ASSERT_TRUE(first.packet().ack == t.peer.iss + 1 || first.packet().ack == t.peer.iss + 6);
  if (first.packet().ack == t.peer.iss + 1) t.peer.ack().data("early");
  EXPECT_EQ(t.app.received(), "early");
}

TEST(Handshake, active__close_in_syn_sent__ends_and_the_late_answer_is_reset) {
  Trace t;
  const ConnId id = t.connect();
  t.peer.expect().syn();
  t.core().find(id)->close();
  t.poll();
  ASSERT_TRUE(t.app.records[id].closed);
  EXPECT_FALSE(t.app.records[id].opened);
  t.peer.syn_ack().mss(1460);
  t.peer.expect().rst().seq(1);
}

// MUST-10
TEST(Handshake, simultaneous__both_syns_cross__one_connect) {
  Trace t;
  t.connect();
  t.peer.expect().syn();
  t.peer.syn().mss(1460).wscale(2);
  t.peer.expect().syn_ack().seq(0).ack(1);
  t.expect_nothing();
  EXPECT_TRUE(t.app.events.empty());
  t.peer.ack();
  EXPECT_EQ(t.app.events, std::vector<std::string>{"connect"});
  EXPECT_EQ(t.state(), State::established);
  EXPECT_EQ(t.conn().stats().send_window, 65535u << 2);
}

// rfc7323 2.2d
TEST(Handshake, simultaneous__answered_by_syn_ack__connects_and_its_window_is_not_scaled) {
  Trace t;
  t.connect();
  t.peer.expect().syn();
  t.peer.syn().mss(1460).wscale(7);
  t.peer.expect().syn_ack();
  t.peer.syn_ack().seq(0).ack(1).mss(1460).wscale(7).window(1000);
  EXPECT_EQ(t.state(), State::established);
  EXPECT_EQ(t.conn().stats().send_window, 1000u)
      << "RFC 7323 2.2: the window of a segment with SYN is never scaled";
  t.peer.ack();
  EXPECT_EQ(t.conn().stats().send_window, 1000u << 7);
  EXPECT_EQ(t.app.count("connect"), 1);
}

TEST(Handshake, simultaneous__syn_ack_lost__comes_again) {
  Trace t;
  t.connect();
  t.peer.expect().syn();
  t.peer.syn().mss(1460);
  t.peer.expect().syn_ack();
  t.advance(5s);
  t.peer.expect().syn_ack().seq(0).ack(1).at(1s);
  t.peer.ack();
  EXPECT_EQ(t.state(), State::established);
}

// MUST-11
TEST(Handshake, simultaneous__rst_in_syn_received__refused_not_back_to_listen) {
  Trace t;
  const ConnId id = t.connect();
  t.peer.expect().syn();
  t.peer.syn().mss(1460);
  t.peer.expect().syn_ack();
  t.peer.rst();
  EXPECT_EQ(t.app.records[id].closed, CloseReason::refused);
}

TEST(Handshake, simultaneous__close_in_syn_received__fin_follows_the_handshake) {
  Trace t;
  const ConnId id = t.connect();
  t.peer.expect().syn();
  t.peer.syn().mss(1460);
  t.peer.expect().syn_ack();
  t.core().find(id)->close();
  t.poll();
  t.expect_nothing();
  t.peer.ack();
  t.peer.expect().fin().seq(1);
  t.peer.ack();
  t.peer.fin();
  t.peer.expect().pure_ack().ack(2);
  EXPECT_EQ(t.app.records[id].closed, CloseReason::finished);
  EXPECT_FALSE(t.app.records[id].opened) << "nobody wanted to know any more";
}

TEST(Handshake, self_connect__own_address_and_port__opens_echoes_and_closes) {
  Trace t;
  const Endpoint me{Trace::stack_address, 7777};
  const auto id = t.core().connect(me, t.handler, {.local = me});
  ASSERT_TRUE(id);
  t.advance(10ms);
  EXPECT_EQ(t.app.events, std::vector<std::string>{"connect"});
  EXPECT_EQ(t.state(), State::established);
  t.with([](Conn& c) { c.send("to myself"); });
  t.advance(1s);
  EXPECT_EQ(t.app.received(), "to myself");
  t.with([](Conn& c) { c.close(); });
  t.advance(1s);
  EXPECT_EQ(t.app.reason(), CloseReason::finished);
  EXPECT_TRUE(t.quiet()) << "nothing of it leaves";
}

TEST(Handshake, listen_on_own_address__connect_from_the_same_stack__two_connections) {
  Trace t;
  t.app.accepted = [](Conn& c) { c.send("welcome"); };
  t.listen(8080);
  ASSERT_TRUE(t.core().connect({Trace::stack_address, 8080}, t.handler));
  t.advance(100ms);
  EXPECT_EQ(t.app.count("accept"), 1);
  EXPECT_EQ(t.app.count("connect"), 1);
  EXPECT_EQ(t.app.count("data:7"), 1);
}

TEST(Handshake, syn_to_closed_port__reset_that_acknowledges_it) {
  Trace t;
  t.peer.syn().mss(1460);
  t.peer.expect().rst_ack().raw_seq(0).ack(1);
}

TEST(Handshake, on_syn_refuses__no_answer_and_no_state) {
  Trace t;
  t.app.syn = [&](const SynInfo& s) {
    EXPECT_EQ(s.peer, t.peer.self);
    EXPECT_EQ(s.local, t.peer.stack);
    return false;
  };
  t.listen();
  t.peer.syn().mss(1460);
  t.expect_nothing_until(10s);
  EXPECT_EQ(t.stats().half_open, 0u);
  EXPECT_EQ(t.drops(Drop::tcp_refused_by_handler), 1u);
}

TEST(Handshake, half_open__other_syn_in_window__is_challenged) {
  Trace t;
  t.listen();
  t.peer.syn().mss(1460);
  t.peer.expect().syn_ack();
  t.peer.segment(SYN).seq(500);
  t.peer.expect().pure_ack().seq(1).ack(1);
  t.peer.ack();
  EXPECT_EQ(t.state(), State::established);
}

TEST(Handshake, half_open__rst_exactly_at_rcv_nxt__back_to_listen) {
  Trace t;
  t.listen();
  t.peer.syn().mss(1460);
  t.peer.expect().syn_ack();
  t.peer.rst();
  EXPECT_EQ(t.stats().half_open, 0u);
  t.expect_nothing_until(10s);
  EXPECT_TRUE(t.app.events.empty());
  t.peer.irs_known = false;
  t.peer.snd_nxt = t.peer.rcv_nxt = 0;
  t.peer.open();
  EXPECT_EQ(t.state(), State::established);
}

TEST(Handshake, half_open__ack_of_something_else__reset_at_that_ack_and_stays) {
  Trace t;
  t.listen();
  t.peer.syn().mss(1460);
  t.peer.expect().syn_ack();
  for (const std::uint32_t wrong : {0u, 2u, 1000u}) {
    t.peer.ack().ack(wrong);
    t.peer.expect().rst().seq(wrong);
  }
  t.peer.ack();
  EXPECT_EQ(t.state(), State::established);
}

}  // namespace
}  // namespace handfast::test
