// SPDX-License-Identifier: BSD-3-Clause
// Latency over TAP; see latency.hpp. The thread of the link polls without sleeping, as Handfast's cores do;
// client and echo of the kernel are threads that block, as its programs do. Layer: bench.
#include "latency.hpp"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdio>
#include <exception>
#include <stdexcept>
#include <thread>

namespace handfast::paths {
namespace {

constexpr Port port = 7;
constexpr std::size_t message = 64, warm_up = 200;

sockaddr_in to_socket_address(Ipv4Address address) {
  sockaddr_in sa{};
  sa.sin_family = AF_INET;
  sa.sin_port = htons(port);
  sa.sin_addr.s_addr = htonl(address.value);
  return sa;
}

void no_delay(const Fd& fd) {
  const int one = 1;
  (void)::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
}

/// The link's thread has the last processor to itself, as a poll-mode core has; the kernel's programs have
/// the others.
void take_place(bool link) {
  const unsigned processors = std::thread::hardware_concurrency();
  be_prompt(link);
  if (processors < 2) return;
  cpu_set_t set;
  CPU_ZERO(&set);
  for (unsigned i = link ? processors - 1 : 0; i < (link ? processors : processors - 1); ++i)
    CPU_SET(i, &set);
  (void)::sched_setaffinity(0, sizeof set, &set);
}

/// Echoes one connection's bytes until it ends.
void echo(const Fd& listener) {
  const Fd fd{::accept(listener.get(), nullptr, nullptr)};
  if (fd.get() < 0) return;
  no_delay(fd);
  std::array<char, 4096> bytes;
  for (ssize_t n; (n = ::recv(fd.get(), bytes.data(), bytes.size(), 0)) > 0;)
    if (::send(fd.get(), bytes.data(), static_cast<std::size_t>(n), MSG_NOSIGNAL) != n) return;
}

/// Microseconds of each exchange; empty if the connection failed.
std::vector<double> ask(const Fd& fd, Ipv4Address server, const std::atomic<bool>& stopping) {
  std::vector<double> took;
  const sockaddr_in sa = to_socket_address(server);
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&sa), sizeof sa) != 0) return took;
  no_delay(fd);
  std::array<char, message> bytes{};
  for (std::size_t i = 0; !stopping; ++i) {
    const Time before = real_now();
    if (::send(fd.get(), bytes.data(), message, MSG_NOSIGNAL) != static_cast<ssize_t>(message)) break;
    if (::recv(fd.get(), bytes.data(), message, MSG_WAITALL) != static_cast<ssize_t>(message)) break;
    if (i >= warm_up) took.push_back(static_cast<double>((real_now() - before).count()) / 1000);
  }
  return took;
}

std::vector<double> exchange(const Options& o, Kind kind) {
  World world{o.seed, true, true};
  auto& client = static_cast<KernelHost&>(world.add(
      Side::left,
      std::make_unique<KernelHost>(Ipv4Address{10, 0, 0, 1}, MacAddress{{2, 0, 0, 0, 1, 0}}, o.kernel)));
  const Ipv4Address server{10, 0, 0, 101};
  const MacAddress mac{{2, 0, 0, 0, 2, 0}};
  Fd listener;
  std::thread echoing;
  if (kind == Kind::handfast) {
    world.add(Side::right, std::make_unique<StackHost>(server, mac, o.seed, world.now(), o.stack)).echo(port);
  } else {
    auto& host =
        static_cast<KernelHost&>(world.add(Side::right, std::make_unique<KernelHost>(server, mac, o.kernel)));
    listener = host.socket();
    const sockaddr_in sa = to_socket_address(server);
    if (::bind(listener.get(), reinterpret_cast<const sockaddr*>(&sa), sizeof sa) != 0 ||
        ::listen(listener.get(), 1) != 0)
      throw std::runtime_error("the kernel's echo cannot listen");
    echoing = std::thread{[&] {
      take_place(false);
      echo(listener);
    }};
  }
  const Fd asking = client.socket();
  std::atomic<bool> stopping{false}, ended{false};
  std::vector<double> took;
  std::thread client_thread{[&] {
    take_place(false);
    took = ask(asking, server, stopping);
    ended = true;
  }};
  world.run_until([&] { return ended.load(); },
                  Duration{static_cast<Duration::rep>((o.seconds > 0 ? o.seconds : 5) * 1e9)});
  stopping = true;
  world.run_until([&] { return ended.load(); }, 2s);
  (void)::shutdown(asking.get(), SHUT_RDWR);
  world.run_for(50ms);  // the FIN reaches the echo
  client_thread.join();
  if (listener.get() >= 0) (void)::shutdown(listener.get(), SHUT_RDWR);
  if (echoing.joinable()) echoing.join();
  std::ranges::sort(took);
  return took;
}

double at(const std::vector<double>& sorted, double share) {
  return sorted.empty()
             ? 0
             : sorted[std::min(sorted.size() - 1,
                               static_cast<std::size_t>(share * static_cast<double>(sorted.size())))];
}

}  // namespace

void measure_latency(const Options& o) {
  std::printf(o.markdown ? "| echo | exchanges | p50 us | p99 us | p99.9 us |\n|---|---:|---:|---:|---:|\n"
                         : "echo      exchanges   p50 us   p99 us p99.9 us\n");
  std::FILE* json = o.json.empty() ? nullptr : std::fopen(o.json.c_str(), "w");
  if (!o.json.empty() && json == nullptr) throw std::runtime_error("cannot write " + o.json);
  const char* between = "[\n";
  for (const Kind kind : {Kind::handfast, Kind::kernel}) {
    std::vector<double> took;
    std::exception_ptr error;
    std::thread{[&] {  // whose place ends with it
      try {
        take_place(true);
        took = exchange(o, kind);
      } catch (...) {
        error = std::current_exception();
      }
    }}
        .join();
    if (error) std::rethrow_exception(error);
    const char* name = kind == Kind::handfast ? "Handfast" : "kernel";
    std::printf(o.markdown ? "| %s | %zu | %.1f | %.1f | %.1f |\n" : "%-9s %9zu %8.1f %8.1f %8.1f\n", name,
                took.size(), at(took, 0.5), at(took, 0.99), at(took, 0.999));
    if (json == nullptr) continue;
    std::fprintf(json, "%s {\"echo\": \"%s\", \"exchanges\": %zu, \"p50_us\": %.2f, \"p99_us\": %.2f, \"p999_us\": %.2f}",
                 between, name, took.size(), at(took, 0.5), at(took, 0.99), at(took, 0.999));
    between = ",\n";
  }
  if (json != nullptr) {
    std::fprintf(json, "\n]\n");
    std::fclose(json);
  }
}

}  // namespace handfast::paths
