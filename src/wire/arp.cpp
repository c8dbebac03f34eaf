// SPDX-License-Identifier: BSD-3-Clause
// ARP: parser and writer. Layer: wire.
#include "wire/arp.hpp"

#include "wire/bytes.hpp"
#include "wire/ethernet.hpp"

namespace handfast::wire {
namespace {

constexpr std::uint16_t hardware_ethernet = 1;
constexpr std::uint8_t mac_length = 6;
constexpr std::uint8_t ipv4_length = 4;

bool sender_is_possible(const ArpPacket& packet) {
  const Ipv4Address address = packet.sender_address;
  return !packet.sender_mac.is_group() && !packet.sender_mac.is_zero() && !address.is_multicast() &&
         !address.is_reserved() && !address.is_loopback();
}

}  // namespace

Drop parse_arp(std::span<const std::byte> bytes, ArpPacket& out) {
  if (bytes.size() < arp_length) return Drop::arp_truncated;
  const std::byte* const p = bytes.data();
  if (load16(p) != hardware_ethernet || load16(p + 2) != ether_type_ipv4) return Drop::arp_malformed;
  if (load8(p + 4) != mac_length || load8(p + 5) != ipv4_length) return Drop::arp_malformed;
  const std::uint16_t operation = load16(p + 6);
  if (operation != 1 && operation != 2) return Drop::arp_malformed;
  out.operation = operation == 1 ? ArpOperation::request : ArpOperation::reply;
  out.sender_mac = load_mac(p + 8);
  out.sender_address = Ipv4Address{load32(p + 14)};
  out.target_mac = load_mac(p + 18);
  out.target_address = Ipv4Address{load32(p + 24)};
  return sender_is_possible(out) ? Drop::none : Drop::arp_malformed;
}

void write_arp(std::byte* to, const ArpPacket& packet) {
  store16(to, hardware_ethernet);
  store16(to + 2, ether_type_ipv4);
  store8(to + 4, mac_length);
  store8(to + 5, ipv4_length);
  store16(to + 6, static_cast<std::uint16_t>(packet.operation));
  store_mac(to + 8, packet.sender_mac);
  store32(to + 14, packet.sender_address.value);
  store_mac(to + 18, packet.target_mac);
  store32(to + 24, packet.target_address.value);
}

}  // namespace handfast::wire
