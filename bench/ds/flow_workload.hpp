// SPDX-License-Identifier: BSD-3-Clause
// One workload for every flow table: random tuples, looked up in another order than they went in, and a
// control block of one cache line touched for each, as a stack would. A table under test: Table(capacity,
// blocks), find, find_batch, insert, erase.
#pragma once

#include <benchmark/benchmark.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <numeric>
#include <string>
#include <vector>

#include "base/flow_key.hpp"
#include "base/rng.hpp"
#include "on_huge_pages.hpp"

namespace handfast::bench {

struct alignas(64) ControlBlock {
  FlowKey key;
  std::uint32_t state = 0;
};

using Blocks = OnHugePages<ControlBlock>;

inline constexpr std::uint32_t absent = 0xffffffff;
inline constexpr std::size_t batch = 32;
using Slots = std::array<std::uint32_t, batch>;

inline FlowKey random_flow(Rng& rng) {
  FlowKey key;
  key.local_address = static_cast<std::uint32_t>(rng.next());
  key.remote_address = static_cast<std::uint32_t>(rng.next());
  key.ports = static_cast<std::uint32_t>(rng.next());
  return key;
}

template <class Table>
class World {
 public:
  explicit World(std::uint32_t size) : blocks(size), table(size, blocks) {
    Rng rng{size};
    for (std::uint32_t slot = 0; slot < size; ++slot) {
      blocks[slot].key = random_flow(rng);
      table.insert(blocks[slot].key, slot);
    }
    // The queries lie in a row, as keys do in the headers of a burst: only table and block are cold.
    const std::size_t count = std::min(size, 1u << 20) / batch * batch;
    std::vector<std::uint32_t> order(size);
    std::iota(order.begin(), order.end(), 0u);
    for (std::uint32_t i = size - 1; i > 0; --i) std::swap(order[i], order[rng.below(i + 1)]);
    order.resize(count);
    for (const std::uint32_t slot : order) {
      known.push_back(blocks[slot].key);
      fresh.push_back(random_flow(rng));
    }
  }

  static World& of(std::uint32_t size) {
    std::unique_ptr<World>& world = current();
    if (!world || world->blocks.size() != size) {
      world.reset();
      world = std::make_unique<World>(size);
    }
    return *world;
  }
  /// Kept from one benchmark to the next: filling it takes longer than any of them.
  static std::unique_ptr<World>& current() {
    static std::unique_ptr<World> world;
    return world;
  }

  Blocks blocks;
  Table table;
  std::vector<FlowKey> known;
  std::vector<FlowKey> fresh;
};

// Reports nanoseconds for one operation.
inline void count_operations(benchmark::State& state, std::size_t per_iteration) {
  state.counters["per_op"] =
      benchmark::Counter(static_cast<double>(per_iteration),
                         benchmark::Counter::kIsIterationInvariantRate | benchmark::Counter::kInvert);
}

template <class Table>
void find_one_by_one(benchmark::State& state) {
  auto& world = World<Table>::of(static_cast<std::uint32_t>(state.range(0)));
  std::size_t at = 0;
  std::uint32_t sum = 0;
  for (auto _ : state) {
    for (std::size_t i = 0; i < batch; ++i) sum += world.blocks[world.table.find(world.known[at + i])].state;
    at = at + batch == world.known.size() ? 0 : at + batch;
  }
  benchmark::DoNotOptimize(sum);
  count_operations(state, batch);
}

template <class Table>
void find_batch(benchmark::State& state) {
  auto& world = World<Table>::of(static_cast<std::uint32_t>(state.range(0)));
  std::size_t at = 0;
  std::uint32_t sum = 0;
  Slots slots{};
  for (auto _ : state) {
    world.table.find_batch(&world.known[at], slots);
    for (const std::uint32_t slot : slots) sum += world.blocks[slot].state;
    at = at + batch == world.known.size() ? 0 : at + batch;
  }
  benchmark::DoNotOptimize(sum);
  count_operations(state, batch);
}

template <class Table>
void find_absent(benchmark::State& state) {
  auto& world = World<Table>::of(static_cast<std::uint32_t>(state.range(0)));
  std::size_t at = 0;
  for (auto _ : state) {
    for (std::size_t i = 0; i < batch; ++i) {
      if (world.table.find(world.fresh[at + i]) != absent) std::abort();
    }
    at = at + batch == world.known.size() ? 0 : at + batch;
  }
  count_operations(state, batch);
}

// One old flow out and a new one in, in the same slot: counted as one operation.
template <class Table>
void erase_and_insert(benchmark::State& state) {
  auto& world = World<Table>::of(static_cast<std::uint32_t>(state.range(0)));
  std::size_t at = 0;
  for (auto _ : state) {
    for (std::size_t i = at; i < at + batch; ++i) {
      const std::uint32_t slot = world.table.find(world.known[i]);
      world.table.erase(world.known[i], slot);
      world.blocks[slot].key = world.fresh[i];
      world.table.insert(world.fresh[i], slot);
      std::swap(world.known[i], world.fresh[i]);
    }
    at = at + batch == world.known.size() ? 0 : at + batch;
  }
  count_operations(state, batch);
}

template <class Table>
void register_flow_benchmarks(const std::string& name) {
  for (const std::int64_t size : {1'000, 1'000'000, 10'000'000}) {
    const auto add = [&](const char* what, void (*run)(benchmark::State&)) {
      benchmark::RegisterBenchmark((std::string{what} + "/" + name).c_str(), run)->Arg(size)->MinTime(0.3);
    };
    add("find", find_one_by_one<Table>);
    add("find_batch", find_batch<Table>);
    add("find_absent", find_absent<Table>);
    add("erase_insert", erase_and_insert<Table>);
  }
}

}  // namespace handfast::bench
