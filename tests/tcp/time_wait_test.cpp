// SPDX-License-Identifier: BSD-3-Clause
// TIME-WAIT (RFC 9293 section 3.6.1, RFC 1337, RFC 6191, RFC 1122 section 4.2.2.13) and orphans.
// Layer: tests of the protocol, through frames alone.
#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "support/peer.hpp"
#include "support/usage.hpp"

namespace handfast::test {
namespace {

/// To TIME-WAIT, our side first: relative numbers end at 2 on both sides.
void to_time_wait(Trace& t, Peer& p, Handshake h = {}) {
  p.open(h);
  t.with([](Conn& c) { c.close(); });
  p.expect().fin().seq(1);
  p.fin();
  p.expect().pure_ack().seq(2).ack(2);
}

// MUST-13
TEST(TimeWait, lasts_exactly_twice_msl) {
  for (const Duration msl : {Duration{5ms}, Duration{1s}, Duration{30s}}) {
    CoreConfig config = small_config();
    config.tcp.msl = msl;
    Trace t{config};
    t.listen();
    to_time_wait(t, t.peer);
    t.advance(2 * msl - 1us);
    EXPECT_EQ(usage_of(t.core()).time_wait, 1u);
    t.advance(1us);
    EXPECT_EQ(usage_of(t.core()).time_wait, 0u);
    EXPECT_EQ(t.stats().time_wait_cut_short, 0u);
  }
}

TEST(TimeWait, fin_again__acknowledged_and_restarts) {
  Trace t;
  t.listen();
  to_time_wait(t, t.peer);
  t.advance(59s);
  t.peer.fin().seq(1);
  t.peer.expect().pure_ack().seq(2).ack(2);
  t.advance(59s);
  EXPECT_EQ(usage_of(t.core()).time_wait, 1u);
  t.advance(1s);
  EXPECT_EQ(usage_of(t.core()).time_wait, 0u);
}

TEST(TimeWait, bare_ack_in_sequence__no_answer) {
  Trace t;
  t.listen();
  to_time_wait(t, t.peer);
  for (int i = 0; i < 5; ++i) t.peer.ack();
  t.expect_nothing_until(10s);
}

TEST(TimeWait, sec_A14__rst_is_ignored) {
  Trace t;
  t.listen();
  to_time_wait(t, t.peer);
  t.advance(30s);
  t.peer.rst();
  t.expect_nothing_until(29999ms);
  EXPECT_EQ(usage_of(t.core()).time_wait, 1u);
  t.advance(1ms);
  EXPECT_EQ(usage_of(t.core()).time_wait, 0u);
}

TEST(TimeWait, rst__rfc1337_off__only_the_exact_one_ends_it) {
  CoreConfig config = small_config();
  config.tcp.rfc1337 = false;
  Trace t{config};
  t.listen();
  to_time_wait(t, t.peer);
  t.peer.rst().seq(3);
  EXPECT_EQ(usage_of(t.core()).time_wait, 1u);
  t.peer.rst();
  EXPECT_EQ(usage_of(t.core()).time_wait, 0u);
}

TEST(TimeWait, sec_A14__old_data__ack_only) {
  Trace t;
  t.listen();
  to_time_wait(t, t.peer);
  t.peer.ack().seq(1).data("old");
  t.peer.expect().pure_ack().seq(2).ack(2);
  EXPECT_EQ(usage_of(t.core()).time_wait, 1u);
  t.advance(60s);
  EXPECT_EQ(usage_of(t.core()).time_wait, 0u) << "no restart for what is no FIN";
}

// MAY-2, rfc1122 4.2.2.13, rfc6191 2d
TEST(TimeWait, sec_A14__syn_with_larger_seq__new_connection_with_larger_iss) {
  Trace t;
  t.listen();
  to_time_wait(t, t.peer);
  const std::uint32_t last = t.peer.irs + 2;
  t.peer.iss += 2;
  t.peer.snd_nxt = 0;
  t.peer.open();
  EXPECT_GT(static_cast<std::int32_t>(t.peer.irs - last), 0) << "RFC 1122 4.2.2.13";
  EXPECT_EQ(t.app.count("accept"), 2);
  EXPECT_EQ(t.stats().time_wait_reused, 1u);
  EXPECT_EQ(usage_of(t.core()).time_wait, 0u);
}

// rfc6191 2d
TEST(TimeWait, sec_A14__syn_with_older_seq__ack_only) {
  Trace t;
  t.listen();
  to_time_wait(t, t.peer);
  t.peer.segment(SYN).seq(1);
  t.peer.expect().pure_ack().seq(2).ack(2);
  t.peer.segment(SYN).seq(0u - 100);
  t.peer.expect().pure_ack().seq(2).ack(2);
  EXPECT_EQ(usage_of(t.core()).time_wait, 1u);
}

// SHLD-4, rfc6191 2a
TEST(TimeWait, sec_A14__syn_with_newer_timestamp_and_older_seq__new_connection) {
  Trace t;
  t.listen();
  to_time_wait(t, t.peer, with_ts);
  t.advance(10ms);
  t.peer.iss -= 5000;
  t.peer.snd_nxt = 0;
  t.peer.open(with_ts);
  EXPECT_EQ(t.app.count("accept"), 2);
}

// rfc6191 2c
TEST(TimeWait, sec_A14__syn_with_older_timestamp_and_larger_seq__ack_only) {
  Trace t;
  t.listen();
  to_time_wait(t, t.peer, with_ts);
  t.peer.segment(SYN).seq(5000).ts(t.peer.ts_now() - 1000, 0);
  t.peer.expect().pure_ack();
  EXPECT_EQ(usage_of(t.core()).time_wait, 1u);
}

TEST(TimeWait, syn_without_a_listener__the_entry_stays) {
  Trace t;
  const auto l = t.listen();
  to_time_wait(t, t.peer);
  t.core().close(l);
  t.peer.segment(SYN).seq(100);
  t.peer.expect().pure_ack();
  EXPECT_EQ(usage_of(t.core()).time_wait, 1u);
}

TEST(TimeWait, answers_to_nonsense__are_bounded) {
  Trace t;
  t.listen();
  to_time_wait(t, t.peer);
  for (int i = 0; i < 1000; ++i) t.peer.ack().seq(1).data("x");
  int answers = 0;
  while (t.peer.poll()) ++answers;
  EXPECT_GE(answers, 1);
  EXPECT_LE(answers, 4);
}

TEST(TimeWait, timestamps__the_last_ack_carries_them) {
  Trace t;
  t.listen();
  to_time_wait(t, t.peer, with_ts);
  t.peer.fin().seq(1);
  const auto p = t.peer.expect().pure_ack();
  ASSERT_TRUE(p.packet().ts);
  EXPECT_EQ(p.packet().ts->second, t.peer.ts_now());
}

TEST(TimeWait, table_full__the_oldest_goes_and_is_counted) {
  CoreConfig config = small_config();
  config.limits.time_wait = 3;
  Trace t{config};
  t.listen();
  std::vector<std::unique_ptr<Peer>> peers;
  for (int i = 0; i < 5; ++i) {
    peers.push_back(t.another_peer(static_cast<Port>(42000 + i)));
    to_time_wait(t, *peers.back());
    t.advance(1s);
  }
  EXPECT_EQ(usage_of(t.core()).time_wait, 3u);
  EXPECT_EQ(t.stats().time_wait_cut_short, 2u);
  peers[1]->fin().seq(1);
  peers[1]->expect().rst();
  peers[2]->fin().seq(1);
  peers[2]->expect().pure_ack();
  t.advance(2min);
  EXPECT_EQ(usage_of(t.core()).time_wait, 0u);
}

TEST(TimeWait, table_of_none__closes_all_the_same) {
  CoreConfig config = small_config();
  config.limits.time_wait = 0;
  Trace t{config};
  t.listen();
  to_time_wait(t, t.peer);
  EXPECT_EQ(t.app.reason(), CloseReason::finished);
  EXPECT_EQ(t.stats().time_wait_cut_short, 1u);
}

TEST(TimeWait, active_open__never_takes_a_tuple_that_is_in_it) {
  CoreConfig config = small_config();
  config.tcp.first_ephemeral_port = 50000;
  config.tcp.last_ephemeral_port = 50003;
  Trace t{config};
  std::vector<std::unique_ptr<Peer>> peers;
  for (Port p = 50000; p <= 50003; ++p) {
    peers.push_back(t.another_peer(40000));
    peers.back()->stack.port = p;
  }
  for (int i = 0; i < 4; ++i) {
    ASSERT_TRUE(t.core().connect(t.peer.self, t.handler)) << i;
    t.poll();
    for (auto& p : peers) {
      if (p->quiet()) continue;
      p->answer_open();
      t.with([](Conn& c) { c.close(); });
      p->expect().fin();
      p->fin();
      p->expect().pure_ack();
    }
  }
  EXPECT_EQ(usage_of(t.core()).time_wait, 4u);
  const auto fifth = t.core().connect(t.peer.self, t.handler);
  ASSERT_FALSE(fifth);
  EXPECT_EQ(fifth.error().kind, ErrorKind::exhausted);
  t.advance(61s);
  EXPECT_TRUE(t.core().connect(t.peer.self, t.handler));
  t.poll();
  for (auto& p : peers)
    while (p->poll()) {
    }
}

// --- orphans
// -----------------------------------------------------------------------------------------------------

int drain_peer(Peer& p) {
  int n = 0;
  while (p.poll()) ++n;
  return n;
}

TEST(Orphan, sec_C7__fin_wait_1__bounded_retries) {
  Trace t;
  t.listen();
  t.peer.open();
  t.with([](Conn& c) { c.close(); });
  t.advance(20min);
  EXPECT_EQ(t.app.reason(), CloseReason::timed_out);
  EXPECT_EQ(drain_peer(t.peer), 1 + 8) << "the FIN and orphan_retries copies";
  EXPECT_EQ(usage_of(t.core()).connections, 0u);
}

TEST(Orphan, sec_C7__last_ack__bounded_retries) {
  Trace t;
  t.listen();
  t.peer.open();
  t.app.fin = [](Conn& c) { c.close(); };
  t.peer.fin();
  t.advance(20min);
  EXPECT_EQ(t.app.reason(), CloseReason::timed_out);
  EXPECT_EQ(drain_peer(t.peer), 1 + 8);
}

TEST(Orphan, sec_C7__closing__bounded_retries) {
  Trace t;
  t.listen();
  t.peer.open();
  t.with([](Conn& c) { c.close(); });
  t.peer.segment(FIN | ACK).ack(1);
  t.advance(20min);
  EXPECT_EQ(t.app.reason(), CloseReason::timed_out);
  EXPECT_EQ(usage_of(t.core()).connections, 0u);
  drain_peer(t.peer);
}

TEST(Orphan, sec_C7__fin_wait_2__sixty_seconds) {
  Trace t;
  t.listen();
  t.peer.open();
  t.with([](Conn& c) { c.close(); });
  t.peer.expect().fin();
  t.advance(100ms);
  t.peer.ack();
  t.advance(60s - 1ms);
  EXPECT_FALSE(t.app.reason());
  t.advance(1ms);
  EXPECT_EQ(t.app.reason(), CloseReason::fin_wait_2_timed_out);
  t.expect_nothing();
  t.peer.fin();
  t.peer.expect().rst();
}

TEST(Orphan, sec_C7__zero_window_with_data_and_fin__gone_though_every_probe_is_answered) {
  Trace t;
  t.listen();
  t.peer.open();
  t.peer.ack().window(0);
  t.with([](Conn& c) {
    c.send("never taken");
    c.close();
  });
  for (int i = 0; i < 3000 && !t.app.reason(); ++i) {
    t.advance(500ms);
    if (drain_peer(t.peer) != 0) t.peer.ack().ack(1);
  }
  EXPECT_EQ(t.app.reason(), CloseReason::timed_out);
  EXPECT_LE(t.elapsed(), 10min);
  EXPECT_EQ(usage_of(t.core()), Usage{});
}

TEST(Orphan, sec_C7__last_ack_behind_a_zero_window__gone) {
  Trace t;
  t.listen();
  t.peer.open();
  t.app.fin = [](Conn& c) {
    c.send("never taken");
    c.close();
  };
  t.peer.fin().window(0);
  for (int i = 0; i < 3000 && !t.app.reason(); ++i) {
    t.advance(500ms);
    if (drain_peer(t.peer) != 0) t.peer.ack().ack(1);
  }
  EXPECT_EQ(t.app.reason(), CloseReason::timed_out);
}

}  // namespace
}  // namespace handfast::test
