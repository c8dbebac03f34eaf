// SPDX-License-Identifier: BSD-3-Clause
// Ethernet and ARP: what is taken apart, what is refused, every length too short.
#include <gtest/gtest.h>

#include "base/rng.hpp"
#include "frames.hpp"
#include "wire/arp.hpp"
#include "wire/ethernet.hpp"

namespace handfast::wire {
namespace {

using test::Bytes;
using test::ExactBlock;

constexpr MacAddress us{{2, 0, 0, 0, 0, 1}};
constexpr MacAddress peer{{2, 0, 0, 0, 0, 2}};

TEST(Ethernet, untagged_frame__is_taken_apart) {
  const ExactBlock block{test::make_frame({.payload = 3})};
  EthernetFrame frame;
  ASSERT_EQ(parse_ethernet(block.bytes(), frame), Drop::none);
  EXPECT_EQ(frame.destination, us);
  EXPECT_EQ(frame.source, peer);
  EXPECT_EQ(frame.type, ether_type_ipv4);
  EXPECT_FALSE(frame.tagged);
  EXPECT_EQ(frame.payload.data(), block.bytes().data() + 14);
  EXPECT_EQ(frame.payload.size(), 43u);
}

TEST(Ethernet, one_tag__is_skipped_and_shown) {
  const ExactBlock block{test::make_frame({.tagged = true})};
  EthernetFrame frame;
  ASSERT_EQ(parse_ethernet(block.bytes(), frame), Drop::none);
  EXPECT_TRUE(frame.tagged);
  EXPECT_EQ(frame.tag, 0x6123);
  EXPECT_EQ(frame.type, ether_type_ipv4);
  EXPECT_EQ(frame.payload.data(), block.bytes().data() + 18);
}

TEST(Ethernet, second_tag__stays_the_type) {
  Bytes bytes = test::make_frame({.tagged = true});
  test::put16(bytes, 16, ether_type_vlan);
  EthernetFrame frame;
  ASSERT_EQ(parse_ethernet(bytes, frame), Drop::none);
  EXPECT_EQ(frame.type, ether_type_vlan);
}

TEST(Ethernet, every_length_too_short__is_truncated) {
  for (const bool tagged : {false, true}) {
    const Bytes whole = test::make_frame({.tagged = tagged});
    const std::size_t header = tagged ? 18 : 14;
    for (std::size_t length = 0; length <= header; ++length) {
      const ExactBlock block{std::span(whole).first(length)};
      EthernetFrame frame;
      EXPECT_EQ(parse_ethernet(block.bytes(), frame), length < header ? Drop::eth_truncated : Drop::none)
          << length;
    }
  }
}

Bytes good_arp() {
  return test::bytes_of({0, 1, 8, 0, 6, 4, 0,  1,        //
                         2, 0, 0, 0, 0, 2, 10, 0, 0, 2,  //
                         0, 0, 0, 0, 0, 0, 10, 0, 0, 1});
}

Drop parse_exact(std::span<const std::byte> bytes, ArpPacket& out) {
  const ExactBlock block{bytes};
  return parse_arp(block.bytes(), out);
}

TEST(Arp, request__is_taken_apart) {
  ArpPacket packet;
  ASSERT_EQ(parse_exact(good_arp(), packet), Drop::none);
  EXPECT_EQ(packet.operation, ArpOperation::request);
  EXPECT_EQ(packet.sender_mac, peer);
  EXPECT_EQ(packet.sender_address, Ipv4Address(10, 0, 0, 2));
  EXPECT_TRUE(packet.target_mac.is_zero());
  EXPECT_EQ(packet.target_address, Ipv4Address(10, 0, 0, 1));
}

TEST(Arp, written_reply__has_the_bytes_of_rfc826_and_reads_back) {
  const ArpPacket reply{ArpOperation::reply, us, {10, 0, 0, 1}, peer, {10, 0, 0, 2}};
  const ExactBlock block{Bytes(arp_length, std::byte{0x5a})};
  write_arp(block.bytes().data(), reply);
  const Bytes expected = test::bytes_of({0, 1, 8, 0, 6, 4, 0,  2,        //
                                         2, 0, 0, 0, 0, 1, 10, 0, 0, 1,  //
                                         2, 0, 0, 0, 0, 2, 10, 0, 0, 2});
  EXPECT_TRUE(std::equal(expected.begin(), expected.end(), block.bytes().begin()));
  ArpPacket read;
  ASSERT_EQ(parse_arp(block.bytes(), read), Drop::none);
  EXPECT_EQ(read.operation, ArpOperation::reply);
  EXPECT_EQ(read.sender_mac, us);
  EXPECT_EQ(read.target_mac, peer);
}

// The packet's part of SECURITY row A18.
TEST(Arp, sec_A18__every_length_from_0_to_27__is_truncated) {
  const Bytes whole = good_arp();
  ArpPacket packet;
  for (std::size_t length = 0; length < arp_length; ++length) {
    EXPECT_EQ(parse_exact(std::span(whole).first(length), packet), Drop::arp_truncated) << length;
  }
}

TEST(Arp, sec_A18__padding_behind__is_ignored) {
  Bytes padded = good_arp();
  padded.resize(46, std::byte{0xaa});
  ArpPacket packet;
  EXPECT_EQ(parse_exact(padded, packet), Drop::none);
}

TEST(Arp, sec_A18__every_wrong_byte_of_the_fixed_part__is_malformed) {
  const Bytes whole = good_arp();
  ArpPacket packet;
  for (std::size_t at = 0; at < 8; ++at) {
    for (int value = 0; value < 256; ++value) {
      Bytes bytes = whole;
      bytes[at] = static_cast<std::byte>(value);
      const bool same = bytes == whole || (at == 7 && value == 2);
      EXPECT_EQ(parse_exact(bytes, packet), same ? Drop::none : Drop::arp_malformed) << at << ' ' << value;
    }
  }
}

TEST(Arp, sec_A18__impossible_senders__are_malformed) {
  ArpPacket packet;
  for (const MacAddress mac : {broadcast_mac, MacAddress{}, MacAddress{{1, 0, 0x5e, 0, 0, 1}}}) {
    Bytes bytes = good_arp();
    std::memcpy(bytes.data() + 8, mac.bytes.data(), 6);
    EXPECT_EQ(parse_exact(bytes, packet), Drop::arp_malformed) << mac.to_string();
  }
  for (const Ipv4Address address :
       {Ipv4Address{224, 0, 0, 1}, Ipv4Address{255, 255, 255, 255}, Ipv4Address{127, 0, 0, 1}}) {
    Bytes bytes = good_arp();
    test::put32(bytes, 14, address.value);
    EXPECT_EQ(parse_exact(bytes, packet), Drop::arp_malformed) << address.to_string();
  }
}

TEST(Arp, probe_with_sender_zero__is_fine) {
  Bytes bytes = good_arp();
  test::put32(bytes, 14, 0);
  ArpPacket packet;
  EXPECT_EQ(parse_exact(bytes, packet), Drop::none);
}

}  // namespace
}  // namespace handfast::wire
