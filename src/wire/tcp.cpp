// SPDX-License-Identifier: BSD-3-Clause
// The TCP header and its options: the total parsers of tcp.hpp. Layer: wire.
#include "wire/tcp.hpp"

#include <algorithm>

#include "wire/bytes.hpp"
#include "wire/checksum.hpp"
#include "wire/ipv4.hpp"
#include "wire/tcp_option_kinds.hpp"

namespace handfast::wire {
namespace {

/// One option whose length is known to lie inside the header. False where the length is wrong for its kind.
bool take_option(const std::byte* option, std::uint8_t length, TcpOptions& out) {
  switch (load8(option)) {
    case option_kind::mss:
      if (length != option_length::mss) return false;
      out.has_mss = true;
      out.mss = load16(option + 2);
      return true;
    case option_kind::window_scale:
      if (length != option_length::window_scale) return false;
      out.has_window_scale = true;
      out.window_scale = load8(option + 2);
      return true;
    case option_kind::sack_permitted:
      if (length != option_length::sack_permitted) return false;
      out.sack_permitted = true;
      return true;
    case option_kind::sack: {
      const unsigned blocks = (length - 2u) / option_length::sack_block;
      if (blocks == 0 || length != 2 + blocks * option_length::sack_block) return false;
      out.sack_count = static_cast<std::uint8_t>(std::min<std::size_t>(blocks, out.sack.size()));
      for (std::size_t i = 0; i < out.sack_count; ++i) {
        const std::byte* const block = option + 2 + i * option_length::sack_block;
        out.sack[i] = {Seq{load32(block)}, Seq{load32(block + 4)}};
      }
      return true;
    }
    case option_kind::timestamps:
      if (length != option_length::timestamps) return false;
      out.has_timestamps = true;
      out.ts_val = load32(option + 2);
      out.ts_ecr = load32(option + 6);
      return true;
    case option_kind::user_timeout:
      // rfc5482: advice; one of a wrong length is none.
      if (length == option_length::user_timeout) out.user_timeout = load16(option + 2);
      return true;
    case option_kind::fast_open: {
      // rfc7413 4.1.1: one of a wrong length is ignored.
      const auto cookie = static_cast<std::uint8_t>(length - 2);
      const bool fits = cookie >= option_length::least_fast_open_cookie && cookie <= option_length::most_fast_open_cookie;
      if (cookie != 0 && (!fits || cookie % 2 != 0)) return true;
      out.has_fast_open = true;
      out.fast_open_length = cookie;
      out.fast_open_cookie = option + 2;
      return true;
    }
    case option_kind::md5_signature:
    case option_kind::authentication:
      out.is_authenticated = true;
      return true;
    default:
      return true;  // rfc9293 3.1 MUST-6: skipped by its length
  }
}

}  // namespace

bool parse_tcp_options(std::span<const std::byte> bytes, TcpOptions& out) {
  out = TcpOptions{};
  const std::size_t size = std::min(bytes.size(), max_tcp_options_length);
  std::size_t at = 0;
  while (at < size) {
    const std::uint8_t kind = load8(bytes.data() + at);
    if (kind == option_kind::end) return true;  // MUST-69 binds the sender: what follows is not looked at
    if (kind == option_kind::no_operation) {
      ++at;
      continue;
    }
    // rfc9293 3.1 MUST-7: an illegal length is handled without crashing; here it is the segment's end.
    if (size - at < 2) return false;
    const std::uint8_t length = load8(bytes.data() + at + 1);
    if (length < 2 || length > size - at) return false;
    if (!take_option(bytes.data() + at, length, out)) return false;
    at += length;
  }
  return true;
}

Drop parse_tcp(std::span<const std::byte> bytes, ChecksumState state, Segment& out) {
  if (bytes.size() < tcp_header_length) return Drop::tcp_truncated;
  const std::byte* const p = bytes.data();
  const auto header_length = static_cast<std::uint8_t>((load8(p + 12) >> 4) * 4);
  if (header_length < tcp_header_length || header_length > bytes.size()) return Drop::tcp_data_offset;
  if (state == ChecksumState::bad) return Drop::tcp_checksum;
  if (state == ChecksumState::unknown) {
    const auto length = static_cast<std::uint32_t>(bytes.size());
    const std::uint64_t pseudo = pseudo_header_sum(Ipv4Address{out.flow.remote_address},
                                                   Ipv4Address{out.flow.local_address}, protocol_tcp, length);
    if (!sum_is_good(sum_bytes(bytes, pseudo))) return Drop::tcp_checksum;
  }
  const Port source = load16(p);
  const Port destination = load16(p + 2);
  if (source == 0 || destination == 0) return Drop::tcp_port_zero;
  out.flow.ports = std::uint32_t{destination} << 16 | source;
  out.seq = Seq{load32(p + 4)};
  out.ack = Seq{load32(p + 8)};
  out.flags = load8(p + 13);
  out.window = load16(p + 14);
  out.urgent_pointer = load16(p + 18);
  out.header_length = header_length;
  out.options = p + tcp_header_length;
  out.payload = p + header_length;
  out.payload_length = static_cast<std::uint32_t>(bytes.size()) - header_length;
  return Drop::none;
}

}  // namespace handfast::wire
