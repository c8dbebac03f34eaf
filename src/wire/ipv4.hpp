// SPDX-License-Identifier: BSD-3-Clause
// The IPv4 header (RFC 791, RFC 1122 section 3.2.1, RFC 6864). Layer: wire.
// Whether a destination is ours is the caller's business. Fragments are named and not put together.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "handfast/address.hpp"
#include "handfast/drop.hpp"
#include "wire/frame.hpp"
#include "wire/tcp.hpp"

namespace handfast::wire {

inline constexpr std::uint8_t protocol_icmp = 1;
inline constexpr std::uint8_t protocol_tcp = 6;

/// A whole datagram. Options are skipped and never shown: nothing of them may come back in an answer.
struct Ipv4Packet {
  Ipv4Address source, destination;
  std::uint8_t protocol = 0;
  std::uint8_t ttl = 0;
  std::uint8_t tos = 0;  ///< six bits of DSCP, two of ECN
  std::span<const std::byte> payload;
};

/// MUST-63, rfc1122 3.2.1.3b: sources that nothing real has, and that nothing may be sent to.
[[nodiscard]] constexpr bool is_martian_source(Ipv4Address source) {
  // 0/8, 127/8, and from 224/8 on all that is multicast or reserved.
  const std::uint32_t network = source.value >> 24;
  return network - 1 >= 223 || network == 127;
}

/// `bytes` is what follows the link header: it may be longer than the datagram (padding), never shorter.
/// A datagram with a source route is refused (docs/rfc-exceptions.md). The header's checksum is verified in software where `state` is unknown.
[[nodiscard]] Drop parse_ipv4(std::span<const std::byte> bytes, ChecksumState state, Ipv4Packet& out);

/// Takes addresses and ECN bits from the packet and parses its payload as TCP (see parse_tcp).
[[nodiscard]] Drop parse_tcp_packet(const Ipv4Packet& packet, ChecksumState state, Segment& out);

struct Ipv4HeaderFields {
  Ipv4Address source, destination;
  std::uint8_t protocol = 0;
  std::uint8_t ttl = 64;
  std::uint8_t tos = 0;
  std::uint16_t payload_length = 0;  ///< at most 65515
};

/// Writes ipv4_header_length bytes: no options, DF set, identification 0 (RFC 6864 section 4.1: an atomic
/// datagram's may be anything), the checksum in software.
void write_ipv4(std::byte* to, const Ipv4HeaderFields& fields);

}  // namespace handfast::wire
