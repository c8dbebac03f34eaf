// SPDX-License-Identifier: BSD-3-Clause
// Frames that leave: their bytes, their checksums by the slow reference, and what the parsers read from them.
#include "wire/tcp_writer.hpp"

#include <gtest/gtest.h>

#include "base/rng.hpp"
#include "frames.hpp"
#include "wire/fast_parse.hpp"

namespace handfast::wire {
namespace {

using test::Bytes;
using test::ExactBlock;

constexpr MacAddress us{{2, 0, 0, 0, 0, 1}};
constexpr MacAddress peer{{2, 0, 0, 0, 0, 2}};

TcpHeaderFields random_fields(Rng& rng) {
  TcpHeaderFields fields;
  const auto port = [&rng] { return static_cast<Port>(1 + rng.below(65535)); };
  fields.flow = FlowKey{{Ipv4Address{0x0a000000 | rng.below(1 << 24)}, port()},
                        {Ipv4Address{0xc0000000 | rng.below(1 << 24)}, port()}};
  fields.source_mac = us;
  fields.destination_mac = peer;
  fields.seq = Seq{static_cast<std::uint32_t>(rng.next())};
  fields.ack = Seq{static_cast<std::uint32_t>(rng.next())};
  fields.window = static_cast<std::uint16_t>(rng.next());
  fields.urgent = static_cast<std::uint16_t>(rng.next());
  fields.flags = static_cast<std::uint8_t>(rng.next());
  fields.tos = static_cast<std::uint8_t>(rng.next());
  fields.ttl = static_cast<std::uint8_t>(rng.next());
  return fields;
}

Bytes random_bytes(Rng& rng, std::size_t size) {
  Bytes bytes(size);
  for (std::byte& byte : bytes) byte = static_cast<std::byte>(rng.next());
  return bytes;
}

/// The frame in a block of exactly its size.
Bytes write(const TcpHeaderFields& fields, const Bytes& options, const Bytes& payload,
            std::uint8_t offload = 0) {
  const std::size_t data = tcp_frame_header_length + options.size();
  const ExactBlock block{Bytes(data + payload.size(), std::byte{0x5a})};
  std::byte* const frame = block.bytes().data();
  const std::uint64_t sum = copy_and_sum(frame + data, payload);
  const auto length = static_cast<std::uint32_t>(payload.size());
  EXPECT_EQ(write_tcp_frame(frame, fields, options, length, sum, offload), block.bytes().size());
  return {block.bytes().begin(), block.bytes().end()};
}

TEST(TcpWriter, known_syn__has_these_bytes) {
  TcpHeaderFields fields;
  fields.flow = FlowKey{{{10, 0, 0, 1}, 40000}, {{10, 0, 0, 2}, 80}};
  fields.source_mac = us;
  fields.destination_mac = peer;
  fields.seq = Seq{0x01020304};
  fields.window = 65535;
  fields.flags = syn;
  TcpOptions options;
  options.has_mss = options.has_window_scale = options.sack_permitted = options.has_timestamps = true;
  options.mss = 1460;
  options.window_scale = 7;
  options.ts_val = 0x00010203;
  Bytes option_bytes(max_tcp_options_length);
  option_bytes.resize(write_options(option_bytes.data(), options));

  // By hand. IP: 4500+003c+0000+4000+4006+0a00+0001+0a00+0002 = d945, complement 26ba. TCP: the pseudo
  // header's 1431 and the segment's words are 26e9a, folded 6e9c, complement 9163.
  const Bytes expected = test::bytes_of({
      0x02, 0x00, 0x00, 0x00, 0x00, 0x02, 0x02, 0x00, 0x00, 0x00, 0x00, 0x01, 0x08, 0x00,  // Ethernet
      0x45, 0x00, 0x00, 0x3c, 0x00, 0x00, 0x40, 0x00, 0x40, 0x06, 0x26, 0xba,              // IPv4, 60 bytes
      0x0a, 0x00, 0x00, 0x01, 0x0a, 0x00, 0x00, 0x02,                                      // addresses
      0x9c, 0x40, 0x00, 0x50, 0x01, 0x02, 0x03, 0x04, 0x00, 0x00, 0x00, 0x00,              // ports, seq, ack
      0xa0, 0x02, 0xff, 0xff, 0x91, 0x63, 0x00, 0x00,                          // SYN, window, checksum
      0x02, 0x04, 0x05, 0xb4,                                                  // MSS 1460
      0x04, 0x02, 0x08, 0x0a, 0x00, 0x01, 0x02, 0x03, 0x00, 0x00, 0x00, 0x00,  // SACK, timestamps
      0x01, 0x03, 0x03, 0x07,                                                  // window scale 7
  });
  EXPECT_EQ(write(fields, option_bytes, {}), expected);
}

// MUST-2
TEST(TcpWriter, random_frames__have_right_checksums_and_read_back) {
  Rng rng{1};
  for (int i = 0; i < 20'000; ++i) {
    TcpHeaderFields fields = random_fields(rng);
    if (rng.below(2) == 0) fields.flow_sum = flow_sum(fields.flow);
    const Bytes options(4 * rng.below(11), std::byte{1});
    const Bytes payload = random_bytes(rng, rng.below(8) == 0 ? rng.below(1461) : rng.below(70));
    const Bytes frame = write(fields, options, payload);
    ASSERT_EQ(test::naive_ip_sum(frame), 0xffff) << i;
    ASSERT_EQ(test::naive_tcp_sum(frame), 0xffff) << i;
    ASSERT_EQ(test::u32(frame, 18), 0x00004000u);

    const ExactBlock block{frame};
    Segment segment;
    const FastVerdict verdict = parse_tcp_frame(block.frame(), segment);
    ASSERT_TRUE(verdict.common_shape);
    ASSERT_EQ(verdict.drop, Drop::none);
    ASSERT_EQ(segment.flow, FlowKey(fields.flow.remote(), fields.flow.local()));
    ASSERT_EQ(segment.seq, fields.seq);
    ASSERT_EQ(segment.ack, fields.ack);
    ASSERT_EQ(segment.window, fields.window);
    ASSERT_EQ(segment.urgent_pointer, fields.urgent);
    ASSERT_EQ(segment.flags, fields.flags);
    ASSERT_EQ(segment.ecn, fields.tos & 3);
    ASSERT_EQ(test::u8(frame, 15), fields.tos);
    ASSERT_EQ(test::u8(frame, 22), fields.ttl);
    ASSERT_TRUE(std::equal(options.begin(), options.end(), segment.option_bytes().begin(),
                           segment.option_bytes().end()));
    ASSERT_EQ(segment.payload_length, payload.size());
    ASSERT_TRUE(std::equal(payload.begin(), payload.end(), segment.payload));
  }
}

TEST(TcpWriter, checksum_that_sums_to_zero__is_still_good) {
  // All 65536 values of one covered field: each end of ones' complement is among them.
  TcpHeaderFields fields;
  fields.flow = FlowKey{{{10, 0, 0, 1}, 40000}, {{10, 0, 0, 2}, 80}};
  for (unsigned window = 0; window <= 0xffff; ++window) {
    fields.window = static_cast<std::uint16_t>(window);
    const Bytes frame = write(fields, {}, {});
    ASSERT_EQ(test::naive_tcp_sum(frame), 0xffff) << window;
    const ExactBlock block{frame};
    Segment segment;
    ASSERT_EQ(parse_tcp_frame(block.frame(), segment).drop, Drop::none) << window;
  }
}

TEST(TcpWriter, options_already_in_place__are_left_and_summed) {
  Rng rng{2};
  for (std::size_t words = 0; words <= 10; ++words) {
    const TcpHeaderFields fields = random_fields(rng);
    const Bytes options = random_bytes(rng, 4 * words);
    const Bytes payload = random_bytes(rng, 5);
    Bytes frame(tcp_frame_header_length + options.size() + payload.size());
    std::byte* const place = frame.data() + tcp_frame_header_length;
    std::copy(options.begin(), options.end(), place);
    const std::uint64_t sum = copy_and_sum(place + options.size(), payload);
    (void)write_tcp_frame(frame.data(), fields, {place, options.size()}, 5, sum, 0);
    EXPECT_EQ(frame, write(fields, options, payload));
  }
}

TEST(TcpWriter, sec_B4__offloaded_sums__are_what_the_port_starts_from) {
  Rng rng{3};
  for (int i = 0; i < 2000; ++i) {
    const TcpHeaderFields fields = random_fields(rng);
    const Bytes options(4 * rng.below(11), std::byte{1});
    const Bytes payload = random_bytes(rng, rng.below(100));
    const Bytes whole = write(fields, options, payload);

    // The port adds up from the first byte of the TCP header and stores the complement: it must get there.
    Bytes offloaded = write(fields, options, payload, tx_tcp_checksum | tx_ip_checksum);
    ASSERT_EQ(test::u16(offloaded, 24), 0);
    test::put16(offloaded, 50, test::complement(test::naive_sum(std::span(offloaded).subspan(34))));
    test::put16(offloaded, 24, test::complement(test::naive_ip_sum(offloaded)));
    ASSERT_EQ(offloaded, whole);

    // Each alone.
    ASSERT_EQ(test::naive_ip_sum(write(fields, options, payload, tx_tcp_checksum)), 0xffff);
    ASSERT_EQ(test::naive_tcp_sum(write(fields, options, payload, tx_ip_checksum)), 0xffff);

    // Segmentation: the pseudo header without its length.
    const Bytes segmented =
        write(fields, options, payload, tx_tcp_segmentation | tx_tcp_checksum | tx_ip_checksum);
    ASSERT_EQ(test::u16(segmented, 50), test::naive_sum(std::span(segmented).subspan(26, 8), 6));
  }
}

TEST(TcpWriter, largest_datagram__has_right_checksums) {
  Rng rng{4};
  const Bytes frame = write(random_fields(rng), Bytes(40, std::byte{1}), Bytes(65535 - 80, std::byte{0xff}));
  EXPECT_EQ(test::u16(frame, 16), 65535);
  EXPECT_EQ(test::naive_ip_sum(frame), 0xffff);
  EXPECT_EQ(test::naive_tcp_sum(frame), 0xffff);
}

TEST(TcpWriter, flow_sum__is_never_zero_so_that_zero_may_mean_unknown) {
  Rng rng{5};
  EXPECT_NE(flow_sum(FlowKey{}), 0u);
  for (int i = 0; i < 100'000; ++i) {
    FlowKey flow;
    flow.local_address = static_cast<std::uint32_t>(rng.next());
    flow.remote_address = rng.below(2) == 0 ? ~flow.local_address : static_cast<std::uint32_t>(rng.next());
    flow.ports = static_cast<std::uint32_t>(rng.next());
    ASSERT_NE(flow_sum(flow), 0u);
  }
}

}  // namespace
}  // namespace handfast::wire
