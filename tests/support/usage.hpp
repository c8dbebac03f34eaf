// SPDX-License-Identifier: BSD-3-Clause
// What a shard's tables and pools hold now: for leak checks. Layer: test support.
#pragma once

#include <cstdint>

#include "handfast/core.hpp"

namespace handfast::test {

struct Usage {
  std::uint32_t connections = 0, half_open = 0, time_wait = 0;
  std::uint32_t extents = 0, chunks = 0, receive_buffers = 0, flights = 0, path_searches = 0;
  friend bool operator==(const Usage&, const Usage&) = default;
};

[[nodiscard]] Usage usage_of(Core& core);

/// Nothing but TIME-WAIT entries, which the shard's own gauge agrees with.
void expect_nothing_held(Core& core);

}  // namespace handfast::test
