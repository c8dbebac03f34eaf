// SPDX-License-Identifier: BSD-3-Clause
// The compiler's own word on what it may emit, as bits; each file that includes this has its own answer.
// Layer: tests.
#pragma once

namespace {

constexpr unsigned instruction_sets() {
  unsigned bits = 0;
#ifdef __SSE4_2__
  bits |= 1;
#endif
#ifdef __AVX__
  bits |= 2;
#endif
#ifdef __AVX2__
  bits |= 4;
#endif
#ifdef __BMI2__
  bits |= 8;
#endif
#ifdef __AVX512F__
  bits |= 16;
#endif
#ifdef __POPCNT__
  bits |= 32;
#endif
  return bits;
}

}  // namespace

unsigned instruction_sets_of_core();
