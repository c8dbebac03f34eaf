// SPDX-License-Identifier: BSD-3-Clause
// Who may not speak to us at all, and who is believed to be a neighbour: land, martians, ARP poisoning and floods
// (rows A15, A18). Layer: tests of security, through frames; the cache's bound also by itself.
#include <gtest/gtest.h>

#include <functional>

#include "fixture.hpp"
#include "shard/frames.hpp"
#include "shard/neighbours.hpp"

namespace handfast::test {
namespace {

using wire::ArpOperation;

constexpr Ipv4Address us = Trace::stack_address, friend_address{10, 0, 0, 9};
constexpr MacAddress friend_mac{{2, 0, 0, 0, 0, 9}}, liar_mac{{2, 0, 0, 0, 0, 0x66}};

Bytes segment(std::uint8_t flags, Ipv4Address source, Ipv4Address destination, MacAddress to = Trace::stack_mac) {
  Packet p;
  p.source = {source, 40000};
  p.destination = {destination, 80};
  p.source_mac = Trace::peer_mac;
  p.destination_mac = to;
  p.flags = flags;
  p.window = 65535;
  if ((flags & SYN) != 0) p.mss = 1460;
  return build(p);
}

/// No answer, no entry, one reason; a SYN, and an ACK, which would draw a reset.
void expect_unheard(SecurityWorld& w, Drop reason, Ipv4Address source, Ipv4Address destination, MacAddress to = Trace::stack_mac) {
  SCOPED_TRACE(source.to_string() + " > " + destination.to_string());
  const Holdings before = holdings_of(w.t);
  for (const std::uint8_t flags : {SYN, ACK, RST, static_cast<std::uint8_t>(FIN | ACK)}) {
    const Bytes frame = segment(flags, source, destination, to);
    for (const Bytes& way : {frame, tagged(frame)}) w.expect_dropped(reason, [&] { w.t.inject(way); });
  }
  EXPECT_TRUE(w.t.quiet());
  EXPECT_EQ(holdings_of(w.t), before);
}

// CVE-1999-0016
TEST(SecurityA, sec_A15__land__our_address_and_port_at_both_ends_is_dropped) {
  SecurityWorld w;
  Packet p;
  p.source = p.destination = {us, 80};
  p.source_mac = Trace::peer_mac;
  p.destination_mac = Trace::stack_mac;
  for (const std::uint8_t flags : {SYN, static_cast<std::uint8_t>(SYN | ACK), ACK, RST}) {
    p.flags = flags;
    w.expect_dropped(Drop::ip_martian_source, [&] { w.t.inject(p); });
  }
  EXPECT_TRUE(w.t.quiet());
}

// rfc1122 3.2.1.3
TEST(SecurityA, sec_A15__martian_sources__no_answer_and_no_entry) {
  CoreConfig config = small_config();
  config.link.address_count = 2;
  SecurityWorld w{config};
  for (const Ipv4Address source :
       {us, Ipv4Address{us.value + 1}, Ipv4Address{127, 0, 0, 1}, Ipv4Address{127, 255, 255, 255}, Ipv4Address{0, 0, 0, 0},
        Ipv4Address{0, 255, 255, 255}, Ipv4Address{224, 0, 0, 1}, Ipv4Address{239, 255, 255, 255}, Ipv4Address{240, 0, 0, 0},
        Ipv4Address{255, 255, 255, 255}, Ipv4Address{10, 0, 0, 255}})
    expect_unheard(w, Drop::ip_martian_source, source, us);
}

// rfc9293 MUST-57, rfc1122 3.2.1.3
TEST(SecurityA, sec_A15__broadcast_multicast_and_foreign_destinations__no_answer_and_no_entry) {
  SecurityWorld w;
  for (const Ipv4Address destination : {Ipv4Address{10, 0, 0, 255}, Ipv4Address{255, 255, 255, 255}, Ipv4Address{224, 0, 0, 1},
                                        Ipv4Address{10, 0, 0, 77}, Ipv4Address{127, 0, 0, 1}, Ipv4Address{0, 0, 0, 0}}) {
    expect_unheard(w, Drop::ip_not_for_us, Trace::peer_address, destination);
    expect_unheard(w, Drop::ip_not_for_us, Trace::peer_address, destination, broadcast_mac);
  }
  expect_unheard(w, Drop::ip_not_for_us, Trace::peer_address, us, broadcast_mac);
  expect_unheard(w, Drop::eth_not_for_us, Trace::peer_address, us, MacAddress{{1, 0, 0x5e, 0, 0, 1}});
}

// --- A18 --------------------------------------------------------------------------------------------------------

/// The Ethernet destination of a SYN to `to`; nothing if the address had to be asked for.
std::optional<MacAddress> where_a_syn_goes(SecurityWorld& w, Ipv4Address to) {
  w.t.other_frames.clear();
  w.t.answer_arp = false;
  Peer p{w.t, {to, 81}, {us, static_cast<Port>(20000 + w.t.rng().below(20000))}};
  EXPECT_TRUE(w.t.core().connect(p.self, w.t.handler, {.local = p.stack}));
  w.t.poll();
  const auto syn = p.poll();
  return syn ? std::optional{syn->destination_mac} : std::nullopt;
}

// CVE-2020-11914's neighbourhood
TEST(SecurityA, sec_A18__answers_to_no_question_and_talk_of_others__make_no_neighbour) {
  SecurityWorld w;
  w.expect_dropped(Drop::arp_not_for_us, [&] { w.t.inject(arp_reply(liar_mac, friend_address, us)); });
  w.t.inject(arp_reply(liar_mac, friend_address, Ipv4Address{10, 0, 0, 8}));
  w.t.inject(arp_request(liar_mac, friend_address, Ipv4Address{10, 0, 0, 8}));
  w.t.inject(arp_request(liar_mac, friend_address, friend_address));
  w.t.inject(arp_reply(liar_mac, friend_address, friend_address));
  EXPECT_TRUE(w.t.quiet());
  EXPECT_EQ(where_a_syn_goes(w, friend_address), std::nullopt);
  w.t.other_frames.clear();
}

TEST(SecurityA, sec_A18__another_answer_within_the_lock_time__ignored_and_counted) {
  SecurityWorld w;
  w.establish();
  w.t.advance(29s);
  for (int i = 0; i < 100; ++i) {
    w.expect_dropped(Drop::arp_locked, [&] { w.t.inject(arp_reply(liar_mac, Trace::peer_address, us)); });
    w.expect_dropped(Drop::arp_locked, [&] { w.t.inject(arp_request(liar_mac, Trace::peer_address, Trace::peer_address)); });
  }
  w.t.with([](Conn& c) { c.send("to the true one"); });
  EXPECT_EQ(w.peer.expect().data("to the true one").packet().destination_mac, Trace::peer_mac);
  w.peer.ack();
  w.t.other_frames.clear();
}

TEST(SecurityA, sec_A18__flood_of_requests_from_ever_new_neighbours__the_gateway_stays_and_each_gets_one_answer) {
  CoreConfig config = small_config();
  config.link.address = {us, 8};
  config.link.gateway = Ipv4Address{10, 0, 0, 254};
  SecurityWorld w{config};
  w.t.inject(arp_request(friend_mac, *config.link.gateway, us));
  const Holdings before = holdings_of(w.t);
  const auto shots = static_cast<std::uint32_t>(scaled(1000000, 200000));
  for (std::uint32_t i = 0; i < shots; ++i) {
    w.t.inject(arp_request(liar_mac, Ipv4Address{0x0a010000u + i}, us));
    w.t.other_frames.clear();
    if (i % 1000 == 0) w.t.advance(1ms);
  }
  EXPECT_EQ(holdings_of(w.t), before);
  EXPECT_EQ(where_a_syn_goes(w, Ipv4Address{192, 0, 2, 1}), friend_mac) << "known all along";
  w.t.other_frames.clear();
}

TEST(SecurityA, sec_A18__a_million_requesters__the_cache_is_no_larger_than_its_limit) {
  SecurityWorld w;
  LinkConfig link;
  link.address = {us, 8};
  link.gateway = Ipv4Address{10, 255, 0, 254};
  shard::Neighbours cache{link, 64};
  Time now{1s};
  const auto ask = [&](Ipv4Address who) { return cache.learn({ArpOperation::request, friend_mac, who, {}, us}, true, now); };
  EXPECT_EQ(ask(*link.gateway), Drop::none);
  for (std::uint32_t i = 0; i < 1000000; ++i) {
    static_cast<void>(ask(Ipv4Address{0x0a010000u + i}));
    ASSERT_LE(cache.size(), 64u);
  }
  EXPECT_EQ(cache.find(*link.gateway, now).what, shard::Neighbours::Lookup::known);
}

TEST(SecurityA, sec_A18__our_own_address_claimed__counted_as_a_conflict_and_not_believed) {
  SecurityWorld w;
  for (const Ipv4Address target : {us, friend_address}) {
    w.expect_dropped(Drop::arp_conflict, [&] { w.t.inject(arp_request(liar_mac, us, target)); });
    w.expect_dropped(Drop::arp_conflict, [&] { w.t.inject(arp_reply(liar_mac, us, target)); });
  }
  EXPECT_TRUE(w.t.quiet());
}

TEST(SecurityA, sec_A18__packets_cut_at_every_length__dropped) {
  SecurityWorld w;
  const Bytes whole = arp_request(friend_mac, friend_address, us);
  for (std::size_t n = 0; n < whole.size(); ++n)
    w.expect_dropped(n < 14 ? Drop::eth_truncated : Drop::arp_truncated, [&] { w.t.inject(std::span{whole}.first(n)); });
  EXPECT_TRUE(w.t.quiet());
}

// CVE-2019-12262 (RARP)
TEST(SecurityA, sec_A18__wrong_fields_and_impossible_senders__dropped) {
  struct Lie {
    const char* what;
    std::size_t at, count;
    unsigned value;
  };
  SecurityWorld w;
  for (const Lie& lie : {Lie{"hardware type", 15, 1, 6}, Lie{"protocol type", 16, 1, 0x86}, Lie{"hardware length 5", 18, 1, 5},
                         Lie{"hardware length 255", 18, 1, 255}, Lie{"protocol length 16", 19, 1, 16},
                         Lie{"protocol length 0", 19, 1, 0}, Lie{"operation 0", 21, 1, 0}, Lie{"reverse request", 21, 1, 3},
                         Lie{"reverse reply", 21, 1, 4}, Lie{"operation 257", 20, 1, 1}, Lie{"multicast sender", 22, 1, 3},
                         Lie{"broadcast sender", 22, 6, 0xff}, Lie{"no sender", 22, 6, 0}, Lie{"multicast address", 28, 1, 224},
                         Lie{"loopback address", 28, 1, 127}, Lie{"reserved address", 28, 1, 240},
                         Lie{"the network's broadcast address", 31, 1, 255}}) {
    SCOPED_TRACE(lie.what);
    Bytes frame = arp_request(friend_mac, friend_address, us);
    std::fill_n(frame.begin() + static_cast<std::ptrdiff_t>(lie.at), lie.count, static_cast<std::byte>(lie.value));
    w.expect_dropped(Drop::arp_malformed, [&] { w.t.inject(frame); });
  }
  w.expect_dropped(Drop::arp_malformed, [&] { w.t.inject(arp_request(Trace::stack_mac, friend_address, us)); });
  EXPECT_TRUE(w.t.quiet());
}

/// There is no IPv6 here: its neighbour discovery is dropped by the Ethernet type, whatever it says.
TEST(SecurityA, sec_A18__neighbour_discovery__is_not_looked_at) {
  SecurityWorld w;
  for (const std::uint8_t type : std::initializer_list<std::uint8_t>{133, 134, 135, 136, 137}) {
    Bytes frame(14 + 40 + 32);
    wire::write_ethernet(frame.data(), Trace::stack_mac, Trace::peer_mac, 0x86dd);
    frame[14] = std::byte{0x60};
    frame[19] = std::byte{32};
    frame[20] = std::byte{58};
    frame[54] = static_cast<std::byte>(type);
    w.expect_dropped(Drop::eth_unknown_type, [&] { w.t.inject(frame); });
  }
  EXPECT_TRUE(w.t.quiet());
}

}  // namespace
}  // namespace handfast::test
