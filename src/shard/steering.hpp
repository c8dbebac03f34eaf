// SPDX-License-Identifier: BSD-3-Clause
// Which shard owns a connection. Layer: shard. On ports that hash (RSS) it is the queue the port will choose; elsewhere a
// keyed hash of our own. Every shard computes the same answer, so nothing is shared and nothing is looked up.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/flow_key.hpp"
#include "ds/flow_hash.hpp"

namespace handfast::shard {

/// Key and indirection table as read back from a port. The hash is Toeplitz over source and destination as received.
struct RssTable {
  std::array<std::uint8_t, 40> key{};
  std::vector<std::uint16_t> indirection;  // a power of two entries: queue by the hash's low bits
};

class Steering {
 public:
  /// By a keyed hash; the same seed on every shard.
  Steering(std::uint64_t seed, std::uint16_t shards);
  Steering(RssTable table, std::uint16_t shards);

  [[nodiscard]] std::uint16_t owner(const FlowKey& key) const {
    if (shards_ == 1) return 0;
    if (table_.indirection.empty())
      return static_cast<std::uint16_t>((hasher_(key) >> 32) * shards_ >> 32);
    return owner_by_rss(key);
  }
  [[nodiscard]] std::uint16_t shards() const { return shards_; }

  /// The Toeplitz hash of a received segment's addresses and ports, network order (for tests against the vectors).
  [[nodiscard]] static std::uint32_t toeplitz(std::span<const std::uint8_t> key, const FlowKey& flow);

 private:
  [[nodiscard]] std::uint16_t owner_by_rss(const FlowKey& key) const;

  std::uint16_t shards_;
  ds::FlowHasher hasher_;
  RssTable table_;
};

}  // namespace handfast::shard
