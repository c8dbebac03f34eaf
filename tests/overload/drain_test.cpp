// SPDX-License-Identifier: BSD-3-Clause
// A core that is told to drain in the middle of its work: who is being answered gets the whole answer, however many they
// are, and then FIN. Layer: tests of overload, in virtual time.
#include <gtest/gtest.h>

#include <optional>

#include "shard/shard.hpp"
#include "support/pair.hpp"
#include "support/usage.hpp"

namespace handfast::test {
namespace {

/// Answers the first byte with `size` bytes, in as many sends as the send buffer makes of them, and stays open.
struct Answers {
  struct State {
    std::size_t left = 0;
  };
  std::size_t size = 0;
  std::string body;
  void pump(Conn& c, State& s) {
    s.left -= c.send_static(std::string_view{body}.substr(size - s.left));
  }
  std::size_t on_data(Conn& c, State& s, const RxView& in) {
    s.left = size;
    pump(c, s);
    return in.size();
  }
  void on_writable(Conn& c, State& s) { pump(c, s); }
  void on_peer_fin(Conn& c) { c.close(); }
};

struct Asks {
  struct State {
    std::size_t got = 0;
  };
  std::size_t size = 0;
  std::uint64_t begun = 0, whole = 0, truncated = 0, unasked_ended = 0, resets = 0;
  bool ask = true;
  void on_connect(Conn& c) {
    if (ask) c.send_static("?");
  }
  std::size_t on_data(Conn&, State& s, const RxView& in) {
    if (s.got == 0) ++begun;
    s.got += in.size();
    return in.size();
  }
  void on_peer_fin(Conn& c, State& s) {
    ++(s.got == size ? whole : s.got == 0 ? unasked_ended : truncated);
    c.close();
  }
  void on_closed(ConnId, State&, CloseReason why) { resets += why != CloseReason::finished; }
};

struct Draining {
  Draining(std::uint32_t n, std::size_t size, std::uint32_t send_buffer, LinkRules link = {})
      : pair(test_seed(), link, [=](CoreConfig& c) {
          c.limits.connections = c.limits.half_open = n + 16;
          c.limits.time_wait = 2 * n;
          c.limits.somaxconn = n + 16;
          c.tcp.send_buffer = send_buffer;
          c.tcp.receive_buffer = c.tcp.receive_buffer_initial = 16384;
          c.limits.recovery_blocks = 2 * n;
        }) {
    server.size = client.size = size;
    server.body.assign(size, 'a');
    EXPECT_TRUE(pair.core(1).listen_with({any, 80}, *pair.core(1).add_handler_ref(server), {.backlog = n + 16}));
    self = *pair.core(0).add_handler_ref(client);
  }
  void open(std::uint32_t n) {
    for (std::uint32_t i = 0; i < n; ++i) {
      EXPECT_TRUE(pair.core(0).connect({Pair::address(1), 80}, self));
      if (i % 500 == 499) pair.run_for(2ms);
    }
  }
  /// As Stack::run does it: drain() again and again, until it says that all is over.
  bool drain(Duration limit) {
    for (const Time end = pair.now() + limit; pair.now() < end; pair.run_for(1ms))
      if (pair.core(1).drain()) return true;
    return pair.core(1).drain();
  }
  Answers server;
  Asks client;
  Pair pair;
  HandlerRef self;
};

TEST(DrainUnderLoad, answers_larger_than_the_send_buffer__whole_before_the_fin) {
  Draining d{50, 200'000, 32'768};
  d.open(50);
  ASSERT_TRUE(d.pair.run_until([&] { return d.client.begun == 50; }, 1s));
  EXPECT_EQ(d.client.whole, 0u) << "the middle of the transfer was to be met";
  EXPECT_TRUE(d.drain(2s));
  EXPECT_EQ(d.client.whole, 50u);
  EXPECT_EQ(d.client.truncated, 0u);
  EXPECT_EQ(d.client.resets, 0u);
  d.pair.run_idle(1min);
}

TEST(DrainUnderLoad, ten_thousand_in_mid_transfer__none_is_truncated) {
  LinkRules link;
  link.delay = 5ms;
  link.bits_per_second = 10'000'000'000;
  Draining d{10'000, 20'000, 8'192, link};
  d.open(10'000);
  ASSERT_TRUE(d.pair.run_until([&] { return d.client.begun == 10'000; }, 30s));
  EXPECT_GT(usage_of(d.pair.core(1)).connections, 9000u);
  EXPECT_TRUE(d.drain(2s));
  EXPECT_EQ(d.client.whole, 10'000u);
  EXPECT_EQ(d.client.truncated, 0u);
  EXPECT_EQ(d.client.resets, 0u);
  d.pair.run_idle(1min);
}

TEST(DrainUnderLoad, silent_ones_beside_them__fin_at_once) {
  Draining d{60, 200'000, 32'768};
  d.client.ask = false;
  d.open(20);
  d.pair.run_for(50ms);
  d.client.ask = true;
  d.open(20);
  ASSERT_TRUE(d.pair.run_until([&] { return d.client.begun == 20; }, 1s));
  EXPECT_FALSE(d.pair.core(1).drain());
  d.pair.run_for(10ms);
  EXPECT_EQ(d.client.unasked_ended, 20u) << "they need not wait for the others";
  EXPECT_TRUE(d.drain(2s));
  EXPECT_EQ(d.client.whole, 20u);
  d.pair.run_idle(1min);
}

/// Somebody who never reads: not whole, and no reason to wait for ever.
TEST(DrainUnderLoad, peer_that_takes_nothing__reset_when_the_time_is_over) {
  Draining d{10, 200'000, 32'768};
  d.open(1);
  ASSERT_TRUE(d.pair.run_until([&] { return d.client.begun == 1; }, 1s));
  d.pair.rules.loss = 1;
  EXPECT_FALSE(d.drain(2s));
  d.pair.core(1).abort_all();
  d.pair.run_for(1ms);
  EXPECT_TRUE(d.pair.core(1).drain());
  d.pair.core(0).abort_all();  // it has not heard of that
  d.pair.run_for(1ms);
}

}  // namespace
}  // namespace handfast::test
