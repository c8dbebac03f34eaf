// SPDX-License-Identifier: BSD-3-Clause
// Large described segments: cut in software, left to a port that cuts, or sent whole to an end that takes them.
// Layer: tests of the shard.
#include "shard/cut_segment.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "shard/loop.hpp"
#include "support/packet.hpp"
#include "support/peer.hpp"
#include "wire/arp.hpp"

namespace handfast::test {
namespace {

using tcp::TxSegment;

/// A port with offloads to choose; keeps what it was given.
class WidePort {
 public:
  struct Sent {
    std::vector<std::byte> bytes;
    std::uint16_t segment_size;
    std::uint8_t offload;
  };
  std::uint8_t offloads = 0;
  std::uint32_t room = 2048;
  std::vector<std::vector<std::byte>> arriving;
  std::vector<Sent> sent;
  std::size_t in_use = 0;

  std::size_t receive(std::span<wire::RxFrame> out) {
    std::size_t n = 0;
    for (; n < out.size() && !arriving.empty(); ++n) {
      auto* block = new std::byte[arriving[0].size()];
      std::memcpy(block, arriving[0].data(), arriving[0].size());
      out[n] = {};
      out[n].data = block;
      out[n].length = static_cast<std::uint32_t>(arriving[0].size());
      out[n].handle = block;
      arriving.erase(arriving.begin());
      ++in_use;
    }
    return n;
  }
  void release(std::span<void* const> handles) {
    for (void* handle : handles) free_block(handle);
  }
  bool allocate(wire::TxFrame& frame) {
    frame = {};
    frame.data = new std::byte[room];  // of just that size: a sanitizer sees what is written past it
    frame.capacity = room;
    frame.handle = frame.data;
    ++in_use;
    return true;
  }
  void discard(wire::TxFrame& frame) { free_block(frame.handle); }
  std::size_t transmit(std::span<wire::TxFrame> frames) {
    for (wire::TxFrame& frame : frames) {
      EXPECT_LE(frame.length, frame.capacity);
      EXPECT_EQ(frame.offload & ~offloads, 0) << "asks for what the port cannot do";
      sent.push_back({{frame.data, frame.data + frame.length}, frame.segment_size, frame.offload});
      free_block(frame.handle);
    }
    return frames.size();
  }
  [[nodiscard]] std::uint8_t tx_offloads() const { return offloads; }
  [[nodiscard]] std::uint32_t max_frame() const { return room; }

 private:
  void free_block(void* handle) {
    delete[] static_cast<std::byte*>(handle);
    --in_use;
  }
};
static_assert(shard::Io<WidePort>);

class LargeSegment : public testing::Test {
 protected:
  LargeSegment() {
    for (std::size_t i = 0; i < text.size(); ++i) text[i] = static_cast<char>('a' + i % 26 + i / 1000 % 4);
    // Whoever asks for our address is known from then on.
    port.arriving.push_back(arp_question());
    loop.poll(now);
    port.sent.clear();
  }
  ~LargeSegment() override {
    loop.stop();
    EXPECT_EQ(port.in_use, 0u);
  }
  static std::vector<std::byte> arp_question() {
    // Ethernet, then ARP over it for IPv4: who has 10.0.0.1, tell 10.0.0.2.
    const std::uint8_t bytes[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 2, 8, 6,  0, 1, 8, 0, 6, 4, 0,
                                  1,    2,    0,    0,    0,    0,    2, 10, 0, 0, 2, 0, 0, 0, 0, 0, 0, 10, 0, 0, 1};
    std::vector<std::byte> frame(60);
    std::memcpy(frame.data(), bytes, sizeof bytes);
    return frame;
  }
  /// All of `text` from seq on, in pieces of these lengths, with FIN and all that may be said once.
  void send(std::uint16_t size, std::vector<std::uint32_t> pieces, Ipv4Address to = {10, 0, 0, 2}) {
    TxSegment* s = shard.tcp().out.next();
    s->flow = FlowKey{Endpoint{{10, 0, 0, 1}, 80}, Endpoint{to, 4000}};
    s->flow_sum = 0;
    s->seq = Seq{0u - 5000};  // across the wrap
    s->ack = Seq{77};
    s->window = 1234;
    s->flags = wire::ack | wire::psh | wire::fin | wire::cwr;
    s->options_length = 12;
    const std::uint8_t timestamps[] = {1, 1, 8, 10, 0, 0, 0, 5, 0, 0, 0, 6};
    std::memcpy(s->options.data(), timestamps, sizeof timestamps);
    s->pieces = 0;
    s->payload_length = 0;
    for (const std::uint32_t n : pieces) {
      s->piece[s->pieces++] = {reinterpret_cast<const std::byte*>(text.data()) + s->payload_length, n};
      s->payload_length += n;
    }
    s->segment_size = size;
    shard.tcp().out.commit((s->payload_length + size - 1) / size);
    loop.poll(now);
  }
  /// Every frame is sound by itself; together they are the one that was described.
  void expect_cut_into(std::uint32_t size, std::uint32_t total) {
    std::uint32_t at = 0;
    for (const auto& frame : port.sent) {
      std::string why;
      const auto p = parse_strictly(frame.bytes, why);
      ASSERT_TRUE(p) << why;
      const bool first = at == 0, last = at + p->payload.size() == total;
      EXPECT_EQ(p->seq, 0u - 5000 + at);
      EXPECT_EQ(p->ack, 77u);
      EXPECT_EQ(p->window, 1234);
      EXPECT_EQ(p->payload, text.substr(at, last ? total - at : size));
      EXPECT_EQ(p->flags, ACK | (last ? PSH | FIN : 0) | (first ? 0x80 : 0));
      EXPECT_TRUE(p->ts && p->ts->first == 5 && p->ts->second == 6);
      at += static_cast<std::uint32_t>(p->payload.size());
    }
    EXPECT_EQ(at, total);
  }

  Time now{std::chrono::seconds{100}};
  std::string text = std::string(65000, ' ');
  WidePort port;
  shard::Shard shard{small_config(), now};
  shard::Loop<WidePort> loop{shard, port};
};

TEST_F(LargeSegment, no_help_from_the_port__a_frame_for_each_segment) {
  send(1448, {100, 3000, 1, 2048, 2048, 1448});
  EXPECT_EQ(port.sent.size(), 6u);
  expect_cut_into(1448, 8645);
}

TEST_F(LargeSegment, exact_multiple__no_empty_frame_at_the_end) {
  send(1448, {1448 * 4});
  EXPECT_EQ(port.sent.size(), 4u);
  expect_cut_into(1448, 1448 * 4);
}

TEST_F(LargeSegment, odd_lengths__sums_are_right) {
  send(333, {7, 333, 1, 501, 3, 2001});
  expect_cut_into(333, 2846);
}

TEST_F(LargeSegment, described_but_not_larger__is_one_frame) {
  send(1448, {1448});
  EXPECT_EQ(port.sent.size(), 1u);
  expect_cut_into(1448, 1448);
}

TEST_F(LargeSegment, other_end_takes_it__whole_frames_as_large_as_the_buffer) {
  port.offloads = wire::tx_whole;
  port.room = 16384;
  send(1448, {60000});
  // 16384 - 14 - 20 - 20 - 12 hold eleven segments.
  EXPECT_EQ(port.sent.size(), 4u);
  for (const auto& frame : port.sent) EXPECT_EQ(frame.offload, 0);
  expect_cut_into(11 * 1448, 60000);
}

TEST_F(LargeSegment, largest__is_a_datagram_still) {
  port.offloads = wire::tx_whole;
  port.room = 1 << 17;
  send(1448, {60000, 5000});
  EXPECT_EQ(port.sent.size(), 1u);
  expect_cut_into(65000, 65000);
}

TEST_F(LargeSegment, port_that_cuts__is_told_the_size) {
  port.offloads = wire::tx_tcp_segmentation | wire::tx_tcp_checksum | wire::tx_ip_checksum;
  port.room = 16384;
  send(1448, {60000});
  ASSERT_EQ(port.sent.size(), 4u);
  for (std::size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(port.sent[i].segment_size, 1448);
    EXPECT_EQ(port.sent[i].offload, port.offloads);
    EXPECT_EQ(port.sent[i].bytes.size(), i < 3 ? 66u + 11 * 1448 : 66u + 60000 - 33 * 1448);
  }
}

TEST_F(LargeSegment, port_that_cuts__what_fits_one_frame_is_not_cut) {
  port.offloads = wire::tx_tcp_segmentation | wire::tx_tcp_checksum | wire::tx_ip_checksum;
  port.room = 16384;
  send(1448, {11 * 1448 + 100});
  ASSERT_EQ(port.sent.size(), 2u);
  EXPECT_EQ(port.sent[1].segment_size, 0);
  EXPECT_EQ(port.sent[1].offload, wire::tx_tcp_checksum | wire::tx_ip_checksum);
}

TEST_F(LargeSegment, port_with_small_buffers__a_frame_for_each_segment) {
  port.offloads = wire::tx_whole;
  send(1448, {6000});
  EXPECT_EQ(port.sent.size(), 5u);
  expect_cut_into(1448, 6000);
}

TEST_F(LargeSegment, neighbour_unknown__parts_wait_in_order) {
  send(1448, {5000}, {10, 0, 0, 3});
  ASSERT_EQ(port.sent.size(), 1u) << "the question";
  auto reply = arp_question();
  reply[21] = std::byte{2};                                    // it is at
  reply[11] = reply[27] = reply[31] = std::byte{3};            // 02:..:03, 10.0.0.3
  const std::uint8_t ours[] = {2, 0x68, 0x66, 0, 0, 1};
  std::memcpy(reply.data() + 32, ours, 6);
  std::memcpy(reply.data(), ours, 6);
  port.sent.clear();
  port.arriving.push_back(reply);
  loop.poll(now);
  EXPECT_EQ(port.sent.size(), 4u);
  expect_cut_into(1448, 5000);
}

}  // namespace
}  // namespace handfast::test
