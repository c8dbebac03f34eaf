// SPDX-License-Identifier: BSD-3-Clause
// Counters that one thread publishes and others read: each number is whole, and none runs backwards.
// Layer: test of threads; to be run under ThreadSanitizer as well.
#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

#include "shard/published_stats.hpp"

namespace handfast::test {
namespace {

TEST(PublishedStats, two_readers_beside_the_owner__numbers_are_whole_and_only_grow) {
  shard::PublishedStats published;
  constexpr std::uint64_t rounds = 20000, step = 0x0000'0001'0000'0001;  // both halves, always equal
  std::atomic<bool> done{false};
  std::atomic<std::uint64_t> torn{0}, backwards{0}, looked{0};
  std::vector<std::thread> readers;
  for (int i = 0; i < 2; ++i)
    readers.emplace_back([&] {
      CoreStats last;
      while (!done.load(std::memory_order_relaxed)) {
        const CoreStats now = published.read();
        for (const std::uint64_t n : {now.frames_in, now.established, now.drops.back()})
          torn += n >> 32 != (n & 0xffffffff);
        backwards += now.frames_in < last.frames_in || now.established < last.established ||
                     now.drops.back() < last.drops.back();
        last = now;
        ++looked;
      }
    });
  while (looked < 4) std::this_thread::yield();
  CoreStats mine;
  for (std::uint64_t i = 0; i < rounds; ++i) {
    mine.frames_in += step;
    mine.established += step;
    mine.drops.back() += step;
    published.publish(mine);
    if (i % 256 == 0) std::this_thread::yield();
  }
  done = true;
  for (std::thread& reader : readers) reader.join();
  EXPECT_EQ(torn, 0u);
  EXPECT_EQ(backwards, 0u);
  EXPECT_EQ(published.read().frames_in, rounds * step);
}

}  // namespace
}  // namespace handfast::test
