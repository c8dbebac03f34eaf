// SPDX-License-Identifier: BSD-3-Clause
// Addresses as values, in host order. Layer: public values; knows nothing of wire formats.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace handfast {

/// A TCP port number, host order.
using Port = std::uint16_t;

/// An IPv4 address, host order: 10.0.0.1 is 0x0a000001.
struct Ipv4Address {
  std::uint32_t value = 0;

  constexpr Ipv4Address() = default;
  constexpr explicit Ipv4Address(std::uint32_t host_order) : value(host_order) {}
  constexpr Ipv4Address(std::uint8_t a, std::uint8_t b, std::uint8_t c, std::uint8_t d)
      : value(std::uint32_t{a} << 24 | std::uint32_t{b} << 16 | std::uint32_t{c} << 8 | d) {}

  /// Dotted decimal, four parts, each 0 to 255 without leading zeros; anything else is nullopt.
  [[nodiscard]] static std::optional<Ipv4Address> parse(std::string_view text);
  [[nodiscard]] std::string to_string() const;

  [[nodiscard]] constexpr bool is_any() const { return value == 0; }
  /// 224.0.0.0/4
  [[nodiscard]] constexpr bool is_multicast() const { return (value >> 28) == 0xe; }
  /// 240.0.0.0/4, 255.255.255.255 included
  [[nodiscard]] constexpr bool is_reserved() const { return (value >> 28) == 0xf; }
  /// 127.0.0.0/8
  [[nodiscard]] constexpr bool is_loopback() const { return (value >> 24) == 127; }
  /// 0.0.0.0/8
  [[nodiscard]] constexpr bool is_this_network() const { return (value >> 24) == 0; }

  friend constexpr auto operator<=>(Ipv4Address, Ipv4Address) = default;
};

/// Listens on every address of the stack.
inline constexpr Ipv4Address any{};

/// An address and the length of its network: 10.0.0.2/24.
struct Ipv4Prefix {
  Ipv4Address address;
  std::uint8_t length = 24;  ///< 0 to 32

  /// "10.0.0.2/24"; nullopt for anything else.
  [[nodiscard]] static std::optional<Ipv4Prefix> parse(std::string_view text);
  [[nodiscard]] std::string to_string() const;

  [[nodiscard]] constexpr std::uint32_t mask() const { return length == 0 ? 0 : ~std::uint32_t{0} << (32 - length); }
  [[nodiscard]] constexpr bool contains(Ipv4Address other) const {
    return ((other.value ^ address.value) & mask()) == 0;
  }
  /// The directed broadcast address; networks of 31 and 32 bits have none (RFC 3021).
  [[nodiscard]] constexpr bool is_broadcast(Ipv4Address other) const {
    return length < 31 && other.value == (address.value | ~mask());
  }
  friend constexpr bool operator==(const Ipv4Prefix&, const Ipv4Prefix&) = default;
};

/// One end of a connection.
struct Endpoint {
  Ipv4Address address;
  Port port = 0;

  /// "10.0.0.1:80"; nullopt for anything else.
  [[nodiscard]] static std::optional<Endpoint> parse(std::string_view text);
  [[nodiscard]] std::string to_string() const;
  friend constexpr auto operator<=>(const Endpoint&, const Endpoint&) = default;
};

/// An Ethernet address, in the order of transmission.
struct MacAddress {
  std::array<std::uint8_t, 6> bytes{};

  /// "02:00:00:00:00:01"; nullopt for anything else.
  [[nodiscard]] static std::optional<MacAddress> parse(std::string_view text);
  [[nodiscard]] std::string to_string() const;
  /// Multicast or broadcast.
  [[nodiscard]] constexpr bool is_group() const { return (bytes[0] & 1) != 0; }
  [[nodiscard]] constexpr bool is_zero() const { return bytes == std::array<std::uint8_t, 6>{}; }
  friend constexpr auto operator<=>(const MacAddress&, const MacAddress&) = default;
};

inline constexpr MacAddress broadcast_mac{{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}};

}  // namespace handfast
