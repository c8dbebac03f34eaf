// SPDX-License-Identifier: BSD-3-Clause
// ReceiveBuffer by itself: places over all of the sequence space, memory, blocks to report.
// Layer: tests of the protocol's parts; knows of no frame.
#include "tcp/receive_buffer.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <string>
#include <string_view>

namespace handfast::tcp {
namespace {

std::span<const std::byte> bytes(std::string_view text) { return std::as_bytes(std::span{text}); }

std::string text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

TEST(ReceiveBuffer, one_gib__no_two_bytes_of_a_window_share_a_place) {
  ChunkPool all{64};
  ReceiveChunks pool{all};
  const Seq begin{0xf0000123};
  ReceiveBuffer buffer;
  buffer.unread = begin;
  // Bytes at all distances that are a power of two, and the last ones.
  std::vector<std::pair<std::uint32_t, std::string>> put;
  for (unsigned bit = 11; bit < 30; ++bit) put.emplace_back(1u << bit, "at " + std::to_string(bit));
  put.emplace_back(max_receive_buffer - 3, "end");
  for (const auto& [at, what] : put) ASSERT_TRUE(buffer.put(pool, begin, begin + at, bytes(what)));
  EXPECT_EQ(buffer.beyond.size(), put.size());
  for (const auto& [at, what] : put) {
    buffer.consume(pool, distance(buffer.unread, begin + at));
    EXPECT_EQ(text_of(buffer.front(buffer.unread + static_cast<std::uint32_t>(what.size()))), what) << at;
  }
  buffer.clear(pool);
  EXPECT_EQ(pool.in_use(), 0u);
}

TEST(ReceiveBuffer, stream_through_it__holds_what_is_unread_and_no_more) {
  ChunkPool all{2000};
  ReceiveChunks pool{all};
  ReceiveBuffer buffer;
  Seq nxt{0u - 3000000};  // across the wrap, and across directories on both levels
  buffer.unread = nxt;
  const std::string piece(5000, 'p');
  for (int i = 0; i < 60000; ++i) {  // 300 MB
    ASSERT_TRUE(buffer.put(pool, nxt, nxt, bytes(piece)));
    nxt += 5000;
    if (distance(buffer.unread, nxt) > 100000) buffer.consume(pool, 5000);
    ASSERT_LE(pool.in_use(), 100000u / chunk_bytes + 2 + 4);
  }
  buffer.consume(pool, distance(buffer.unread, nxt));
  EXPECT_LE(pool.in_use(), 3u);
  buffer.clear(pool);
  EXPECT_EQ(pool.in_use(), 0u);
}

TEST(ReceiveBuffer, put__takes_no_more_chunks_than_chunks_for_says) {
  const std::string big(65536, 'x');
  for (const std::size_t length : {std::size_t{1}, std::size_t{1460}, std::size_t{9000}, big.size()})
    for (const std::uint32_t before_edge : {0u, 1u, 1000u, 2047u}) {
      ChunkPool all{512};
      ReceiveChunks pool{all};
      ReceiveBuffer buffer;
      // Where two directories of directories meet, with the set of ranges about to need its first chunks.
      const Seq edge{1u << 27};
      buffer.unread = edge - 100000;
      for (std::uint32_t i = 0; i < few_out_of_order_ranges; ++i)
        ASSERT_TRUE(buffer.put(pool, buffer.unread, buffer.unread + 2 + 2 * i, bytes("r")));
      const std::uint32_t used = pool.in_use();
      const Seq at = edge - before_edge;
      ASSERT_TRUE(buffer.put(pool, buffer.unread, at, std::as_bytes(std::span{big}.first(length))));
      EXPECT_LE(pool.in_use() - used, chunks_for(length));
      buffer.clear(pool);
    }
}

TEST(ReceiveBuffer, ranges_used_up__nothing_is_taken_and_what_joins_still_is) {
  ChunkPool all{1000};
  ReceiveChunks pool{all};
  ReceiveBuffer buffer;
  const Seq begin{77};
  buffer.unread = begin;
  for (std::uint32_t i = 0; i < max_out_of_order_ranges; ++i)
    ASSERT_TRUE(buffer.put(pool, begin, begin + 2 + 2 * i, bytes("r")));
  const std::uint32_t used = pool.in_use();
  EXPECT_FALSE(buffer.put(pool, begin, begin + 100000, bytes("no")));
  EXPECT_EQ(pool.in_use(), used);
  EXPECT_TRUE(buffer.put(pool, begin, begin + 3, bytes("j")));
  EXPECT_TRUE(buffer.put(pool, begin, begin + 100000, bytes("yes")));
  buffer.clear(pool);
}

TEST(ReceiveBuffer, blocks_to_report__latest_first_and_each_range_once) {
  ChunkPool all{100};
  ReceiveChunks pool{all};
  ReceiveBuffer buffer;
  const Seq begin{0u - 50};
  buffer.unread = begin;
  const auto range = [&](std::uint32_t left, std::uint32_t right) {
    return ds::Range{begin + left, begin + right};
  };
  const auto report = [&](unsigned n) {
    std::array<ds::Range, 12> out;
    const unsigned written = buffer.blocks_to_report(std::span{out}.first(n));
    return std::vector<ds::Range>{out.begin(), out.begin() + written};
  };
  const auto put = [&](std::uint32_t at, std::string_view what) {
    ASSERT_TRUE(buffer.put(pool, begin, begin + at, bytes(what)));
  };
  for (std::uint32_t i = 1; i <= 10; ++i) put(10 * i, "xx");
  EXPECT_EQ(report(3), (std::vector{range(100, 102), range(90, 92), range(80, 82)}));
  put(32, "y");
  EXPECT_EQ(report(3), (std::vector{range(30, 33), range(100, 102), range(90, 92)}));
  put(92, "zzzzzzzz");  // joins the two that came before it
  EXPECT_EQ(report(3), (std::vector{range(90, 102), range(30, 33), range(80, 82)}));
  put(40, "x");  // again
  EXPECT_EQ(report(3), (std::vector{range(40, 42), range(90, 102), range(30, 33)}));
  // More than are remembered: the others follow in their order.
  EXPECT_EQ(report(12).size(), 9u);
  EXPECT_EQ(buffer.beyond.size(), 9u);
  buffer.clear(pool);
}

}  // namespace
}  // namespace handfast::tcp
