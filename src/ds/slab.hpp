// SPDX-License-Identifier: BSD-3-Clause
// Slots of one type in one mapping, named by a 32-bit index and told apart over time by a generation.
// Layer: ds. One owner allocates and frees; any thread may ask whether (index, generation) is still live.
#pragma once

#include <atomic>
#include <cstdint>
#include <type_traits>

#include "base/assert.hpp"
#include "ds/mapping.hpp"
#include "ds/object_pool.hpp"  // IWYU pragma: export

namespace handfast::ds {

/// What a T must bring: a link for the free list (T may use it for itself while allocated) and the
/// generation, which only the slab writes. No destructor: the slab never runs one.
template <class T>
concept Slot = std::is_trivially_destructible_v<T> && requires(T& slot) {
  requires std::is_same_v<decltype(slot.next_free), std::uint32_t>;
  requires std::is_same_v<decltype(slot.generation), std::uint32_t>;
};

/// Freed slots come back last in, first out, so that the hot set is what is in flight; slots never used
/// before are taken in order of their index and not touched until then. A slot starts as zero bytes and
/// afterwards holds what its last user left: no constructor is run.
template <class T>
class Slab {
 public:
  static constexpr std::uint32_t npos = 0xffffffff;

  /// Throws std::bad_alloc where the kernel refuses the reservation.
  explicit Slab(std::uint32_t capacity)
      : memory_(std::size_t{capacity} * sizeof(T)),
        slots_(static_cast<T*>(memory_.data())),
        capacity_(capacity) {
    static_assert(Slot<T> && alignof(T) <= 4096);
    HF_ASSERT(capacity != npos);
  }
  Slab(const Slab&) = delete;
  Slab& operator=(const Slab&) = delete;

  /// See Mapping::prefault().
  void prefault() { memory_.prefault(); }

  /// npos when full. The generation is odd from here to free().
  [[nodiscard]] std::uint32_t allocate() {
    std::uint32_t index = free_;
    if (index != npos) {
      free_ = slots_[index].next_free;
    } else {
      index = high_water_.load(std::memory_order_relaxed);
      if (index == capacity_) [[unlikely]]
        return npos;
      high_water_.store(index + 1, std::memory_order_relaxed);
    }
    step_generation(index);
    size_.store(size() + 1, std::memory_order_relaxed);
    return index;
  }

  void free(std::uint32_t index) {
    HF_ASSERT(index < high_water());
    HF_ASSERT((slots_[index].generation & 1) == 1);  // even: freed twice
    step_generation(index);
    slots_[index].next_free = free_;
    free_ = index;
    size_.store(size() - 1, std::memory_order_relaxed);
  }

  [[nodiscard]] T& operator[](std::uint32_t index) {
    HF_DEBUG_ASSERT(index < capacity_);
    return slots_[index];
  }
  [[nodiscard]] const T& operator[](std::uint32_t index) const {
    HF_DEBUG_ASSERT(index < capacity_);
    return slots_[index];
  }
  [[nodiscard]] std::uint32_t index_of(const T& slot) const {
    HF_DEBUG_ASSERT(&slot >= slots_ && &slot < slots_ + capacity_);
    return static_cast<std::uint32_t>(&slot - slots_);
  }

  /// Whether the slot is still what it was when it had this generation. Any number may be asked about; any
  /// thread may ask.
  [[nodiscard]] bool is_live(std::uint32_t index, std::uint32_t generation) const {
    return (generation & 1) == 1 && index < capacity_ &&
           std::atomic_ref{slots_[index].generation}.load(std::memory_order_acquire) == generation;
  }
  /// Of a slot now; odd means allocated. Any thread.
  [[nodiscard]] std::uint32_t generation(std::uint32_t index) const {
    HF_DEBUG_ASSERT(index < capacity_);
    return std::atomic_ref{slots_[index].generation}.load(std::memory_order_acquire);
  }

  /// Slots in use. Any thread.
  [[nodiscard]] std::uint32_t size() const { return size_.load(std::memory_order_relaxed); }
  [[nodiscard]] std::uint32_t capacity() const { return capacity_; }
  /// The most slots that were ever in use at once; those at and above this index were never touched.
  [[nodiscard]] std::uint32_t high_water() const { return high_water_.load(std::memory_order_relaxed); }

 private:
  void step_generation(std::uint32_t index) {
    std::atomic_ref<std::uint32_t> generation{slots_[index].generation};
    generation.store(generation.load(std::memory_order_relaxed) + 1, std::memory_order_release);
  }

  Mapping memory_;
  T* slots_;
  std::uint32_t capacity_;
  std::uint32_t free_ = npos;
  std::atomic<std::uint32_t> high_water_{0};
  std::atomic<std::uint32_t> size_{0};
};

}  // namespace handfast::ds
