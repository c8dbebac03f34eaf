// SPDX-License-Identifier: BSD-3-Clause
// Whole connections: a client and a server, each a full stack: the short HTTP exchange in six packets, opened and
// closed as fast as it goes, beside connections that stay; both ends on one core, or one core each. Prints
// connections per second, and nanoseconds a connection at each end. Layer: bench.
#include <thread>

#include "flood.hpp"
#include "one_process.hpp"
#include "two_processes.hpp"

int main(int argc, char** argv) {
  using namespace handfast::bench;
  const Options options = parse(argc, argv);
  if (options.flood) return run_flood(options);
  print_header(options);
  if (options.link != Link::ring) {
    for (const std::uint32_t open : options.open) print(options, run_two_processes(options, open));
    return 0;
  }
  for (const bool two_cores : {false, true}) {
    if (!(two_cores ? options.two_cores : options.one_core)) continue;
    if (two_cores && std::thread::hardware_concurrency() < 2) break;
    for (const std::uint32_t open : options.open) print(options, OneProcess{options, open, two_cores}.run());
  }
  return 0;
}
