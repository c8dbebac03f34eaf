// SPDX-License-Identifier: BSD-3-Clause
// The hot entry: an untagged Ethernet frame with IPv4 without options and whole TCP segment, parsed in one
// go. Layer: wire. Says for every frame what parse_ethernet, parse_ipv4 and parse_tcp_packet would say one
// after the other, or that they have to be asked; a property test holds it to that.
#pragma once

#include <bit>
#include <cstdint>

#include "wire/bytes.hpp"
#include "wire/checksum.hpp"
#include "wire/ethernet.hpp"
#include "wire/frame.hpp"
#include "wire/ipv4.hpp"
#include "wire/tcp.hpp"

namespace handfast::wire {

/// `drop` means something only where `common_shape` is true; otherwise nothing is said about the frame.
struct FastVerdict {
  bool common_shape = false;
  Drop drop = Drop::none;
};

/// The destination address of a frame of at least eight bytes, without parsing anything else.
[[nodiscard]] inline bool is_addressed_to(const RxFrame& frame, std::uint64_t mac) {
  constexpr std::uint64_t six_bytes = little_endian ? 0xffffffffffffu : 0xffffffffffff0000u;
  return ((load_native<std::uint64_t>(frame.data) ^ mac) & six_bytes) == 0;
}
[[nodiscard]] inline bool is_addressed_to(const RxFrame& frame, const MacAddress& mac) { return is_addressed_to(frame, mac_word(mac)); }

/// Whether addresses and ports are judged here, or by the caller: a flow that is known has been judged.
enum class Ends : bool { judged, taken };

/// Fills `out` where the verdict is {true, none}; `out` is undefined after anything else.
template <Ends ends = Ends::judged>
[[nodiscard, gnu::always_inline]] inline FastVerdict parse_tcp_frame(const RxFrame& frame, Segment& out) {
  constexpr std::uint32_t least = ethernet_header_length + ipv4_header_length + tcp_header_length;
  constexpr std::uint32_t least_datagram = ipv4_header_length + tcp_header_length;
  if (frame.length < least) return {};
  const std::byte* const ip = frame.data + ethernet_header_length;
  const std::byte* const tcp = ip + ipv4_header_length;

  // Ether type, version and header length, TOS; then flags and offset, TTL, protocol: each in one load.
  const std::uint32_t type_version_tos = load32(frame.data + 12);
  if ((type_version_tos & 0xffffff00u) != 0x08004500u) return {};
  if ((load32(ip + 6) & 0x3fff00ffu) != protocol_tcp) return {};
  const std::uint32_t total_length = load16(ip + 2);
  if (total_length < least_datagram || total_length > frame.length - ethernet_header_length) return {};

  if (frame.ip_checksum != ChecksumState::good) {
    const std::uint64_t sum = detail::add_words<2>(ip, load_native<std::uint32_t>(ip + 16));
    if (frame.ip_checksum == ChecksumState::bad || !sum_is_good(sum)) return {true, Drop::ip_checksum};
  }
  const std::uint32_t source = load32(ip + 12);
  const std::uint32_t destination = load32(ip + 16);
  if (ends == Ends::judged && is_martian_source(Ipv4Address{source})) return {true, Drop::ip_martian_source};

  const std::uint32_t tcp_length = total_length - std::uint32_t{ipv4_header_length};
  const std::uint32_t offset_flags_window = load32(tcp + 12);
  const std::uint32_t header_length = (offset_flags_window >> 28) * 4;
  if (header_length < tcp_header_length || header_length > tcp_length) return {true, Drop::tcp_data_offset};
  if (frame.tcp_checksum != ChecksumState::good) {  // MUST-3
    // The addresses as they stand in the packet: the eight bytes before the TCP header.
    const std::uint64_t pseudo = detail::add_words<1>(ip + 12, sum_of32(protocol_tcp + tcp_length));
    const std::uint64_t sum = sum_around(tcp, tcp_length, pseudo);
    if (frame.tcp_checksum == ChecksumState::bad || !sum_is_good(sum)) return {true, Drop::tcp_checksum};
  }
  const std::uint32_t ports = std::rotl(load32(tcp), 16);
  if (ends == Ends::judged && ((ports & 0xffff) == 0 || ports >> 16 == 0)) return {true, Drop::tcp_port_zero};

  out.flow = FlowKey::make(destination, source, ports);
  out.seq = Seq{load32(tcp + 4)};
  out.ack = Seq{load32(tcp + 8)};
  out.window = static_cast<std::uint16_t>(offset_flags_window);
  out.urgent_pointer = load16(tcp + 18);
  out.flags = static_cast<std::uint8_t>(offset_flags_window >> 16);
  out.ecn = static_cast<std::uint8_t>(type_version_tos & 3);
  out.header_length = static_cast<std::uint8_t>(header_length);
  out.options = tcp + tcp_header_length;
  out.payload = tcp + header_length;
  out.payload_length = tcp_length - header_length;
  return {true, Drop::none};
}

}  // namespace handfast::wire
