// SPDX-License-Identifier: BSD-3-Clause
// The TCP header and its options (RFC 9293 section 3.1, 3.2; RFC 7323, 2018, 5482, 7413): total parsers, one writer.
// Layer: wire. Knows nothing of connections.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "base/flow_key.hpp"
#include "base/seq.hpp"
#include "handfast/drop.hpp"
#include "wire/bytes.hpp"
#include "wire/frame.hpp"

namespace handfast::wire {

enum TcpFlag : std::uint8_t {
  fin = 0x01,
  syn = 0x02,
  rst = 0x04,
  psh = 0x08,
  ack = 0x10,
  urg = 0x20,
  ece = 0x40,
  cwr = 0x80
};

inline constexpr std::size_t ethernet_header_length = 14;
inline constexpr std::size_t ipv4_header_length = 20;  ///< that we write; received ones may have options
inline constexpr std::size_t tcp_header_length = 20;
inline constexpr std::size_t max_tcp_options_length = 40;

/// One SACK block: [left, right).
struct SackBlock {
  Seq left, right;
  friend constexpr bool operator==(const SackBlock&, const SackBlock&) = default;
};

/// The options that Handfast knows. What is absent is false or zero.
struct TcpOptions {
  bool has_mss = false;
  bool has_window_scale = false;
  bool sack_permitted = false;
  bool has_timestamps = false;
  std::uint8_t window_scale = 0;  ///< as received; the protocol caps it at 14 (RFC 7323 section 2.3)
  std::uint8_t sack_count = 0;    ///< 0 to 4
  std::uint16_t mss = 0;
  std::uint32_t ts_val = 0;
  std::uint32_t ts_ecr = 0;
  std::array<SackBlock, 4> sack{};
  bool has_fast_open = false;
  bool is_authenticated = false;       ///< MD5 (RFC 2385) or TCP-AO (RFC 5925), which is not looked into
  std::uint8_t fast_open_length = 0;   ///< of the cookie: 0 (a request), or 4 to 16 and even
  std::uint16_t user_timeout = 0;      ///< as it stands in the option (RFC 5482 section 3.3); 0: none
  const std::byte* fast_open_cookie = nullptr;  ///< in the frame; or where write_options takes it from
};

/// A received segment: the header in host order, views for the rest. It lives as long as the frame.
struct Segment {
  FlowKey flow;  ///< local = destination, remote = source
  Seq seq, ack;
  std::uint16_t window = 0;
  std::uint16_t urgent_pointer = 0;
  std::uint8_t flags = 0;  ///< TcpFlag bits
  std::uint8_t ecn = 0;    ///< the two ECN bits of the IP header
  std::uint8_t header_length = 0;
  const std::byte* options = nullptr;  ///< header_length - 20 bytes
  const std::byte* payload = nullptr;
  std::uint32_t payload_length = 0;

  [[nodiscard]] bool has(std::uint8_t bits) const { return (flags & bits) != 0; }
  [[nodiscard]] std::span<const std::byte> option_bytes() const {
    return {options, static_cast<std::size_t>(header_length) - tcp_header_length};
  }
  /// SEG.LEN: payload, and one each for SYN and FIN (RFC 9293 section 3.4).
  [[nodiscard]] std::uint32_t length() const {
    return payload_length + ((flags & syn) != 0 ? 1u : 0u) + ((flags & fin) != 0 ? 1u : 0u);
  }
};

/// Parses the options; false where one is malformed (length 0, 1 or past the end, or wrong for its kind).
/// Unknown kinds are skipped by their length (MUST-6); bytes after End of Option List are not read.
/// At most 40 steps whatever the bytes.
[[nodiscard]] bool parse_tcp_options(std::span<const std::byte> bytes, TcpOptions& out);

/// True and out.ts_* set where the options are exactly NOP,NOP,TS (the layout nearly every stack sends in
/// an established connection); everything else in out is then reset. False says only that parse_tcp_options
/// has to look, and leaves out alone.
[[nodiscard]] inline bool parse_timestamp_only(std::span<const std::byte> bytes, TcpOptions& out) {
  constexpr std::size_t padded_timestamps_length = 12;
  constexpr std::uint32_t no_operation_twice_kind_length = 0x0101080a;
  if (bytes.size() != padded_timestamps_length) return false;
  if (load32(bytes.data()) != no_operation_twice_kind_length) return false;
  out = TcpOptions{};
  out.has_timestamps = true;
  out.ts_val = load32(bytes.data() + 4);
  out.ts_ecr = load32(bytes.data() + 8);
  return true;
}

/// The same for the layout of nearly every SYN: MSS, SACK-permitted, timestamps, NOP, window scale.
[[nodiscard]] inline bool parse_common_syn(std::span<const std::byte> bytes, TcpOptions& out) {
  constexpr std::size_t common_length = 20;
  constexpr std::uint32_t sack_then_timestamps = 0x0402080a, mss_head = 0x0204, no_operation_then_scale = 0x010303;
  if (bytes.size() != common_length) return false;
  const std::uint32_t first = load32(bytes.data()), last = load32(bytes.data() + 16);
  if (first >> 16 != mss_head || load32(bytes.data() + 4) != sack_then_timestamps || last >> 8 != no_operation_then_scale)
    return false;
  out.has_mss = out.sack_permitted = out.has_timestamps = out.has_window_scale = true;
  out.mss = static_cast<std::uint16_t>(first);
  out.ts_val = load32(bytes.data() + 8);
  out.ts_ecr = load32(bytes.data() + 12);
  out.window_scale = static_cast<std::uint8_t>(last);
  return true;
}

/// A segment's options: the common layouts first, then any. `out` must be as default-initialised.
[[nodiscard]] inline bool read_options(const Segment& segment, TcpOptions& out) {
  if (segment.header_length == tcp_header_length) return true;
  const auto bytes = segment.option_bytes();
  return parse_timestamp_only(bytes, out) || parse_common_syn(bytes, out) || parse_tcp_options(bytes, out);
}

/// Parses the TCP header at the start of `bytes` (which ends where the IP datagram ends), and verifies the
/// checksum in software where `state` is unknown. Addresses must already stand in out.flow (local =
/// destination).
[[nodiscard]] Drop parse_tcp(std::span<const std::byte> bytes, ChecksumState state, Segment& out);

}  // namespace handfast::wire
