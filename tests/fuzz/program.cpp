// SPDX-License-Identifier: BSD-3-Clause
// Ops as bytes. Layer: fuzz.
#include "fuzz/program.hpp"

#include <algorithm>

namespace handfast::fuzz {
namespace {

std::uint16_t get16(const std::uint8_t* at) { return static_cast<std::uint16_t>(at[0] << 8 | at[1]); }
void put16(std::uint8_t* at, std::uint16_t value) {
  at[0] = static_cast<std::uint8_t>(value >> 8);
  at[1] = static_cast<std::uint8_t>(value);
}

constexpr std::uint8_t kinds = static_cast<std::uint8_t>(OpKind::count_);

}  // namespace

Program read_header(std::span<const std::uint8_t> bytes) {
  std::uint8_t h[header_bytes] = {};
  std::copy_n(bytes.begin(), std::min(bytes.size(), header_bytes), h);
  return {h[0], h[1], h[2], h[3]};
}

Op read_op(std::span<const std::uint8_t> bytes) {
  const std::uint8_t* b = bytes.data();
  Op op;
  op.kind = static_cast<OpKind>(b[0] % kinds);
  op.peer = b[1];
  op.flags = b[2];
  op.bases = b[3];
  op.seq = static_cast<std::int16_t>(get16(b + 4));
  op.ack = static_cast<std::int16_t>(get16(b + 6));
  op.window = get16(b + 8);
  op.length = get16(b + 10);
  op.options = b[12];
  op.extra = b[13];
  op.value = get16(b + 14);
  return op;
}

void write_op(std::uint8_t* to, const Op& op) {
  to[0] = static_cast<std::uint8_t>(op.kind);
  to[1] = op.peer;
  to[2] = op.flags;
  to[3] = op.bases;
  put16(to + 4, static_cast<std::uint16_t>(op.seq));
  put16(to + 6, static_cast<std::uint16_t>(op.ack));
  put16(to + 8, op.window);
  put16(to + 10, op.length);
  to[12] = op.options;
  to[13] = op.extra;
  put16(to + 14, op.value);
}

std::vector<std::uint8_t> write_program(const Program& header, std::span<const Op> ops) {
  std::vector<std::uint8_t> bytes(header_bytes + ops.size() * op_bytes);
  bytes[0] = header.variant;
  bytes[1] = header.manners;
  bytes[2] = header.setup;
  bytes[3] = header.spare;
  for (std::size_t i = 0; i < ops.size(); ++i) write_op(bytes.data() + header_bytes + i * op_bytes, ops[i]);
  return bytes;
}

}  // namespace handfast::fuzz
