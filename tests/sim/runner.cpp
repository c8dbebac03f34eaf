// SPDX-License-Identifier: BSD-3-Clause
// Children, signals, what is told of a failure; see runner.hpp. Layer: simulator.
#include "sim/runner.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>

namespace handfast::sim {
namespace {

constexpr unsigned most_seconds = 120;  // real ones, for one seed
constexpr std::size_t frames_kept = 4096;
constexpr std::size_t most_text = 4096;
/// One seed in so many is run again, or run with and without a blind attacker.
constexpr std::uint64_t twice_every = 100, blind_every = 25;

/// What a failing child leaves for its parent.
char* last_words = nullptr;

void say(const std::string& text) { std::strncpy(last_words, text.c_str(), most_text - 1); }

void* share(std::size_t bytes) {
  void* memory = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) std::abort();
  return memory;
}

void on_signal(int number) {
  std::signal(SIGABRT, SIG_DFL);
  say(number == SIGALRM ? "endless: no end within the real time that a seed has"
                        : "died: an assertion or a sanitizer, see above");
  std::_Exit(1);
}

Result run_plan(const Plan& plan, const std::string& pcap) {
  World world{plan, pcap.empty() ? 0 : frames_kept};
  // Where the process dies the frames are lost with it, unless it is known before that they are wanted.
  static World* running = nullptr;
  static std::string path;
  running = &world;
  path = pcap;
  if (!pcap.empty()) {
    std::signal(SIGABRT, [](int number) {
      if (running != nullptr) running->capture().write(path.c_str());
      on_signal(number);
    });
  }
  Result result = world.run();
  running = nullptr;
  if (!pcap.empty()) world.capture().write(pcap.c_str());
  return result;
}

/// The same plan with nothing wrong but a blind attacker, and without one: nobody may see a difference (I30).
std::string blind_failure(std::uint64_t seed, const Choice& choice, const std::string& pcap) {
  Choice with = choice, without = choice;
  with.force = mask(Fault::attacker);
  without.force = 0;
  const Result attacked = run_plan(draw_plan(seed, with), pcap);
  if (!attacked.failure.empty()) return "I30 under attack: " + attacked.failure;
  const Result calm = run_plan(draw_plan(seed, without), {});
  if (!calm.failure.empty()) return "I30 without an attack even: " + calm.failure;
  return attacked.seen == calm.seen
             ? std::string{}
             : "I30 the applications saw\n" + attacked.seen + "and without the attacker\n" + calm.seen;
}

void run_seed(std::uint64_t seed, const Options& options, Progress& progress) {
  progress.seed = seed;
  ::alarm(most_seconds);
  if (options.blind || seed % blind_every == 0) {
    ++progress.blind;
    if (std::string why = blind_failure(seed, options.choice, options.pcap); !why.empty()) {
      say(why);
      std::_Exit(2);
    }
  }
  const Plan plan = draw_plan(seed, options.choice);
  const Result result = run_plan(plan, options.pcap);
  if (!result.failure.empty()) {
    say(result.failure);
    std::_Exit(1);
  }
  if (options.twice || seed % twice_every == 0) {
    ++progress.twice;
    if (run_plan(plan, {}).hash != result.hash) {
      say("determinism: two runs of it differ");
      std::_Exit(1);
    }
  }
  ::alarm(0);
  if (options.verbose)
    std::printf(
        "seed %llu: %s\n  ended well: %.3f s of virtual time, %llu events, %llu frames, hash %016llx\n",
        static_cast<unsigned long long>(seed), plan.text().c_str(),
        std::chrono::duration<double>(result.virtual_time).count(),
        static_cast<unsigned long long>(result.events), static_cast<unsigned long long>(result.frames),
        static_cast<unsigned long long>(result.hash));
  ++progress.done;
  progress.events += result.events;
  progress.frames += result.frames;
  progress.hash += Rng{seed ^ result.hash}.next();
  progress.virtual_time += result.virtual_time;
  progress.stats.add(result.stats);
  progress.transitions = seen_transitions();
  if (result.healing > progress.longest_healing) {
    progress.longest_healing = result.healing;
    progress.slowest = seed;
  }
}

/// What failed, how to do it again, something smaller that fails too, and its frames.
void tell(std::uint64_t seed, const Options& options, bool blind) {
  const std::string failure = last_words;
  std::printf("seed %llu: %s\nseed %llu FAILED: %s\n  replay: %s\n", static_cast<unsigned long long>(seed),
              draw_plan(seed, options.choice).text().c_str(), static_cast<unsigned long long>(seed),
              failure.c_str(), replay_command(seed, options.choice, blind).c_str());
  std::fflush(stdout);
  if (!options.shrink) return;
  const Choice small = shrink(seed, options.choice, blind, failure);
  const std::string path =
      options.pcap.empty()
          ? (std::filesystem::temp_directory_path() / ("handfast-sim-" + std::to_string(seed) + ".pcap"))
                .string()
          : options.pcap;
  std::fflush(stdout);
  if (const pid_t child = ::fork(); child == 0) {
    ::alarm(most_seconds);
    say(blind ? blind_failure(seed, small, path) : run_plan(draw_plan(seed, small), path).failure);
    std::_Exit(0);
  } else {
    int status = 0;
    ::waitpid(child, &status, 0);
  }
  std::printf("  shrunk: %s\n    %s\n    %s\n  frames: %s\n", replay_command(seed, small, blind).c_str(),
              draw_plan(seed, small).text().c_str(), last_words, path.c_str());
  std::fflush(stdout);
}

}  // namespace

std::string failure_of(std::uint64_t seed, const Choice& choice, bool blind) {
  return blind ? blind_failure(seed, choice, {}) : run_plan(draw_plan(seed, choice), {}).failure;
}

std::string failure_apart(std::uint64_t seed, const Choice& choice, bool blind) {
  std::fflush(stdout);
  say("");
  const pid_t child = ::fork();
  if (child == 0) {
    for (const int number : {SIGABRT, SIGALRM, SIGSEGV, SIGFPE}) std::signal(number, on_signal);
    const int nowhere = ::open("/dev/null", O_WRONLY);
    ::dup2(nowhere, 1);
    ::dup2(nowhere, 2);
    ::alarm(most_seconds / 4);
    say(failure_of(seed, choice, blind));
    std::_Exit(0);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  if (WIFSIGNALED(status)) return "died: by a signal";
  return last_words;
}

void run_seeds(const Options& options, Progress& progress) {
  last_words = static_cast<char*>(share(most_text));
  const std::uint64_t count = options.pinned.empty() ? options.count : options.pinned.size();
  const auto seed_at = [&options](std::uint64_t i) {
    return options.pinned.empty() ? options.first + i : options.pinned[i];
  };
  auto* next = static_cast<std::uint64_t*>(share(sizeof(std::uint64_t)));
  while (*next != count && progress.failures < (options.stop ? 1 : options.limit)) {
    std::fflush(stdout);
    say("");
    const pid_t child = ::fork();
    if (child == 0) {
      seen_transitions() = progress.transitions;
      for (const int number : {SIGABRT, SIGALRM, SIGSEGV, SIGFPE}) std::signal(number, on_signal);
      for (; *next != count; ++*next) run_seed(seed_at(*next), options, progress);
      std::fflush(stdout);
      std::_Exit(0);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return;
    if (!WIFEXITED(status)) say("died: by a signal");
    if (last_words[0] == '\0') say("died: a sanitizer, see above");
    ++progress.failures;
    ++progress.done;
    tell(progress.seed, options, WIFEXITED(status) && WEXITSTATUS(status) == 2);
    ++*next;
  }
}

}  // namespace handfast::sim
