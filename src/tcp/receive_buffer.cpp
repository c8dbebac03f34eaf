// SPDX-License-Identifier: BSD-3-Clause
// Bytes at their places. Layer: tcp; see receive_buffer.hpp.
#include "tcp/receive_buffer.hpp"

#include <algorithm>
#include <cstring>

#include "base/assert.hpp"

namespace handfast::tcp {
namespace {

constexpr unsigned offset_bits = 11, slot_bits = 8;
constexpr std::uint32_t slots = 1u << slot_bits;
static_assert(chunk_bytes == 1u << offset_bits && slots * sizeof(void*) == chunk_bytes);
static_assert(std::uint64_t{ReceiveBuffer::top_slots} << (offset_bits + 2 * slot_bits) == std::uint64_t{1} << 32);

/// A chunk seen as a directory: 256 pointers. `used` cannot be kept inside, so emptiness is found by looking.
struct Directory {
  std::array<Chunk*, slots> entries;
};

Directory& directory(Chunk* chunk) { return *reinterpret_cast<Directory*>(chunk->bytes.data()); }

Chunk* new_directory(ReceiveChunks& pool) {
  Chunk* chunk = pool.allocate();
  if (chunk != nullptr) std::memset(chunk->bytes.data(), 0, chunk_bytes);
  return chunk;
}

std::uint32_t offset_of(Seq at) { return at.raw() & (chunk_bytes - 1); }
std::uint32_t slot_of(Seq at) { return at.raw() >> offset_bits & (slots - 1); }
std::uint32_t middle_slot_of(Seq at) { return at.raw() >> (offset_bits + slot_bits) & (slots - 1); }
std::uint32_t top_slot_of(Seq at) { return at.raw() >> (offset_bits + 2 * slot_bits); }

}  // namespace

Chunk* ReceiveBuffer::find(Seq at) const {
  Chunk* middle = tops[top_slot_of(at)];
  if (middle == nullptr) return nullptr;
  Chunk* inner = directory(middle).entries[middle_slot_of(at)];
  return inner == nullptr ? nullptr : directory(inner).entries[slot_of(at)];
}

Chunk* ReceiveBuffer::find_or_add(ReceiveChunks& pool, Seq at) {
  Chunk*& middle = tops[top_slot_of(at)];
  if (middle == nullptr && (middle = new_directory(pool)) == nullptr) return nullptr;
  Chunk*& inner = directory(middle).entries[middle_slot_of(at)];
  if (inner == nullptr && (inner = new_directory(pool)) == nullptr) return nullptr;
  Chunk*& chunk = directory(inner).entries[slot_of(at)];
  if (chunk == nullptr && (chunk = pool.allocate()) != nullptr) ++chunks;
  return chunk;
}

void ReceiveBuffer::drop(ReceiveChunks& pool, Seq at) {
  Chunk*& middle = tops[top_slot_of(at)];
  if (middle == nullptr) return;
  Chunk*& inner = directory(middle).entries[middle_slot_of(at)];
  if (inner == nullptr) return;
  Chunk*& chunk = directory(inner).entries[slot_of(at)];
  if (chunk == nullptr) return;
  pool.free(chunk);
  chunk = nullptr;
  --chunks;
  // The last chunk of a directory's span takes the directory along: what stood before it is read, and places do not
  // come again within a window.
  if (slot_of(at) != slots - 1) return;
  pool.free(inner);
  inner = nullptr;
  if (middle_slot_of(at) != slots - 1) return;
  pool.free(middle);
  middle = nullptr;
}

void ReceiveBuffer::copy(Seq at, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const std::uint32_t offset = offset_of(at);
    const std::size_t n = std::min<std::size_t>(bytes.size(), chunk_bytes - offset);
    std::memcpy(find(at)->bytes.data() + offset, bytes.data(), n);
    bytes = bytes.subspan(n);
    at += static_cast<std::uint32_t>(n);
  }
}

bool ReceiveBuffer::put(ReceiveChunks& pool, Seq rcv_nxt, Seq at, std::span<const std::byte> bytes) {
  const auto length = static_cast<std::uint32_t>(bytes.size());
  const Seq end = at + length;
  const bool in_order = at == rcv_nxt;
  if (!in_order && beyond.size() == max_out_of_order_ranges && !beyond.first_overlap(at - 1, end + 1)) return false;
  for (Seq place = at - offset_of(at); before(place, end); place += chunk_bytes)
    if (find_or_add(pool, place) == nullptr) return false;
  // Whatever of it arrived before is older and stays.
  beyond.for_each_gap(at, end, [&](const ds::Range& gap) {
    copy(gap.left, bytes.subspan(distance(at, gap.left), distance(gap.left, gap.right)));
  });
  if (in_order) return true;
  if (beyond.insert(pool, at, end) == ds::Insert::full) return false;
  note_arrival(at);
  return true;
}

/// `at` is the latest; whatever else was remembered of its range, or was read since, is forgotten.
void ReceiveBuffer::note_arrival(Seq at) {
  const std::optional<ds::Range> range = beyond.find_range(at);
  std::array<Seq, max_recent> kept;
  unsigned n = 0;
  kept[n++] = at;
  for (unsigned i = 0; i < recent_count && n < max_recent; ++i) {
    const bool same = before_eq(range->left, recent[i]) && before(recent[i], range->right);
    if (!same && !before(recent[i], beyond.front().left)) kept[n++] = recent[i];
  }
  recent = kept;
  recent_count = static_cast<std::uint8_t>(n);
}

unsigned ReceiveBuffer::blocks_to_report(std::span<ds::Range> out) const {
  unsigned n = 0;
  for (unsigned i = 0; i < recent_count && n < out.size(); ++i)
    if (const auto range = beyond.find_range(recent[i])) out[n++] = *range;
  if (n == out.size() || n == beyond.size()) return n;
  const unsigned remembered = n;
  beyond.for_each([&](const ds::Range& range) {
    const auto known = out.first(remembered);
    if (std::ranges::find(known, range) == known.end()) out[n++] = range;
    return n < out.size();
  });
  return n;
}

std::span<const std::byte> ReceiveBuffer::front(Seq limit) const {
  const Chunk* chunk = find(unread);
  if (chunk == nullptr || !before(unread, limit)) return {};
  const std::uint32_t offset = offset_of(unread);
  const std::uint32_t n = std::min(distance(unread, limit), chunk_bytes - offset);
  return {chunk->bytes.data() + offset, n};
}

void ReceiveBuffer::read(std::uint32_t n, std::span<std::byte> to) const {
  for (Seq at = unread; n != 0;) {
    const std::uint32_t piece = std::min(n, chunk_bytes - offset_of(at));
    std::memcpy(to.data(), find(at)->bytes.data() + offset_of(at), piece);
    to = to.subspan(piece);
    at += piece;
    n -= piece;
  }
}

void ReceiveBuffer::consume(ReceiveChunks& pool, std::uint32_t n) {
  const Seq end = unread + n;
  while (offset_of(unread) + distance(unread, end) >= chunk_bytes) {
    drop(pool, unread);
    unread += chunk_bytes - offset_of(unread);
  }
  unread = end;
}

void ReceiveBuffer::forget_beyond(ReceiveChunks& pool, Seq end, Seq reach) {
  Seq edge = reach;
  beyond.for_each([&](const ds::Range& range) {
    edge = max(edge, range.right);
    return true;
  });
  beyond.clear(pool);
  recent_count = 0;
  // The chunk in which the stream ends may have bytes of it; directories stay until all is read.
  for (Seq at = end + (chunk_bytes - 1 - offset_of(end - 1)); before(at, edge); at += chunk_bytes) {
    Chunk* const middle = tops[top_slot_of(at)];
    Chunk* const inner = middle != nullptr ? directory(middle).entries[middle_slot_of(at)] : nullptr;
    if (inner == nullptr) continue;
    Chunk*& chunk = directory(inner).entries[slot_of(at)];
    if (chunk == nullptr) continue;
    pool.free(chunk);
    chunk = nullptr;
    --chunks;
  }
}

void ReceiveBuffer::clear(ReceiveChunks& pool) {
  for (Chunk*& middle : tops) {
    if (middle == nullptr) continue;
    for (Chunk* inner : directory(middle).entries) {
      if (inner == nullptr) continue;
      for (Chunk* chunk : directory(inner).entries)
        if (chunk != nullptr) pool.free(chunk);
      pool.free(inner);
    }
    pool.free(middle);
    middle = nullptr;
  }
  chunks = 0;
  recent_count = 0;
  beyond.clear(pool);
}

}  // namespace handfast::tcp
