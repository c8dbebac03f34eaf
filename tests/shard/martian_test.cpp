// SPDX-License-Identifier: BSD-3-Clause
// Frames that are not for us, or from nobody: no answer, no state, and each counted by exactly one reason
// (sec A15; RFC 1122 section 3.2.1.3, RFC 9293 MUST-57). Layer: tests of the shard, through frames.
#include <gtest/gtest.h>

#include "frames.hpp"
#include "support/peer.hpp"
#include "support/usage.hpp"

namespace handfast::test {
namespace {

constexpr Ipv4Address us = Trace::stack_address, them = Trace::peer_address;

Bytes syn(Ipv4Address source, Ipv4Address destination, MacAddress to = Trace::stack_mac) {
  Packet p;
  p.source = {source, 40000};
  p.destination = {destination, 80};
  p.source_mac = Trace::peer_mac;
  p.destination_mac = to;
  p.seq = 1;
  p.flags = SYN;
  p.window = 65535;
  p.mss = 1460;
  return build(p);
}

/// The same datagram with a no-operation as IP option: the parsers' slow way.
Bytes with_ip_option(Bytes frame) {
  frame.insert(frame.begin() + 34, 4, std::byte{1});
  frame[14] = std::byte{0x46};
  wire::store16(frame.data() + 16, static_cast<std::uint16_t>(wire::load16(frame.data() + 16) + 4));
  fix_ip_checksum(frame);
  return frame;
}

/// It, with a tag, and with an IP option: each is dropped for this reason and no other, and leaves nothing
/// behind.
void expect_dropped(Trace& t, const Bytes& frame, Drop reason) {
  for (const Bytes& way : {frame, tagged(frame), with_ip_option(frame)}) {
    const auto before = t.stats().drops;
    t.inject(way);
    const auto after = t.stats().drops;
    for (std::size_t i = 0; i < drop_count; ++i)
      EXPECT_EQ(after[i], before[i] + (i == static_cast<std::size_t>(reason) ? 1 : 0))
          << name(static_cast<Drop>(i));
    EXPECT_TRUE(t.quiet());
    EXPECT_EQ(usage_of(t.core()), Usage{});
    EXPECT_EQ(t.stack().buffers_in_use(), 0u);
  }
}

struct Listening : Trace {
  explicit Listening(CoreConfig config = small_config()) : Trace(std::move(config)) { listen(); }
};

TEST(Martian, sec_A15__sources_that_nobody_has__dropped) {
  CoreConfig config = small_config();
  config.link.address_count = 2;
  Listening t{config};
  for (const Ipv4Address source :
       {us, Ipv4Address{us.value + 1}, Ipv4Address{127, 0, 0, 1}, Ipv4Address{127, 255, 255, 254},
        Ipv4Address{0, 0, 0, 0}, Ipv4Address{0, 1, 2, 3}, Ipv4Address{224, 0, 0, 1},
        Ipv4Address{239, 255, 255, 255}, Ipv4Address{240, 0, 0, 1}, Ipv4Address{255, 255, 255, 255},
        Ipv4Address{10, 0, 0, 255}}) {
    SCOPED_TRACE(source.to_string());
    expect_dropped(t, syn(source, us), Drop::ip_martian_source);
  }
}

TEST(Martian, sec_A15__land__our_own_address_and_port_at_both_ends__dropped) {
  Listening t;
  Packet p;
  p.source = p.destination = {us, 80};
  p.source_mac = Trace::peer_mac;
  p.destination_mac = Trace::stack_mac;
  p.flags = SYN;
  expect_dropped(t, build(p), Drop::ip_martian_source);
}

// The flow is known, and so nobody judges its addresses again; but what the peer says never comes from outside.
TEST(Martian, sec_A15__segment_of_a_connection_to_ourselves__from_outside_is_dropped) {
  Listening t;
  ASSERT_TRUE(t.core().connect({us, 80}, t.handler));
  for (int i = 0; i < 10; ++i) t.poll();
  const auto connections = t.core().connections();
  ASSERT_EQ(connections.size(), 2u);
  for (const ConnInfo& connection : connections) {
    EXPECT_EQ(connection.state, State::established);
    Packet p;
    p.source = connection.peer;
    p.destination = connection.local;
    p.source_mac = Trace::peer_mac;
    p.destination_mac = Trace::stack_mac;
    for (const std::uint8_t flags : std::initializer_list<std::uint8_t>{ACK, RST, SYN}) {
      p.flags = flags;
      const auto before = t.stats().drops;
      t.inject(p);
      const auto after = t.stats().drops;
      for (std::size_t i = 0; i < drop_count; ++i)
        EXPECT_EQ(after[i], before[i] + (i == static_cast<std::size_t>(Drop::ip_martian_source) ? 1 : 0)) << name(static_cast<Drop>(i));
    }
  }
  EXPECT_EQ(t.core().connections().size(), 2u);
  t.core().abort_all();
  t.advance(10ms);
}

TEST(Martian, sec_A15__broadcast_multicast_and_other_destinations__dropped) {
  Listening t;
  for (const Ipv4Address destination :
       {Ipv4Address{10, 0, 0, 255}, Ipv4Address{255, 255, 255, 255}, Ipv4Address{224, 0, 0, 1},
        Ipv4Address{10, 0, 0, 77}, Ipv4Address{10, 0, 0, 0}, Ipv4Address{192, 0, 2, 1},
        Ipv4Address{127, 0, 0, 1}}) {
    SCOPED_TRACE(destination.to_string());
    expect_dropped(t, syn(them, destination), Drop::ip_not_for_us);
    expect_dropped(t, syn(them, destination, broadcast_mac), Drop::ip_not_for_us);
  }
  expect_dropped(t, syn(them, us, broadcast_mac), Drop::ip_not_for_us);
}

TEST(Martian, frames_for_another_mac__dropped) {
  Listening t;
  for (const MacAddress mac :
       {MacAddress{{2, 0x68, 0x66, 0, 0, 2}}, MacAddress{{1, 0, 0x5e, 0, 0, 1}}, MacAddress{}}) {
    SCOPED_TRACE(mac.to_string());
    expect_dropped(t, syn(them, us, mac), Drop::eth_not_for_us);
  }
}

TEST(Martian, other_types_and_protocols__dropped) {
  Listening t;
  for (const int type : {0x86dd, 0x88cc, 0x8847, 0x0600, 0x002e, 0x8100, 0x88a8}) {
    SCOPED_TRACE(type);
    Bytes frame = syn(them, us);
    wire::store16(frame.data() + 12, static_cast<std::uint16_t>(type));
    if (type == 0x8100) frame[16] = std::byte{0x88};  // a tag with something else inside
    const auto before = t.drops(Drop::eth_unknown_type);
    t.inject(frame);
    EXPECT_EQ(t.drops(Drop::eth_unknown_type), before + 1);
  }
  for (const std::uint8_t protocol : std::initializer_list<std::uint8_t>{0, 2, 17, 41, 132, 255}) {
    const auto before = t.drops(Drop::ip_unknown_protocol);
    t.inject(ip_frame({Trace::peer_mac, Trace::stack_mac, them, us}, protocol, Bytes(40)));
    EXPECT_EQ(t.drops(Drop::ip_unknown_protocol), before + 1);
  }
  EXPECT_TRUE(t.quiet());
}

TEST(Martian, fragments__the_first_and_the_later_ones__dropped) {
  Listening t;
  for (const std::uint16_t field :
       std::initializer_list<std::uint16_t>{0x2000, 0x0001, 0x2001, 0x1fff, 0x3fff, 0x6000}) {
    SCOPED_TRACE(field);
    Bytes frame = syn(them, us);
    wire::store16(frame.data() + 20, field);
    fix_ip_checksum(frame);
    expect_dropped(t, frame, Drop::ip_fragment);
  }
}

TEST(Martian, damaged_headers__dropped) {
  Listening t;
  Bytes frame = syn(them, us);
  frame[24] ^= std::byte{1};
  t.inject(frame);
  EXPECT_EQ(t.drops(Drop::ip_checksum), 1u);
  frame = syn(them, us);
  break_tcp_checksum(frame);
  expect_dropped(t, frame, Drop::tcp_checksum);
  for (std::size_t n = 0; n < 14; ++n) t.inject(std::span{frame}.first(n));
  EXPECT_EQ(t.drops(Drop::eth_truncated), 14u);
  for (std::size_t n = 14; n < 34; ++n) t.inject(std::span{frame}.first(n));
  EXPECT_EQ(t.drops(Drop::ip_truncated), 20u);
  EXPECT_TRUE(t.quiet());
}

TEST(LocalAddresses, four__each_is_served_and_the_fifth_is_not) {
  CoreConfig config = small_config();
  config.link.address_count = 4;
  Listening t{config};
  for (std::uint32_t i = 0; i < 4; ++i) {
    auto p = t.another_peer(static_cast<Port>(41000 + i), Ipv4Address{10, 0, 0, 100});
    p->stack.address = Ipv4Address{us.value + i};
    p->open();
    EXPECT_EQ(t.conn().local(), p->stack);
    p->ack().data("here");
    EXPECT_EQ(t.app.received(), "here");
    t.with([](Conn& c) { c.abort(); });
    p->expect().rst_ack();
  }
  auto p = t.another_peer(41000, Ipv4Address{10, 0, 0, 100});
  p->stack.address = Ipv4Address{us.value + 4};
  p->syn().mss(1460);
  EXPECT_TRUE(t.quiet());
  EXPECT_EQ(t.drops(Drop::ip_not_for_us), 1u);
}

TEST(LocalAddresses, listener_on_one_of_them__the_others_refuse_and_any_comes_second) {
  CoreConfig config = small_config();
  config.link.address_count = 3;
  Trace t{config};
  App special, general;
  const Ipv4Address second{us.value + 1};
  ASSERT_TRUE(t.core().listen_with({second, 80}, *t.core().add_handler_ref(special)));
  EXPECT_FALSE(t.core().listen_with({second, 80}, t.handler)) << "taken";
  EXPECT_FALSE(t.core().listen_with({Ipv4Address{us.value + 3}, 80}, t.handler)) << "not ours";
  const Ipv4Address far{10, 0, 0, 100};
  auto a = t.another_peer(41000, far);
  a->syn().mss(1460);
  a->expect().rst_ack();
  a->stack.address = second;
  a->snd_nxt = 0;
  a->irs_known = false;
  a->open();
  EXPECT_EQ(special.count("accept"), 1);
  ASSERT_TRUE(t.core().listen_with({any, 80}, *t.core().add_handler_ref(general)));
  auto b = t.another_peer(41001, far), c = t.another_peer(41002, far);
  b->open();
  c->stack.address = second;
  c->open();
  EXPECT_EQ(general.count("accept"), 1);
  EXPECT_EQ(special.count("accept"), 2);
  t.core().abort_all();
  t.advance(10ms);
  a->expect().rst_ack();
  b->expect().rst_ack();
  c->expect().rst_ack();
}

}  // namespace
}  // namespace handfast::test
