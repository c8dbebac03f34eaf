// SPDX-License-Identifier: BSD-3-Clause
// Listeners: half-open and waiting connections counted apart, paused ones, cookies beyond the limit (RFC
// 4987). Layer: tests of the protocol, through frames alone.
#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "support/peer.hpp"
#include "support/usage.hpp"

namespace handfast::test {
namespace {

using Peers = std::vector<std::unique_ptr<Peer>>;

Peers make_peers(Trace& t, int n) {
  Peers peers;
  for (int i = 0; i < n; ++i) peers.push_back(t.another_peer(static_cast<Port>(41000 + i)));
  return peers;
}

CoreConfig without_cookies() {
  CoreConfig config = small_config();
  config.tcp.syn_cookies = false;
  return config;
}

TEST(Backlog, paused__connections_are_established_and_wait__resume_delivers_in_order_with_data) {
  Trace t;
  const auto l = t.listen(80, {.backlog = 8, .paused = true});
  Peers peers = make_peers(t, 3);
  for (auto& p : peers) p->open();
  EXPECT_TRUE(t.app.events.empty());
  EXPECT_EQ(t.stats().established, 3u);
  EXPECT_EQ(t.stats().accepted, 0u);
  peers[1]->ack().data("one");
  peers[0]->ack().data("zero");
  peers[2]->ack().data("two").fin();
  t.advance(100ms);
  for (auto& p : peers)
    EXPECT_EQ(p->expect().pure_ack().packet().ack, p->iss + p->snd_nxt) << "it lives without the application";
  t.core().resume(l);
  t.poll();
  ASSERT_EQ(t.app.opened.size(), 3u);
  std::vector<std::string> got;
  for (const ConnId id : t.app.opened) got.push_back(t.app.records[id].received);
  EXPECT_EQ(got, (std::vector<std::string>{"zero", "one", "two"}))
      << "the order of the handshakes, not of the data";
  EXPECT_TRUE(t.app.record().fin);
  EXPECT_EQ(t.stats().accepted, 3u);
}

TEST(Backlog, paused__full_of_waiting__final_ack_is_dropped_and_completes_later) {
  Trace t{without_cookies()};
  const auto l = t.listen(80, {.backlog = 2, .paused = true});
  Peers peers = make_peers(t, 3);
  for (auto& p : peers) {  // all three SYNs come while nobody waits yet: counted apart
    if (p == peers[2]) continue;
    p->syn().mss(1460);
    p->expect().syn_ack();
  }
  peers[0]->ack();
  peers[2]->syn().mss(1460);
  peers[2]->expect().syn_ack();
  peers[1]->ack();
  peers[2]->ack().data("patience");  // both places are taken
  EXPECT_EQ(t.drops(Drop::tcp_accept_queue_full), 1u);
  EXPECT_EQ(t.stats().established, 2u);
  t.core().resume(l);
  t.poll();
  EXPECT_EQ(t.app.count("accept"), 2);
  t.advance(1s);
  peers[2]->expect().syn_ack();
  peers[2]->ack().seq(1).data("patience");
  EXPECT_EQ(t.app.count("accept"), 3);
  EXPECT_EQ(t.app.received(), "patience");
}

TEST(Backlog, waiting_full__further_syns_are_dropped_and_answered_when_there_is_room) {
  Trace t{without_cookies()};
  const auto l = t.listen(80, {.backlog = 1, .paused = true});
  Peers peers = make_peers(t, 2);
  peers[0]->open();
  peers[1]->syn().mss(1460);
  EXPECT_TRUE(peers[1]->quiet());
  EXPECT_EQ(t.drops(Drop::tcp_backlog_full), 1u);
  t.core().resume(l);
  t.poll();
  peers[1]->snd_nxt = 0;
  peers[1]->open();
  EXPECT_EQ(t.app.count("accept"), 2);
}

// rfc4987 3.2
TEST(Backlog, half_open_limit__is_the_backlog_and_apart_from_the_waiting) {
  Trace t{without_cookies()};
  t.listen(80, {.backlog = 2, .paused = true});
  Peers peers = make_peers(t, 4);
  peers[0]->open();  // waits: one of two waiting, none half open
  for (int i = 1; i <= 2; ++i) {
    peers[i]->syn().mss(1460);
    peers[i]->expect().syn_ack();
  }
  peers[3]->syn().mss(1460);
  EXPECT_TRUE(peers[3]->quiet());
  EXPECT_EQ(t.drops(Drop::tcp_half_open_full), 1u);
  EXPECT_EQ(t.stats().half_open, 2u);
}

TEST(Backlog, somaxconn__bounds_the_backlog) {
  CoreConfig config = without_cookies();
  config.limits.somaxconn = 1;
  Trace t{config};
  t.listen(80, {.backlog = 100});
  Peers peers = make_peers(t, 2);
  peers[0]->syn().mss(1460);
  peers[0]->expect().syn_ack();
  peers[1]->syn().mss(1460);
  EXPECT_TRUE(peers[1]->quiet());
}

TEST(Backlog, half_open_limit__two_listeners__each_has_its_own) {
  Trace t{without_cookies()};
  t.listen(80, {.backlog = 1});
  t.listen(81, {.backlog = 1});
  Peers peers = make_peers(t, 2);
  peers[0]->syn().mss(1460);
  peers[0]->expect().syn_ack();
  peers[1]->stack.port = 81;
  peers[1]->syn().mss(1460);
  peers[1]->expect().syn_ack();
}

TEST(Backlog, waiting__reset_by_peer__the_application_never_knows_and_the_place_is_free_after_resume) {
  Trace t{without_cookies()};
  const auto l = t.listen(80, {.backlog = 2, .paused = true});
  Peers peers = make_peers(t, 3);
  peers[0]->open();
  peers[1]->open();
  peers[0]->rst();
  t.core().resume(l);
  t.poll();
  EXPECT_EQ(t.app.events, std::vector<std::string>{"accept"});
  peers[2]->open();
  EXPECT_EQ(t.app.count("accept"), 2);
}

TEST(Backlog, close_of_a_listener__half_open_and_waiting_are_reset_and_accepted_ones_stay) {
  Trace t;
  const auto l = t.listen(80, {.backlog = 8});
  Peers peers = make_peers(t, 4);
  peers[0]->open();
  t.core().pause(l);
  peers[1]->open();
  peers[2]->open();
  peers[3]->syn().mss(1460);
  peers[3]->expect().syn_ack();
  t.core().close(l);
  t.poll();
  for (int i = 1; i <= 3; ++i) peers[i]->expect().rst_ack().ack(1);
  EXPECT_TRUE(peers[0]->quiet());
  EXPECT_EQ(t.app.events, std::vector<std::string>{"accept"});
  EXPECT_EQ(t.state(), State::established);
  EXPECT_EQ(usage_of(t.core()).connections, 1u);
  auto late = t.another_peer(45000);
  late->syn().mss(1460);
  late->expect().rst_ack();
  EXPECT_TRUE(t.core().listen_with({any, 80}, t.handler)) << "the port is free again";
}

// It stands behind those that were told of the end of the pause, and nothing comes from its peer, who waits for our greeting.
TEST(Backlog, established_in_the_round_of_the_resume__is_accepted_in_it_too) {
  Trace t;
  const auto l = t.listen(80, {.backlog = 8, .paused = true});
  auto late = t.another_peer(41001);
  t.peer.open();
  late->syn().mss(1460);
  late->expect().syn_ack();
  EXPECT_EQ(t.app.count("accept"), 0);
  t.core().resume(l);
  late->ack();
  EXPECT_EQ(t.app.count("accept"), 2);
  t.core().abort_all();
  t.advance(10ms);
  t.peer.expect().rst_ack();
  late->expect().rst_ack();
}

TEST(Backlog, close_of_a_listener_in_its_own_callback__is_safe) {
  Trace t;
  const auto l = t.listen(80, {.backlog = 8, .paused = true});
  Peers peers = make_peers(t, 3);
  for (auto& p : peers) p->open();
  t.app.accepted = [&](Conn& c) { c.core().close(l); };
  t.core().resume(l);
  t.poll();
  t.advance(10ms);
  EXPECT_EQ(t.app.count("accept"), 1) << "the others wait no longer";
  EXPECT_TRUE(peers[0]->quiet());
  peers[1]->expect().rst_ack();
  peers[2]->expect().rst_ack();
}

TEST(Backlog, waiting_connection_times_out__while_paused__is_gone_after_resume) {
  CoreConfig config = without_cookies();
  config.tcp.keepalive = true;
  config.tcp.keepalive_idle = 1s;
  config.tcp.keepalive_interval = 1s;
  config.tcp.keepalive_probes = 2;
  Trace t{config};
  const auto l = t.listen(80, {.backlog = 2, .paused = true});
  t.peer.open();
  t.advance(10s);
  while (t.peer.poll()) {
  }
  EXPECT_EQ(t.stats().closed[static_cast<std::size_t>(CloseReason::keepalive_timed_out)], 1u);
  t.core().resume(l);
  t.poll();
  EXPECT_TRUE(t.app.events.empty());
  EXPECT_EQ(usage_of(t.core()).connections, 0u);
}

// --- beyond the limit: cookies
// -------------------------------------------------------------------------------

// rfc4987 3.6
TEST(Cookie, half_open_full__stateless_answer__opens_with_its_options) {
  Trace t;
  t.listen(80, {.backlog = 1});
  Peers peers = make_peers(t, 2);
  peers[0]->syn().mss(1460);
  peers[0]->expect().syn_ack();
  Peer& p = *peers[1];
  {
    Send s = p.syn();
    p.offer(s, modern);
  }
  p.expect().syn_ack().ack(1);
  EXPECT_EQ(t.stats().half_open, 1u);
  EXPECT_EQ(t.stats().syn_cookies_sent, 1u);
  EXPECT_EQ(usage_of(t.core()).connections, 0u);
  p.ts_on = true;
  p.ack().data("hello");
  EXPECT_EQ(t.app.received(), "hello");
  EXPECT_EQ(t.stats().syn_cookies_accepted, 1u);
  const ConnStats s = t.conn().stats();
  EXPECT_TRUE(s.timestamps && s.sack && s.window_scale);
  EXPECT_EQ(s.mss, 1460u - 12);
  EXPECT_EQ(s.send_window, 65535u << 7);
}

TEST(Cookie, peer_without_timestamps__opens_without_options_and_mss_is_a_lower_class) {
  Trace t;
  t.listen(80, {.backlog = 1});
  Peers peers = make_peers(t, 2);
  peers[0]->syn().mss(1460);
  peers[0]->expect().syn_ack();
  peers[1]->syn().mss(1400).wscale(7).sack_ok();
  const Packet answer = peers[1]->expect().syn_ack().packet();
  EXPECT_FALSE(answer.wscale || answer.sack_permitted) << "what cannot be remembered must not be granted";
  peers[1]->ack();
  const ConnStats s = t.conn().stats();
  EXPECT_FALSE(s.timestamps || s.sack || s.window_scale);
  EXPECT_LE(s.mss, 1400u);
  EXPECT_GE(s.mss, 536u);
}

TEST(Cookie, data_after_it__timestamps_never_go_back) {
  Trace t;
  t.listen(80, {.backlog = 1});
  Peers peers = make_peers(t, 2);
  peers[0]->syn().mss(1460);
  peers[0]->expect().syn_ack();
  Peer& p = *peers[1];
  {
    Send s = p.syn();
    p.offer(s, modern);
  }
  const std::uint32_t first = p.expect().packet().ts->first;
  p.ts_on = true;
  t.app.accepted = [](Conn& c) { c.send("x"); };
  p.ack();
  const auto reply = p.expect().flags(ACK).data("x");
  EXPECT_GE(static_cast<std::int32_t>(reply.packet().ts->first - first), 0)
      << "the peer's PAWS would drop it";
}

TEST(Cookie, older_than_two_slots__is_reset) {
  Trace t;
  t.listen(80, {.backlog = 1});
  Peers peers = make_peers(t, 2);
  peers[0]->syn().mss(1460);
  peers[0]->expect().syn_ack();
  peers[1]->syn().mss(1460);
  peers[1]->expect().syn_ack();
  t.advance(130s);
  while (peers[0]->poll()) {
  }
  peers[1]->ack();
  peers[1]->expect().rst().seq(1);
  EXPECT_TRUE(t.app.events.empty());
}

TEST(Cookie, with_rst_or_syn_flag__is_not_accepted) {
  Trace t;
  t.listen(80, {.backlog = 1});
  Peers peers = make_peers(t, 2);
  peers[0]->syn().mss(1460);
  peers[0]->expect().syn_ack();
  peers[1]->syn().mss(1460);
  peers[1]->expect().syn_ack();
  peers[1]->segment(RST | ACK).seq(1);
  EXPECT_TRUE(peers[1]->quiet());
  peers[1]->segment(SYN | ACK).seq(1);
  peers[1]->expect().rst();
  EXPECT_TRUE(t.app.events.empty());
  peers[1]->ack();
  EXPECT_EQ(t.app.count("accept"), 1) << "the cookie itself is good";
}

TEST(Cookie, accept_queue_full__final_ack_is_dropped_and_data_opens_later) {
  Trace t;
  const auto l = t.listen(80, {.backlog = 1, .paused = true});
  Peers peers = make_peers(t, 3);
  peers[0]->syn().mss(1460);
  peers[0]->expect().syn_ack();
  peers[1]->syn().mss(1460);
  peers[1]->expect().syn_ack();
  peers[0]->ack();
  peers[1]->ack();
  EXPECT_EQ(t.drops(Drop::tcp_accept_queue_full), 1u);
  t.core().resume(l);
  t.poll();
  peers[1]->ack().data("still here");
  EXPECT_EQ(t.app.received(), "still here");
}

}  // namespace
}  // namespace handfast::test
