// SPDX-License-Identifier: BSD-3-Clause
// What waits in the receive buffer, offered to an application that takes whole messages and leaves the begin of the next:
// it sees all that is held, however it lies in memory. Layer: tests of the protocol, through frames alone.
#include <gtest/gtest.h>

#include "support/peer.hpp"

namespace handfast::test {
namespace {

constexpr std::uint32_t message = 100, segment = 1400, segments = 6;

/// An application that answers nothing until it has a whole message, with such messages of a peer that waits for answers.
struct Messages {
  Messages() {
    t.app.data = [this](Conn&, const RxView& in) {
      const std::size_t whole = in.size() / message;
      taken += whole;
      return whole * message;
    };
    t.listen();
    t.peer.open();
  }
  void expect_all() {
    EXPECT_EQ(taken, segments * segment / message);
    EXPECT_EQ(t.conn().stats().unread, 0u);
    while (t.peer.poll()) {
    }
  }
  Trace t;
  std::size_t taken = 0;
};

TEST(HeldMessages, resumed__none_is_left_behind_the_end_of_a_chunk) {
  Messages m;
  m.t.with([](Conn& c) { c.pause_rx(); });
  for (std::size_t i = 0; i < segments; ++i) m.t.peer.ack().data(std::string(segment, 'm'));
  m.t.with([](Conn& c) { c.resume_rx(); });
  m.expect_all();
}

TEST(HeldMessages, gap_filled__none_is_left_behind_the_end_of_a_chunk) {
  Messages m;
  for (std::uint32_t i = 1; i < segments; ++i) m.t.peer.ack().seq(1 + i * segment).data(std::string(segment, 'm'));
  EXPECT_EQ(m.taken, 0u);
  m.t.peer.ack().seq(1).data(std::string(segment, 'm'));
  m.expect_all();
}

// One call for one message is enough, too, as long as there is more than it was shown.
TEST(HeldMessages, begin_of_one_is_held__the_rest_of_it_comes_and_all_are_seen) {
  Messages m;
  m.t.peer.ack().data(std::string(segment + 50, 'm'));
  EXPECT_EQ(m.taken, 14u);
  EXPECT_EQ(m.t.conn().stats().unread, 50u);
  m.t.peer.ack().data(std::string(segment - 50, 'm'));
  EXPECT_EQ(m.taken, 28u);
  EXPECT_EQ(m.t.conn().stats().unread, 0u);
  while (m.t.peer.poll()) {
  }
}

// Who takes a part because it wants no more now says so by pausing, and is left alone.
TEST(HeldMessages, paused_in_the_callback__no_further_call) {
  Messages m;
  int calls = 0;
  m.t.with([](Conn& c) { c.pause_rx(); });
  for (std::size_t i = 0; i < segments; ++i) m.t.peer.ack().data(std::string(segment, 'm'));
  m.t.app.data = [&](Conn& c, const RxView&) {
    ++calls;
    c.pause_rx();
    return std::size_t{1};
  };
  m.t.with([](Conn& c) { c.resume_rx(); });
  EXPECT_EQ(calls, 1);
  EXPECT_EQ(m.t.conn().stats().unread, segments * segment - 1);
  while (m.t.peer.poll()) {
  }
}

}  // namespace
}  // namespace handfast::test
