// SPDX-License-Identifier: BSD-3-Clause
// Frames in several buffers: whatever the cut, what the stack sees is what the frame is, and a chain whose lengths
// contradict each other is dropped. Row B12 of docs/security-limits.md. Layer: tests of DpdkIo.
#include <gtest/gtest.h>

#include <cstring>

#include "support.hpp"

namespace handfast::dpdk {
namespace {

struct Chained : testing::Test {
  static std::pair<Port, Port> make() {
    auto pair = make_ring_pair({.queues = 1, .descriptors = 512, .buffers_per_queue = 2048});
    EXPECT_TRUE(pair.has_value());
    return std::move(*pair);
  }
  rte_mbuf* piece_of(std::span<const std::byte> bytes) const {
    rte_mbuf* m = rte_pktmbuf_alloc(pool->get());
    if (!bytes.empty()) std::memcpy(rte_pktmbuf_append(m, static_cast<std::uint16_t>(bytes.size())), bytes.data(), bytes.size());
    return m;
  }
  /// The frame cut at these places, in as many buffers.
  void send_cut(std::span<const std::byte> frame, const std::vector<std::size_t>& cuts) const {
    rte_mbuf* head = nullptr;
    std::size_t begin = 0;
    for (std::size_t i = 0; i <= cuts.size(); ++i) {
      const std::size_t end = i == cuts.size() ? frame.size() : cuts[i];
      rte_mbuf* m = piece_of(frame.subspan(begin, end - begin));
      begin = end;
      if (head == nullptr)
        head = m;
      else
        ASSERT_EQ(rte_pktmbuf_chain(head, m), 0);
    }
    ASSERT_EQ(rte_eth_tx_burst(ports.first.id(), 0, &head, 1), 1);
  }
  void expect_whole(DpdkIo& io, const std::vector<std::byte>& frame) const {
    const auto got = test::receive_frames(io, 1);
    ASSERT_EQ(got.size(), 1u);
    EXPECT_EQ(got[0].bytes, frame);
  }

  std::pair<Port, Port> ports = make();
  std::shared_ptr<PacketPool> pool = ports.first.pool();
};

TEST_F(Chained, sec_B12__cut_at_every_byte_into_two_and_three__the_same_frame) {
  {
    DpdkIo io(ports.second, 0);
    test::TcpFrame tcp;
    tcp.payload = 40;
    const std::vector<std::byte> frame = tcp.bytes();
    for (std::size_t a = 0; a <= frame.size(); ++a) {
      send_cut(frame, {a});
      expect_whole(io, frame);
      for (std::size_t b = a; b <= frame.size(); b += 1 + (a % 3)) {
        send_cut(frame, {a, b});
        expect_whole(io, frame);
      }
      if (testing::Test::HasFatalFailure()) return;
    }
  }
  EXPECT_EQ(pool->in_use(), 0u);
}

TEST_F(Chained, sec_B12__chain_whose_lengths_do_not_add_up__dropped_and_counted) {
  {
    DpdkIo io(ports.second, 0);
    test::TcpFrame tcp;
    tcp.payload = 40;
    const std::vector<std::byte> frame = tcp.bytes();
    const auto whole = std::span{frame};
    std::uint64_t dropped = 0;
    for (const std::uint32_t told : {0u, 1u, 10u, 93u, 95u, 2000u, 65535u}) {
      rte_mbuf* head = piece_of(whole.first(10));
      ASSERT_EQ(rte_pktmbuf_chain(head, piece_of(whole.subspan(10))), 0);
      head->pkt_len = told;
      ASSERT_EQ(rte_eth_tx_burst(ports.first.id(), 0, &head, 1), 1);
      EXPECT_TRUE(test::receive_frames(io, 1, std::chrono::milliseconds{2}).empty()) << told;
      EXPECT_EQ(io.stats().rx_dropped.get(), ++dropped) << told;
    }
    // Two that are larger than one buffer together, and say that they are small.
    const std::vector<std::byte> large(1800, std::byte{1});
    rte_mbuf* head = piece_of(large);
    ASSERT_EQ(rte_pktmbuf_chain(head, piece_of(large)), 0);
    head->pkt_len = 1900;
    ASSERT_EQ(rte_eth_tx_burst(ports.first.id(), 0, &head, 1), 1);
    EXPECT_TRUE(test::receive_frames(io, 1, std::chrono::milliseconds{2}).empty());
    EXPECT_EQ(io.stats().rx_dropped.get(), dropped + 1);
  }
  EXPECT_EQ(pool->in_use(), 0u);
}

}  // namespace
}  // namespace handfast::dpdk
