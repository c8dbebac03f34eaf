// SPDX-License-Identifier: BSD-3-Clause
// scale-bench N...: N connections held by two stacks in this process, and what that takes: the rate at which they
// come and go, memory, the longest gap between two polls. Needs neither root nor huge pages. Layer: bench.
#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <string_view>
#include <vector>

#include "common/process_memory.hpp"
#include "town.hpp"

namespace {

using namespace handfast;
using namespace handfast::bench;

// A control block, its place in the table and some at each end, and the name; what is reserved is not used.
constexpr std::uint64_t bytes_for_one = 640, bytes_besides = 512u << 20;

int usage(int code) {
  std::fputs("usage: scale-bench [--keep-alive 10s|200ms] [--time-wait N] [--prefault] [--json] N...   connections, for example: 1000 100000 1000000\n",
             code == 0 ? stdout : stderr);
  return code;
}

double milliseconds(Duration d) { return std::chrono::duration<double, std::milli>(d).count(); }
double mib(std::uint64_t bytes) { return static_cast<double>(bytes) / (1 << 20); }

void print(bool json, const Town& town, std::uint32_t n, const char* what, const Phase& p) {
  const double rate = static_cast<double>(p.done) / p.seconds;
  const double by_end = (static_cast<double>(p.resident_bytes) - static_cast<double>(town.resident_at_start() + town.own_bytes())) / 2 / n;
  std::printf(json ? "{\"bench\": \"scale\", \"connections\": %" PRIu32 ", \"phase\": \"%s\", \"done\": %" PRIu64
                     ", \"seconds\": %.3f, \"rate\": %.0f, \"resident_mib\": %.1f, \"bytes_by_end\": %.1f, \"gap_ms\": %.3f, "
                     "\"work_ms\": %.3f, \"work_faults\": %" PRIu64 ", \"timer_lag_ms\": %.3f}\n"
                   : "%10" PRIu32 " %-6s %10" PRIu64 " %9.2f %10.0f %11.1f %9.1f %9.3f %9.3f %7" PRIu64 " %9.3f\n",
              n, what, p.done, p.seconds, rate, mib(p.resident_bytes), by_end, milliseconds(p.longest_gap), milliseconds(p.longest_work),
              p.faults, milliseconds(p.timer_lag));
  std::fflush(stdout);
}

/// False: not every connection was opened, kept or closed.
bool measure(const TownOptions& options, bool json) {
  const std::uint64_t needed = options.connections * bytes_for_one + bytes_besides, available = available_bytes();
  if (available < needed) {
    std::fprintf(stderr, "scale-bench: %" PRIu32 " connections need some %.0f MiB, and %.0f are available. Ask for fewer.\n",
                 options.connections, mib(needed), mib(available));
    std::exit(3);
  }
  Town town{options};
  if (!json && options.prefault)
    std::printf("           stacks made in %.2f s of processor time, %.0f MiB resident\n", town.start_seconds(), mib(town.resident_at_start()));
  const Phase opened = town.open();
  print(json, town, options.connections, "open", opened);
  const Phase kept = town.keep();
  print(json, town, options.connections, "keep", kept);
  const Phase closed = town.close();
  print(json, town, options.connections, "close", closed);
  if (!json && town.cut_short() != 0) std::printf("           %" PRIu64 " TIME-WAIT entries cut short\n", town.cut_short());
  const bool all = opened.done == options.connections && kept.done >= options.connections && closed.done == options.connections;
  if (!all) std::fprintf(stderr, "scale-bench: %" PRIu64 " connections were lost, or a phase did not reach all.\n", town.lost());
  return all;
}

}  // namespace

int main(int argc, char** argv) {
  TownOptions options;
  std::vector<std::uint32_t> sizes;
  bool json = false;
  for (int i = 1; i < argc; ++i) {
    const std::string_view word = argv[i];
    if (word == "--help") return usage(0);
    if (word == "--json") {
      json = true;
    } else if (word == "--prefault") {
      options.prefault = true;
    } else if (word == "--keep-alive" && i + 1 < argc) {
      char* unit = nullptr;
      const long value = std::strtol(argv[++i], &unit, 10);
      const std::string_view name = unit;
      if (value <= 0 || value > 100'000 || (name != "s" && name != "ms")) return usage(2);
      options.keep_alive = name == "s" ? Duration{std::chrono::seconds{value}} : Duration{std::chrono::milliseconds{value}};
    } else if (word == "--time-wait" && i + 1 < argc) {
      options.time_wait = static_cast<std::uint32_t>(std::strtoul(argv[++i], nullptr, 10));
    } else {
      char* end = nullptr;
      const unsigned long n = std::strtoul(argv[i], &end, 10);
      if (*end != '\0' || n == 0 || n > 60'000'000) return usage(2);
      sizes.push_back(static_cast<std::uint32_t>(n));
    }
  }
  if (sizes.empty()) return usage(2);
  if (!json)
    std::printf("%10s %-6s %10s %9s %10s %11s %9s %9s %9s %7s %9s\n", "N", "phase", "done", "seconds", "per second", "resident MiB", "bytes/end",
                "gap ms", "work ms", "faults", "timer ms");
  bool all = true;
  for (const std::uint32_t n : sizes) {
    options.connections = n;
    all = measure(options, json) && all;
  }
  return all ? 0 : 1;
}
