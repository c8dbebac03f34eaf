// SPDX-License-Identifier: BSD-3-Clause
// Tuples chosen to collide: in the connection table, and on one core. Rows C13 and C14 of docs/security-limits.md.
// Layer: tests of security, on the table, on the steering and on two shards.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <bit>
#include <functional>
#include <string>
#include <vector>

#include "crowd.hpp"
#include "ds/flow_hash.hpp"
#include "ds/flow_table.hpp"
#include "shard/mesh.hpp"
#include "shard/net.hpp"
#include "shard/steering.hpp"
#include "tcp/secrets.hpp"

namespace handfast::test {
namespace {

using LinearHash = std::function<std::uint32_t(const FlowKey&)>;

/// Keys that network cards and their drivers come with.
constexpr std::array<std::uint8_t, 40> usual_key{0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67, 0x25, 0x3d, 0x43, 0xa3,
                                                 0x8f, 0xb0, 0xd0, 0xca, 0x2b, 0xcb, 0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3,
                                                 0x80, 0x30, 0xf2, 0x0c, 0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa};
std::array<std::uint8_t, 40> filled_key(std::uint8_t byte) {
  std::array<std::uint8_t, 40> key;
  key.fill(byte);
  return key;
}

std::uint32_t crc32c(const FlowKey& key) {
  std::uint32_t crc = 0;
  for (const std::uint32_t word : {key.local_address, key.remote_address, key.ports}) {
    crc ^= word;
    for (int i = 0; i < 32; ++i) crc = crc >> 1 ^ ((crc & 1) != 0 ? 0x82f63b78u : 0u);
  }
  return crc;
}

/// What an attacker chooses of a tuple: 32 bits of address and 16 of port.
FlowKey chosen(std::uint64_t bits) {
  return FlowKey{{Ipv4Address{0x0a000001}, 80}, {Ipv4Address{static_cast<std::uint32_t>(bits)}, static_cast<Port>(bits >> 32)}};
}

/// `n` tuples with one hash: over 48 chosen bits a linear hash of 32 leaves 16 at least free, by elimination.
std::vector<FlowKey> colliding(const LinearHash& hash, std::size_t n, Rng& rng) {
  struct Row {
    std::uint32_t image;
    std::uint64_t input;
  };
  const std::uint32_t zero = hash(chosen(0));
  std::vector<Row> pivots;
  std::vector<std::uint64_t> kernel;
  for (unsigned bit = 0; bit < 48; ++bit) {
    Row row{hash(chosen(std::uint64_t{1} << bit)) ^ zero, std::uint64_t{1} << bit};
    for (const Row& pivot : pivots)
      if ((row.image & std::bit_floor(pivot.image)) != 0) row = {row.image ^ pivot.image, row.input ^ pivot.input};
    if (row.image == 0)
      kernel.push_back(row.input);
    else
      pivots.push_back(row);
  }
  EXPECT_GE(kernel.size(), 16u);
  std::vector<FlowKey> keys;
  for (std::uint64_t base = rng.next() >> 16; keys.size() < n; base = rng.next() >> 16)
    for (std::uint32_t choice = 0; choice < 65536 && keys.size() < n; ++choice) {
      std::uint64_t bits = base;
      for (unsigned i = 0; i < 16; ++i)
        if ((choice >> i & 1) != 0) bits ^= kernel[i];
      keys.push_back(chosen(bits));
    }
  return keys;
}

std::vector<FlowKey> any_tuples(std::size_t n, Rng& rng) {
  std::vector<FlowKey> keys;
  while (keys.size() < n) keys.push_back(chosen(rng.next() >> 16));
  return keys;
}

/// A table of these keys, full as far as it is ever filled; what looking all of them up has cost.
struct Cost {
  std::uint64_t compared = 0;  ///< keys, for each look-up one at least
  std::uint32_t fullest = 0;   ///< of as many bins as there are home buckets, by the hash
};
Cost cost_of(const std::vector<FlowKey>& keys, const ds::FlowHasher& hasher) {
  struct KeyOf {
    const std::vector<FlowKey>* keys;
    std::uint64_t* compared;
    const FlowKey& operator()(std::uint32_t slot) const {
      ++*compared;
      return (*keys)[slot];
    }
  };
  Cost cost;
  ds::FlowTable<KeyOf> table{static_cast<std::uint32_t>(keys.size()), KeyOf{&keys, &cost.compared}};
  std::vector<std::uint32_t> bins(keys.size() / 8);
  for (std::uint32_t i = 0; i < keys.size(); ++i) {
    const std::uint64_t hash = hasher(keys[i]);
    EXPECT_TRUE(table.insert(hash, i)) << "no path of " << table.max_probe << " buckets was full";
    ++bins[(hash & 0xffffffff) * bins.size() >> 32];
  }
  for (std::uint32_t i = 0; i < keys.size(); ++i) EXPECT_EQ(table.find(hasher(keys[i]), keys[i]), i);
  cost.fullest = *std::ranges::max_element(bins);
  return cost;
}

// Crosby and Wallach 2003
TEST(SecurityC, sec_C13__tuples_that_collide_under_public_hashes__the_table_is_as_even_as_for_any_others) {
  Rng rng{test_seed()};
  const ds::FlowHasher hasher{{rng.next(), rng.next(), rng.next(), rng.next()}};
  constexpr std::size_t n = 100000;
  const Cost honest = cost_of(any_tuples(n, rng), hasher);
  const std::array<std::pair<const char*, LinearHash>, 3> weak{{
      {"CRC32c", crc32c},
      {"Toeplitz, the usual key", [](const FlowKey& k) { return shard::Steering::toeplitz(usual_key, k); }},
      {"Toeplitz, 0x6d in every byte", [](const FlowKey& k) { return shard::Steering::toeplitz(filled_key(0x6d), k); }},
  }};
  for (const auto& [what, hash] : weak) {
    SCOPED_TRACE(what);
    const auto keys = colliding(hash, n, rng);
    ASSERT_EQ(hash(keys[0]), hash(keys[1]));
    ASSERT_EQ(hash(keys[0]), hash(keys[60000]));
    const Cost cost = cost_of(keys, hasher);
    EXPECT_LE(cost.compared, honest.compared + honest.compared / 20) << "false matches of a tag";
    EXPECT_LE(cost.fullest, honest.fullest + honest.fullest / 2 + 4);
  }
}

TEST(SecurityC, sec_C13__key_of_the_table__follows_the_seed_and_differs_by_shard) {
  std::vector<std::uint64_t> hashes;
  const FlowKey key = chosen(0x123456789abcu);
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    Rng rng{seed};
    hashes.push_back(ds::FlowHasher{tcp::Secrets{rng, seed}.flow}(key));
  }
  std::ranges::sort(hashes);
  EXPECT_EQ(std::ranges::adjacent_find(hashes), hashes.end());
}

/// Queues' shares of these tuples, the largest by the mean.
double worst_share(const shard::Steering& steering, const std::vector<FlowKey>& keys) {
  std::vector<double> queue(steering.shards());
  for (const FlowKey& key : keys) queue[steering.owner(key)] += 1;
  return *std::ranges::max_element(queue) * steering.shards() / static_cast<double>(keys.size());
}

shard::RssTable table_with(const std::array<std::uint8_t, 40>& key, std::uint16_t queues) {
  shard::RssTable table;
  table.key = key;
  for (std::uint16_t i = 0; i < 128; ++i) table.indirection.push_back(static_cast<std::uint16_t>(i % queues));
  return table;
}

TEST(SecurityC, sec_C14__tuples_that_one_core_would_get_under_public_keys__even_under_ours) {
  constexpr std::uint16_t queues = 8;
  Rng rng{test_seed()};
  for (const auto& known : {usual_key, filled_key(0x6d), filled_key(0x05)}) {
    const auto keys = colliding([&](const FlowKey& k) { return shard::Steering::toeplitz(known, k); }, 10000, rng);
    EXPECT_EQ(worst_share({table_with(known, queues), queues}, keys), queues) << "that is the attack: one gets all";
    int uneven = 0;
    for (int i = 0; i < 8; ++i) {
      std::array<std::uint8_t, 40> ours;
      for (auto& byte : ours) byte = static_cast<std::uint8_t>(rng.next());
      uneven += worst_share({table_with(ours, queues), queues}, keys) > 1.25;
    }
    // The attacker's set is a linear space, and so is its image: one key in hundreds leaves that one too small.
    EXPECT_LE(uneven, 2);
    for (int i = 0; i < 8; ++i) EXPECT_LE(worst_share({rng.next(), queues}, keys), 1.25) << "without RSS: a keyed hash";
  }
}

struct Echo {
  std::size_t got = 0;
  std::size_t on_data(Conn& c, const RxView& in) {
    got += in.size();
    c.send(in.text());
    return in.size();
  }
};
struct Asks {
  std::string got;
  void on_connect(Conn& c) { c.send_static("who owns me"); }
  std::size_t on_data(Conn& c, const RxView& in) {
    got += in.text();
    if (got.size() == 11) c.close();
    return in.size();
  }
};

// Frames land on a shard at random: each connection is processed by its owner alone.
TEST(SecurityC, sec_C14__packets_on_the_wrong_core__handed_over_and_processed_by_the_owner_alone) {
  Net net{test_seed(), {1, {}}, {4, {}}};
  std::array<Echo, 4> servers;
  for (std::uint16_t s = 0; s < 4; ++s) ASSERT_TRUE(net.core(1, s).listen_with({any, 80}, *net.core(1, s).add_handler_ref(servers[s])));
  std::vector<Asks> clients(200);
  for (auto& one : clients) ASSERT_TRUE(net.core(0).connect({Net::address(1), 80}, *net.core(0).add_handler_ref(one)));
  const bool done = net.run_until([&] { return std::ranges::all_of(clients, [](const Asks& a) { return a.got == "who owns me"; }); }, 1min);
  EXPECT_TRUE(done);
  const CoreStats all = net.stats(1);
  EXPECT_GT(all.handed_over, 300u);
  EXPECT_EQ(all.resets_out, 0u) << "no other shard has answered for it";
  EXPECT_EQ(all.passive_opens, 200u);
  std::size_t bytes = 0;
  for (const Echo& e : servers) bytes += e.got;
  EXPECT_EQ(bytes, 200u * 11);
  net.run_for(2s);
}

}  // namespace
}  // namespace handfast::test
