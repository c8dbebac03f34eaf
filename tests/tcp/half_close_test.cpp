// SPDX-License-Identifier: BSD-3-Clause
// One direction is closed and the other goes on (RFC 9293 section 3.6), and the end of file with an
// application that does not read at once. Layer: tests of the protocol, through frames alone.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "support/peer.hpp"

namespace handfast::test {
namespace {

// -------------------------------------------------------------------------------------------------

TEST(HalfClose, ours__the_peers_data_still_comes_in_for_hours) {
  Trace t;
  t.listen();
  t.peer.open();
  t.with([](Conn& c) { c.shutdown_write(); });
  t.peer.expect().fin();
  t.peer.ack();
  for (int i = 0; i < 5; ++i) {
    t.advance(1h);
    t.peer.ack().data("more");
    t.advance(100ms);
    t.peer.expect().pure_ack();
  }
  EXPECT_EQ(t.app.received(), "moremoremoremoremore");
  EXPECT_EQ(t.state(), State::fin_wait_2);
  t.with([](Conn& c) { EXPECT_EQ(c.send("too late"), 0u); });
  t.peer.fin();
  t.peer.expect().pure_ack();
  EXPECT_EQ(t.app.events.back(), "closed:finished");
  EXPECT_EQ(t.app.count("fin"), 1);
}

// rfc9293 3.10.4: what is asked for while the SYN is out is done once it is answered.
TEST(HalfClose, ours_while_connecting__fin_follows_the_handshake_and_the_connection_ends) {
  Trace t;
  const ConnId id = t.connect();
  auto c = t.core().find(id);
  ASSERT_TRUE(c);
  EXPECT_EQ(c->send("ask"), 3u);
  c->shutdown_write();
  t.peer.expect().syn();
  t.peer.syn_ack();
  t.peer.expect().fin().data("ask").seq(1).ack(1);
  EXPECT_EQ(t.state(), State::fin_wait_1);
  t.peer.ack();
  EXPECT_EQ(t.state(), State::fin_wait_2);
  t.peer.fin().data("answer");
  t.peer.expect().pure_ack().ack(8);
  EXPECT_EQ(t.app.received(), "answer");
  EXPECT_EQ(t.app.events.back(), "closed:finished");
}

TEST(HalfClose, ours__data_with_the_peers_fin__delivered_then_eof_then_closed) {
  Trace t;
  t.listen();
  t.peer.open();
  t.with([](Conn& c) { c.shutdown_write(); });
  t.peer.expect().fin();
  t.peer.fin().data("last words");
  t.peer.expect().pure_ack().ack(12);
  EXPECT_EQ(t.app.events, (std::vector<std::string>{"accept", "data:10", "fin", "closed:finished"}));
}

TEST(HalfClose, ours__then_close__bounded_like_an_orphan) {
  Trace t;
  t.listen();
  t.peer.open();
  t.with([](Conn& c) { c.shutdown_write(); });
  t.peer.expect().fin();
  t.peer.ack();
  t.advance(1h);
  t.with([](Conn& c) { c.close(); });
  t.advance(59s);
  EXPECT_FALSE(t.app.reason());
  t.advance(2s);
  EXPECT_EQ(t.app.reason(), CloseReason::fin_wait_2_timed_out);
}

TEST(HalfClose, peers__our_data_still_flows_and_is_retransmitted) {
  Trace t;
  t.listen();
  t.peer.open();
  t.peer.fin();
  t.peer.expect().pure_ack();
  t.with([](Conn& c) { c.send("lost once"); });
  t.peer.expect().flags(ACK).seq(1).data("lost once");
  t.advance_to_frame(2s);
  t.peer.expect().flags(ACK).seq(1).data("lost once");
  t.peer.ack();
  t.with([](Conn& c) { c.shutdown_write(); });
  t.peer.expect().fin().seq(10);
  t.peer.ack();
  EXPECT_EQ(t.app.events.back(), "closed:finished");
}

TEST(HalfClose, paused_with_data_and_fin__timer_still_fires_and_resume_delivers_all) {
  // Our FIN is out and acknowledged: the peer's FIN completes the exchange while the application does not
  // read.
  Trace t;
  t.listen();
  t.peer.open();
  t.with([](Conn& c) {
    c.shutdown_write();
    c.pause_rx();
    c.arm(1s);
  });
  t.app.timer = [](Conn& c) { c.resume_rx(); };
  t.peer.expect().fin();
  t.peer.fin().data("unread");
  t.peer.expect().pure_ack().ack(8);
  EXPECT_EQ(t.app.received(), "");
  t.advance(2s);
  EXPECT_EQ(t.app.received(), "unread");
  EXPECT_EQ(t.app.count("fin"), 1);
  EXPECT_EQ(t.app.reason(), CloseReason::finished);
}

TEST(HalfClose, unread_bytes_consumed_later__eof_is_told) {
  Trace t;
  t.listen();
  t.peer.open();
  t.app.data = [](Conn&, const RxView&) { return std::size_t{0}; };
  t.peer.fin().data("later");
  t.peer.expect().pure_ack().ack(7);
  EXPECT_EQ(t.app.count("fin"), 0) << "not before the last byte";
  t.with([](Conn& c) { EXPECT_EQ(c.consume(5), 5u); });
  EXPECT_EQ(t.app.count("fin"), 1);
}

}  // namespace
}  // namespace handfast::test
