// SPDX-License-Identifier: BSD-3-Clause
// How the structures that threads share reach their shared words. Layer: ds. A type parameter of theirs, so that a test
// can put itself between each access and the next; nothing else has a reason to name another type.
#pragma once

#include <atomic>
#include <thread>

namespace handfast::ds {

/// What production uses: the machine's own.
struct Atomics {
  template <class T>
  using Atomic = std::atomic<T>;
  /// A place that one thread fills and another empties, never at once.
  template <class T>
  using Cell = T;

  template <class Word>
  [[nodiscard]] static Word load(Word& word) {
    return std::atomic_ref<Word>{word}.load(std::memory_order_acquire);
  }
  template <class Word>
  static void store(Word& word, Word value) {
    std::atomic_ref<Word>{word}.store(value, std::memory_order_release);
  }

  /// A reader met a change that is under way, for the `spins`-th time. The owner is through within a few nanoseconds,
  /// unless the scheduler takes its core away in between: hence the yield.
  static void pause(unsigned spins) {
    if (spins >= spins_before_yield) std::this_thread::yield();
  }
  static constexpr unsigned spins_before_yield = 64;
};

}  // namespace handfast::ds
