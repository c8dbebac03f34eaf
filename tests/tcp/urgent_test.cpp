// SPDX-License-Identifier: BSD-3-Clause
// Urgent data: RFC 9293 section 3.8.5 and 3.10.7.4 sixth, RFC 6093: a mark in the stream, told at once,
// whatever its distance. Layer: tests of the protocol, through frames alone.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "shard/shard.hpp"
#include "support/pair.hpp"
#include "support/peer.hpp"

namespace handfast::test {
namespace {

int drain(Peer& p) {
  int n = 0;
  while (p.poll()) ++n;
  return n;
}

// MUST-30, MUST-32, rfc6093 4: in-band
TEST(UrgentIn, pointer_ahead__told_before_the_data_and_the_data_stays_in_the_stream) {
  Trace t;
  std::vector<std::size_t> ahead;
  t.app.urgent = [&](Conn& c) { ahead.push_back(c.urgent_ahead()); };
  t.app.data = [&](Conn& c, const RxView& in) {
    ahead.push_back(c.urgent_ahead());
    return in.size();
  };
  t.listen();
  t.peer.open();
  t.peer.ack().data("stop").urgent(3);
  EXPECT_EQ(t.app.events, (std::vector<std::string>{"accept", "urgent", "data:4"}));
  EXPECT_EQ(t.app.received(), "stop");
  EXPECT_EQ(ahead, (std::vector<std::size_t>{3, 3})) << "MUST-62: the pointer is to the byte behind; MUST-33";
  EXPECT_EQ(t.conn().urgent_ahead(), 0u) << "caught up: normal mode";
}

// MUST-33: how much remains, while it comes bit by bit
TEST(UrgentIn, pointer_far_ahead__what_remains_is_known_until_it_is_read) {
  Trace t;
  std::vector<std::size_t> ahead;
  t.app.data = [&](Conn& c, const RxView& in) {
    ahead.push_back(c.urgent_ahead());
    return in.size();
  };
  t.listen();
  t.peer.open();
  t.peer.ack().urgent(1000);  // the word comes before the bytes
  EXPECT_EQ(t.app.record().urgent, 1);
  EXPECT_EQ(t.conn().urgent_ahead(), 1000u);
  for (int i = 0; i < 5; ++i) t.peer.ack().data(std::string(250, 'u'));
  EXPECT_EQ(ahead, (std::vector<std::size_t>{1000, 750, 500, 250, 0}));
  EXPECT_EQ(t.app.record().urgent, 1);
  EXPECT_EQ(t.conn().stats().urgent_ahead, 0u);
  drain(t.peer);
}

// MUST-32: not again for the same pointer, again when it advances, and never when it goes back
TEST(UrgentIn, same_pointer_again__told_once__advanced__told_again__receded__ignored) {
  Trace t;
  t.listen();
  t.peer.open();
  t.peer.ack().urgent(500);
  t.peer.ack().urgent(500);
  EXPECT_EQ(t.app.record().urgent, 1);
  t.peer.ack().urgent(800);
  EXPECT_EQ(t.app.record().urgent, 2);
  t.peer.ack().urgent(600);
  EXPECT_EQ(t.app.record().urgent, 2);
  EXPECT_EQ(t.conn().urgent_ahead(), 800u);
}

TEST(UrgentIn, pointer_at_or_behind_what_was_read__says_nothing) {
  Trace t;
  t.listen();
  t.peer.open();
  t.peer.ack().urgent(0);
  t.peer.ack().data("x").urgent(0);
  t.peer.ack().seq(1).data("x").urgent(1);  // old
  EXPECT_EQ(t.app.record().urgent, 0);
  drain(t.peer);
}

TEST(UrgentIn, unread_bytes__count_until_they_are_consumed) {
  Trace t;
  t.app.data = [](Conn&, const RxView&) { return std::size_t{0}; };
  t.listen();
  t.peer.open();
  t.peer.ack().data("0123456789").urgent(8);
  EXPECT_EQ(t.conn().urgent_ahead(), 8u);
  t.with([](Conn& c) { c.consume(5); });
  EXPECT_EQ(t.conn().urgent_ahead(), 3u);
  t.with([](Conn& c) { c.consume(5); });
  EXPECT_EQ(t.conn().urgent_ahead(), 0u);
}

TEST(UrgentIn, application_paused__is_told_all_the_same) {
  Trace t;
  t.listen();
  t.peer.open();
  t.with([](Conn& c) { c.pause_rx(); });
  t.peer.ack().data("wait").urgent(4);
  EXPECT_EQ(t.app.record().urgent, 1);
  EXPECT_EQ(t.app.received(), "");
  EXPECT_EQ(t.conn().urgent_ahead(), 4u);
  t.with([](Conn& c) { c.resume_rx(); });
  EXPECT_EQ(t.app.received(), "wait");
}

// rfc9293 3.10.7.4 first: with a window of zero, ACKs, URGs and RSTs still count
// MUST-66
TEST(UrgentIn, window_shut__the_pointer_still_counts) {
  CoreConfig config = small_config();
  config.tcp.receive_buffer = 2048;
  Trace t{config};
  t.app.data = [](Conn&, const RxView&) { return std::size_t{0}; };
  t.listen();
  t.peer.open();
  t.peer.ack().data(std::string(1024, 'a'));
  t.peer.ack().data(std::string(1024, 'b'));
  t.advance(1s);
  drain(t.peer);
  ASSERT_EQ(t.conn().stats().receive_window, 0u);
  t.peer.ack().urgent(10);
  EXPECT_EQ(t.app.record().urgent, 1);
  EXPECT_EQ(t.conn().urgent_ahead(), 2058u);
}

TEST(UrgentIn, while_it_waits_to_be_accepted__told_after_on_accept) {
  Trace t;
  const ListenerId id = t.listen(80, {.paused = true});
  t.peer.open();
  t.peer.ack().data("abc").urgent(3);
  EXPECT_TRUE(t.app.events.empty());
  t.core().resume(id);
  t.poll();
  // The data comes in one piece, or in two where it stands in two chunks.
  ASSERT_GE(t.app.events.size(), 3u);
  EXPECT_EQ(t.app.events[0], "accept");
  EXPECT_EQ(t.app.events[1], "urgent");
  EXPECT_EQ(t.app.received(), "abc");
}

// rfc9293 3.10.7.4 sixth: "Otherwise: this should not occur, ignore the URG"
TEST(UrgentIn, after_the_peers_fin__is_ignored) {
  Trace t;
  t.listen();
  t.peer.open();
  t.peer.fin();
  t.peer.ack().urgent(100);
  EXPECT_EQ(t.app.record().urgent, 0);
  drain(t.peer);
}

// The pointer is a sequence number: 2^31 bytes later what was read must not look like what is ahead.
TEST(UrgentIn, caught_up__nothing_of_it_is_left) {
  Trace t;
  t.listen();
  t.peer.open();
  t.peer.ack().data("now").urgent(3);
  t.peer.ack().data("later");
  t.peer.ack().data("x").urgent(1);
  EXPECT_EQ(t.app.record().urgent, 2) << "a new stretch is told of anew";
  t.peer.ack().data("y");
  const tcp::Tcb* tcb = t.core().shard().find(t.app.last());
  ASSERT_TRUE(tcb);
  EXPECT_FALSE(tcp::has(*tcb, tcp::notice)) << "or 2^31 bytes on the pointer would be ahead again";
  EXPECT_FALSE(tcp::has(*tcb, tcp::urgent_in | tcp::urgent_due));
  EXPECT_EQ(t.app.received(), "nowlaterxy");
  drain(t.peer);
}

// MUST-62: existing applications can use it
TEST(UrgentOut, send_urgent__flag_and_pointer_to_the_byte_behind) {
  Trace t;
  t.listen();
  t.peer.open();
  t.with([](Conn& c) {
    c.send("ordinary");
    EXPECT_EQ(c.send_urgent("urgent"), 6u);
  });
  const Packet p = t.peer.expect().flags(ACK | URG).data("ordinaryurgent").packet();
  EXPECT_EQ(p.urgent, 14);
  t.peer.ack();
  t.with([](Conn& c) { c.send("after"); });
  t.peer.expect().flags(ACK).data("after");
}

// rfc9293 3.8.5: "carried in all segments" as long as it is ahead; also in those sent again, and not in those
// behind
TEST(UrgentOut, every_segment_before_the_end_has_it__those_behind_do_not) {
  Trace t;
  t.listen();
  t.peer.open();
  t.with([](Conn& c) {
    c.send_urgent(std::string(3000, 'u'));
    c.send(std::string(3000, 'x'));
  });
  std::vector<std::pair<std::uint32_t, int>> got;
  const auto collect = [&] {
    while (auto p = t.peer.poll())
      got.emplace_back(p->seq - t.peer.irs, p->has(URG) ? static_cast<int>(p->urgent) : -1);
  };
  collect();
  EXPECT_EQ(got,
            (std::vector<std::pair<std::uint32_t, int>>{{1, 3000}, {1461, 1540}, {2921, 80}, {4381, -1}}))
      << "Nagle holds the rest";
  got.clear();
  t.peer.ack().ack(1461);
  t.advance_to_frame(5s);  // lost: it comes again
  collect();
  ASSERT_FALSE(got.empty());
  EXPECT_EQ(got.front(), (std::pair<std::uint32_t, int>{1461, 1540}));
}

// MUST-31: any length, where the field has sixteen bits
TEST(UrgentOut, longer_than_the_field__the_pointer_is_as_far_as_it_reaches_and_advances) {
  Trace t;
  t.listen();
  t.peer.open({.mss = 1460, .wscale = 7});
  t.with([](Conn& c) { EXPECT_EQ(c.send_urgent(std::string(100000, 'u')), 100000u); });
  std::uint32_t last_end = 0;
  for (int i = 0; i < 200; ++i) {
    while (auto p = t.peer.poll()) {
      ASSERT_TRUE(p->has(URG));
      const std::uint32_t seq = p->seq - t.peer.irs;
      EXPECT_EQ(p->urgent, std::min(100001u - seq, 65535u));
      EXPECT_GE(seq + p->urgent, last_end);
      last_end = seq + p->urgent;
    }
    t.peer.ack();
    if (t.conn().unacked() == 0) break;
  }
  EXPECT_EQ(last_end, 100001u);
}

// rfc9293 3.8.5: the receiver is stimulated even where it takes nothing
TEST(UrgentOut, window_shut__the_word_leaves_at_once_without_the_bytes) {
  Trace t;
  t.listen();
  t.peer.open();
  t.peer.ack().window(0);
  t.with([](Conn& c) { c.send_urgent("wake"); });
  const Packet p = t.peer.expect().flags(ACK | URG).data("").packet();
  EXPECT_EQ(p.urgent, 4);
}

TEST(UrgentOut, queued_in_syn_sent__marked_when_it_leaves) {
  Trace t;
  const ConnId id = t.connect();
  t.peer.expect().syn();
  EXPECT_EQ(t.core().find(id)->send_urgent("go"), 2u);
  t.poll();
  t.expect_nothing();
  t.peer.syn_ack().mss(1460);
  EXPECT_EQ(t.peer.expect().flags(ACK | URG).data("go").packet().urgent, 2);
}

TEST(UrgentOut, after_close__takes_nothing) {
  Trace t;
  t.listen();
  t.peer.open();
  t.with([](Conn& c) {
    c.shutdown_write();
    EXPECT_EQ(c.send_urgent("late"), 0u);
  });
  t.peer.expect().fin();
}

// Both ends, with loss: the marks come in order and the stream is exact.
// MUST-30, rfc6093 5
TEST(Urgent, between_two_stacks_with_loss__the_mark_is_where_it_was_put) {
  LinkRules rules;
  rules.loss = 0.05;
  Pair pair{7, rules};
  std::string received;
  std::size_t urgent_bytes = 0;
  int told = 0;
  struct Server {
    std::string* received;
    std::size_t* urgent_bytes;
    int* told;
    void on_urgent(Conn&) { ++*told; }
    std::size_t on_data(Conn& c, const RxView& in) {
      *urgent_bytes += std::min(c.urgent_ahead(), in.size());
      *received += in.text();
      return in.size();
    }
  };
  struct Client {
    void on_connect(Conn& c) {
      c.send(std::string(20000, 'a'));
      c.send_urgent(std::string(30000, 'u'));
      c.send(std::string(10000, 'b'));
      c.shutdown_write();
    }
  };
  ASSERT_TRUE(pair.core(1).listen({any, 80}, Server{&received, &urgent_bytes, &told}));
  const auto client = pair.core(0).add_handler(Client{});
  ASSERT_TRUE(client);
  ASSERT_TRUE(pair.core(0).connect({Pair::address(1), 80}, *client));
  EXPECT_TRUE(pair.run_idle(5min));
  EXPECT_EQ(received, std::string(20000, 'a') + std::string(30000, 'u') + std::string(10000, 'b'));
  EXPECT_EQ(urgent_bytes, 50000u) << "everything up to the mark is urgent";
  EXPECT_GE(told, 1);
}

}  // namespace
}  // namespace handfast::test
