// SPDX-License-Identifier: BSD-3-Clause
// What connections-bench is asked to measure, and the configuration of its two ends. Layer: bench.
#pragma once

#include <cstdint>
#include <vector>

#include "handfast/stack.hpp"

namespace handfast::bench {

enum class Link : std::uint8_t { ring, memif, virtio };

struct Options {
  double seconds = 2;
  /// Connections that are open at a time, those that stay among them; one row each.
  std::vector<std::uint32_t> open{1, 1000, 100'000, 1'000'000};
  std::uint32_t window = 256;  ///< at most so many of them are opened and closed
  bool one_core = true, two_cores = true;
  Link link = Link::ring;      ///< memif and virtio: two processes
  std::uint32_t keep = 0;      ///< requests on so many kept connections, one under way on each, instead of short connections
  bool flood = false;          ///< spoofed SYNs instead of connections
  bool timestamps = true;
  std::uint32_t time_wait = 1u << 20;
  bool json = false;
};

/// Ends the program where a word is not understood (2) or after --help (0).
[[nodiscard]] Options parse(int argc, char** argv);

inline constexpr Ipv4Address server_address{10, 0, 0, 1};

/// Of the end that listens, or connects; for `open` connections at a time.
[[nodiscard]] StackConfig side(const Options& options, bool server, std::uint32_t open);

}  // namespace handfast::bench
