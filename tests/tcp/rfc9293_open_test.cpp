// SPDX-License-Identifier: BSD-3-Clause
// OPEN of RFC 9293 section 3.9.1.1, and what section 3.9.1.9 and 3.9.2 let the application say about the datagrams: local
// address, code point, TTL. Layer: tests of the protocol, through frames alone.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "support/peer.hpp"
#include "support/usage.hpp"

namespace handfast::test {
namespace {

CoreConfig several_addresses() {
  CoreConfig config = small_config();
  config.link.address_count = 4;  // from 10.0.0.1 on
  config.link.address.address = {10, 0, 0, 101};
  return config;
}

// MUST-41
TEST(PassiveOpen, of_a_place_that_is_taken__is_an_error_and_the_first_goes_on) {
  Trace t;
  t.listen();
  const auto second = t.core().listen_with({any, 80}, t.handler);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().kind, ErrorKind::address_in_use);
  t.peer.open();
  EXPECT_EQ(t.app.count("accept"), 1);
  // A specific address is another place: it neither fails nor takes what the first has accepted.
  App special;
  ASSERT_TRUE(t.core().listen_with({Trace::stack_address, 80}, *t.core().add_handler_ref(special)));
  ASSERT_FALSE(t.core().listen_with({Trace::stack_address, 80}, t.handler));
  t.peer.ack().data("still ours");
  EXPECT_EQ(t.app.received(), "still ours");
  auto other = t.another_peer(41000);
  other->open();
  EXPECT_EQ(special.count("accept"), 1);
  other->rst();
}

// MUST-42
TEST(PassiveOpen, on_a_port_from_which_connections_are_being_opened__works) {
  Trace t;
  const ConnId id = t.connect();  // SYN-SENT from port 80
  t.peer.expect().syn();
  auto crossing = t.another_peer(40001);
  ASSERT_TRUE(t.core().connect(crossing->self, t.handler, {.local = crossing->stack}));
  t.poll();
  crossing->expect().syn();
  crossing->syn().mss(1460);  // both SYNs cross: SYN-RECEIVED from port 80
  crossing->expect().syn_ack();
  t.listen();
  auto other = t.another_peer(41000);
  other->open();
  EXPECT_EQ(t.app.count("accept"), 1);
  t.peer.syn_ack().mss(1460);
  EXPECT_TRUE(t.app.records[id].opened);
  crossing->ack();
  EXPECT_EQ(t.app.count("connect"), 2);
  // And with one in SYN-RECEIVED that came in by another listener.
  auto half = t.another_peer(42000);
  half->syn().mss(1460);
  half->expect().syn_ack();
  ASSERT_TRUE(t.core().listen_with({Trace::stack_address, 80}, t.handler));
  half->ack();
  EXPECT_EQ(t.app.count("accept"), 2);
  t.peer.expect().pure_ack();
}

// MUST-43
TEST(ActiveOpen, from_an_address_of_the_callers_choice__leaves_from_there) {
  Trace t{several_addresses()};
  for (std::uint8_t last = 101; last <= 104; ++last) {
    auto peer = t.another_peer(static_cast<Port>(40000 + last));
    peer->stack = {{10, 0, 0, last}, 7000};
    ASSERT_TRUE(t.core().connect(peer->self, t.handler, {.local = peer->stack}));
    t.poll();
    peer->expect().syn();
  }
  const auto foreign = t.core().connect(t.peer.self, t.handler, {.local = {{10, 0, 0, 105}, 0}});
  ASSERT_FALSE(foreign);
  EXPECT_EQ(foreign.error().kind, ErrorKind::usage);
  t.expect_nothing();
}

// MUST-44, MUST-45: an address is chosen before the first SYN, and every later segment comes from it: the SYN again, data, its
// retransmission, FIN.
TEST(ActiveOpen, without_a_local_address__one_is_chosen_and_kept) {
  Trace t{several_addresses()};
  for (Port port = 40001; port < 40009; ++port) {
    const auto id = t.core().connect({Trace::peer_address, port}, t.handler, {});
    ASSERT_TRUE(id);
    const Endpoint local = t.core().find(*id)->local();
    EXPECT_GE(local.address.value, Ipv4Address(10, 0, 0, 101).value);
    EXPECT_LE(local.address.value, Ipv4Address(10, 0, 0, 104).value);
    auto peer = t.another_peer(port);
    peer->stack = local;  // the harness hands it only what comes from there; all else makes expect_nothing() fail
    t.poll();
    peer->expect().syn().seq(0);
    t.advance(1s);
    peer->expect().syn().seq(0);
    peer->syn_ack().mss(1460);
    peer->expect().pure_ack();
    t.with([](Conn& c) { c.send("data"); });
    peer->expect().data("data");
    t.advance_to_frame(10s);
    peer->expect().data("data");
    peer->ack();
    t.with([](Conn& c) { c.close(); });
    peer->expect().fin();
    peer->fin();
    peer->expect().pure_ack();
    EXPECT_TRUE(t.other_frames.empty());
  }
}

// MUST-46
TEST(ActiveOpen, towards_what_no_host_can_be__is_refused_and_nothing_is_sent) {
  Trace t;
  for (const Ipv4Address remote :
       {Ipv4Address{}, Ipv4Address{0, 1, 2, 3}, Ipv4Address{127, 0, 0, 1}, Ipv4Address{127, 255, 255, 254},
        Ipv4Address{224, 0, 0, 1}, Ipv4Address{239, 255, 255, 250}, Ipv4Address{240, 0, 0, 1},
        Ipv4Address{255, 255, 255, 255}, Ipv4Address{10, 0, 0, 255}}) {
    const auto id = t.core().connect({remote, 80}, t.handler);
    ASSERT_FALSE(id) << remote.to_string();
    EXPECT_EQ(id.error().kind, ErrorKind::usage);
  }
  ASSERT_FALSE(t.core().connect({Trace::peer_address, 0}, t.handler));
  t.expect_nothing_until(3s);
  EXPECT_EQ(usage_of(t.core()), Usage{});
}

// MUST-49: of connections, resets and repetitions alike.
TEST(Ttl, is_the_configured_one_on_everything) {
  for (const std::uint8_t ttl : {std::uint8_t{1}, std::uint8_t{64}, std::uint8_t{255}}) {
    CoreConfig config = small_config();
    config.link.ttl = ttl;
    Trace t{config};
    t.listen();
    t.peer.syn().mss(1460);
    EXPECT_EQ(t.peer.expect().syn_ack().packet().ttl, ttl);
    t.peer.ack();
    t.with([](Conn& c) { c.send("x"); });
    EXPECT_EQ(t.peer.expect().packet().ttl, ttl);
    t.advance_to_frame(5s);
    EXPECT_EQ(t.peer.expect().packet().ttl, ttl);
    auto other = t.another_peer(41000);
    other->stack.port = 81;
    other->syn().mss(1460);
    EXPECT_EQ(other->expect().rst_ack().packet().ttl, ttl);
  }
}

// --- the Differentiated Services field

/// All that waits has this code point and no ECN bit; how many there were.
int all_marked(Peer& peer, std::uint8_t dscp) {
  int n = 0;
  for (; auto p = peer.poll(); ++n) EXPECT_EQ(p->tos, dscp << 2) << p->text();
  return n;
}

// MUST-48, SHLD-22: SYN and its repetition, ACK, data and its repetition, challenge, FIN, and the ACK out of TIME-WAIT.
TEST(Dscp, of_an_active_open__is_on_every_segment_as_it_was_set) {
  constexpr std::uint8_t ef = 46;
  Trace t;
  ASSERT_TRUE(t.core().connect(t.peer.self, t.handler, {.local = t.peer.stack, .dscp = ef}));
  t.poll();
  t.advance(1s);
  EXPECT_EQ(all_marked(t.peer, ef), 2);
  t.peer.syn_ack().mss(1460);
  EXPECT_EQ(all_marked(t.peer, ef), 1);
  t.with([](Conn& c) { c.send("data"); });
  t.advance(4s);
  EXPECT_GE(all_marked(t.peer, ef), 2);
  t.peer.ack();
  t.peer.rst().seq(t.peer.snd_nxt + 1);
  EXPECT_EQ(all_marked(t.peer, ef), 1);
  EXPECT_EQ(t.conn().stats().dscp, ef);
  t.with([](Conn& c) { c.close(); });
  EXPECT_EQ(all_marked(t.peer, ef), 1);
  t.peer.fin();
  EXPECT_EQ(all_marked(t.peer, ef), 1);
  t.peer.fin().seq(t.peer.snd_nxt - 1);
  EXPECT_EQ(all_marked(t.peer, ef), 1) << "TIME-WAIT";
}

// MUST-48, SHLD-22: SYN-ACK and its repetitions, challenge of a half-open connection, data, RST, keep-alive.
TEST(Dscp, of_a_listener__is_on_every_segment_of_its_connections) {
  constexpr std::uint8_t cs1 = 8;
  Trace t;
  const ListenerId listener = t.listen(80, {.dscp = cs1});
  t.peer.syn().mss(1460);
  t.advance(1s);
  EXPECT_EQ(all_marked(t.peer, cs1), 2);
  t.peer.rst().seq(t.peer.snd_nxt + 1);
  EXPECT_EQ(all_marked(t.peer, cs1), 1);
  t.peer.ack().data("ask");
  t.with([](Conn& c) { c.send("answer"); });
  EXPECT_EQ(all_marked(t.peer, cs1), 1);
  t.with([](Conn& c) { c.abort(); });
  EXPECT_EQ(all_marked(t.peer, cs1), 1);
  auto half = t.another_peer(41000);
  half->syn().mss(1460);
  t.core().close(listener);
  t.poll();
  EXPECT_EQ(all_marked(*half, cs1), 2) << "SYN-ACK and RST";
}

// MUST-48
TEST(Dscp, of_a_listener__is_on_its_cookies_too) {
  CoreConfig config = small_config();
  config.limits.half_open = 0;
  Trace t{config};
  t.listen(80, {.dscp = 10});
  t.peer.syn().mss(1460);
  EXPECT_EQ(all_marked(t.peer, 10), 1);
  t.peer.ack();
  t.with([](Conn& c) { c.send("x"); });
  EXPECT_EQ(all_marked(t.peer, 10), 1);
  EXPECT_EQ(t.stats().syn_cookies_accepted, 1u);
}

// SHLD-21
TEST(Dscp, changed_in_the_middle__is_on_what_leaves_from_then_on) {
  Trace t;
  t.listen();
  t.peer.open();
  t.with([](Conn& c) {
    c.send("a");
    EXPECT_TRUE(c.set_dscp(63));
  });
  EXPECT_EQ(all_marked(t.peer, 63), 1);
  t.with([](Conn& c) { EXPECT_TRUE(c.set_dscp(0)); });
  t.advance_to_frame(5s);
  EXPECT_EQ(all_marked(t.peer, 0), 1) << "the retransmission";
  EXPECT_EQ(t.conn().stats().dscp, 0);
}

TEST(Dscp, that_does_not_exist__is_refused) {
  Trace t;
  EXPECT_FALSE(t.core().connect(t.peer.self, t.handler, {.dscp = 64}));
  EXPECT_FALSE(t.core().listen_with({any, 80}, t.handler, {.dscp = 255}));
  t.listen();
  t.peer.open();
  t.with([](Conn& c) {
    EXPECT_TRUE(c.set_dscp(1));
    EXPECT_FALSE(c.set_dscp(64));
    EXPECT_EQ(c.stats().dscp, 1);
  });
}

TEST(Dscp, unset__is_zero_and_resets_of_no_connection_have_none) {
  Trace t;
  t.listen(80, {.dscp = 5});
  auto other = t.another_peer(41000);
  other->stack.port = 81;
  other->syn().mss(1460);
  EXPECT_EQ(all_marked(*other, 0), 1);
  ASSERT_TRUE(t.core().connect({Trace::peer_address, 41000}, t.handler, {.local = other->stack}));
  t.poll();
  EXPECT_EQ(all_marked(*other, 0), 1);
}

}  // namespace
}  // namespace handfast::test
