// SPDX-License-Identifier: BSD-3-Clause
// The flow tables that need nothing but this library and Boost, under one interface for flow_workload.hpp.
#pragma once

#include <boost/unordered_map.hpp>
#include <unordered_map>

#include "ds/flow_hash.hpp"
#include "ds/flow_table.hpp"
#include "flow_workload.hpp"

namespace handfast::bench {

inline constexpr ds::FlowHasher hasher{
    {0x243f6a8885a308d3, 0x13198a2e03707344, 0xa4093822299f31d0, 0x082efa98ec4e6c89}};

class Handfast {
 public:
  Handfast(std::uint32_t capacity, const Blocks& blocks)
      : blocks_(&blocks[0]), table_(capacity, KeyOf{&blocks[0]}) {}

  std::uint32_t find(const FlowKey& key) const { return table_.find(hasher(key), key); }
  void find_batch(const FlowKey* keys, Slots& slots) const {
    std::array<std::uint64_t, batch> hashes;
    for (std::size_t i = 0; i < batch; ++i) table_.prefetch(hashes[i] = hasher(keys[i]));
    for (std::size_t i = 0; i < batch; ++i) {
      const std::uint32_t slot = table_.candidate(hashes[i]);
      if (slot != absent) ds::prefetch(&blocks_[slot]);
    }
    for (std::size_t i = 0; i < batch; ++i) slots[i] = table_.find(hashes[i], keys[i]);
  }
  void insert(const FlowKey& key, std::uint32_t slot) {
    if (!table_.insert(hasher(key), slot)) std::abort();
  }
  void erase(const FlowKey& key, std::uint32_t slot) {
    if (!table_.erase(hasher(key), slot)) std::abort();
  }

 private:
  struct KeyOf {
    const ControlBlock* blocks;
    const FlowKey& operator()(std::uint32_t slot) const { return blocks[slot].key; }
  };
  const ControlBlock* blocks_;
  ds::FlowTable<KeyOf> table_;
};

struct HashOfKey {
  std::size_t operator()(const FlowKey& key) const { return hasher(key); }
};

template <class Map>
class NodeMap {
 public:
  NodeMap(std::uint32_t capacity, const Blocks&) { map_.reserve(capacity); }
  std::uint32_t find(const FlowKey& key) const {
    const auto found = map_.find(key);
    return found == map_.end() ? absent : found->second;
  }
  void find_batch(const FlowKey* keys, Slots& slots) const {
    for (std::size_t i = 0; i < batch; ++i) slots[i] = find(keys[i]);
  }
  void insert(const FlowKey& key, std::uint32_t slot) { map_.emplace(key, slot); }
  void erase(const FlowKey& key, std::uint32_t) { map_.erase(key); }

 private:
  Map map_;
};
using StdMap = NodeMap<std::unordered_map<FlowKey, std::uint32_t, HashOfKey>>;
using BoostMap = NodeMap<boost::unordered_map<FlowKey, std::uint32_t, HashOfKey>>;

}  // namespace handfast::bench
