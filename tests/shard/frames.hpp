// SPDX-License-Identifier: BSD-3-Clause
// ARP and ICMP frames, put together for a test and taken apart. Layer: tests of the shard.
// Small ones are not padded, so that ASan sees what is read past their end.
#pragma once

#include <cstring>
#include <optional>
#include <span>
#include <vector>

#include "support/packet.hpp"
#include "wire/arp.hpp"
#include "wire/bytes.hpp"
#include "wire/ethernet.hpp"
#include "wire/ipv4.hpp"

namespace handfast::test {

using Bytes = std::vector<std::byte>;

inline Bytes arp_frame(wire::ArpOperation operation, MacAddress sender_mac, Ipv4Address sender,
                       Ipv4Address target, MacAddress destination = broadcast_mac) {
  Bytes frame(wire::ethernet_header_length + wire::arp_length);
  wire::write_ethernet(frame.data(), destination, sender_mac, wire::ether_type_arp);
  wire::write_arp(frame.data() + wire::ethernet_header_length, {operation, sender_mac, sender, {}, target});
  return frame;
}
inline Bytes arp_request(MacAddress sender_mac, Ipv4Address sender, Ipv4Address target) {
  return arp_frame(wire::ArpOperation::request, sender_mac, sender, target);
}
inline Bytes arp_reply(MacAddress sender_mac, Ipv4Address sender, Ipv4Address target) {
  return arp_frame(wire::ArpOperation::reply, sender_mac, sender, target);
}

/// The ARP packet in a frame and where the frame goes; nothing if it is none.
struct ArpSeen {
  wire::ArpPacket packet;
  MacAddress destination;
};
inline std::optional<ArpSeen> as_arp(std::span<const std::byte> frame) {
  wire::EthernetFrame ethernet;
  ArpSeen seen;
  if (wire::parse_ethernet(frame, ethernet) != Drop::none || ethernet.type != wire::ether_type_arp)
    return std::nullopt;
  if (wire::parse_arp(ethernet.payload, seen.packet) != Drop::none) return std::nullopt;
  seen.destination = ethernet.destination;
  return seen;
}

struct IpEnds {
  MacAddress source_mac, destination_mac;
  Ipv4Address source, destination;
};

/// An IPv4 datagram of any protocol with a right header.
inline Bytes ip_frame(const IpEnds& ends, std::uint8_t protocol, std::span<const std::byte> payload) {
  constexpr std::size_t headers = wire::ethernet_header_length + wire::ipv4_header_length;
  Bytes frame(headers + payload.size());
  wire::write_ethernet(frame.data(), ends.destination_mac, ends.source_mac, wire::ether_type_ipv4);
  wire::write_ipv4(
      frame.data() + wire::ethernet_header_length,
      {ends.source, ends.destination, protocol, 64, 0, static_cast<std::uint16_t>(payload.size())});
  if (!payload.empty()) std::memcpy(frame.data() + headers, payload.data(), payload.size());
  return frame;
}

inline Bytes icmp_frame(const IpEnds& ends, std::uint8_t type, std::uint8_t code, std::uint32_t rest,
                        std::span<const std::byte> payload) {
  Bytes message(8 + payload.size());
  wire::store8(message.data(), type);
  wire::store8(message.data() + 1, code);
  wire::store32(message.data() + 4, rest);
  if (!payload.empty()) std::memcpy(message.data() + 8, payload.data(), payload.size());
  wire::store16(message.data() + 2, static_cast<std::uint16_t>(~plain_sum(message)));
  return ip_frame(ends, 1, message);
}

/// The IP header of a frame that was changed.
inline void fix_ip_checksum(Bytes& frame) {
  const std::size_t length = (std::to_integer<std::size_t>(frame[14]) & 0xf) * 4;
  wire::store16(frame.data() + 24, 0);
  wire::store16(frame.data() + 24,
                static_cast<std::uint16_t>(~plain_sum(std::span{frame}.subspan(14, length))));
}

/// The same frame with an 802.1Q tag: the parsers' slow way.
inline Bytes tagged(const Bytes& frame) {
  Bytes out(frame.begin(), frame.begin() + 12);
  for (const int b : {0x81, 0x00, 0x00, 0x05}) out.push_back(static_cast<std::byte>(b));
  out.insert(out.end(), frame.begin() + 12, frame.end());
  return out;
}

}  // namespace handfast::test
