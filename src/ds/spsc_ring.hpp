// SPDX-License-Identifier: BSD-3-Clause
// A bounded ring between two threads: one pushes, one pops, neither waits for the other.
// Layer: ds. Allocates at construction only.
#pragma once

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstddef>
#include <memory>
#include <span>
#include <type_traits>

#include "base/assert.hpp"
#include "ds/atomics.hpp"
#include "ds/cache_line.hpp"

namespace handfast::ds {

/// Positions only ever grow; their difference is what is inside. Each side keeps a copy of the other's
/// position and looks at the real one only when the copy says full or empty.
template <class T, class Access = Atomics>
class SpscRing {
  static_assert(std::is_trivially_copyable_v<T>);

 public:
  /// Rounded up to a power of two.
  explicit SpscRing(std::size_t capacity)
      : mask_(std::bit_ceil(std::max<std::size_t>(capacity, 1)) - 1),
        cells_(std::make_unique<Cell[]>(mask_ + 1)) {
    HF_ASSERT(capacity <= std::size_t{1} << 31);
  }
  SpscRing(const SpscRing&) = delete;
  SpscRing& operator=(const SpscRing&) = delete;

  [[nodiscard]] std::size_t capacity() const { return mask_ + 1; }

  /// The producer. False: full.
  [[nodiscard]] bool push(const T& value) {
    const std::size_t tail = producer_.position.load(std::memory_order_relaxed);
    if (tail - producer_.other == capacity()) {
      producer_.other = consumer_.position.load(std::memory_order_acquire);
      if (tail - producer_.other == capacity()) return false;
    }
    cells_[tail & mask_] = value;
    producer_.position.store(tail + 1, std::memory_order_release);
    return true;
  }

  /// The consumer. False: empty.
  [[nodiscard]] bool pop(T& value) { return pop(std::span<T>{&value, 1}) == 1; }

  /// The consumer: up to out.size(), in order; returns how many.
  [[nodiscard]] std::size_t pop(std::span<T> out) {
    const std::size_t head = consumer_.position.load(std::memory_order_relaxed);
    if (consumer_.other - head < out.size())
      consumer_.other = producer_.position.load(std::memory_order_acquire);
    const std::size_t count = std::min(consumer_.other - head, out.size());
    if (count == 0) return 0;
    for (std::size_t i = 0; i < count; ++i) out[i] = cells_[(head + i) & mask_];
    consumer_.position.store(head + count, std::memory_order_release);
    return count;
  }

  /// About how many are inside; exact only where both sides rest. Any thread.
  [[nodiscard]] std::size_t size() const {
    // The consumer's first: the producer's is never behind it then.
    const std::size_t head = consumer_.position.load(std::memory_order_acquire);
    return producer_.position.load(std::memory_order_acquire) - head;
  }

 private:
  struct alignas(cache_line) Side {
    typename Access::template Atomic<std::size_t> position{0};
    std::size_t other = 0;  // the other side's position when last looked at
  };

  const std::size_t mask_;
  using Cell = typename Access::template Cell<T>;
  const std::unique_ptr<Cell[]> cells_;
  Side producer_;
  Side consumer_;
};

}  // namespace handfast::ds
