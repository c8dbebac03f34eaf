// SPDX-License-Identifier: BSD-3-Clause
// FlowTable, the owner's side: against a plain map, under collisions, at its limits.
#include "ds/flow_table.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <set>
#include <unordered_map>
#include <vector>

#include "ds/flow_hash.hpp"
#include "seeded.hpp"

namespace handfast::ds {
namespace {

struct Keys {
  const std::vector<FlowKey>* keys;
  const FlowKey& operator()(std::uint32_t slot) const { return (*keys)[slot]; }
};
using Table = FlowTable<Keys>;

FlowKey numbered_key(std::uint32_t number) {
  return FlowKey{{Ipv4Address{10, 0, 0, 1}, 80}, {Ipv4Address{number}, static_cast<Port>(number)}};
}

std::vector<FlowKey> numbered_keys(std::uint32_t count) {
  std::vector<FlowKey> keys;
  for (std::uint32_t i = 0; i < count; ++i) keys.push_back(numbered_key(i));
  return keys;
}

TEST(FlowBucket, matching__any_tags__same_as_portable) {
  Rng rng = test::seeded_rng();
  for (int round = 0; round < 10'000; ++round) {
    FlowBucket bucket;
    std::memset(static_cast<void*>(&bucket), 0xff, sizeof bucket);
    for (std::uint16_t& tag : bucket.tags) tag = static_cast<std::uint16_t>(rng.below(4) * 0x4001);
    for (const std::uint16_t tag : std::array<std::uint16_t, 5>{0, 0x4001, 0x8002, 0xc003, 0xffff}) {
      EXPECT_EQ(bucket.matching(tag), bucket.matching_portable(tag));
    }
  }
}

TEST(FlowTable, insert_find_erase__one_entry) {
  const std::vector<FlowKey> keys = numbered_keys(2);
  Table table{10, Keys{&keys}};
  constexpr std::uint64_t hash = 0x1234'0000'8765'4321;
  EXPECT_EQ(table.find(hash, keys[0]), Table::npos);
  EXPECT_EQ(table.candidate(hash), Table::npos);
  EXPECT_FALSE(table.erase(hash, 0));
  ASSERT_TRUE(table.insert(hash, 0));
  table.prefetch(hash);
  EXPECT_EQ(table.size(), 1u);
  EXPECT_EQ(table.find(hash, keys[0]), 0u);
  EXPECT_EQ(table.candidate(hash), 0u);
  EXPECT_EQ(table.find(hash, keys[1]), Table::npos);  // same hash, another key
  EXPECT_FALSE(table.erase(hash, 1));
  EXPECT_TRUE(table.erase(hash, 0));
  EXPECT_EQ(table.find(hash, keys[0]), Table::npos);
  EXPECT_EQ(table.size(), 0u);
}

TEST(FlowTable, capacity_zero__is_full_and_empty) {
  const std::vector<FlowKey> keys = numbered_keys(1);
  Table table{0, Keys{&keys}};
  EXPECT_EQ(table.find(~std::uint64_t{0}, keys[0]), Table::npos);
  EXPECT_FALSE(table.insert(~std::uint64_t{0}, 0));
}

TEST(FlowTable, extreme_hashes__stay_in_bounds) {
  const std::vector<FlowKey> keys = numbered_keys(144);
  Table table{144, Keys{&keys}};
  for (std::uint32_t i = 0; i < 144; ++i) ASSERT_TRUE(table.insert(~std::uint64_t{0}, i));  // the last home
  for (std::uint32_t i = 0; i < 144; ++i) ASSERT_EQ(table.find(~std::uint64_t{0}, keys[i]), i);
  for (std::uint32_t i = 0; i < 144; ++i) ASSERT_TRUE(table.erase(~std::uint64_t{0}, i));
  EXPECT_TRUE(table.insert(0, 0));  // a tag of 0 means an empty place: it must not be this entry's
  EXPECT_EQ(table.find(0, keys[0]), 0u);
}

TEST(FlowTable, all_hashes_equal__holds_sixteen_buckets_full_then_says_so) {
  Rng rng = test::seeded_rng();
  constexpr std::uint32_t reach = Table::max_probe * FlowBucket::entries;
  const std::vector<FlowKey> keys = numbered_keys(reach + 1);
  Table table{10'000, Keys{&keys}};
  constexpr std::uint64_t hash = 42;
  const auto hash_of = [&](std::uint32_t) { return hash; };
  for (std::uint32_t i = 0; i < reach; ++i) ASSERT_TRUE(table.insert(hash, i));
  EXPECT_FALSE(table.insert(hash, reach));
  EXPECT_EQ(table.size(), reach);
  EXPECT_EQ(table.find(hash, keys[reach]), Table::npos);
  EXPECT_TRUE(table.invariants(hash_of));

  std::vector<std::uint32_t> order;
  for (std::uint32_t i = 0; i < reach; ++i) order.push_back(i);
  while (!order.empty()) {
    for (const std::uint32_t slot : order) ASSERT_EQ(table.find(hash, keys[slot]), slot);
    const std::uint32_t at = rng.below(static_cast<std::uint32_t>(order.size()));
    ASSERT_TRUE(table.erase(hash, order[at]));
    ASSERT_EQ(table.find(hash, keys[order[at]]), Table::npos);
    order[at] = order.back();
    order.pop_back();
    ASSERT_TRUE(table.invariants(hash_of));
  }
}

TEST(FlowTable, replace__same_key_in_another_slot) {
  std::vector<FlowKey> keys = numbered_keys(3);
  keys[2] = keys[0];
  Table table{10, Keys{&keys}};
  ASSERT_TRUE(table.insert(7, 0));
  ASSERT_TRUE(table.insert(7, 1));
  EXPECT_TRUE(table.replace(7, 0, 2));
  EXPECT_EQ(table.find(7, keys[0]), 2u);
  EXPECT_EQ(table.find(7, keys[1]), 1u);
  EXPECT_FALSE(table.replace(7, 0, 2));
  EXPECT_FALSE(table.erase(7, 0));
  EXPECT_TRUE(table.erase(7, 2));
  EXPECT_EQ(table.size(), 1u);
}

TEST(FlowTable, filled_to_capacity__random_hashes__everything_fits) {
  Rng rng = test::seeded_rng();
  constexpr std::uint32_t capacity = 200'000;
  const std::vector<FlowKey> keys = numbered_keys(capacity + 1);
  const FlowHasher hasher{{rng.next(), rng.next(), rng.next(), rng.next()}};
  Table table{capacity, Keys{&keys}};
  for (std::uint32_t i = 0; i < capacity; ++i) ASSERT_TRUE(table.insert(hasher(keys[i]), i));
  EXPECT_FALSE(table.insert(hasher(keys[capacity]), capacity));
  for (std::uint32_t i = 0; i < capacity; ++i) ASSERT_EQ(table.find(hasher(keys[i]), keys[i]), i);
  std::set<std::uint32_t> seen;
  table.snapshot([&](std::uint32_t slot) { EXPECT_TRUE(seen.insert(slot).second); });
  EXPECT_EQ(seen.size(), capacity);
}

// Random calls; the hash has few enough values that chains grow long, and the table may be nearly full.
void compare_with_map(std::uint32_t capacity, unsigned load_percent, unsigned distinct_hashes, int steps) {
  SCOPED_TRACE(testing::Message() << capacity << " at " << load_percent << " %, " << distinct_hashes);
  Rng rng = test::seeded_rng();
  std::vector<FlowKey> keys(std::size_t{capacity} * 2);
  std::vector<std::uint32_t> number_in(keys.size());
  std::vector<std::uint64_t> hashes;
  for (unsigned i = 0; i < distinct_hashes; ++i) hashes.push_back(rng.next());
  const auto hash_of_number = [&](std::uint32_t number) { return hashes[number % distinct_hashes]; };
  const auto hash_of_slot = [&](std::uint32_t slot) { return hash_of_number(number_in[slot]); };
  Table table{capacity, Keys{&keys}, load_percent};
  std::unordered_map<std::uint32_t, std::uint32_t> model;  // number of the key, slot
  std::vector<std::uint32_t> vacant;
  for (std::uint32_t i = 0; i < keys.size(); ++i) vacant.push_back(i);
  std::uint32_t refused = 0;

  for (int step = 0; step < steps; ++step) {
    const std::uint32_t number = rng.below(capacity * 3 / 2);
    const std::uint64_t hash = hash_of_number(number);
    const auto known = model.find(number);
    const std::uint32_t found = table.find(hash, numbered_key(number));
    ASSERT_EQ(found, known == model.end() ? Table::npos : known->second);
    if (known == model.end()) {
      const std::uint32_t at = rng.below(static_cast<std::uint32_t>(vacant.size()));
      std::swap(vacant[at], vacant.back());
      const std::uint32_t slot = vacant.back();
      keys[slot] = numbered_key(number);
      number_in[slot] = number;
      if (table.insert(hash, slot)) {
        model.emplace(number, slot);
        vacant.pop_back();
      } else {
        ++refused;
        ASSERT_GE(model.size(), std::min<std::size_t>(capacity, Table::max_probe * FlowBucket::entries));
      }
    } else if (rng.below(4) == 0) {
      const std::uint32_t slot = vacant.back();
      keys[slot] = numbered_key(number);
      number_in[slot] = number;
      ASSERT_TRUE(table.replace(hash, known->second, slot));
      vacant.back() = known->second;
      known->second = slot;
    } else if (rng.below(3) != 0) {
      ASSERT_TRUE(table.erase(hash, known->second));
      ASSERT_FALSE(table.erase(hash, known->second));
      vacant.push_back(known->second);
      model.erase(known);
    }
    ASSERT_EQ(table.size(), model.size());
    if (step % 4096 == 0) {
      ASSERT_TRUE(table.invariants(hash_of_slot));
    }
  }
  ASSERT_TRUE(table.invariants(hash_of_slot));
  for (const auto& [number, slot] : model) {
    ASSERT_EQ(table.find(hash_of_number(number), numbered_key(number)), slot);
    ASSERT_EQ(table.find_concurrent(hash_of_number(number),
                                    [&, wanted = number](std::uint32_t s) { return number_in[s] == wanted; }),
              slot);
    ASSERT_TRUE(table.erase(hash_of_number(number), slot));
  }
  EXPECT_EQ(table.size(), 0u);
  EXPECT_TRUE(table.invariants(hash_of_slot));  // and so every overflow count is back at zero
}

TEST(FlowTable, random_calls__ordinary_load__behaves_like_a_map) {
  compare_with_map(3000, 75, 100'000, 200'000);
}
TEST(FlowTable, random_calls__every_place_used__behaves_like_a_map) {
  compare_with_map(3000, 100, 100'000, 200'000);
}
TEST(FlowTable, random_calls__few_hashes__behaves_like_a_map) { compare_with_map(600, 75, 12, 100'000); }
TEST(FlowTable, random_calls__tiny__behaves_like_a_map) { compare_with_map(3, 100, 2, 50'000); }

}  // namespace
}  // namespace handfast::ds
