// SPDX-License-Identifier: BSD-3-Clause
// Writing headers late: Ethernet, IPv4 and TCP in front of a payload that is already in the frame.
// Layer: wire. Knows nothing of connections; what is constant per connection may be handed in as a partial
// sum.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/assert.hpp"
#include "base/flow_key.hpp"
#include "base/seq.hpp"
#include "wire/bytes.hpp"
#include "wire/checksum.hpp"
#include "wire/ethernet.hpp"
#include "wire/frame.hpp"
#include "wire/ipv4.hpp"
#include "wire/tcp.hpp"

namespace handfast::wire {

/// Ethernet, IPv4 and TCP headers without TCP options. The payload stands this much and the options further
/// in.
inline constexpr std::uint32_t tcp_frame_header_length =
    ethernet_header_length + ipv4_header_length + tcp_header_length;

/// A datagram's headers.
struct TcpPacketFields {
  FlowKey flow;                ///< local = source, remote = destination
  std::uint32_t flow_sum = 0;  ///< of flow_sum(flow), kept with the connection; 0: computed here
  Seq seq, ack;
  std::uint16_t window = 0;
  std::uint16_t urgent = 0;
  std::uint8_t flags = 0;  ///< TcpFlag bits
  std::uint8_t tos = 0;
  std::uint8_t ttl = 64;
};

/// And the frame's around it.
struct TcpHeaderFields : TcpPacketFields {
  MacAddress source_mac, destination_mac;
};

/// The part of a segment's checksum that is constant in a connection: addresses, protocol, ports. Never 0.
[[nodiscard]] constexpr std::uint32_t flow_sum(const FlowKey& flow) {
  return fold(sum_of32(flow.local_address) + sum_of32(flow.remote_address) + sum_of32(protocol_tcp) +
              sum_of32(flow.ports));
}

/// Writes the options into 40 bytes of room, padded with NOP to a multiple of four, and returns their length.
/// What `options` has is written, whatever the segment; SACK blocks that do not fit are left out.
[[nodiscard]] std::uint8_t write_options(std::byte* to, const TcpOptions& options);

namespace detail {

/// A 16-bit value in native order, put at byte `at` of a native word that is about to be stored.
[[nodiscard]] constexpr std::uint64_t place16(std::uint16_t native, unsigned at) {
  return std::uint64_t{native} << 8 * (little_endian ? at : 6 - at);
}

/// Copies options behind the header (they may stand there already) and returns their sum.
[[nodiscard]] inline std::uint64_t put_options(std::byte* to, std::span<const std::byte> options) {
  constexpr std::size_t timestamps_alone = 12;
  if (options.size() == timestamps_alone) [[likely]] {
    const auto a = load_native<std::uint32_t>(options.data()), b = load_native<std::uint32_t>(options.data() + 4),
               c = load_native<std::uint32_t>(options.data() + 8);
    store_native(to, a);
    store_native(to + 4, b);
    store_native(to + 8, c);
    return std::uint64_t{a} + b + c;
  }
  std::uint64_t sum = 0;
  for (std::size_t at = 0; at < options.size(); at += 4) {
    const auto word = load_native<std::uint32_t>(options.data() + at);
    store_native(to + at, word);
    sum += word;
  }
  return sum;
}

inline void put_ipv4(std::byte* ip, const TcpPacketFields& fields, std::uint32_t total_length,
                     std::uint8_t offload) {
  // DF set, identification 0: as in write_ipv4.
  const std::uint64_t first =
      swap64((0x45000000u | std::uint64_t{fields.tos} << 16 | total_length) << 32 | 0x4000u);
  std::uint64_t second = swap64((std::uint64_t{fields.ttl} << 24 | std::uint64_t{protocol_tcp} << 16) << 32 |
                                fields.flow.local_address);
  const std::uint32_t third = swap32(fields.flow.remote_address);
  // A port that does it wants the field to be zero.
  if ((offload & tx_ip_checksum) == 0)
    second |= place16(finish(sum_word(first) + sum_word(second) + third), 2);
  store_native(ip, first);
  store_native(ip + 8, second);
  store_native(ip + 16, third);
}

/// The checksum field's content for a port that finishes it: the pseudo header's sum, not complemented, and
/// without the length where the port also cuts the segments.
[[nodiscard]] inline std::uint16_t offloaded_checksum(const FlowKey& flow, std::uint32_t tcp_length,
                                                      std::uint8_t offload) {
  const std::uint32_t length = (offload & tx_tcp_segmentation) != 0 ? 0 : tcp_length;
  return fold(pseudo_header_sum(Ipv4Address{flow.local_address}, Ipv4Address{flow.remote_address},
                                protocol_tcp, length));
}

}  // namespace detail

/// MUST-2: always with a checksum, here or in the port. Writes the headers at `ip`, in front of options of `options_length`
/// bytes with the sum `options_sum` and `payload_length` bytes behind them with the sum `payload_sum` (copy_and_sum), which
/// stand there already; with tx_tcp_checksum in `offload` the sums are not looked at. Returns the datagram's length.
[[gnu::always_inline]] inline std::uint32_t write_tcp_headers(std::byte* ip, const TcpPacketFields& fields,
                                                              std::uint32_t options_length, std::uint64_t options_sum,
                                                              std::uint32_t payload_length, std::uint64_t payload_sum,
                                                              std::uint8_t offload) {
  HF_DEBUG_ASSERT(options_length % 4 == 0 && options_length <= max_tcp_options_length);
  const std::uint32_t header_length = std::uint32_t{tcp_header_length} + options_length;
  const std::uint32_t tcp_length = header_length + payload_length;
  const std::uint32_t total_length = std::uint32_t{ipv4_header_length} + tcp_length;
  HF_DEBUG_ASSERT(total_length <= 0xffff);

  detail::put_ipv4(ip, fields, total_length, offload);

  std::byte* const tcp = ip + ipv4_header_length;
  const std::uint32_t ports = swap32(fields.flow.ports);
  const std::uint64_t seq_ack = swap64(std::uint64_t{fields.seq.raw()} << 32 | fields.ack.raw());
  std::uint64_t last = swap64(
      (std::uint64_t{header_length / 4} << 28 | std::uint64_t{fields.flags} << 16 | fields.window) << 32 |
      fields.urgent);
  std::uint16_t checksum = 0;
  if ((offload & (tx_tcp_checksum | tx_tcp_segmentation)) != 0) {
    checksum = detail::offloaded_checksum(fields.flow, tcp_length, offload);
  } else {
    const std::uint32_t constant = fields.flow_sum != 0 ? fields.flow_sum : flow_sum(fields.flow);
    checksum = finish(constant + sum_of32(tcp_length) + sum_word(seq_ack) + sum_word(last) + options_sum +
                      payload_sum);
  }
  last |= detail::place16(checksum, 4);
  store_native(tcp, ports);
  store_native(tcp + 4, seq_ack);
  store_native(tcp + 12, last);
  return total_length;
}

/// The same with any options: a multiple of 4 bytes, at most 40; they may already stand at ip + 40.
[[gnu::always_inline]] inline std::uint32_t write_tcp_packet(std::byte* ip, const TcpPacketFields& fields,
                                                             std::span<const std::byte> options, std::uint32_t payload_length,
                                                             std::uint64_t payload_sum, std::uint8_t offload) {
  const std::uint64_t sum = detail::put_options(ip + ipv4_header_length + tcp_header_length, options);
  return write_tcp_headers(ip, fields, static_cast<std::uint32_t>(options.size()), sum, payload_length, payload_sum, offload);
}

/// Timestamps with their padding, the options of nearly every segment, at `to`. Returns their sum.
inline constexpr std::uint32_t timestamps_length = 12;
inline std::uint64_t put_timestamps(std::byte* to, std::uint32_t value, std::uint32_t echo) {
  const std::uint32_t head = swap32(0x0101080a), val = swap32(value), ecr = swap32(echo);  // NOP, NOP, kind 8, 10 bytes
  store_native(to, head);
  store_native(to + 4, val);
  store_native(to + 8, ecr);
  return std::uint64_t{head} + val + ecr;
}

/// The four options of our usual SYN, in the layout that parse_common_syn() knows (MUST-68). Returns their sum.
inline constexpr std::uint32_t common_syn_length = 20;
inline std::uint64_t put_common_syn(std::byte* to, std::uint16_t mss, std::uint8_t window_scale, std::uint32_t ts_val, std::uint32_t ts_ecr) {
  const std::uint32_t first = swap32(0x02040000u | mss), second = swap32(0x0402080a), val = swap32(ts_val), ecr = swap32(ts_ecr),
                      last = swap32(0x01030300u | window_scale);
  store_native(to, first);
  store_native(to + 4, second);
  store_native(to + 8, val);
  store_native(to + 12, ecr);
  store_native(to + 16, last);
  return std::uint64_t{first} + second + val + ecr + last;
}

/// The same behind an Ethernet header at `frame`. Returns the frame's length, without padding.
inline std::uint32_t write_tcp_frame(std::byte* frame, const TcpHeaderFields& fields,
                                     std::span<const std::byte> options, std::uint32_t payload_length,
                                     std::uint64_t payload_sum, std::uint8_t offload) {
  write_ethernet(frame, fields.destination_mac, fields.source_mac, ether_type_ipv4);
  return std::uint32_t{ethernet_header_length} +
         write_tcp_packet(frame + ethernet_header_length, fields, options, payload_length, payload_sum, offload);
}

}  // namespace handfast::wire
