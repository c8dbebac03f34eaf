// SPDX-License-Identifier: BSD-3-Clause
// ICMP as far as a TCP endpoint needs it: echo (RFC 1122 section 3.2.2.6), errors about what we sent (RFC
// 5927, sec A13). Layer: tests of the shard, through frames.
#include <gtest/gtest.h>

#include "frames.hpp"
#include "support/peer.hpp"
#include "wire/icmpv4.hpp"

namespace handfast::test {
namespace {

constexpr Ipv4Address us = Trace::stack_address, them = Trace::peer_address;
const IpEnds to_us{Trace::peer_mac, Trace::stack_mac, them, us};

void make_known(Trace& t) {
  t.inject(arp_request(Trace::peer_mac, them, us));
  t.other_frames.clear();
}

Bytes counting(std::size_t n) {
  Bytes bytes(n);
  for (std::size_t i = 0; i < n; ++i) bytes[i] = static_cast<std::byte>(i * 7);
  return bytes;
}

TEST(Echo, any_length__reply_is_the_request_turned_round) {
  Trace t;
  make_known(t);
  for (const std::size_t n : {0u, 1u, 7u, 56u, 57u, 1000u, 1471u, 1472u}) {
    SCOPED_TRACE(n);
    const Bytes payload = counting(n);
    t.inject(icmp_frame(to_us, wire::icmp::echo_request, 0, 0x12345678, payload));
    ASSERT_EQ(t.other_frames.size(), 1u);
    const Bytes& reply = t.other_frames[0];
    ASSERT_EQ(reply.size(), 42 + n);
    const Bytes wanted = icmp_frame({Trace::stack_mac, Trace::peer_mac, us, them}, wire::icmp::echo_reply, 0,
                                    0x12345678, payload);
    EXPECT_EQ(plain_sum(std::span{reply}.subspan(14, 20)), 0xffff);
    EXPECT_EQ(plain_sum(std::span{reply}.subspan(34)), 0xffff);
    EXPECT_TRUE(std::equal(reply.begin() + 34, reply.end(), wanted.begin() + 34));
    EXPECT_TRUE(std::equal(reply.begin(), reply.begin() + 12, wanted.begin())) << "MAC addresses";
    EXPECT_TRUE(std::equal(reply.begin() + 26, reply.begin() + 34, wanted.begin() + 26)) << "IP addresses";
    t.other_frames.clear();
  }
}

TEST(Echo, at_most_a_thousand_a_second__the_rest_is_counted) {
  Trace t;
  make_known(t);
  const auto second = t.now().time_since_epoch() % 1s;
  t.advance(1s - second);
  for (int i = 0; i < 1500; ++i) t.inject(icmp_frame(to_us, wire::icmp::echo_request, 0, 1, {}));
  EXPECT_EQ(t.other_frames.size(), 1000u);
  EXPECT_EQ(t.drops(Drop::icmp_rate_limited), 500u);
  t.advance(1s);
  t.inject(icmp_frame(to_us, wire::icmp::echo_request, 0, 1, {}));
  EXPECT_EQ(t.other_frames.size(), 1001u);
  t.other_frames.clear();
}

TEST(Echo, to_a_broadcast_address__no_answer) {
  Trace t;
  make_known(t);
  for (const IpEnds& ends : {IpEnds{Trace::peer_mac, broadcast_mac, them, Ipv4Address{10, 0, 0, 255}},
                             IpEnds{Trace::peer_mac, Trace::stack_mac, them, Ipv4Address{10, 0, 0, 255}},
                             IpEnds{Trace::peer_mac, broadcast_mac, them, Ipv4Address{255, 255, 255, 255}},
                             IpEnds{Trace::peer_mac, broadcast_mac, them, us}}) {
    t.inject(icmp_frame(ends, wire::icmp::echo_request, 0, 1, counting(8)));
    EXPECT_TRUE(t.quiet()) << ends.destination.to_string();
  }
  EXPECT_EQ(t.drops(Drop::ip_not_for_us), 4u);
}

TEST(Echo, asker_is_no_neighbour__is_asked_for_and_counted_once) {
  Trace t;
  t.answer_arp = false;
  t.inject(icmp_frame(to_us, wire::icmp::echo_request, 0, 1, counting(8)));
  ASSERT_EQ(t.other_frames.size(), 1u);
  EXPECT_TRUE(as_arp(t.other_frames[0]));
  std::uint64_t drops = 0;
  for (const auto n : t.stats().drops) drops += n;
  EXPECT_LE(drops, 1u);
  t.other_frames.clear();
  t.inject(arp_reply(Trace::peer_mac, them, us));
  t.other_frames.clear();
  t.inject(icmp_frame(to_us, wire::icmp::echo_request, 0, 1, counting(8)));
  EXPECT_EQ(t.other_frames.size(), 1u);
  t.other_frames.clear();
}

// rfc1122 3.2.2
TEST(Icmp, truncated_damaged_or_of_another_type__dropped_and_counted) {
  Trace t;
  make_known(t);
  for (std::size_t n = 0; n < 8; ++n) t.inject(ip_frame(to_us, 1, counting(n)));
  EXPECT_EQ(t.drops(Drop::icmp_truncated), 8u);
  Bytes damaged = icmp_frame(to_us, wire::icmp::echo_request, 0, 1, counting(9));
  damaged.back() ^= std::byte{1};
  t.inject(damaged);
  EXPECT_EQ(t.drops(Drop::icmp_checksum), 1u);
  for (const std::uint8_t type : {std::uint8_t{0}, wire::icmp::source_quench, wire::icmp::redirect,
                                  std::uint8_t{13}, std::uint8_t{255}})
    t.inject(icmp_frame(to_us, type, 0, 1, counting(40)));
  t.inject(icmp_frame(to_us, wire::icmp::echo_request, 1, 1, counting(40)));
  EXPECT_EQ(t.drops(Drop::icmp_unknown), 6u);
  EXPECT_TRUE(t.quiet());
  EXPECT_EQ(t.stack().buffers_in_use(), 0u);
}

// --- errors about our segments
// -------------------------------------------------------------------------------

/// The IP header and the first eight bytes behind it, of a segment of ours with this sequence number.
Bytes quote(const Peer& p, std::uint32_t absolute_seq, std::size_t bytes = 28) {
  Packet ours;
  ours.source = p.stack;
  ours.destination = p.self;
  ours.seq = absolute_seq;
  ours.flags = SYN;
  const Bytes frame = build(ours);
  return {frame.begin() + 14, frame.begin() + 14 + static_cast<std::ptrdiff_t>(bytes)};
}

Bytes unreachable(const Peer& p, std::uint8_t code, std::uint32_t absolute_seq) {
  return icmp_frame(to_us, wire::icmp::destination_unreachable, code, 0, quote(p, absolute_seq));
}

TEST(IcmpError, sec_A13__syn_sent__hard_error_about_our_syn__unreachable_at_once) {
  for (const std::uint8_t code : std::initializer_list<std::uint8_t>{2, 3}) {
    SCOPED_TRACE(int{code});
    Trace t;
    t.connect();
    const std::uint32_t seq = t.peer.expect().syn().packet().seq;
    t.inject(unreachable(t.peer, code, seq));
    EXPECT_EQ(t.app.events, std::vector<std::string>{"closed:unreachable"});
    t.expect_nothing_until(10s);
  }
}

TEST(IcmpError, sec_A13__syn_sent__soft_error__goes_on) {
  Trace t;
  t.connect();
  const std::uint32_t seq = t.peer.expect().syn().packet().seq;
  for (const std::uint8_t code : std::initializer_list<std::uint8_t>{0, 1, 4, 5, 11, 12})
    t.inject(unreachable(t.peer, code, seq));
  EXPECT_TRUE(t.app.events.empty());
  t.peer.irs = seq;
  t.peer.syn_ack().mss(1460);
  t.peer.expect().pure_ack();
  EXPECT_EQ(t.app.count("connect"), 1);
}

TEST(IcmpError, sec_A13__syn_sent__about_another_number_or_tuple__ignored) {
  Trace t;
  t.connect();
  const std::uint32_t seq = t.peer.expect().syn().packet().seq;
  for (const std::uint32_t wrong : {seq - 1, seq + 1, seq + 0x80000000u, 0u}) {
    if (wrong != seq) t.inject(unreachable(t.peer, 3, wrong));
  }
  auto other = t.another_peer(40001);
  t.inject(unreachable(*other, 3, seq));
  EXPECT_TRUE(t.app.events.empty());
}

TEST(IcmpError, sec_A13__established__stays_whatever_is_said) {
  Trace t;
  t.listen();
  t.peer.open();
  t.with([](Conn& c) { c.send("in flight"); });
  const Packet sent = t.peer.expect().data("in flight").packet();
  for (std::uint8_t code = 0; code < 16; ++code) t.inject(unreachable(t.peer, code, sent.seq));
  t.inject(icmp_frame(to_us, wire::icmp::source_quench, 0, 0, quote(t.peer, sent.seq)));
  t.inject(icmp_frame(to_us, wire::icmp::time_exceeded, 0, 0, quote(t.peer, sent.seq)));
  EXPECT_EQ(t.state(), State::established);
  EXPECT_EQ(t.conn().stats().mss, 1460u) << "a 3/4 with MTU 0";
  t.peer.ack();
  t.with([](Conn& c) { c.send("more"); });
  t.peer.expect().data("more");
}

TEST(IcmpError, sec_A13__quote_cut_off_or_with_a_strange_header__dropped) {
  Trace t;
  t.connect();
  const std::uint32_t seq = t.peer.expect().syn().packet().seq;
  for (std::size_t n = 0; n < 28; ++n)
    t.inject(icmp_frame(to_us, wire::icmp::destination_unreachable, 3, 0, quote(t.peer, seq, n)));
  for (const int header : {0x40, 0x41, 0x4f, 0x65, 0x05}) {
    Bytes q = quote(t.peer, seq);
    q[0] = static_cast<std::byte>(header);
    t.inject(icmp_frame(to_us, wire::icmp::destination_unreachable, 3, 0, q));
  }
  Bytes fragment = quote(t.peer, seq);
  fragment[7] = std::byte{1};
  t.inject(icmp_frame(to_us, wire::icmp::destination_unreachable, 3, 0, fragment));
  EXPECT_TRUE(t.app.events.empty());
  EXPECT_EQ(t.drops(Drop::icmp_truncated) + t.drops(Drop::icmp_unknown), 28u + 5u + 1u);
}

}  // namespace
}  // namespace handfast::test
