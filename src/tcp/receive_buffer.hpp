// SPDX-License-Identifier: BSD-3-Clause
// Received bytes that the application has not taken, in order or beyond a gap, at their place in the stream.
// Layer: tcp. Allocated when the first byte must wait, given back when the last was taken.
//
// A byte's place is its sequence number: the low 11 bits are the offset in a chunk, the next 8 the slot in a directory of
// chunks, the next 8 the directory, the upper 5 the directory of directories. So nothing is walked, overlaps need no care
// (the first copy of a byte wins), and the memory held is at most the window rounded up, however small the segments are.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "base/seq.hpp"
#include "ds/large_range_set.hpp"
#include "ds/slab.hpp"
#include "tcp/memory.hpp"
#include "tcp/receive_chunks.hpp"

namespace handfast::tcp {

/// Most ranges beyond gaps that are kept; a segment that would need one more is dropped (sec C9). A window of 64 MiB
/// with every tenth segment lost has half as many.
inline constexpr unsigned max_out_of_order_ranges = 8192;
/// So many stand in the buffer itself; more take chunks.
inline constexpr unsigned few_out_of_order_ranges = 64;

/// Largest receive_buffer: what a window of shift 14 can offer (rfc7323 2.3).
inline constexpr std::uint32_t max_receive_buffer = 1u << 30;

/// Chunks that put() may take for `length` bytes at any place: those they stand in, one more where they straddle, two
/// directories on each of two levels, and what their range needs.
[[nodiscard]] constexpr std::uint32_t chunks_for(std::size_t length) {
  return static_cast<std::uint32_t>(length / chunk_bytes) + 2 + 4 + 2;
}

struct ReceiveBuffer {
  using Ranges = ds::LargeRangeSet<ReceiveChunks, few_out_of_order_ranges, max_out_of_order_ranges>;
  static constexpr unsigned top_slots = 32;
  static constexpr unsigned max_recent = 8;

  Seq unread;   // first byte that the application has not taken; everything up to rcv_nxt is here
  std::uint32_t chunks = 0;
  std::array<Chunk*, top_slots> tops{};  // directories of directories
  bool fin_known = false;  // the peer's FIN came beyond a gap: it is at fin_seq
  Seq fin_seq;
  std::uint8_t recent_count = 0;
  std::array<Seq, max_recent> recent;  // where segments arrived, the latest first, no two in one range of `beyond`
  Ranges beyond;                       // received above rcv_nxt

  /// Copies bytes to their places; parts in [rcv_nxt, ...) that are here already keep their first content.
  /// False, and nothing changed, when the pool or the ranges are used up.
  [[nodiscard]] bool put(ReceiveChunks& pool, Seq rcv_nxt, Seq at, std::span<const std::byte> bytes);
  /// The first contiguous run of [unread, limit), at most up to the end of its chunk.
  [[nodiscard]] std::span<const std::byte> front(Seq limit) const;
  /// Copies the first n unread bytes, across chunks.
  void read(std::uint32_t n, std::span<std::byte> to) const;
  /// Takes n bytes off the front and returns chunks that are done with.
  void consume(ReceiveChunks& pool, std::uint32_t n);
  /// Everything beyond the first gap is forgotten, and its chunks given back: nothing of the stream comes after `end`. So are
  /// those up to `reach` that a put() without success has begun.
  void forget_beyond(ReceiveChunks& pool, Seq end, Seq reach);
  void forget_beyond(ReceiveChunks& pool, Seq end) { forget_beyond(pool, end, end); }
  /// All chunks back to the pool.
  void clear(ReceiveChunks& pool);
  /// The ranges to report by SACK (rfc2018 4): first the one with the segment that came last, then those most recently
  /// reported first, then any other. Returns how many were written.
  unsigned blocks_to_report(std::span<ds::Range> out) const;

 private:
  void note_arrival(Seq at);
  [[nodiscard]] Chunk* find(Seq at) const;
  [[nodiscard]] Chunk* find_or_add(ReceiveChunks& pool, Seq at);
  void drop(ReceiveChunks& pool, Seq at);
  void copy(Seq at, std::span<const std::byte> bytes);
};

}  // namespace handfast::tcp
