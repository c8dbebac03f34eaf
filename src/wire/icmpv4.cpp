// SPDX-License-Identifier: BSD-3-Clause
// ICMP for IPv4: parsers and the echo reply. Layer: wire.
#include "wire/icmpv4.hpp"

#include "wire/bytes.hpp"
#include "wire/checksum.hpp"
#include "wire/ethernet.hpp"

namespace handfast::wire {
namespace {

/// RFC 792: errors quote the IP header and the first 64 bits behind it.
constexpr std::size_t quoted_tcp_length = 8;

bool quotes_a_datagram(std::uint8_t type) {
  return type == icmp::destination_unreachable || type == icmp::source_quench || type == icmp::redirect ||
         type == icmp::time_exceeded || type == icmp::parameter_problem;
}

}  // namespace

Drop parse_icmp(std::span<const std::byte> bytes, IcmpMessage& out) {
  if (bytes.size() < icmp_header_length) return Drop::icmp_truncated;
  if (!sum_is_good(sum_bytes(bytes))) return Drop::icmp_checksum;
  out.type = load8(bytes.data());
  out.code = load8(bytes.data() + 1);
  out.rest = load32(bytes.data() + 4);
  out.payload = bytes.subspan(icmp_header_length);
  return Drop::none;
}

Drop parse_icmp_quote(const IcmpMessage& message, IcmpQuote& out) {
  if (!quotes_a_datagram(message.type)) return Drop::icmp_unknown;
  if (message.payload.size() < ipv4_header_length + quoted_tcp_length) return Drop::icmp_truncated;
  const std::byte* const ip = message.payload.data();
  // What we send: version 4, five words of header, whole, TCP. Anything else cannot quote us.
  if (load8(ip) != 0x45 || load8(ip + 9) != protocol_tcp) return Drop::icmp_unknown;
  if ((load16(ip + 6) & 0x1fff) != 0) return Drop::icmp_unknown;
  if (load16(ip + 2) < ipv4_header_length + tcp_header_length) return Drop::icmp_unknown;
  const std::byte* const tcp = ip + ipv4_header_length;
  out.flow =
      FlowKey{{Ipv4Address{load32(ip + 12)}, load16(tcp)}, {Ipv4Address{load32(ip + 16)}, load16(tcp + 2)}};
  out.seq = Seq{load32(tcp + 4)};
  out.datagram_length = load16(ip + 2);
  out.type = message.type;
  out.code = message.code;
  const bool has_mtu =
      message.type == icmp::destination_unreachable && message.code == icmp::code_fragmentation_needed;
  out.next_hop_mtu = has_mtu ? static_cast<std::uint16_t>(message.rest) : std::uint16_t{0};
  return Drop::none;
}

std::uint32_t write_icmp_echo_reply(std::span<std::byte> room, const MacAddress& destination_mac,
                                    const MacAddress& source_mac, const Ipv4Packet& request,
                                    const IcmpMessage& echo) {
  const std::size_t icmp_length = icmp_header_length + echo.payload.size();
  const std::size_t frame_length = ethernet_header_length + ipv4_header_length + icmp_length;
  if (frame_length > room.size() || icmp_length > 0xffff - ipv4_header_length) return 0;
  write_ethernet(room.data(), destination_mac, source_mac, ether_type_ipv4);
  std::byte* const ip = room.data() + ethernet_header_length;
  // rfc1122 3.2.2.6: the source is the request's destination; the TOS is ours to choose and stays 0.
  write_ipv4(ip, {.source = request.destination,
                  .destination = request.source,
                  .protocol = protocol_icmp,
                  .payload_length = static_cast<std::uint16_t>(icmp_length)});
  std::byte* const message = ip + ipv4_header_length;
  store32(message, 0);
  store32(message + 4, echo.rest);
  const std::uint64_t sum = copy_and_sum(message + icmp_header_length, echo.payload, sum_of32(echo.rest));
  store_native(message + 2, finish(sum));
  return static_cast<std::uint32_t>(frame_length);
}

}  // namespace handfast::wire
