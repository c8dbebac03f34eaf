// SPDX-License-Identifier: BSD-3-Clause
// A Handfast stack as one end of a path; see stack_host.hpp. Layer: bench.
#include "stack_host.hpp"

#include <algorithm>
#include <array>
#include <stdexcept>

namespace handfast::paths {
namespace {

constexpr std::size_t chunk = 64 * 1024;
const std::array<std::byte, chunk> zeros{};

struct Sink {
  Received* received;
  void on_accept(Conn&) { received->open = true; }
  std::size_t on_data(Conn&, const RxView& in) {
    received->bytes += in.size();
    return in.size();
  }
};

struct Echo {
  std::size_t on_data(Conn& c, const RxView& in) { return c.send(in.bytes()); }
};

struct Source {
  static void fill(Conn& c) {
    // In whole chunks: a reference for every ACK would be many small ones.
    while (c.writable() >= chunk && c.send_static(zeros) == chunk) {
    }
  }
  void on_connect(Conn& c) { fill(c); }
  void on_sent(Conn& c, std::size_t) { fill(c); }
  void on_writable(Conn& c) { fill(c); }
};

template <class T>
T must(Expected<T> value) {
  if (!value) throw std::runtime_error(value.error().what + "; " + value.error().remedy);
  return std::move(*value);
}

/// Those that the enumeration has, so that a new one is measured without a change here.
template <class C>
std::vector<CongestionName> list() {
  std::vector<CongestionName> all{{"new_reno", C::new_reno}};
  if constexpr (requires { C::cubic; }) all.push_back({"cubic", C::cubic});
  if constexpr (requires { C::dctcp; }) all.push_back({"dctcp", C::dctcp});
  if constexpr (requires { C::bbr; }) all.push_back({"bbr", C::bbr});
  return all;
}

}  // namespace

const std::vector<CongestionName>& congestion_controls() {
  static const std::vector<CongestionName> all = list<CongestionControl>();
  return all;
}

StackHost::StackHost(Ipv4Address address, MacAddress mac, std::uint64_t seed, Time start,
                     const StackOptions& options)
    : Host(address, mac) {
  CoreConfig config;
  config.link.address = {address, 24};
  config.link.mac = mac;
  config.seed = seed;
  config.tcp.congestion_control = options.congestion;
  config.tcp.send_buffer = config.tcp.receive_buffer = options.buffer;
  config.tcp.ecn = options.ecn;
  config.limits.connections = config.limits.half_open = config.limits.time_wait = 64;
  config.limits.recovery_blocks = 64;
  stack_ = must(FrameStack::create(
      config, start,
      [](void* self, std::span<const std::byte> frame) { static_cast<StackHost*>(self)->out(frame); }, this));
}

void StackHost::sink(Port port, Received& received) {
  must(stack_->core().listen({any, port}, Sink{&received}));
}
void StackHost::echo(Port port) { must(stack_->core().listen({any, port}, Echo{})); }
void StackHost::source(Endpoint to) {
  Core& core = stack_->core();
  must(core.connect(to, must(core.add_handler(Source{}))));
}

}  // namespace handfast::paths
