// SPDX-License-Identifier: BSD-3-Clause
// operator new is replaced: once a shard has started, connections come and go without one allocation.
// Layer: tests of the shard; a program of its own for the sake of the replacement.
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <new>

#include "test_port.hpp"

namespace {
std::atomic<bool> counting{false};
std::atomic<std::size_t> allocations{0};

void* allocate(std::size_t n, std::size_t alignment) {
  if (counting) ++allocations;
  void* p = alignment <= alignof(std::max_align_t)
                ? std::malloc(n)
                : std::aligned_alloc(alignment, (n + alignment - 1) / alignment * alignment);
  if (p == nullptr) throw std::bad_alloc{};
  return p;
}

// Not inlined: the compiler would see free() of what operator new returned, and warn.
[[gnu::noinline]] void give_back(void* p) { std::free(p); }
}  // namespace

void* operator new(std::size_t n) { return allocate(n, 1); }
void* operator new[](std::size_t n) { return allocate(n, 1); }
void* operator new(std::size_t n, std::align_val_t a) { return allocate(n, static_cast<std::size_t>(a)); }
void* operator new[](std::size_t n, std::align_val_t a) { return allocate(n, static_cast<std::size_t>(a)); }
void operator delete(void* p) noexcept { give_back(p); }
void operator delete[](void* p) noexcept { give_back(p); }
void operator delete(void* p, std::size_t) noexcept { give_back(p); }
void operator delete[](void* p, std::size_t) noexcept { give_back(p); }
void operator delete(void* p, std::align_val_t) noexcept { give_back(p); }
void operator delete[](void* p, std::align_val_t) noexcept { give_back(p); }
void operator delete(void* p, std::size_t, std::align_val_t) noexcept { give_back(p); }
void operator delete[](void* p, std::size_t, std::align_val_t) noexcept { give_back(p); }

namespace handfast::test {
namespace {

struct Server {
  std::size_t on_data(Conn& c, const RxView& in) {
    if (in.size() < 5) return 0;  // some of it waits in the shard's own memory
    c.send(in.text());
    if (in.size() % 3 == 0) c.close();
    return in.size();
  }
  void on_peer_fin(Conn& c) { c.close(); }
};

struct Client {
  std::size_t finished = 0, aborted = 0;
  std::uint32_t turn = 0;
  void on_connect(Conn& c) {
    static constexpr std::string_view text = "abcdefghijklmnopqrstuvwxyz";
    const std::uint32_t n = turn++;
    c.send(text.substr(0, 2));
    c.set_nodelay(true);
    c.send_static(text.substr(0, 4 + n % 20));
    c.arm(2ms);
    if (n % 7 == 0) c.pause_rx();
  }
  std::size_t on_data(Conn& c, const RxView& in) {
    c.shutdown_write();
    return in.size();
  }
  void on_timer(Conn& c) {
    c.resume_rx();
    if (turn % 11 == 0)
      c.abort();
    else
      c.shutdown_write();
  }
  void on_closed(ConnId, CloseReason why) { ++(why == CloseReason::finished ? finished : aborted); }
};

/// Two shards, each on a port of its own, joined: what one sends the other receives.
struct Ends {
  TestPort* other[2] = {};
  struct Side {
    Ends* ends;
    int index;
  } sides[2] = {{this, 0}, {this, 1}};
  std::uint32_t n = 0;
  static void out(void* side, std::span<const std::byte> frame) {
    const auto& s = *static_cast<Side*>(side);
    if (++s.ends->n % 50 == 49) return;  // lost
    s.ends->other[s.index]->deliver(0, frame);
  }
};

CoreConfig config_of(std::uint8_t last) {
  CoreConfig config;
  config.link.address = {Ipv4Address{10, 0, 0, last}, 24};
  config.link.mac = MacAddress{{2, 0, 0, 0, 0, last}};
  config.limits.connections = 512;
  config.limits.half_open = 256;
  config.limits.time_wait = 512;
  config.limits.buffer_memory = 4 << 20;
  config.tcp.msl = 5ms;
  config.seed = last;
  return config;
}

TEST(NoAllocation, connections_come_and_go_with_losses__not_one) {
  Ends ends;
  TestPort a{1, 4096, Ends::out, &ends.sides[0]}, b{1, 4096, Ends::out, &ends.sides[1]};
  ends.other[0] = &b;
  ends.other[1] = &a;
  Time now{5000s};
  Server server;
  Client client;
  TestShard x{config_of(1), now, a, 0, nullptr}, y{config_of(2), now, b, 0, nullptr};
  ASSERT_TRUE(y.shard.core().listen_with({any, 80}, *y.shard.core().add_handler_ref(server)));
  const HandlerRef ref = *x.shard.core().add_handler_ref(client);
  counting = true;
  std::size_t opened = 0;
  for (int i = 0; i < 40000; ++i) {
    if (i < 20000 && i % 4 == 0 && x.shard.core().connect({{10, 0, 0, 2}, 80}, ref)) ++opened;
    now += 100us;
    x.loop.poll(now);
    y.loop.poll(now);
  }
  counting = false;
  EXPECT_EQ(allocations.load(), 0u);
  EXPECT_GT(opened, 1000u);
  EXPECT_GT(client.finished, 500u);
  EXPECT_GT(client.aborted, 0u);
  x.loop.stop();
  y.loop.stop();
  EXPECT_EQ(a.in_use(), 0u);
  EXPECT_EQ(b.in_use(), 0u);
}

}  // namespace
}  // namespace handfast::test
