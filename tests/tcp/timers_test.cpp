// SPDX-License-Identifier: BSD-3-Clause
// Keep-alive (RFC 9293 section 3.8.4), the application's timers, deadlines and their exactness, drain and
// stop. Layer: tests of the protocol, through frames alone.
#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "support/peer.hpp"
#include "support/usage.hpp"

namespace handfast::test {
namespace {

int drain(Peer& p) {
  int n = 0;
  while (p.poll()) ++n;
  return n;
}

CoreConfig quick_keepalive() {
  CoreConfig config = small_config();
  config.tcp.keepalive = true;
  config.tcp.keepalive_idle = 10s;
  config.tcp.keepalive_interval = 2s;
  config.tcp.keepalive_probes = 3;
  return config;
}

// MUST-25
TEST(KeepAlive, off_by_default__silence_for_days) {
  Trace t;
  t.listen();
  t.peer.open();
  t.expect_nothing_until(72h);
  EXPECT_EQ(t.state(), State::established);
  EXPECT_FALSE(t.stack().next_deadline()) << "an idle connection costs no timer";
}

// MUST-24, MUST-28
TEST(KeepAlive, defaults__two_hours) {
  Trace t;
  t.listen();
  t.peer.open();
  t.with([](Conn& c) { c.set_keepalive(true); });
  const Duration first = t.advance_to_frame(3h);
  EXPECT_EQ(first, 2h) << "MUST-28";
  t.peer.expect().pure_ack().seq(0);
}

// MUST-26: however long nothing was heard before the first probe; the clock of a suspended machine jumps as far.
TEST(KeepAlive, silence_of_a_month__given_up_after_its_probes_all_the_same) {
  CoreConfig config = quick_keepalive();
  config.tcp.keepalive = false;
  Trace t{config};
  t.listen();
  t.peer.open();
  t.expect_nothing_until(26 * 24h);
  t.with([](Conn& c) { c.set_keepalive(true); });
  t.advance(1min);
  EXPECT_EQ(drain(t.peer), 4) << "three probes and an RST";
  EXPECT_EQ(t.app.reason(), CloseReason::keepalive_timed_out);
}

// MUST-27, SHLD-12, MAY-5
TEST(KeepAlive, probe__lies_below_the_window_and_an_answer_starts_it_over) {
  Trace t{quick_keepalive()};
  t.listen();
  t.peer.open();
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(t.advance_to_frame(1min), 10s);
    t.peer.expect().flags(ACK).seq(0).ack(1).data("");
    t.peer.ack();
    EXPECT_TRUE(t.peer.quiet());
  }
  EXPECT_EQ(t.stats().keepalive_probes, 5u);
}

// MUST-29
TEST(KeepAlive, sec_C21__no_answer__ends_after_the_last_probe) {
  Trace t{quick_keepalive()};
  t.listen();
  t.peer.open();
  t.advance(10s + 3 * 2s - 1ms);
  EXPECT_FALSE(t.app.reason());
  EXPECT_EQ(drain(t.peer), 3);
  t.advance(1ms);
  EXPECT_EQ(t.app.reason(), CloseReason::keepalive_timed_out);
  t.peer.expect().rst_ack();
}

// MUST-29
TEST(KeepAlive, interval_longer_than_idle__answered_probes_do_not_count) {
  CoreConfig config = quick_keepalive();
  config.tcp.keepalive_idle = 10s;
  config.tcp.keepalive_interval = 60s;
  Trace t{config};
  t.listen();
  t.peer.open();
  for (int i = 0; i < 10; ++i) {
    t.advance_to_frame(2min);
    t.peer.expect().flags(ACK).seq(0).ack(1).data("");
    t.peer.ack();
  }
  EXPECT_EQ(t.state(), State::established) << "each probe was answered";
  t.advance(60s + 3 * 60s);
  EXPECT_EQ(t.app.reason(), CloseReason::keepalive_timed_out) << "and then none";
}

// MUST-26
TEST(KeepAlive, data_heard__postpones_it) {
  Trace t{quick_keepalive()};
  t.listen();
  t.peer.open();
  for (int i = 0; i < 10; ++i) {
    t.advance(9s);
    t.peer.ack().data("x");
    t.advance(100ms);
    EXPECT_EQ(drain(t.peer), 1);
  }
  EXPECT_EQ(t.stats().keepalive_probes, 0u);
}

// MUST-26
TEST(KeepAlive, while_data_is_unacknowledged__no_probes_and_no_busy_timer) {
  CoreConfig config = quick_keepalive();
  config.tcp.keepalive_idle = 100ms;
  Trace t{config};
  t.listen();
  t.peer.open();
  t.with([](Conn& c) { c.send("lost"); });
  int polls = 0;
  const Time end = t.now() + 60s;
  while (t.now() < end && t.stack().next_deadline()) {
    t.advance(std::max<Duration>(*t.stack().next_deadline() - t.now(), 1us));
    ++polls;
  }
  EXPECT_LT(polls, 5000) << "a timer that fires all the time";
  EXPECT_EQ(t.stats().keepalive_probes, 0u);
  drain(t.peer);
}

// MUST-24
TEST(KeepAlive, switched_off__stops) {
  Trace t{quick_keepalive()};
  t.listen();
  t.peer.open();
  t.with([](Conn& c) { c.set_keepalive(false); });
  t.expect_nothing_until(1h);
}

TEST(KeepAlive, active_open__too) {
  Trace t{quick_keepalive()};
  t.open_active();
  EXPECT_EQ(t.advance_to_frame(1min), 10s);
  t.peer.expect().seq(0);
}

TEST(KeepAlive, the_peers_probe__is_answered) {
  Trace t;
  t.listen();
  t.peer.open();
  for (int i = 0; i < 5; ++i) {
    t.advance(75s);
    t.peer.segment(ACK).seq(0);
    t.peer.expect().pure_ack().seq(1).ack(1);
    t.advance(75s);
    t.peer.segment(ACK).seq(0).data("g");  // with a garbage byte, as old ones do
    t.peer.expect().pure_ack().seq(1).ack(1);
  }
  EXPECT_EQ(t.app.received(), "");
}

// MUST-29
TEST(KeepAlive, probes_unanswered_but_for_the_last__the_connection_lives) {
  Trace t{quick_keepalive()};
  t.listen();
  t.peer.open();
  t.advance(10s + 2 * 2s);
  EXPECT_EQ(drain(t.peer), 3);
  t.peer.ack();
  t.advance(9s);
  EXPECT_EQ(t.state(), State::established);
  EXPECT_EQ(drain(t.peer), 0) << "and the count starts over";
  t.advance(1s);
  EXPECT_EQ(drain(t.peer), 1);
  t.advance(4s);
  EXPECT_EQ(t.state(), State::established);
  drain(t.peer);
}

// MUST-24, MUST-27
TEST(KeepAlive, times_of_a_connections_own__and_the_other_keeps_the_configured_ones) {
  Trace t{quick_keepalive()};
  t.listen();
  t.peer.open();
  auto other = t.another_peer(41000);
  other->open();
  const ConnId first = t.app.opened.front(), second = t.app.opened.back();
  t.core().find(first)->set_keepalive({.idle = 30s, .interval = 5s, .probes = 2});
  t.advance(30s + 2 * 5s - 1ms);
  EXPECT_TRUE(t.app.records[second].closed);
  EXPECT_FALSE(t.app.records[first].closed);
  EXPECT_EQ(drain(t.peer), 2);
  t.advance(1ms);
  EXPECT_EQ(t.app.records[first].closed, CloseReason::keepalive_timed_out);
  t.peer.expect().rst_ack();
  drain(*other);
}

TEST(KeepAlive, times_of_zero__as_configured__and_below_a_second__a_second) {
  Trace t{quick_keepalive()};
  t.listen();
  t.peer.open();
  t.with([](Conn& c) { c.set_keepalive(KeepAlive{}); });
  EXPECT_EQ(t.advance_to_frame(1min), 10s);
  t.peer.expect().seq(0);
  t.peer.ack();
  t.with([](Conn& c) { c.set_keepalive({.idle = 1ms, .interval = {}, .probes = 0}); });
  EXPECT_EQ(t.advance_to_frame(1min), 1s);
  t.peer.expect().seq(0);
}

// MAY-6
TEST(KeepAlive, garbage_byte__when_the_peer_needs_one) {
  CoreConfig config = quick_keepalive();
  config.tcp.keepalive_garbage = true;
  Trace t{config};
  t.listen();
  t.peer.open();
  t.with([](Conn& c) { c.send("x"); });
  t.peer.expect().data("x");
  t.peer.ack();
  t.advance_to_frame(1min);
  t.peer.expect().flags(ACK).seq(1).length(1);
  t.peer.ack();
  EXPECT_EQ(t.state(), State::established);
  t.with([](Conn& c) { c.send("y"); });
  t.peer.expect().flags(ACK).seq(2).data("y");
}

TEST(AppTimer, fires_once_and_exactly) {
  Trace t;
  t.listen();
  t.peer.open();
  t.with([](Conn& c) { c.arm(1500ms); });
  t.advance(1500ms - 1us);
  EXPECT_EQ(t.app.record().timers, 0);
  t.advance(1us);
  EXPECT_EQ(t.app.record().timers, 1);
  t.advance(1min);
  EXPECT_EQ(t.app.record().timers, 1);
}

TEST(AppTimer, armed_again_and_disarmed) {
  Trace t;
  t.listen();
  t.peer.open();
  t.with([](Conn& c) { c.arm(1s); });
  t.with([](Conn& c) { c.arm(3s); });
  t.advance(2s);
  EXPECT_EQ(t.app.record().timers, 0);
  t.with([](Conn& c) { c.disarm(); });
  t.advance(1min);
  EXPECT_EQ(t.app.record().timers, 0);
}

TEST(AppTimer, arms_itself__a_clock) {
  Trace t;
  t.app.timer = [](Conn& c) { c.arm(10ms); };
  t.listen();
  t.peer.open();
  t.with([](Conn& c) { c.arm(10ms); });
  t.advance(1s);
  EXPECT_EQ(t.app.record().timers, 100);
}

TEST(AppTimer, close_in_it__sends_fin) {
  Trace t;
  t.app.timer = [](Conn& c) { c.close(); };
  t.listen();
  t.peer.open();
  t.with([](Conn& c) { c.arm(10ms); });
  t.advance(10ms);
  t.peer.expect().fin();
}

TEST(CoreTimer, fires_and_may_use_the_core) {
  Trace t;
  struct Context {
    Trace* t;
    Time fired{};
  } context{&t};
  ASSERT_TRUE(t.core().arm(
      250ms,
      [](void* c) {
        auto& self = *static_cast<Context*>(c);
        self.fired = self.t->now();
        static_cast<void>(
            self.t->core().connect(self.t->peer.self, self.t->handler, {.local = self.t->peer.stack}));
      },
      &context));
  t.advance(1s);
  EXPECT_EQ(context.fired - (t.now() - t.elapsed()), 250ms);
  t.peer.expect().syn();
}

TEST(Post, runs_on_the_next_poll) {
  Trace t;
  int ran = 0;
  EXPECT_TRUE(t.core().post([](void* n) { ++*static_cast<int*>(n); }, &ran));
  EXPECT_EQ(ran, 0);
  t.poll();
  EXPECT_EQ(ran, 1);
}

TEST(Drain, listeners_close_and_idle_connections_get_fin) {
  Trace t;
  t.listen();
  t.peer.open();
  auto half = t.another_peer(44000);
  half->syn().mss(1460);
  half->expect().syn_ack();
  EXPECT_FALSE(t.core().drain());
  t.poll();
  t.peer.expect().fin();
  half->expect().rst_ack();
  t.peer.fin();
  t.peer.expect().pure_ack();
  EXPECT_TRUE(t.core().drain());
  t.peer.irs_known = false;
  auto late = t.another_peer(44001);
  late->syn().mss(1460);
  late->expect().rst_ack();
}

TEST(AbortAll, everything_ends_with_rst_and_reason_stopped) {
  Trace t;
  t.listen();
  std::vector<std::unique_ptr<Peer>> peers;
  for (int i = 0; i < 200; ++i) {
    peers.push_back(t.another_peer(static_cast<Port>(45000 + i)));
    peers.back()->open();
  }
  t.core().abort_all();
  t.advance(10ms);
  for (int i = 0; i < 5; ++i) t.poll();
  EXPECT_EQ(usage_of(t.core()).connections, 0u);
  EXPECT_EQ(t.app.count("closed:stopped"), 200);
  for (auto& p : peers) {
    bool rst = false;
    while (auto packet = p->poll()) rst |= packet->has(RST);
    EXPECT_TRUE(rst);
  }
}

TEST(Handle, of_a_connection_that_ended__is_found_out) {
  Trace t;
  t.listen();
  t.peer.open();
  const ConnId id = t.app.last();
  t.with([](Conn& c) { c.abort(); });
  EXPECT_FALSE(t.core().find(id));
  t.peer.expect().rst_ack();
  t.peer.irs_known = false;
  t.peer.iss += 1000;
  t.peer.snd_nxt = t.peer.rcv_nxt = 0;
  t.advance(1ms);
  t.peer.open();
  EXPECT_FALSE(t.core().find(id)) << "the slot is in use again, by another";
  EXPECT_TRUE(t.core().find(t.app.last()));
}

TEST(Table, connections_full__refused_quietly_and_recovers) {
  CoreConfig config = small_config();
  config.limits.connections = 2;
  Trace t{config};
  t.listen();
  std::vector<std::unique_ptr<Peer>> peers;
  for (int i = 0; i < 3; ++i) {
    peers.push_back(t.another_peer(static_cast<Port>(45000 + i)));
    peers.back()->open();
  }
  EXPECT_EQ(t.app.count("accept"), 2);
  EXPECT_EQ(t.drops(Drop::tcp_connections_full), 1u);
  const auto full = t.core().connect(t.peer.self, t.handler);
  ASSERT_FALSE(full);
  EXPECT_EQ(full.error().kind, ErrorKind::exhausted);
  peers[0]->rst();
  peers[2]->ack().data("now");
  EXPECT_EQ(t.app.count("accept"), 3);
  EXPECT_EQ(t.app.received(), "now");
}

}  // namespace
}  // namespace handfast::test
