// SPDX-License-Identifier: BSD-3-Clause
// The whole state of one core, looked through from outside: tables, pools, timers, listeners and every
// connection. Layer: test support, for simulators, fuzz targets and tests. It changes nothing and asserts
// nothing: it says what is wrong.
#pragma once

#include <cstdint>
#include <string>

#include "handfast/core.hpp"

namespace handfast::test {

/// What somebody outside of the stack holds of its pools: a test that has drained them, an application with
/// views.
struct Withheld {
  std::uint32_t connections = 0, half_open = 0, extents = 0, chunks = 0, receive_buffers = 0, flights = 0,
                path_searches = 0;
  std::uint32_t views = 0;  ///< chunks that an application may hold besides; at most
  [[nodiscard]] bool any() const {
    return (connections | half_open | extents | chunks | receive_buffers | flights | path_searches) != 0;
  }
};

/// The first invariant that does not hold, with its number and the connection; empty where all is well. To be
/// called between polls. Slow: each connection, each extent is looked at, and (what takes longest) with
/// `buckets` each place of the flow table.
[[nodiscard]] std::string broken_invariant(Core& core, const Withheld& withheld = {}, bool buckets = true);

}  // namespace handfast::test
