// SPDX-License-Identifier: BSD-3-Clause
// Received bytes that the application has not taken, in order or beyond a gap, at their place in the stream.
// Layer: tcp. Allocated when the first byte must wait, given back when the last was taken.
//
// A byte's place is its sequence number: the low 11 bits are the offset in a chunk, the next 8 the slot in a
// directory of 256 chunks, the next 8 the directory. So nothing is walked, overlaps need no care (the first copy
// of a byte wins), and the memory held is at most the window rounded up, however small the segments are.
#pragma once

#include <cstdint>
#include <span>

#include "base/seq.hpp"
#include "ds/range_set.hpp"
#include "ds/slab.hpp"
#include "tcp/chunk_queue.hpp"
#include "tcp/memory.hpp"

namespace handfast::tcp {

/// Most ranges beyond a gap that are kept; a segment that would need one more is dropped (sec C9).
inline constexpr unsigned max_out_of_order_ranges = 64;

/// Largest receive_buffer that the places can tell apart.
inline constexpr std::uint32_t max_receive_buffer = (1u << 27) - 2 * chunk_bytes;


struct ReceiveBuffer {
  Seq unread;   // first byte that the application has not taken; everything up to rcv_nxt is here
  Seq latest;   // in the range that was added to last: first SACK block
  Chunk* root = nullptr;  // directory of directories
  std::uint32_t chunks = 0;
  bool fin_known = false;  // the peer's FIN came beyond a gap: it is at fin_seq
  Seq fin_seq;
  ds::RangeSet<max_out_of_order_ranges> beyond;  // received above rcv_nxt

  /// Copies bytes to their places; parts in [rcv_nxt, ...) that are here already keep their first content.
  /// False, and nothing changed, when the pool or the ranges are used up.
  [[nodiscard]] bool put(ChunkPool& pool, Seq rcv_nxt, Seq at, std::span<const std::byte> bytes);
  /// The first contiguous run of [unread, limit), at most up to the end of its chunk.
  [[nodiscard]] std::span<const std::byte> front(Seq limit) const;
  /// Copies the first n unread bytes, across chunks.
  void read(std::uint32_t n, std::span<std::byte> to) const;
  /// Takes n bytes off the front and returns chunks that are done with.
  void consume(ChunkPool& pool, std::uint32_t n);
  /// All chunks back to the pool.
  void clear(ChunkPool& pool);

 private:
  [[nodiscard]] Chunk* find(Seq at) const;
  [[nodiscard]] Chunk* find_or_add(ChunkPool& pool, Seq at);
  void drop(ChunkPool& pool, Seq at);
  void copy(Seq at, std::span<const std::byte> bytes);
};

}  // namespace handfast::tcp
