// SPDX-License-Identifier: BSD-3-Clause
// A port that takes few frames at a time, or has no buffer to give: nothing is lost that was accepted,
// nothing overtakes, and what could not be said is said later. Layer: tests of the shard.
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <string>

#include "support/app.hpp"
#include "support/pair.hpp"
#include "support/peer.hpp"

namespace handfast::test {
namespace {

constexpr std::size_t no_limit = std::numeric_limits<std::size_t>::max();

/// Two ends that send `n` connections' worth of text to each other, both ways.
struct Exchange {
  Exchange(std::size_t connections, std::size_t bytes) : text(bytes, ' '), pair(test_seed()) {
    for (std::size_t i = 0; i < bytes; ++i) text[i] = static_cast<char>('a' + i % 23 + i / 1000 % 3);
    for (App* app : {&near, &far}) {
      app->connected = app->accepted = [this](Conn& c) { push(c); };
      app->writable = [this](Conn& c) { push(c); };
      app->fin = [](Conn& c) { c.close(); };
    }
    EXPECT_TRUE(pair.core(1).listen_with({any, 80}, *pair.core(1).add_handler_ref(far)));
    const HandlerRef ref = *pair.core(0).add_handler_ref(near);
    EXPECT_TRUE(pair.run_until([&] { return pair.core(0).resolve(Pair::address(1)); }, 1s));
    for (std::size_t i = 0; i < connections; ++i)
      EXPECT_TRUE(pair.core(0).connect({Pair::address(1), 80}, ref));
  }
  void push(Conn& c) {
    const std::size_t done = c.stats().bytes_sent + c.unacked();
    const auto rest = std::string_view{text}.substr(done);
    if (c.send(rest) == rest.size()) c.shutdown_write();
  }
  void expect_all(std::size_t connections) {
    EXPECT_TRUE(pair.run_idle(10min));
    for (App* app : {&near, &far}) {
      EXPECT_EQ(app->records.size(), connections);
      for (auto& [id, r] : app->records) {
        EXPECT_TRUE(r.received == text) << r.received.size() << " of " << text.size();
        EXPECT_EQ(r.closed, CloseReason::finished);
      }
    }
  }
  std::string text;
  App near, far;
  Pair pair;
};

TEST(BackPressure, port_that_takes_few_frames_a_poll__nothing_lost_nothing_overtakes) {
  for (const std::size_t n : {1u, 2u, 7u}) {
    SCOPED_TRACE(n);
    Exchange e{20, 40000};
    e.pair.stack(0).limit_transmit(n);
    e.pair.stack(1).limit_transmit(n);
    e.expect_all(20);
    for (int end = 0; end < 2; ++end) {
      const CoreStats s = e.pair.core(end).stats();
      EXPECT_EQ(s.retransmits, 0u);
      EXPECT_EQ(s.out_of_order, 0u);
      EXPECT_EQ(s.duplicates, 0u);
      EXPECT_EQ(s.drops[static_cast<std::size_t>(Drop::tx_no_buffer)], 0u);
    }
  }
}

TEST(BackPressure, port_that_takes_nothing_for_a_while__nothing_lost) {
  Exchange e{50, 30000};
  for (int i = 0; i < 5; ++i) {
    e.pair.stack(1).limit_transmit(0);
    for (int k = 0; k < 50; ++k) e.pair.stack(1).poll(e.pair.now());
    e.pair.stack(1).limit_transmit(no_limit);
    e.pair.run_for(2ms);
  }
  e.expect_all(50);
  EXPECT_EQ(e.pair.core(1).stats().drops[static_cast<std::size_t>(Drop::tx_no_buffer)], 0u);
}

TEST(BackPressure, jammed_port__reception_stops_and_goes_on_where_it_stood) {
  CoreConfig config = small_config();
  config.tcp.resets_per_second = 20000;  // one source gets a part of them
  Trace t{config};
  t.inject([&] {
    Packet syn;
    syn.source = {Trace::peer_address, 1};
    syn.destination = {Trace::stack_address, 80};
    syn.source_mac = Trace::peer_mac;
    syn.destination_mac = Trace::stack_mac;
    syn.flags = SYN;
    return syn;
  }());
  ASSERT_EQ(t.other_frames.size(), 1u) << "the neighbour is known now";
  t.other_frames.clear();
  t.stack().limit_transmit(0);
  Packet ping;  // a reset is owed for each of them, as far as the limit allows
  ping.source = {Trace::peer_address, 1};
  ping.destination = {Trace::stack_address, 80};
  ping.source_mac = Trace::peer_mac;
  ping.destination_mac = Trace::stack_mac;
  ping.flags = SYN;
  for (Port port = 1; port <= 990; ++port) {
    ping.source.port = port;
    t.inject(build(ping), false);
  }
  for (int i = 0; i < 200; ++i) t.poll();
  EXPECT_TRUE(t.other_frames.empty());
  t.stack().limit_transmit(3);
  for (int i = 0; i < 1000 && t.other_frames.size() < 990; ++i) {
    const std::size_t before = t.other_frames.size();
    t.poll();
    EXPECT_LE(t.other_frames.size(), before + 3);
  }
  ASSERT_EQ(t.other_frames.size(), 990u);
  for (std::size_t i = 0; i < 990; ++i) {
    std::string why;
    const auto packet = parse_strictly(t.other_frames[i], why);
    ASSERT_TRUE(packet) << why;
    EXPECT_EQ(packet->destination.port, i + 1) << "in their order";
  }
  t.other_frames.clear();
}

// An answer of one segment has buffers put aside for those that follow it; what leaves the long way finds them, if they are the last.
TEST(BackPressure, last_buffers_put_aside_for_plain_segments__are_there_for_others_too) {
  Trace t;
  t.listen();
  auto other = t.another_peer(41000);
  t.peer.open();
  other->open();
  t.app.data = [&](Conn& c, const RxView& in) {
    c.send(std::string(in.size() == 1 ? 10 : 2920, 'x'));
    return in.size();
  };
  t.stack().limit_buffers(3);
  t.peer.ack().data("a").no_poll();
  other->ack().data("bb");
  t.peer.expect().length(10);
  other->expect().length(1460);
  other->expect().length(1460);
  EXPECT_EQ(t.drops(Drop::tx_no_buffer), 0u);
  t.stack().limit_buffers(no_limit);
  t.core().abort_all();
  t.advance(10ms);
  t.peer.expect().rst_ack();
  other->expect().rst_ack();
}

TEST(BackPressure, no_buffer__counted_and_everything_arrives_after_all) {
  Exchange e{10, 200000};
  e.pair.run_for(5ms);
  for (int round = 0; round < 6; ++round) {
    const int end = round % 2;
    e.pair.stack(end).limit_buffers(round == 5 ? 3 : 0);
    e.pair.run_for(500ms);
    e.pair.stack(end).limit_buffers(no_limit);
    e.pair.run_for(3ms);
  }
  EXPECT_GT(e.pair.core(0).stats().drops[static_cast<std::size_t>(Drop::tx_no_buffer)], 0u);
  EXPECT_GT(e.pair.core(1).stats().drops[static_cast<std::size_t>(Drop::tx_no_buffer)], 0u);
  e.expect_all(10);
}

TEST(BackPressure, no_buffer_from_the_start__question_and_syn_come_when_there_is_one) {
  Trace t;
  t.stack().limit_buffers(0);
  const auto id = t.core().connect(t.peer.self, t.handler, {.local = t.peer.stack});
  ASSERT_TRUE(id);
  t.poll();
  EXPECT_GE(t.drops(Drop::tx_no_buffer), 1u);
  EXPECT_TRUE(t.quiet());
  t.advance(500ms);
  t.stack().limit_buffers(no_limit);
  t.advance(4s);
  t.peer.expect().syn();
}

}  // namespace
}  // namespace handfast::test
