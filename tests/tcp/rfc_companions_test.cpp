// SPDX-License-Identifier: BSD-3-Clause
// What the companions of RFC 9293 ask and no other test shows: the places of options, what time stamps echo, the limit of
// challenges, half-open connections' size. Layer: tests of the protocol, through frames alone.
#include <gtest/gtest.h>

#include <string>

#include "support/peer.hpp"
#include "support/usage.hpp"
#include "tcp/half_open.hpp"

namespace handfast::test {
namespace {

int drain(Peer& p) {
  int n = 0;
  while (p.poll()) ++n;
  return n;
}

// rfc2018 2: and window scale, which the strict parser of the harness wants in SYNs alone, too.
TEST(SynOptions, sack_permitted_and_window_scale__are_in_syns_and_in_nothing_else) {
  Trace t;
  t.open_active(modern);
  t.with([](Conn& c) { c.send("data"); });
  t.peer.ack().data("data").fin();
  t.with([](Conn& c) { c.close(); });
  for (int i = 0; i < 3; ++i) {
    while (auto p = t.peer.poll()) EXPECT_FALSE(p->sack_permitted || p->wscale) << p->text();
    t.advance(1s);
  }
  auto other = t.another_peer(41000);
  other->stack.port = 9000;
  ASSERT_TRUE(t.core().connect(other->self, t.handler, {.local = {Trace::stack_address, 9000}}));
  t.poll();
  const auto syn = other->expect().syn();
  EXPECT_TRUE(syn.packet().sack_permitted && syn.packet().wscale);
}

// rfc7323 2.2a
TEST(SynOptions, window_scale__is_offered_even_where_no_shift_is_needed) {
  CoreConfig config = small_config();
  config.tcp.receive_buffer = 20000;
  Trace t{config};
  t.connect();
  EXPECT_EQ(t.peer.expect().syn().packet().wscale, 0);
}

// rfc7323 3.2e
TEST(Timestamps, echo_of_a_segment_without_ack__is_ignored_and_ours_is_zero) {
  Trace t;
  t.listen();
  t.peer.syn().mss(1460).ts(1000, t.rng().below(1u << 31));
  const auto answer = t.peer.expect().syn_ack();
  t.advance(70ms);
  t.peer.ack().ts(1070, answer.packet().ts->first);
  EXPECT_EQ(t.conn().stats().srtt, 70ms);
  auto other = t.another_peer(41000);
  other->stack.port = 9000;
  ASSERT_TRUE(t.core().connect(other->self, t.handler, {.local = {Trace::stack_address, 9000}}));
  t.poll();
  EXPECT_EQ(other->expect().syn().packet().ts->second, 0u);
}

// rfc7323 3.2c
TEST(Timestamps, missing_where_they_were_agreed__ends_no_connection) {
  Trace t;
  t.listen();
  t.peer.open(with_ts);
  t.peer.ts_on = false;
  for (int i = 0; i < 10; ++i) t.peer.ack().seq(1).data("x");
  t.peer.ack();
  t.advance(1s);
  drain(t.peer);
  t.peer.ts_on = true;
  t.peer.snd_nxt = 1;
  EXPECT_EQ(t.state(), State::established);
  t.peer.ack().data("xyz");
  EXPECT_EQ(t.app.received(), "xyz");
}

// rfc7323 4.3c
TEST(TsRecent, a_segment_that_fills_a_gap__is_the_one_that_is_echoed) {
  Trace t;
  t.listen();
  t.peer.open(with_ts);
  t.advance(10ms);
  t.peer.ack().seq(5).data("5678");
  drain(t.peer);
  t.advance(10ms);
  const std::uint32_t filler = t.peer.ts_now();
  t.peer.ack().seq(1).data("1234");
  EXPECT_EQ(t.peer.expect().pure_ack().ack(9).packet().ts->second, filler);
}

// rfc7323 7.1
TEST(Timestamps, of_two_connections__have_offsets_of_their_own) {
  Trace t;
  t.listen();
  auto other = t.another_peer(40001);
  t.peer.syn().mss(1460).ts(1, 0);
  other->syn().mss(1460).ts(1, 0);
  const std::uint32_t a = t.peer.expect().syn_ack().packet().ts->first;
  const std::uint32_t b = other->expect().syn_ack().packet().ts->first;
  EXPECT_GT(std::min(a - b, b - a), 1000u) << "at one moment; a chance of one in two millions";
}

// rfc5681 3.1b, 3.1d
TEST(InitialWindow, is_what_the_syns_left_it__and_the_threshold_is_far_above) {
  for (const bool active : {false, true}) {
    Trace t;
    if (active) {
      t.open_active(modern);
    } else {
      t.listen();
      t.peer.open(modern);
    }
    const ConnStats s = t.conn().stats();
    EXPECT_EQ(s.congestion_window, 10 * s.mss);
    EXPECT_GE(s.slow_start_threshold, 1u << 30);
  }
}

// rfc6191 2b
TEST(TimeWait, syn_with_the_same_timestamp__a_larger_number_decides) {
  for (const bool larger : {false, true}) {
    Trace t;
    t.listen();
    t.peer.open(with_ts);
    t.with([](Conn& c) { c.close(); });
    t.peer.finish_after_fin();
    const std::uint32_t last = t.peer.ts_now();
    t.advance(1s);
    t.peer.segment(SYN).seq(larger ? 5000u : 0u - 5000u).mss(1460).ts(last, 0);
    if (larger)
      t.peer.expect().syn_ack();
    else
      t.peer.expect().pure_ack();
    EXPECT_EQ(t.stats().time_wait_reused, larger ? 1u : 0u);
  }
}

// rfc5961 7b, 7a
TEST(ChallengeLimit, can_be_configured) {
  for (const std::uint8_t limit : {std::uint8_t{1}, std::uint8_t{7}}) {
    CoreConfig config = small_config();
    config.tcp.challenge_acks_per_second = limit;
    Trace t{config};
    t.listen();
    t.peer.open();
    for (int second = 0; second < 2; ++second) {
      for (int i = 0; i < 20; ++i) t.peer.rst().seq(2);
      EXPECT_EQ(drain(t.peer), limit);
      t.advance(1s);
    }
  }
}

// rfc4987 3.5
TEST(HalfOpenEntry, takes_two_lines_of_memory_and_no_connection_block) {
  EXPECT_LE(sizeof(tcp::HalfOpen), 128u);
  Trace t;
  t.listen();
  for (Port port = 41000; port < 41100; ++port) {
    auto peer = t.another_peer(port);
    peer->syn().mss(1460);
    peer->expect().syn_ack();
  }
  EXPECT_EQ(t.stats().half_open, 100u);
  EXPECT_EQ(usage_of(t.core()).connections, 0u);
  EXPECT_EQ(usage_of(t.core()).receive_buffers, 0u);
}

}  // namespace
}  // namespace handfast::test
