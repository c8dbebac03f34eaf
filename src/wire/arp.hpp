// SPDX-License-Identifier: BSD-3-Clause
// ARP for IPv4 over Ethernet (RFC 826, RFC 5227). Layer: wire. Knows nothing of caches and of who asks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "handfast/address.hpp"
#include "handfast/drop.hpp"

namespace handfast::wire {

enum class ArpOperation : std::uint8_t { request = 1, reply = 2 };

inline constexpr std::size_t arp_length = 28;

struct ArpPacket {
  ArpOperation operation = ArpOperation::request;
  MacAddress sender_mac;
  Ipv4Address sender_address;  ///< 0.0.0.0 in a probe (RFC 5227 section 2.1.1)
  MacAddress target_mac;       ///< meaningless in a request
  Ipv4Address target_address;
};

/// `bytes` is what follows the Ethernet header; padding behind the packet is not looked at.
/// A sender that no answer could reach (group or zero MAC, multicast, reserved or loopback address) is
/// malformed.
[[nodiscard]] Drop parse_arp(std::span<const std::byte> bytes, ArpPacket& out);

/// Writes arp_length bytes, to stand behind an Ethernet header.
void write_arp(std::byte* to, const ArpPacket& packet);

}  // namespace handfast::wire
