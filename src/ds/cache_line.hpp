// SPDX-License-Identifier: BSD-3-Clause
// The unit in which memory moves between cores, and the hint to fetch one early.
// Layer: ds.
#pragma once

#include <cstddef>

namespace handfast::ds {

inline constexpr std::size_t cache_line = 64;

/// Hints only: any address may be given, a wild one included. The empty statement is for g++ (12 at least): it takes a function
/// that does nothing but prefetch for one without effects, and drops the calls of it.
inline void prefetch(const void* address) {
  __builtin_prefetch(address, 0, 3);
  __asm__ volatile("");
}
inline void prefetch_for_write(const void* address) {
  __builtin_prefetch(address, 1, 3);
  __asm__ volatile("");
}

}  // namespace handfast::ds
