// SPDX-License-Identifier: BSD-3-Clause
// kernel-bench: the same short exchange on the Linux kernel's own TCP: a client and a server with epoll, a processor
// each, over the loopback of a namespace of their own. Connections per second, and processor time at each end.
// Layer: bench.
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <new>
#include <sstream>
#include <string>
#include <string_view>

#include "network.hpp"
#include "sides.hpp"

namespace {

using namespace handfast::bench;

/// User and system time of a process so far.
double cpu_seconds(pid_t process) {
  clockid_t clock{};
  timespec ts{};
  if (clock_getcpuclockid(process, &clock) != 0 || clock_gettime(clock, &ts) != 0) return 0;
  return static_cast<double>(ts.tv_sec) + static_cast<double>(ts.tv_nsec) / 1e9;
}

void pin(unsigned processor) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(processor % static_cast<unsigned>(sysconf(_SC_NPROCESSORS_ONLN)), &set);
  (void)sched_setaffinity(0, sizeof set, &set);
}

int usage(int code) {
  std::fputs("usage: kernel-bench [--seconds 2] [--window 256] [--json]\n", code == 0 ? stdout : stderr);
  return code;
}

void nap(double seconds) { usleep(static_cast<useconds_t>(seconds * 1e6)); }

}  // namespace

int main(int argc, char** argv) {
  double seconds = 2;
  unsigned window = 256;
  bool json = false;
  for (int i = 1; i < argc; ++i) {
    const std::string_view word = argv[i];
    if (word == "--help") return usage(0);
    if (word == "--json") {
      json = true;
    } else if (word == "--seconds" && i + 1 < argc) {
      seconds = std::atof(argv[++i]);
    } else if (word == "--window" && i + 1 < argc) {
      window = static_cast<unsigned>(std::atoi(argv[++i]));
    } else {
      return usage(2);
    }
  }
  if (seconds <= 0 || window == 0 || window > 1000) return usage(2);
  enter_own_network();
  void* const memory = mmap(nullptr, sizeof(Counters), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return 3;
  auto& counters = *new (memory) Counters;
  const pid_t server = fork();
  if (server == 0) {
    pin(0);
    serve(counters);
  }
  while (!counters.ready && waitpid(server, nullptr, WNOHANG) == 0) nap(0.001);
  const pid_t client = fork();
  if (client == 0) {
    pin(1);
    request(counters, window);
  }
  nap(seconds / 4);
  const auto start = std::chrono::steady_clock::now();
  const double server_before = cpu_seconds(server), client_before = cpu_seconds(client);
  const auto done_before = counters.done.load();
  nap(seconds);
  const double elapsed = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  const auto done = static_cast<double>(counters.done - done_before);
  const double server_ns = (cpu_seconds(server) - server_before) * 1e9 / done,
               client_ns = (cpu_seconds(client) - client_before) * 1e9 / done;
  for (const pid_t child : {client, server}) {
    kill(child, SIGKILL);
    waitpid(child, nullptr, 0);
  }
  std::printf(json ? "{\"bench\": \"kernel\", \"ns\": %.1f, \"rate\": %.0f, \"client_ns\": %.1f, \"server_ns\": %.1f, \"failed\": %llu}\n"
                   : "%.1f ns a connection by the clock, %.0f per second; processor time: client %.1f, server %.1f ns; %llu failed\n",
              elapsed * 1e9 / done, done / elapsed, client_ns, server_ns,
              static_cast<unsigned long long>(counters.failed.load()));
  return done > 0 ? 0 : 1;
}
