// SPDX-License-Identifier: BSD-3-Clause
// ARP, IPv4 and ICMP frames as the other end of the link writes them. Layer: test support of tests/shard.
#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "support/packet.hpp"
#include "support/peer.hpp"
#include "wire/arp.hpp"
#include "wire/ethernet.hpp"
#include "wire/icmpv4.hpp"
#include "wire/ipv4.hpp"

namespace handfast::test {

using Frame = std::vector<std::byte>;

inline Frame arp_frame(const wire::ArpPacket& packet, MacAddress to = broadcast_mac) {
  Frame frame(60, std::byte{0xaa});
  wire::write_ethernet(frame.data(), to, packet.sender_mac, wire::ether_type_arp);
  wire::write_arp(frame.data() + 14, packet);
  return frame;
}

inline Frame arp_request(Ipv4Address from, MacAddress mac, Ipv4Address target = Trace::stack_address) {
  return arp_frame({wire::ArpOperation::request, mac, from, {}, target});
}

inline Frame arp_reply(Ipv4Address from, MacAddress mac, Ipv4Address target = Trace::stack_address) {
  return arp_frame({wire::ArpOperation::reply, mac, from, Trace::stack_mac, target}, Trace::stack_mac);
}

inline MacAddress mac_of(unsigned n) {
  return {{2, 0, 0, static_cast<std::uint8_t>(n >> 16), static_cast<std::uint8_t>(n >> 8),
           static_cast<std::uint8_t>(n)}};
}

inline Frame ipv4_frame(Ipv4Address from, Ipv4Address to, std::uint8_t protocol, const Frame& payload,
                        MacAddress mac = Trace::stack_mac) {
  Frame frame(34 + payload.size());
  wire::write_ethernet(frame.data(), mac, Trace::peer_mac, wire::ether_type_ipv4);
  wire::Ipv4HeaderFields fields;
  fields.source = from;
  fields.destination = to;
  fields.protocol = protocol;
  fields.payload_length = static_cast<std::uint16_t>(payload.size());
  wire::write_ipv4(frame.data() + 14, fields);
  std::ranges::copy(payload, frame.begin() + 34);
  return frame;
}

inline Frame icmp_message(std::uint8_t type, std::uint8_t code, std::uint32_t rest, const Frame& payload) {
  Frame icmp(8 + payload.size());
  icmp[0] = std::byte{type};
  icmp[1] = std::byte{code};
  for (unsigned i = 0; i < 4; ++i) icmp[4 + i] = static_cast<std::byte>(rest >> (24 - 8 * i));
  std::ranges::copy(payload, icmp.begin() + 8);
  const auto sum = static_cast<std::uint16_t>(~plain_sum(icmp));
  icmp[2] = static_cast<std::byte>(sum >> 8);
  icmp[3] = static_cast<std::byte>(sum & 0xff);
  return icmp;
}

/// The ARP packet in a frame; nothing if it is none.
inline std::optional<wire::ArpPacket> arp_in(const Frame& frame) {
  wire::EthernetFrame ethernet;
  wire::ArpPacket packet;
  if (wire::parse_ethernet(frame, ethernet) != Drop::none || ethernet.type != wire::ether_type_arp)
    return std::nullopt;
  if (wire::parse_arp(ethernet.payload, packet) != Drop::none) return std::nullopt;
  return packet;
}

}  // namespace handfast::test
