// SPDX-License-Identifier: BSD-3-Clause
// ICMP: messages, echo replies, and what an error message quotes of our segment.
#include "wire/icmpv4.hpp"

#include <gtest/gtest.h>

#include "base/rng.hpp"
#include "frames.hpp"
#include "wire/bytes.hpp"
#include "wire/ethernet.hpp"

namespace handfast::wire {
namespace {

using test::Bytes;
using test::ExactBlock;

constexpr MacAddress us{{2, 0, 0, 0, 0, 1}};
constexpr MacAddress peer{{2, 0, 0, 0, 0, 2}};

Bytes message(unsigned type, unsigned code, std::uint32_t rest, const Bytes& payload) {
  Bytes bytes(8 + payload.size());
  test::put8(bytes, 0, type);
  test::put8(bytes, 1, code);
  test::put32(bytes, 4, rest);
  std::copy(payload.begin(), payload.end(), bytes.begin() + 8);
  test::put16(bytes, 2, test::complement(test::naive_sum(bytes)));
  return bytes;
}

/// What a router sends back of a segment of ours: from 10.0.0.1:80 to 10.0.0.2:40000, the header and 8 bytes.
Bytes quoted() {
  return test::bytes_of({0x45, 0,  0,    60,   0,    0,    0x40, 0,   63, 6,
                         0,    0,  10,   0,    0,    1,    10,   0,   0,  2,  //
                         0,    80, 0x9c, 0x40, 0x11, 0x22, 0x33, 0x44});
}

Drop parse_quote(const Bytes& payload, IcmpQuote& out, unsigned type = 3, unsigned code = 4,
                 std::uint32_t rest = 1400) {
  const ExactBlock block{message(type, code, rest, payload)};
  IcmpMessage parsed;
  EXPECT_EQ(parse_icmp(block.bytes(), parsed), Drop::none);
  return parse_icmp_quote(parsed, out);
}

TEST(Icmp, message__is_taken_apart) {
  const ExactBlock block{message(8, 0, 0x12345678, test::bytes_of({1, 2, 3}))};
  IcmpMessage parsed;
  ASSERT_EQ(parse_icmp(block.bytes(), parsed), Drop::none);
  EXPECT_EQ(parsed.type, icmp::echo_request);
  EXPECT_EQ(parsed.code, 0);
  EXPECT_EQ(parsed.rest, 0x12345678u);
  EXPECT_EQ(parsed.payload.size(), 3u);
  EXPECT_EQ(parsed.payload.data(), block.bytes().data() + 8);
}

TEST(Icmp, every_length_too_short_and_every_flipped_bit__is_dropped) {
  const Bytes whole = message(8, 0, 0x12345678, test::bytes_of({1, 2, 3}));
  IcmpMessage parsed;
  for (std::size_t length = 0; length < 8; ++length) {
    const ExactBlock block{std::span(whole).first(length)};
    EXPECT_EQ(parse_icmp(block.bytes(), parsed), Drop::icmp_truncated) << length;
  }
  for (std::size_t bit = 0; bit < 8 * whole.size(); ++bit) {
    Bytes bytes = whole;
    bytes[bit / 8] ^= static_cast<std::byte>(1u << bit % 8);
    EXPECT_EQ(parse_icmp(bytes, parsed), Drop::icmp_checksum) << bit;
  }
}

TEST(Icmp, quote_of_our_segment__names_the_connection_from_our_side) {
  IcmpQuote quote;
  ASSERT_EQ(parse_quote(quoted(), quote), Drop::none);
  EXPECT_EQ(quote.flow, FlowKey({{10, 0, 0, 1}, 80}, {{10, 0, 0, 2}, 40000}));
  EXPECT_EQ(quote.seq, Seq{0x11223344});
  EXPECT_EQ(quote.type, 3);
  EXPECT_EQ(quote.code, 4);
  EXPECT_EQ(quote.next_hop_mtu, 1400);
}

TEST(Icmp, mtu__is_shown_for_fragmentation_needed_only) {
  IcmpQuote quote;
  ASSERT_EQ(parse_quote(quoted(), quote, 3, 4, 0xabcd0044), Drop::none);
  EXPECT_EQ(quote.next_hop_mtu, 0x44);
  ASSERT_EQ(parse_quote(quoted(), quote, 3, 1, 1400), Drop::none);
  EXPECT_EQ(quote.next_hop_mtu, 0);
  ASSERT_EQ(parse_quote(quoted(), quote, 12, 4, 1400), Drop::none);
  EXPECT_EQ(quote.next_hop_mtu, 0);
}

TEST(Icmp, sec_A13__quotes_cut_at_every_length__are_truncated) {
  const Bytes whole = quoted();
  IcmpQuote quote;
  for (std::size_t length = 0; length < 28; ++length) {
    EXPECT_EQ(parse_quote({whole.begin(), whole.begin() + static_cast<long>(length)}, quote),
              Drop::icmp_truncated)
        << length;
  }
}

TEST(Icmp, sec_A13__quotes_of_what_we_never_send__are_dropped) {
  IcmpQuote quote;
  for (unsigned first = 0; first < 256; ++first) {
    Bytes bytes = quoted();
    bytes.resize(100);  // room enough for every header length
    test::put8(bytes, 0, first);
    EXPECT_EQ(parse_quote(bytes, quote), first == 0x45 ? Drop::none : Drop::icmp_unknown) << first;
  }
  for (unsigned protocol = 0; protocol < 256; ++protocol) {
    Bytes bytes = quoted();
    test::put8(bytes, 9, protocol);
    EXPECT_EQ(parse_quote(bytes, quote), protocol == 6 ? Drop::none : Drop::icmp_unknown) << protocol;
  }
  for (const unsigned total : {0u, 20u, 28u, 39u, 40u, 65535u}) {
    Bytes bytes = quoted();
    test::put16(bytes, 2, total);
    EXPECT_EQ(parse_quote(bytes, quote), total >= 40 ? Drop::none : Drop::icmp_unknown) << total;
  }
  for (unsigned offset_bit = 0; offset_bit < 13; ++offset_bit) {
    Bytes bytes = quoted();
    test::put16(bytes, 6, 1u << offset_bit);
    EXPECT_EQ(parse_quote(bytes, quote), Drop::icmp_unknown) << offset_bit;
  }
}

TEST(Icmp, types_without_a_quote__are_unknown) {
  IcmpQuote quote;
  for (unsigned type = 0; type < 256; ++type) {
    const bool error = type == 3 || type == 4 || type == 5 || type == 11 || type == 12;
    EXPECT_EQ(parse_quote(quoted(), quote, type, 0), error ? Drop::none : Drop::icmp_unknown) << type;
  }
}

TEST(Icmp, echo_reply__turns_addresses_round_and_returns_the_payload) {
  for (std::size_t size = 0; size < 200; ++size) {
    Bytes data(size);
    for (std::size_t i = 0; i < size; ++i) data[i] = static_cast<std::byte>(i * 7);
    const Bytes request = message(8, 0, 0xbeef0001, data);
    IcmpMessage echo;
    ASSERT_EQ(parse_icmp(request, echo), Drop::none);
    const Ipv4Packet packet{{10, 0, 0, 2}, {10, 0, 0, 1}, protocol_icmp, 3, 0xff, request};
    const ExactBlock room{Bytes(42 + size)};
    ASSERT_EQ(write_icmp_echo_reply(room.bytes(), peer, us, packet, echo), 42 + size);

    EthernetFrame frame;
    ASSERT_EQ(parse_ethernet(room.bytes(), frame), Drop::none);
    EXPECT_EQ(frame.destination, peer);
    EXPECT_EQ(frame.source, us);
    Ipv4Packet answer;
    ASSERT_EQ(parse_ipv4(frame.payload, ChecksumState::unknown, answer), Drop::none);
    EXPECT_EQ(answer.source, packet.destination);
    EXPECT_EQ(answer.destination, packet.source);
    EXPECT_EQ(answer.ttl, 64);
    EXPECT_EQ(answer.tos, 0);
    IcmpMessage reply;
    ASSERT_EQ(parse_icmp(answer.payload, reply), Drop::none);
    EXPECT_EQ(reply.type, icmp::echo_reply);
    EXPECT_EQ(reply.rest, 0xbeef0001u);
    EXPECT_TRUE(std::equal(reply.payload.begin(), reply.payload.end(), data.begin(), data.end()));
  }
}

TEST(Icmp, echo_reply_without_room__writes_nothing) {
  const Bytes request = message(8, 0, 1, Bytes(10));
  IcmpMessage echo;
  ASSERT_EQ(parse_icmp(request, echo), Drop::none);
  const Ipv4Packet packet{{10, 0, 0, 2}, {10, 0, 0, 1}, protocol_icmp, 64, 0, request};
  for (std::size_t room = 0; room < 52; ++room) {
    const ExactBlock block{Bytes(room, std::byte{0x5a})};
    EXPECT_EQ(write_icmp_echo_reply(block.bytes(), peer, us, packet, echo), 0u);
    for (const std::byte byte : block.bytes()) ASSERT_EQ(byte, std::byte{0x5a});
  }
}

}  // namespace
}  // namespace handfast::wire
