// SPDX-License-Identifier: BSD-3-Clause
// latency-bench: how long a request waits for its response at a server that has little to do, or half of what it can:
// from the moment at which the request is due to that at which the response stands in the ring. Requests are due whether
// or not earlier ones were answered, and none is left out: one that the sender could not send in time has waited, too.
// Layer: bench.
#include <atomic>
#include <cinttypes>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string_view>
#include <thread>
#include <vector>

#include <pthread.h>
#include <sched.h>

#include "base/rng.hpp"
#include "common/histogram.hpp"
#include "handfast/handfast.hpp"

namespace {

using namespace handfast;

constexpr Ipv4Address server_address{10, 0, 0, 1};
constexpr Port port = 7;
constexpr std::uint32_t connections = 64;
constexpr std::size_t message_bytes = 64;
constexpr double idle_rate = 1000;
/// Unanswered at a time; what is due beyond waits at the sender.
constexpr std::uint64_t most_unanswered = 4096;

/// What a request carries: when it was due, by the clock of the client's stack.
struct Message {
  std::int64_t due_ns = 0;
  std::array<std::byte, message_bytes - sizeof(std::int64_t)> rest{};
};
static_assert(sizeof(Message) == message_bytes);

struct Answerer {
  std::vector<std::int64_t>* asked;  // of this poll
  std::size_t on_data(Conn& c, const RxView& in) {
    std::size_t used = 0;
    for (; in.size() - used >= message_bytes; used += message_bytes) {
      std::int64_t due = 0;
      std::memcpy(&due, in.data() + used, sizeof due);
      asked->push_back(due);
      c.send(in.bytes().subspan(used, message_bytes));
    }
    return used;
  }
};

struct Asker {
  std::uint64_t* answered;
  std::vector<ConnId>* open;
  void on_connect(Conn& c) {
    c.set_nodelay(true);
    open->push_back(c.id());
  }
  std::size_t on_data(Conn&, const RxView& in) {
    *answered += in.size() / message_bytes;  // whole ones: each is a segment of its own or is left for later
    return in.size() / message_bytes * message_bytes;
  }
};

template <class T>
T or_exit(Expected<T> value) {
  if (!value) std::exit(report(value.error()));
  return std::move(*value);
}

StackConfig side(bool server) {
  StackConfig config;
  config.core.link.address = {server ? server_address : Ipv4Address{10, 0, 0, 2}, 24};
  config.core.tcp.nagle = false;
  return config;
}

/// DPDK holds the thread that started it on one processor, and those that it makes inherit that: two ends that poll would take
/// turns of milliseconds.
void leave_processor() {
  const int here = sched_getcpu();
  cpu_set_t others;
  CPU_ZERO(&others);
  for (int i = 0; i < static_cast<int>(std::thread::hardware_concurrency()); ++i)
    if (i != here) CPU_SET(i, &others);
  if (pthread_setaffinity_np(pthread_self(), sizeof others, &others) != 0) std::perror("latency-bench: no processor for the server");
}

class Bench {
 public:
  explicit Bench(bool two_cores) : two_cores_(two_cores) {
    auto pair = or_exit(Stack::create_pair(side(true), side(false), !two_cores));
    server_ = std::move(pair.first);
    client_ = std::move(pair.second);
    asked_.reserve(connections * 64);
    (void)or_exit(server_->core(0).listen({any, port}, Answerer{&asked_}));
    const HandlerRef asker = or_exit(client_->core(0).add_handler(Asker{&answered_, &open_}));
    if (two_cores)
      thread_ = std::thread{[this] {
        leave_processor();
        last_server_ = client_->now();
        while (!stop_.load(std::memory_order_relaxed)) serve();
      }};
    while (!client_->core(0).resolve(server_address)) round();
    for (std::uint32_t i = 0; i < connections; ++i) (void)or_exit(client_->core(0).connect({server_address, port}, asker));
    while (open_.size() < connections) round();
  }
  ~Bench() {
    stop_ = true;
    if (thread_.joinable()) thread_.join();
  }
  Bench(const Bench&) = delete;
  Bench& operator=(const Bench&) = delete;

  /// Requests per second when the next one always waits.
  double most(double seconds) {
    const std::uint64_t before = answered_;
    const Time start = client_->now(), end = start + to_duration(seconds);
    while (client_->now() < end) {
      while (asked_for_ - answered_ < connections && ask(start)) {
      }
      round();
    }
    return static_cast<double>(answered_ - before) / std::chrono::duration<double>(client_->now() - start).count();
  }

  void run(const char* what, double rate, double seconds, bool json) {
    while (answered_ < asked_for_) round();
    counting_ = true;
    const Time start = client_->now(), end = start + to_duration(seconds), given_up = end + to_duration(seconds);
    Time due = start, now = start;
    Duration sent_late{};
    const std::uint64_t before = answered_;
    while ((now < end || due < end) && now < given_up) {
      for (; due <= now && due < end && asked_for_ - answered_ < most_unanswered && ask(due); due += interval(rate))
        sent_late = std::max(sent_late, now - due);
      round();
      now = client_->now();
    }
    while (answered_ < asked_for_) round();
    const double took = std::chrono::duration<double>(std::max(end, client_->now()) - start).count();
    counting_ = false;
    while (counted_.load() != counting_.load()) round();
    print(what, static_cast<double>(answered_ - before) / took, sent_late, json);
    if (due < end) std::fprintf(stderr, "latency-bench: %s: the sender fell behind for good: too much for this machine now.\n", what);
    latencies_.reset();
    longest_gap_ = {};
  }

 private:
  static Duration to_duration(double seconds) { return std::chrono::duration_cast<Duration>(std::chrono::duration<double>(seconds)); }
  /// Arrivals that know nothing of each other.
  Duration interval(double rate) {
    const double uniform = (static_cast<double>(rng_.next() >> 11) + 1) / 9007199254740993.0;
    return to_duration(-std::log(uniform) / rate);
  }

  /// False: the connection whose turn it is has no room.
  bool ask(Time due) {
    Message message;
    message.due_ns = due.time_since_epoch().count();
    const auto conn = client_->core(0).find(open_[next_ % open_.size()]);
    if (!conn) {
      std::fputs("latency-bench: a connection was lost\n", stderr);
      std::exit(1);
    }
    Conn c = *conn;
    if (c.writable() < message_bytes) return false;
    c.send(std::as_bytes(std::span{&message, 1}));
    ++next_;
    ++asked_for_;
    return true;
  }
  void round() {
    if (!two_cores_) serve();
    client_->poll(0);
  }
  /// One poll of the server, what it answered, and how long ago the last poll was.
  void serve() {
    server_->poll(0);
    const Time now = client_->now();
    const bool counting = counting_.load(std::memory_order_relaxed);
    if (counting) longest_gap_ = std::max(longest_gap_, now - last_server_);
    last_server_ = now;
    for (const std::int64_t due : asked_)
      if (counting) latencies_.record(now.time_since_epoch() - Duration{due});
    asked_.clear();
    counted_.store(counting);
  }

  void print(const char* what, double rate, Duration sent_late, bool json) const {
    const auto us = [](Duration d) { return std::chrono::duration<double, std::micro>(d).count(); };
    std::printf(json ? "{\"bench\": \"latency\", \"load\": \"%s\", \"cores\": %d, \"rate\": %.0f, \"requests\": %" PRIu64
                       ", \"p50_us\": %.2f, \"p99_us\": %.2f, \"p999_us\": %.2f, \"most_us\": %.2f, \"sent_late_us\": %.2f, \"gap_us\": %.2f}\n"
                     : "%-5s %5d %10.0f %10" PRIu64 " %9.2f %9.2f %9.2f %10.2f %12.2f %12.2f\n",
                what, two_cores_ ? 2 : 1, rate, latencies_.count(), us(latencies_.percentile(50)), us(latencies_.percentile(99)),
                us(latencies_.percentile(99.9)), us(latencies_.max()), us(sent_late), us(longest_gap_));
    std::fflush(stdout);
  }

  bool two_cores_;
  std::unique_ptr<Stack> server_, client_;
  std::vector<ConnId> open_;
  std::uint64_t asked_for_ = 0, answered_ = 0;
  std::size_t next_ = 0;
  Rng rng_{1};
  std::atomic<bool> stop_{false}, counting_{false}, counted_{false};
  // The server's thread's own; read by the other when it has stopped counting.
  std::vector<std::int64_t> asked_;
  apps::LatencyHistogram latencies_;
  Time last_server_{};
  Duration longest_gap_{};
  std::thread thread_;
};

int usage(int code) {
  std::fputs("usage: latency-bench [--seconds 5 | --minutes M] [--cores 1|2] [--json]\n", code == 0 ? stdout : stderr);
  return code;
}

}  // namespace

int main(int argc, char** argv) {
  double seconds = 5;
  bool two_cores = std::thread::hardware_concurrency() >= 2, json = false;
  for (int i = 1; i < argc; ++i) {
    const std::string_view word = argv[i];
    if (word == "--help") return usage(0);
    if (word == "--json") {
      json = true;
    } else if ((word == "--seconds" || word == "--minutes") && i + 1 < argc) {
      seconds = std::atof(argv[++i]) * (word == "--minutes" ? 60 : 1);
    } else if (word == "--cores" && i + 1 < argc) {
      two_cores = std::string_view{argv[++i]} == "2";
    } else {
      return usage(2);
    }
  }
  if (seconds <= 0) return usage(2);
  if (!json)
    std::printf("%-5s %5s %10s %10s %9s %9s %9s %10s %12s %12s\n", "load", "cores", "requests/s", "requests", "p50 us", "p99 us", "p99.9 us",
                "most us", "sent late us", "poll gap us");
  Bench bench{two_cores};
  bench.run("idle", idle_rate, seconds, json);
  const double most = bench.most(1);
  if (!json) std::printf("with %" PRIu32 " always under way: %.0f a second\n", connections, most);
  bench.run("half", most / 2, seconds, json);
  return 0;
}
