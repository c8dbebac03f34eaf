// SPDX-License-Identifier: BSD-3-Clause
// What gives way as the memory of a shard fills, in the order that docs/security-limits.md states: the pressure rises step
// by step, and at each what comes later in that order has not happened yet. Layer: tests of overload, in virtual time.
#include <gtest/gtest.h>

#include <array>
#include <vector>

#include "endurance/traffic.hpp"
#include "shard/shard.hpp"
#include "support/pair.hpp"
#include "support/usage.hpp"
#include "tcp/calls.hpp"
#include "tcp/receive_window.hpp"

namespace handfast::test {
namespace {

/// Keeps what it gets unread, or sends without end: by port.
struct Holder {
  std::vector<ConnId> all;
  std::uint64_t ended = 0;
  void on_accept(Conn& c) {
    c.pause_rx();
    all.push_back(c.id());
  }
  void on_closed(ConnId, CloseReason) { ++ended; }
};
struct Talker {
  std::uint64_t shed = 0, other = 0;
  void pump(Conn& c) {
    static const std::string text(65536, 't');
    while (c.send(text) == text.size()) {
    }
  }
  void on_accept(Conn& c) { pump(c); }
  void on_writable(Conn& c) { pump(c); }
  void on_closed(ConnId, CloseReason why) { ++(why == CloseReason::no_memory ? shed : other); }
};
struct Sink {
  ConnId last;
  void on_accept(Conn& c) { last = c.id(); }
  std::size_t on_data(Conn&, const RxView& in) { return in.size(); }
};
struct Silent {
  std::vector<ConnId> all;
  void on_connect(Conn& c) {
    c.pause_rx();
    all.push_back(c.id());
  }
};
/// Sends so many bytes when it is told to.
struct Pusher {
  std::uint64_t left = 0;
  ConnId id;
  void on_connect(Conn& c) { id = c.id(); }
  void pump(Conn& c) {
    static const std::string text(65536, 'p');
    while (left != 0) {
      const std::size_t n = c.send(std::string_view{text}.substr(0, std::min<std::uint64_t>(left, text.size())));
      if (n == 0) return;
      left -= n;
    }
  }
  void on_writable(Conn& c) { pump(c); }
};

class Rising : public ::testing::Test {
 protected:
  Rising()
      : pair(test_seed(), {}, [made = 0](CoreConfig& c) mutable {
          if (made++ == 1) c.limits.buffer_memory = std::uint64_t{chunks} * 2048;
          c.tcp.r2_timeout = 100s;
        }) {
    Core& server = pair.core(1);
    EXPECT_TRUE(server.listen_with({any, 80}, *server.add_handler_ref(echo)));
    EXPECT_TRUE(server.listen_with({any, 81}, *server.add_handler_ref(holder)));
    EXPECT_TRUE(server.listen_with({any, 82}, *server.add_handler_ref(talker)));
    EXPECT_TRUE(server.listen_with({any, 83}, *server.add_handler_ref(sink)));
    asking = *pair.core(0).add_handler_ref(client);
    filling = *pair.core(0).add_handler_ref(filler);
    silence = *pair.core(0).add_handler_ref(silent);
    pushing = *pair.core(0).add_handler_ref(pusher);
    EXPECT_TRUE(pair.core(0).connect({Pair::address(1), 83}, pushing));
    pair.run_for(10ms);
  }
  ~Rising() override {
    for (int end = 0; end < 2; ++end) pair.core(end).abort_all();
    pair.run_for(20ms);
  }
  static constexpr std::uint32_t chunks = 512;

  const tcp::Context& cx() { return pair.core(1).shard().tcp(); }
  std::uint64_t drops() { return pair.core(1).stats().drops[static_cast<std::size_t>(Drop::tcp_no_memory)]; }
  std::uint64_t shed() { return pair.core(1).stats().closed[static_cast<std::size_t>(CloseReason::no_memory)]; }
  /// What a transfer on the connection that has been there from the start may hold.
  std::uint32_t offered() { return tcp::receive_limit(cx(), cx().tcbs[sink.last.slot]); }
  /// Unread bytes, until so many chunks are in use.
  void fill_to(std::uint32_t in_use) {
    for (int i = 0; i < 40 && cx().chunks.in_use() < in_use; ++i) {
      EXPECT_TRUE(filler.open(pair.core(0), filling, {Pair::address(1), 81}, {.bytes = 20'000}));
      pair.run_for(50ms);
    }
    EXPECT_GE(cx().chunks.in_use(), in_use);
  }
  void push(std::uint64_t bytes) {
    pusher.left = bytes;
    auto c = pair.core(0).find(pusher.id);
    ASSERT_TRUE(c);
    pusher.pump(*c);
    const std::uint64_t before = pair.core(1).stats().bytes_in;
    pair.run_for(2s);
    EXPECT_GE(pair.core(1).stats().bytes_in - before, bytes);
  }
  /// The same with its first full segment lost: what came beyond that gap and was dropped.
  std::uint64_t gap_drops() {
    bool lost = false;
    pair.rules.lose = [&](int from, std::size_t, std::span<const std::byte> frame) {
      return from == 0 && frame.size() > 1000 && !std::exchange(lost, true);
    };
    const std::uint64_t before = drops();
    push(20'000);
    pair.rules.lose = nullptr;
    return drops() - before;
  }
  void expect_served(Duration within = 1s) {
    const std::uint64_t before = client.finished;
    EXPECT_TRUE(client.open(pair.core(0), asking, {Pair::address(1), 80}, {.bytes = 5000}));
    EXPECT_TRUE(pair.run_until([&] { return client.finished == before + 1; }, within));
  }

  EchoBack echo;
  Holder holder;
  Talker talker;
  Sink sink;
  Traffic client, filler;
  Silent silent;
  Pusher pusher;
  Pair pair;
  HandlerRef asking, filling, silence, pushing;
};

TEST_F(Rising, pressure__windows_then_gaps_then_unread_bytes_then_stuck_connections) {
  // Half of it and less: windows grow, what comes beyond gaps is kept.
  push(1'000'000);
  const std::uint64_t grown = pair.core(1).stats().receive_windows_grown;
  const std::uint32_t at_first = cx().first_receive_limit, wide = offered();
  EXPECT_GT(grown, 0u);
  EXPECT_GT(wide, at_first);
  EXPECT_EQ(gap_drops(), 0u);
  EXPECT_EQ(pair.core(1).stats().receive_windows_held, 0u);

  // 1. More than half: what is offered stays offered, and grows no more; what comes beyond gaps is dropped.
  fill_to(chunks / 2 + 20);
  EXPECT_EQ(drops(), 0u);
  EXPECT_GT(gap_drops(), 0u);
  const std::uint32_t before = offered();
  push(4'000'000);
  EXPECT_EQ(offered(), before) << "it grew";
  EXPECT_GE(before, wide);
  expect_served();

  // 2. More than three quarters: what is offered is what was at first; unread bytes are still kept.
  const std::uint64_t dropped = drops();
  fill_to(chunks / 4 * 3 + 8);
  EXPECT_EQ(offered(), at_first);
  EXPECT_EQ(drops(), dropped) << "who does not read has lost bytes";
  expect_served();

  // 3. All but an eighth and the reserve: unread bytes are not kept any more. Who reads and answers is served.
  for (int i = 0; i < 8; ++i) EXPECT_TRUE(filler.open(pair.core(0), filling, {Pair::address(1), 81}, {.bytes = 20'000}));
  pair.run_for(500ms);
  EXPECT_GT(drops(), dropped);
  EXPECT_TRUE(tcp::has_send_memory(cx()));
  expect_served();
  EXPECT_EQ(shed(), 0u);
  pair.run_for(30s);  // nobody goes for that, however long it lasts
  EXPECT_EQ(shed(), 0u);
  expect_served();

  // 4. Memory for sending as well: those that let nothing leave are reset, nobody else.
  for (int i = 0; i < 2; ++i) EXPECT_TRUE(pair.core(0).connect({Pair::address(1), 82}, silence));
  pair.run_for(500ms);
  EXPECT_FALSE(tcp::has_send_memory(cx()));
  EXPECT_EQ(shed(), 0u) << "not before they are known to be stuck";
  EXPECT_TRUE(pair.run_until([&] { return shed() != 0; }, 20s));
  expect_served(30s);  // others take what is given back, and are known to be stuck in their turn
  EXPECT_EQ(talker.shed, shed());
  EXPECT_EQ(talker.other, 0u);
  EXPECT_EQ(holder.ended, 0u);
  EXPECT_EQ(client.wrong_bytes, 0u);
}

}  // namespace
}  // namespace handfast::test
