// SPDX-License-Identifier: BSD-3-Clause
// The memory of a shard, as little of it as a configuration may have: what waits to be read never takes the place of the
// answers that would have it read. Layer: tests of overload, in virtual time.
#include <gtest/gtest.h>

#include <vector>

#include "endurance/traffic.hpp"
#include "shard/shard.hpp"
#include "support/pair.hpp"
#include "support/peer.hpp"
#include "support/usage.hpp"

namespace handfast::test {
namespace {

struct Echoes {
  Echoes(std::uint32_t chunks, std::uint16_t mtu, LinkRules link = {}, bool both = false, std::uint32_t others = 0)
      : pair(test_seed() + chunks, link, [&, made = 0](CoreConfig& c) mutable {
          c.link.mtu = mtu;
          if (made++ != 1 && !both) return;
          c.limits.buffer_memory = std::uint64_t{chunks} * 2048;
          if (others != 0) c.limits.send_extents = c.limits.recovery_blocks = others;
        }) {
    EXPECT_TRUE(pair.core(1).listen_with({any, 80}, *pair.core(1).add_handler_ref(server)));
    self = *pair.core(0).add_handler_ref(client);
  }
  void expect_all_finish(int connections, std::uint32_t bytes) {
    for (int i = 0; i < connections; ++i) EXPECT_TRUE(client.open(pair.core(0), self, {Pair::address(1), 80}, {.bytes = bytes}));
    EXPECT_TRUE(pair.run_idle(10min));
    EXPECT_EQ(client.finished, client.opened);
    EXPECT_EQ(client.wrong_bytes, 0u);
  }
  EchoBack server;
  Traffic client;
  Pair pair;
  HandlerRef self;
};

TEST(LittleMemory, echoes_on_any_that_is_accepted__all_finish) {
  for (std::uint32_t chunks = 32; chunks <= 72; chunks += chunks < 40 ? 1 : 8)
    for (const int connections : {1, 12, 60}) {
      SCOPED_TRACE(std::to_string(chunks) + " chunks, " + std::to_string(connections) + " connections");
      Echoes echoes{chunks, 1500};
      echoes.expect_all_finish(connections, 40'000);
      if (testing::Test::HasFailure()) return;
    }
}

TEST(LittleMemory, echoes_of_large_frames__all_finish) {
  for (const std::uint32_t chunks : {32u, 33u, 36u, 48u}) {
    SCOPED_TRACE(chunks);
    Echoes echoes{chunks, 9000};
    echoes.expect_all_finish(12, 100'000);
  }
}

TEST(LittleMemory, echoes_with_losses__all_finish) {
  LinkRules link;
  link.loss = 0.03;
  link.jitter = 2ms;
  for (std::uint32_t chunks = 32; chunks <= 56; chunks += 3) {
    SCOPED_TRACE(chunks);
    Echoes echoes{chunks, 1500, link};
    echoes.expect_all_finish(12, 40'000);
    if (testing::Test::HasFailure()) return;
  }
}

// Of the least memory a full segment beyond a gap and the one that fills it take more than half between them: if the first were
// dropped for that, or forgotten for the second, each loss would end in a time-out.
TEST(LittleMemory, segment_beyond_a_gap__is_kept_and_so_is_the_one_that_fills_it) {
  CoreConfig config = small_config();
  config.limits.buffer_memory = 32 * 2048;
  config.link.mtu = 3500;
  Trace t{config};
  t.listen();
  t.peer.open({.mss = 3400});
  const std::string text(3379, 'x');
  t.peer.ack().data("1");
  t.peer.ack().seq(t.peer.snd_nxt + 3379).data(text);
  EXPECT_EQ(t.drops(Drop::tcp_no_memory), 0u);
  t.peer.ack().data(text);
  EXPECT_EQ(t.drops(Drop::tcp_no_memory), 0u);
  EXPECT_EQ(t.app.received().size(), 1 + 2 * text.size());
  while (t.peer.poll()) {
  }
  t.core().abort_all();
  t.advance(10ms);
  t.peer.expect().rst_ack();
}

TEST(LittleMemory, both_ends_have_the_least__all_finish) {
  LinkRules link;
  link.loss = 0.01;
  for (const std::uint32_t chunks : {32u, 40u}) {
    SCOPED_TRACE(chunks);
    Echoes echoes{chunks, 1500, link, true};
    echoes.expect_all_finish(20, 30'000);
  }
}

TEST(LittleMemory, the_least_of_descriptors_and_recovery_blocks_as_well__all_finish) {
  for (const std::uint32_t others : {1u, 2u, 5u}) {
    SCOPED_TRACE(others);
    Echoes echoes{32, 1500, {}, false, others};
    echoes.expect_all_finish(8, 20'000);
  }
}

/// Takes nothing at all.
struct Deaf {
  std::vector<ConnId> all;
  void on_accept(Conn& c) {
    c.pause_rx();
    all.push_back(c.id());
  }
};

/// A shard whose share for received bytes is taken by those who do not read.
struct Crowded {
  explicit Crowded(LinkRules link = {}) : pair(test_seed(), link, [made = 0](CoreConfig& c) mutable {
    if (made++ == 1) c.limits.buffer_memory = 1 << 20;
  }) {
    EXPECT_TRUE(pair.core(1).listen_with({any, 80}, *pair.core(1).add_handler_ref(echo)));
    EXPECT_TRUE(pair.core(1).listen_with({any, 81}, *pair.core(1).add_handler_ref(deaf)));
    self = *pair.core(0).add_handler_ref(client);
    senders = *pair.core(0).add_handler_ref(unheard);
    for (int i = 0; i < 20; ++i) EXPECT_TRUE(unheard.open(pair.core(0), senders, {Pair::address(1), 81}, {.bytes = 60'000}));
    pair.run_for(5s);
    EXPECT_FALSE(memory().has(tcp::chunks_for(1460)));
  }
  ~Crowded() {
    for (int end = 0; end < 2; ++end) pair.core(end).abort_all();
    pair.run_for(10ms);
  }
  [[nodiscard]] const tcp::ReceiveChunks& memory() { return pair.core(1).shard().tcp().receive_chunks; }
  EchoBack echo;
  Deaf deaf;
  Traffic client, unheard;
  Pair pair;
  HandlerRef self, senders;
};

TEST(UnreadBytes, of_others_take_all_they_may__there_is_memory_to_send) {
  Crowded crowded;
  const auto& cx = crowded.pair.core(1).shard().tcp();
  EXPECT_GE(cx.chunks.capacity() - cx.chunks.in_use(), tcp::receive_reserve + cx.chunks.capacity() / 8);
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(crowded.client.open(crowded.pair.core(0), crowded.self, {Pair::address(1), 80}, {.bytes = 20'000}));
  EXPECT_TRUE(crowded.pair.run_until([&] { return crowded.client.finished == 5; }, 2s));
  EXPECT_EQ(crowded.client.wrong_bytes, 0u);
}

/// Whatever is lost makes a gap, and there is nowhere to keep what comes beyond it.
TEST(UnreadBytes, of_others_take_all_they_may__who_reads_goes_on_through_losses) {
  Crowded crowded;
  crowded.pair.rules.loss = 0.02;
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(crowded.client.open(crowded.pair.core(0), crowded.self, {Pair::address(1), 80}, {.bytes = 100'000}));
  EXPECT_TRUE(crowded.pair.run_until([&] { return crowded.client.finished == 5; }, 1min));
  EXPECT_EQ(crowded.client.wrong_bytes, 0u);
}

/// It has a gap already when the others take what memory there is: what it kept is forgotten for what is next.
TEST(UnreadBytes, of_others_come_when_there_is_a_gap__the_byte_that_is_next_is_taken) {
  Echoes echoes{64, 1500};
  Pair& pair = echoes.pair;
  Deaf deaf;
  Traffic unheard;
  ASSERT_TRUE(pair.core(1).listen_with({any, 81}, *pair.core(1).add_handler_ref(deaf)));
  const HandlerRef senders = *pair.core(0).add_handler_ref(unheard);
  const auto& cx = pair.core(1).shard().tcp();
  bool full = false, lost = false;
  pair.rules.lose = [&](int from, std::size_t, std::span<const std::byte> frame) {
    // The first full segment, and any that could mend it before the others are there.
    if (from != 0 || frame.size() < 1000) return false;
    const bool hit = !lost || (cx.receive_buffers.in_use() != 0 && !full);
    lost = true;
    return hit;
  };
  ASSERT_TRUE(echoes.client.open(pair.core(0), echoes.self, {Pair::address(1), 80}, {.bytes = 6'000}));
  ASSERT_TRUE(pair.run_until([&] { return cx.receive_buffers.in_use() == 1; }, 1s));
  for (int i = 0; i < 15; ++i) ASSERT_TRUE(unheard.open(pair.core(0), senders, {Pair::address(1), 81}, {.bytes = 900}));
  ASSERT_TRUE(pair.run_until([&] { return !cx.receive_chunks.has(tcp::chunks_for(1460)); }, 1s));
  full = true;
  EXPECT_TRUE(pair.run_until([&] { return echoes.client.finished == 1; }, 10s));
  EXPECT_EQ(echoes.client.wrong_bytes, 0u);
  for (int end = 0; end < 2; ++end) pair.core(end).abort_all();
  pair.run_for(10ms);
}

/// An application that holds all buffers it can get has them; received bytes have theirs.
TEST(SendBuffers, all_that_there_are_are_asked_for__what_is_received_has_its_reserve) {
  Echoes echoes{32, 1500};
  std::vector<TxBuf> held;
  for (TxBuf buffer = echoes.pair.core(1).allocate(); buffer; buffer = echoes.pair.core(1).allocate()) held.push_back(std::move(buffer));
  EXPECT_EQ(held.size(), 32 - tcp::receive_reserve);
  held.clear();
  echoes.expect_all_finish(3, 10'000);
}

}  // namespace
}  // namespace handfast::test
