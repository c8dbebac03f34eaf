// SPDX-License-Identifier: BSD-3-Clause
// Connections that nobody wants any more: orphans in every closing state, TIME-WAIT, peers that are gone or out of step.
// Rows C7, C8, C11 and C21 of docs/security-limits.md. Layer: tests of security, through frames.
#include <gtest/gtest.h>

#include <string>

#include "crowd.hpp"
#include "shard/shard.hpp"
#include "support/pair.hpp"

namespace handfast::test {
namespace {

/// Where a silent peer leaves a connection that the application has closed.
enum class Left { fin_wait_1, fin_wait_2, closing, last_ack, last_ack_behind_shut_window, fin_wait_1_behind_shut_window };

void leave(SecurityWorld& w, Port port, Left where) {
  auto p = w.t.another_peer(port, {10, 0, 0, static_cast<std::uint8_t>(4 + port % 200)});
  p->open();
  const bool shut = where == Left::last_ack_behind_shut_window || where == Left::fin_wait_1_behind_shut_window;
  if (shut) p->ack().window(0);
  if (where == Left::last_ack || where == Left::last_ack_behind_shut_window) {
    p->fin();
    w.discard(*p);
  }
  w.t.with([&](Conn& c) {
    if (shut) c.send("never taken");
    c.close();
  });
  if (!shut) p->expect().fin();
  if (where == Left::closing) p->fin().ack(p->rcv_nxt - 1);
  if (where == Left::fin_wait_2) p->ack();
  w.discard(*p);
}

// RFC 9293 3.8.3: R2; and what is closed has fewer tries (orphan_retries)
TEST(SecurityC, sec_C7__orphans_of_silent_peers_in_every_state__all_gone_within_their_bound) {
  const auto n = static_cast<std::uint32_t>(scaled(100000, 1000));
  struct Row {
    Left where;
    Duration bound;
  };
  const Duration r2 = TcpConfig{}.r2_timeout + 61s;
  for (const Row& row : {Row{Left::fin_wait_1, r2}, Row{Left::fin_wait_2, 61s}, Row{Left::closing, r2}, Row{Left::last_ack, r2},
                         Row{Left::last_ack_behind_shut_window, r2}, Row{Left::fin_wait_1_behind_shut_window, r2}}) {
    SCOPED_TRACE(static_cast<int>(row.where));
    CoreConfig config = small_config();
    config.limits.connections = n + 16;
    config.limits.neighbours = 512;
    config.limits.send_extents = n + 16;
    config.limits.buffer_memory = 4096ull * (n + 100);
    SecurityWorld w{config};
    w.t.app.fin = [](Conn&) {};
    for (std::uint32_t i = 0; i < n; ++i) leave(w, static_cast<Port>(1024 + i % 60000), row.where);
    EXPECT_EQ(usage_of(w.t.core()).connections, n + 1);
    w.t.advance(row.bound);
    w.t.other_frames.clear();
    EXPECT_EQ(usage_of(w.t.core()).connections, 1u) << "the innocent one";
    EXPECT_EQ(usage_of(w.t.core()).extents, 0u);
    const auto why = row.where == Left::fin_wait_2 ? CloseReason::fin_wait_2_timed_out : CloseReason::timed_out;
    EXPECT_EQ(w.t.stats().closed[static_cast<std::size_t>(why)], n);
  }
}

TEST(SecurityC, sec_C7__orphan_behind_a_shut_window_whose_probes_are_answered__gone_all_the_same) {
  for (const bool last_ack : {false, true}) {
    SecurityWorld w;
    w.t.app.fin = [](Conn&) {};
    w.establish();
    w.peer.ack().window(0);
    if (last_ack) w.peer.fin().window(0);
    w.discard();
    w.t.with([](Conn& c) {
      c.send("never taken");
      c.close();
    });
    for (int i = 0; i < 800 && !w.t.app.reason(); ++i) {
      w.t.advance(500ms);
      if (w.discard() != 0) w.peer.ack().ack(101).window(i % 3 == 0 ? 1u : 0u);  // opens it by a byte now and then
    }
    EXPECT_EQ(w.t.app.reason(), CloseReason::timed_out);
    w.discard();
  }
}

TEST(SecurityC, sec_C7__close_wait__seen_in_the_listing_and_ended_by_drain) {
  SecurityWorld w;
  w.t.app.fin = [](Conn&) {};  // an application that forgets to close
  Crowd crowd = crowd_of(w, 50);
  for (auto& p : crowd) w.bring(*p, State::close_wait);
  w.t.advance(1h);
  std::size_t seen = 0;
  for (const ConnInfo& info : w.t.core().connections()) seen += info.state == State::close_wait;
  EXPECT_EQ(seen, 50u) << "the application's own; it does not end by itself";
  w.expect_innocent_moves();
  w.t.core().drain();
  w.t.poll();
  for (auto& p : crowd) {
    p->expect().fin();
    p->ack();
  }
  EXPECT_EQ(w.t.stats().connections, 1u);
  w.has_innocent = false;
  w.discard(w.innocent);
}

// RFC 9293 3.4.2, MUST-13
TEST(SecurityC, sec_C8__time_wait_is_full__the_oldest_goes_counted_and_passive_opens_go_on) {
  static_assert(sizeof(tcp::TimeWait) == 64);
  const auto cap = static_cast<std::uint32_t>(scaled(1000000, 2000)), n = cap + cap / 4;
  CoreConfig config = small_config();
  config.limits.time_wait = cap;
  config.limits.neighbours = 512;
  SecurityWorld w{config};
  w.t.app.accepted = [](Conn& c) { c.close(); };
  for (std::uint32_t i = 0; i < n; ++i) {
    auto p = w.t.another_peer(static_cast<Port>(1024 + i % 60000), {10, 0, 0, static_cast<std::uint8_t>(4 + i / 60000)});
    p->open();
    p->finish_after_fin();
    if (i % 1000 == 999) {
      w.t.app.records.clear();
      w.t.app.events.clear();
      w.t.app.opened.clear();
    }
  }
  EXPECT_EQ(w.t.stats().time_wait, cap);
  EXPECT_EQ(w.t.stats().time_wait_cut_short, n - cap);
  EXPECT_EQ(usage_of(w.t.core()).connections, 1u);
  w.t.app.accepted = nullptr;
  w.establish();
  w.t.advance(2 * w.t.core().config().tcp.msl + 1s);
  EXPECT_EQ(w.t.stats().time_wait, 0u);
}

// --- ends that are out of step -----------------------------------------------------------------------------------

/// One of the pair's ends as the protocol has it: the only one there is.
tcp::Tcb& only_tcb(Core& core) {
  tcp::Context& cx = core.shard().tcp();
  for (std::uint32_t i = 0; i < cx.tcbs.high_water(); ++i)
    if ((cx.tcbs[i].generation & 1) != 0 && cx.tcbs[i].key.remote().port != 9 && cx.tcbs[i].key.local().port != 9) return cx.tcbs[i];
  throw std::runtime_error("no connection");
}

/// Two stacks with one connection between them, and an innocent one (port 9).
struct War {
  explicit War(std::function<void(CoreConfig&)> adjust = {})
      : pair(test_seed(), {}, [adjust](CoreConfig& c) {
          c.tcp.receive_buffer = c.tcp.receive_buffer_initial = 65535;
          if (adjust) adjust(c);
        }) {
    for (const Port port : {Port{80}, Port{9}}) EXPECT_TRUE(pair.core(1).listen_with({any, port}, *pair.core(1).add_handler_ref(app[1])));
    open = *pair.core(0).add_handler_ref(app[0]);
    EXPECT_TRUE(pair.core(0).connect({Pair::address(1), 80}, open));
    EXPECT_TRUE(pair.run_until([&] { return app[0].opened.size() == 1 && app[1].opened.size() == 1; }, 1s));
    say(0, "hello");
    say(1, "hello");
    pair.run_for(1s);
  }
  ~War() {
    // (e): another connection works, and everything ends.
    app[0].connected = [](Conn& c) { c.send("innocent"); };
    EXPECT_TRUE(pair.core(0).connect({Pair::address(1), 9}, open));
    EXPECT_TRUE(pair.run_until([&] { return app[1].received() == "innocent"; }, 5s));
    for (int end = 0; end < 2; ++end) pair.core(end).abort_all();
    pair.run_for(5s);
  }
  void say(int end, std::string_view text) {
    if (auto c = pair.core(end).find(app[end].opened[0])) c->send(text);
  }
  [[nodiscard]] std::size_t frames() const { return pair.frames(0) + pair.frames(1); }
  /// At most `most` frames, both ways together, in any half second of `time`.
  void expect_calm(Duration time, std::size_t most) {
    for (Duration passed{}; passed < time; passed += 500ms) {
      const std::size_t before = frames();
      pair.run_for(500ms);
      EXPECT_LE(frames() - before, most) << "after " << passed / 1ms << " ms";
      if (testing::Test::HasFailure()) return;
    }
  }
  [[nodiscard]] bool is_over() { return app[0].records[app[0].opened[0]].closed && app[1].records[app[1].opened[0]].closed; }

  App app[2];
  HandlerRef open;
  Pair pair;
};

/// What one end expects next, moved by `by`: as after a crash of its memory.
void put_out_of_step(Core& core, std::int32_t by) {
  tcp::Tcb& tcb = only_tcb(core);
  tcb.rcv_nxt += static_cast<std::uint32_t>(by);
  tcb.rcv_adv = tcb.rcv_nxt + 65535;
  tcb.last_ack_sent = tcb.rcv_nxt;
}

// RFC 9293 3.10.7.4 first, RFC 5961 7
TEST(SecurityC, sec_C11__ends_out_of_step_by_any_distance__a_few_packets_each_half_second_and_then_silence) {
  for (const std::int32_t one : {1, -1, 1000, -1000, 65535, -65535, 70000})
    for (const std::int32_t other : {0, 1, -1, 65535}) {
      SCOPED_TRACE(std::to_string(one) + " and " + std::to_string(other));
      War war;
      put_out_of_step(war.pair.core(0), one);
      if (other != 0) put_out_of_step(war.pair.core(1), other);
      war.say(0, "left");
      war.say(1, "right");
      // A text, its ACK and a challenge, each way; its copies come at doubling distances.
      war.expect_calm(5s, 20);
      war.expect_calm(60s, 8);
      war.pair.run_for(10min);
      const std::size_t before = war.frames();
      war.pair.run_for(10min);
      EXPECT_EQ(war.frames(), before) << "after the last timer the link is silent";
    }
}

// The ACK of a segment that lies outside of the window counts when numbers have merely crossed on the way.
TEST(SecurityC, sec_C11__both_send_fin_at_once__few_packets_and_both_end) {
  for (const bool lose_first_acks : {false, true}) {
    std::size_t lost = 0;  // longer than the war, whose end runs on
    War war;
    if (lose_first_acks)
      war.pair.rules.lose = [&](int, std::size_t, std::span<const std::byte> f) {
        const bool pure_ack = f.size() > 47 && f[23] == std::byte{6} && (std::to_integer<int>(f[47]) & 0x17) == 0x10;
        return pure_ack && lost++ < 4;
      };
    for (int end = 0; end < 2; ++end)
      if (auto c = war.pair.core(end).find(war.app[end].opened[0])) c->close();
    war.expect_calm(10s, 16);
    EXPECT_TRUE(war.is_over());
    war.pair.run_for(70s);
  }
}

TEST(SecurityC, sec_C11__keep_alive_against_keep_alive__one_question_one_answer) {
  War war{[](CoreConfig& c) {
    c.tcp.keepalive = true;
    c.tcp.keepalive_idle = 10s;
    c.tcp.keepalive_interval = 1s;
  }};
  war.expect_calm(5min, 8);  // of each side one a second, and ARP
  EXPECT_FALSE(war.is_over());
}

TEST(SecurityC, sec_C11__window_probe_against_window_probe__as_few_as_one_side_alone_and_both_live) {
  War war{[](CoreConfig& c) { c.tcp.receive_buffer = c.tcp.receive_buffer_initial = 4096; }};
  for (int end = 0; end < 2; ++end) {
    auto c = war.pair.core(end).find(war.app[end].opened[0]);
    ASSERT_TRUE(c);
    c->pause_rx();
  }
  for (int end = 0; end < 2; ++end) war.say(end, std::string(20000, 'x'));
  war.pair.run_for(5s);
  war.expect_calm(10min, 16);  // ARP now and then, too
  EXPECT_FALSE(war.is_over());
  for (int end = 0; end < 2; ++end) war.pair.core(end).find(war.app[end].opened[0])->resume_rx();
  for (int i = 0; i < 2; ++i) EXPECT_TRUE(war.pair.run_until([&] { return war.app[i].records[war.app[i].opened[0]].received.size() == 20005; }, 2min));
}

// --- the peer is gone --------------------------------------------------------------------------------------------

TEST(SecurityC, sec_C21__dead_peer__keep_alive_ends_it_after_its_probes) {
  CoreConfig config = small_config();
  config.tcp.keepalive = true;
  SecurityWorld w{config};
  w.establish();
  w.t.advance(config.tcp.keepalive_idle + (config.tcp.keepalive_probes + 1) * config.tcp.keepalive_interval);
  EXPECT_EQ(w.t.app.reason(), CloseReason::keepalive_timed_out);
  EXPECT_LE(w.discard(), config.tcp.keepalive_probes + 1u);
  w.has_innocent = false;  // as dead as the peer
  w.discard(w.innocent);
}

TEST(SecurityC, sec_C21__dead_peer__what_is_sent_to_it_ends_by_r2) {
  SecurityWorld w;
  w.establish();
  w.t.advance(1h);
  w.t.with([](Conn& c) { c.send("is anybody there"); });
  w.t.advance(w.t.core().config().tcp.r2_timeout - 1s);
  EXPECT_FALSE(w.t.app.reason());
  w.t.advance(62s);
  EXPECT_EQ(w.t.app.reason(), CloseReason::timed_out);
  EXPECT_LE(w.discard(), 20u);
}

// RFC 9293 3.5.1, RFC 5961 4
TEST(SecurityC, sec_C21__reborn_peer__challenge_its_reset_and_a_new_connection) {
  SecurityWorld w;
  w.establish();
  const std::uint32_t expected = w.peer.iss + w.peer.snd_nxt;
  Peer reborn{w.t, w.peer.self, w.peer.stack};
  w.peer.self.port = 1;  // what comes is for the reborn one
  reborn.irs = w.peer.irs;
  reborn.iss = expected + 1000000;
  reborn.syn().mss(1460);
  const auto challenge = reborn.expect().flags(ACK);
  EXPECT_EQ(challenge.packet().ack, expected);
  EXPECT_FALSE(w.t.app.reason());
  reborn.rst().seq(expected - reborn.iss);
  EXPECT_EQ(w.t.app.reason(), CloseReason::reset_by_peer);
  reborn.snd_nxt = reborn.rcv_nxt = 0;
  reborn.irs_known = false;
  reborn.open();
  reborn.ack().data("again");
  EXPECT_EQ(w.t.app.received(), "again");
  w.discard(reborn);
}

}  // namespace
}  // namespace handfast::test
