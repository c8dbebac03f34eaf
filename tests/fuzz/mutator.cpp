// SPDX-License-Identifier: BSD-3-Clause
// How the fuzzer changes programs: whole ops come, go, repeat, swap and cross over; a field changes to a neighbour of what
// it was. Layer: fuzz.
#include <algorithm>
#include <cstring>

#include "base/rng.hpp"
#include "fuzz/program.hpp"

namespace handfast::fuzz {
namespace {

void put16(std::uint8_t* at, std::uint16_t value) {
  at[0] = static_cast<std::uint8_t>(value >> 8);
  at[1] = static_cast<std::uint8_t>(value);
}

constexpr std::uint8_t kinds = static_cast<std::uint8_t>(OpKind::count_);

/// Fresh ones are segments more often than not, in or next to the window.
Op random_op(Rng& rng) {
  Op op;
  const std::uint32_t dice = rng.below(32);
  op.kind = dice < 8 ? OpKind::segment : dice < 12 ? OpKind::orderly : static_cast<OpKind>(rng.below(kinds));
  op.peer = static_cast<std::uint8_t>(rng.below(4) == 0 ? rng.below(4) : 0);
  if (rng.below(8) == 0) op.peer |= 0x80;
  static constexpr std::uint8_t flags[] = {0x10, 0x10, 0x10, 0x18, 0x02, 0x12, 0x11, 0x04, 0x14, 0x30, 0x01, 0x00, 0x42, 0xd2};
  op.flags = rng.below(8) == 0 ? static_cast<std::uint8_t>(rng.next()) : flags[rng.below(std::size(flags))];
  op.bases = rng.below(2) == 0 ? std::uint8_t{0} : static_cast<std::uint8_t>(rng.next());
  if (rng.below(3) == 0) op.seq = static_cast<std::int16_t>(static_cast<int>(rng.below(9)) - 4);
  if (rng.below(6) == 0) op.seq = static_cast<std::int16_t>(rng.next());
  if (rng.below(3) == 0) op.ack = static_cast<std::int16_t>(static_cast<int>(rng.below(9)) - 4);
  op.window = rng.below(3) == 0 ? static_cast<std::uint16_t>(rng.next()) : std::uint16_t{65535};
  op.length = static_cast<std::uint16_t>(rng.below(3) == 0 ? 0 : rng.below(3) == 0 ? 1 : rng.below(1461));
  op.options = rng.below(2) == 0 ? std::uint8_t{0} : static_cast<std::uint8_t>(rng.next());
  op.extra = static_cast<std::uint8_t>(rng.next());
  op.value = static_cast<std::uint16_t>(rng.next());
  return op;
}

void tweak(std::uint8_t* at, Rng& rng) {
  const std::size_t byte = rng.below(op_bytes);
  switch (rng.below(4)) {
    case 0: at[byte] ^= static_cast<std::uint8_t>(1u << rng.below(8)); break;
    case 1: at[byte] = static_cast<std::uint8_t>(at[byte] + rng.below(3) - 1); break;
    case 2: at[byte] = static_cast<std::uint8_t>(rng.next()); break;
    default: put16(at + (byte & ~std::size_t{1}), static_cast<std::uint16_t>(rng.below(8) - 4)); break;
  }
}

std::size_t mutate(std::uint8_t* data, std::size_t size, std::size_t most, Rng& rng) {
  const std::size_t room = std::min(most_ops, (most - header_bytes) / op_bytes);
  std::size_t n = size < header_bytes ? 0 : std::min(room, (size - header_bytes) / op_bytes);
  if (size < header_bytes) std::memset(data, 0, header_bytes);
  std::uint8_t* const ops = data + header_bytes;
  const auto any = [&](std::size_t bound) { return static_cast<std::size_t>(rng.below(static_cast<std::uint32_t>(bound))); };
  const auto at = [&](std::size_t i) { return ops + i * op_bytes; };
  const auto open = [&](std::size_t i) {
    std::memmove(at(i + 1), at(i), (n - i) * op_bytes);
    ++n;
    return at(i);
  };
  const std::uint32_t dice = n == 0 ? 0 : rng.below(16);
  if (dice < 4 && n < room) {
    write_op(open(any(n + 1)), random_op(rng));
  } else if (n == 0 || dice == 15) {
    data[rng.below(header_bytes)] = static_cast<std::uint8_t>(rng.next());
  } else if (dice < 6) {
    const std::size_t i = any(n), gone = 1 + any(std::min<std::size_t>(n - i, 4));
    std::memmove(at(i), at(i + gone), (n - i - gone) * op_bytes);
    n -= gone;
  } else if (dice < 8 && n < room) {
    const std::size_t from = any(n), to = any(n + 1);
    std::uint8_t copy[op_bytes];
    std::memcpy(copy, at(from), op_bytes);
    std::memcpy(open(to), copy, op_bytes);
  } else if (dice < 10) {
    const std::size_t i = any(n), j = any(n);
    if (i != j) std::swap_ranges(at(i), at(i) + op_bytes, at(j));
  } else if (dice < 11) {
    write_op(at(any(n)), random_op(rng));
  } else {
    for (std::uint32_t times = 1 + rng.below(3); times != 0; --times) tweak(at(any(n)), rng);
  }
  return header_bytes + n * op_bytes;
}

}  // namespace
}  // namespace handfast::fuzz

using namespace handfast::fuzz;

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t most, unsigned seed) {
  if (most < header_bytes + op_bytes) return size;
  handfast::Rng rng{seed};
  std::size_t left = size;
  for (std::uint32_t times = 1 + rng.below(4); times != 0; --times) left = mutate(data, left, most, rng);
  return left;
}

/// The head of one program, the tail of the other.
extern "C" std::size_t LLVMFuzzerCustomCrossOver(const std::uint8_t* one, std::size_t one_size, const std::uint8_t* two,
                                                 std::size_t two_size, std::uint8_t* out, std::size_t most, unsigned seed) {
  handfast::Rng rng{seed};
  const auto ops_of = [](std::size_t size) { return size < header_bytes ? 0 : (size - header_bytes) / op_bytes; };
  const std::size_t head = rng.below(static_cast<std::uint32_t>(ops_of(one_size) + 1));
  const std::size_t from = rng.below(static_cast<std::uint32_t>(ops_of(two_size) + 1));
  std::size_t tail = ops_of(two_size) - from;
  if (one_size < header_bytes || most < header_bytes) return 0;
  const std::size_t room = std::min(most_ops, (most - header_bytes) / op_bytes);
  const std::size_t kept = std::min(head, room);
  tail = std::min(tail, room - kept);
  std::memcpy(out, one, header_bytes + kept * op_bytes);
  if (tail != 0) std::memcpy(out + header_bytes + kept * op_bytes, two + header_bytes + from * op_bytes, tail * op_bytes);
  return header_bytes + (kept + tail) * op_bytes;
}
