// SPDX-License-Identifier: BSD-3-Clause
// The MSS option and the size of what is sent (RFC 9293 section 3.7.1, RFC 6691). Layer: tests of the protocol, through
// frames alone.
#include <gtest/gtest.h>

#include <string>

#include "support/peer.hpp"

namespace handfast::test {
namespace {

CoreConfig with_mtu(unsigned mtu) {
  CoreConfig config = small_config();
  config.link.mtu = static_cast<std::uint16_t>(mtu);
  return config;
}

/// Bytes of the IP datagram that carried it.
std::size_t datagram(const Packet& p) { return build(p).size() - 14; }

// MUST-14, MUST-67: what is offered is what can be received, no option taken off (RFC 6691 section 2). SHLD-5, MAY-3: in
// every SYN, 536 itself included.
TEST(Mss, option__is_in_every_syn_and_is_the_mtu_less_the_fixed_headers) {
  for (const unsigned mtu : {576u, 577u, 1280u, 1500u, 4352u, 9000u, 9216u}) {
    SCOPED_TRACE(mtu);
    Trace t{with_mtu(mtu)};
    t.listen();
    t.peer.syn().mss(1460).ts(1, 0).sack_ok();
    EXPECT_EQ(t.peer.expect().syn_ack().packet().mss, mtu - 40);
    t.advance_to_frame(3s);
    EXPECT_EQ(t.peer.expect().syn_ack().packet().mss, mtu - 40) << "sent again";
    auto other = t.another_peer(40001);
    other->stack.port = 9000;
    ASSERT_TRUE(t.core().connect(other->self, t.handler, {.local = other->stack}));
    t.poll();
    EXPECT_EQ(other->expect().syn().packet().mss, mtu - 40);
    t.advance_to_frame(3s);
    while (auto p = other->poll()) EXPECT_EQ(p->mss, mtu - 40);
  }
}

TEST(Mss, configured_smaller__is_what_is_offered_and_does_not_limit_what_is_sent) {
  CoreConfig config = small_config();
  config.tcp.mss = 700;
  Trace t{config};
  t.listen();
  t.peer.syn().mss(1460);
  EXPECT_EQ(t.peer.expect().syn_ack().packet().mss, 700);
  t.peer.ack();
  t.with([](Conn& c) { c.send(std::string(1460, 'x')); });
  t.peer.expect().length(1460);
}

// MUST-65
TEST(Mss, option__is_in_no_other_segment) {
  Trace t;
  t.listen();
  t.peer.open(modern);
  t.with([](Conn& c) { c.send(std::string(3000, 'x')); });
  int seen = 0;
  const auto none_has_it = [&] {
    while (auto p = t.peer.poll()) {
      EXPECT_FALSE(p->mss) << p->text();
      ++seen;
    }
  };
  none_has_it();
  t.advance(1s);  // again
  none_has_it();
  t.peer.ack().data("y");
  t.advance(1s);
  none_has_it();
  t.peer.segment(SYN).seq(1);  // a challenge ACK
  none_has_it();
  t.with([](Conn& c) { c.close(); });
  none_has_it();
  t.peer.ack();
  t.peer.fin();
  none_has_it();
  EXPECT_GE(seen, 6);
}

// MUST-15, MUST-16: min(what the peer takes, what our link does), less the options of each segment (RFC 6691 section 3)
TEST(Mss, effective__is_the_lesser_of_the_peers_and_ours_less_the_options_there_are) {
  for (const unsigned mtu : {576u, 1280u, 1500u, 9216u}) {
    for (const unsigned offered : {0u, 216u, 536u, 1220u, 1460u, 8960u, 65535u}) {
      for (const bool ts : {false, true}) {
        SCOPED_TRACE(std::to_string(mtu) + " " + std::to_string(offered) + (ts ? " ts" : ""));
        Trace t{with_mtu(mtu)};
        t.listen();
        std::optional<std::uint16_t> option;
        if (offered != 0) option = static_cast<std::uint16_t>(offered);
        t.peer.open({.mss = option, .ts = ts});
        const std::size_t most = std::min<std::size_t>(offered == 0 ? 536 : offered, mtu - 40);
        t.with([](Conn& c) { c.send(std::string(30000, 'x')); });
        const Packet first = t.peer.expect().packet();
        EXPECT_EQ(first.payload.size(), most - (ts ? 12 : 0));
        EXPECT_LE(datagram(first), most + 40);
        EXPECT_EQ(t.conn().stats().mss, first.payload.size());
        EXPECT_EQ(t.conn().stats().path_mtu, most + 40);
        while (t.peer.poll()) {
        }
      }
    }
  }
}

// MUST-16: "some options might not be included on all segments, but for each segment sent, the sender should adjust the data
// length": SACK blocks come and go. Down to the smallest MSS that can be configured.
TEST(Mss, sack_blocks__their_room_is_taken_off_the_data) {
  for (const unsigned offered : {48u, 88u, 216u, 536u, 1460u}) {
    for (const bool ts : {false, true}) {
      SCOPED_TRACE(std::to_string(offered) + (ts ? " ts" : ""));
      CoreConfig config = small_config();
      config.tcp.min_send_mss = 48;
      Trace t{config};
      t.listen();
      t.peer.open({.mss = static_cast<std::uint16_t>(offered), .ts = ts, .sack = true});
      for (std::uint32_t hole = 0; hole < 4; ++hole) {
        t.peer.ack().seq(2 + 2 * hole).data("z");
        t.peer.expect().pure_ack();
      }
      t.with([](Conn& c) { c.send(std::string(2000, 'x')); });
      const Packet p = t.peer.expect().packet();
      EXPECT_FALSE(p.sack.empty()) << "there is one to be had";
      EXPECT_LE(datagram(p), offered + 40);
      EXPECT_GE(p.payload.size(), 1u);
      while (t.peer.poll()) {
      }
    }
  }
}

// MUST-16 under a SYN flood: a cookie has no room for an MSS below its smallest class, so such a SYN is not answered by one
TEST(Mss, cookie__never_stands_for_more_than_the_peer_takes) {
  CoreConfig config = small_config();
  config.limits.half_open = 0;
  for (const unsigned offered : {216u, 400u, 535u, 536u, 1000u, 1299u, 1300u, 1450u, 1460u, 8960u}) {
    SCOPED_TRACE(offered);
    Trace t{config};
    t.listen();
    t.peer.syn().mss(static_cast<std::uint16_t>(offered));
    if (t.peer.quiet()) {
      EXPECT_LT(offered, 536u);
      EXPECT_EQ(t.drops(Drop::tcp_half_open_full), 1u);
      continue;
    }
    t.peer.expect().syn_ack();
    t.peer.ack();
    t.with([](Conn& c) { c.send(std::string(20000, 'x')); });
    EXPECT_LE(t.peer.expect().packet().payload.size(), offered);
    while (t.peer.poll()) {
    }
  }
}

}  // namespace
}  // namespace handfast::test
