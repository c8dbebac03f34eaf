// SPDX-License-Identifier: BSD-3-Clause
// Rows; see result.hpp. Layer: bench.
#include "result.hpp"

#include <cinttypes>
#include <cstdio>

namespace handfast::bench {

void print_header(const Options& options) {
  if (options.json) return;
  std::printf("%5s %10s %12s %8s %9s %9s %7s %6s %11s %11s\n", "cores", "open", options.keep != 0 ? "requests/s" : "conn/s", "ns",
              "client ns", "server ns", "packets", "failed", "sent again", "2MSL cut");
}

void print(const Options& options, const Result& r) {
  const char* const links[] = {"ring", "memif", "virtio"};
  if (options.json)
    std::printf("{\"bench\": \"%s\", \"link\": \"%s\", \"cores\": %d, \"open\": %" PRIu32 ", \"timestamps\": %s, \"ns\": %.2f, "
                "\"client_ns\": %.2f, \"server_ns\": %.2f, \"packets\": %.3f, \"failed\": %" PRIu64 ", \"retransmits\": %" PRIu64
                ", \"cut_short\": %" PRIu64 "}\n",
                options.keep != 0 ? "kept" : "connections", links[static_cast<int>(options.link)], r.cores, r.open,
                options.timestamps ? "true" : "false", r.ns, r.client_ns, r.server_ns, r.packets, r.failed, r.retransmits,
                r.cut_short);
  else
    std::printf("%5d %10" PRIu32 " %12.0f %8.1f %9.1f %9.1f %7.2f %6" PRIu64 " %11" PRIu64 " %11" PRIu64 "\n", r.cores, r.open,
                r.rate, r.ns, r.client_ns, r.server_ns, r.packets, r.failed, r.retransmits, r.cut_short);
  std::fflush(stdout);
}

}  // namespace handfast::bench
