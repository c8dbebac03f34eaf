// SPDX-License-Identifier: BSD-3-Clause
// ICMP for IPv4 (RFC 792, RFC 1191, RFC 5927): messages, the echo reply, and what an error quotes of our
// segment. Layer: wire. What to believe, whom to answer and how often is the caller's business.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/flow_key.hpp"
#include "base/seq.hpp"
#include "handfast/address.hpp"
#include "handfast/drop.hpp"
#include "wire/ipv4.hpp"

namespace handfast::wire {

inline constexpr std::size_t icmp_header_length = 8;

namespace icmp {
inline constexpr std::uint8_t echo_reply = 0;
inline constexpr std::uint8_t destination_unreachable = 3;
inline constexpr std::uint8_t source_quench = 4;
inline constexpr std::uint8_t redirect = 5;
inline constexpr std::uint8_t echo_request = 8;
inline constexpr std::uint8_t time_exceeded = 11;
inline constexpr std::uint8_t parameter_problem = 12;
inline constexpr std::uint8_t code_fragmentation_needed = 4;  ///< of destination_unreachable
}  // namespace icmp

struct IcmpMessage {
  std::uint8_t type = 0;
  std::uint8_t code = 0;
  std::uint32_t rest =
      0;  ///< the header's second word: identifier and sequence number of an echo, MTU of an error
  std::span<const std::byte> payload;
};

/// `bytes` is the payload of an IP datagram. The checksum is always verified: ports do not do it.
[[nodiscard]] Drop parse_icmp(std::span<const std::byte> bytes, IcmpMessage& out);

/// The TCP segment of ours that an error message is about.
struct IcmpQuote {
  FlowKey flow;  ///< local = the quoted source: us
  Seq seq;
  std::uint8_t type = 0, code = 0;
  std::uint16_t datagram_length = 0;  ///< of the datagram that was quoted, as its header has it
  std::uint16_t next_hop_mtu =
      0;  ///< of "fragmentation needed"; 0 elsewhere and from old routers (RFC 1191 section 5)
};

/// Of a message of type 3, 4, 5, 11 or 12. icmp_truncated where less than the header and eight bytes of the
/// segment are there; icmp_unknown for other types and for quotes of what we never send (IP options,
/// fragments, another protocol). The quoted checksums are not looked at: routers on the way have changed what
/// they cover.
[[nodiscard]] Drop parse_icmp_quote(const IcmpMessage& message, IcmpQuote& out);

/// Writes the whole frame that answers an echo request: addresses turned round, its payload, nothing of its
/// IP options. The caller has checked that the request was sent to one of our own unicast addresses. Returns
/// the frame's length, 0 where `room` is too small.
[[nodiscard]] std::uint32_t write_icmp_echo_reply(std::span<std::byte> room,
                                                  const MacAddress& destination_mac,
                                                  const MacAddress& source_mac, const Ipv4Packet& request,
                                                  const IcmpMessage& echo);

}  // namespace handfast::wire
