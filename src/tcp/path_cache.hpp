// SPDX-License-Identifier: BSD-3-Clause
// What is known of paths narrower than our link, by destination: new connections begin with it (RFC 1191 section 6.3,
// RFC 4821 section 5.2). Layer: tcp. Bounded; entries age. Knows nothing of connections or of where a number came from.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "handfast/address.hpp"

namespace handfast::tcp {

/// What was learned is forgotten after this, so that a larger size is tried again (rfc1191 6.3: ten minutes).
inline constexpr std::uint32_t path_lifetime_ms = 10 * 60 * 1000;

class PathCache {
 public:
  /// Room for `capacity` destinations, rounded up to whole buckets; 0: nothing is kept. `secret` makes the choice of
  /// buckets unpredictable.
  PathCache(std::uint32_t capacity, std::uint64_t secret);

  /// True while no destination was ever found to be narrow: all that the opening of most connections looks at.
  [[nodiscard]] bool empty() const { return used_ == 0; }
  /// Bytes of datagram that the path takes; 0 when nothing is known, or no longer.
  [[nodiscard]] std::uint16_t find(Ipv4Address destination, std::uint32_t now_ms);
  /// Enters or replaces. True when a living entry of another destination had to go.
  bool store(Ipv4Address destination, std::uint16_t mtu, std::uint32_t now_ms);
  void forget(Ipv4Address destination);
  [[nodiscard]] std::uint32_t size() const { return used_; }

 private:
  struct Entry {
    Ipv4Address destination;
    std::uint32_t since_ms = 0;
    std::uint16_t mtu = 0;  // 0: free
  };
  static constexpr std::size_t ways = 5;
  struct alignas(64) Bucket {
    std::array<Entry, ways> entries;
  };
  static_assert(sizeof(Bucket) == 64);

  [[nodiscard]] Bucket& bucket_of(Ipv4Address destination);
  Entry* lookup(Ipv4Address destination);
  void drop(Entry& entry);

  std::vector<Bucket> buckets_;  // never grown
  std::uint64_t factor_;
  std::uint32_t used_ = 0;
};

}  // namespace handfast::tcp
