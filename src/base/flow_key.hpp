// SPDX-License-Identifier: BSD-3-Clause
// The name of a connection: two addresses, two ports, host order. Layer: base.
#pragma once

#include <cstdint>
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
