// SPDX-License-Identifier: BSD-3-Clause
// What comes in below TCP: addresses that are not ours, martians, lies in the IP header, ICMP echo and
// errors. Layer: tests of the shard, through frames alone.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "link_frames.hpp"
#include "support/usage.hpp"

namespace handfast::test {
namespace {

Frame bytes_of(const std::string& s) {
  Frame f(s.size());
  std::ranges::transform(s, f.begin(), [](char c) { return static_cast<std::byte>(c); });
  return f;
}

Packet syn_from(Ipv4Address from, Ipv4Address to = Trace::stack_address) {
  Packet p;
  p.source = {from, 40000};
  p.destination = {to, 80};
  p.source_mac = Trace::peer_mac;
  p.destination_mac = Trace::stack_mac;
  p.flags = SYN;
  p.seq = 1;
  p.mss = 1460;
  return p;
}

// MUST-63, rfc1122 3.2.1.3b
TEST(Martian, sec_A15__sources_that_nobody_has__dropped_without_answer_or_state) {
  for (const Ipv4Address source :
       {Ipv4Address{127, 0, 0, 1}, Ipv4Address{0, 0, 0, 0}, Ipv4Address{0, 1, 2, 3},
        Ipv4Address{224, 0, 0, 5}, Ipv4Address{240, 0, 0, 1}, Ipv4Address{255, 255, 255, 255},
        Ipv4Address{10, 0, 0, 255}, Trace::stack_address}) {
    Trace t;
    t.listen();
    t.inject(syn_from(source));
    t.expect_nothing_until(3s);
    EXPECT_EQ(usage_of(t.core()), Usage{}) << source.to_string();
    EXPECT_EQ(t.drops(Drop::ip_martian_source), 1u) << source.to_string();
  }
}

TEST(Martian, sec_A15__land__dropped) {
  Trace t;
  t.listen();
  Packet p = syn_from(Trace::stack_address);
  p.source.port = 80;
  t.inject(p);
  t.expect_nothing_until(3s);
  EXPECT_EQ(usage_of(t.core()), Usage{});
}

// MUST-57, rfc1122 3.2.1.3a
TEST(NotForUs, sec_A15__broadcast_and_multicast_and_foreign_destinations__dropped) {
  for (const Ipv4Address to :
       {Ipv4Address{10, 0, 0, 255}, Ipv4Address{255, 255, 255, 255}, Ipv4Address{224, 0, 0, 1},
        Ipv4Address{10, 0, 0, 9}, Ipv4Address{192, 0, 2, 1}}) {
    Trace t;
    t.listen();
    t.inject(syn_from(Trace::peer_address, to));
    Packet by_broadcast = syn_from(Trace::peer_address);
    by_broadcast.destination_mac = broadcast_mac;
    t.inject(by_broadcast);
    t.expect_nothing_until(3s);
    EXPECT_EQ(usage_of(t.core()), Usage{});
    EXPECT_EQ(t.drops(Drop::ip_not_for_us), 2u) << to.to_string();
  }
}

TEST(NotForUs, other_mac__dropped) {
  Trace t;
  t.listen();
  Packet p = syn_from(Trace::peer_address);
  p.destination_mac = mac_of(77);
  t.inject(p);
  t.expect_nothing();
  EXPECT_EQ(t.drops(Drop::eth_not_for_us), 1u);
}

TEST(LocalAddresses, several__each_listens_and_specific_listener_wins) {
  CoreConfig config = small_config();
  config.link.address = {Ipv4Address{10, 0, 0, 100}, 24};
  config.link.address_count = 3;
  Trace t{config};
  App special;
  ASSERT_TRUE(t.core().listen_with({any, 80}, t.handler));
  const auto ref = t.core().add_handler_ref(special);
  ASSERT_TRUE(t.core().listen_with({{10, 0, 0, 101}, 80}, *ref));
  for (std::uint8_t last = 100; last <= 103; ++last) {
    auto p = t.another_peer(static_cast<Port>(5000 + last));
    p->stack.address = {10, 0, 0, last};
    p->syn().mss(1460);
    if (last == 103) {
      EXPECT_TRUE(p->quiet());
      continue;
    }
    p->expect().syn_ack();
    p->ack();
    p->rst();
  }
  EXPECT_EQ(t.app.count("accept"), 2);
  EXPECT_EQ(special.count("accept"), 1);
}

// MUST-44
TEST(LocalAddresses, several__active_opens_use_them_all_beyond_the_port_range) {
  CoreConfig config = small_config();
  config.link.address = {Ipv4Address{10, 0, 0, 100}, 24};
  config.link.address_count = 4;
  config.tcp.first_ephemeral_port = 60000;
  config.tcp.last_ephemeral_port = 60009;
  Trace t{config};
  std::map<std::uint32_t, int> used;
  for (int i = 0; i < 40; ++i) {
    const auto id = t.core().connect(t.peer.self, t.handler);
    ASSERT_TRUE(id) << i;
    ++used[t.core().find(*id)->local().address.value];
  }
  EXPECT_EQ(used.size(), 4u);
  EXPECT_FALSE(t.core().connect(t.peer.self, t.handler)) << "now it is exhausted";
  t.poll();
  t.other_frames.clear();
}

TEST(IpHeader, sec_B3__lengths_that_lie__dropped) {
  Trace t;
  t.listen();
  const Frame good = build(syn_from(Trace::peer_address));
  std::uint64_t before = 0;
  for (unsigned ihl = 0; ihl < 16; ++ihl)
    for (const unsigned total :
         {0u, 1u, 19u, 20u, 39u, 40u, static_cast<unsigned>(good.size()) - 13, 65535u}) {
      if (ihl == 5 && total == 44) continue;
      Frame bad = good;
      bad[14] = static_cast<std::byte>(0x40 | ihl);
      bad[16] = static_cast<std::byte>(total >> 8);
      bad[17] = static_cast<std::byte>(total & 0xff);
      bad[24] = bad[25] = std::byte{0};
      const std::size_t header = std::min<std::size_t>(ihl * 4, bad.size() - 14);
      const auto sum = static_cast<std::uint16_t>(~plain_sum(std::span{bad}.subspan(14, header)));
      if (header >= 20) {
        bad[24] = static_cast<std::byte>(sum >> 8);
        bad[25] = static_cast<std::byte>(sum & 0xff);
      }
      t.inject(bad);
    }
  t.expect_nothing();
  EXPECT_EQ(usage_of(t.core()), Usage{});
  for (const auto d : t.stats().drops) before += d;
  EXPECT_EQ(before, 16u * 8);
}

TEST(IpHeader, sec_B3__padding__is_not_data) {
  Trace t;
  t.listen();
  t.peer.open();
  t.peer.ack().data("1");  // 55 bytes of frame, padded to 60 with 0xaa
  EXPECT_EQ(t.app.received(), "1");
}

TEST(IpHeader, sec_B10__fragments__dropped_and_counted) {
  Trace t;
  t.listen();
  for (const unsigned flags_offset : {0x2000u, 0x0001u, 0x2001u, 0x1fffu}) {
    Frame f = build(syn_from(Trace::peer_address));
    f[20] = static_cast<std::byte>(flags_offset >> 8);
    f[21] = static_cast<std::byte>(flags_offset & 0xff);
    f[24] = f[25] = std::byte{0};
    const auto sum = static_cast<std::uint16_t>(~plain_sum(std::span{f}.subspan(14, 20)));
    f[24] = static_cast<std::byte>(sum >> 8);
    f[25] = static_cast<std::byte>(sum & 0xff);
    t.inject(f);
  }
  t.expect_nothing();
  EXPECT_EQ(t.drops(Drop::ip_fragment), 4u);
}

TEST(Truncated, every_length_of_a_good_frame__no_over_read_and_no_answer) {
  Trace t;
  t.listen();
  const Frame good = build(syn_from(Trace::peer_address));
  for (std::size_t length = 0; length < 58; ++length) t.inject(std::span{good}.first(length));
  t.expect_nothing();
  EXPECT_EQ(usage_of(t.core()), Usage{});
}

// --- ICMP
// --------------------------------------------------------------------------------------------------------

// rfc1122 3.2.2.6
TEST(Echo, request__answered_with_its_payload) {
  Trace t;
  t.inject(arp_request(Trace::peer_address, Trace::peer_mac));
  t.other_frames.clear();
  const Frame payload = bytes_of("sixteen bytes ok");
  t.inject(ipv4_frame(Trace::peer_address, Trace::stack_address, 1, icmp_message(8, 0, 0x12340007, payload)));
  ASSERT_EQ(t.other_frames.size(), 1u);
  const Frame expected = icmp_message(0, 0, 0x12340007, payload);
  const Frame& got = t.other_frames[0];
  ASSERT_GE(got.size(), 34 + expected.size());
  EXPECT_TRUE(std::equal(expected.begin(), expected.end(), got.begin() + 34));
  t.other_frames.clear();
}

TEST(Echo, sec_B11__to_broadcast_or_from_martians__silence) {
  Trace t;
  t.inject(arp_request(Trace::peer_address, Trace::peer_mac));
  t.other_frames.clear();
  const Frame icmp = icmp_message(8, 0, 1, bytes_of("x"));
  t.inject(ipv4_frame(Trace::peer_address, {10, 0, 0, 255}, 1, icmp));
  t.inject(ipv4_frame(Trace::peer_address, {10, 0, 0, 255}, 1, icmp, broadcast_mac));
  t.inject(ipv4_frame(Trace::peer_address, Trace::stack_address, 1, icmp, broadcast_mac));
  t.inject(ipv4_frame({127, 0, 0, 1}, Trace::stack_address, 1, icmp));
  EXPECT_TRUE(t.other_frames.empty());
}

TEST(Echo, sec_B11__flood__answers_are_bounded_by_second) {
  Trace t;
  t.inject(arp_request(Trace::peer_address, Trace::peer_mac));
  t.other_frames.clear();
  for (int i = 0; i < 3000; ++i)
    t.inject(ipv4_frame(Trace::peer_address, Trace::stack_address, 1, icmp_message(8, 0, 1, bytes_of("x"))));
  EXPECT_LE(t.other_frames.size(), 1000u);
  EXPECT_GE(t.drops(Drop::icmp_rate_limited), 2000u);
  t.other_frames.clear();
}

/// "Unreachable" about the last segment that the stack sent.
Frame unreachable(const Packet& quoted, std::uint8_t code, std::uint32_t seq) {
  Frame payload(28);
  wire::Ipv4HeaderFields fields;
  fields.source = quoted.source.address;
  fields.destination = quoted.destination.address;
  fields.protocol = 6;
  fields.payload_length = 20;
  wire::write_ipv4(payload.data(), fields);
  const auto put = [&](std::size_t at, std::uint32_t v, int bytes) {
    for (int i = 0; i < bytes; ++i)
      payload[at + static_cast<std::size_t>(i)] = static_cast<std::byte>(v >> (8 * (bytes - 1 - i)));
  };
  put(20, quoted.source.port, 2);
  put(22, quoted.destination.port, 2);
  put(24, seq, 4);
  return ipv4_frame(quoted.destination.address, quoted.source.address, 1, icmp_message(3, code, 0, payload));
}

// MUST-56, rfc5927 5.2
TEST(IcmpError, sec_A13__established__any_code_is_soft) {
  Trace t;
  t.listen();
  t.peer.open();
  t.with([](Conn& c) { c.send("x"); });
  const Packet p = t.peer.expect().packet();
  for (const int code : {0, 1, 2, 3, 9, 10, 13})
    t.inject(unreachable(p, static_cast<std::uint8_t>(code), p.seq));
  EXPECT_EQ(t.state(), State::established);
}

// MUST-54, rfc5927 4.1
TEST(IcmpError, sec_A13__syn_sent__port_unreachable_for_our_syn_ends_it_and_nothing_else_does) {
  Trace t;
  const ConnId id = t.connect();
  const Packet syn = t.peer.expect().packet();
  t.inject(unreachable(syn, 3, syn.seq + 5));
  t.inject(unreachable(syn, 3, syn.seq - 1));
  t.inject(unreachable(syn, 1, syn.seq));
  EXPECT_FALSE(t.app.records[id].closed);
  t.inject(unreachable(syn, 3, syn.seq));
  EXPECT_EQ(t.app.records[id].closed, CloseReason::unreachable);
}

// MUST-55, rfc5927 6.2
TEST(IcmpError, sec_A13__source_quench_and_truncated_quotes__ignored) {
  Trace t;
  const ConnId id = t.connect();
  const Packet syn = t.peer.expect().packet();
  const Frame good = unreachable(syn, 3, syn.seq);
  for (std::size_t cut = 0; cut < 28; ++cut) {
    const Frame payload(good.begin() + 42, good.begin() + 42 + static_cast<std::ptrdiff_t>(cut));
    t.inject(ipv4_frame(Trace::peer_address, Trace::stack_address, 1, icmp_message(3, 3, 0, payload)));
  }
  const Frame payload(good.begin() + 42, good.end());
  t.inject(ipv4_frame(Trace::peer_address, Trace::stack_address, 1, icmp_message(4, 0, 0, payload)));
  EXPECT_FALSE(t.app.records[id].closed);
}

}  // namespace
}  // namespace handfast::test
