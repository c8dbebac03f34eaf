// SPDX-License-Identifier: BSD-3-Clause
// Two children and what they tell; see two_processes.hpp. Layer: bench. Neither closes its port while the other
// still sends: drivers of 22.11 may fault when a peer goes.
#include "two_processes.hpp"

#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <filesystem>
#include <new>

#include "one_process.hpp"

namespace handfast::bench {
namespace {

/// How long the two may take to find each other.
constexpr Duration longest_hello = 60s;

/// Written by one process and read by the other.
struct Shared {
  std::atomic<bool> stop{false};
  std::atomic<std::uint32_t> asked{0}, told{0};  // for figures of this moment, and by whom they are awaited
  std::atomic<std::int64_t> server_busy_ns{0};
  std::atomic<std::uint64_t> server_frames_out{0}, server_retransmits{0}, cut_short{0};
  Result result;
};

StackConfig end_of_link(const Options& o, bool server, std::uint32_t open, const std::string& socket) {
  StackConfig config = side(o, server, open);
  if (o.link == Link::memif)
    config.dev = "memif:" + socket + ",role=" + (server ? "server" : "client");
  else
    config.dev = (server ? "vhost:" : "virtio:") + socket;
  config.eal_args = {"--lcores", server ? "0@0" : "0@1"};
  return config;
}

void serve(const Options& o, std::uint32_t open, const std::string& socket, Shared& shared) {
  const auto stack = or_exit(Stack::create(end_of_link(o, true, open, socket)));
  listen(stack->core(0));
  Polled polled{*stack, *stack};
  Time now = stack->now();
  while (!shared.stop.load(std::memory_order_relaxed)) {
    now = polled.poll(now);
    const std::uint32_t asked = shared.asked.load(std::memory_order_acquire);
    if (asked == shared.told.load(std::memory_order_relaxed)) continue;
    const CoreStats stats = stack->core(0).stats();
    shared.server_busy_ns.store(polled.busy().count(), std::memory_order_relaxed);
    shared.server_frames_out.store(stats.frames_out, std::memory_order_relaxed);
    shared.server_retransmits.store(stats.retransmits, std::memory_order_relaxed);
    shared.cut_short.store(stats.time_wait_cut_short, std::memory_order_relaxed);
    shared.told.store(asked, std::memory_order_release);
  }
  std::_Exit(0);
}

struct Snapshot {
  std::int64_t client_busy, server_busy;
  std::uint64_t done, failed, packets, retransmits, cut_short;
};

void request_all(const Options& o, std::uint32_t open, const std::string& socket, Shared& shared) {
  const auto stack = or_exit(Stack::create(end_of_link(o, false, open, socket)));
  Requester requester{stack->core(0)};
  Polled polled{*stack, *stack};
  Time now = stack->now();
  const auto once = [&] { now = polled.poll(now); };
  const auto spin = [&](double seconds) {
    const Time end = now + std::chrono::duration_cast<Duration>(std::chrono::duration<double>(seconds));
    while (now < end) once();
  };
  const auto look = [&] {
    const std::uint32_t asked = ++shared.asked;
    while (shared.told.load(std::memory_order_acquire) != asked) once();
    const CoreStats stats = stack->core(0).stats();
    return Snapshot{polled.busy().count(),     shared.server_busy_ns,
                    requester.counts().done,   requester.counts().failed,
                    stats.frames_out + shared.server_frames_out, stats.retransmits + shared.server_retransmits,
                    shared.cut_short};
  };
  const Time hello_end = now + longest_hello;
  while (!stack->core(0).resolve(server_address)) {
    once();
    if (now < hello_end) continue;
    std::fputs("connections-bench: the server's process did not answer\n", stderr);
    std::_Exit(3);
  }
  const std::uint32_t active = o.keep != 0 ? o.keep : std::min(open, o.window);
  requester.open_idle(open - active, once);
  requester.start(o.keep, active, once);
  spin(o.seconds / 4);
  const Snapshot before = look();
  const Time start = now;
  spin(o.seconds);
  const Snapshot after = look();
  const double done = static_cast<double>(after.done - before.done);
  Result& r = shared.result;
  r.open = open;
  r.cores = 2;
  r.rate = done / std::chrono::duration<double>(now - start).count();
  r.ns = 1e9 / r.rate;
  r.client_ns = static_cast<double>(after.client_busy - before.client_busy) / done;
  r.server_ns = static_cast<double>(after.server_busy - before.server_busy) / done;
  r.failed = after.failed;  // since the start: those that fail to open are not there to be measured
  r.retransmits = after.retransmits - before.retransmits;
  r.cut_short = after.cut_short - before.cut_short;
  r.packets = static_cast<double>(after.packets - before.packets) / done;
  requester.stop();
  spin(0.1);
  shared.stop = true;
  std::_Exit(0);
}

}  // namespace

Result run_two_processes(const Options& options, std::uint32_t open) {
  std::string directory = (std::filesystem::temp_directory_path() / "handfast-bench-XXXXXX").string();
  void* const memory = mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (mkdtemp(directory.data()) == nullptr || memory == MAP_FAILED) {
    std::perror("connections-bench");
    std::exit(3);
  }
  const std::string socket = directory + "/link";
  auto& shared = *new (memory) Shared;
  signal(SIGPIPE, SIG_IGN);
  std::fflush(stdout);
  const pid_t server = fork();
  if (server == 0) serve(options, open, socket, shared);
  const pid_t client = fork();
  if (client == 0) request_all(options, open, socket, shared);
  // One that ends before the client has told both to leaves the other waiting for ever.
  int status = 0, other_status = 0;
  const pid_t first = waitpid(-1, &status, 0), other = first == client ? server : client;
  const bool done = shared.stop;
  if (!done) kill(other, SIGKILL);
  waitpid(other, &other_status, 0);
  std::filesystem::remove_all(directory);
  const int client_status = first == client ? status : other_status;
  if (!done || !WIFEXITED(client_status) || WEXITSTATUS(client_status) != 0) {
    // Who ended with a code has said why.
    if (WIFSIGNALED(status))
      std::fprintf(stderr, "connections-bench: the %s's process was ended by signal %d\n", first == client ? "client" : "server", WTERMSIG(status));
    std::exit(3);
  }
  const Result result = shared.result;
  munmap(memory, sizeof(Shared));
  return result;
}

}  // namespace handfast::bench
