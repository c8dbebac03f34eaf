// SPDX-License-Identifier: BSD-3-Clause
// A bounded ring into one thread: any thread pushes, one pops. Layer: ds. Allocates at construction only.
// A producer that is held up in the middle of a push holds up what was pushed after it, but no other
// producer.
#pragma once

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstddef>
#include <memory>
#include <utility>

#include "base/assert.hpp"
#include "ds/atomics.hpp"
#include "ds/cache_line.hpp"

namespace handfast::ds {

/// Each cell carries the position that may use it next: p while it waits for the push at p, p + 1 while it
/// holds what was pushed there, p + capacity once that is popped.
template <class T, class Access = Atomics>
class MpscRing {
 public:
  /// Rounded up to a power of two, at least 2 (with one cell, "holds" and "popped" would be the same number).
  explicit MpscRing(std::size_t capacity)
      : mask_(std::bit_ceil(std::max<std::size_t>(capacity, 2)) - 1),
        cells_(std::make_unique<Cell[]>(mask_ + 1)) {
    HF_ASSERT(capacity <= std::size_t{1} << 31);
    for (std::size_t i = 0; i <= mask_; ++i) cells_[i].turn.store(i, std::memory_order_relaxed);
  }
  MpscRing(const MpscRing&) = delete;
  MpscRing& operator=(const MpscRing&) = delete;

  [[nodiscard]] std::size_t capacity() const { return mask_ + 1; }

  /// Any thread. False: full, and the value is gone.
  [[nodiscard]] bool push(T value) {
    std::size_t position = tail_.load(std::memory_order_relaxed);
    for (;;) {
      Cell& cell = cells_[position & mask_];
      const std::size_t turn = cell.turn.load(std::memory_order_acquire);
      if (turn == position) {
        if (tail_.compare_exchange_weak(position, position + 1, std::memory_order_relaxed)) {
          cell.value = std::move(value);
          cell.turn.store(position + 1, std::memory_order_release);
          return true;
        }
      } else if (static_cast<std::ptrdiff_t>(turn - position) < 0) {
        return false;  // one lap behind: not popped yet
      } else {
        position = tail_.load(std::memory_order_relaxed);  // another producer took it
      }
    }
  }

  /// The one consumer: whether pop() would find something now.
  [[nodiscard]] bool empty() const {
    return cells_[head_ & mask_].turn.load(std::memory_order_acquire) != head_ + 1;
  }

  /// The one consumer. False: empty, or the next push is not finished.
  [[nodiscard]] bool pop(T& value) {
    Cell& cell = cells_[head_ & mask_];
    if (cell.turn.load(std::memory_order_acquire) != head_ + 1) return false;
    value = std::move(cell.value);
    cell.turn.store(head_ + capacity(), std::memory_order_release);
    ++head_;
    return true;
  }

 private:
  struct Cell {
    typename Access::template Atomic<std::size_t> turn{0};
    typename Access::template Cell<T> value{};
  };

  const std::size_t mask_;
  const std::unique_ptr<Cell[]> cells_;
  alignas(cache_line) typename Access::template Atomic<std::size_t> tail_{0};
  alignas(cache_line) std::size_t head_ = 0;
};

}  // namespace handfast::ds
