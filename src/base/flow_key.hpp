// SPDX-License-Identifier: BSD-3-Clause
// The name of a connection: two addresses, two ports, host order. Layer: base.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "handfast/address.hpp"

namespace handfast {

/// Twelve bytes without padding, so that two keys compare as three words.
struct FlowKey {
  std::uint32_t local_address = 0;
  std::uint32_t remote_address = 0;
  std::uint32_t ports = 0;  ///< local port in the upper half, remote port in the lower

  constexpr FlowKey() = default;
  constexpr FlowKey(Endpoint local, Endpoint remote)
      : local_address(local.address.value),
        remote_address(remote.address.value),
        ports(std::uint32_t{local.port} << 16 | remote.port) {}

  /// The same, with both addresses in one store: what is hashed next is loaded in one piece, and a load that spans two
  /// stores waits for both to leave the store buffer.
  [[nodiscard]] static FlowKey make(std::uint32_t local, std::uint32_t remote, std::uint32_t both_ports) {
    FlowKey key;
    const std::uint64_t addresses = std::endian::native == std::endian::little ? std::uint64_t{remote} << 32 | local
                                                                               : std::uint64_t{local} << 32 | remote;
    std::memcpy(static_cast<void*>(&key), &addresses, sizeof addresses);
    key.ports = both_ports;
    return key;
  }

  [[nodiscard]] constexpr Endpoint local() const {
    return {Ipv4Address{local_address}, static_cast<Port>(ports >> 16)};
  }
  [[nodiscard]] constexpr Endpoint remote() const {
    return {Ipv4Address{remote_address}, static_cast<Port>(ports)};
  }
  friend constexpr bool operator==(const FlowKey&, const FlowKey&) = default;
};
static_assert(sizeof(FlowKey) == 12 && std::is_trivially_copyable_v<FlowKey>);

}  // namespace handfast
