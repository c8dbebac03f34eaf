// SPDX-License-Identifier: BSD-3-Clause
// ABORT in every state and callback, and CLOSE by an application that has not read everything (RFC 9293
// section 3.6.1). Layer: tests of the protocol, through frames alone.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "support/peer.hpp"

namespace handfast::test {
namespace {

std::size_t whole_request_then_close(Conn& c, const RxView& in) {
  if (in.text() != "request") return 0;
  c.send_static("response");
  c.close();
  return in.size();
}

// --------------------------------------------------------------------------

// SHLD-3
TEST(Close, with_unread_data__sends_rst) {
  Trace t;
  t.listen();
  t.peer.open();
  t.app.data = [](Conn&, const RxView&) { return std::size_t{0}; };
  t.peer.ack().data("unread");
  t.with([](Conn& c) { c.close(); });
  t.peer.expect().rst_ack().seq(1).ack(7);
  EXPECT_EQ(t.app.reason(), CloseReason::unread_data);
}

TEST(Close, in_on_data_with_a_part_left__sends_rst) {
  Trace t;
  t.listen();
  t.peer.open();
  t.app.data = [](Conn& c, const RxView&) {
    c.close();
    return std::size_t{1};
  };
  t.peer.ack().data("ab");
  t.peer.expect().rst_ack();
  EXPECT_EQ(t.app.reason(), CloseReason::unread_data);
}

TEST(Close, in_on_data_of_held_bytes_all_taken__sends_the_answer_and_fin) {
  Trace t;
  t.app.data = whole_request_then_close;  // it may come in two pieces, where it straddles two chunks
  const auto l = t.listen(80, {.paused = true});
  t.peer.open();
  t.peer.ack().data("request");
  t.advance(100ms);
  t.peer.expect().pure_ack();
  t.core().resume(l);
  t.poll();
  t.peer.expect().flags(FIN | ACK).data("response");
  t.peer.fin();
  t.peer.expect().pure_ack();
  EXPECT_EQ(t.app.received(), "request");
  EXPECT_EQ(t.app.reason(), CloseReason::finished);
}

TEST(Close, in_on_data_of_reordered_bytes_all_taken__sends_the_answer_and_fin) {
  Trace t;
  t.app.data = whole_request_then_close;
  t.listen();
  t.peer.open();
  t.peer.ack().seq(4).data("uest");
  t.peer.expect().pure_ack().ack(1);
  t.peer.ack().seq(1).data("req");
  t.peer.snd_nxt = 8;
  t.peer.expect().flags(FIN | ACK).ack(8).data("response");
  t.peer.fin();
  t.peer.expect().pure_ack();
  EXPECT_EQ(t.app.reason(), CloseReason::finished);
}

TEST(Close, in_on_data_of_held_bytes__the_view_stays_readable) {
  for (const bool abort : {false, true}) {
    Trace t;
    t.peer.iss =
        0xffffffff;  // the first byte stands at the beginning of a chunk, where a freed one is written to
    std::string after;
    t.app.data = [&](Conn& c, const RxView& in) {
      abort ? c.abort() : c.close();
      after = in.text();
      return in.size();
    };
    const auto l = t.listen(80, {.paused = true});
    t.peer.open();
    t.peer.ack().data("thirty-two bytes to look at once");
    t.core().resume(l);
    t.poll();
    EXPECT_EQ(after, "thirty-two bytes to look at once");
    while (t.peer.poll()) {
    }
  }
}

// SHLD-3, MAY-1
TEST(Close, data_after_it__is_answered_by_rst) {
  Trace t;
  t.listen();
  t.peer.open();
  t.with([](Conn& c) { c.close(); });
  t.peer.expect().fin();
  t.peer.ack().ack(1).data("nobody reads");
  t.peer.expect().rst_ack().seq(2);
  EXPECT_EQ(t.app.reason(), CloseReason::unread_data);
  t.peer.ack().data("more");
  t.peer.expect().rst();
}

TEST(Close, old_data_after_it__is_acknowledged_and_no_reset) {
  Trace t;
  t.listen();
  t.peer.open();
  t.peer.ack().data("seen");
  t.with([](Conn& c) { c.close(); });
  t.peer.expect().fin().ack(5);
  t.peer.ack().seq(1).ack(1).data("seen");
  t.peer.expect().pure_ack().ack(5);
  EXPECT_FALSE(t.app.reason());
}

TEST(Close, with_queued_data__fin_after_the_last_byte) {
  Trace t;
  t.listen();
  t.peer.open();
  t.with([](Conn& c) {
    c.send(std::string(2000, 'x'));
    c.close();
    EXPECT_EQ(c.send("no"), 0u);
  });
  t.peer.expect().flags(ACK).length(1460);
  t.peer.expect().flags(FIN | ACK).length(540);
}

TEST(Abort, established__rst_with_the_ack_and_everything_dropped) {
  Trace t;
  t.listen();
  t.peer.open();
  t.peer.ack().data("abc");
  t.with([](Conn& c) {
    c.send("never leaves");
    c.abort();
    EXPECT_EQ(c.send("no"), 0u);
  });
  t.peer.expect().rst_ack().seq(1).ack(4).data("");
  EXPECT_EQ(t.app.reason(), CloseReason::aborted);
  t.expect_nothing_until(10s);
}

TEST(Abort, syn_sent__nothing_is_sent) {
  Trace t;
  const ConnId id = t.connect();
  t.peer.expect().syn();
  t.core().find(id)->abort();
  t.poll();
  t.expect_nothing();
  EXPECT_EQ(t.app.records[id].closed, CloseReason::aborted);
}

TEST(Abort, in_closing_and_last_ack__sends_rst) {
  for (const bool closing : {true, false}) {
    Trace t;
    t.listen();
    t.peer.open();
    if (closing) {
      t.with([](Conn& c) { c.shutdown_write(); });
      t.peer.expect().fin();
      t.peer.segment(FIN | ACK).ack(1);
      t.peer.expect().pure_ack();
    } else {
      t.peer.fin();
      t.peer.expect().pure_ack();
      t.with([](Conn& c) { c.shutdown_write(); });
      t.peer.expect().fin();
    }
    EXPECT_EQ(t.state(), closing ? State::closing : State::last_ack);
    t.with([](Conn& c) { c.abort(); });
    t.peer.expect().rst_ack().seq(2).ack(2);
    EXPECT_EQ(t.app.reason(), CloseReason::aborted);
  }
}

TEST(Abort, in_every_callback__ends_once) {
  for (int which = 0; which < 4; ++which) {
    Trace t;
    const auto abort_in = [](int at, int now) {
      return [at, now](Conn& c) {
        if (at == now) c.abort();
      };
    };
    t.app.accepted = abort_in(which, 0);
    t.app.fin = abort_in(which, 1);
    t.app.data = [which](Conn& c, const RxView& in) {
      if (which == 2) c.abort();
      return in.size();
    };
    t.app.sent = [which](Conn& c, std::size_t) {
      if (which == 3) c.abort();
    };
    t.listen();
    t.peer.syn().mss(1460);
    t.peer.expect().syn_ack();
    t.peer.ack();
    if (which == 3) {
      t.with([](Conn& c) { c.send("x"); });
      t.peer.expect().data("x");
    }
    if (which != 0) t.peer.fin().data("abc");
    EXPECT_EQ(t.app.reason(), CloseReason::aborted) << which;
    EXPECT_EQ(t.stats().resets_out, 1u) << which;
    while (t.peer.poll()) {
    }
  }
}

}  // namespace
}  // namespace handfast::test
