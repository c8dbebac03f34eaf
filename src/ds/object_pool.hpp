// SPDX-License-Identifier: BSD-3-Clause
// A fixed number of plain objects in one mapping, handed out by pointer, last in, first out.
// Layer: ds. One thread; no generations: who holds the pointer owns the object.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "base/assert.hpp"
#include "ds/mapping.hpp"

namespace handfast::ds {

/// An object is zero bytes at first and later what its last user left, but for its first 16 bytes.
template <class T>
class ObjectPool {
 public:
  /// Throws std::bad_alloc where the kernel refuses the reservation.
  explicit ObjectPool(std::uint32_t capacity)
      : memory_(std::size_t{capacity} * sizeof(T)),
        objects_(static_cast<T*>(memory_.data())),
        capacity_(capacity) {
    static_assert(std::is_trivially_destructible_v<T>, "no destructor is ever run");
    static_assert(sizeof(T) >= link_bytes && alignof(T) <= 4096);
  }
  ObjectPool(const ObjectPool&) = delete;
  ObjectPool& operator=(const ObjectPool&) = delete;

  /// See Mapping::prefault().
  void prefault() { memory_.prefault(); }

  /// nullptr when empty.
  [[nodiscard]] T* allocate() {
    T* object = free_;
    if (object != nullptr) {
      std::memcpy(&free_, object, link_bytes);
      set_mark(object, 0);
    } else if (touched_ < capacity_) {
      object = objects_ + touched_++;
    } else {
      return nullptr;
    }
    ++in_use_;
    return object;
  }

  void free(T* object) {
    HF_ASSERT(object >= objects_ && object < objects_ + touched_ && in_use_ != 0);
    HF_DEBUG_ASSERT(!is_marked(object));  // freed twice
    std::memcpy(static_cast<void*>(object), &free_, link_bytes);
    set_mark(object, mark_of(object));
    free_ = object;
    --in_use_;
  }

  [[nodiscard]] std::uint32_t in_use() const { return in_use_; }
  [[nodiscard]] std::uint32_t capacity() const { return capacity_; }

 private:
  static constexpr std::size_t link_bytes = sizeof(void*);
  // A word beside the link that a living object will not hold by accident.
  static constexpr bool has_mark = sizeof(T) >= 2 * link_bytes;
  static std::uintptr_t mark_of(const T* object) {
    return reinterpret_cast<std::uintptr_t>(object) ^ std::uintptr_t{0x5ca1ab1edeadf00d};
  }
  static void set_mark(T* object, std::uintptr_t mark) {
    if constexpr (has_mark) {
      std::memcpy(reinterpret_cast<std::byte*>(object) + link_bytes, &mark, sizeof mark);
    }
  }
  [[nodiscard]] static bool is_marked(const T* object) {
    if constexpr (!has_mark) return false;
    std::uintptr_t mark = 0;
    std::memcpy(&mark, reinterpret_cast<const std::byte*>(object) + (has_mark ? link_bytes : 0), sizeof mark);
    return mark == mark_of(object);
  }

  Mapping memory_;
  T* objects_;
  T* free_ = nullptr;
  std::uint32_t capacity_;
  std::uint32_t touched_ = 0;
  std::uint32_t in_use_ = 0;
};

}  // namespace handfast::ds
