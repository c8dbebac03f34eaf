// SPDX-License-Identifier: BSD-3-Clause
// One described segment of many frames' payload, cut into segments that fit: what a port with segmentation would do, in
// software. Layer: shard. Knows nothing of frames; copies no payload.
#pragma once

#include <algorithm>
#include <cstdint>

#include "base/assert.hpp"
#include "tcp/tx_segment.hpp"

namespace handfast::shard {

[[nodiscard]] inline bool is_large(const tcp::TxSegment& segment) {
  return segment.segment_size != 0 && segment.payload_length > segment.segment_size;
}

/// How much of a large segment one frame may carry: a whole number of segments, as a port that cuts it needs.
/// `room`: bytes of payload that a buffer holds. At least one segment, whatever the room.
[[nodiscard]] inline std::uint32_t payload_of_a_part(const tcp::TxSegment& segment, std::uint32_t room) {
  return std::max<std::uint32_t>(room / segment.segment_size, 1) * segment.segment_size;
}

class SegmentCutter {
 public:
  /// `whole` outlives the cutter. Parts of `most` bytes; the last may be less.
  SegmentCutter(const tcp::TxSegment& whole, std::uint32_t most) : whole_(whole), most_(most), part_(whole) {
    HF_DEBUG_ASSERT(most != 0 && (whole.flags & wire::syn) == 0);
  }

  /// The next part, valid until the next call; null after the last.
  [[nodiscard]] const tcp::TxSegment* next() {
    if (done_ == whole_.payload_length) return nullptr;
    const std::uint32_t length = std::min(most_, whole_.payload_length - done_);
    const bool first = done_ == 0, last = done_ + length == whole_.payload_length;
    part_.seq = whole_.seq + done_;
    part_.payload_length = length;
    // What ends the data ends it once; that the window was reduced is said once (rfc3168 6.1.2).
    part_.flags = whole_.flags;
    if (!last) part_.flags &= static_cast<std::uint8_t>(~(wire::fin | wire::psh));
    if (!first) part_.flags &= static_cast<std::uint8_t>(~wire::cwr);
    take_pieces(length);
    done_ += length;
    return &part_;
  }

 private:
  void take_pieces(std::uint32_t length) {
    part_.pieces = 0;
    while (length != 0) {
      HF_DEBUG_ASSERT(piece_ < whole_.pieces);
      const tcp::TxSegment::Piece& from = whole_.piece[piece_];
      const std::uint32_t n = std::min(length, from.length - offset_);
      part_.piece[part_.pieces++] = {from.data + offset_, n};
      length -= n;
      offset_ += n;
      if (offset_ != from.length) continue;
      ++piece_;
      offset_ = 0;
    }
  }

  const tcp::TxSegment& whole_;
  const std::uint32_t most_;
  tcp::TxSegment part_;
  std::uint32_t done_ = 0;
  std::uint32_t offset_ = 0;  // in piece_
  std::uint8_t piece_ = 0;
};

}  // namespace handfast::shard
