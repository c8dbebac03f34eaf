// SPDX-License-Identifier: BSD-3-Clause
// IP options on the way in: skipped, whatever they are (RFC 9293 section 3.9.2), but for source routes, which are refused
// (section 3.9.2.1; docs/rfc-exceptions.md). Layer: tests of the shard, through frames alone.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "link_frames.hpp"
#include "support/usage.hpp"

namespace handfast::test {
namespace {

using Options = std::vector<std::uint8_t>;

/// The frame with options in its IP header, a multiple of four.
Frame with_ip_options(const Packet& packet, const Options& options) {
  Frame frame = build(packet);
  const std::size_t datagram = std::size_t{std::to_integer<unsigned>(frame[16])} << 8 | std::to_integer<std::size_t>(frame[17]);
  frame.resize(14 + datagram);  // without the padding of short frames
  Frame bytes(options.size());
  std::ranges::transform(options, bytes.begin(), [](std::uint8_t b) { return std::byte{b}; });
  frame.insert(frame.begin() + 34, bytes.begin(), bytes.end());
  const std::size_t total = datagram + options.size(), header = 20 + options.size();
  frame[14] = static_cast<std::byte>(0x40 | header / 4);
  frame[16] = static_cast<std::byte>(total >> 8);
  frame[17] = static_cast<std::byte>(total & 0xff);
  frame[24] = frame[25] = std::byte{0};
  const auto sum = static_cast<std::uint16_t>(~plain_sum(std::span{frame}.subspan(14, header)));
  frame[24] = static_cast<std::byte>(sum >> 8);
  frame[25] = static_cast<std::byte>(sum & 0xff);
  return frame;
}

Packet from_peer(const Peer& peer, std::uint8_t flags, std::uint32_t seq, std::uint32_t ack, std::string data = "") {
  Packet p;
  p.source = peer.self;
  p.destination = peer.stack;
  p.source_mac = Trace::peer_mac;
  p.destination_mac = Trace::stack_mac;
  p.flags = flags;
  p.seq = peer.iss + seq;
  p.ack = (flags & ACK) != 0 ? peer.irs + ack : 0;
  p.window = 65535;
  p.payload = std::move(data);
  return p;
}

// MUST-50: record route, timestamp, router alert, kinds that nobody defined, and lists that lie about their lengths.
TEST(IpOptions, of_any_kind__are_ignored_and_the_segment_counts) {
  for (const Options& options :
       {Options{7, 7, 4, 0, 0, 0, 0, 0}, Options{68, 12, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0}, Options{148, 4, 0, 0},
        Options{1, 1, 1, 1}, Options{0, 131, 3, 4}, Options{94, 4, 9, 9}, Options{222, 8, 131, 137, 131, 137, 1, 2},
        Options{1, 158, 3, 7, 0, 0, 0, 0}, Options{7, 0, 131, 3}, Options{1, 1, 1, 7}, Options{94, 200, 131, 3}}) {
    Trace t;
    t.listen();
    t.inject(with_ip_options(from_peer(t.peer, SYN, 0, 0), options));
    t.peer.expect().syn_ack();
    t.inject(with_ip_options(from_peer(t.peer, ACK | 0x08, 1, 1, "hello"), options));
    EXPECT_EQ(t.app.received(), "hello") << +options[0];
    t.with([](Conn& c) { c.send("x"); });
    t.peer.expect().data("x").ack(6);  // the harness refuses answers with IP options
    EXPECT_EQ(t.drops(Drop::ip_source_route), 0u);
  }
}

// Pins the deviation from MUST-51, MUST-52, MUST-53 and SHLD-24.
TEST(IpOptions, source_route__dropped_and_counted_without_answer_or_state) {
  std::uint64_t sent = 0;
  Trace t;
  t.listen();
  t.peer.open();
  auto other = t.another_peer(41000);
  for (const Options& options :
       {Options{131, 7, 4, 10, 0, 0, 9, 0}, Options{137, 7, 8, 10, 0, 0, 9, 0}, Options{1, 131, 3, 4},
        Options{148, 4, 0, 0, 137, 3, 4, 0}, Options{131, 0, 0, 0}, Options{1, 1, 1, 137}}) {
    t.inject(with_ip_options(from_peer(*other, SYN, 0, 0), options));
    t.inject(with_ip_options(from_peer(t.peer, ACK, 1, 1, "not taken"), options));
    sent += 2;
    EXPECT_EQ(t.drops(Drop::ip_source_route), sent);
  }
  t.expect_nothing_until(3s);
  EXPECT_EQ(t.app.received(), "");
  EXPECT_EQ(t.stats().half_open, 0u);
}

}  // namespace
}  // namespace handfast::test
