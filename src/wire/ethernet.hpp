// SPDX-License-Identifier: BSD-3-Clause
// Ethernet II frames, with at most one 802.1Q tag on reception and none on transmission.
// Layer: wire. Whether a frame is for us, or of a type that we speak, is the caller's business.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "handfast/address.hpp"
#include "handfast/drop.hpp"
#include "wire/bytes.hpp"
#include "wire/tcp.hpp"

namespace handfast::wire {

inline constexpr std::uint16_t ether_type_ipv4 = 0x0800;
inline constexpr std::uint16_t ether_type_arp = 0x0806;
inline constexpr std::uint16_t ether_type_vlan = 0x8100;
inline constexpr std::size_t vlan_tag_length = 4;

/// `type` behind the tag, where there is one. A second tag is not looked into: its type stands here.
/// Values below 0x600 are lengths of 802.3 frames, which no upper layer of ours wants.
struct EthernetFrame {
  MacAddress destination, source;
  std::uint16_t type = 0;
  bool tagged = false;
  std::uint16_t tag = 0;  ///< priority and VLAN identifier as received, where tagged
  std::span<const std::byte> payload;
};

[[nodiscard]] inline Drop parse_ethernet(std::span<const std::byte> bytes, EthernetFrame& out) {
  if (bytes.size() < ethernet_header_length) return Drop::eth_truncated;
  out.destination = load_mac(bytes.data());
  out.source = load_mac(bytes.data() + 6);
  out.type = load16(bytes.data() + 12);
  out.payload = bytes.subspan(ethernet_header_length);
  out.tagged = out.type == ether_type_vlan;
  out.tag = 0;
  if (!out.tagged) return Drop::none;
  if (out.payload.size() < vlan_tag_length) return Drop::eth_truncated;
  out.tag = load16(out.payload.data());
  out.type = load16(out.payload.data() + 2);
  out.payload = out.payload.subspan(vlan_tag_length);
  return Drop::none;
}

/// An address as the first bytes of a native word, so that it is compared and written in one go; the other two are zero.
[[nodiscard]] inline std::uint64_t mac_word(const MacAddress& mac) {
  std::uint64_t word = 0;
  std::memcpy(&word, mac.bytes.data(), mac.bytes.size());
  return word;
}

/// Writes ethernet_header_length bytes.
inline void write_ethernet(std::byte* to, const MacAddress& destination, const MacAddress& source,
                           std::uint16_t type) {
  store_mac(to, destination);
  store_mac(to + 6, source);
  store16(to + 12, type);
}

/// The same from words.
inline void write_ethernet(std::byte* to, std::uint64_t destination, std::uint64_t source, std::uint16_t type) {
  store_native(to, destination | (little_endian ? source << 48 : source >> 48));
  store_native(to + 8, static_cast<std::uint32_t>(source >> 16));
  store16(to + 12, type);
}

/// The header's first eight bytes from mac_word(destination) and mac_word(source); its last six, and two of zero, from the
/// source and the type.
[[nodiscard]] inline std::uint64_t ethernet_head_word(std::uint64_t destination, std::uint64_t source) {
  return destination | (little_endian ? source << 48 : source >> 48);
}
[[nodiscard]] inline std::uint64_t ethernet_tail_word(std::uint64_t source, std::uint16_t type) {
  return little_endian ? source >> 16 | std::uint64_t{swap16(type)} << 32 : source << 16 | std::uint64_t{type} << 16;
}

}  // namespace handfast::wire
