// SPDX-License-Identifier: BSD-3-Clause
// TCP Fast Open at the client, RFC 7413: asking for cookies, data with the SYN, servers that do not take it,
// the cache. Layer: tests of the protocol, through frames alone.
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "support/peer.hpp"
#include "support/usage.hpp"
#include "tcp/fast_open.hpp"

namespace handfast::test {
namespace {

int drain(Peer& p) {
  int n = 0;
  while (p.poll()) ++n;
  return n;
}

struct Client {
  explicit Client(CoreConfig config = small_config()) : t(std::move(config)) {}
  /// connect() from a port of its own, so that one test can open several connections to one server.
  Peer& open(std::string_view data, bool fast = true) {
    const auto port = static_cast<Port>(9000 + peers.size());
    peers.push_back(
        std::make_unique<Peer>(t, Endpoint{Trace::peer_address, 443}, Endpoint{Trace::stack_address, port}));
    ConnectOptions options{.local = {Trace::stack_address, port}, .fast_open = fast};
    options.data = std::as_bytes(std::span{data.data(), data.size()});
    EXPECT_TRUE(t.core().connect(peers.back()->self, t.handler, options));
    t.poll();
    return *peers.back();
  }
  /// A first connection that brings a cookie home.
  void learn(const std::string& cookie, std::uint16_t mss = 1460) {
    Peer& p = open("");
    EXPECT_EQ(p.expect().syn().packet().cookie, "");
    p.syn_ack().mss(mss).cookie(cookie);
    p.expect().pure_ack();
    p.rst();
  }
  Trace t;
  std::vector<std::unique_ptr<Peer>> peers;
};

// rfc7413 2
TEST(FastOpenClient, off__no_option_and_the_data_follows_the_handshake) {
  Client c;
  Peer& p = c.open("request", false);
  EXPECT_FALSE(p.expect().syn().data("").packet().cookie);
  p.syn_ack().mss(1460).cookie("12345678");
  p.expect().flags(ACK).data("request");
  Peer& q = c.open("request");
  EXPECT_EQ(q.expect().syn().data("").packet().cookie, "") << "a cookie that was not asked for is not kept";
}

// rfc7413 4.2.1, 4.1.3
TEST(FastOpenClient, first_time__asks_with_an_empty_option_and_no_data) {
  Client c;
  Peer& p = c.open("request");
  EXPECT_EQ(p.expect().syn().data("").packet().cookie, "");
  p.syn_ack().mss(1460).cookie("12345678");
  p.expect().flags(ACK).seq(1).data("request");
}

// rfc7413 4.2.2
TEST(FastOpenClient, with_a_cookie__data_in_the_syn_and_not_again) {
  Client c;
  c.learn("12345678");
  Peer& p = c.open("request");
  EXPECT_EQ(p.expect().syn().seq(0).data("request").packet().cookie, "12345678");
  p.syn_ack().mss(1460);
  p.expect().pure_ack().seq(8).ack(1);
  EXPECT_EQ(c.t.app.count("connect"), 2);
  EXPECT_EQ(c.t.app.record().sent, 7u);
  EXPECT_EQ(c.t.conn().unacked(), 0u);
  EXPECT_EQ(c.t.stats().fast_open_sent, 1u);
  EXPECT_EQ(c.t.stats().fast_open_taken, 1u);
  p.ack().data("response");
  EXPECT_EQ(c.t.app.received(), "response");
  c.t.expect_nothing_until(30ms);
}

TEST(FastOpenClient, data_sent_right_after_connect__rides_in_the_syn) {
  Client c;
  c.learn("12345678");
  auto p =
      std::make_unique<Peer>(c.t, Endpoint{Trace::peer_address, 443}, Endpoint{Trace::stack_address, 9100});
  const auto id =
      c.t.core().connect(p->self, c.t.handler, {.local = p->stack, .fast_open = true, .data = {}});
  ASSERT_TRUE(id);
  EXPECT_EQ(c.t.core().find(*id)->send("sent"), 4u);
  c.t.poll();
  p->expect().syn().data("sent");
}

// rfc7413 4.2.2: any cookie length, and the one that leaves no room for another option
TEST(FastOpenClient, cookies_of_every_length__come_back_as_they_came) {
  for (const std::size_t length : {4u, 6u, 8u, 12u, 14u, 16u}) {
    CoreConfig config = small_config();
    config.tcp.user_timeout_option = true;
    Client c{config};
    const std::string cookie(length, 'k');
    c.learn(cookie);
    Peer& p = c.open("request");
    EXPECT_EQ(p.expect().syn().data("request").packet().cookie, cookie);
  }
}

// rfc7413 4.2.2: the client SHOULD retransmit any unacknowledged data in the first ACK
// rfc7413 4.2.2c, 4.1.3.1
TEST(FastOpenClient, server_takes_only_the_syn__data_in_the_third_segment_and_the_server_is_avoided) {
  Client c;
  c.learn("12345678");
  Peer& p = c.open("request");
  p.expect().syn().data("request");
  p.syn_ack().ack(1).mss(1460);
  p.rcv_nxt = 1;
  p.expect().flags(ACK).seq(1).ack(1).data("request");
  p.ack();
  EXPECT_EQ(c.t.conn().unacked(), 0u);
  EXPECT_EQ(c.t.stats().fast_open_taken, 0u);
  c.t.expect_nothing_until(1s);
  // rfc7413 4.1.3.1: a negative response
  EXPECT_FALSE(c.open("request").expect().syn().data("").packet().cookie);
  c.t.advance(tcp::fast_open_avoidance);
  drain(*c.peers.back());
  EXPECT_EQ(c.open("request").expect().syn().data("request").packet().cookie, "12345678")
      << "at least temporarily";
}

// rfc7413 4.2.2: the cookie had expired, a new one came along
TEST(FastOpenClient, server_takes_only_the_syn_and_gives_a_cookie__used_next_time) {
  Client c;
  c.learn("12345678");
  Peer& p = c.open("request");
  p.expect().syn();
  p.syn_ack().ack(1).mss(1460).cookie("87654321");
  p.rcv_nxt = 1;
  p.expect().flags(ACK).data("request");
  EXPECT_EQ(c.open("request").expect().syn().data("request").packet().cookie, "87654321");
}

TEST(FastOpenClient, server_takes_a_part__the_rest_follows) {
  Client c;
  c.learn("12345678");
  Peer& p = c.open("request");
  p.expect().syn().data("request");
  p.syn_ack().ack(4).mss(1460);
  p.rcv_nxt = 4;
  p.expect().flags(ACK).seq(4).data("uest");
}

// rfc7413 4.2.2, 4.1.3.1: SYN again with neither data nor option; the path is remembered
// rfc7413 4.2.2a
TEST(FastOpenClient, syn_lost__again_without_option_and_data) {
  Client c;
  c.learn("12345678");
  Peer& p = c.open("request");
  const Duration begin = c.t.elapsed();
  p.expect().syn().data("request");
  c.t.advance(1s);
  const auto again = p.expect().syn().seq(0).data("").at(begin + 1s);
  EXPECT_FALSE(again.packet().cookie);
  p.rcv_nxt = 1;
  p.syn_ack().mss(1460);
  p.expect().flags(ACK).seq(1).ack(1).data("request");
  EXPECT_FALSE(c.open("request").expect().syn().data("").packet().cookie)
      << "presumably dropped for what it was";
}

// rfc7413 4.2.1: also one that only asked
TEST(FastOpenClient, request_lost__again_without_option_and_not_asked_for_a_while) {
  Client c;
  Peer& p = c.open("request");
  EXPECT_EQ(p.expect().syn().packet().cookie, "");
  c.t.advance(1s);
  EXPECT_FALSE(p.expect().syn().packet().cookie);
  p.syn_ack().mss(1460);
  p.expect().flags(ACK).data("request");
  EXPECT_FALSE(c.open("x").expect().syn().packet().cookie);
  c.t.advance(tcp::fast_open_avoidance);
  drain(*c.peers.back());
  EXPECT_EQ(c.open("x").expect().syn().packet().cookie, "");
}

// The first SYN came through, only the answer was lost: what the plain SYN brings acknowledges the data.
TEST(FastOpenClient,
     syn_ack_lost__the_next_one_acknowledges_the_data_and_nothing_is_held_against_the_server) {
  Client c;
  c.learn("12345678");
  Peer& p = c.open("request");
  p.expect().syn().data("request");
  c.t.advance(1s);
  p.expect().syn().data("");
  p.syn_ack().ack(8).mss(1460);
  p.expect().pure_ack().seq(8);
  EXPECT_EQ(c.t.conn().unacked(), 0u);
  EXPECT_EQ(c.open("request").expect().syn().data("request").packet().cookie, "12345678");
}

// rfc7413 4.1.3, 4.2.2 1b: up to the cached MSS; options are taken off
TEST(FastOpenClient, more_than_fits__as_much_as_the_servers_mss_lets_and_the_rest_later) {
  for (const auto& [mss, fits] : {std::pair{std::uint16_t{500}, 500u - 32},
                                  {std::uint16_t{1460}, 1460u - 32},
                                  {std::uint16_t{8960}, 1460u - 32}}) {
    Client c;
    c.learn("12345678", mss);
    const std::string data(2000, 'd');
    Peer& p = c.open(data);
    p.expect().syn().length(fits);
    p.syn_ack().mss(mss);
    std::size_t rest = 0;
    while (auto packet = p.poll()) rest += packet->payload.size();
    p.ack();  // Nagle holds the last of it
    while (auto packet = p.poll()) rest += packet->payload.size();
    EXPECT_EQ(rest, 2000 - fits);
  }
}

// rfc9293 3.10.7.3 first: SEG.ACK > SND.NXT
TEST(FastOpenClient, ack_beyond_what_was_sent__reset) {
  Client c;
  c.learn("12345678");
  Peer& p = c.open("request");
  p.expect().syn();
  p.syn_ack().ack(9).mss(1460);
  p.expect().rst().seq(9);
  p.syn_ack().seq(0).ack(0).mss(1460);
  p.expect().rst().seq(0);
}

TEST(FastOpenClient, refused__with_or_without_the_data_acknowledged) {
  for (const std::uint32_t ack : {1u, 8u}) {
    Client c;
    c.learn("12345678");
    Peer& p = c.open("request");
    p.expect().syn();
    p.rst().seq(0).ack(ack);
    EXPECT_EQ(c.t.app.events.back(), "closed:refused");
  }
}

// The server's first SYN crosses ours: no word of our data, so it goes again once the connection is open.
TEST(FastOpenClient, simultaneous_open__data_after_the_handshake) {
  Client c;
  c.learn("12345678");
  Peer& p = c.open("request");
  p.expect().syn().data("request");
  p.syn().mss(1460);
  p.expect().syn_ack().seq(0).ack(1).data("");
  p.ack().ack(1);
  p.rcv_nxt = 1;
  p.expect().flags(ACK).seq(1).data("request");
  EXPECT_EQ(c.t.app.count("connect"), 2);
}

TEST(FastOpenClient, data_that_does_not_fit__connect_fails_and_nothing_is_left) {
  CoreConfig config = small_config();
  config.tcp.send_buffer = 2048;
  Trace t{config};
  const std::string big(2049, 'x');
  const auto id =
      t.core().connect({Trace::peer_address, 443}, t.handler,
                       {.fast_open = true, .data = std::as_bytes(std::span{big.data(), big.size()})});
  ASSERT_FALSE(id);
  EXPECT_EQ(id.error().kind, ErrorKind::exhausted);
  t.expect_nothing_until(5s);
  EXPECT_EQ(usage_of(t.core()), Usage{});
}

// Bounded: more servers than places, and the stack goes on asking.
TEST(FastOpenClient, more_servers_than_the_cache_holds__the_oldest_go) {
  tcp::FastOpenCache cache{8, {1, 2}};
  const std::array<std::byte, 8> cookie{};
  const auto key = [](std::uint32_t n) { return FlowKey{{Trace::stack_address, 1}, {Ipv4Address{n}, 443}}; };
  for (std::uint32_t n = 1; n <= 1000; ++n) cache.learn(key(n), cookie, 1460, Time{Duration{n}});
  int kept = 0;
  for (std::uint32_t n = 1; n <= 1000; ++n) kept += cache.find(key(n)) != nullptr;
  EXPECT_EQ(kept, 8);
  EXPECT_TRUE(cache.find(key(1000)));
  tcp::FastOpenCache none{0, {1, 2}};
  none.learn(key(1), cookie, 1460, Time{});
  none.avoid(key(1), Time{}, Time{1h});
  EXPECT_FALSE(none.find(key(1)));
}

// rfc7413 4.1.3: by pair of addresses and the server's port
TEST(FastOpenClient, cookie__is_for_one_server_and_one_address_of_ours) {
  tcp::FastOpenCache cache{64, {1, 2}};
  const std::array<std::byte, 8> cookie{};
  const Endpoint us{Trace::stack_address, 1}, other_us{Ipv4Address{10, 0, 0, 5}, 1},
      server{Trace::peer_address, 443};
  cache.learn(FlowKey{us, server}, cookie, 1460, Time{});
  EXPECT_TRUE(cache.find(FlowKey{Endpoint{us.address, 77}, server}));
  EXPECT_FALSE(cache.find(FlowKey{other_us, server}));
  EXPECT_FALSE(cache.find(FlowKey{us, Endpoint{server.address, 80}}));
}

}  // namespace
}  // namespace handfast::test
