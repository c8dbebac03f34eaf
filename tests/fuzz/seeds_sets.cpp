// SPDX-License-Identifier: BSD-3-Clause
// Seeds for F7 and F8 that random ops do not find by themselves: many ranges apart and then joined, tables as
// full as they get, pools that run empty. Layer: fuzz. Knows how ranges.cpp and tables.cpp write their ops.
#include <initializer_list>
#include <string>
#include <vector>

#include "fuzz/seeds.hpp"

namespace handfast::fuzz {
namespace {

using Bytes = std::vector<std::uint8_t>;

void add(Seeds& seeds, const char* target, const std::string& name, const Bytes& bytes) {
  seeds.add(target, name, std::as_bytes(std::span{bytes}));
}

/// A set of many small ranges; how they come, and how they go.
Bytes many_ranges(std::uint8_t blocks, bool upwards, unsigned going) {
  Bytes b{3, 0x7f, blocks};
  const auto op = [&](unsigned what, unsigned left, unsigned length) {
    for (const unsigned each : {what, left, length}) b.push_back(static_cast<std::uint8_t>(each));
  };
  for (unsigned i = 0; i < 40; ++i) op(0x81, 3 * (upwards ? i : 39 - i), 1);
  for (unsigned i = 0; i < 20; ++i) op(0x81, 3 * (i * 7 % 40) + 121, 1);
  for (unsigned i = 0; i < 20; ++i) {
    if (going == 0) op(0, 12 * i, 0);               // trimmed from the left
    if (going == 1) op(0x81, 3 * (19 - i) + 1, 7);  // joined in pairs
    if (going == 2) op(1, 100 - 4 * i, 5 + 8 * i);  // joined from the middle
    if (going == 3) op(1, i * 11 % 200, 24);
  }
  op(0x40, 0, 0);
  return b;
}

/// Records pushed until none of the chunks that others have left is free, taken off, and forgotten.
Bytes queue_of_chunks(std::uint8_t hoarded) {
  Bytes b{7, 0, hoarded};
  const auto op = [&](unsigned what, unsigned times) {
    b.push_back(static_cast<std::uint8_t>(times << 3 | what));
    b.push_back(static_cast<std::uint8_t>(times * 5));
  };
  for (int i = 0; i < 8; ++i) op(0, 31);
  for (int i = 0; i < 3; ++i) op(4, 31);
  for (int i = 0; i < 3; ++i) op(0, 31);
  op(7, 31);
  for (unsigned i = 0; i < 12; ++i) op(i % 3 == 2 ? 4 : 0, 3 + i);
  // Far enough for every directory to have been used and left.
  for (int i = 0; i < 70; ++i) op(i % 2 == 0 ? 0 : 4, 31);
  return b;
}

/// Full, looked at, then half empty and full again.
Bytes crowded_table(std::uint8_t crowding) {
  Bytes b{0, crowding};
  const auto op = [&](unsigned what, unsigned k, unsigned slot) {
    for (const unsigned each : {what, k, slot}) b.push_back(static_cast<std::uint8_t>(each));
  };
  for (unsigned k = 0; k < 130; ++k) op(0, k * 3, k);
  op(7, 9, 0);
  for (unsigned k = 0; k < 20; ++k) op(k % 2 == 0 ? 4 : 6, k * 9, 150);
  for (unsigned k = 0; k < 10; ++k) op(0, k * 3 + 1, k);
  op(7, 10, 0);
  return b;
}

}  // namespace

void add_set_seeds(Seeds& seeds) {
  for (const std::uint8_t blocks : std::initializer_list<std::uint8_t>{15, 4, 1, 0})
    for (unsigned going = 0; going < 4; ++going)
      for (const bool upwards : {true, false})
        add(seeds, "ranges",
            "many_" + std::to_string(blocks) + "_" + std::to_string(going) + (upwards ? "_up" : "_down"),
            many_ranges(blocks, upwards, going));
  for (const int hoarded : {0, 35, 36, 37, 38, 39})
    add(seeds, "ranges", "chunks_" + std::to_string(hoarded),
        queue_of_chunks(static_cast<std::uint8_t>(hoarded)));
  for (unsigned crowding = 0; crowding < 64; crowding += 3)
    add(seeds, "tables", "crowded_" + std::to_string(crowding),
        crowded_table(static_cast<std::uint8_t>(crowding)));
}

}  // namespace handfast::fuzz
