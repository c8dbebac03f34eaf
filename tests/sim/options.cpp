// SPDX-License-Identifier: BSD-3-Clause
// Reading and writing the command line; see options.hpp. Layer: simulator.
#include "sim/options.hpp"

#include <cstdio>
#include <cstdlib>
#include <string_view>

namespace handfast::sim {
namespace {

bool parse_faults(std::string_view text, std::uint32_t& into) {
  if (text == "none") return true;
  while (!text.empty()) {
    const auto comma = std::min(text.find(','), text.size());
    const auto fault = parse_fault(text.substr(0, comma));
    if (!fault) return false;
    into |= mask(*fault);
    text.remove_prefix(std::min(comma + 1, text.size()));
  }
  return true;
}

std::string fault_text(std::uint32_t faults) {
  std::string s;
  for (unsigned f = 0; f < fault_count; ++f)
    if ((faults >> f & 1) != 0) s += (s.empty() ? "" : ",") + std::string{name(static_cast<Fault>(f))};
  return s.empty() ? "none" : s;
}

bool parse_picks(std::string_view text, std::uint32_t& into) {
  into = 0;
  while (!text.empty()) {
    const auto comma = std::min(text.find(','), text.size());
    const unsigned long n = std::strtoul(std::string{text.substr(0, comma)}.c_str(), nullptr, 10);
    if (n > 31) return false;
    into |= 1u << n;
    text.remove_prefix(std::min(comma + 1, text.size()));
  }
  return true;
}

std::string pick_text(std::uint32_t picks) {
  std::string s;
  for (unsigned i = 0; i < 32; ++i)
    if ((picks >> i & 1) != 0) s += (s.empty() ? "" : ",") + std::to_string(i);
  return s;
}

/// One seed a line; what follows '#' is for people.
bool read_pinned(const std::string& path, std::vector<std::uint64_t>& into) {
  std::FILE* file = std::fopen(path.c_str(), "r");
  if (file == nullptr) return false;
  char line[512];
  while (std::fgets(line, sizeof line, file) != nullptr) {
    char* end = nullptr;
    const std::uint64_t seed = std::strtoull(line, &end, 0);
    if (end != line) into.push_back(seed);
  }
  return std::fclose(file) == 0;
}

bool parse_range(const std::string& value, Options& options) {
  char* end = nullptr;
  options.first = std::strtoull(value.c_str(), &end, 0);
  options.count = *end == ':' ? std::strtoull(end + 1, &end, 0) : 1;
  return *end == '\0' && options.count != 0;
}

bool parse_switch(std::string_view word, Options& options) {
  bool* const known = word == "--twice"         ? &options.twice
                      : word == "--verbose"     ? &options.verbose
                      : word == "--stats"       ? &options.stats
                      : word == "--stop"        ? &options.stop
                      : word == "--allocations" ? &options.allocations
                      : word == "--blind"       ? &options.blind
                      : word == "--single"      ? &options.choice.single
                                                : nullptr;
  if (known != nullptr) *known = true;
  if (word == "--no-shrink") options.shrink = false;
  return known != nullptr || word == "--no-shrink";
}

bool parse_value(std::string_view word, const std::string& value, Options& options) {
  Choice& choice = options.choice;
  if (word == "--seeds") return parse_range(value, options);
  if (word == "--pinned") return read_pinned(value, options.pinned);
  if (word == "--without") return parse_faults(value, choice.without);
  if (word == "--only") return parse_faults(value, choice.only.emplace(0));
  if (word == "--force") return parse_faults(value, choice.force.emplace(0));
  if (word == "--pick") return parse_picks(value, choice.connections);
  if (word == "--chaos") {
    choice.chaos = std::chrono::milliseconds{std::strtoul(value.c_str(), nullptr, 10)};
    return true;
  }
  if (word == "--pcap") return options.pcap = value, true;
  if (word == "--commit") return options.commit = value, true;
  return false;
}

}  // namespace

void print_usage() {
  std::fputs(
      "handfast-sim [--seeds FIRST:COUNT | --pinned FILE | --allocations] [--without FAULT,..] [--only "
      "FAULT,..]\n"
      "             [--force FAULT,..] [--pick N,..] [--chaos MS] [--single] [--blind] [--twice] [--pcap "
      "FILE]\n"
      "             [--commit TEXT] [--verbose] [--stats] [--stop] [--no-shrink]\n"
      "  --seeds        which to run; 1:300 if nothing is said\n"
      "  --pinned FILE  the seeds of this file, one a line\n"
      "  --allocations  a short script once for each allocation that it makes, which fails\n"
      "  --without      takes these faults away from every seed; --only leaves but these, --force makes it "
      "these and\n"
      "                 no others, and all must end well; \"none\" is none. Faults:\n    ",
      stdout);
  for (unsigned f = 0; f < fault_count; ++f)
    std::printf(" %s", std::string{name(static_cast<Fault>(f))}.c_str());
  std::fputs(
      "\n  --pick         only these connections of the seed, counted from 0\n"
      "  --chaos        at most so many milliseconds of trouble\n"
      "  --single       one shard for each end\n"
      "  --blind        each seed twice, with and without an attacker who sees nothing and nothing else "
      "wrong: the\n"
      "                 applications must see the same\n"
      "  --twice        runs each seed twice, and fails unless both runs are the same; without it one in a "
      "hundred\n"
      "  --pcap FILE    the last frames of the last seed\n"
      "  --commit TEXT  what is tested, for the ledger's line\n"
      "  --verbose      a line for each seed\n"
      "  --stats        at the end, how often what happened: what is not there was not tried\n"
      "  --stop         at the first failure\n"
      "  --no-shrink    does not look for a smaller run that fails too\n"
      "Exit code: 0 all is well, 1 some seed failed, 2 the command line.\n",
      stdout);
}

bool parse(int argc, char** argv, Options& options) {
  for (int i = 1; i < argc; ++i) {
    if (parse_switch(argv[i], options)) continue;
    if (i + 1 < argc && parse_value(argv[i], argv[i + 1], options)) {
      ++i;
      continue;
    }
    std::printf("handfast-sim: \"%s\" is not understood, or what follows it; see --help\n", argv[i]);
    return false;
  }
  return true;
}

std::string replay_command(std::uint64_t seed, const Choice& choice, bool blind) {
  std::string s = "handfast-sim --seeds " + std::to_string(seed) + ":1";
  if (choice.force) s += " --force " + fault_text(*choice.force);
  if (choice.only) s += " --only " + fault_text(*choice.only);
  if (choice.without != 0) s += " --without " + fault_text(choice.without);
  if (choice.connections != 0xffffffff) s += " --pick " + pick_text(choice.connections);
  if (choice.chaos) s += " --chaos " + std::to_string(*choice.chaos / 1ms);
  if (choice.single) s += " --single";
  if (blind) s += " --blind";
  return s + " --verbose";
}

}  // namespace handfast::sim
