// SPDX-License-Identifier: BSD-3-Clause
// How long a silent peer is borne: R1 and R2 (RFC 9293 section 3.8.3), the user timeout and its option (RFC
// 5482). Layer: tests of the protocol, through frames alone.
#include <gtest/gtest.h>

#include <string>

#include "support/peer.hpp"
#include "tcp/patience.hpp"

namespace handfast::test {
namespace {

int drain(Peer& p) {
  int n = 0;
  while (p.poll()) ++n;
  return n;
}

CoreConfig with_option() {
  CoreConfig config = small_config();
  config.tcp.user_timeout_option = true;
  config.tcp.user_timeout = 300s;
  config.tcp.user_timeout_least = 100s;
  config.tcp.user_timeout_most = 1000s;
  return config;
}

/// Sends something that is never answered; how long it took to be given up.
Duration time_to_give_up(Trace& t) {
  const Duration begin = t.elapsed();
  t.with([](Conn& c) { c.send("lost"); });
  while (!t.app.reason() && t.elapsed() - begin < 8h) t.advance(1s);
  drain(t.peer);
  return t.elapsed() - begin;
}

// --- R1
// ---------------------------------------------------------------------------------------------------------

// MUST-20 (b), SHLD-9, SHLD-10
// MUST-47
TEST(R1, third_retransmission__application_told_once_and_counted) {
  Trace t;
  t.listen();
  t.peer.open();
  t.with([](Conn& c) { c.send("lost"); });
  int copies = drain(t.peer);
  while (t.app.record().unresponsive == 0 && copies < 10) {
    t.advance_to_frame(1min);
    copies += drain(t.peer);
  }
  EXPECT_EQ(copies, 4) << "the first and three retransmissions";
  t.advance(1min);
  EXPECT_EQ(t.app.record().unresponsive, 1);
  EXPECT_EQ(t.stats().unresponsive, 1u);
  drain(t.peer);
  // It answers after all; the next silence is another episode.
  t.peer.rcv_nxt = 5;
  t.peer.ack();
  t.with([](Conn& c) { c.send("lost again"); });
  t.advance(10min);  // Karn: the backoff is not forgotten before something is measured
  EXPECT_EQ(t.app.record().unresponsive, 2);
  drain(t.peer);
}

// rfc9293 3.8.3: SYN retransmissions MUST be handled in the general way, including notification
// MUST-22
TEST(R1, syn__told_in_syn_sent) {
  Trace t;
  State seen = State::closed;
  t.app.unresponsive = [&](Conn& c) { seen = c.state(); };
  const ConnId id = t.connect();
  t.advance(20s);
  EXPECT_EQ(t.app.records[id].unresponsive, 1);
  EXPECT_EQ(seen, State::syn_sent);
  drain(t.peer);
}

// MUST-20 (b): negative advice, so that a dead neighbour is found out
TEST(R1, neighbour__is_asked_for_again) {
  CoreConfig config = small_config();
  config.link.neighbour_lifetime = 1h;
  Trace t{config};
  t.listen();
  t.peer.open();
  t.answer_arp = false;
  t.with([](Conn& c) { c.send("lost"); });
  t.advance(900ms);  // two retransmissions
  EXPECT_TRUE(t.other_frames.empty());
  t.advance(1s);
  ASSERT_EQ(t.other_frames.size(), 1u) << "an ARP request";
  EXPECT_EQ(t.other_frames[0][12], std::byte{0x08});
  EXPECT_EQ(t.other_frames[0][13], std::byte{0x06});
  EXPECT_EQ(t.other_frames[0][0], Trace::peer_mac.bytes[0] == 0x02 ? std::byte{0x02} : std::byte{0})
      << "asked directly";
  t.other_frames.clear();
  drain(t.peer);
}

TEST(R1, neighbour_that_answers__is_not_asked_for_every_connection) {
  Trace t;
  t.listen();
  t.peer.open();
  auto other = t.another_peer(41000);
  other->open();
  t.answer_arp = false;
  for (const ConnId id : t.app.opened) t.core().find(id)->send("lost");
  t.advance(1900ms);
  EXPECT_EQ(t.other_frames.size(), 1u);
  t.other_frames.clear();
  drain(t.peer);
  drain(*other);
}

TEST(R1, closing_in_the_callback__is_fine) {
  Trace t;
  t.app.unresponsive = [](Conn& c) { c.abort(); };
  t.listen();
  t.peer.open();
  t.with([](Conn& c) { c.send("lost"); });
  t.advance(10s);
  EXPECT_EQ(t.app.reason(), CloseReason::aborted);
  drain(t.peer);
}

// --- R2
// ---------------------------------------------------------------------------------------------------------

// MUST-20 (c), SHLD-11
TEST(R2, default__more_than_100_seconds) {
  Trace t;
  t.listen();
  t.peer.open();
  const Duration d = time_to_give_up(t);
  EXPECT_EQ(t.app.reason(), CloseReason::timed_out);
  EXPECT_GE(d, 300s);
  EXPECT_LE(d, 300s + small_config().tcp.rto_max + 1s);
}

// MUST-21
TEST(R2, set_by_the_application__for_this_connection) {
  Trace t;
  t.listen();
  t.peer.open();
  t.with([](Conn& c) { c.set_user_timeout(10s); });
  EXPECT_EQ(t.conn().stats().user_timeout, 10s);
  const Duration d = time_to_give_up(t);
  EXPECT_GE(d, 10s);
  EXPECT_LE(d, 21s);
}

// MUST-21: "an interactive application might set R2 to infinity"
TEST(R2, infinite__never_given_up) {
  Trace t;
  t.listen();
  t.peer.open();
  t.with([](Conn& c) { c.set_user_timeout(Duration::max()); });
  EXPECT_EQ(t.conn().stats().user_timeout, Duration::max());
  time_to_give_up(t);
  EXPECT_EQ(t.state(), State::established);
  t.peer.rcv_nxt = 5;
  t.peer.ack();
  EXPECT_EQ(t.conn().unacked(), 0u);
}

// MUST-23: a SYN's R2 is its own
TEST(R2, user_timeout__does_not_touch_the_syn) {
  Trace t;
  const ConnId id = t.connect();
  t.core().find(id)->set_user_timeout(5s);
  t.advance(170s);
  EXPECT_FALSE(t.app.records[id].closed) << "rfc5482 3.3: other states MUST use the default values";
  drain(t.peer);
}

// --- the option's value
// -----------------------------------------------------------------------------------------

// rfc5482 3.3, 3.4
TEST(UserTimeoutValue, seconds_then_minutes__never_the_reserved_zero) {
  using tcp::decode_user_timeout;
  using tcp::encode_user_timeout;
  EXPECT_EQ(encode_user_timeout(1s), 1);
  EXPECT_EQ(encode_user_timeout(300s), 300);
  EXPECT_EQ(encode_user_timeout(32767s), 0x7fff);
  EXPECT_EQ(encode_user_timeout(32768s), 0x8000 | 547) << "rounded up: 546.1 minutes";
  EXPECT_EQ(encode_user_timeout(Duration::max()), 0xffff);
  EXPECT_EQ(encode_user_timeout(1ms), 1);
  EXPECT_EQ(encode_user_timeout(Duration{0}), 1);
  EXPECT_EQ(decode_user_timeout(0x7fff), 32767s);
  EXPECT_EQ(decode_user_timeout(0x8001), 1min);
  EXPECT_EQ(decode_user_timeout(0xffff), 32767min);
}

// --- off by default
// ----------------------------------------------------------------------------------------------

// rfc5482 4.1
TEST(UserTimeoutOption, off__neither_sent_nor_obeyed) {
  Trace t;
  t.listen();
  t.peer.syn().mss(1460).user_timeout(120);
  EXPECT_FALSE(t.peer.expect().syn_ack().packet().user_timeout);
  t.peer.ack().user_timeout(120).data("x");
  t.with([](Conn& c) { c.send("y"); });
  EXPECT_FALSE(t.peer.expect().packet().user_timeout);
  EXPECT_EQ(t.conn().stats().user_timeout, 300s);
  EXPECT_EQ(t.conn().stats().peer_user_timeout, Duration{0});
}

// --- on
// ------------------------------------------------------------------------------------------------------------

// rfc5482 3b: in the SYN-ACK, and in the first segment without SYN
TEST(UserTimeoutOption, passive__in_the_syn_ack_and_in_the_first_segment_behind_it) {
  Trace t{with_option()};
  t.listen();
  {
    Send s = t.peer.syn();
    t.peer.offer(s, modern);
  }
  EXPECT_EQ(t.peer.expect().syn_ack().packet().user_timeout, 300);
  t.peer.ts_on = true;
  t.peer.ack();
  t.with([](Conn& c) { c.send(std::string(5000, 'x')); });
  const auto first = t.peer.expect();
  EXPECT_EQ(first.packet().user_timeout, 300);
  first.length(1460 - 12 - 4);  // MUST-67: options are taken off
  EXPECT_FALSE(t.peer.expect().length(1448).packet().user_timeout) << "once";
  drain(t.peer);
}

TEST(UserTimeoutOption, active__in_the_syn_and_in_the_first_segment_behind_it) {
  Trace t{with_option()};
  t.connect();
  EXPECT_EQ(t.peer.expect().syn().packet().user_timeout, 300);
  {
    Send s = t.peer.syn_ack();
    t.peer.offer(s, modern);
    s.user_timeout(400);
  }
  EXPECT_EQ(t.peer.expect().flags(ACK).packet().user_timeout, 300);
  EXPECT_EQ(t.conn().stats().user_timeout, 400s);
  EXPECT_EQ(t.conn().stats().peer_user_timeout, 400s);
}

// rfc5482 3.1a, 3.1b: USER_TIMEOUT = min(U_LIMIT, max(ADV_UTO, REMOTE_UTO, L_LIMIT))
TEST(UserTimeoutOption, received__the_larger_of_both_within_the_limits) {
  struct Row {
    std::uint16_t field;
    Duration used;
  };
  for (const Row& row :
       {Row{120, 300s}, Row{400, 400s}, Row{5000, 1000s}, Row{0x8000 | 10, 600s}, Row{1, 300s}}) {
    Trace t{with_option()};
    t.listen();
    t.peer.open();
    t.peer.ack().user_timeout(row.field);
    EXPECT_EQ(t.conn().stats().user_timeout, row.used) << row.field;
  }
}

// rfc5482 3.1c
TEST(UserTimeoutOption, both_want_less_than_the_lower_limit__the_limit) {
  CoreConfig config = with_option();
  config.tcp.user_timeout = 20s;
  Trace t{config};
  t.listen();
  t.peer.open();
  t.peer.ack().user_timeout(10);
  EXPECT_EQ(t.conn().stats().user_timeout, 100s);
  const Duration d = time_to_give_up(t);
  EXPECT_GE(d, 100s) << "SHLD: at least 100 s";
  EXPECT_LE(d, 161s);
}

// rfc5482 3.4
TEST(UserTimeoutOption, reserved_values__are_ignored) {
  Trace t{with_option()};
  t.listen();
  t.peer.open();
  t.peer.ack().user_timeout(400);
  t.peer.ack().options({28, 4, 0, 0});
  t.peer.ack().options({28, 4, 0x80, 0});
  t.peer.ack().options({28, 3, 9, 1});
  EXPECT_EQ(t.conn().stats().user_timeout, 400s);
  EXPECT_EQ(t.conn().stats().peer_user_timeout, 400s);
}

// rfc5482 3a: CHANGEABLE false, and the application can learn what the peer said
TEST(UserTimeoutOption, application_has_chosen__the_peers_wish_is_known_and_not_obeyed) {
  Trace t{with_option()};
  t.listen();
  t.peer.open();
  t.with([](Conn& c) { c.set_user_timeout(150s); });
  t.advance(100ms);
  drain(t.peer);
  t.peer.ack().user_timeout(900);
  EXPECT_EQ(t.conn().stats().user_timeout, 150s);
  EXPECT_EQ(t.conn().stats().peer_user_timeout, 900s);
}

// rfc5482 3c: SHOULD include one in the next segment whenever a new user timeout is used
TEST(UserTimeoutOption, application_changes_it__the_next_segment_says_so) {
  Trace t{with_option()};
  t.listen();
  t.peer.open();
  t.with([](Conn& c) { c.send("a"); });
  EXPECT_EQ(t.peer.expect().packet().user_timeout, 300);
  t.peer.ack();
  t.with([](Conn& c) { c.send("b"); });
  EXPECT_FALSE(t.peer.expect().packet().user_timeout);
  t.peer.ack();
  t.with([](Conn& c) {
    c.set_user_timeout(777s);
    c.send("c");
  });
  EXPECT_EQ(t.peer.expect().packet().user_timeout, 777);
}

TEST(UserTimeoutOption, no_room_beside_sack_blocks__waits_for_a_segment_that_has_it) {
  Trace t{with_option()};
  t.listen();
  t.peer.open(modern);
  for (const std::uint32_t at : {100u, 300u, 500u}) t.peer.ack().seq(at).data("beyond");
  Packet last;
  while (auto p = t.peer.poll()) last = *p;
  EXPECT_EQ(last.sack.size(), 3u);
  t.with([](Conn& c) { c.set_user_timeout(500s); });
  t.peer.ack().seq(700).data("beyond");
  EXPECT_FALSE(t.peer.expect().packet().user_timeout) << "12 + 28 bytes are all there are";
  t.peer.ack().seq(1).data(std::string(699, 'x'));
  EXPECT_EQ(t.peer.expect().packet().user_timeout, 500);
}

// rfc5482 4.2
TEST(UserTimeoutOption, keep_alive__later_than_the_user_timeout) {
  CoreConfig config = with_option();
  config.tcp.keepalive = true;
  config.tcp.keepalive_idle = 10s;
  Trace t{config};
  t.listen();
  t.peer.open();
  t.peer.ack().user_timeout(400);
  t.advance(100ms);
  drain(t.peer);
  EXPECT_GT(t.advance_to_frame(1h), 400s);
  t.peer.expect().pure_ack().seq(0);
}

// rfc5482 3.1a
// rfc5482 3.1d
TEST(UserTimeoutOption, limits__are_checked) {
  CoreConfig config = with_option();
  config.tcp.user_timeout_least = config.tcp.rto_max;
  EXPECT_TRUE(validate(config)) << "rfc5482 3.1: L_LIMIT MUST be larger than the RTO";
  config.tcp.user_timeout_least = 2000s;
  EXPECT_TRUE(validate(config)) << "above the upper limit";
  EXPECT_FALSE(validate(with_option()));
}

}  // namespace
}  // namespace handfast::test
