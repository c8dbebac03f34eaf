// SPDX-License-Identifier: BSD-3-Clause
// A keyed hash of a connection's name for the flow table: two multiplications of 64 by 64 to 128 bits,
// folded. Layer: ds. Not linear, unlike a CRC or Toeplitz: who does not know the key cannot build colliding
// tuples. Not for what a peer gets to see (that is SipHash): the hash never leaves the process.
#pragma once

#include <array>
#include <cstdint>

#include "base/flow_key.hpp"

namespace handfast::ds {

class FlowHasher {
 public:
  /// The key is drawn at random by the caller, once per process or shard.
  explicit constexpr FlowHasher(std::array<std::uint64_t, 4> key) : key_(key) {}

  [[nodiscard]] constexpr std::uint64_t operator()(const FlowKey& flow) const {
    const std::uint64_t addresses = std::uint64_t{flow.remote_address} << 32 | flow.local_address;  // as they stand in memory
    const std::uint64_t ports = std::uint64_t{flow.ports} << 32 | flow.ports;
    const std::uint64_t first = folded_product(addresses ^ key_[0], ports ^ key_[1]);
    // The input again, so that two flows alike after the first product still differ in a factor of the
    // second.
    return folded_product(first ^ key_[2], (addresses + ports) ^ key_[3]);
  }

 private:
  static constexpr std::uint64_t folded_product(std::uint64_t a, std::uint64_t b) {
    __extension__ using Wide = unsigned __int128;
    const Wide product = static_cast<Wide>(a) * b;
    return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
  }

  std::array<std::uint64_t, 4> key_;
};

}  // namespace handfast::ds
