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

}  // namespace
}  // namespace handfast::test
