// SPDX-License-Identifier: BSD-3-Clause
// When an ACK is due: RFC 9293 section 3.8.6.3, RFC 5681 section 4.2, and the start of a connection, where
// the peer's window grows with our ACKs. Cork and its bound. Layer: tests of the protocol, through frames
// alone.
#include <gtest/gtest.h>

#include <string>

#include "support/peer.hpp"

namespace handfast::test {
namespace {

const std::string full(1460, 'x');

// A peer in slow start with a window of one segment (RFC 5681 section 3.1, after a lost SYN) waits for every
// ACK.
TEST(QuickAck, first_segments_without_psh__at_once) {
  Trace t;
  t.listen();
  t.peer.open();
  for (std::uint32_t i = 1; i <= 16; ++i) {
    t.peer.ack().data(full).flags(ACK);
    t.peer.expect().pure_ack().ack(1 + i * 1460);
  }
}

// MUST-58, MUST-59: later on as ever
TEST(QuickAck, seventeenth_segment__delayed) {
  Trace t;
  t.listen();
  t.peer.open();
  for (int i = 0; i < 16; ++i) t.peer.ack().data(full).flags(ACK);
  while (t.peer.poll()) {
  }
  t.peer.ack().data(full).flags(ACK);
  EXPECT_EQ(t.advance_to_frame(1s), 40ms);
  t.peer.expect().pure_ack();
}

// The short exchange costs what it did: a request ends with PSH, and its ACK rides on the answer.
TEST(QuickAck, request_with_psh__delayed_from_the_first_byte) {
  Trace t;
  t.listen();
  t.peer.open();
  t.peer.ack().data(full);
  EXPECT_EQ(t.advance_to_frame(1s), 40ms);
  t.peer.expect().pure_ack();
}

TEST(QuickAck, request_of_several_segments_in_one_burst__one_ack_on_the_answer) {
  Trace t;
  t.app.data = [&](Conn& c, const RxView& in) {
    if (t.app.received().size() + in.size() == 3 * full.size()) c.send("answer");
    return in.size();
  };
  t.listen();
  t.peer.open();
  t.peer.ack().data(full).flags(ACK).no_poll();
  t.peer.ack().data(full).flags(ACK).no_poll();
  t.peer.ack().data(full);
  t.peer.expect().flags(ACK).ack(1 + 3 * 1460).data("answer");
  t.expect_nothing_until(150ms);
}

// MUST-58: an ACK for at least every second full segment; SHLD-18, SHLD-19
TEST(DelayedAck, second_full_segment_of_a_smaller_mss__at_once) {
  Trace t;
  t.listen();
  t.peer.open({.mss = 700});
  const std::string mine(700, 'x');
  t.peer.ack().data(mine);
  EXPECT_TRUE(t.peer.quiet());
  t.peer.ack().data(mine);
  t.peer.expect().pure_ack().ack(1401);
}

// rfc5681 4.2: at once when out of order, and when a gap is filled, in whole or in part
// rfc5681 3.2a, 3.2b
TEST(DelayedAck, out_of_order_and_filling_a_gap__at_once) {
  Trace t;
  t.listen();
  t.peer.open();
  t.peer.ack().seq(5).data("e");
  t.peer.expect().pure_ack().ack(1);
  t.peer.ack().seq(3).data("c");
  t.peer.expect().pure_ack().ack(1);
  t.peer.ack().seq(1).data("ab");
  t.peer.expect().pure_ack().ack(4);
  t.peer.ack().seq(4).data("d");
  t.peer.expect().pure_ack().ack(6);
  EXPECT_EQ(t.app.received(), "abcde");
}

// MUST-59: less than half a second, whatever is configured
TEST(DelayedAck, longer_than_200_ms__is_refused) {
  CoreConfig config = small_config();
  config.tcp.delayed_ack = 200ms;
  EXPECT_FALSE(validate(config));
  config.tcp.delayed_ack = 201ms;
  EXPECT_TRUE(validate(config));
}

TEST(Cork, with_data_in_flight__bounded_from_its_ack_on) {
  Trace t;
  t.listen();
  t.peer.open();
  t.with([](Conn& c) {
    c.cork();
    c.send(std::string(1500, 'x'));
  });
  t.peer.expect().length(1460);
  t.advance(100ms);
  t.peer.ack();
  EXPECT_EQ(t.advance_to_frame(2s), 200ms);
  t.peer.expect().length(40);
}

TEST(Cork, fin_behind_it__everything_leaves) {
  Trace t;
  t.listen();
  t.peer.open();
  t.with([](Conn& c) {
    c.cork();
    c.send("last words");
    c.shutdown_write();
  });
  t.peer.expect().fin().data("last words");
}

}  // namespace
}  // namespace handfast::test
