// SPDX-License-Identifier: BSD-3-Clause
// The pieces of memory that queues are made of: chunks for bytes, extents for what waits to be sent or acknowledged.
// Layer: tcp. Sized at start, shared by all connections of a shard.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace handfast::tcp {

inline constexpr std::uint32_t chunk_bytes = 2048;

/// Raw bytes; what copies of sent data and unread received data stand in.
struct alignas(64) Chunk {
  std::array<std::byte, chunk_bytes> bytes;
};

/// Who owns the bytes of an extent, and so what happens when the last of them is acknowledged.
enum class Ownership : std::uint8_t {
  chunk,     ///< a Chunk of the shard: back to its pool
  caller,    ///< valid as long as the core: nothing
  callback,  ///< release(ctx, bytes) is called by the shard
  port,      ///< a received buffer passed on: back to the port
};

/// A run of bytes in the send queue.
struct alignas(64) Extent {
  Extent* next = nullptr;
  const std::byte* data = nullptr;
  std::uint32_t length = 0;
  Ownership ownership = Ownership::caller;
  void* owner = nullptr;  // Chunk*, ctx or the port's handle
  void (*release)(void* ctx, std::span<const std::byte> bytes) = nullptr;
  const std::byte* whole_data = nullptr;  // what release() is told: extents shrink at the front, this does not
  std::uint32_t whole_length = 0;
};
static_assert(sizeof(Extent) == 64);

}  // namespace handfast::tcp
