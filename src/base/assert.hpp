// SPDX-License-Identifier: BSD-3-Clause
// Assertions: for relations that our own code must keep, never for what a peer or a user sends.
// Layer: base. HF_ASSERT stays on in release builds; HF_DEBUG_ASSERT only where speed is not measured.
#pragma once

namespace handfast {

/// Prints where and what, and aborts.
[[noreturn, gnu::cold, gnu::noinline]] void assertion_failed(const char* condition, const char* file,
                                                             int line);

}  // namespace handfast

#define HF_ASSERT(condition) \
  (__builtin_expect(!(condition), 0) ? ::handfast::assertion_failed(#condition, __FILE__, __LINE__) : void(0))

// Without optimisation, under a sanitizer, or on demand. NDEBUG is not asked: release builds here keep it
// undefined.
#if defined(HANDFAST_PARANOID) || !defined(__OPTIMIZE__) || defined(__SANITIZE_ADDRESS__) || \
    defined(__SANITIZE_THREAD__)
#define HF_DEBUG_ASSERT(condition) HF_ASSERT(condition)
namespace handfast {
inline constexpr bool check_always = true;  ///< whole-state checks after every event
}
#else
#define HF_DEBUG_ASSERT(condition) static_cast<void>(sizeof(!(condition)))
namespace handfast {
inline constexpr bool check_always = false;
}
#endif
