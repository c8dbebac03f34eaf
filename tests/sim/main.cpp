// SPDX-License-Identifier: BSD-3-Clause
// handfast-sim: runs seeds, prints what they did, and for each failure the command that replays it. Layer:
// simulator. Seeds run in a child process, so that an assertion ends one seed and not the run.
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>

#include "sim/world.hpp"

namespace handfast::sim {
namespace {

struct Options {
  std::uint64_t first = 1, count = 300;
  Choice choice;
  std::string pcap;
  std::string extra;  ///< what changes the run, to be repeated in the command that replays it
  bool twice = false, verbose = false, stop = false, stats = false;
  unsigned limit = 20;
};

/// What parent and child share.
struct Progress {
  std::uint64_t seed = 0, done = 0, failures = 0, events = 0, frames = 0, twice = 0;
  Duration virtual_time{}, longest_healing{};
  std::uint64_t slowest = 0;
  CoreStats stats;
};

constexpr unsigned most_seconds = 120;  // real ones, for one seed
constexpr std::size_t frames_kept = 4096;

const World* running = nullptr;
const Options* options_of_run = nullptr;
std::uint64_t running_seed = 0;

void usage() {
  std::fputs(
      "handfast-sim [--seeds FIRST:COUNT] [--without FAULT,..] [--only FAULT,..] [--connections N]\n"
      "             [--twice] [--pcap FILE] [--verbose] [--stats] [--stop]\n"
      "  --seeds        which to run; 1:300 if nothing is said\n"
      "  --without      takes these faults away from every seed; --only leaves but these. Faults:\n    ",
      stdout);
  for (unsigned f = 0; f < fault_count; ++f)
    std::printf(" %s", std::string{name(static_cast<Fault>(f))}.c_str());
  std::fputs(
      "\n  --connections  at most so many\n"
      "  --twice        runs each seed twice, and fails unless both runs are the same; without it one in a "
      "hundred\n"
      "  --pcap FILE    the last frames of the last seed\n"
      "  --verbose      a line for each seed\n"
      "  --stats        at the end, how often what happened: what is not there was not tried\n"
      "  --stop         at the first failure\n"
      "Exit code: 0 all is well, 1 some seed failed, 2 the command line.\n",
      stdout);
}

std::string pcap_path(std::uint64_t seed) { return "/tmp/handfast-sim-" + std::to_string(seed) + ".pcap"; }

void tell(std::uint64_t seed, const char* what) {
  std::printf("seed %llu FAILED: %s\n  replay: handfast-sim --seeds %llu:1%s --verbose\n",
              static_cast<unsigned long long>(seed), what, static_cast<unsigned long long>(seed),
              options_of_run->extra.c_str());
  if (running != nullptr && running->capture().write(pcap_path(seed).c_str()))
    std::printf("  frames: %s\n", pcap_path(seed).c_str());
  std::fflush(stdout);
}

/// An assertion, a sanitizer's report, or no end: the last that this process does.
void on_signal(int number) {
  std::signal(SIGABRT, SIG_DFL);
  tell(running_seed, number == SIGALRM ? "no end within the real time that a seed has"
                                       : "assertion or sanitizer, see above");
  std::_Exit(3);
}

std::string mask_text(std::uint64_t seed, const Plan& plan) {
  return "seed " + std::to_string(seed) + ": " + plan.text();
}

Result run_once(const Plan& plan, std::uint64_t seed, const Options& options) {
  World world{plan, frames_kept};
  running = &world;
  running_seed = seed;
  Result result = world.run();
  if (!result.failure.empty()) {
    std::printf("%s\n", mask_text(seed, plan).c_str());
    tell(seed, result.failure.c_str());
    if (options.verbose)
      for (const Talk& talk : world.ledger().talks) std::printf("  %s\n", world.ledger().text(talk).c_str());
  } else if (options.verbose) {
    std::printf("%s\n  ended well: %.3f s of virtual time, %llu events, %llu frames, hash %016llx\n",
                mask_text(seed, plan).c_str(), std::chrono::duration<double>(result.virtual_time).count(),
                static_cast<unsigned long long>(result.events),
                static_cast<unsigned long long>(result.frames), static_cast<unsigned long long>(result.hash));
  }
  if (!options.pcap.empty() && !world.capture().write(options.pcap.c_str()))
    std::printf("cannot write %s\n", options.pcap.c_str());
  running = nullptr;
  return result;
}

void run_seed(std::uint64_t seed, const Options& options, Progress& progress) {
  progress.seed = seed;
  ::alarm(most_seconds);
  const Plan plan = draw_plan(seed, options.choice);
  const Result result = run_once(plan, seed, options);
  bool failed = !result.failure.empty();
  if (!failed && (options.twice || seed % 100 == 0)) {
    ++progress.twice;
    const Result again = run_once(plan, seed, options);
    if (again.hash != result.hash) {
      failed = true;
      tell(seed, "two runs of it differ");
    }
  }
  ::alarm(0);
  ++progress.done;
  progress.failures += failed ? 1 : 0;
  progress.events += result.events;
  progress.frames += result.frames;
  progress.virtual_time += result.virtual_time;
  progress.stats.add(result.stats);
  if (result.healing > progress.longest_healing) {
    progress.longest_healing = result.healing;
    progress.slowest = seed;
  }
}

bool wants_end(const Options& options, const Progress& progress) {
  return progress.failures >= (options.stop ? 1 : options.limit);
}

/// The rest of the seeds, in a child; true when there is nothing more to do.
void run_children(const Options& options, Progress& progress) {
  std::uint64_t next = options.first;
  const std::uint64_t end = options.first + options.count;
  while (next != end && !wants_end(options, progress)) {
    std::fflush(stdout);
    const pid_t child = ::fork();
    if (child == 0) {
      for (const int number : {SIGABRT, SIGALRM, SIGSEGV, SIGFPE}) std::signal(number, on_signal);
      for (; next != end && !wants_end(options, progress); ++next) run_seed(next, options, progress);
      std::fflush(stdout);
      std::_Exit(0);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return;
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 3) {
      std::printf("seed %llu FAILED: the process died\n  replay: handfast-sim --seeds %llu:1%s\n",
                  static_cast<unsigned long long>(progress.seed),
                  static_cast<unsigned long long>(progress.seed), options.extra.c_str());
    }
    ++progress.failures;
    ++progress.done;
    next = progress.seed + 1;
  }
}

bool parse_faults(std::string_view text, std::uint32_t& into) {
  while (!text.empty()) {
    const auto comma = std::min(text.find(','), text.size());
    const auto fault = parse_fault(text.substr(0, comma));
    if (!fault) return false;
    into |= mask(*fault);
    text.remove_prefix(std::min(comma + 1, text.size()));
  }
  return true;
}

bool parse(int argc, char** argv, Options& options) {
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    const std::string value = i + 1 < argc ? argv[i + 1] : "";
    if (word == "--twice") {
      options.twice = true;
    } else if (word == "--verbose") {
      options.verbose = true;
    } else if (word == "--stats") {
      options.stats = true;
    } else if (word == "--stop") {
      options.stop = true;
    } else if (i + 1 == argc) {
      return false;
    } else if (word == "--seeds") {
      char* end = nullptr;
      options.first = std::strtoull(value.c_str(), &end, 0);
      options.count = *end == ':' ? std::strtoull(end + 1, &end, 0) : 1;
      if (*end != '\0' || options.count == 0) return false;
      ++i;
    } else if (word == "--pcap") {
      options.pcap = value;
      ++i;
    } else if (word == "--connections") {
      options.choice.connections = static_cast<std::uint32_t>(std::strtoul(value.c_str(), nullptr, 10));
      options.extra += " " + word + " " + value;
      ++i;
    } else if (word == "--without" || word == "--only") {
      std::uint32_t faults = 0;
      if (!parse_faults(value, faults)) return false;
      if (word == "--without")
        options.choice.without |= faults;
      else
        options.choice.only = faults;
      options.extra += " " + word + " " + value;
      ++i;
    } else {
      return false;
    }
  }
  return true;
}

void print_stats(const CoreStats& s) {
  const auto line = [](std::string_view what, std::uint64_t n) {
    std::printf("  %-24s %llu\n", std::string{what}.c_str(), static_cast<unsigned long long>(n));
  };
  for (std::size_t i = 0; i < s.closed.size(); ++i)
    line("closed " + std::string{name(static_cast<CloseReason>(i))}, s.closed[i]);
  const std::pair<std::string_view, std::uint64_t> counters[] = {
      {"active opens", s.active_opens},
      {"accepted", s.accepted},
      {"retransmits", s.retransmits},
      {"fast retransmits", s.fast_retransmits},
      {"time-outs", s.timeouts},
      {"tail loss probes", s.tail_loss_probes},
      {"recoveries undone", s.recoveries_undone},
      {"SACK reneging", s.sack_reneging},
      {"ECN reductions", s.ecn_reductions},
      {"flights exhausted", s.flights_exhausted},
      {"resets in", s.resets_in},
      {"resets out", s.resets_out},
      {"challenge ACKs", s.challenge_acks},
      {"cookies accepted", s.syn_cookies_accepted},
      {"time-wait reused", s.time_wait_reused},
      {"time-wait cut short", s.time_wait_cut_short},
      {"out of order", s.out_of_order},
      {"D-SACKs sent", s.dsacks_sent},
      {"windows grown", s.receive_windows_grown},
      {"windows held", s.receive_windows_held},
      {"zero-window probes", s.zero_window_probes},
      {"keep-alive probes", s.keepalive_probes},
      {"half-open expired", s.half_open_expired},
      {"path MTU reduced", s.path_mtu_reduced},
      {"black holes", s.path_black_holes},
      {"path probes", s.path_probes},
      {"path probes failed", s.path_probes_failed},
      {"unresponsive", s.unresponsive},
      {"fast opens sent", s.fast_open_sent},
      {"fast opens taken", s.fast_open_taken}};
  for (const auto& [what, n] : counters) line(what, n);
  for (std::size_t i = 1; i < drop_count; ++i)
    line("drop " + std::string{name(static_cast<Drop>(i))}, s.drops[i]);
}

int main_of(int argc, char** argv) {
  Options options;
  if (argc == 2 && (std::string_view{argv[1]} == "--help" || std::string_view{argv[1]} == "-h"))
    return usage(), 0;
  if (!parse(argc, argv, options)) return usage(), 2;
  options_of_run = &options;
  void* shared = ::mmap(nullptr, sizeof(Progress), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (shared == MAP_FAILED) return 2;
  Progress& progress = *new (shared) Progress;
  run_children(options, progress);
  std::printf(
      "seeds %llu:%llu: %llu run (%llu twice), %.0f s of virtual time, %llu events, %llu frames, longest "
      "healing %.1f s (seed %llu), %llu failures\n",
      static_cast<unsigned long long>(options.first), static_cast<unsigned long long>(options.count),
      static_cast<unsigned long long>(progress.done), static_cast<unsigned long long>(progress.twice),
      std::chrono::duration<double>(progress.virtual_time).count(),
      static_cast<unsigned long long>(progress.events), static_cast<unsigned long long>(progress.frames),
      std::chrono::duration<double>(progress.longest_healing).count(),
      static_cast<unsigned long long>(progress.slowest), static_cast<unsigned long long>(progress.failures));
  if (options.stats) print_stats(progress.stats);
  return progress.failures == 0 ? 0 : 1;
}

}  // namespace
}  // namespace handfast::sim

int main(int argc, char** argv) { return handfast::sim::main_of(argc, argv); }
