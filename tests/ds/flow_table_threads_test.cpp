// SPDX-License-Identifier: BSD-3-Clause
// FlowTable with readers on other threads: what is there throughout is always found, what is absent
// throughout never, and a flow that moves between slots is never absent. To be run under TSan as well.
#include <gtest/gtest.h>

#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

#include "ds/flow_table.hpp"
#include "seeded.hpp"

namespace handfast::ds {
namespace {

// Each slot holds the number of its flow, as an owner would keep a key that others may read.
struct NoKeys {
  const FlowKey& operator()(std::uint32_t) const { return none; }
  static constexpr FlowKey none{};
};

class World {
 public:
  static constexpr std::uint32_t permanent = 60;  // flows 0 to 59: there throughout
  static constexpr std::uint32_t churning = 300;  // then these come and go
  static constexpr std::uint32_t absent = 100;    // and these never exist
  static constexpr std::uint32_t slots = permanent * 2 + churning;
  static constexpr std::uint32_t nobody = 0xffffffff;

  explicit World(Rng& rng) : rng_(rng.next()), table_(4 * (permanent + churning)), flow_in_(slots) {
    for (unsigned i = 0; i < 10; ++i) hashes_.push_back(rng_.next());  // few: long chains, many equal tags
    for (auto& flow : flow_in_) flow.store(nobody);
    for (std::uint32_t slot = 0; slot < slots; ++slot) vacant_.push_back(slot);
    slot_of_.resize(permanent + churning, nobody);
    // The permanent ones come last, and so live beyond buckets that others first fill and then leave.
    for (std::uint32_t i = 0; i < permanent + churning; ++i) {
      const std::uint32_t flow = (i + permanent) % (permanent + churning);
      slot_of_[flow] = take_vacant(flow);
      EXPECT_TRUE(table_.insert(hash_of(flow), slot_of_[flow]));
    }
  }

  std::uint64_t hash_of(std::uint32_t flow) const { return hashes_[flow % hashes_.size()]; }

  void owner_step() {
    const std::uint32_t flow = rng_.below(permanent + churning);
    std::uint32_t& slot = slot_of_[flow];
    if (slot == nobody) {
      const std::uint32_t taken = take_vacant(flow);
      if (table_.insert(hash_of(flow), taken)) {
        slot = taken;
      } else {
        release(taken);
      }
    } else if (flow < permanent) {
      const std::uint32_t taken = take_vacant(flow);
      ASSERT_TRUE(table_.replace(hash_of(flow), slot, taken));
      release(slot);
      slot = taken;
    } else {
      ASSERT_TRUE(table_.erase(hash_of(flow), slot));
      release(slot);
      slot = nobody;
    }
  }

  std::uint32_t look_up(std::uint32_t flow) const {
    return table_.find_concurrent(hash_of(flow), [&](std::uint32_t slot) {
      return flow_in_[slot].load(std::memory_order_acquire) == flow;
    });
  }

  template <class F>
  void snapshot(F&& visit) const {
    table_.snapshot(visit);
  }

 private:
  std::uint32_t take_vacant(std::uint32_t flow) {
    // Any, so that a slot soon serves another flow: what a reader with an old slot in hand must survive.
    const std::uint32_t at = rng_.below(static_cast<std::uint32_t>(vacant_.size()));
    std::swap(vacant_[at], vacant_.back());
    const std::uint32_t slot = vacant_.back();
    vacant_.pop_back();
    flow_in_[slot].store(flow, std::memory_order_release);
    return slot;
  }
  void release(std::uint32_t slot) {
    flow_in_[slot].store(nobody, std::memory_order_release);
    vacant_.push_back(slot);
  }

  Rng rng_;
  FlowTable<NoKeys> table_;
  std::vector<std::uint64_t> hashes_;
  std::vector<std::atomic<std::uint32_t>> flow_in_;
  std::vector<std::uint32_t> slot_of_;
  std::vector<std::uint32_t> vacant_;
};

TEST(FlowTableThreads, readers_beside_a_writer__see_what_is_there_and_nothing_else) {
  Rng rng = test::seeded_rng();
  World world{rng};
  std::atomic<int> ready{0};
  std::atomic<bool> done{false};
  std::atomic<std::uint64_t> missed{0}, invented{0}, looked{0};

  const auto finder = [&](std::uint64_t seed) {
    Rng own{seed};
    ready.fetch_add(1);
    while (!done.load(std::memory_order_relaxed)) {
      if (world.look_up(own.below(World::permanent)) == FlowTable<NoKeys>::npos) missed.fetch_add(1);
      const std::uint32_t never = World::permanent + World::churning + own.below(World::absent);
      if (world.look_up(never) != FlowTable<NoKeys>::npos) invented.fetch_add(1);
      looked.fetch_add(1, std::memory_order_relaxed);
    }
  };
  const auto walker = [&] {
    ready.fetch_add(1);
    while (!done.load(std::memory_order_relaxed)) {
      std::uint32_t visited = 0, out_of_bounds = 0;
      world.snapshot([&](std::uint32_t slot) {
        ++visited;
        if (slot >= World::slots) ++out_of_bounds;
      });
      // Each permanent flow stays in its place of its bucket whatever its slot is.
      if (visited < World::permanent) missed.fetch_add(1);
      if (out_of_bounds != 0 || visited > World::permanent + World::churning + 144) invented.fetch_add(1);
      looked.fetch_add(1, std::memory_order_relaxed);
    }
  };
  std::thread first{finder, rng.next()};
  std::thread second{finder, rng.next()};
  std::thread third{walker};
  while (ready.load() != 3) std::this_thread::yield();
  for (int step = 0; step < 300'000; ++step) {
    world.owner_step();
    if (step % 1000 == 0) std::this_thread::yield();
  }
  while (looked.load() < 100) std::this_thread::yield();
  done.store(true);
  first.join();
  second.join();
  third.join();
  EXPECT_EQ(missed.load(), 0u);
  EXPECT_EQ(invented.load(), 0u);
}

}  // namespace
}  // namespace handfast::ds
