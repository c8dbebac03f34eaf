// SPDX-License-Identifier: BSD-3-Clause
// What a router sends about a segment of the stack's that it has dropped. Layer: test support.
#pragma once

#include <cstdint>
#include <cstring>
#include <vector>

#include "support/packet.hpp"
#include "support/peer.hpp"
#include "wire/bytes.hpp"
#include "wire/ethernet.hpp"
#include "wire/icmpv4.hpp"
#include "wire/ipv4.hpp"

namespace handfast::test {

inline constexpr Ipv4Address router{10, 0, 0, 254};

/// The whole frame, with the IP header of `sent` and the eight bytes behind it.
inline std::vector<std::byte> icmp_about(const Packet& sent, std::uint8_t type, std::uint8_t code, std::uint32_t rest = 0) {
  constexpr std::size_t quoted = 28, message_length = 8 + quoted;
  const std::vector<std::byte> original = build(sent);
  std::vector<std::byte> frame(14 + 20 + message_length);
  wire::write_ethernet(frame.data(), Trace::stack_mac, Trace::peer_mac, wire::ether_type_ipv4);
  wire::write_ipv4(frame.data() + 14, {.source = router,
                                       .destination = sent.source.address,
                                       .protocol = wire::protocol_icmp,
                                       .payload_length = static_cast<std::uint16_t>(message_length)});
  std::byte* const message = frame.data() + 34;
  wire::store8(message, type);
  wire::store8(message + 1, code);
  wire::store32(message + 4, rest);
  std::memcpy(message + 8, original.data() + 14, quoted);
  wire::store16(message + 2, static_cast<std::uint16_t>(~plain_sum({message, message_length})));
  return frame;
}

/// "Fragmentation needed", RFC 1191 section 4.
inline std::vector<std::byte> too_big(const Packet& sent, std::uint16_t mtu) {
  return icmp_about(sent, wire::icmp::destination_unreachable, wire::icmp::code_fragmentation_needed, mtu);
}

}  // namespace handfast::test
