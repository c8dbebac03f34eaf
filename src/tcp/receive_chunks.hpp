// SPDX-License-Identifier: BSD-3-Clause
// The part of a shard's chunks that received bytes may take, so that it can never be all of them: who holds unread bytes
// until it can answer must find memory for the answer, or neither is ever given back. Layer: tcp; knows no connection.
#pragma once

#include <algorithm>
#include <cstdint>

#include "tcp/chunk_queue.hpp"

namespace handfast::tcp {

/// Chunks that sending leaves to what is received: a callback that queues all it can must not take the place of the
/// bytes that it is being shown, which are accepted already. The largest frame takes twelve.
inline constexpr std::uint32_t receive_reserve = 16;

/// Least Limits::buffer_memory, in chunks.
inline constexpr std::uint32_t least_chunks = 32;

/// And so many of `all` are left to sending: an eighth of what there is, and four at least.
[[nodiscard]] constexpr std::uint32_t most_for_receiving(std::uint32_t all) {
  return all - receive_reserve - std::max(all / 8, 4u);
}

/// A pool within a pool. What it has handed out is never more than `most`, however little others hold.
class ReceiveChunks {
 public:
  ReceiveChunks(ChunkPool& all, std::uint32_t most) : all_(all), most_(most) {}
  explicit ReceiveChunks(ChunkPool& all) : ReceiveChunks(all, all.capacity()) {}
  ReceiveChunks(const ReceiveChunks&) = delete;

  /// nullptr when the share or the pool is used up.
  [[nodiscard]] Chunk* allocate() {
    if (in_use_ == most_) return nullptr;
    Chunk* const chunk = all_.allocate();
    in_use_ += chunk != nullptr;
    return chunk;
  }
  void free(Chunk* chunk) {
    HF_ASSERT(in_use_ != 0);
    --in_use_;
    all_.free(chunk);
  }
  /// That the next n can be had.
  [[nodiscard]] bool has(std::uint32_t n) const { return in_use_ + n <= most_ && all_.in_use() + n <= all_.capacity(); }
  [[nodiscard]] std::uint32_t most() const { return most_; }
  [[nodiscard]] std::uint32_t in_use() const { return in_use_; }

 private:
  ChunkPool& all_;
  const std::uint32_t most_;
  std::uint32_t in_use_ = 0;
};

}  // namespace handfast::tcp
