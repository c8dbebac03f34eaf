// SPDX-License-Identifier: BSD-3-Clause
// How long a peer may keep its window shut, and from when on that counts (RFC 9293 section 3.8.6.1).
// Layer: tests of the protocol, through frames alone.
#include <gtest/gtest.h>

#include "support/peer.hpp"

namespace handfast::test {
namespace {

int drain(Peer& p) {
  int n = 0;
  while (p.poll()) ++n;
  return n;
}

/// Answers each probe, the window shut, until the connection has ended or `limit` has passed.
void answer_probes(Trace& t, Duration limit) {
  const Time end = t.now() + limit;
  while (t.now() < end && !t.app.reason()) {
    t.advance(1s);
    if (drain(t.peer) != 0 && !t.app.reason()) t.peer.ack().ack(1).window(0);
  }
}

TEST(Persist, window_shut_while_nothing_was_to_be_sent__the_peer_is_asked_before_it_is_given_up) {
  Trace t;
  t.listen();
  t.peer.open();
  t.peer.ack().window(0);
  t.advance(20min);  // far longer than R2
  t.with([](Conn& c) { c.send("waits"); });
  t.advance(2s);
  EXPECT_FALSE(t.app.reason());
  EXPECT_GE(drain(t.peer), 2);
  t.peer.ack().ack(1).window(1000);
  t.peer.expect().data("waits");
}

TEST(Persist, user_timeout_longer_than_the_probes_are_apart__ends_it_though_all_are_answered) {
  Trace t;
  t.listen();
  t.peer.open();
  t.peer.ack().window(0);
  t.with([](Conn& c) {
    c.set_user_timeout(130s);
    c.send("waits");
  });
  answer_probes(t, 20min);
  EXPECT_EQ(t.app.reason(), CloseReason::timed_out);
  EXPECT_GE(t.elapsed(), 130s);
  EXPECT_LE(t.elapsed(), 135s);
}

TEST(Persist, no_user_timeout__stays_open_as_long_as_probes_are_answered) {
  Trace t;
  t.listen();
  t.peer.open();
  t.peer.ack().window(0);
  t.with([](Conn& c) { c.send("waits"); });
  answer_probes(t, 20min);
  EXPECT_EQ(t.state(), State::established);
  drain(t.peer);
}

}  // namespace
}  // namespace handfast::test
