// SPDX-License-Identifier: BSD-3-Clause
// IPv4: lengths that lie, checksums and who vouches for them, fragments, impossible sources.
#include "wire/ipv4.hpp"

#include <gtest/gtest.h>

#include "base/rng.hpp"
#include "frames.hpp"
#include "wire/bytes.hpp"

namespace handfast::wire {
namespace {

using test::Bytes;
using test::ExactBlock;

/// The datagram of a frame, without its Ethernet header.
Bytes datagram(const test::FrameShape& shape) {
  const Bytes frame = test::make_frame(shape);
  return {frame.begin() + 14, frame.end()};
}

void fix_ip_checksum(Bytes& bytes) {
  const std::size_t header = std::min(std::size_t{test::u8(bytes, 0) & 0xfu} * 4, bytes.size());
  test::put16(bytes, 10, 0);
  test::put16(bytes, 10, test::complement(test::naive_sum(std::span(bytes).first(header))));
}

Drop parse_exact(std::span<const std::byte> bytes, ChecksumState state = ChecksumState::unknown) {
  const ExactBlock block{bytes};
  Ipv4Packet packet;
  return parse_ipv4(block.bytes(), state, packet);
}

TEST(Ipv4, good_datagram__is_taken_apart) {
  const ExactBlock block{datagram({.payload = 5})};
  Ipv4Packet packet;
  ASSERT_EQ(parse_ipv4(block.bytes(), ChecksumState::unknown, packet), Drop::none);
  EXPECT_EQ(packet.source, Ipv4Address(10, 0, 0, 2));
  EXPECT_EQ(packet.destination, Ipv4Address(10, 0, 0, 1));
  EXPECT_EQ(packet.protocol, protocol_tcp);
  EXPECT_EQ(packet.ttl, 64);
  EXPECT_EQ(packet.tos, 2);
  EXPECT_EQ(packet.payload.data(), block.bytes().data() + 20);
  EXPECT_EQ(packet.payload.size(), 25u);
}

// MUST-50, rfc1122 3.2.1.8
TEST(Ipv4, options__are_skipped_at_every_header_length) {
  for (std::size_t words = 0; words <= 10; ++words) {
    const ExactBlock block{datagram({.ip_options = Bytes(4 * words, std::byte{0x86}), .payload = 5})};
    Ipv4Packet packet;
    ASSERT_EQ(parse_ipv4(block.bytes(), ChecksumState::unknown, packet), Drop::none) << words;
    EXPECT_EQ(packet.payload.data(), block.bytes().data() + 20 + 4 * words);
    EXPECT_EQ(packet.payload.size(), 25u);
  }
}

TEST(Ipv4, sec_B3__padding_of_a_short_frame__is_cut_off) {
  const ExactBlock block{datagram({.payload = 1, .padding = 5})};
  Ipv4Packet packet;
  ASSERT_EQ(parse_ipv4(block.bytes(), ChecksumState::unknown, packet), Drop::none);
  EXPECT_EQ(packet.payload.size(), 21u);
}

TEST(Ipv4, sec_B3__total_lengths_that_lie__are_dropped_at_every_header_length) {
  const Bytes whole = datagram({.payload = 20});  // 60 bytes
  for (unsigned ihl = 0; ihl < 16; ++ihl) {
    for (unsigned total = 0; total <= 65535; total += total < 200 ? 1 : 977) {
      Bytes bytes = whole;
      test::put8(bytes, 0, 0x40 | ihl);
      test::put16(bytes, 2, total);
      fix_ip_checksum(bytes);
      Drop expected = Drop::none;
      if (ihl < 5) {
        expected = Drop::ip_header_length;
      } else if (total < 4 * ihl || total > bytes.size()) {
        expected = Drop::ip_total_length;
      }
      ASSERT_EQ(parse_exact(bytes), expected) << ihl << ' ' << total;
    }
  }
}

TEST(Ipv4, every_truncation__is_dropped) {
  const Bytes whole = datagram({.ip_options = Bytes(40, std::byte{1}), .payload = 4});
  for (std::size_t length = 0; length < whole.size(); ++length) {
    const Drop drop = parse_exact(std::span(whole).first(length));
    ASSERT_EQ(drop, length < 60 ? Drop::ip_truncated : Drop::ip_total_length) << length;
  }
}

// rfc1122 3.2.1.1
TEST(Ipv4, every_version_but_4__is_dropped) {
  for (unsigned version = 0; version < 16; ++version) {
    Bytes bytes = datagram({});
    test::put8(bytes, 0, version << 4 | 5);
    fix_ip_checksum(bytes);
    EXPECT_EQ(parse_exact(bytes), version == 4 ? Drop::none : Drop::ip_version);
  }
}

// rfc1122 3.2.1.2
TEST(Ipv4, sec_B4__checksum_is_believed_or_verified_as_the_port_says) {
  const Bytes good = datagram({.payload = 4});
  for (std::size_t bit = 0; bit < 16; ++bit) {
    Bytes wrong = good;
    wrong[10 + bit / 8] ^= static_cast<std::byte>(1u << bit % 8);
    EXPECT_EQ(parse_exact(wrong, ChecksumState::unknown), Drop::ip_checksum);
    EXPECT_EQ(parse_exact(wrong, ChecksumState::good), Drop::none);
    EXPECT_EQ(parse_exact(wrong, ChecksumState::bad), Drop::ip_checksum);
  }
  EXPECT_EQ(parse_exact(good, ChecksumState::unknown), Drop::none);
  EXPECT_EQ(parse_exact(good, ChecksumState::bad), Drop::ip_checksum);
}

TEST(Ipv4, fragments__are_dropped_whatever_their_offset) {
  for (unsigned field = 0; field <= 0xffff; ++field) {
    Bytes bytes = datagram({});
    test::put16(bytes, 6, field);
    fix_ip_checksum(bytes);
    ASSERT_EQ(parse_exact(bytes), (field & 0x3fff) != 0 ? Drop::ip_fragment : Drop::none) << field;
  }
}

TEST(Ipv4, sec_A15__martian_sources__are_dropped_by_their_first_byte) {
  for (unsigned first = 0; first < 256; ++first) {
    for (const std::uint32_t rest : {0u, 1u, 0xffffffu}) {
      Bytes bytes = datagram({});
      test::put32(bytes, 12, first << 24 | rest);
      fix_ip_checksum(bytes);
      const bool martian = first == 0 || first == 127 || first >= 224;
      EXPECT_EQ(parse_exact(bytes), martian ? Drop::ip_martian_source : Drop::none) << first;
    }
  }
}

// rfc4821 4a
TEST(Ipv4, written_header__has_a_right_checksum_df_and_identification_zero) {
  Rng rng{1};
  for (int i = 0; i < 2000; ++i) {
    const Ipv4HeaderFields fields{
        Ipv4Address{static_cast<std::uint32_t>(rng.next() | 0x01000000) & 0x5fffffff},
        Ipv4Address{static_cast<std::uint32_t>(rng.next())},
        static_cast<std::uint8_t>(rng.next()),
        static_cast<std::uint8_t>(rng.next()),
        static_cast<std::uint8_t>(rng.next()),
        static_cast<std::uint16_t>(rng.below(200))};
    Bytes bytes(ipv4_header_length + fields.payload_length, std::byte{0x5a});
    write_ipv4(bytes.data(), fields);
    ASSERT_EQ(test::naive_sum(std::span(bytes).first(20)), 0xffff);
    ASSERT_EQ(test::u32(bytes, 4), 0x00004000u);
    ASSERT_TRUE(bytes.size() == 20 || bytes[20] == std::byte{0x5a});
    Ipv4Packet packet;
    ASSERT_EQ(parse_ipv4(bytes, ChecksumState::unknown, packet), Drop::none);
    ASSERT_EQ(packet.source, fields.source);
    ASSERT_EQ(packet.destination, fields.destination);
    ASSERT_EQ(packet.protocol, fields.protocol);
    ASSERT_EQ(packet.ttl, fields.ttl);
    ASSERT_EQ(packet.tos, fields.tos);
    ASSERT_EQ(packet.payload.size(), fields.payload_length);
  }
}

}  // namespace
}  // namespace handfast::wire
