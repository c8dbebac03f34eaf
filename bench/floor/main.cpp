// SPDX-License-Identifier: BSD-3-Clause
// floor-bench: what this machine could do at best, here and now: the six packets of a short exchange between two
// skeletons of a TCP endpoint, on one core over rings, or one core each over memif or virtio. A figure of Handfast's
// counts as a ratio to this one of the same minute. Layer: bench.
#include <rte_cycles.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <new>
#include <string_view>
#include <vector>

#include "common/cpu_time.hpp"
#include "endpoint.hpp"
#include "ports.hpp"

namespace floor_bench {
namespace {

struct Options {
  bool pair = false;
  Link link = Link::memif;
  std::uint32_t idle = 0, window = 0;  // window 0: the case's own
  double seconds = 1;
  unsigned repeats = 5;
  bool verify = true, json = false;
};

void print(const Options& o, std::vector<double> ns, std::uint64_t bad, double client_idle, double server_idle) {
  std::sort(ns.begin(), ns.end());
  const char* what = !o.pair ? "ceiling" : o.link == Link::memif ? "pair-memif" : "pair-virtio";
  const double median = ns[ns.size() / 2];
  std::printf(o.json ? "{\"bench\": \"floor\", \"case\": \"%s\", \"idle\": %" PRIu32
                       ", \"ns\": %.2f, \"ns_least\": %.2f, \"ns_most\": %.2f, \"bad\": %" PRIu64
                       ", \"client_idle_polls\": %.3f, \"server_idle_polls\": %.3f}\n"
                     : "%s, %" PRIu32 " idle: %.1f ns a connection (%.1f to %.1f), %" PRIu64
                       " bad; idle polls: client %.2f, server %.2f\n",
              what, o.idle, median, ns.front(), ns.back(), bad, client_idle, server_idle);
}

std::uint64_t cycles(double seconds) {
  return static_cast<std::uint64_t>(seconds * static_cast<double>(rte_get_tsc_hz()));
}
double ns_since(std::uint64_t start) {
  return static_cast<double>(rte_rdtsc() - start) * 1e9 / static_cast<double>(rte_get_tsc_hz());
}

unsigned room(const Endpoint& client, std::uint32_t window) {
  constexpr std::uint64_t at_once = 32;
  const std::uint64_t open = client.opened() - client.done();
  return static_cast<unsigned>(std::min(at_once, window - std::min<std::uint64_t>(open, window)));
}

/// Both ends in turn on this processor, in processor time. The clock is read once in a thousand rounds.
int ceiling(const Options& o) {
  constexpr std::uint32_t usual_window = 64, rounds_by_clock = 1000;
  const std::uint32_t window = o.window != 0 ? o.window : usual_window;
  start_eal(static_cast<unsigned>(sysconf(_SC_NPROCESSORS_ONLN)) - 1, "floor" + std::to_string(getpid()), {});
  rte_mempool* pool = make_pool();
  const RingPair ports = make_ring_pair(pool);
  Endpoint client{{Role::client, ports.client, o.idle, o.verify, 32, 1}, pool};
  Endpoint server{{Role::server, ports.server, o.idle, o.verify, 32, 2}, pool};
  std::vector<double> ns;
  for (unsigned i = 0; i <= o.repeats; ++i) {
    const std::uint64_t before = client.done();
    const double length = i == 0 ? o.seconds / 4 : o.seconds, cpu = handfast::bench::thread_cpu_seconds();
    while (handfast::bench::thread_cpu_seconds() - cpu < length) {
      for (std::uint32_t round = 0; round < rounds_by_clock; ++round) {
        client.open(room(client, window));
        server.poll();
        client.poll();
      }
    }
    if (i == 0) continue;  // to warm up
    ns.push_back((handfast::bench::thread_cpu_seconds() - cpu) * 1e9 / static_cast<double>(client.done() - before));
  }
  const std::uint64_t bad = client.bad() + server.bad();
  print(o, ns, bad, 0, 0);
  return bad == 0 ? 0 : 1;
}

/// What the two processes of a pair tell each other.
struct Shared {
  std::atomic<bool> ready{false}, stop{false}, ended{false};  // ready: the server's table is filled
  std::atomic<std::uint64_t> bad{0}, polls{0}, idle_polls{0};
};

void serve(const Options& o, const std::string& socket, Shared& shared) {
  start_eal(0, "floor-s" + std::to_string(getpid()), device_arguments(o.link, true, socket));
  rte_mempool* pool = make_pool();
  Endpoint server{{Role::server, start_end(o.link, true, socket, pool), o.idle, o.verify, 64, 2}, pool};
  shared.ready = true;
  std::uint64_t polls = 0, idle = 0;
  while (!shared.stop.load(std::memory_order_relaxed)) {
    ++polls;
    if (server.poll() == 0) ++idle;
  }
  shared.bad = server.bad();
  shared.polls = polls;
  shared.idle_polls = idle;
  shared.ended = true;
}

int request(const Options& o, const std::string& socket, Shared& shared) {
  constexpr std::uint32_t usual_window = 512, rounds_by_clock = 64;
  const std::uint32_t window = o.window != 0 ? o.window : usual_window;
  start_eal(1, "floor-c" + std::to_string(getpid()), device_arguments(o.link, false, socket));
  rte_mempool* pool = make_pool();
  Endpoint client{{Role::client, start_end(o.link, false, socket, pool), o.idle, o.verify, 64, 1}, pool};
  constexpr unsigned longest_wait_ms = 120'000;
  for (unsigned waited = 0; !shared.ready; ++waited) {
    if (waited == longest_wait_ms) give_up("the server's process did not fill its table");
    usleep(1000);
  }
  std::vector<double> ns;
  std::uint64_t polls = 0, idle = 0;
  for (unsigned i = 0; i <= o.repeats; ++i) {
    const std::uint64_t length = cycles(i == 0 ? o.seconds / 4 : o.seconds), start = rte_rdtsc(), before = client.done();
    while (rte_rdtsc() - start < length) {
      for (std::uint32_t round = 0; round < rounds_by_clock; ++round) {
        ++polls;
        if (client.poll() == 0) ++idle;
        client.open(room(client, window));
      }
    }
    if (i != 0) ns.push_back(ns_since(start) / static_cast<double>(std::max<std::uint64_t>(1, client.done() - before)));
  }
  shared.stop = true;
  while (!shared.ended) usleep(1000);
  const std::uint64_t bad = client.bad() + shared.bad;
  print(o, ns, bad, static_cast<double>(idle) / static_cast<double>(polls),
        static_cast<double>(shared.idle_polls) / static_cast<double>(shared.polls));
  return bad == 0 ? 0 : 1;
}

/// The server is a child, and ends without closing its port: drivers of 22.11 may fault when a peer goes.
int pair(const Options& o) {
  if (sysconf(_SC_NPROCESSORS_ONLN) < 2) give_up("a pair needs two processors");
  std::string directory = (std::filesystem::temp_directory_path() / "floor-XXXXXX").string();
  if (mkdtemp(directory.data()) == nullptr) give_up("no directory for the socket");
  const std::string socket = directory + "/link";
  void* const memory = mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) give_up("no shared memory");
  auto& shared = *new (memory) Shared;
  signal(SIGPIPE, SIG_IGN);
  std::fflush(stdout);
  const pid_t client = fork();
  if (client == 0) {
    if (o.link == Link::memif) usleep(500'000);
    const int code = request(o, socket, shared);
    std::fflush(stdout);
    std::_Exit(code);
  }
  const pid_t server = fork();
  if (server == 0) {
    serve(o, socket, shared);
    std::_Exit(0);
  }
  // The server may end first only once it was told to; else the client would wait for ever.
  int status = 0;
  pid_t first = waitpid(-1, &status, 0);
  if (first == server && shared.ended) {
    waitpid(client, &status, 0);
  } else {
    if (!shared.ended) kill(first == client ? server : client, SIGKILL);
    waitpid(first == client ? server : client, nullptr, 0);
    if (first == server) status = 3 << 8;
  }
  std::filesystem::remove_all(directory);
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) std::fputs("floor-bench: a process of the pair ended before its time\n", stderr);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 3;
}

int usage(int code) {
  std::fputs(
      "usage: floor-bench ceiling [OPTIONS]            both ends on one core, over rings\n"
      "       floor-bench pair (memif|virtio) [OPTIONS]  one core each\n"
      "  --idle N       connections that are in both tables and do nothing; 0\n"
      "  --window N     connections under way at a time; 64, or 512 for a pair\n"
      "  --seconds S    for each of\n"
      "  --repeats N    measurements, of which the median is told; 1 s, 5\n"
      "  --verify       received checksums are verified (they are unless --no-verify)\n"
      "  --json         one line for a program to read\n",
      code == 0 ? stdout : stderr);
  return code;
}

int run(int argc, char** argv) {
  Options o;
  int i = 1;
  const std::string_view what = i < argc ? argv[i++] : "";
  if (what == "--help") return usage(0);
  if (what == "pair") {
    o.pair = true;
    const std::string_view link = i < argc ? argv[i++] : "";
    if (link != "memif" && link != "virtio") return usage(2);
    o.link = link == "memif" ? Link::memif : Link::virtio;
  } else if (what != "ceiling") {
    return usage(2);
  }
  for (; i < argc; ++i) {
    const std::string_view word = argv[i];
    if (word == "--verify" || word == "--no-verify") {
      o.verify = word == "--verify";
    } else if (word == "--json") {
      o.json = true;
    } else if (i + 1 == argc) {
      return usage(2);
    } else if (word == "--idle") {
      o.idle = static_cast<std::uint32_t>(std::strtoul(argv[++i], nullptr, 10));
    } else if (word == "--window") {
      o.window = static_cast<std::uint32_t>(std::strtoul(argv[++i], nullptr, 10));
    } else if (word == "--seconds") {
      o.seconds = std::strtod(argv[++i], nullptr);
    } else if (word == "--repeats") {
      o.repeats = static_cast<unsigned>(std::strtoul(argv[++i], nullptr, 10));
    } else {
      return usage(2);
    }
  }
  if (o.repeats == 0 || o.seconds <= 0 || o.window > 4096) return usage(2);
  return o.pair ? pair(o) : ceiling(o);
}

}  // namespace
}  // namespace floor_bench

int main(int argc, char** argv) { return floor_bench::run(argc, argv); }
