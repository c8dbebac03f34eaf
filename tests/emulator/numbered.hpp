// SPDX-License-Identifier: BSD-3-Clause
// What the tests of the emulator share: frames that carry a number, and what arrived when. Layer: tests.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "emulator/direction.hpp"

namespace handfast::emulator::test {

using Frame = std::vector<std::byte>;

inline Frame numbered(std::uint32_t n, std::size_t size = 100) {
  Frame frame(size);
  std::memcpy(frame.data() + 40, &n, sizeof n);  // beyond the headers of Ethernet and IPv4
  return frame;
}

struct Arrival {
  Duration at;  ///< since the epoch
  std::uint32_t n;
  Frame frame;
};

inline Time at(Duration d) { return Time{d}; }

inline std::vector<Arrival> arrivals(Direction& way, Time until = Time::max()) {
  std::vector<Arrival> all;
  way.deliver(until, [&](Time due, std::span<const std::byte> bytes) {
    Arrival a{due.time_since_epoch(), 0, {bytes.begin(), bytes.end()}};
    if (bytes.size() >= 44) std::memcpy(&a.n, bytes.data() + 40, sizeof a.n);
    all.push_back(std::move(a));
  });
  return all;
}

/// Pushes `count` frames, one every `gap`, and takes what arrives meanwhile and after.
inline std::vector<Arrival> stream(Direction& way, std::uint32_t count, Duration gap = 1us,
                                   std::size_t size = 100) {
  for (std::uint32_t n = 0; n < count; ++n) way.push(at(n * gap), numbered(n, size));
  return arrivals(way);
}

}  // namespace handfast::emulator::test
