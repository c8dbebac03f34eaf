// SPDX-License-Identifier: BSD-3-Clause
// One TCP segment as the other end of the wire sees it, and a strict parser that shares nothing with
// src/wire. Layer: test support. The writer is that of src/wire; the judge is not.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "handfast/address.hpp"
#include "handfast/time.hpp"

namespace handfast::test {

inline constexpr std::uint8_t FIN = 0x01, SYN = 0x02, RST = 0x04, PSH = 0x08, ACK = 0x10, URG = 0x20;

using Block = std::pair<std::uint32_t, std::uint32_t>;

struct Packet {
  Endpoint source, destination;
  MacAddress source_mac, destination_mac;
  std::uint32_t seq = 0, ack = 0;
  std::uint8_t flags = 0;
  std::uint16_t window = 0;
  std::uint16_t urgent = 0;
  std::uint8_t tos = 0;   ///< DSCP and ECN
  std::uint8_t ttl = 64;
  std::optional<std::uint16_t> mss;
  std::optional<std::uint8_t> wscale;
  bool sack_permitted = false;
  std::optional<std::pair<std::uint32_t, std::uint32_t>> ts;  ///< TSval, TSecr
  std::vector<Block> sack;
  std::optional<std::uint16_t> user_timeout;  ///< RFC 5482, as in the option
  std::optional<std::string> cookie;          ///< RFC 7413; empty: asked for
  std::vector<std::uint8_t> raw_options;  ///< build(): used instead of the options above; a multiple of four
  std::string payload;
  Time at{};

  [[nodiscard]] bool has(std::uint8_t bits) const { return (flags & bits) != 0; }
  /// SEG.LEN
  [[nodiscard]] std::uint32_t length() const {
    return static_cast<std::uint32_t>(payload.size()) + (has(SYN) ? 1u : 0u) + (has(FIN) ? 1u : 0u);
  }
  /// As tcpdump would put it.
  [[nodiscard]] std::string text() const;
};

/// The one's complement sum of RFC 1071, byte by byte; 0xffff over an intact piece.
[[nodiscard]] std::uint16_t plain_sum(std::span<const std::byte> bytes, std::uint32_t start = 0);

/// Everything that a sender must get right: lengths, both checksums, reserved bits, options' form and place.
/// `why` says what is wrong where the result is empty.
[[nodiscard]] std::optional<Packet> parse_strictly(std::span<const std::byte> frame, std::string& why);

/// The whole frame; short ones are padded with 0xaa to 60 bytes, as on Ethernet.
[[nodiscard]] std::vector<std::byte> build(const Packet& packet);

/// Turns the byte at `offset` of the TCP header's checksum field wrong.
void break_tcp_checksum(std::vector<std::byte>& frame);

}  // namespace handfast::test
