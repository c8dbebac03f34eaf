// SPDX-License-Identifier: BSD-3-Clause
// DpdkIo over a ring pair: order, back-pressure, reuse of buffers, and that none is ever lost.
#include <gtest/gtest.h>

#include <cstring>
#include <thread>

#include "dpdk/lcores.hpp"
#include "shard/io.hpp"
#include "support.hpp"

namespace handfast::dpdk {
namespace {

static_assert(shard::Io<DpdkIo>);

using test::receive_frames;

std::vector<std::byte> numbered(std::uint32_t number, std::size_t size = 60) {
  std::vector<std::byte> bytes(size);
  std::memcpy(bytes.data(), &number, sizeof number);
  return bytes;
}

std::uint32_t number_of(std::span<const std::byte> bytes) {
  std::uint32_t number = 0;
  std::memcpy(&number, bytes.data(), sizeof number);
  return number;
}

struct RingPair : testing::Test {
  static std::pair<Port, Port> make(PortOptions options) {
    auto pair = make_ring_pair(options);
    EXPECT_TRUE(pair.has_value()) << (pair ? "" : pair.error().what);
    return std::move(*pair);
  }
  std::pair<Port, Port> ports = make({.queues = 2, .descriptors = 512, .buffers_per_queue = 2048});
  Port& left = ports.first;
  Port& right = ports.second;
  std::shared_ptr<PacketPool> pool = left.pool();
};

TEST_F(RingPair, frames__arrive_in_order_both_ways_and_no_buffer_is_lost) {
  {
    DpdkIo a(left, 0);
    DpdkIo b(right, 0);
    for (std::uint32_t round = 0; round < 1000; ++round) {
      test::send_one(a, test::frame_of(a, numbered(round)));
      auto there = receive_frames(b, 1);
      ASSERT_EQ(there.size(), 1u);
      ASSERT_EQ(number_of(there[0].bytes), round);
      ASSERT_EQ(there[0].bytes.size(), 60u);
      test::send_one(b, test::frame_of(b, numbered(round + 7)));
      auto back = receive_frames(a, 1);
      ASSERT_EQ(back.size(), 1u);
      ASSERT_EQ(number_of(back[0].bytes), round + 7);
    }
    EXPECT_LE(pool->in_use(), a.cached() + b.cached());
    EXPECT_LE(pool->in_use(), 2 * DpdkIo::refill) << "received buffers were not used again";
  }
  EXPECT_EQ(pool->in_use(), 0u);
}

TEST_F(RingPair, queues__stay_apart) {
  DpdkIo a0(left, 0);
  DpdkIo a1(left, 1);
  DpdkIo b0(right, 0);
  DpdkIo b1(right, 1);
  test::send_one(a1, test::frame_of(a1, numbered(1)));
  EXPECT_TRUE(receive_frames(b0, 1, std::chrono::milliseconds{5}).empty());
  EXPECT_EQ(receive_frames(b1, 1).size(), 1u);
}

TEST_F(RingPair, full_queue__keeps_the_rest_with_the_caller_and_drops_nothing) {
  {
    DpdkIo a(left, 0);
    DpdkIo b(right, 0);
    std::vector<wire::TxFrame> frames;
    for (std::uint32_t i = 0; i < 700; ++i) frames.push_back(test::frame_of(a, numbered(i)));
    const auto first = a.transmit(frames);
    EXPECT_EQ(first, 511u) << "a ring of 512 holds one less";
    EXPECT_EQ(a.stats().tx_refused.get(), frames.size() - first);
    EXPECT_EQ(a.transmit(std::span(frames).subspan(first)), 0u);

    auto got = receive_frames(b, 300);
    auto sent = first;
    sent += a.transmit(std::span(frames).subspan(sent));
    EXPECT_GT(sent, first);
    while (got.size() < frames.size()) {
      const auto more = receive_frames(b, 100);
      ASSERT_FALSE(more.empty());
      got.insert(got.end(), more.begin(), more.end());
      sent += a.transmit(std::span(frames).subspan(sent));
    }
    for (std::uint32_t i = 0; i < 700; ++i) EXPECT_EQ(number_of(got[i].bytes), i);
    EXPECT_EQ(a.stats().tx_frames.get(), 700u);
    EXPECT_EQ(b.stats().rx_frames.get(), 700u);
  }
  EXPECT_EQ(pool->in_use(), 0u);
}

TEST_F(RingPair, empty_pool__allocate_says_no_until_a_buffer_is_back) {
  {
    DpdkIo a(left, 0);
    std::vector<wire::TxFrame> all;
    wire::TxFrame frame;
    while (a.allocate(frame)) all.push_back(frame);
    EXPECT_EQ(all.size(), pool->size()) << "the last few must not be out of reach";
    EXPECT_EQ(a.stats().pool_empty.get(), 1u);
    a.discard(all.back());
    all.pop_back();
    EXPECT_TRUE(a.allocate(frame));
    all.push_back(frame);
    for (auto& one : all) a.discard(one);
    EXPECT_EQ(a.cached(), DpdkIo::cache_limit);
  }
  EXPECT_EQ(pool->in_use(), 0u);
}

TEST_F(RingPair, allocated_frame__has_the_promised_room_and_no_memory_of_the_last_one) {
  DpdkIo a(left, 0);
  wire::TxFrame frame;
  ASSERT_TRUE(a.allocate(frame));
  EXPECT_EQ(frame.capacity, a.max_frame());
  EXPECT_GE(frame.capacity, a.mtu() + 18);
  std::memset(frame.data, 0xaa, frame.capacity);
  frame.length = 99;
  frame.offload = 3;
  frame.segment_size = 1460;
  a.discard(frame);
  ASSERT_TRUE(a.allocate(frame));
  EXPECT_EQ(frame.length, 0u);
  EXPECT_EQ(frame.offload, 0);
  EXPECT_EQ(frame.segment_size, 0);
  a.discard(frame);
}

TEST_F(RingPair, frame_that_starts_later_in_its_buffer__is_sent_from_there_and_the_buffer_is_whole_again) {
  DpdkIo a(left, 0);
  DpdkIo b(right, 0);
  auto frame = test::frame_of(a, numbered(5, 100));
  std::byte* const begin = frame.data;
  frame.data += 40;
  frame.capacity -= 40;
  frame.length = 60;
  std::memset(frame.data, 0x55, 60);
  test::send_one(a, frame);
  const auto got = receive_frames(b, 1);
  ASSERT_EQ(got.size(), 1u);
  EXPECT_EQ(got[0].bytes, std::vector<std::byte>(60, std::byte{0x55}));
  wire::TxFrame again;
  ASSERT_TRUE(b.allocate(again));
  EXPECT_EQ(again.data, begin);
  b.discard(again);
}

TEST_F(RingPair, sent_to_ourselves__a_written_frame_may_be_released_like_a_received_one) {
  {
    DpdkIo a(left, 0);
    auto frame = test::frame_of(a, numbered(1));
    const auto kept = a.cached();
    a.release({&frame.handle, 1});
    EXPECT_EQ(a.cached(), kept + 1);
  }
  EXPECT_EQ(pool->in_use(), 0u);
}

TEST_F(RingPair, reused_descriptor__has_nothing_left_of_its_last_frame) {
  DpdkIo a(left, 0);
  DpdkIo b(right, 0);
  test::send_one(a, test::frame_of(a, numbered(1)));
  wire::RxFrame frame;
  frame.for_learning = true;
  frame.tcp_checksum = frame.ip_checksum = wire::ChecksumState::bad;
  ASSERT_EQ(b.receive({&frame, 1}), 1u);
  EXPECT_FALSE(frame.for_learning);
  EXPECT_EQ(frame.tcp_checksum, wire::ChecksumState::unknown);
  b.release({&frame.handle, 1});
}

TEST_F(RingPair, senders_checksum_flags__are_not_believed) {
  DpdkIo b(right, 0);
  rte_mbuf* m = rte_pktmbuf_alloc(pool->get());
  ASSERT_NE(rte_pktmbuf_append(m, 60), nullptr);
  m->ol_flags = RTE_MBUF_F_RX_IP_CKSUM_GOOD | RTE_MBUF_F_RX_L4_CKSUM_BAD | RTE_MBUF_F_TX_TCP_CKSUM;
  ASSERT_EQ(rte_eth_tx_burst(left.id(), 0, &m, 1), 1);
  const auto got = receive_frames(b, 1);
  ASSERT_EQ(got.size(), 1u);
  EXPECT_EQ(got[0].ip, wire::ChecksumState::unknown);
  EXPECT_EQ(got[0].tcp, wire::ChecksumState::unknown);
}

TEST_F(RingPair, frame_in_pieces__is_made_whole_or_dropped_and_counted) {
  {
    DpdkIo b(right, 0);
    for (const std::uint16_t piece : {std::uint16_t{100}, std::uint16_t{2000}}) {
      rte_mbuf* head = rte_pktmbuf_alloc(pool->get());
      rte_mbuf* tail = rte_pktmbuf_alloc(pool->get());
      std::memset(rte_pktmbuf_append(head, piece), 1, piece);
      std::memset(rte_pktmbuf_append(tail, piece), 2, piece);
      ASSERT_EQ(rte_pktmbuf_chain(head, tail), 0);
      ASSERT_EQ(rte_eth_tx_burst(left.id(), 0, &head, 1), 1);
    }
    const auto got = receive_frames(b, 2, std::chrono::milliseconds{20});
    ASSERT_EQ(got.size(), 1u);
    ASSERT_EQ(got[0].bytes.size(), 200u);
    EXPECT_EQ(got[0].bytes[99], std::byte{1});
    EXPECT_EQ(got[0].bytes[100], std::byte{2});
    EXPECT_EQ(b.stats().rx_dropped.get(), 1u);
  }
  EXPECT_EQ(pool->in_use(), 0u);
}

TEST_F(RingPair, buffer_that_somebody_else_still_holds__is_not_used_again) {
  DpdkIo b(right, 0);
  rte_mbuf* m = rte_pktmbuf_alloc(pool->get());
  ASSERT_NE(rte_pktmbuf_append(m, 60), nullptr);
  rte_mbuf_refcnt_update(m, 1);
  rte_mbuf* sent = m;
  ASSERT_EQ(rte_eth_tx_burst(left.id(), 0, &sent, 1), 1);
  ASSERT_EQ(receive_frames(b, 1).size(), 1u);
  EXPECT_EQ(b.cached(), 0u);
  EXPECT_EQ(pool->in_use(), 1u);
  rte_pktmbuf_free(m);
  EXPECT_EQ(pool->in_use(), 0u);
}

TEST_F(RingPair, buffer_of_another_pool__goes_home_and_is_not_used_again) {
  auto other = PacketPool::create({.buffers = 64, .frame_bytes = 256});
  ASSERT_TRUE(other);
  DpdkIo b(right, 0);
  rte_mbuf* m = rte_pktmbuf_alloc((*other)->get());
  ASSERT_NE(rte_pktmbuf_append(m, 60), nullptr);
  ASSERT_EQ(rte_eth_tx_burst(left.id(), 0, &m, 1), 1);
  ASSERT_EQ(receive_frames(b, 1).size(), 1u);
  EXPECT_EQ(b.cached(), 0u);
  EXPECT_EQ((*other)->in_use(), 0u);
}

TEST_F(RingPair, many_received_at_once__the_cache_keeps_its_limit_and_the_rest_goes_home) {
  DpdkIo a(left, 0);
  DpdkIo b(right, 0);
  std::vector<wire::TxFrame> frames;
  for (std::uint32_t i = 0; i < 500; ++i) frames.push_back(test::frame_of(a, numbered(i)));
  ASSERT_EQ(a.transmit(frames), 500u);
  std::vector<void*> handles;
  std::array<wire::RxFrame, 200> burst;
  while (true) {
    const auto got = b.receive(burst);
    ASSERT_LE(got, DpdkIo::max_burst);
    if (got == 0) break;
    for (std::size_t i = 0; i < got; ++i) handles.push_back(burst[i].handle);
  }
  ASSERT_EQ(handles.size(), 500u);
  b.release(handles);
  EXPECT_EQ(b.cached(), DpdkIo::cache_limit);
  EXPECT_EQ(pool->in_use(), a.cached() + b.cached());
}

TEST_F(RingPair, frame_handed_to_another_core__may_be_released_there) {
  {
    DpdkIo a(left, 0);
    DpdkIo b0(right, 0);
    DpdkIo b1(right, 1);
    for (std::uint32_t i = 0; i < 400; ++i) test::send_one(a, test::frame_of(a, numbered(i)));
    std::vector<void*> handles;
    std::array<wire::RxFrame, 64> burst;
    for (std::size_t got = b0.receive(burst); got != 0; got = b0.receive(burst)) {
      for (std::size_t i = 0; i < got; ++i) handles.push_back(burst[i].handle);
    }
    ASSERT_EQ(handles.size(), 400u);
    std::thread([&] {
      const ThreadRegistration registration;
      b1.release(handles);
      EXPECT_EQ(b1.cached(), DpdkIo::cache_limit);
      b1.flush_cache();
    }).join();
  }
  EXPECT_EQ(pool->in_use(), 0u);
}

TEST_F(RingPair, one_end_per_core__passes_everything_through) {
  constexpr std::uint32_t total = 20000;
  {
    DpdkIo a(left, 0);
    DpdkIo b(right, 0);
    std::uint32_t out_of_order = 0;
    std::uint32_t received = 0;
    const auto done = run_on_cores(2, [&](const CoreSlot& slot) {
      std::array<wire::RxFrame, 64> burst;
      if (slot.index == 0) {
        for (std::uint32_t i = 0; i < total;) {
          wire::TxFrame frame;
          while (!a.allocate(frame)) idle(slot);
          std::memcpy(frame.data, &i, sizeof i);
          frame.length = 60;
          while (a.transmit({&frame, 1}) == 0) idle(slot);
          ++i;
        }
        return;
      }
      while (received < total) {
        const auto got = b.receive(burst);
        if (got == 0) idle(slot);
        std::array<void*, 64> handles;
        for (std::size_t i = 0; i < got; ++i) {
          if (number_of(burst[i].bytes()) != received++) ++out_of_order;
          handles[i] = burst[i].handle;
        }
        b.release(std::span(handles).first(got));
      }
    });
    ASSERT_TRUE(done);
    EXPECT_EQ(received, total);
    EXPECT_EQ(out_of_order, 0u);
  }
  EXPECT_EQ(pool->in_use(), 0u);
}

TEST(ring_port, ends__have_different_local_addresses_and_no_offloads) {
  auto pair = make_ring_pair({.buffers_per_queue = 2048});
  ASSERT_TRUE(pair);
  EXPECT_NE(pair->first.mac(), pair->second.mac());
  EXPECT_FALSE(pair->first.mac().is_group());
  EXPECT_EQ(pair->first.mac().bytes[0] & 2, 2);
  EXPECT_EQ(pair->first.traits().tx_offloads, 0);
  EXPECT_FALSE(pair->first.rss());
  EXPECT_TRUE(pair->first.link_up());
  EXPECT_EQ(pair->first.mtu(), 1500);
}

TEST(ring_port, segmentation__large_segments_cross_whole) {
  auto pair = make_ring_pair({.buffers_per_queue = 512, .segmentation = true});
  ASSERT_TRUE(pair);
  for (const Port* port : {&pair->first, &pair->second}) {
    EXPECT_EQ(port->traits().tx_offloads, wire::tx_whole);
    EXPECT_EQ(port->mtu(), 1500);
  }
  DpdkIo a(pair->first, 0), b(pair->second, 0);
  EXPECT_EQ(a.max_frame(), 16384u);
  const auto bytes = numbered(5, 16384);
  test::send_one(a, test::frame_of(a, bytes));
  const auto there = receive_frames(b, 1);
  ASSERT_EQ(there.size(), 1u);
  EXPECT_EQ(there[0].bytes, bytes);
}

TEST(ring_port, closed_with_frames_inside__gives_all_buffers_back) {
  std::shared_ptr<PacketPool> pool;
  {
    auto pair = make_ring_pair({.buffers_per_queue = 2048});
    ASSERT_TRUE(pair);
    pool = pair->first.pool();
    DpdkIo a(pair->first, 0);
    for (std::uint32_t i = 0; i < 50; ++i) test::send_one(a, test::frame_of(a, numbered(i)));
  }
  EXPECT_EQ(pool->in_use(), 0u);
}

TEST(ring_port, by_name__the_second_to_ask_gets_the_other_end) {
  auto first = test::make_port("ring:x", {.buffers_per_queue = 2048});
  auto other = test::make_port("ring:y", {.buffers_per_queue = 2048});
  auto second = test::make_port("ring:x", {.buffers_per_queue = 2048});
  DpdkIo a(first, 0);
  DpdkIo b(second, 0);
  DpdkIo c(other, 0);
  test::send_one(a, test::frame_of(a, numbered(1)));
  EXPECT_EQ(receive_frames(b, 1).size(), 1u);
  EXPECT_TRUE(receive_frames(c, 1, std::chrono::milliseconds{5}).empty());
}

TEST(ring_port, by_name_after_the_first_end_is_gone__is_a_new_pair) {
  static_cast<void>(test::make_port("ring:z", {.buffers_per_queue = 2048}));
  auto first = test::make_port("ring:z", {.buffers_per_queue = 2048});
  auto second = test::make_port("ring:z", {.buffers_per_queue = 2048});
  DpdkIo a(first, 0);
  DpdkIo b(second, 0);
  test::send_one(a, test::frame_of(a, numbered(1)));
  EXPECT_EQ(receive_frames(b, 1).size(), 1u);
}

TEST(ring_port, ends_with_different_queues__are_refused) {
  auto first = test::make_port("ring:q", {.queues = 2, .buffers_per_queue = 2048});
  EXPECT_NE(test::port_error("ring:q", {.queues = 1, .buffers_per_queue = 2048}).what.find("queues"),
            std::string::npos);
}

TEST(ring_port, made_and_closed_often__leaks_nothing) {
  // 32 ports at most may exist, and memory is fixed: a leak of either ends this early.
  for (int i = 0; i < 40; ++i) {
    const auto pair = make_ring_pair({.buffers_per_queue = 4096});
    ASSERT_TRUE(pair) << i << ": " << pair.error().what;
  }
}

}  // namespace
}  // namespace handfast::dpdk
