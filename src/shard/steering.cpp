// SPDX-License-Identifier: BSD-3-Clause
// Steering. Layer: shard; see steering.hpp.
#include "shard/steering.hpp"

#include "base/rng.hpp"

namespace handfast::shard {
namespace {

std::array<std::uint64_t, 4> key_from(std::uint64_t seed) {
  Rng rng{seed ^ 0x73746565726d6521u};
  return {rng.next(), rng.next(), rng.next(), rng.next()};
}

}  // namespace

Steering::Steering(std::uint64_t seed, std::uint16_t shards) : shards_(shards), hasher_(key_from(seed)) {}

Steering::Steering(RssTable table, std::uint16_t shards)
    : shards_(shards), hasher_(key_from(0)), table_(std::move(table)) {}

std::uint32_t Steering::toeplitz(std::span<const std::uint8_t> key, const FlowKey& flow) {
  // As the port sees it: source (the remote end) first.
  const std::array<std::uint32_t, 3> input{flow.remote_address, flow.local_address, flow.ports << 16 | flow.ports >> 16};
  std::uint32_t hash = 0;
  for (std::size_t word = 0; word < input.size(); ++word)
    for (std::size_t bit = 0; bit < 32; ++bit) {
      if ((input[word] >> (31 - bit) & 1) == 0) continue;
      // The 32 bits of the key that start at this bit of the input.
      const std::size_t byte = word * 4 + bit / 8, shift = bit % 8;
      std::uint64_t window = 0;
      for (std::size_t i = 0; i < 5; ++i) window = window << 8 | key[byte + i];
      hash ^= static_cast<std::uint32_t>(window >> (8 - shift));
    }
  return hash;
}

std::uint16_t Steering::owner_by_rss(const FlowKey& key) const {
  const std::uint32_t hash = toeplitz(table_.key, key);
  return static_cast<std::uint16_t>(table_.indirection[hash % table_.indirection.size()] % shards_);
}

}  // namespace handfast::shard
