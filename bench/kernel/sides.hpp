// SPDX-License-Identifier: BSD-3-Clause
// A server and a client on the kernel's sockets with epoll: 64 bytes there, 64 back, the server closes. Layer: bench.
#pragma once

#include <atomic>
#include <cstdint>

namespace handfast::bench {

/// Between the two processes.
struct Counters {
  std::atomic<std::uint64_t> done{0}, failed{0};
  std::atomic<bool> ready{false};
};

/// Serves until the process is ended.
[[noreturn]] void serve(Counters& counters);
/// Keeps `window` connections under way until the process is ended.
[[noreturn]] void request(Counters& counters, unsigned window);

}  // namespace handfast::bench
