// SPDX-License-Identifier: BSD-3-Clause
// IPv4: parser and writer of the paths that are not hot. Layer: wire. fast_parse.hpp must agree with it.
#include "wire/ipv4.hpp"

#include "base/assert.hpp"
#include "wire/bytes.hpp"
#include "wire/checksum.hpp"

namespace handfast::wire {
namespace {

constexpr std::uint16_t dont_fragment = 0x4000;
constexpr std::uint16_t more_fragments_and_offset = 0x3fff;

namespace ip_option {
constexpr std::uint8_t end = 0, no_operation = 1, loose_source_route = 131, strict_source_route = 137;
}

/// MUST-50: every other option is skipped by its length, and one that lies about it ends the list.
/// deviates: rfc9293 MUST-53 answers along a received source route; that lets a stranger choose where answers go.
bool asks_for_a_source_route(std::span<const std::byte> options) {
  for (std::size_t at = 0; at < options.size();) {
    const std::uint8_t kind = load8(options.data() + at);
    if (kind == ip_option::end) return false;
    if (kind == ip_option::loose_source_route || kind == ip_option::strict_source_route) return true;
    const bool has_length = kind != ip_option::no_operation;
    if (has_length && options.size() - at < 2) return false;
    const std::uint8_t length = has_length ? load8(options.data() + at + 1) : std::uint8_t{1};
    if (length == 0) return false;
    at += length;
  }
  return false;
}

}  // namespace

Drop parse_ipv4(std::span<const std::byte> bytes, ChecksumState state, Ipv4Packet& out) {
  if (bytes.size() < ipv4_header_length) return Drop::ip_truncated;
  const std::byte* const p = bytes.data();
  if (load8(p) >> 4 != 4) return Drop::ip_version;
  const std::size_t header_length = std::size_t{load8(p) & 0xfu} * 4;
  if (header_length < ipv4_header_length) return Drop::ip_header_length;
  if (header_length > bytes.size()) return Drop::ip_truncated;
  const std::size_t total_length = load16(p + 2);
  if (total_length < header_length || total_length > bytes.size()) return Drop::ip_total_length;
  if (state == ChecksumState::bad) return Drop::ip_checksum;
  if (state == ChecksumState::unknown && !sum_is_good(sum_bytes(bytes.first(header_length)))) {
    return Drop::ip_checksum;
  }
  if ((load16(p + 6) & more_fragments_and_offset) != 0) return Drop::ip_fragment;
  if (header_length > ipv4_header_length &&
      asks_for_a_source_route({p + ipv4_header_length, header_length - ipv4_header_length}))
    return Drop::ip_source_route;
  out.source = Ipv4Address{load32(p + 12)};
  out.destination = Ipv4Address{load32(p + 16)};
  if (is_martian_source(out.source)) return Drop::ip_martian_source;
  out.tos = load8(p + 1);
  out.ttl = load8(p + 8);
  out.protocol = load8(p + 9);
  out.payload = bytes.subspan(header_length, total_length - header_length);
  return Drop::none;
}

Drop parse_tcp_packet(const Ipv4Packet& packet, ChecksumState state, Segment& out) {
  out.flow = FlowKey{{packet.destination, 0}, {packet.source, 0}};
  out.ecn = packet.tos & 3;
  return parse_tcp(packet.payload, state, out);
}

void write_ipv4(std::byte* to, const Ipv4HeaderFields& fields) {
  HF_DEBUG_ASSERT(fields.payload_length <= 0xffff - ipv4_header_length);
  store8(to, 0x45);
  store8(to + 1, fields.tos);
  store16(to + 2, static_cast<std::uint16_t>(ipv4_header_length + fields.payload_length));
  store16(to + 4, 0);
  store16(to + 6, dont_fragment);
  store8(to + 8, fields.ttl);
  store8(to + 9, fields.protocol);
  store16(to + 10, 0);
  store32(to + 12, fields.source.value);
  store32(to + 16, fields.destination.value);
  store_native(to + 10, finish(sum_bytes({to, ipv4_header_length})));
}

}  // namespace handfast::wire
