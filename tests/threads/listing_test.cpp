// SPDX-License-Identifier: BSD-3-Clause
// A listing from another thread while connections move between the table's kinds of slots: half-open,
// connection, TIME-WAIT. Layer: test of threads; to be run under ThreadSanitizer as well.
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <thread>

#include "support/peer.hpp"

namespace handfast::test {
namespace {

/// Connections of one peer, one port each. `alive` goes from 0 to 1 before the SYN has been answered and
/// never back.
struct Ports {
  static constexpr Port first = 20000;
  static constexpr std::size_t count = 400;
  std::array<std::atomic<bool>, count> alive{};
};

// rfc9293 3.10.6: STATUS is of a connection that exists; one that only moves to TIME-WAIT exists.
TEST(ListingThreads, connection_that_moves__is_in_every_listing_once) {
  CoreConfig config = small_config();
  config.limits.connections = 8;  // their slots serve the next connection at once
  config.limits.half_open = 8;
  config.limits.time_wait = 1024;
  config.tcp.msl = 120s;
  Trace t{config};
  t.app.data = [](Conn& c, const RxView& in) {
    c.send_static("bye");
    c.close();
    return in.size();
  };
  t.listen();
  Core& core = t.core();
  Ports ports;
  std::atomic<bool> stop{false};
  std::atomic<std::uint64_t> lists{0}, missed{0}, twice{0}, strange{0};
  std::thread reader{[&] {
    while (!stop.load(std::memory_order_relaxed)) {
      std::array<bool, Ports::count> before{};
      for (std::size_t i = 0; i < Ports::count; ++i)
        before[i] = ports.alive[i].load(std::memory_order_acquire);
      std::array<int, Ports::count> seen{};
      for (const ConnInfo& line : core.connections()) {
        const std::size_t i = std::size_t{line.peer.port} - Ports::first;
        if (i >= Ports::count || line.peer.address != Trace::peer_address || line.local.port != 80 ||
            line.local.address != Trace::stack_address || line.state == State::listen)
          ++strange;
        else
          ++seen[i];
      }
      for (std::size_t i = 0; i < Ports::count; ++i) {
        missed += before[i] && seen[i] == 0;
        twice += seen[i] > 1;
      }
      ++lists;
    }
  }};
  for (std::size_t i = 0; i < Ports::count; ++i) {
    auto p = t.another_peer(static_cast<Port>(Ports::first + i));
    p->syn().mss(1460);
    ports.alive[i].store(true, std::memory_order_release);
    p->expect().syn_ack();
    p->ack();
    p->ack().data("hello");
    while (p->poll()) {
    }
    p->fin();
    while (p->poll()) {
    }
    if (i % 8 == 0) std::this_thread::yield();
  }
  while (lists.load() < 2) std::this_thread::yield();  // on a busy machine it has not had its turn
  stop = true;
  reader.join();
  EXPECT_EQ(core.stats().time_wait, Ports::count);
  EXPECT_EQ(missed, 0u) << "of " << lists << " listings";
  EXPECT_EQ(twice, 0u);
  EXPECT_EQ(strange, 0u);
}

}  // namespace
}  // namespace handfast::test
