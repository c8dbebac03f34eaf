// SPDX-License-Identifier: BSD-3-Clause
// Several full segments in one description: how many bytes it may have. Layer: tcp; the sender asks, the shard's loop cuts.
// Knows nothing of what the port can do: what leaves on the wire is the same.
#pragma once

#include <algorithm>
#include <cstdint>

#include "tcp/tx_segment.hpp"

namespace handfast::tcp {

/// Whole segments of `mss` bytes, as many as `most` (of the queue, the window, the congestion window) has; at least the
/// one that the caller has already decided on.
[[nodiscard]] inline std::uint32_t whole_segments(std::uint32_t mss, std::uint32_t most) {
  return std::max(std::min(most, max_described_payload) / mss, 1u) * mss;
}

/// The payload may have become less than was wanted, for want of pieces: no segment in the middle may be a small one.
inline void drop_partial_segment(TxSegment& segment, std::uint32_t mss) {
  if (segment.payload_length <= mss) return;
  std::uint32_t surplus = segment.payload_length % mss;
  segment.payload_length -= surplus;
  while (surplus != 0) {
    TxSegment::Piece& last = segment.piece[segment.pieces - 1u];
    const std::uint32_t n = std::min(surplus, last.length);
    last.length -= n;
    surplus -= n;
    if (last.length == 0) --segment.pieces;
  }
}

}  // namespace handfast::tcp
