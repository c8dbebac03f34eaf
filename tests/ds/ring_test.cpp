// SPDX-License-Identifier: BSD-3-Clause
// SpscRing and MpscRing: limits, wrap-around, order, and threads (to be run under TSan as well).
#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <memory>
#include <thread>
#include <vector>

#include "ds/mpsc_ring.hpp"
#include "ds/spsc_ring.hpp"

namespace handfast::ds {
namespace {

TEST(SpscRing, capacity__is_rounded_up_and_all_of_it_usable) {
  for (const auto& [asked, given] : {std::pair{0, 1}, {1, 1}, {2, 2}, {3, 4}, {1000, 1024}}) {
    SpscRing<int> ring{static_cast<std::size_t>(asked)};
    EXPECT_EQ(ring.capacity(), static_cast<std::size_t>(given));
    for (int i = 0; i < given; ++i) EXPECT_TRUE(ring.push(i));
    EXPECT_FALSE(ring.push(-1));
    EXPECT_EQ(ring.size(), ring.capacity());
    for (int i = 0, value = -1; i < given; ++i) {
      ASSERT_TRUE(ring.pop(value));
      EXPECT_EQ(value, i);
    }
    int value = 7;
    EXPECT_FALSE(ring.pop(value));
    EXPECT_EQ(value, 7);
  }
}

TEST(SpscRing, pop_in_bulk__across_the_wrap__in_order) {
  SpscRing<int> ring{8};
  std::array<int, 16> out{};
  int next_in = 0, next_out = 0;
  for (int round = 0; round < 100; ++round) {
    for (int i = 0; i < round % 9; ++i) ASSERT_TRUE(ring.push(next_in++));
    const std::size_t wanted = static_cast<std::size_t>(round % 5);
    const std::size_t count = ring.pop(std::span<int>{out}.first(wanted));
    EXPECT_EQ(count, std::min(wanted, static_cast<std::size_t>(next_in - next_out)));
    for (std::size_t i = 0; i < count; ++i) ASSERT_EQ(out[i], next_out++);
    const std::size_t rest = ring.pop(out);
    for (std::size_t i = 0; i < rest; ++i) ASSERT_EQ(out[i], next_out++);
    ASSERT_EQ(next_in, next_out);
  }
}

TEST(SpscRing, two_threads__everything_once_and_in_order) {
  constexpr std::uint64_t count = 200'000;
  SpscRing<std::uint64_t> ring{64};
  std::thread producer{[&] {
    for (std::uint64_t i = 0; i < count;) {
      if (ring.push(i)) {
        ++i;
      } else {
        std::this_thread::yield();
      }
    }
  }};
  std::array<std::uint64_t, 7> out{};
  for (std::uint64_t expected = 0; expected < count;) {
    const std::size_t got = ring.pop(out);
    if (got == 0) std::this_thread::yield();
    for (std::size_t i = 0; i < got; ++i) ASSERT_EQ(out[i], expected++);
  }
  producer.join();
  EXPECT_EQ(ring.size(), 0u);
}

TEST(MpscRing, capacity__is_rounded_up_and_all_of_it_usable) {
  for (const auto& [asked, given] : {std::pair{0, 2}, {1, 2}, {2, 2}, {3, 4}, {1000, 1024}}) {
    MpscRing<int> ring{static_cast<std::size_t>(asked)};
    EXPECT_EQ(ring.capacity(), static_cast<std::size_t>(given));
    for (int lap = 0; lap < 3; ++lap) {
      for (int i = 0; i < given; ++i) EXPECT_TRUE(ring.push(i));
      EXPECT_FALSE(ring.push(-1));
      for (int i = 0, value = -1; i < given; ++i) {
        ASSERT_TRUE(ring.pop(value));
        EXPECT_EQ(value, i);
      }
      int value = 7;
      EXPECT_FALSE(ring.pop(value));
      EXPECT_EQ(value, 7);
    }
  }
}

TEST(MpscRing, move_only__is_taken_and_given) {
  MpscRing<std::unique_ptr<int>> ring{2};
  ASSERT_TRUE(ring.push(std::make_unique<int>(5)));
  std::unique_ptr<int> out;
  ASSERT_TRUE(ring.pop(out));
  EXPECT_EQ(*out, 5);
}

TEST(MpscRing, three_producers__everything_once_and_each_in_order) {
  constexpr std::uint32_t producers = 3, count = 50'000;
  struct Message {
    std::uint32_t from, number;
  };
  MpscRing<Message> ring{64};
  std::vector<std::thread> threads;
  for (std::uint32_t from = 0; from < producers; ++from) {
    threads.emplace_back([&ring, from] {
      for (std::uint32_t i = 0; i < count;) {
        if (ring.push({from, i})) {
          ++i;
        } else {
          std::this_thread::yield();
        }
      }
    });
  }
  std::array<std::uint32_t, producers> expected{};
  for (std::uint32_t received = 0; received < producers * count;) {
    Message message{};
    if (!ring.pop(message)) {
      std::this_thread::yield();
      continue;
    }
    ASSERT_LT(message.from, producers);
    ASSERT_EQ(message.number, expected[message.from]++);
    ++received;
  }
  for (std::thread& thread : threads) thread.join();
  Message none{};
  EXPECT_FALSE(ring.pop(none));
}

}  // namespace
}  // namespace handfast::ds
