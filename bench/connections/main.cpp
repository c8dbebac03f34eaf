// SPDX-License-Identifier: BSD-3-Clause
// Whole connections: a client and a server, each a full stack, over a ring pair: the short HTTP exchange in six packets,
// opened and closed as fast as it goes, beside connections that stay; both ends on one core, or one core each. Prints
// connections per second, and nanoseconds a connection at each end.
#include <atomic>
#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <thread>

#include "handfast/handfast.hpp"

namespace {

using namespace handfast;

constexpr std::string_view request = "GET / HTTP/1.1\r\nHost: 10.0.0.1\r\nConnection: close\r\n\r\n";
constexpr std::string_view response = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello";
constexpr Port short_port = 80, idle_port = 81;

struct Server {
  std::size_t on_data(Conn& c, const RxView& in) {
    c.send_static(response);
    c.close();
    return in.size();
  }
};

struct Sitter {  // an end of a connection that stays
  void on_peer_fin(Conn& c) { c.close(); }
};

struct Counts {
  std::uint64_t done = 0, failed = 0, open = 0, sitting = 0;
};

/// Closed loop: each connection that ends is followed by the next.
struct Client {
  Core* core;
  Counts* counts;
  HandlerRef* self;
  const bool* stopping;

  void start() {
    if (core->connect({Ipv4Address{10, 0, 0, 1}, short_port}, *self))
      ++counts->open;
    else
      ++counts->failed;
  }
  void on_connect(Conn& c) { c.send_static(request); }
  void on_peer_fin(Conn& c) { c.close(); }
  void on_closed(ConnId, CloseReason reason) {
    --counts->open;
    ++(reason == CloseReason::finished ? counts->done : counts->failed);
    if (!*stopping) start();
  }
};

struct IdleClient {
  Counts* counts;
  void on_connect(Conn&) { ++counts->sitting; }
  void on_closed(ConnId, CloseReason) { --counts->sitting; }
};

struct Case {
  std::uint32_t concurrent;
  bool two_cores;
};

StackConfig side(bool server, std::uint32_t concurrent) {
  StackConfig config;
  config.core.link.address = {server ? Ipv4Address{10, 0, 0, 1} : Ipv4Address{10, 0, 1, 0}, 16};
  config.core.link.address_count = server ? 1 : 64;
  config.core.limits.connections = concurrent + 65536;
  config.core.limits.half_open = 65536;
  config.core.limits.time_wait = 1u << 20;
  config.core.limits.somaxconn = 65536;
  return config;
}

struct Result {
  double rate = 0, client_ns = 0, server_ns = 0;
  std::uint64_t failed = 0, retransmits = 0, cut_short = 0;
  double packets = 0;
};

class Bench {
 public:
  explicit Bench(Case which) : case_(which) {}

  Result run(double seconds) {
    auto pair = Stack::create_pair(side(true, case_.concurrent), side(false, case_.concurrent), !case_.two_cores);
    if (!pair) std::exit(report(pair.error()));
    server_ = std::move(pair->first);
    client_ = std::move(pair->second);
    Core& s = server_->core(0);
    Core& c = client_->core(0);
    const ListenOptions wide{.backlog = 65536};
    if (auto l = s.listen({any, short_port}, Server{}, wide); !l) std::exit(report(l.error()));
    if (auto l = s.listen({any, idle_port}, Sitter{}, wide); !l) std::exit(report(l.error()));
    self_ = *c.add_handler(Client{&c, &counts_, &self_, &stopping_});
    idle_ = *c.add_handler(IdleClient{&counts_});
    if (case_.two_cores)
      server_thread_ = std::thread{[this] {
        while (!server_stop_.load(std::memory_order_relaxed)) server_->poll(0);
      }};
    resolve();
    const std::uint32_t window = std::min(case_.concurrent, max_window);
    sit(case_.concurrent - window);
    for (std::uint32_t i = 0; i < window; ++i) Client{&c, &counts_, &self_, &stopping_}.start();
    spin(seconds / 4);
    Result result = measure(seconds);
    stopping_ = true;
    spin(0.2);
    server_stop_ = true;
    if (server_thread_.joinable()) server_thread_.join();
    return result;
  }

 private:
  static constexpr std::uint32_t max_window = 256;

  void both() {
    const Time t0 = client_->now();
    if (!case_.two_cores) server_->poll(0);
    const Time t1 = client_->now();
    client_->poll(0);
    const Time t2 = client_->now();
    server_time_ += t1 - t0;
    client_time_ += t2 - t1;
  }
  void spin(double seconds) {
    const Time end = client_->now() + std::chrono::duration_cast<Duration>(std::chrono::duration<double>(seconds));
    while (client_->now() < end) both();
  }
  void resolve() {
    while (!client_->core(0).resolve(Ipv4Address{10, 0, 0, 1})) both();
  }
  void sit(std::uint32_t n) {
    std::uint64_t opened = 0;
    while (counts_.sitting < n) {
      // As many at a time as the port's buffers can answer.
      for (int i = 0; i < 64 && opened < n && opened - counts_.sitting < 1024; ++i, ++opened)
        if (!client_->core(0).connect({Ipv4Address{10, 0, 0, 1}, idle_port}, idle_)) std::exit(1);
      both();
    }
  }
  Result measure(double seconds) {
    const CoreStats before_client = client_->stats(), before_server = server_->stats();
    const Counts before = counts_;
    client_time_ = server_time_ = {};
    const Time start = client_->now();
    spin(seconds);
    const double elapsed = std::chrono::duration<double>(client_->now() - start).count();
    // The counters that other threads see are up to 10 ms old, here as at the start.
    const CoreStats after_client = client_->stats(), after_server = server_->stats();
    const double done = static_cast<double>(counts_.done - before.done);
    Result r;
    r.rate = done / elapsed;
    r.client_ns = static_cast<double>(client_time_.count()) / done;
    // On a core of its own each end is always busy: its time is the whole.
    r.server_ns = case_.two_cores ? r.client_ns : static_cast<double>(server_time_.count()) / done;
    r.failed = counts_.failed - before.failed;
    r.retransmits = after_client.retransmits - before_client.retransmits + after_server.retransmits - before_server.retransmits;
    r.cut_short = after_server.time_wait_cut_short - before_server.time_wait_cut_short;
    r.packets = static_cast<double>(after_client.frames_out - before_client.frames_out + after_server.frames_out - before_server.frames_out) / done;
    return r;
  }

  Case case_;
  std::unique_ptr<Stack> server_, client_;
  Counts counts_;
  HandlerRef self_, idle_;
  bool stopping_ = false;
  Duration client_time_{}, server_time_{};
  std::atomic<bool> server_stop_{false};
  std::thread server_thread_;
};

}  // namespace

int main(int argc, char** argv) {
  const double seconds = argc > 1 ? std::atof(argv[1]) : 2;
  std::vector<std::uint32_t> sizes{1, 1000, 100000, 1000000};
  if (argc > 2) sizes = {static_cast<std::uint32_t>(std::atoi(argv[2]))};
  std::printf("%5s %10s %12s %8s %9s %9s %7s %6s %11s %11s\n", "cores", "open", "conn/s", "ns", "client ns", "server ns", "packets",
              "failed", "sent again", "2MSL cut");
  for (const bool two_cores : {false, true}) {
    if (two_cores && std::thread::hardware_concurrency() < 2) break;
    for (const std::uint32_t n : sizes) {
      const Result r = Bench{{n, two_cores}}.run(seconds);
      std::printf("%5d %10" PRIu32 " %12.0f %8.1f %9.1f %9.1f %7.2f %6" PRIu64 " %11" PRIu64 " %11" PRIu64 "\n", two_cores ? 2 : 1, n, r.rate,
                  1e9 / r.rate, r.client_ns, r.server_ns, r.packets, r.failed, r.retransmits, r.cut_short);
      std::fflush(stdout);
    }
  }
  return 0;
}
