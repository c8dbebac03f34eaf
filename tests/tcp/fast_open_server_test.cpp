// SPDX-License-Identifier: BSD-3-Clause
// TCP Fast Open at the server, RFC 7413: cookies, data of the SYN, the limit, and what goes wrong on the way.
// Layer: tests of the protocol, through frames alone.
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "support/peer.hpp"
#include "tcp/fast_open.hpp"

namespace handfast::test {
namespace {

using Events = std::vector<std::string>;

int drain(Peer& p) {
  int n = 0;
  while (p.poll()) ++n;
  return n;
}

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

}  // namespace
}  // namespace handfast::test
