// SPDX-License-Identifier: BSD-3-Clause
// Who is a neighbour and who only says so: RFC 826, RFC 1122 section 2.3.2, RFC 5227 (sec A18).
// Layer: tests of the shard, through frames; the cache's bound also by itself.
#include <gtest/gtest.h>

#include "frames.hpp"
#include "shard/neighbours.hpp"
#include "support/peer.hpp"

namespace handfast::test {
namespace {

using wire::ArpOperation;

constexpr Ipv4Address us = Trace::stack_address, friend_address{10, 0, 0, 9}, stranger{10, 0, 0, 66};
constexpr MacAddress friend_mac{{2, 0, 0, 0, 0, 9}}, other_mac{{2, 0, 0, 0, 0, 0x66}};

/// A Trace that answers no ARP of itself.
struct Quiet : Trace {
  explicit Quiet(CoreConfig config = small_config()) : Trace(std::move(config)) { answer_arp = false; }
  ~Quiet() { other_frames.clear(); }
  /// The next ARP packet that was sent.
  std::optional<ArpSeen> arp() {
    for (std::size_t i = 0; i < other_frames.size(); ++i)
      if (auto seen = as_arp(other_frames[i])) {
        other_frames.erase(other_frames.begin() + static_cast<std::ptrdiff_t>(i));
        return seen;
      }
    return std::nullopt;
  }
  void expect_question(Ipv4Address target, MacAddress to = broadcast_mac) {
    const auto seen = arp();
    ASSERT_TRUE(seen) << "no question for " << target.to_string();
    EXPECT_EQ(seen->packet.operation, ArpOperation::request);
    EXPECT_EQ(seen->packet.target_address, target);
    EXPECT_EQ(seen->packet.sender_address, us);
    EXPECT_EQ(seen->packet.sender_mac, stack_mac);
    EXPECT_EQ(seen->destination, to);
  }
  ConnId connect_to(const Peer& p) {
    const auto id = core().connect(p.self, handler, {.local = p.stack});
    EXPECT_TRUE(id);
    poll();
    return *id;
  }
};

TEST(Arp, request_for_each_of_our_addresses__is_answered_to_the_asker) {
  CoreConfig config = small_config();
  config.link.address_count = 3;
  Quiet t{config};
  for (std::uint32_t i = 0; i < 3; ++i) {
    const Ipv4Address asked{us.value + i};
    t.inject(arp_request(friend_mac, friend_address, asked));
    const auto reply = t.arp();
    ASSERT_TRUE(reply);
    EXPECT_EQ(reply->packet.operation, ArpOperation::reply);
    EXPECT_EQ(reply->packet.sender_mac, Trace::stack_mac);
    EXPECT_EQ(reply->packet.sender_address, asked);
    EXPECT_EQ(reply->packet.target_mac, friend_mac);
    EXPECT_EQ(reply->packet.target_address, friend_address);
    EXPECT_EQ(reply->destination, friend_mac);
  }
  t.inject(arp_request(friend_mac, friend_address, Ipv4Address{us.value + 3}));
  EXPECT_FALSE(t.arp()) << "that address is not ours";
}

TEST(Arp, probe_for_our_address__is_answered_and_teaches_nothing) {
  Quiet t;
  t.inject(arp_request(friend_mac, any, us));
  const auto reply = t.arp();
  ASSERT_TRUE(reply) << "RFC 5227 section 2.1.1: a probe is defended against by the reply";
  EXPECT_EQ(reply->packet.sender_address, us);
}

TEST(Arp, request_to_us__its_sender_is_known_from_then_on) {
  Quiet t;
  t.inject(arp_request(friend_mac, friend_address, us));
  ASSERT_TRUE(t.arp());
  auto p = t.another_peer(81, friend_address);
  t.connect_to(*p);
  EXPECT_EQ(p->expect().syn().packet().destination_mac, friend_mac);
  EXPECT_FALSE(t.arp());
}

TEST(Arp, sec_A18__unsolicited_reply_or_a_request_between_others__teaches_nothing) {
  Quiet t;
  t.inject(arp_reply(other_mac, friend_address, us));
  EXPECT_EQ(t.drops(Drop::arp_not_for_us), 1u);
  t.inject(arp_reply(other_mac, friend_address, stranger));
  t.inject(arp_request(other_mac, friend_address, stranger));
  t.inject(arp_request(other_mac, friend_address, friend_address));  // gratuitous
  EXPECT_TRUE(t.quiet());
  auto p = t.another_peer(81, friend_address);
  t.connect_to(*p);
  t.expect_question(friend_address);
  EXPECT_TRUE(p->quiet());
}

// rfc1122 2.3.2.2
TEST(Arp, reply_to_a_question__held_frames_leave_in_their_order) {
  Quiet t;
  std::vector<std::unique_ptr<Peer>> peers;
  std::vector<Port> order;
  for (Port port = 81; port < 91; ++port) peers.push_back(t.another_peer(port, friend_address));
  auto elsewhere = t.another_peer(81, stranger);
  for (auto& p : peers) t.connect_to(*p);
  t.connect_to(*elsewhere);
  t.expect_question(friend_address);
  t.expect_question(stranger);
  EXPECT_FALSE(t.arp()) << "one question for many frames";
  EXPECT_EQ(t.stack().buffers_in_use(), 11u);
  // To a peer that takes everything of this address, in the order of the wire.
  peers.clear();
  t.inject(arp_reply(friend_mac, friend_address, us));
  for (const Bytes& frame : t.other_frames) {
    std::string why;
    const auto packet = parse_strictly(frame, why);
    ASSERT_TRUE(packet) << why;
    EXPECT_EQ(packet->destination.address, friend_address);
    EXPECT_EQ(packet->destination_mac, friend_mac);
    order.push_back(packet->destination.port);
  }
  EXPECT_EQ(order, (std::vector<Port>{81, 82, 83, 84, 85, 86, 87, 88, 89, 90}));
  EXPECT_EQ(t.stack().buffers_in_use(), 1u) << "the one for somebody else still waits";
  EXPECT_TRUE(elsewhere->quiet());
}

TEST(Arp, no_answer__asked_once_a_second_then_everything_held_is_dropped_and_the_connect_fails) {
  Quiet t;
  auto p = t.another_peer(81, friend_address);
  t.connect_to(*p);
  for (int second = 0; second < 3; ++second) {
    t.expect_question(friend_address);
    EXPECT_FALSE(t.arp());
    t.advance(999ms);
    EXPECT_FALSE(t.arp());
    EXPECT_EQ(t.app.count("closed:unreachable"), 0);
    t.advance(1ms);
  }
  EXPECT_FALSE(t.arp());
  EXPECT_EQ(t.stack().buffers_in_use(), 0u);
  EXPECT_GE(t.drops(Drop::neighbour_unreachable), 1u);
  EXPECT_EQ(t.app.count("closed:unreachable"), 1);
  EXPECT_TRUE(p->quiet());
  // It is asked for again when it is wanted again, a while later.
  t.advance(2s);
  t.connect_to(*p);
  t.expect_question(friend_address);
  t.inject(arp_reply(friend_mac, friend_address, us));
  p->expect().syn();
}

TEST(Arp, neighbour_lost_while_established__the_connection_stays_and_goes_on_when_it_is_back) {
  CoreConfig config = small_config();
  config.link.neighbour_lifetime = 2s;
  Quiet t{config};
  t.listen();
  t.inject(arp_request(Trace::peer_mac, Trace::peer_address, us));
  t.arp();
  t.peer.open();
  t.advance(20s);
  t.with([](Conn& c) { c.send("hello"); });
  t.advance(10s);
  while (t.peer.poll()) {  // to where it was, while it is asked for there
  }
  t.advance(30s);
  EXPECT_TRUE(t.peer.quiet());
  EXPECT_EQ(t.state(), State::established);
  EXPECT_EQ(t.stack().buffers_in_use(), 0u);
  while (t.arp()) {
  }
  t.answer_arp = true;
  t.advance(60s);
  EXPECT_TRUE(t.peer.expect().packet().payload.starts_with("hello"));
  while (t.peer.poll()) {
  }
}

TEST(Arp, held_data_and_newer_data_in_the_round_of_the_answer__keep_their_order) {
  CoreConfig config = small_config();
  config.link.neighbour_lifetime = 2s;
  config.link.neighbour_attempts = 1;
  Quiet t{config};
  t.listen();
  t.inject(arp_request(Trace::peer_mac, Trace::peer_address, us));
  t.arp();
  t.peer.open();
  t.with([](Conn& c) { c.set_nodelay(true); });
  t.advance(2s);
  t.with([](Conn& c) { c.send("0"); });  // the one direct question
  t.peer.expect().data("0");
  t.peer.ack();
  t.advance(2s);
  t.with([](Conn& c) { c.send("1"); });
  t.with([](Conn& c) { c.send("2"); });
  EXPECT_TRUE(t.peer.quiet());
  t.inject(arp_reply(Trace::peer_mac, Trace::peer_address, us), false);
  t.with([](Conn& c) { c.send("3"); });
  t.peer.expect().data("1");
  t.peer.expect().data("2");
  t.peer.expect().data("3");
}

TEST(Arp, held_frames_at_their_limit__further_ones_are_dropped_and_counted) {
  CoreConfig config = small_config();
  config.limits.held_frames = 4;
  Quiet t{config};
  auto p = t.another_peer(81, friend_address);
  for (Port local = 5000; local < 5006; ++local)
    ASSERT_TRUE(t.core().connect(p->self, t.handler, {.local = {us, local}}));
  t.poll();
  EXPECT_EQ(t.stack().buffers_in_use(), 4u + 0u);
  EXPECT_EQ(t.drops(Drop::neighbour_queue_full), 2u);
}

TEST(Arp, off_link_destination__goes_to_the_gateway_and_nobody_else_is_asked) {
  CoreConfig config = small_config();
  config.link.gateway = Ipv4Address{10, 0, 0, 254};
  Quiet t{config};
  auto far = t.another_peer(81, Ipv4Address{192, 0, 2, 7});
  auto further = t.another_peer(81, Ipv4Address{198, 51, 100, 7});
  auto near = t.another_peer(81, friend_address);
  t.connect_to(*far);
  t.connect_to(*further);
  t.expect_question(*config.link.gateway);
  EXPECT_FALSE(t.arp());
  t.inject(arp_reply(other_mac, *config.link.gateway, us));
  EXPECT_EQ(far->expect().syn().packet().destination_mac, other_mac);
  EXPECT_EQ(further->expect().syn().packet().destination_mac, other_mac);
  t.connect_to(*near);
  t.expect_question(friend_address);
}

TEST(Arp, sec_A18__another_answer_within_the_lock_time__is_ignored_and_counted) {
  Quiet t;
  t.inject(arp_request(friend_mac, friend_address, us));
  auto p = t.another_peer(81, friend_address);
  t.advance(29'999ms);
  t.inject(arp_reply(other_mac, friend_address, us));
  t.inject(arp_request(other_mac, friend_address, stranger));
  t.inject(arp_request(other_mac, friend_address, us));
  EXPECT_EQ(t.drops(Drop::arp_locked), 3u);
  t.connect_to(*p);
  EXPECT_EQ(p->expect().packet().destination_mac, friend_mac);
  t.advance(1ms);
  t.inject(arp_request(other_mac, friend_address, us));  // a card was replaced, half a minute later
  EXPECT_EQ(t.drops(Drop::arp_locked), 3u);
  t.advance(1s);
  EXPECT_EQ(p->expect().syn().packet().destination_mac, other_mac) << "also what was looked up before";
}

TEST(Arp, another_answer_in_a_burst__whatever_is_written_from_then_on_goes_there) {
  Quiet t;
  t.listen();
  t.inject(arp_request(friend_mac, friend_address, us));
  auto p = t.another_peer(81, friend_address), q = t.another_peer(82, friend_address), r = t.another_peer(83, friend_address);
  t.advance(31s);
  p->syn().mss(1460);
  EXPECT_EQ(p->expect().syn_ack().packet().destination_mac, friend_mac);
  q->syn().mss(1460).no_poll();
  t.inject(arp_request(other_mac, friend_address, us), false);
  r->syn().mss(1460);
  EXPECT_EQ(q->expect().syn_ack().packet().destination_mac, other_mac) << "a burst is parsed before it is answered";
  EXPECT_EQ(r->expect().syn_ack().packet().destination_mac, other_mac);
}

TEST(Arp, aged_entry__used_on_while_it_is_asked_for_directly__answer_renews_it) {
  Quiet t;
  t.listen();
  t.inject(arp_request(Trace::peer_mac, Trace::peer_address, us));
  t.arp();
  t.peer.open();
  t.advance(59s);
  t.with([](Conn& c) { c.send("a"); });
  t.peer.expect().data("a");
  t.peer.ack();
  EXPECT_FALSE(t.arp());
  t.advance(1s);
  t.with([](Conn& c) { c.send("b"); });
  t.peer.expect().data("b");
  t.peer.ack();
  t.expect_question(Trace::peer_address, Trace::peer_mac);
  t.with([](Conn& c) { c.send("c"); });
  t.peer.expect().data("c");
  t.peer.ack();
  EXPECT_FALSE(t.arp()) << "at most one a second";
  t.inject(arp_reply(Trace::peer_mac, Trace::peer_address, us));
  t.advance(50s);
  t.with([](Conn& c) { c.send("d"); });
  t.peer.expect().data("d");
  t.peer.ack();
  EXPECT_FALSE(t.arp()) << "confirmed";
}

// rfc1122 2.3.2.1
// rfc1122 2.3.2.1: no more than one question a second to one destination, however many segments leave for it.
TEST(Arp, long_idle_entry__burst_of_segments__is_asked_once_and_all_leave_at_once) {
  LinkConfig link;
  link.address = {us, 24};
  shard::Neighbours cache{link, 16};
  const wire::ArpPacket request{ArpOperation::request, friend_mac, friend_address, {}, us};
  Time now{1h};
  ASSERT_EQ(cache.learn(request, true, now), Drop::none);
  using Lookup = shard::Neighbours::Lookup;
  now += link.neighbour_lifetime + 1h;
  for (int second = 0; second < link.neighbour_attempts; ++second) {
    for (int i = 0; i < 100; ++i) {
      const auto found = cache.find(friend_address, now);
      ASSERT_EQ(found.what, Lookup::known) << "segment " << i << " of second " << second;
      EXPECT_EQ(found.mac, friend_mac);
      EXPECT_EQ(found.refresh, i == 0) << "segment " << i << " of second " << second;
    }
    now += link.neighbour_retry;
  }
  EXPECT_EQ(cache.find(friend_address, now).what, Lookup::ask_and_wait) << "no answer to any question: given up";
}

TEST(Arp, aged_entry__nobody_answers__is_given_up_and_asked_for_by_broadcast) {
  Quiet t;
  t.listen();
  t.inject(arp_request(Trace::peer_mac, Trace::peer_address, us));
  t.arp();
  t.peer.open();
  t.advance(60s);
  for (int i = 0; i < 3; ++i) {
    t.with([](Conn& c) { c.send("x"); });
    t.peer.expect();
    t.peer.ack();
    t.expect_question(Trace::peer_address, Trace::peer_mac);
    t.advance(1s);
  }
  t.with([](Conn& c) { c.send("last"); });
  EXPECT_TRUE(t.peer.quiet());
  t.expect_question(Trace::peer_address);
  t.inject(arp_reply(other_mac, Trace::peer_address, us));
  EXPECT_EQ(t.peer.expect().data("last").packet().destination_mac, other_mac);
}

TEST(Arp, sec_A18__somebody_else_has_our_address__counted_not_believed_not_answered) {
  CoreConfig config = small_config();
  config.link.address_count = 2;
  Quiet t{config};
  t.inject(arp_request(other_mac, us, friend_address));
  t.inject(arp_reply(other_mac, Ipv4Address{us.value + 1}, us));
  t.inject(arp_request(other_mac, us, us));
  EXPECT_EQ(t.drops(Drop::arp_conflict), 3u);
  EXPECT_TRUE(t.quiet());
}

TEST(Arp, sender_outside_of_the_network__is_no_neighbour) {
  Quiet t;
  t.inject(arp_request(other_mac, Ipv4Address{192, 0, 2, 1}, us));
  EXPECT_EQ(t.drops(Drop::arp_not_for_us), 1u);
  EXPECT_TRUE(t.quiet());
}

TEST(Arp, sec_A18__every_truncation__dropped_and_counted) {
  Quiet t;
  const Bytes whole = arp_request(friend_mac, friend_address, us);
  for (std::size_t n = 0; n < whole.size(); ++n) {
    const auto before = t.stats().drops;
    t.inject(std::span{whole}.first(n));
    const auto reason = static_cast<std::size_t>(n < 14 ? Drop::eth_truncated : Drop::arp_truncated);
    EXPECT_EQ(t.stats().drops[reason], before[reason] + 1) << n;
    EXPECT_TRUE(t.quiet()) << n;
  }
  for (std::size_t n = 14; n < 18; ++n) {  // within the tag
    const auto frame = tagged(whole);
    t.inject(std::span{frame}.first(n));
    EXPECT_TRUE(t.quiet()) << n;
  }
  EXPECT_EQ(t.stack().buffers_in_use(), 0u);
  t.inject(tagged(whole));
  EXPECT_TRUE(t.arp()) << "a priority tag is no reason";
}

TEST(Arp, sec_A18__wrong_fields_and_impossible_senders__dropped_and_counted) {
  const std::vector<std::pair<const char*, std::function<void(Bytes&)>>> ways = {
      {"hardware", [](Bytes& f) { f[15] = std::byte{6}; }},
      {"protocol", [](Bytes& f) { f[16] = std::byte{0x86}; }},
      {"hardware length", [](Bytes& f) { f[18] = std::byte{5}; }},
      {"protocol length", [](Bytes& f) { f[19] = std::byte{16}; }},
      {"operation 0", [](Bytes& f) { f[21] = std::byte{0}; }},
      {"operation 3, RARP", [](Bytes& f) { f[21] = std::byte{3}; }},
      {"operation 0x0101", [](Bytes& f) { f[20] = std::byte{1}; }},
      {"multicast MAC", [](Bytes& f) { f[22] = std::byte{3}; }},
      {"broadcast MAC", [](Bytes& f) { std::fill_n(f.begin() + 22, 6, std::byte{0xff}); }},
      {"zero MAC", [](Bytes& f) { std::fill_n(f.begin() + 22, 6, std::byte{0}); }},
      {"multicast address", [](Bytes& f) { f[28] = std::byte{224}; }},
      {"loopback address", [](Bytes& f) { f[28] = std::byte{127}; }},
  };
  Quiet t;
  std::uint64_t n = 0;
  for (const auto& [what, change] : ways) {
    SCOPED_TRACE(what);
    Bytes frame = arp_request(friend_mac, friend_address, us);
    change(frame);
    t.inject(frame);
    EXPECT_EQ(t.drops(Drop::arp_malformed), ++n);
    EXPECT_TRUE(t.quiet());
  }
}

TEST(Arp, sec_A18__own_mac_or_the_broadcast_address_as_sender__teaches_nothing) {
  Quiet t;
  t.inject(arp_request(Trace::stack_mac, friend_address, us));
  t.inject(arp_request(other_mac, Ipv4Address{10, 0, 0, 255}, us));
  t.other_frames.clear();
  auto p = t.another_peer(81, friend_address);
  t.connect_to(*p);
  EXPECT_TRUE(p->quiet()) << "nobody else has our MAC";
  t.expect_question(friend_address);
  auto all = t.another_peer(81, Ipv4Address{10, 0, 0, 255});
  EXPECT_FALSE(t.core().connect(all->self, t.handler));
}

TEST(Arp, sec_A18__hundred_thousand_requesters__cache_stays_bounded_and_the_gateway_stays_known) {
  LinkConfig link;
  link.address = {{10, 0, 0, 1}, 8};
  link.gateway = Ipv4Address{10, 255, 0, 254};
  shard::Neighbours cache{link, 64};
  const auto ask = [&](Ipv4Address who, MacAddress mac, Time now) {
    return cache.learn({ArpOperation::request, mac, who, {}, link.address.address}, true, now);
  };
  Time now{1s};
  EXPECT_EQ(ask(*link.gateway, other_mac, now), Drop::none);
  for (std::uint32_t i = 0; i < 100000; ++i) {
    now += 10us;
    static_cast<void>(ask(Ipv4Address{0x0a010000u + i}, friend_mac, now));
    ASSERT_LE(cache.size(), 64u);
  }
  const auto found = cache.find(*link.gateway, now);
  EXPECT_EQ(found.what, shard::Neighbours::Lookup::known);
  EXPECT_EQ(found.mac, other_mac);
  EXPECT_EQ(cache.find(Ipv4Address{0x0a010000u + 99999}, now).what, shard::Neighbours::Lookup::known);
}

TEST(Arp, sec_A18__flood_of_requesters_while_a_frame_is_held__its_buffer_comes_back) {
  CoreConfig config = small_config();
  config.link.address = {us, 8};
  config.limits.neighbours = 16;
  Quiet t{config};
  auto p = t.another_peer(81, friend_address);
  const ConnId id = t.connect_to(*p);
  EXPECT_EQ(t.stack().buffers_in_use(), 1u);
  for (std::uint32_t i = 0; i < 1000; ++i) {
    t.advance(1us);
    t.inject(arp_request(other_mac, Ipv4Address{0x0a010000u + i}, us));
    t.other_frames.clear();
  }
  // Nothing that would ask again: what was held for the question that was pushed out must not stay for ever.
  if (auto c = t.core().find(id)) c->abort();
  t.advance(10s);
  EXPECT_EQ(t.stack().buffers_in_use(), 0u);
}

TEST(Arp, chatter_of_others_while_a_frame_is_held__makes_no_questions) {
  Quiet t;
  auto p = t.another_peer(81, friend_address);
  t.connect_to(*p);
  t.expect_question(friend_address);
  t.inject(arp_request(other_mac, stranger, Ipv4Address{10, 0, 0, 67}));
  t.inject(arp_request(other_mac, any, Ipv4Address{10, 0, 0, 67}));
  t.advance(1s);
  t.expect_question(friend_address);
  EXPECT_FALSE(t.arp()) << "nobody wants to talk to who was heard of";
}

TEST(Arp, resolve__asks_once_and_says_when_it_is_known) {
  Quiet t;
  EXPECT_FALSE(t.core().resolve(friend_address));
  EXPECT_FALSE(t.core().resolve(friend_address));
  t.poll();
  t.expect_question(friend_address);
  EXPECT_FALSE(t.arp());
  t.inject(arp_reply(friend_mac, friend_address, us));
  EXPECT_TRUE(t.core().resolve(friend_address));
  EXPECT_TRUE(t.core().resolve(us));
}

TEST(Arp, resolve_of_very_many__is_bounded_and_those_left_out_are_asked_for_later) {
  CoreConfig config = small_config();
  config.link.address = {us, 8};
  config.limits.neighbours = 64;
  Quiet t{config};
  for (std::uint32_t i = 0; i < 100000; ++i) EXPECT_FALSE(t.core().resolve(Ipv4Address{0x0a010000u + i}));
  t.poll();
  EXPECT_LE(t.other_frames.size(), 4096u);
  t.other_frames.clear();
  t.advance(1s);
  EXPECT_LE(t.other_frames.size(), 64u);
  EXPECT_GE(t.other_frames.size(), 32u);
}

}  // namespace
}  // namespace handfast::test
