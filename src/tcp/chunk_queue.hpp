// SPDX-License-Identifier: BSD-3-Clause
// A queue of small plain objects in chunks of the shard's pool, addressed by a number that only grows. Layer: tcp.
// Push at the back, pop at the front, look anywhere: what a sender remembers of each segment in flight. Up to
// `direct_blocks` chunks are found by a table inside, more by a directory of directories in chunks of their own.
#pragma once

#include <array>
#include <cstdint>
#include <new>
#include <type_traits>

#include "base/assert.hpp"
#include "ds/object_pool.hpp"
#include "tcp/memory.hpp"

namespace handfast::tcp {

using ChunkPool = ds::ObjectPool<Chunk>;

template <class T, std::uint32_t direct_blocks>
class ChunkQueue {
  static_assert(std::is_trivially_copyable_v<T> && std::is_trivially_destructible_v<T>);
  static_assert((direct_blocks & (direct_blocks - 1)) == 0 && direct_blocks <= 256);

 public:
  static constexpr std::uint32_t per_block = chunk_bytes / sizeof(T);
  static constexpr std::uint32_t fan_out = chunk_bytes / sizeof(Chunk*);
  /// Most objects at a time.
  static constexpr std::uint32_t max_size = (fan_out * fan_out - 1) * per_block;
  static_assert((per_block & (per_block - 1)) == 0);

  [[nodiscard]] bool empty() const { return front_ == back_; }
  [[nodiscard]] std::uint32_t size() const { return back_ - front_; }
  /// Numbers of the first object and of the place behind the last; they wrap.
  [[nodiscard]] std::uint32_t front_number() const { return front_; }
  [[nodiscard]] std::uint32_t back_number() const { return back_; }
  [[nodiscard]] bool contains(std::uint32_t number) const { return number - front_ < size(); }

  [[nodiscard]] T& operator[](std::uint32_t number) {
    HF_DEBUG_ASSERT(contains(number));
    return *place(number);
  }
  [[nodiscard]] const T& operator[](std::uint32_t number) const {
    HF_DEBUG_ASSERT(contains(number));
    return *const_cast<ChunkQueue*>(this)->place(number);
  }
  [[nodiscard]] T& front() { return (*this)[front_]; }
  [[nodiscard]] const T& front() const { return (*this)[front_]; }
  [[nodiscard]] T& back() { return (*this)[back_ - 1]; }
  [[nodiscard]] const T& back() const { return (*this)[back_ - 1]; }

  /// Makes sure that the next `count` pushes succeed; at most per_block. False when the pool is empty or the queue has
  /// max_size: what was taken until then serves the next pushes.
  [[nodiscard]] bool reserve(ChunkPool& pool, std::uint32_t count = 1) {
    HF_DEBUG_ASSERT(count != 0 && count <= per_block);
    return has_block(pool, back_ / per_block) && has_block(pool, (back_ + count - 1) / per_block);
  }
  /// Behind a reserve() that said true.
  void push(const T& object) { ::new (static_cast<void*>(place(back_++))) T(object); }
  void pop(ChunkPool& pool) {
    HF_DEBUG_ASSERT(!empty());
    ++front_;
    if (empty())
      clear(pool);
    else if (front_ % per_block == 0)
      drop_block(pool);
  }
  /// All chunks back to the pool; numbers go on.
  void clear(ChunkPool& pool) {
    while (blocks_ != 0) drop_block(pool);
    front_ = back_;
  }
  [[nodiscard]] std::uint32_t chunks() const { return blocks_; }

 private:
  static constexpr std::uint32_t block_mask = 0xffffffffu / per_block;
  using Directory = std::array<Chunk*, fan_out>;

  static Directory& directory(Chunk* chunk) { return *reinterpret_cast<Directory*>(chunk->bytes.data()); }
  [[nodiscard]] Chunk*& slot(std::uint32_t block) {
    if (root_ == nullptr) return direct_[block % direct_blocks];
    return directory(directory(root_)[block / fan_out % fan_out])[block % fan_out];
  }
  [[nodiscard]] T* place(std::uint32_t number) {
    return reinterpret_cast<T*>(slot(number / per_block)->bytes.data()) + number % per_block;
  }

  bool has_block(ChunkPool& pool, std::uint32_t block) {
    return (blocks_ != 0 && ((block - first_block_) & block_mask) < blocks_) || add_block(pool, block);
  }
  bool add_block(ChunkPool& pool, std::uint32_t block) {
    if (blocks_ == 0) first_block_ = block;
    if (root_ == nullptr && blocks_ == direct_blocks && !spread(pool)) return false;
    if (blocks_ == fan_out * fan_out - 1) return false;
    if (root_ != nullptr && !add_directory(pool, block)) return false;
    Chunk* chunk = pool.allocate();
    if (chunk == nullptr) return false;  // a directory without blocks is dropped with the next one that has some
    slot(block) = chunk;
    ++blocks_;
    return true;
  }
  /// From the table inside to a directory of directories.
  bool spread(ChunkPool& pool) {
    Chunk* root = pool.allocate();
    if (root == nullptr) return false;
    directory(root) = {};
    const std::array<Chunk*, direct_blocks> moved = direct_;
    root_ = root;
    for (std::uint32_t i = 0; i < blocks_; ++i) {
      const std::uint32_t block = (first_block_ + i) & block_mask;
      if (!add_directory(pool, block)) {
        free_directories(pool);
        direct_ = moved;
        return false;
      }
      slot(block) = moved[block % direct_blocks];
    }
    return true;
  }
  bool add_directory(ChunkPool& pool, std::uint32_t block) {
    Chunk*& place = directory(root_)[block / fan_out % fan_out];
    if (place != nullptr) return true;
    place = pool.allocate();
    if (place == nullptr) return false;
    directory(place) = {};
    return true;
  }
  void free_directories(ChunkPool& pool) {
    for (Chunk*& place : directory(root_)) {
      if (place != nullptr) pool.free(place);
      place = nullptr;
    }
    pool.free(root_);
    root_ = nullptr;
  }
  /// The first block goes.
  void drop_block(ChunkPool& pool) {
    HF_DEBUG_ASSERT(blocks_ != 0);
    const std::uint32_t block = first_block_;
    Chunk*& place = slot(block);
    pool.free(place);
    place = nullptr;
    first_block_ = (first_block_ + 1) & block_mask;
    --blocks_;
    if (root_ == nullptr) return;
    if (blocks_ == 0) {
      free_directories(pool);
      direct_ = {};
    } else if (first_block_ % fan_out == 0) {
      Chunk*& done = directory(root_)[block / fan_out % fan_out];
      // The last blocks may have come round to it.
      if ((first_block_ + blocks_ - 1) / fan_out % fan_out != block / fan_out % fan_out) {
        pool.free(done);
        done = nullptr;
      }
    }
  }

  std::uint32_t front_ = 0, back_ = 0;
  std::uint32_t first_block_ = 0;  // block that front_ is in
  std::uint32_t blocks_ = 0;
  Chunk* root_ = nullptr;
  std::array<Chunk*, direct_blocks> direct_{};
};

}  // namespace handfast::tcp
