// SPDX-License-Identifier: BSD-3-Clause
// What the stateful targets take: a header of four bytes and ops of sixteen. Every input is a program.
// Layer: fuzz. Knows how ops are written; what they do is the worlds' business.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace handfast::fuzz {

enum class OpKind : std::uint8_t {
  segment,    ///< any, relative to what the stack expects
  orderly,    ///< what a decent peer would send next: data or an ACK
  handshake,  ///< the peer's part of opening, whoever opens
  finish,     ///< FIN in order
  time,       ///< passes, every deadline on the way is met
  deadline,   ///< until the next one
  jump,       ///< of the clock, forward or back
  write,
  read,
  close,
  shut,
  abort,
  connect,
  listen,     ///< closes, opens, pauses, resumes
  no_buffers,
  full_ring,
  icmp,
  raw,        ///< bytes behind an Ethernet header
  settings,   ///< Nagle, cork, keep-alive, user timeout, congestion control
  hoard,      ///< takes chunks away from the shard, or gives them back
  manners,    ///< what the application does in its callbacks from now on
  arp,
  count_
};

inline constexpr std::size_t header_bytes = 4, op_bytes = 16, most_ops = 64;

struct Op {
  OpKind kind = OpKind::segment;
  std::uint8_t peer = 0;     ///< two bits; bit 7: no poll behind it, so that the next op joins its burst
  std::uint8_t flags = 0;    ///< of TCP
  std::uint8_t bases = 0;    ///< what seq (upper half) and ack (lower half) count from
  std::int16_t seq = 0, ack = 0;
  std::uint16_t window = 0;
  std::uint16_t length = 0;
  std::uint8_t options = 0;
  std::uint8_t extra = 0;
  std::uint16_t value = 0;
};

struct Program {
  std::uint8_t variant = 0;  ///< of the configuration
  std::uint8_t manners = 0;
  std::uint8_t setup = 0;
  std::uint8_t spare = 0;
};

[[nodiscard]] Program read_header(std::span<const std::uint8_t> bytes);
/// The op at `bytes`, which are at least op_bytes.
[[nodiscard]] Op read_op(std::span<const std::uint8_t> bytes);
void write_op(std::uint8_t* to, const Op& op);
[[nodiscard]] std::vector<std::uint8_t> write_program(const Program& header, std::span<const Op> ops);

}  // namespace handfast::fuzz
