// SPDX-License-Identifier: BSD-3-Clause
// A day and more of everything at once between two stacks, with loss: at its end nothing is left. Layer: tests of
// endurance, in virtual time. HANDFAST_LONG makes weeks of it, and transfers that count beyond 4 GiB.
#include <gtest/gtest.h>

#include <cstdlib>

#include "endurance/traffic.hpp"
#include "shard/shard.hpp"
#include "support/pair.hpp"
#include "support/usage.hpp"

namespace handfast::test {
namespace {

bool is_long() { return std::getenv("HANDFAST_LONG") != nullptr; }

void expect_no_residue(Pair& pair) {
  for (int end = 0; end < 2; ++end) {
    SCOPED_TRACE("end " + std::to_string(end));
    EXPECT_EQ(usage_of(pair.core(end)), Usage{});
    const auto& cx = pair.core(end).shard().tcp();
    EXPECT_EQ(cx.tcb_wheel.size() + cx.half_open_wheel.size(), 0u) << "timers";
    EXPECT_EQ(pair.stack(end).buffers_in_use(), 0u);
    EXPECT_TRUE(cx.dirty.empty() && cx.finished.empty() && cx.released.empty());
  }
}

// A visitor every four seconds or so, a hundred that stay and say something now and then, some that are silent for
// hours but for keep-alives, a bulk transfer every ten minutes.
TEST(Day, traffic_of_all_kinds_with_loss__no_residue) {
  LinkRules link;
  link.delay = 10ms;
  link.jitter = 3ms;
  link.loss = 0.01;
  Traffic client;
  EchoBack server;
  Pair pair{test_seed(), link, [](CoreConfig& c) {
              c.tcp.keepalive_idle = 10min;
              c.tcp.keepalive_interval = 10s;
              c.limits.buffer_memory = 4u << 20;
            }};
  ASSERT_TRUE(pair.core(1).listen_with({any, 80}, *pair.core(1).add_handler_ref(server)));
  const HandlerRef self = *pair.core(0).add_handler_ref(client);
  const Endpoint to{Pair::address(1), 80};
  const auto open = [&](const Task& task) { EXPECT_TRUE(client.open(pair.core(0), self, to, task)); };
  const Duration length = is_long() ? Duration{60 * 24h} : Duration{24h};
  const auto minutes = static_cast<std::uint32_t>(length / 1min);
  for (int i = 0; i < 100; ++i) open({.bytes = 200, .turns = minutes / 6, .pause = 6min});
  for (int i = 0; i < 20; ++i) open({.bytes = 10, .turns = 2, .pause = length - 1h, .keepalive = true});
  const Time end = pair.now() + length;
  for (std::uint32_t n = 0; pair.now() < end; ++n) {
    open({.bytes = 100 + static_cast<std::uint32_t>(pair.rng().below(3000))});
    if (n % 150 == 0) open({.bytes = 300'000});
    pair.run_for(std::chrono::milliseconds{pair.rng().below(8000)});
  }
  EXPECT_TRUE(pair.run_idle(2h)) << "something never ends";
  EXPECT_EQ(client.finished, client.opened);
  EXPECT_EQ(client.wrong_bytes, 0u);
  EXPECT_GT(pair.core(0).stats().keepalive_probes, minutes);
  EXPECT_GT(pair.core(0).stats().retransmits, minutes);
  pair.run_for(2min);
  expect_no_residue(pair);
}

/// Takes what comes and counts it.
struct Sink {
  std::uint64_t bytes = 0;
  std::optional<ConnStats> last;
  std::size_t on_data(Conn& c, const RxView& in) {
    bytes += in.size();
    last = c.stats();
    return in.size();
  }
  void on_peer_fin(Conn& c) { c.close(); }
};

struct Source {
  std::uint64_t left = 0, acked = 0;
  std::optional<ConnStats> last;
  std::string block = std::string(1u << 20, 'x');
  void pump(Conn& c) {
    while (left != 0) {
      const std::size_t n = c.send_static(std::string_view{block}.substr(0, std::min<std::uint64_t>(left, block.size())));
      left -= n;
      if (n == 0) return;
    }
    c.shutdown_write();
  }
  void on_connect(Conn& c) { pump(c); }
  void on_writable(Conn& c) { pump(c); }
  void on_sent(Conn& c, std::size_t n) {
    acked += n;
    last = c.stats();
  }
  void on_peer_fin(Conn& c) { c.close(); }
};

TEST(Day, transfer_beyond_4_gib__every_byte_is_counted) {
  if (!is_long()) GTEST_SKIP() << "takes a minute: HANDFAST_LONG=1";
  Source source;
  Sink sink;
  LinkRules link;
  link.delay = 100us;
  Pair pair{test_seed(), link, [](CoreConfig& c) {
              c.link.mtu = 9000;
              c.tcp.send_buffer = 4u << 20;
            }};
  ASSERT_TRUE(pair.core(1).listen_with({any, 80}, *pair.core(1).add_handler_ref(sink)));
  const std::uint64_t total = (std::uint64_t{9} << 30) + 12345;  // twice round and a little
  source.left = total;
  ASSERT_TRUE(pair.core(0).connect({Pair::address(1), 80}, *pair.core(0).add_handler_ref(source)));
  EXPECT_TRUE(pair.run_idle(1h));
  EXPECT_EQ(sink.bytes, total);
  EXPECT_EQ(source.acked, total);
  ASSERT_TRUE(sink.last && source.last);
  EXPECT_GE(sink.last->bytes_received, total - 9000);
  EXPECT_LE(sink.last->bytes_received, total);
  EXPECT_EQ(source.last->bytes_sent, total);
  pair.run_for(2min);
  expect_no_residue(pair);
}

}  // namespace
}  // namespace handfast::test
