// SPDX-License-Identifier: BSD-3-Clause
// Slab and ObjectPool: order of reuse, limits, stale handles, and what is not touched.
#include "ds/slab.hpp"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <thread>
#include <vector>

#include "seeded.hpp"

namespace handfast::ds {
namespace {

struct Item {
  std::uint32_t next_free;
  std::uint32_t generation;
  std::uint64_t payload[7];
};

TEST(Slab, allocate__fresh__takes_slots_in_order_and_zeroed) {
  Slab<Item> slab{3};
  for (std::uint32_t i = 0; i < 3; ++i) {
    const std::uint32_t index = slab.allocate();
    ASSERT_EQ(index, i);
    EXPECT_EQ(slab[index].payload[6], 0u);
    EXPECT_EQ(slab.index_of(slab[index]), index);
    EXPECT_EQ(slab.size(), i + 1);
    EXPECT_EQ(slab.high_water(), i + 1);
  }
  EXPECT_EQ(slab.allocate(), Slab<Item>::npos);
  EXPECT_EQ(slab.size(), 3u);
}

TEST(Slab, allocate__capacity_zero__is_always_full) {
  Slab<Item> slab{0};
  EXPECT_EQ(slab.allocate(), Slab<Item>::npos);
  EXPECT_FALSE(slab.is_live(0, 1));
}

TEST(Slab, free__then_allocate__last_in_first_out_and_no_new_slot) {
  Slab<Item> slab{8};
  const std::uint32_t a = slab.allocate();
  const std::uint32_t b = slab.allocate();
  const std::uint32_t c = slab.allocate();
  slab.free(a);
  slab.free(c);
  slab.free(b);
  EXPECT_EQ(slab.allocate(), b);
  EXPECT_EQ(slab.allocate(), c);
  EXPECT_EQ(slab.allocate(), a);
  EXPECT_EQ(slab.high_water(), 3u);
}

TEST(Slab, is_live__stale_handle__is_found_out) {
  Slab<Item> slab{2};
  const std::uint32_t index = slab.allocate();
  const std::uint32_t first = slab.generation(index);
  EXPECT_EQ(first & 1, 1u);
  EXPECT_TRUE(slab.is_live(index, first));
  slab.free(index);
  EXPECT_FALSE(slab.is_live(index, first));
  EXPECT_FALSE(slab.is_live(index, slab.generation(index)));  // even: nobody's
  ASSERT_EQ(slab.allocate(), index);
  EXPECT_FALSE(slab.is_live(index, first));
  EXPECT_TRUE(slab.is_live(index, first + 2));
  EXPECT_FALSE(slab.is_live(1, 0));  // never used
  EXPECT_FALSE(slab.is_live(2, 1));  // out of bounds
  EXPECT_FALSE(slab.is_live(Slab<Item>::npos, 1));
}

TEST(Slab, generation__wraps__stays_odd_while_live) {
  Slab<Item> slab{1};
  const std::uint32_t index = slab.allocate();
  slab[index].generation = 0xffffffff;
  slab.free(index);
  EXPECT_EQ(slab.generation(index), 0u);
  EXPECT_FALSE(slab.is_live(index, 0));
  ASSERT_EQ(slab.allocate(), index);
  EXPECT_TRUE(slab.is_live(index, 1));
}

TEST(SlabDeathTest, free__twice__asserts) {
  Slab<Item> slab{2};
  const std::uint32_t index = slab.allocate();
  slab.free(index);
  EXPECT_DEATH(slab.free(index), "assertion failed");
  EXPECT_DEATH(slab.free(1), "assertion failed");  // never allocated
}

TEST(Slab, construct__huge_capacity__commits_only_what_is_used) {
  constexpr std::uint32_t capacity = 1u << 28;  // 16 GiB of slots
  Slab<Item> slab{capacity};
  const std::uint32_t index = slab.allocate();
  slab[index].payload[0] = 1;
  const auto far = reinterpret_cast<std::uintptr_t>(&slab[capacity / 2]) & ~std::uintptr_t{4095};
  unsigned char resident = 1;
  ASSERT_EQ(mincore(reinterpret_cast<void*>(far), 4096, &resident), 0);
  EXPECT_EQ(resident & 1, 0);
}

TEST(Slab, random_use__against_a_set__never_hands_out_a_live_slot) {
  Rng rng = test::seeded_rng();
  constexpr std::uint32_t capacity = 64;
  Slab<Item> slab{capacity};
  std::array<std::uint32_t, capacity> generation_of{};  // 0: not allocated
  std::vector<std::uint32_t> live;
  for (int step = 0; step < 100'000; ++step) {
    if (rng.below(2) == 0) {
      const std::uint32_t index = slab.allocate();
      ASSERT_EQ(index == slab.npos, live.size() == capacity);
      if (index == slab.npos) continue;
      ASSERT_EQ(generation_of[index], 0u);
      generation_of[index] = slab.generation(index);
      live.push_back(index);
    } else if (!live.empty()) {
      const std::uint32_t at = rng.below(static_cast<std::uint32_t>(live.size()));
      std::swap(live[at], live.back());
      ASSERT_TRUE(slab.is_live(live.back(), generation_of[live.back()]));
      slab.free(live.back());
      generation_of[live.back()] = 0;
      live.pop_back();
    }
    ASSERT_EQ(slab.size(), live.size());
  }
}

TEST(Slab, is_live__from_another_thread__sees_every_reuse) {
  Slab<Item> slab{1};
  std::atomic<std::uint32_t> known{0};
  std::atomic<bool> done{false};
  std::thread reader{[&] {
    while (!done.load()) {
      const std::uint32_t generation = known.load(std::memory_order_acquire);
      // Freed before the next one is announced: whatever is live now, it is not older than what was
      // announced.
      const std::uint32_t now = slab.generation(0);
      EXPECT_GE(now, generation);
      if (now != generation) {
        EXPECT_FALSE(slab.is_live(0, generation));
      }
    }
  }};
  for (int i = 0; i < 50'000; ++i) {
    const std::uint32_t index = slab.allocate();
    known.store(slab.generation(index), std::memory_order_release);
    slab.free(index);
  }
  done.store(true);
  reader.join();
}

TEST(ObjectPool, allocate__until_empty_and_back__every_object_once_last_in_first_out) {
  struct Plain {
    std::uint64_t words[3];
  };
  ObjectPool<Plain> pool{4};
  EXPECT_EQ(pool.capacity(), 4u);
  std::vector<Plain*> taken;
  for (int i = 0; i < 4; ++i) taken.push_back(pool.allocate());
  EXPECT_EQ(pool.allocate(), nullptr);
  EXPECT_EQ(pool.in_use(), 4u);
  std::vector<Plain*> distinct = taken;
  std::sort(distinct.begin(), distinct.end());
  EXPECT_EQ(std::unique(distinct.begin(), distinct.end()), distinct.end());
  pool.free(taken[1]);
  pool.free(taken[3]);
  EXPECT_EQ(pool.in_use(), 2u);
  EXPECT_EQ(pool.allocate(), taken[3]);
  EXPECT_EQ(pool.allocate(), taken[1]);
}

TEST(ObjectPool, allocate__object_of_one_word__works) {
  ObjectPool<std::uint64_t> pool{2};
  std::uint64_t* a = pool.allocate();
  std::uint64_t* b = pool.allocate();
  pool.free(a);
  pool.free(b);
  EXPECT_EQ(pool.allocate(), b);
  EXPECT_EQ(pool.allocate(), a);
  EXPECT_EQ(pool.allocate(), nullptr);
}

TEST(ObjectPoolDeathTest, free__foreign_pointer__asserts) {
  ObjectPool<std::uint64_t> pool{2};
  ASSERT_NE(pool.allocate(), nullptr);
  std::uint64_t foreign = 0;
  EXPECT_DEATH(pool.free(&foreign), "assertion failed");
}

}  // namespace
}  // namespace handfast::ds
