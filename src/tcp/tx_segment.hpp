// SPDX-License-Identifier: BSD-3-Clause
// A segment to be sent, described: the headers are written once, late, by whoever owns the frame.
// Layer: tcp. Knows nothing of Ethernet, IP or mbufs.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "base/flow_key.hpp"
#include "base/seq.hpp"
#include "tcp/tx_frames.hpp"
#include "wire/tcp.hpp"

namespace handfast::tcp {

inline constexpr unsigned max_pieces = 8;

/// Most payload of one description: with all headers and options it is an IP datagram still.
inline constexpr std::uint32_t max_described_payload = 65535 - 120;

/// Views of what is sent are valid until the burst in which the segment was described has been written.
struct TxSegment {
  struct Piece {
    const std::byte* data;
    std::uint32_t length;
  };
  FlowKey flow;
  std::uint32_t flow_sum = 0;
  Seq seq, ack;
  std::uint16_t window = 0;
  std::uint8_t flags = 0;
  std::uint8_t options_length = 0;
  std::uint16_t urgent = 0;  // means something with URG in flags alone
  std::uint8_t pieces = 0;
  std::uint8_t tos = 0;  // DSCP << 2 | ECN
  std::uint16_t segment_size = 0;    ///< 0, or the payload of each frame that this is to become where it has more
  std::uint32_t payload_length = 0;
  std::array<std::byte, wire::max_tcp_options_length> options;
  std::array<Piece, max_pieces> piece;
};

/// Where the protocol puts what it has to say: descriptions, which the loop writes out; or, for segments of the plainest
/// shape, frames at once. Bounded; when full it has itself written out (once the loop has said how).
class TxQueue {
 public:
  static constexpr std::uint32_t capacity = 512;

  /// The next frame to `remote`, behind everything described so far: with a buffer and its Ethernet header, and what is asked
  /// of the port in `offload`. The caller writes the datagram and `length`; it leaves with this flush. Null where that is
  /// not possible just now: then describe the segment, and what becomes of it is the loop's.
  [[nodiscard, gnu::always_inline]] inline wire::TxFrame* frame(std::uint32_t remote) {
    if (size_ == 0) [[likely]]
      if (wire::TxFrame* const at_hand = written_.take(remote)) [[likely]] return at_hand;
    return frame_slowly(remote);
  }
  /// The frames so far, those written from descriptions among them.
  [[nodiscard]] TxFrames& written() { return written_; }

  /// output() leaves bulk data for the next round beyond this, so that one connection does not fill every burst.
  [[nodiscard]] bool has_room() const { return frames_ < capacity / 2; }
  /// A place for one more, not counted before commit(); null when the queue is full and cannot be written out.
  [[nodiscard]] TxSegment* next() {
    if (size_ == capacity) [[unlikely]] {
      if (write_out_ == nullptr) return nullptr;
      write_out_(context_);
    }
    segments_[size_].segment_size = 0;
    return &segments_[size_];
  }
  /// `frames`: how many it will become.
  void commit(std::uint32_t frames = 1) {
    ++size_;
    frames_ += frames;
  }
  [[nodiscard]] std::span<const TxSegment> segments() const { return {segments_.get(), size_}; }
  void clear() { size_ = frames_ = 0; }

  /// `write_out(context)` writes all segments and clears the queue.
  using WriteOut = void (*)(void* context);
  /// `take_frame(context, remote)` is frame().
  using TakeFrame = wire::TxFrame* (*)(void* context, std::uint32_t remote);
  void on_full(WriteOut write_out, TakeFrame take_frame, void* context) {
    write_out_ = write_out;
    take_frame_ = take_frame;
    context_ = context;
  }

 private:
  [[nodiscard, gnu::noinline]] wire::TxFrame* frame_slowly(std::uint32_t remote) {
    return take_frame_ != nullptr ? take_frame_(context_, remote) : nullptr;
  }

  TxFrames written_;
  std::unique_ptr<TxSegment[]> segments_ = std::make_unique_for_overwrite<TxSegment[]>(capacity);
  std::uint32_t size_ = 0, frames_ = 0;
  WriteOut write_out_ = nullptr;
  TakeFrame take_frame_ = nullptr;
  void* context_ = nullptr;
};

}  // namespace handfast::tcp
