// SPDX-License-Identifier: BSD-3-Clause
// Words into Options; see options.hpp. Layer: bench.
#include "options.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

namespace handfast::bench {
namespace {

constexpr std::uint32_t most_idle = 60'000'000;  // of 1000 addresses

[[noreturn]] void usage(int code) {
  std::fputs(
      "usage: connections-bench [SECONDS [OPEN]] [OPTIONS]\n"
      "  --idle N           connections that stay and do nothing, beside those that come and go\n"
      "  --window N         that come and go at a time; 256\n"
      "  --keep N           instead: requests on N kept connections, one under way on each\n"
      "  --flood            instead: spoofed SYNs, each answered by a cookie\n"
      "  --cores 1|2        both ends on one core, or one core each; both one after the other\n"
      "  --link ring|memif|virtio   the last two: two processes, a core each\n"
      "  --no-timestamps    without the option of RFC 7323\n"
      "  --time-wait N      entries at each end; 1048576\n"
      "  --seconds S        for each measurement; 2\n"
      "  --json             one line for each, for a program to read\n",
      code == 0 ? stdout : stderr);
  std::exit(code);
}

std::uint32_t number(const char* text, std::uint32_t least, std::uint32_t most) {
  char* end = nullptr;
  const unsigned long long value = std::strtoull(text, &end, 10);
  if (end == text || *end != '\0' || value < least || value > most) {
    std::fprintf(stderr, "connections-bench: \"%s\" is not a number from %u to %u.\n", text, least, most);
    std::exit(2);
  }
  return static_cast<std::uint32_t>(value);
}

void set_link(Options& o, std::string_view value) {
  if (value != "ring" && value != "memif" && value != "virtio") usage(2);
  o.link = value == "ring" ? Link::ring : value == "memif" ? Link::memif : Link::virtio;
}

}  // namespace

Options parse(int argc, char** argv) {
  Options o;
  int positional = 0;
  bool idle = false;
  std::uint32_t idle_count = 0;
  for (int i = 1; i < argc; ++i) {
    const std::string_view word = argv[i];
    const auto value = [&] { return ++i < argc ? argv[i] : (usage(2), nullptr); };
    if (word == "--help") usage(0);
    if (word == "--flood") {
      o.flood = true;
    } else if (word == "--no-timestamps") {
      o.timestamps = false;
    } else if (word == "--json") {
      o.json = true;
    } else if (word == "--idle") {
      idle = true;
      idle_count = number(value(), 0, most_idle);
    } else if (word == "--window") {
      o.window = number(value(), 1, 65'536);
    } else if (word == "--keep") {
      o.keep = number(value(), 1, 1'000'000);
    } else if (word == "--time-wait") {
      o.time_wait = number(value(), 1, 1u << 26);
    } else if (word == "--cores") {
      const std::uint32_t cores = number(value(), 1, 2);
      o.one_core = cores == 1;
      o.two_cores = cores == 2;
    } else if (word == "--link") {
      set_link(o, value());
    } else if (word == "--seconds" || (positional == 0 && !word.starts_with("-"))) {
      o.seconds = std::atof(word == "--seconds" ? value() : argv[i]);
      ++positional;
      if (o.seconds <= 0) usage(2);
    } else if (positional == 1 && !word.starts_with("-")) {
      o.open = {number(argv[i], 1, most_idle)};
      ++positional;
    } else {
      usage(2);
    }
  }
  if (idle || o.keep != 0) o.open = {idle_count + (o.keep != 0 ? o.keep : o.window)};
  return o;
}

StackConfig side(const Options& options, bool server, std::uint32_t open) {
  constexpr std::uint32_t by_address = 60'000, spare_addresses = 64;
  StackConfig config;
  CoreConfig& core = config.core;
  core.link.address = {server ? server_address : Ipv4Address{10, 0, 1, 0}, 16};
  core.link.address_count = server ? 1 : spare_addresses + open / by_address;
  core.limits.connections = open + 65'536;
  core.limits.half_open = 65'536;
  core.limits.time_wait = options.time_wait;
  core.limits.somaxconn = 65'536;
  core.limits.prefault = true;  // what is measured is a stack that has run for a while, not the kernel clearing pages
  core.tcp.timestamps = options.timestamps;
  return config;
}

}  // namespace handfast::bench
