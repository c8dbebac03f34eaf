// SPDX-License-Identifier: BSD-3-Clause
// bulk-bench: one connection that sends as fast as it goes, each end a full stack, over a ring pair in one
// process: both ends on one core, or one core each. Prints payload per second, by processor time too, and
// what a segment costs at each end. kernel_reference.py has the kernel's figures beside it. Layer: bench.
#include <array>
#include <atomic>
#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <thread>

#include "common/cpu_time.hpp"
#include "handfast/handfast.hpp"

namespace {

using namespace handfast;

constexpr Port port = 5001;
constexpr std::size_t chunk = 64 * 1024;
const std::array<std::byte, chunk> payload{};

struct Options {
  double seconds = 3;
  std::uint32_t buffer = 256 * 1024;
  bool copy = false;     ///< send() instead of send_static()
  bool offload = false;  ///< large segments, handed over whole by the ring
  bool one_core = true, two_cores = true;
  bool json = false;
};

struct Sink {
  std::uint64_t* bytes;
  std::size_t on_data(Conn&, const RxView& in) {
    *bytes += in.size();
    return in.size();
  }
};

struct Source {
  bool copy;
  void fill(Conn& c) const {
    // A whole chunk, or room that is left by a small buffer: no reference for every ACK.
    for (std::size_t room; (room = c.writable()) >= 16 * 1024;) {
      const auto piece = std::span{payload}.first(std::min(room, chunk));
      if ((copy ? c.send(piece) : c.send_static(piece)) == 0) return;
    }
  }
  void on_connect(Conn& c) { fill(c); }
  void on_sent(Conn& c, std::size_t) { fill(c); }
  void on_writable(Conn& c) { fill(c); }
};

StackConfig side(const Options& o, bool server) {
  StackConfig config;
  config.segmentation = o.offload;
  config.core.link.address = {Ipv4Address{10, 0, 0, static_cast<std::uint8_t>(server ? 1 : 2)}, 24};
  config.core.limits.connections = config.core.limits.half_open = config.core.limits.time_wait = 64;
  config.core.tcp.send_buffer = config.core.tcp.receive_buffer = o.buffer;
  return config;
}

[[noreturn]] void give_up(const Error& error) { std::exit(report(error)); }

class Bench {
 public:
  Bench(const Options& o, bool two_cores) : two_cores_(two_cores), json_(o.json) {
    auto pair = Stack::create_pair(side(o, true), side(o, false), !two_cores);
    if (!pair) give_up(pair.error());
    server_ = std::move(pair->first);
    client_ = std::move(pair->second);
    if (auto l = server_->core(0).listen({any, port}, Sink{&received_}); !l) give_up(l.error());
    auto source = client_->core(0).add_handler(Source{o.copy});
    if (!source) give_up(source.error());
    while (!client_->core(0).resolve(Ipv4Address{10, 0, 0, 1})) {
      server_->poll(0);
      client_->poll(0);
    }
    if (auto c = client_->core(0).connect({Ipv4Address{10, 0, 0, 1}, port}, *source); !c) give_up(c.error());
  }

  void run(const Options& o) {
    std::atomic<bool> stop{false}, counting{false};
    double server_cpu = 0;
    std::thread server;
    if (two_cores_)
      server = std::thread{[&] {
        double before = 0;
        for (bool counted = false; !stop.load(std::memory_order_relaxed);) {
          server_->poll(0);
          if (counted || !counting.load(std::memory_order_relaxed)) continue;
          counted = true;
          before = bench::thread_cpu_seconds();
        }
        server_cpu = bench::thread_cpu_seconds() - before;
        server_->core(0).abort_all();
      }};
    spin(0.3);
    counting = true;
    const double cpu_before = bench::thread_cpu_seconds();
    const CoreStats client_before = client_->stats(), server_before = server_->stats();
    client_time_ = server_time_ = {};
    const Time start = client_->now();
    spin(o.seconds);
    const double elapsed = std::chrono::duration<double>(client_->now() - start).count();
    const CoreStats client_after = client_->stats(), server_after = server_->stats();
    double cpu = bench::thread_cpu_seconds() - cpu_before;
    stop = true;
    if (server.joinable()) server.join();
    cpu += server_cpu;
    print(elapsed, cpu, client_before, client_after, server_before, server_after);
  }

 private:
  void spin(double seconds) {
    const Time end =
        client_->now() + std::chrono::duration_cast<Duration>(std::chrono::duration<double>(seconds));
    for (Time now = client_->now(); now < end;) {
      if (!two_cores_) server_->poll(0);
      const Time between = client_->now();
      client_->poll(0);
      const Time after = client_->now();
      server_time_ += between - now;
      client_time_ += after - between;
      now = after;
    }
  }

  void print(double elapsed, double cpu, const CoreStats& cb, const CoreStats& ca, const CoreStats& sb,
             const CoreStats& sa) const {
    // By what the stacks count on the wire: every segment that the server takes in is one of data.
    const double segments = static_cast<double>(sa.segments_in - sb.segments_in),
                 acks = static_cast<double>(sa.frames_out - sb.frames_out);
    const double bytes = static_cast<double>(sa.bytes_in - sb.bytes_in) - segments * headers;
    const double per_segment = cpu * 1e9 / segments, spent = static_cast<double>((client_time_ + server_time_).count()),
                 sender = two_cores_ ? 0 : per_segment * static_cast<double>(client_time_.count()) / spent,
                 receiver = two_cores_ ? 0 : per_segment * static_cast<double>(server_time_.count()) / spent;
    std::printf(json_ ? "{\"bench\": \"bulk\", \"cores\": %d, \"gbit\": %.3f, \"gbyte_cpu\": %.4f, \"ns\": %.2f, "
                        "\"client_ns\": %.2f, \"server_ns\": %.2f, \"segments_by_ack\": %.2f, \"retransmits\": %" PRIu64 "}\n"
                      : "%5d %9.2f %13.3f %10.1f %10.1f %11.1f %9.2f %10" PRIu64 "\n",
                two_cores_ ? 2 : 1, bytes * 8 / elapsed / 1e9, bytes / cpu / 1e9, per_segment, sender, receiver,
                segments / acks, ca.retransmits - cb.retransmits);
    std::fflush(stdout);
  }

  static constexpr double headers = 14 + 20 + 32;  // Ethernet, IPv4, TCP with timestamps
  bool two_cores_, json_;
  std::unique_ptr<Stack> server_, client_;
  std::uint64_t received_ = 0;
  Duration client_time_{}, server_time_{};
};

int usage(int code) {
  std::fputs(
      "usage: bulk-bench [--seconds 3] [--buffer 262144] [--copy] [--cores 1|2] [--segmentation-offload] [--json]\n",
      code == 0 ? stdout : stderr);
  return code;
}

}  // namespace

int main(int argc, char** argv) {
  Options o;
  for (int i = 1; i < argc; ++i) {
    const std::string_view word = argv[i];
    const char* value = i + 1 < argc ? argv[i + 1] : nullptr;
    if (word == "--help") return usage(0);
    if (word == "--copy") {
      o.copy = true;
    } else if (word == "--json") {
      o.json = true;
    } else if (word == "--segmentation-offload") {
      o.offload = true;
    } else if (value == nullptr) {
      return usage(2);
    } else if (word == "--seconds") {
      o.seconds = std::atof(argv[++i]);
    } else if (word == "--buffer") {
      o.buffer = static_cast<std::uint32_t>(std::atoi(argv[++i]));
    } else if (word == "--cores") {
      o.one_core = *value == '1';
      o.two_cores = *value == '2';
      ++i;
    } else {
      return usage(2);
    }
  }
  if (!o.json)
    std::printf("%5s %9s %13s %10s %10s %11s %9s %10s\n", "cores", "Gbit/s", "Gbyte/cpu s", "ns/segment",
                "ns sender", "ns receiver", "seg/ACK", "sent again");
  if (o.one_core) Bench{o, false}.run(o);
  if (o.two_cores && std::thread::hardware_concurrency() >= 2) Bench{o, true}.run(o);
  return 0;
}
