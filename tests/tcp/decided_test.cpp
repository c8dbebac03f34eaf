// SPDX-License-Identifier: BSD-3-Clause
// Where an RFC leaves room, or the field does otherwise, and the simulator asked: what was decided, one test
// each. Layer: tests of the protocol, through frames alone. The reasons are in docs/rfc-exceptions.md.
#include <gtest/gtest.h>

#include <string>

#include "support/peer.hpp"

namespace handfast::test {
namespace {

int drain(Peer& peer) {
  int n = 0;
  while (peer.poll()) ++n;
  return n;
}

// rfc9293 3.10.7.4, first: RCV.NXT =< SEG.SEQ < RCV.NXT+RCV.WND for a segment without text, while the window
// is open.
TEST(Acceptability, bare_ack_at_the_right_edge__answered_and_not_processed) {
  CoreConfig config = small_config();
  config.tcp.window_scale = false;
  config.tcp.receive_buffer = config.tcp.receive_buffer_initial = 8192;
  Trace t{config};
  t.listen();
  t.peer.open();
  t.with([](Conn& c) { c.send("hello"); });
  t.peer.expect().data("hello");
  const std::uint32_t edge = 1 + t.conn().stats().receive_window;
  t.peer.segment(ACK).seq(edge).ack(6);
  EXPECT_EQ(t.conn().unacked(), 5u);
  EXPECT_EQ(t.drops(Drop::tcp_out_of_window), 1u);
  t.peer.expect().seq(6).ack(1);
  t.peer.segment(ACK).seq(edge - 1).ack(6);
  EXPECT_EQ(t.conn().unacked(), 0u) << "the last number inside";
}

// A cookie remembers nothing: what opened a connection once opens it again, for as long as the cookie is
// good.
CoreConfig cookies_alone() {
  CoreConfig config = small_config();
  config.limits.half_open = 0;
  return config;
}

void open_by_cookie(Trace& t) {
  t.listen();
  t.peer.syn().mss(1460);
  t.peer.expect().syn_ack();
  t.peer.ack();
  ASSERT_EQ(t.stats().syn_cookies_accepted, 1u);
}

TEST(Cookies, third_segment_again_after_the_peer_closed_first__opens_a_second_connection) {
  Trace t{cookies_alone()};
  open_by_cookie(t);
  t.app.fin = [](Conn& c) { c.close(); };
  t.peer.fin();
  drain(t.peer);
  t.peer.ack().ack(2);
  ASSERT_EQ(t.stats().connections, 0u);
  t.peer.segment(ACK).seq(1).ack(1);
  EXPECT_EQ(t.stats().syn_cookies_accepted, 2u);
  t.peer.rst().seq(1);  // what its owner answers to the first segment of the twin
  EXPECT_EQ(t.stats().connections, 0u);
}

TEST(Cookies, third_segment_again_after_we_closed_first__time_wait_has_it) {
  Trace t{cookies_alone()};
  open_by_cookie(t);
  t.with([](Conn& c) { c.close(); });
  drain(t.peer);
  t.peer.fin().ack(2);
  drain(t.peer);
  ASSERT_EQ(t.stats().time_wait, 1u);
  t.peer.segment(ACK).seq(1).ack(1);
  EXPECT_EQ(t.stats().syn_cookies_accepted, 1u);
  drain(t.peer);
}

TEST(Cookies, third_segment_again_when_the_cookie_is_too_old__reset) {
  Trace t{cookies_alone()};
  open_by_cookie(t);
  t.app.fin = [](Conn& c) { c.close(); };
  t.peer.fin();
  drain(t.peer);
  t.peer.ack().ack(2);
  t.advance(129s);
  t.peer.segment(ACK).seq(1).ack(1);
  t.peer.expect().rst();
  EXPECT_EQ(t.stats().syn_cookies_accepted, 1u);
}

}  // namespace
}  // namespace handfast::test
