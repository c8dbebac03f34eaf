// SPDX-License-Identifier: BSD-3-Clause
// Every flood and every table that can be full: a second after the pressure has ended, connections that were there before
// and ones that come now are served. Layer: tests of overload, in virtual time.
#include <gtest/gtest.h>

#include <limits>
#include <memory>
#include <vector>

#include "endurance/traffic.hpp"
#include "overload/forged_syn.hpp"
#include "shard/shard.hpp"
#include "support/pair.hpp"
#include "support/usage.hpp"
#include "tcp/calls.hpp"

namespace handfast::test {
namespace {

/// Asks when it is told to; an answer is the question.
struct Asker {
  struct State {
    std::uint64_t asked = 0, answered = 0;
  };
  std::uint64_t asked = 0, answered = 0, ended = 0;
  std::vector<ConnId> all;
  static constexpr std::size_t size = 3000;
  void ask(Conn& c) { asked += c.send(std::string(size, 'q')); }
  void on_connect(Conn& c) {
    all.push_back(c.id());
    ask(c);
  }
  std::size_t on_data(Conn&, const RxView& in) {
    answered += in.size();
    return in.size();
  }
  void on_closed(ConnId, CloseReason) { ++ended; }
};

/// Takes nothing until it is told to, and then throws all of it away.
struct Sleeper {
  bool awake = false;
  std::vector<ConnId> all;
  void on_accept(Conn& c) {
    all.push_back(c.id());
    if (!awake) c.pause_rx();
  }
  std::size_t on_data(Conn&, const RxView& in) { return in.size(); }
};

/// Sends as much as it can to who does not read.
struct Talker {
  void pump(Conn& c) {
    static const std::string text(65536, 't');
    while (c.send(text) == text.size()) {
    }
  }
  void on_accept(Conn& c) { pump(c); }
  void on_writable(Conn& c) { pump(c); }
};
struct Silent {
  std::vector<ConnId> all;
  void on_connect(Conn& c) {
    c.pause_rx();
    all.push_back(c.id());
  }
};

struct Pressure {
  static constexpr int old_ones = 5, new_ones = 5;
  explicit Pressure(const std::function<void(CoreConfig&)>& of_server = {})
      : pair(test_seed(), {}, [&, made = 0](CoreConfig& c) mutable {
          c.link.gateway = Pair::address(0);
          c.limits.connections = 4096;
          c.limits.time_wait = 4096;
          if (made++ == 1 && of_server) of_server(c);
        }) {
    EXPECT_TRUE(pair.core(1).listen_with({any, 80}, *pair.core(1).add_handler_ref(echo)));
    EXPECT_TRUE(pair.core(1).listen_with({any, 81}, *pair.core(1).add_handler_ref(sleeper)));
    EXPECT_TRUE(pair.core(1).listen_with({any, 82}, *pair.core(1).add_handler_ref(talker)));
    asking = *pair.core(0).add_handler_ref(asker);
    writing = *pair.core(0).add_handler_ref(writer);
    silence = *pair.core(0).add_handler_ref(silent);
    open(old_ones);
    EXPECT_TRUE(pair.run_until([&] { return asker.answered == old_ones * Asker::size; }, 1s));
    // Let the round trip be known well, so that a time-out is the shortest there is.
    for (int i = 0; i < 10; ++i) {
      ask_again();
      pair.run_for(5ms);
    }
  }
  ~Pressure() {
    for (int end = 0; end < 2; ++end) pair.core(end).abort_all();
    pair.run_for(20ms);
  }
  void open(int n) {
    for (int i = 0; i < n; ++i) EXPECT_TRUE(pair.core(0).connect({Pair::address(1), 80}, asking));
  }
  void connect(Port port, HandlerRef handler, int n) {
    for (int i = 0; i < n; ++i) EXPECT_TRUE(pair.core(0).connect({Pair::address(1), port}, handler));
  }
  void ask_again() {
    for (int i = 0; i < old_ones; ++i)
      if (auto c = pair.core(0).find(asker.all[i])) asker.ask(*c);
  }
  /// Now that it has ended.
  void expect_served_within_a_second() {
    const std::size_t before = asker.all.size();
    ask_again();
    open(new_ones);
    EXPECT_TRUE(pair.run_until([&] { return asker.all.size() == before + new_ones && asker.answered == asker.asked; }, 1s))
        << asker.all.size() - before << " of the new ones are there, " << asker.asked - asker.answered << " bytes unanswered";
    EXPECT_EQ(asker.ended, 0u);
  }
  EchoBack echo;
  Sleeper sleeper;
  Talker talker;
  Asker asker;
  Traffic writer;
  Silent silent;
  Pair pair;
  HandlerRef asking, writing, silence;
};

TEST(Recovery, flood_of_forged_syns__served_while_it_lasts_and_after) {
  for (const std::uint32_t half_open : {16u, 1024u}) {
    SCOPED_TRACE(half_open);
    Pressure p{[&](CoreConfig& c) { c.limits.half_open = half_open; }};
    const auto flood = [&](int ms) {
      for (int i = 0; i < ms; ++i) {
        for (int k = 0; k < 20; ++k) p.pair.stack(1).receive(build(forged_syn(p.pair.rng())));
        p.pair.run_for(1ms);
      }
    };
    flood(1000);
    EXPECT_EQ(usage_of(p.pair.core(1)).half_open, half_open) << "it is full";
    p.ask_again();
    p.open(Pressure::new_ones);
    flood(500);
    EXPECT_EQ(p.asker.all.size(), std::size_t{Pressure::old_ones + Pressure::new_ones}) << "while it lasts";
    EXPECT_EQ(p.asker.answered, p.asker.asked);
    p.expect_served_within_a_second();
  }
}

TEST(Recovery, no_buffer_of_the_port_is_free__served_when_there_are_some) {
  for (int end = 0; end < 2; ++end) {
    SCOPED_TRACE(end);
    Pressure p;
    p.ask_again();
    p.pair.run_for(500us);
    p.pair.stack(end).limit_buffers(0);
    p.pair.run_for(300ms);
    EXPECT_LT(p.asker.answered, p.asker.asked) << "nothing was lost";
    p.pair.stack(end).limit_buffers(std::numeric_limits<std::size_t>::max());
    p.expect_served_within_a_second();
  }
}

TEST(Recovery, table_of_connections_is_full__new_ones_are_served_when_some_go) {
  Pressure p{[](CoreConfig& c) { c.limits.connections = 64; }};
  p.connect(81, p.silence, 100);
  p.pair.run_for(200ms);
  EXPECT_EQ(usage_of(p.pair.core(1)).connections, 64u);
  EXPECT_GT(p.pair.core(1).stats().drops[static_cast<std::size_t>(Drop::tcp_connections_full)], 0u);
  for (const ConnId id : p.silent.all)
    if (auto c = p.pair.core(0).find(id)) c->abort();
  p.expect_served_within_a_second();
}

TEST(Recovery, table_of_half_open_ones_is_full_of_those_that_never_answer__served_all_the_same) {
  Pressure p{[](CoreConfig& c) { c.limits.half_open = 8; }};
  for (int i = 0; i < 100; ++i) p.pair.stack(1).receive(build(forged_syn(p.pair.rng())));
  p.pair.run_for(5ms);
  EXPECT_EQ(usage_of(p.pair.core(1)).half_open, 8u);
  p.expect_served_within_a_second();
}

TEST(Recovery, unread_bytes_have_taken_their_share__served_while_it_lasts_and_when_they_are_read) {
  Pressure p{[](CoreConfig& c) { c.limits.buffer_memory = 1 << 20; }};
  for (int i = 0; i < 20; ++i) EXPECT_TRUE(p.writer.open(p.pair.core(0), p.writing, {Pair::address(1), 81}, {.bytes = 60'000}));
  p.pair.run_for(300ms);
  EXPECT_FALSE(p.pair.core(1).shard().tcp().receive_chunks.has(tcp::chunks_for(1460)));
  p.expect_served_within_a_second();  // who reads, and answers
  p.sleeper.awake = true;
  for (const ConnId id : p.sleeper.all)
    if (auto c = p.pair.core(1).find(id)) c->resume_rx();
  p.expect_served_within_a_second();
  p.pair.run_for(1s);
  EXPECT_EQ(p.pair.core(1).shard().tcp().receive_chunks.in_use(), 0u);
}

TEST(Recovery, memory_for_sending_is_used_up__served_when_the_others_go) {
  Pressure p{[](CoreConfig& c) { c.limits.buffer_memory = 1 << 20; }};
  p.connect(82, p.silence, 10);
  p.pair.run_for(300ms);
  EXPECT_FALSE(tcp::has_send_memory(p.pair.core(1).shard().tcp()));
  p.ask_again();
  p.pair.run_for(100ms);
  EXPECT_LT(p.asker.answered, p.asker.asked) << "there was memory for the answers";
  for (const ConnId id : p.silent.all)
    if (auto c = p.pair.core(0).find(id)) c->abort();
  p.expect_served_within_a_second();
}

/// Nobody tells those that are shut off to go: the shard does, once they have let nothing leave for long enough.
TEST(Recovery, memory_for_sending_is_used_up_for_good__served_a_second_after_it_is_shed) {
  Pressure p{[](CoreConfig& c) { c.limits.buffer_memory = 1 << 20; }};
  p.connect(82, p.silence, 10);
  p.pair.run_for(300ms);
  const auto shed = [&] { return p.pair.core(1).stats().closed[static_cast<std::size_t>(CloseReason::no_memory)]; };
  EXPECT_EQ(shed(), 0u);
  ASSERT_TRUE(p.pair.run_until([&] { return shed() != 0; }, 20s));
  p.expect_served_within_a_second();
}

TEST(Recovery, time_wait_is_full__new_ones_are_served_and_the_oldest_goes) {
  Pressure p{[](CoreConfig& c) { c.limits.time_wait = 16; }};
  for (int i = 0; i < 40; ++i) {
    EXPECT_TRUE(p.pair.core(0).connect({Pair::address(1), 81}, p.silence));
    p.pair.run_for(5ms);
    auto server_side = p.pair.core(1).find(p.sleeper.all.back());
    ASSERT_TRUE(server_side);
    server_side->close();
    p.pair.run_for(5ms);
    if (auto c = p.pair.core(0).find(p.silent.all.back())) c->close();
    p.pair.run_for(5ms);
  }
  EXPECT_EQ(usage_of(p.pair.core(1)).time_wait, 16u);
  EXPECT_EQ(p.pair.core(1).stats().time_wait_cut_short, 24u);
  p.expect_served_within_a_second();
}

}  // namespace
}  // namespace handfast::test
