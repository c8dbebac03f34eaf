// SPDX-License-Identifier: BSD-3-Clause
// A FIN without data that overtakes what comes before it. Layer: tests of tcp.
#include <gtest/gtest.h>

#include "support/peer.hpp"

namespace handfast::test {
namespace {

// What is beyond a gap is held, a FIN as well as text.
TEST(FinBeyondGap, without_data__is_kept_until_the_gap_is_filled) {
  Trace t;
  t.listen();
  t.peer.open();
  t.peer.segment(FIN | ACK).seq(101);
  t.peer.expect().pure_ack().ack(1);
  EXPECT_FALSE(t.app.record().fin);
  t.peer.ack().data(std::string(100, 'x'));
  t.peer.expect().pure_ack().ack(102);
  EXPECT_EQ(t.state(), State::close_wait);
  EXPECT_EQ(t.app.received().size(), 100u);
  EXPECT_TRUE(t.app.record().fin);
}

TEST(FinBeyondGap, behind_text_beyond_the_gap__is_kept_until_the_gap_is_filled) {
  Trace t;
  t.listen();
  t.peer.open();
  t.peer.ack().seq(101).data(std::string(100, 'y'));
  t.peer.expect().pure_ack().ack(1);
  t.peer.segment(FIN | ACK).seq(201);
  t.peer.expect().pure_ack().ack(1);
  t.peer.ack().data(std::string(100, 'x'));
  t.peer.expect().pure_ack().ack(202);
  EXPECT_EQ(t.state(), State::close_wait);
  EXPECT_EQ(t.app.received().size(), 200u);
}

// What fills the gap comes in pieces: at the latest the peer's next copy of the FIN ends it.
TEST(FinBeyondGap, gap_filled_in_pieces_that_are_read_at_once__ends_all_the_same) {
  Trace t;
  t.listen();
  t.peer.open();
  t.peer.segment(FIN | ACK).seq(101);
  t.peer.expect().pure_ack().ack(1);
  t.peer.ack().data(std::string(50, 'x'));
  t.peer.ack().data(std::string(50, 'x'));
  t.advance(100ms);
  while (t.peer.poll()) {
  }
  EXPECT_EQ(t.app.received().size(), 100u);
  t.peer.segment(FIN | ACK).seq(101);
  t.advance(100ms);
  EXPECT_EQ(t.state(), State::close_wait);
}

TEST(FinBeyondGap, never_filled__holds_nothing_after_the_end) {
  Trace t;
  t.listen();
  t.peer.open();
  t.peer.segment(FIN | ACK).seq(101);
  t.peer.expect().pure_ack().ack(1);
  t.peer.rst().seq(1);
  EXPECT_EQ(t.state(), State::closed);
}

}  // namespace
}  // namespace handfast::test
