// SPDX-License-Identifier: BSD-3-Clause
// The TCP header, by the layered path and by the fast entry: both must say the same of every frame.
#include <gtest/gtest.h>

#include "base/rng.hpp"
#include "frames.hpp"
#include "wire/ethernet.hpp"
#include "wire/fast_parse.hpp"

namespace handfast::wire {
namespace {

using test::Bytes;
using test::ExactBlock;
using test::FrameShape;

/// The three parsers, one after the other. eth_unknown_type and ip_unknown_protocol stand for what is not
/// TCP.
Drop layered(const RxFrame& frame, Segment& out) {
  EthernetFrame ethernet;
  if (const Drop drop = parse_ethernet(frame.bytes(), ethernet); drop != Drop::none) return drop;
  if (ethernet.type != ether_type_ipv4) return Drop::eth_unknown_type;
  Ipv4Packet packet;
  if (const Drop drop = parse_ipv4(ethernet.payload, frame.ip_checksum, packet); drop != Drop::none)
    return drop;
  if (packet.protocol != protocol_tcp) return Drop::ip_unknown_protocol;
  return parse_tcp_packet(packet, frame.tcp_checksum, out);
}

void expect_equal(const Segment& a, const Segment& b) {
  ASSERT_EQ(a.flow, b.flow);
  ASSERT_EQ(a.seq, b.seq);
  ASSERT_EQ(a.ack, b.ack);
  ASSERT_EQ(a.window, b.window);
  ASSERT_EQ(a.urgent_pointer, b.urgent_pointer);
  ASSERT_EQ(a.flags, b.flags);
  ASSERT_EQ(a.ecn, b.ecn);
  ASSERT_EQ(a.header_length, b.header_length);
  ASSERT_EQ(a.options, b.options);
  ASSERT_EQ(a.payload, b.payload);
  ASSERT_EQ(a.payload_length, b.payload_length);
}

/// The layered verdict, after making sure that the fast entry agrees with it wherever it says anything.
Drop agreed(const RxFrame& frame, Segment& out, bool* common = nullptr) {
  const Drop drop = layered(frame, out);
  Segment quick;
  const FastVerdict verdict = parse_tcp_frame(frame, quick);
  if (verdict.common_shape) {
    EXPECT_EQ(verdict.drop, drop);
    if (drop == Drop::none) expect_equal(quick, out);
  }
  if (common != nullptr) *common = verdict.common_shape;
  return drop;
}

Drop agreed(const Bytes& bytes, ChecksumState ip = ChecksumState::unknown,
            ChecksumState tcp = ChecksumState::unknown) {
  const ExactBlock block{bytes};
  Segment segment;
  return agreed(block.frame(ip, tcp), segment);
}

TEST(Tcp, good_segment__is_taken_apart_by_both_ways) {
  const ExactBlock block{test::make_frame({.tcp_options = Bytes(12, std::byte{1}), .payload = 7})};
  Segment segment;
  bool common = false;
  ASSERT_EQ(agreed(block.frame(), segment, &common), Drop::none);
  EXPECT_TRUE(common);
  EXPECT_EQ(segment.flow, FlowKey({{10, 0, 0, 1}, 80}, {{10, 0, 0, 2}, 40000}));
  EXPECT_EQ(segment.seq, Seq{0x11223344});
  EXPECT_EQ(segment.ack, Seq{0x55667788});
  EXPECT_EQ(segment.window, 0x1234);
  EXPECT_EQ(segment.urgent_pointer, 0x0506);
  EXPECT_EQ(segment.flags, ack);
  EXPECT_EQ(segment.ecn, 2);
  EXPECT_EQ(segment.header_length, 32);
  EXPECT_EQ(segment.option_bytes().size(), 12u);
  EXPECT_EQ(segment.options, block.bytes().data() + 54);
  EXPECT_EQ(segment.payload, block.bytes().data() + 66);
  EXPECT_EQ(segment.payload_length, 7u);
  EXPECT_EQ(segment.length(), 7u);
}

TEST(Tcp, common_shape__is_exactly_untagged_without_ip_options) {
  for (const bool tagged : {false, true}) {
    for (const std::size_t ip_options : {0u, 4u, 40u}) {
      const ExactBlock block{
          test::make_frame({.ip_options = Bytes(ip_options), .payload = 1, .tagged = tagged})};
      Segment segment;
      bool common = false;
      EXPECT_EQ(agreed(block.frame(), segment, &common), Drop::none);
      EXPECT_EQ(common, !tagged && ip_options == 0);
    }
  }
}

TEST(Tcp, sec_B3__one_byte_of_payload_in_a_padded_frame__is_one_byte) {
  const ExactBlock block{test::make_frame({.payload = 1, .padding = 5})};
  Segment segment;
  ASSERT_EQ(agreed(block.frame(), segment), Drop::none);
  EXPECT_EQ(segment.payload_length, 1u);
}

TEST(Tcp, sec_B3__total_lengths_that_lie__are_dropped_by_both_ways) {
  const Bytes whole = test::make_frame({.tcp_options = Bytes(12, std::byte{1}), .payload = 20});
  for (unsigned total = 0; total <= 300; ++total) {
    Bytes bytes = whole;
    test::put16(bytes, 16, total);
    test::put16(bytes, 24, 0);
    test::put16(bytes, 24, test::complement(test::naive_ip_sum(bytes)));
    const Drop drop = agreed(bytes, ChecksumState::unknown, ChecksumState::good);
    if (total < 20 || total > 72) {
      EXPECT_EQ(drop, Drop::ip_total_length) << total;
    } else if (total < 40) {
      EXPECT_EQ(drop, Drop::tcp_truncated) << total;
    } else {
      EXPECT_EQ(drop, total < 52 ? Drop::tcp_data_offset : Drop::none) << total;
    }
    EXPECT_EQ(agreed(bytes) == Drop::none, total == 72) << total;
  }
}

TEST(Tcp, sec_B2__data_offsets_that_lie__are_dropped) {
  for (unsigned offset = 0; offset < 16; ++offset) {
    for (std::size_t payload = 0; payload <= 44; ++payload) {
      Bytes bytes = test::make_frame({.payload = payload});
      test::put8(bytes, 46, offset << 4);
      test::fix_checksums(bytes);
      const bool fine = offset >= 5 && 4 * offset <= 20 + payload;
      ASSERT_EQ(agreed(bytes), fine ? Drop::none : Drop::tcp_data_offset) << offset << ' ' << payload;
    }
  }
}

// MUST-3
TEST(Tcp, sec_B4__every_checksum_state__is_obeyed) {
  const Bytes good = test::make_frame({.payload = 9});
  Bytes wrong = good;
  test::put16(wrong, 50, test::u16(wrong, 50) ^ 1u);
  const auto tcp_only = [](const Bytes& bytes, ChecksumState state) {
    return agreed(bytes, ChecksumState::unknown, state);
  };
  EXPECT_EQ(tcp_only(good, ChecksumState::unknown), Drop::none);
  EXPECT_EQ(tcp_only(good, ChecksumState::good), Drop::none);
  EXPECT_EQ(tcp_only(good, ChecksumState::bad), Drop::tcp_checksum);
  EXPECT_EQ(tcp_only(wrong, ChecksumState::unknown), Drop::tcp_checksum);
  EXPECT_EQ(tcp_only(wrong, ChecksumState::good), Drop::none);
  EXPECT_EQ(tcp_only(wrong, ChecksumState::bad), Drop::tcp_checksum);
  EXPECT_EQ(agreed(good, ChecksumState::bad), Drop::ip_checksum);
  test::put16(wrong, 24, 0);
  EXPECT_EQ(agreed(wrong, ChecksumState::good, ChecksumState::good), Drop::none);
  EXPECT_EQ(agreed(wrong, ChecksumState::unknown, ChecksumState::good), Drop::ip_checksum);
}

// MUST-3
TEST(Tcp, every_flipped_bit__is_noticed) {
  // What the checksums cover: addresses of Ethernet are not among it, and padding is not.
  const Bytes whole = test::make_frame({.tcp_options = Bytes(4, std::byte{1}), .payload = 33, .padding = 3});
  for (std::size_t bit = 8 * 14; bit < 8 * (whole.size() - 3); ++bit) {
    Bytes bytes = whole;
    bytes[bit / 8] ^= static_cast<std::byte>(1u << bit % 8);
    ASSERT_NE(agreed(bytes), Drop::none) << bit / 8;
  }
}

TEST(Tcp, every_truncation__is_dropped_by_both_ways) {
  for (const bool tagged : {false, true}) {
    const Bytes whole = test::make_frame({.ip_options = Bytes(tagged ? 8 : 0, std::byte{1}),
                                          .tcp_options = Bytes(40, std::byte{1}),
                                          .payload = 30,
                                          .tagged = tagged});
    for (std::size_t length = 0; length < whole.size(); ++length) {
      ASSERT_NE(agreed(Bytes(whole.begin(), whole.begin() + static_cast<long>(length))), Drop::none)
          << length;
    }
  }
}

TEST(Tcp, bare_header_cut_at_every_length__is_truncated) {
  const Bytes frame = test::make_frame({});
  for (std::size_t length = 0; length < 20; ++length) {
    const ExactBlock block{std::span(frame).subspan(34, length)};
    Segment segment;
    EXPECT_EQ(parse_tcp(block.bytes(), ChecksumState::good, segment), Drop::tcp_truncated);
  }
}

TEST(Tcp, port_zero__is_dropped_on_either_side) {
  for (const std::size_t at : {34u, 36u}) {
    Bytes bytes = test::make_frame({});
    test::put16(bytes, at, 0);
    test::fix_checksums(bytes);
    EXPECT_EQ(agreed(bytes), Drop::tcp_port_zero);
  }
}

TEST(Tcp, every_flag_byte_and_reserved_bit__is_passed_on_or_ignored) {
  for (unsigned flags = 0; flags < 256; ++flags) {
    for (const unsigned reserved : {0u, 0xfu}) {
      Bytes bytes = test::make_frame({.payload = 3});
      test::put8(bytes, 46, 0x50 | reserved);
      test::put8(bytes, 47, flags);
      test::fix_checksums(bytes);
      const ExactBlock block{bytes};
      Segment segment;
      ASSERT_EQ(agreed(block.frame(), segment), Drop::none);
      EXPECT_EQ(segment.flags, flags);
      EXPECT_EQ(segment.length(), 3u + (flags & 1) + (flags >> 1 & 1));
    }
  }
}

/// A frame of a random shape, most of them good, then a few bytes or the length changed; checksums sometimes
/// made right again, so that damage gets past them.
Bytes mutated_frame(Rng& rng) {
  FrameShape shape;
  if (rng.below(4) == 0) shape.ip_options = Bytes(4 * rng.below(11), std::byte{1});
  if (rng.below(2) == 0) shape.tcp_options = Bytes(4 * rng.below(11), std::byte{1});
  shape.payload = rng.below(3) == 0 ? rng.below(1500) : rng.below(32);
  shape.padding = rng.below(3) == 0 ? rng.below(20) : 0;
  shape.tagged = rng.below(8) == 0;
  Bytes bytes = test::make_frame(shape);
  const std::size_t ip = shape.tagged ? 18 : 14;
  for (std::uint32_t i = rng.below(4); i != 0; --i) {
    const std::uint32_t at = rng.below(static_cast<std::uint32_t>(std::min<std::size_t>(bytes.size(), 80)));
    bytes[at] = rng.below(2) == 0 ? static_cast<std::byte>(rng.next())
                                  : bytes[at] ^ static_cast<std::byte>(1u << rng.below(8));
  }
  const std::size_t header = std::size_t{test::u8(bytes, ip) & 0xfu} * 4;
  const std::size_t total = test::u16(bytes, ip + 2);
  const bool lengths_hold = header >= 20 && total >= header + 20 && ip + total <= bytes.size();
  if (lengths_hold && rng.below(2) == 0) test::fix_checksums(bytes, ip);
  if (rng.below(8) == 0) bytes.resize(rng.below(static_cast<std::uint32_t>(bytes.size() + 1)));
  return bytes;
}

TEST(Tcp, mutated_frames__fast_entry_equals_the_layered_path) {
  const std::uint64_t seed = 20;
  Rng rng{seed};
  int good = 0;
  int common_and_bad = 0;
  constexpr std::array states{ChecksumState::unknown, ChecksumState::good, ChecksumState::bad};
  for (int i = 0; i < 300'000; ++i) {
    const ExactBlock block{mutated_frame(rng)};
    const auto ip_state = states.at(rng.below(8) < 6 ? 0 : rng.below(3));
    const auto tcp_state = states.at(rng.below(8) < 6 ? 0 : rng.below(3));
    Segment segment;
    bool common = false;
    const Drop drop = agreed(block.frame(ip_state, tcp_state), segment, &common);
    ASSERT_FALSE(HasFailure()) << "seed " << seed << " frame " << i;
    good += drop == Drop::none && common ? 1 : 0;
    common_and_bad += drop != Drop::none && common ? 1 : 0;
  }
  EXPECT_GT(good, 50'000);  // the property was put to the test on both sides
  EXPECT_GT(common_and_bad, 50'000);
}

TEST(Tcp, random_bytes__are_survived) {
  Rng rng{21};
  for (int i = 0; i < 100'000; ++i) {
    Bytes bytes(rng.below(120));
    for (std::byte& byte : bytes) byte = static_cast<std::byte>(rng.next());
    if (bytes.size() > 15 && rng.below(2) == 0) test::put32(bytes, 12, 0x08004500);
    const ExactBlock block{bytes};
    Segment segment;
    (void)agreed(block.frame(ChecksumState::good, ChecksumState::good), segment);
    ASSERT_FALSE(HasFailure()) << i;
  }
}

TEST(Tcp, addressed_to__compares_the_first_six_bytes) {
  const ExactBlock block{test::make_frame({})};
  EXPECT_TRUE(is_addressed_to(block.frame(), MacAddress{{2, 0, 0, 0, 0, 1}}));
  EXPECT_FALSE(is_addressed_to(block.frame(), MacAddress{{2, 0, 0, 0, 0, 2}}));
}

}  // namespace
}  // namespace handfast::wire
