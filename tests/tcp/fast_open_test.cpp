// SPDX-License-Identifier: BSD-3-Clause
// TCP Fast Open: RFC 7413, server and client: cookies, data with the SYN, limits, and what goes wrong on the
// way. Layer: tests of the protocol, through frames alone.
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "support/pair.hpp"
#include "support/peer.hpp"
#include "support/usage.hpp"
#include "tcp/fast_open.hpp"

namespace handfast::test {
namespace {

using Events = std::vector<std::string>;

int drain(Peer& p) {
  int n = 0;
  while (p.poll()) ++n;
  return n;
}

// --- server
// -------------------------------------------------------------------------------------------------------

struct Server {
  explicit Server(std::uint32_t limit = 16, CoreConfig config = small_config()) : t(std::move(config)) {
    listener = t.listen(80, {.fast_open = limit});
  }
  /// A cookie for the peer's address, by way of a connection that is reset at once.
  std::string cookie() {
    auto asker = t.another_peer(static_cast<Port>(50000 + asked++));
    asker->syn().mss(1460).cookie("");
    const Packet answer = asker->expect().syn_ack().ack(1).packet();
    asker->rst();
    return answer.cookie.value_or("none came");
  }
  Trace t;
  ListenerId listener;
  int asked = 0;
};

// rfc7413 4.2: default is off, all cookie options are ignored
// rfc7413 2, 4.2a
TEST(FastOpenServer, off__option_and_data_are_ignored) {
  Server s{0};
  s.t.peer.syn().mss(1460).cookie("").data("early");
  EXPECT_FALSE(s.t.peer.expect().syn_ack().ack(1).packet().cookie);
  EXPECT_TRUE(s.t.app.events.empty());
}

// rfc7413 4.1.1, 4.2.1
TEST(FastOpenServer, request__cookie_of_eight_bytes_and_an_ordinary_handshake) {
  Server s;
  s.t.peer.syn().mss(1460).cookie("");
  const Packet answer = s.t.peer.expect().syn_ack().seq(0).ack(1).packet();
  ASSERT_TRUE(answer.cookie);
  EXPECT_EQ(answer.cookie->size(), 8u);
  EXPECT_EQ(s.t.stats().half_open, 1u);
  s.t.peer.ack();
  EXPECT_EQ(s.t.state(), State::established);
}

// rfc7413 4.1.2: of the client's address, the same for all its connections
TEST(FastOpenServer, cookie__depends_on_the_address_alone) {
  Server s;
  const std::string first = s.cookie();
  EXPECT_EQ(s.cookie(), first);
  auto other = s.t.another_peer(50000, {10, 0, 0, 9});
  other->syn().mss(1460).cookie("");
  EXPECT_NE(other->expect().packet().cookie, first);
}

// rfc7413 4.2.2: data buffered, application notified, SYN-ACK acknowledges it, response before the handshake
// ends
TEST(FastOpenServer, good_cookie__data_is_delivered_and_answered_before_the_handshake_ends) {
  Server s;
  const std::string cookie = s.cookie();
  s.t.app.data = [](Conn& c, const RxView& in) {
    EXPECT_EQ(c.state(), State::syn_received);
    c.send("response");
    return in.size();
  };
  s.t.peer.syn().mss(1460).cookie(cookie).data("request");
  EXPECT_EQ(s.t.app.events, (Events{"accept", "data:7"}));
  s.t.peer.expect().syn_ack().seq(0).ack(8).data("");
  s.t.peer.expect().flags(ACK).seq(1).ack(8).data("response");
  EXPECT_EQ(s.t.stats().established, 0u);
  s.t.peer.ack();
  EXPECT_EQ(s.t.state(), State::established);
  EXPECT_EQ(s.t.stats().established, 1u);
  EXPECT_EQ(s.t.stats().accepted, 1u);
  EXPECT_EQ(s.t.stats().fast_open_accepted, 1u);
  EXPECT_EQ(s.t.conn().unacked(), 0u);
  EXPECT_EQ(s.t.app.events, (Events{"accept", "data:7"})) << "accepted once";
  s.t.app.data = nullptr;
  s.t.peer.ack().data("more");
  EXPECT_EQ(s.t.app.received(), "requestmore");
  s.t.expect_nothing_until(30ms);
  s.t.advance(1s);
  s.t.peer.expect().pure_ack().ack(12);
}

// rfc7413 4.2.2 step 6, rfc6928: the initial window bounds what leaves
// rfc7413 4.2.2d
TEST(FastOpenServer, response_before_the_handshake__is_bounded_by_the_initial_window) {
  Server s;
  const std::string cookie = s.cookie();
  s.t.app.data = [](Conn& c, const RxView& in) {
    c.send(std::string(100000, 'r'));
    return in.size();
  };
  s.t.peer.syn().mss(1460).cookie(cookie).data("request");
  s.t.peer.expect().syn_ack();
  std::size_t bytes = 0;
  while (auto p = s.t.peer.poll()) bytes += p->payload.size();
  EXPECT_EQ(bytes, 14600u);
}

// rfc9293 3.10.4: CLOSE in SYN-RECEIVED with data queued waits for ESTABLISHED
TEST(FastOpenServer, close_in_the_data_callback__response_now_and_fin_after_the_ack) {
  Server s;
  const std::string cookie = s.cookie();
  s.t.app.data = [](Conn& c, const RxView& in) {
    c.send("response");
    c.close();
    return in.size();
  };
  s.t.peer.syn().mss(1460).cookie(cookie).data("request");
  s.t.peer.expect().syn_ack().ack(8);
  s.t.peer.expect().flags(ACK).data("response");
  s.t.expect_nothing();
  s.t.peer.ack();
  s.t.peer.finish_after_fin();
  EXPECT_EQ(s.t.app.reason(), CloseReason::finished);
}

// rfc7413 4.2.2 steps 3 and 5
TEST(FastOpenServer, bad_cookie__ordinary_handshake_with_a_good_cookie_and_the_data_comes_once) {
  Server s;
  const std::string good = s.cookie();
  for (const std::string bad : {"12345678", "1234", "1234567890123456"}) {
    auto p = s.t.another_peer(static_cast<Port>(41000 + bad.size()));
    p->syn().mss(1460).cookie(bad).data("request");
    EXPECT_EQ(p->expect().syn_ack().ack(1).packet().cookie, good);
    p->snd_nxt = 1;
    p->ack().data("request");
    EXPECT_EQ(s.t.app.received(), "request");
    drain(*p);
  }
  EXPECT_EQ(s.t.stats().fast_open_bad_cookies, 3u);
  EXPECT_EQ(s.t.stats().fast_open_accepted, 0u);
}

// rfc7413 4.1.2: of another's address it is no cookie
TEST(FastOpenServer, cookie_of_another_address__is_bad) {
  Server s;
  const std::string cookie = s.cookie();
  auto thief = s.t.another_peer(41000, {10, 0, 0, 77});
  thief->syn().mss(1460).cookie(cookie).data("request");
  thief->expect().syn_ack().ack(1);
  EXPECT_TRUE(s.t.app.events.empty());
}

TEST(FastOpenServer, good_cookie_without_data__ordinary_handshake) {
  Server s;
  const std::string cookie = s.cookie();
  s.t.peer.syn().mss(1460).cookie(cookie);
  EXPECT_FALSE(s.t.peer.expect().syn_ack().ack(1).packet().cookie) << "it is good: none is needed";
  EXPECT_TRUE(s.t.app.events.empty());
  s.t.peer.ack();
  EXPECT_EQ(s.t.state(), State::established);
}

// rfc7413 4.1.2 property 5: two periods
TEST(FastOpenServer, cookie_ages__good_with_a_new_one_in_the_next_period_and_bad_after_that) {
  Server s;
  const std::string cookie = s.cookie();
  s.t.advance(tcp::fast_open_period);
  s.t.peer.syn().mss(1460).cookie(cookie).data("x");
  const auto renewed = s.t.peer.expect().syn_ack().ack(2).packet().cookie;
  ASSERT_TRUE(renewed);
  EXPECT_NE(*renewed, cookie);
  s.t.peer.ack();
  s.t.advance(tcp::fast_open_period);
  auto late = s.t.another_peer(41000);
  late->syn().mss(1460).cookie(cookie).data("x");
  late->expect().syn_ack().ack(1);
  auto fresh = s.t.another_peer(41001);
  fresh->syn().mss(1460).cookie(*renewed).data("x");
  fresh->expect().syn_ack().ack(2);
}

// Every core of a stack must know the cookies of the others.
TEST(FastOpenServer, cookies_of_shards_with_one_seed__are_the_same) {
  Rng a{1}, b{2};
  const tcp::Secrets first{a, 99}, second{b, 99}, other{a, 98};
  const FlowKey key{{Trace::stack_address, 80}, {Trace::peer_address, 4000}};
  EXPECT_EQ(tcp::make_fast_open_cookie(first, key, Time{}), tcp::make_fast_open_cookie(second, key, Time{}));
  EXPECT_NE(tcp::make_fast_open_cookie(first, key, Time{}), tcp::make_fast_open_cookie(other, key, Time{}));
}

// rfc7413 4.2: PendingFastOpenRequests
// rfc7413 4.2b
TEST(FastOpenServer, limit_reached__downgraded_until_one_has_ended_its_handshake) {
  Server s{1};
  const std::string cookie = s.cookie();
  s.t.peer.syn().mss(1460).cookie(cookie).data("first");
  s.t.peer.expect().syn_ack().ack(6);
  auto second = s.t.another_peer(41000);
  second->syn().mss(1460).cookie(cookie).data("second");
  EXPECT_FALSE(second->expect().syn_ack().ack(1).packet().cookie);
  EXPECT_EQ(s.t.stats().fast_open_limited, 1u);
  s.t.peer.ack();
  auto third = s.t.another_peer(41001);
  third->syn().mss(1460).cookie(cookie).data("third");
  third->expect().syn_ack().ack(6);
}

// rfc7413 5.1: connections that were reset count on
TEST(FastOpenServer, reset_before_the_handshake_ends__told_and_counted_against_the_limit_for_a_while) {
  Server s{1};
  const std::string cookie = s.cookie();
  s.t.peer.syn().mss(1460).cookie(cookie).data("first");
  s.t.peer.expect().syn_ack();
  s.t.peer.rst();
  EXPECT_EQ(s.t.app.reason(), CloseReason::reset_by_peer) << "rfc9293 3.10.7.4: back to LISTEN";
  auto second = s.t.another_peer(41000);
  second->syn().mss(1460).cookie(cookie).data("second");
  second->expect().syn_ack().ack(1);
  s.t.advance(tcp::fast_open_reset_memory);
  drain(*second);
  auto third = s.t.another_peer(41001);
  third->syn().mss(1460).cookie(cookie).data("third");
  third->expect().syn_ack().ack(6);
}

// rfc7413 4.2.2: SYN-ACK again, with neither data nor option
// rfc7413 4.2.2b
TEST(FastOpenServer, silence__plain_syn_ack_again_and_then_the_end) {
  Server s;
  const std::string cookie = s.cookie();
  s.t.app.data = [](Conn& c, const RxView& in) {
    c.send("response");
    return in.size();
  };
  s.t.peer.syn().mss(1460).cookie(cookie).data("request");
  s.t.peer.expect().syn_ack();
  s.t.peer.expect().data("response");
  const Duration begin = s.t.elapsed();
  s.t.advance(6900ms);
  for (const Duration at : {1s, 3s}) {
    const auto again = s.t.peer.expect().syn_ack().seq(0).ack(8).data("").at(begin + at);
    EXPECT_FALSE(again.packet().cookie);
  }
  EXPECT_FALSE(s.t.app.reason());
  s.t.expect_nothing_until(1min);
  EXPECT_EQ(s.t.app.reason(), CloseReason::timed_out);
  EXPECT_EQ(s.t.stats().half_open_expired, 1u);
}

TEST(FastOpenServer, response_was_lost__comes_again_after_the_handshake) {
  Server s;
  const std::string cookie = s.cookie();
  s.t.app.data = [](Conn& c, const RxView& in) {
    c.send("response");
    return in.size();
  };
  s.t.peer.syn().mss(1460).cookie(cookie).data("request");
  s.t.peer.expect().syn_ack();
  s.t.peer.expect().data("response");
  s.t.peer.ack().ack(1);
  EXPECT_EQ(s.t.state(), State::established);
  EXPECT_LE(s.t.advance_to_frame(3s), 1s);
  s.t.peer.expect().flags(ACK).seq(1).data("response");
  s.t.peer.ack();
  EXPECT_EQ(s.t.conn().unacked(), 0u);
}

// rfc7413 4.2.2: the client's timer fired: its SYN comes again without data
TEST(FastOpenServer, syn_again__answered_as_before_and_the_data_delivered_once) {
  Server s;
  const std::string cookie = s.cookie();
  s.t.peer.syn().mss(1460).cookie(cookie).data("request").ts(100, 0);
  EXPECT_EQ(s.t.peer.expect().syn_ack().ack(8).packet().ts->second, 100u);
  s.t.advance(500ms);
  s.t.peer.syn().seq(0).mss(1460).ts(600, 0);
  const Packet again = s.t.peer.expect().syn_ack().seq(0).ack(8).packet();
  EXPECT_FALSE(again.cookie);
  EXPECT_EQ(again.ts->second, 600u);
  EXPECT_EQ(s.t.app.received(), "request");
  EXPECT_EQ(s.t.app.count("accept"), 1);
  s.t.peer.ack().ts(601, 1);
  EXPECT_EQ(s.t.state(), State::established);
}

// Never under pressure: what fills the table must not fill the application.
TEST(FastOpenServer, syn_cookies_are_out__no_fast_open) {
  CoreConfig config = small_config();
  config.limits.half_open = 2;
  Server s{16, config};
  const std::string cookie = s.cookie();
  std::vector<std::unique_ptr<Peer>> flood;
  for (int i = 0; i < 4; ++i) {
    flood.push_back(s.t.another_peer(static_cast<Port>(42000 + i)));
    flood.back()->syn().mss(1460);
    flood.back()->expect().syn_ack();
  }
  ASSERT_GT(s.t.stats().syn_cookies_sent, 0u);
  s.t.peer.syn().mss(1460).cookie(cookie).data("request");
  EXPECT_FALSE(s.t.peer.expect().syn_ack().ack(1).packet().cookie);
  EXPECT_TRUE(s.t.app.events.empty());
}

TEST(FastOpenServer, no_connection_left__ordinary_handshake) {
  CoreConfig config = small_config();
  config.limits.connections = 1;
  Server s{16, config};
  const std::string cookie = s.cookie();
  s.t.peer.open();
  auto second = s.t.another_peer(41000);
  second->syn().mss(1460).cookie(cookie).data("request");
  second->expect().syn_ack().ack(1);
}

TEST(FastOpenServer, listener_paused__waits_and_is_shown_with_its_data) {
  Server s;
  const std::string cookie = s.cookie();
  s.t.core().pause(s.listener);
  s.t.peer.syn().mss(1460).cookie(cookie).data("request");
  s.t.peer.expect().syn_ack().ack(8);
  EXPECT_TRUE(s.t.app.events.empty());
  s.t.core().resume(s.listener);
  s.t.poll();
  EXPECT_EQ(s.t.app.events, (Events{"accept", "data:7"}));
  s.t.peer.ack();
  EXPECT_EQ(s.t.state(), State::established);
}

TEST(FastOpenServer, listener_closed_meanwhile__the_connection_goes_on_and_its_place_is_not_used_again) {
  CoreConfig config = small_config();
  config.limits.listeners = 1;
  Server s{16, config};
  const std::string cookie = s.cookie();
  s.t.peer.syn().mss(1460).cookie(cookie).data("request");
  s.t.peer.expect().syn_ack();
  s.t.core().close(s.listener);
  EXPECT_FALSE(s.t.core().listen_with({any, 81}, s.t.handler));
  s.t.peer.ack();
  EXPECT_EQ(s.t.state(), State::established);
  EXPECT_TRUE(s.t.core().listen_with({any, 81}, s.t.handler));
}

TEST(FastOpenServer, abort_before_the_handshake_ends__rst) {
  Server s;
  const std::string cookie = s.cookie();
  s.t.app.data = [](Conn& c, const RxView& in) {
    c.abort();
    return in.size();
  };
  s.t.peer.syn().mss(1460).cookie(cookie).data("request");
  s.t.peer.expect().syn_ack();
  s.t.peer.expect().rst_ack().seq(1).ack(8);
  EXPECT_EQ(s.t.app.reason(), CloseReason::aborted);
}

TEST(FastOpenServer, ack_of_something_else__reset_at_that_ack_and_stays) {
  Server s;
  const std::string cookie = s.cookie();
  s.t.peer.syn().mss(1460).cookie(cookie).data("request");
  s.t.peer.expect().syn_ack();
  for (const std::uint32_t wrong : {0u, 2u, 5000u}) {
    s.t.peer.ack().ack(wrong);
    s.t.peer.expect().rst().seq(wrong);
  }
  s.t.peer.ack();
  EXPECT_EQ(s.t.state(), State::established);
}

// --- client
// -------------------------------------------------------------------------------------------------------

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

// --- between two stacks
// -------------------------------------------------------------------------------------------

struct Exchange {
  struct Answering {
    std::size_t on_data(Conn& c, const RxView& in) {
      c.send(in.text());
      return in.size();
    }
    void on_peer_fin(Conn& c) { c.close(); }
  };
  struct Asking {
    std::string* received;
    std::vector<Time>* answered;
    std::size_t on_data(Conn& c, const RxView& in) {
      *received += in.text();
      answered->push_back(c.core().now());
      return in.size();
    }
    void on_connect(Conn& c) { c.shutdown_write(); }
  };
  explicit Exchange(std::uint64_t seed, LinkRules rules = {}) : pair(seed, std::move(rules)) {
    EXPECT_TRUE(pair.core(1).listen({any, 80}, Answering{}, {.fast_open = 64}));
    asking = *pair.core(0).add_handler(Asking{&received, &answered});
  }
  void ask(const std::string& data) {
    EXPECT_TRUE(pair.core(0).connect(
        {Pair::address(1), 80}, asking,
        {.fast_open = true, .data = std::as_bytes(std::span{data.data(), data.size()})}));
  }
  Pair pair;
  HandlerRef asking;
  std::string received;
  std::vector<Time> answered;
};

// The purpose of it all: the answer after one round trip instead of two.
TEST(FastOpen, between_two_stacks__the_answer_takes_one_round_trip) {
  LinkRules rules;
  rules.delay = 10ms;
  Exchange x{3, rules};
  x.ask("first");
  EXPECT_TRUE(x.pair.run_idle(1min));
  const Time begin = x.pair.now();
  x.ask("second");
  EXPECT_TRUE(x.pair.run_idle(1min));
  EXPECT_EQ(x.received, "firstsecond");
  ASSERT_EQ(x.answered.size(), 2u);
  EXPECT_EQ(x.answered[1] - begin, 20ms);
  EXPECT_EQ(x.pair.core(1).stats().fast_open_accepted, 1u);
  EXPECT_EQ(x.pair.core(0).stats().fast_open_taken, 1u);
}

// Whatever is lost, doubled or overtaken: every answer is exact, and comes once.
TEST(FastOpen, between_two_stacks_with_loss__every_exchange_is_exact) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    LinkRules rules;
    rules.delay = 5ms;
    rules.jitter = 5ms;
    rules.loss = 0.1;
    rules.duplicate = 0.1;
    Exchange x{seed, rules};
    std::string wanted;
    for (int i = 0; i < 30; ++i) {
      const std::string data(1 + x.pair.rng().below(4000), static_cast<char>('a' + i % 26));
      wanted += data;
      x.ask(data);
      EXPECT_TRUE(x.pair.run_idle(10min));
    }
    EXPECT_EQ(x.received, wanted) << seed;
    if (testing::Test::HasFailure()) return;
  }
}

}  // namespace
}  // namespace handfast::test
