// SPDX-License-Identifier: BSD-3-Clause
// The cold end of HF_ASSERT. Layer: base.
#include "base/assert.hpp"

#include <cstdio>
#include <cstdlib>

namespace handfast {

void assertion_failed(const char* condition, const char* file, int line) {
  std::fprintf(stderr, "%s:%d: assertion failed: %s\n", file, line, condition);
  std::abort();
}

}  // namespace handfast
