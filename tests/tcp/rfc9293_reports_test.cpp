// SPDX-License-Identifier: BSD-3-Clause
// Asynchronous reports (RFC 9293 section 3.9.1.8): an application that names the members is told, one that does not is left
// alone. Layer: tests of the protocol, through frames alone.
#include <gtest/gtest.h>

#include <optional>

#include "support/peer.hpp"

namespace handfast::test {
namespace {

struct Deaf {
  std::optional<CloseReason>* closed = nullptr;
  void on_closed(ConnId, CloseReason why) const { *closed = why; }
};

struct Hearing {
  int* told = nullptr;
  std::optional<CloseReason>* closed = nullptr;
  void on_unresponsive(Conn&) const { ++*told; }
  void on_urgent(Conn&) const { ++*told; }
  void on_closed(ConnId, CloseReason why) const { *closed = why; }
};

/// Data that is never acknowledged, with urgent data from the other side, until R2.
void live_and_die(Trace& t, HandlerRef handler) {
  const auto id = t.core().connect(t.peer.self, handler, {.local = t.peer.stack});
  ASSERT_TRUE(id);
  t.poll();
  t.peer.answer_open();
  t.peer.ack().data("x").urgent(1);
  t.core().find(*id)->send("lost");
  t.advance(10min);
  while (t.peer.poll()) {
  }
}

// MUST-47, SHLD-20
TEST(Reports, handler_without_the_members__is_called_for_none_of_it) {
  Trace t;
  std::optional<CloseReason> closed;
  live_and_die(t, *t.core().add_handler(Deaf{&closed}));
  EXPECT_EQ(closed, CloseReason::timed_out);
  int told = 0;
  closed.reset();
  Trace u;
  live_and_die(u, *u.core().add_handler(Hearing{&told, &closed}));
  EXPECT_EQ(closed, CloseReason::timed_out);
  EXPECT_EQ(told, 2) << "urgent data once, R1 once";
}

}  // namespace
}  // namespace handfast::test
