// SPDX-License-Identifier: BSD-3-Clause
// instructions-bench N: N short connections, one after the other's first packets, between two stacks on ports of two
// functions, in virtual time and from one seed: what a connection's life takes in instructions is the same each time.
// Made to run under valgrind --tool=callgrind --toggle-collect=measured_lives. Layer: bench.
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string_view>

#include "handfast/frame_port.hpp"

using namespace handfast;

namespace {

constexpr std::string_view request = "GET / HTTP/1.1\r\nHost: 10.0.0.1\r\nConnection: close\r\n\r\n";
constexpr std::string_view response = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello";
constexpr Ipv4Address server_address{10, 0, 0, 1};
constexpr std::uint32_t window = 64;

struct Server {
  std::size_t on_data(Conn& c, const RxView& in) {
    c.send_static(response);
    c.close();
    return in.size();
  }
};
struct Client {
  std::uint32_t* open;
  std::uint64_t* finished;
  void on_connect(Conn& c) { c.send_static(request); }
  void on_peer_fin(Conn& c) { c.close(); }
  void on_closed(ConnId, CloseReason reason) {
    --*open;
    *finished += reason == CloseReason::finished ? 1 : 0;
  }
};

struct World {
  std::unique_ptr<FrameStack> client, server;
  HandlerRef handler;
  Time now{1s};
  std::uint32_t open = 0;
  std::uint64_t finished = 0;

  static CoreConfig side(bool server) {
    CoreConfig config;
    config.link.address = {server ? server_address : Ipv4Address{10, 0, 0, 2}, 24};
    config.link.mac.bytes[5] = server ? 1 : 2;
    config.limits.connections = config.limits.half_open = 1024;
    config.limits.time_wait = 4096;
    config.seed = server ? 1 : 2;
    return config;
  }
  static std::unique_ptr<FrameStack> stack(bool server, Time now, FrameStack::Out out, void* ctx) {
    auto made = FrameStack::create(side(server), now, out, ctx);
    if (!made) std::exit(3);
    return std::move(*made);
  }
  World() {
    client = stack(false, now, [](void* w, auto frame) { (void)static_cast<World*>(w)->server->receive(frame); }, this);
    server = stack(true, now, [](void* w, auto frame) { (void)static_cast<World*>(w)->client->receive(frame); }, this);
    if (!server->core().listen({any, 80}, Server{}, {.backlog = 1024})) std::exit(3);
    const auto added = client->core().add_handler(Client{&open, &finished});
    if (!added) std::exit(3);
    handler = *added;
    while (!client->core().resolve(server_address)) round();
  }
  void round() {
    server->poll(now);
    client->poll(now);
    now += 10us;
  }
};

}  // namespace

/// Named for valgrind, which counts inside of it.
extern "C" [[gnu::noinline]] void measured_lives(World& world, std::uint64_t n) {
  std::uint64_t opened = 0;
  const std::uint64_t until = world.finished + n;
  while (world.finished < until) {
    for (; world.open < window && opened < n; ++opened, ++world.open)
      if (!world.client->core().connect({server_address, 80}, world.handler)) std::exit(1);
    world.round();
  }
}

int main(int argc, char** argv) {
  const long n = argc == 2 ? std::atol(argv[1]) : 0;
  if (n <= 0) {
    std::fputs("usage: instructions-bench CONNECTIONS\n", stderr);
    return 2;
  }
  World world;
  // Tables, free lists and TIME-WAIT as they are after a while; this is counted as well, and is the same at any N.
  measured_lives(world, static_cast<std::uint64_t>(n));
  std::printf("%llu connections\n", static_cast<unsigned long long>(world.finished));
  return 0;
}
