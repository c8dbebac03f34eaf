// SPDX-License-Identifier: BSD-3-Clause
// The seam of ds/atomics.hpp, led to the explorer's machine; and the same with a mistake built in.
// Layer: test of threads.
#pragma once

#include <cstdint>

#include "ds/flow_bucket.hpp"
#include "machine.hpp"

namespace handfast::explorer {

/// Where in its bucket a word stands.
inline std::uintptr_t offset_in_bucket(const void* word) {
  return reinterpret_cast<std::uintptr_t>(word) % ds::cache_line;
}
inline bool is_version(const void* word) {
  return offset_in_bucket(word) == offsetof(ds::FlowBucket, version);
}
inline bool is_slot(const void* word) {
  return offset_in_bucket(word) >= offsetof(ds::FlowBucket, slots) &&
         offset_in_bucket(word) < offsetof(ds::FlowBucket, unused);
}

/// No mistake.
struct Faithful {
  static constexpr std::memory_order order(std::memory_order asked) { return asked; }
  static constexpr bool skip_store(const void*) { return false; }
  static constexpr bool skip_load(const void*) { return false; }
};

template <class Mistake = Faithful>
struct Explored {
  template <class T>
  class Atomic {
   public:
    Atomic() = default;
    explicit Atomic(T value) : value_(value) {}
    [[nodiscard]] T load(std::memory_order order) const {
      if (Machine::active == nullptr) return value_;
      return static_cast<T>(Machine::active->load(&value_, sizeof value_, Mistake::order(order)));
    }
    void store(T value, std::memory_order order) {
      if (Machine::active == nullptr)
        value_ = value;
      else
        Machine::active->store(&value_, sizeof value_, value, Mistake::order(order));
    }
    bool compare_exchange_weak(T& expected, T desired, std::memory_order order) {
      const auto was = static_cast<T>(Machine::active->compare_exchange(&value_, sizeof value_, expected,
                                                                        desired, Mistake::order(order)));
      if (was == expected) return true;
      expected = was;
      return false;
    }

   private:
    mutable T value_{};
  };

  /// Every copy in and out is looked at for races.
  template <class T>
  class Cell {
    static_assert(sizeof(T) == sizeof(std::uint32_t));

   public:
    Cell& operator=(const T& value) {
      if (Machine::active != nullptr) Machine::active->plain_write(&value_);
      value_ = value;
      return *this;
    }
    operator T() const {
      if (Machine::active != nullptr) Machine::active->plain_read(&value_);
      return value_;
    }

   private:
    T value_{};
  };

  // Structures are filled between explorations, too: then memory is just memory.
  template <class Word>
  [[nodiscard]] static Word load(Word& word) {
    if (Machine::active == nullptr) return word;
    if (Mistake::skip_load(&word)) return Word{};
    const auto order = Mistake::order(std::memory_order_acquire);
    return static_cast<Word>(Machine::active->load(&word, sizeof word, order));
  }
  template <class Word>
  static void store(Word& word, Word value) {
    if (Machine::active == nullptr) {
      word = value;
    } else if (!Mistake::skip_store(&word)) {
      Machine::active->store(&word, sizeof word, value, Mistake::order(std::memory_order_release));
    }
  }
  static void pause(unsigned) { Machine::active->pause(); }
};

}  // namespace handfast::explorer
