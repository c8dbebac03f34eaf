// SPDX-License-Identifier: BSD-3-Clause
// Core::connections() and Core::stats() from another thread while the core works. Layer: tests of the shard.
// What makes it worth its name is a run under ThreadSanitizer.
#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include "support/peer.hpp"

namespace handfast::test {
namespace {

TEST(Listing, of_every_kind__names_tuple_and_state) {
  Trace t;
  t.listen();
  t.peer.open();
  auto half = t.another_peer(41000);
  half->syn().mss(1460);
  half->expect().syn_ack();
  auto waiting = t.another_peer(41001);
  waiting->open();
  t.with([](Conn& c) { c.close(); });
  waiting->finish_after_fin();
  const auto list = t.core().connections();
  ASSERT_EQ(list.size(), 3u);
  std::map<Port, State> by_port;
  for (const ConnInfo& c : list) {
    EXPECT_EQ(c.local, t.peer.stack);
    EXPECT_EQ(c.peer.address, Trace::peer_address);
    by_port[c.peer.port] = c.state;
  }
  EXPECT_EQ(by_port.at(40000), State::established);
  EXPECT_EQ(by_port.at(41000), State::syn_received);
  EXPECT_EQ(by_port.at(41001), State::time_wait);
}

TEST(Listing, from_another_thread__every_line_is_one_that_was_true) {
  Trace t;
  t.app.data = [](Conn& c, const RxView& in) {
    c.send_static("bye");
    c.close();
    return in.size();
  };
  t.listen();
  std::atomic<bool> stop{false};
  std::atomic<std::size_t> lines{0}, lists{0};
  Core& core = t.core();
  const auto read = [&] {
    while (!stop.load()) {
      for (const ConnInfo& c : core.connections()) {
        ++lines;
        if (c.local.port != 80 || c.local.address != Trace::stack_address ||
            c.peer.address != Trace::peer_address || c.peer.port < 20000 || c.peer.port >= 20400)
          ADD_FAILURE() << c.local.to_string() << ' ' << c.peer.to_string();
        if (c.state == State::listen) ADD_FAILURE() << "LISTEN is no state of a connection";
      }
      ++lists;
      std::this_thread::yield();
    }
  };
  std::thread reader{read};
  for (int round = 0; round < 2000 && (round < 300 || lists.load() < 50); ++round) {
    auto p = t.another_peer(static_cast<Port>(20000 + round % 400));
    p->iss += static_cast<std::uint32_t>(round / 400) * 1000000u;
    p->open();
    p->ack().data("hello");
    while (p->poll()) {
    }
    p->fin();
    while (p->poll()) {
    }
    t.advance(200ms);
    while (p->poll()) {
    }
  }
  while (lists.load() == 0) std::this_thread::yield();  // on a busy machine it has not had a turn yet
  stop = true;
  reader.join();
  EXPECT_GT(lists.load(), 0u);
}

}  // namespace
}  // namespace handfast::test
