// SPDX-License-Identifier: BSD-3-Clause
// The receive window follows what the application takes in a round trip; its bounds, its scale, its memory.
// Layer: tests of the protocol, through frames alone.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "support/pair.hpp"
#include "support/peer.hpp"
#include "support/usage.hpp"

namespace handfast::test {
namespace {

constexpr std::uint32_t initial = 64 * 1024;

int drain(Peer& p) {
  int n = 0;
  while (p.poll()) ++n;
  return n;
}

/// What a sender with this window has in one round trip on the wire: all of it arrives, then the ACKs go back.
void round_of(Trace& t, std::uint32_t segments, Duration round_trip) {
  for (std::uint32_t i = 0; i < segments; ++i) {
    t.peer.ack().data(std::string(1448, 'x')).no_poll();
    if (i % 32 == 31) t.poll();
  }
  t.poll();
  t.advance(round_trip);
  drain(t.peer);
}

TEST(AutoTuning, a_syn_offers_64_kib_and_the_scale_of_the_largest_window) {
  Trace t;
  t.listen();
  t.peer.syn().mss(1460).wscale(7);
  const auto answer = t.peer.expect().syn_ack().window(65535);
  EXPECT_EQ(answer.packet().wscale, 7) << "65535 << 7 is the first that holds 6 MiB";
  t.peer.ack();
  EXPECT_EQ(t.conn().stats().receive_window, 65535u);
}

TEST(AutoTuning, questions_and_answers__stay_at_the_initial_window) {
  Trace t;
  t.app.data = [](Conn& c, const RxView& in) {
    c.send("answer");
    return in.size();
  };
  t.listen();
  t.peer.open(modern);
  for (int i = 0; i < 300; ++i) {
    t.peer.ack().data(std::string(1000, 'q'));
    t.advance(10ms);
    drain(t.peer);
  }
  t.peer.ack();
  EXPECT_LE(t.conn().stats().receive_window, initial);
  EXPECT_EQ(t.stats().receive_windows_grown, 0u);
}

TEST(AutoTuning, slow_bulk__stays_at_the_initial_window) {
  Trace t;
  t.listen();
  t.peer.open(modern);
  for (int i = 0; i < 200; ++i) round_of(t, 6, 50ms);  // 9 KB in a round trip, 1.7 MB in all
  EXPECT_LE(t.conn().stats().receive_window, initial);
  EXPECT_EQ(t.stats().receive_windows_grown, 0u);
}

/// Opens with a round trip of `round_trip`.
void open_over(Trace& t, const Handshake& h, Duration round_trip) {
  t.listen();
  {
    Send syn = t.peer.syn();
    t.peer.offer(syn, h);
  }
  t.peer.expect().syn_ack();
  t.peer.ts_on = h.ts;
  t.advance(round_trip);
  t.peer.ack();
}

class Growth : public testing::TestWithParam<bool> {
 protected:
  const Handshake handshake{1460, 7, GetParam(), true};
};
INSTANTIATE_TEST_SUITE_P(RoundTripFrom, Growth, testing::Bool(),
                         [](const auto& ts) { return ts.param ? "timestamps" : "own_measurement"; });

TEST_P(Growth, slow_start__window_is_always_ahead_of_the_sender) {
  Trace t;
  open_over(t, handshake, 50ms);
  std::uint32_t segments = 10;
  for (int round = 0; round < 12; ++round) {
    ASSERT_LE(segments * 1448, t.conn().stats().receive_window) << "the sender had to wait in round " << round;
    round_of(t, segments, 50ms);
    segments = std::min(2 * segments, 6u * 1024 * 1024 / 1448);
  }
  EXPECT_EQ(t.conn().stats().receive_window, 6u * 1024 * 1024);
  EXPECT_GT(t.stats().receive_windows_grown, 3u);
  EXPECT_EQ(usage_of(t.core()).chunks, 0u) << "a window is a promise, not memory";
}

TEST_P(Growth, round_trip_far_below_a_millisecond__window_grows_too) {
  Trace t;
  open_over(t, handshake, 100us);
  for (int round = 0; round < 100; ++round) round_of(t, 40, 100us);
  EXPECT_GE(t.conn().stats().receive_window, 2u * 40 * 1448);
  EXPECT_LE(t.conn().stats().receive_window, 10u * 40 * 1448) << "by its round trips, not by milliseconds";
}

TEST_P(Growth, steady_flow__at_least_twice_a_round_trip_and_not_the_maximum) {
  Trace t;
  open_over(t, handshake, 50ms);
  for (int round = 0; round < 60; ++round) round_of(t, 100, 50ms);
  EXPECT_GE(t.conn().stats().receive_window, 2u * 144800);
  EXPECT_LE(t.conn().stats().receive_window, 6u * 144800);
}

TEST_P(Growth, application_reads_slowly__window_does_not_grow_beyond_its_pace) {
  Trace t;
  open_over(t, handshake, 50ms);
  t.app.data = [](Conn&, const RxView&) { return std::size_t{0}; };
  for (int round = 0; round < 100; ++round) {
    const auto room = std::min(t.conn().stats().receive_window / 1448, 40u);
    round_of(t, room, 50ms);
    t.with([](Conn& c) { c.consume(10000); });
    drain(t.peer);
  }
  EXPECT_LE(t.conn().stats().unread + t.conn().stats().receive_window, initial);
  EXPECT_EQ(t.stats().receive_windows_grown, 0u);
  t.with([](Conn& c) { c.abort(); });
  drain(t.peer);
}

TEST(AutoTuning, without_window_scale__64_kib_is_all_there_is) {
  Trace t;
  open_over(t, {1460, std::nullopt, true, true}, 50ms);
  for (int round = 0; round < 20; ++round) round_of(t, 44, 50ms);
  EXPECT_EQ(t.conn().stats().receive_window, 65535u);
}

TEST(AutoTuning, receive_buffer_below_the_initial_window__is_the_limit) {
  CoreConfig config = small_config();
  config.tcp.receive_buffer = 20000;
  Trace t{config};
  open_over(t, modern, 50ms);
  for (int round = 0; round < 20; ++round) round_of(t, 13, 50ms);
  EXPECT_LE(t.conn().stats().receive_window, 20000u);
}

TEST(AutoTuning, half_of_the_memory_is_held__windows_stop_growing_and_none_shrinks) {
  CoreConfig config = small_config();
  config.limits.buffer_memory = 1 << 20;
  Trace t{config};
  open_over(t, modern, 50ms);
  for (int round = 0; round < 10; ++round) round_of(t, 40, 50ms);
  const auto edge = [&] { return t.peer.snd_nxt + t.conn().stats().receive_window; };
  const std::uint32_t grown = t.conn().stats().receive_window;
  EXPECT_GT(grown, 100000u);
  std::vector<TxBuf> hoard;
  while (hoard.size() < 300) hoard.push_back(t.core().allocate());  // of 512
  for (int round = 0; round < 10; ++round) round_of(t, 100, 50ms);
  EXPECT_EQ(t.conn().stats().receive_window, grown);
  EXPECT_GT(t.stats().receive_windows_held, 0u);
  // Three quarters: nobody is offered more than at first, and nothing is taken back (SHLD-14).
  while (hoard.size() < 400) hoard.push_back(t.core().allocate());
  std::uint32_t right = edge();
  for (int i = 0; i < 200; ++i) {
    round_of(t, 1, 50ms);
    EXPECT_GE(edge(), right);
    right = edge();
  }
  EXPECT_LE(t.conn().stats().receive_window, initial);
  hoard.clear();
  for (int round = 0; round < 30; ++round) round_of(t, 40, 50ms);
  EXPECT_GE(t.conn().stats().receive_window, grown);
}

// rfc7323 2.4: the scale drops bits of the window; whatever is said, no more may be held than was promised.
TEST(AutoTuning, segments_smaller_than_the_scale__do_not_push_the_edge_before_them) {
  CoreConfig config = small_config();
  config.tcp.receive_buffer = 1 << 30;
  Trace t{config};
  t.listen();
  t.peer.syn().mss(1460).wscale(7).sack_ok();
  EXPECT_EQ(t.peer.expect().syn_ack().packet().wscale, 14);
  t.peer.ack();
  t.with([](Conn& c) { c.pause_rx(); });
  std::uint32_t sent = 0;
  for (int i = 0; i < 3000; ++i) {
    const auto room = std::min(t.conn().stats().receive_window, 100u);
    if (room == 0) break;
    t.peer.ack().data(std::string(room, 'x'));
    t.advance(50ms);
    drain(t.peer);
    sent += room;
  }
  EXPECT_EQ(t.conn().stats().receive_window, 0u);
  EXPECT_LE(sent, initial);
  EXPECT_EQ(t.conn().stats().unread, sent);
  // Read in small steps: the window opens again, and not by one ACK for each (MUST-39).
  int acks = 0;
  for (int i = 0; i < 100; ++i) {
    t.with([&](Conn& c) { c.consume(sent / 100 + 1); });
    acks += drain(t.peer);
  }
  EXPECT_EQ(t.conn().stats().unread, 0u);
  EXPECT_GE(t.conn().stats().receive_window, 32768u);
  EXPECT_LE(acks, 4);
}

TEST(AutoTuning, one_gib__is_offered_and_bytes_near_its_end_are_kept) {
  CoreConfig config = small_config();
  config.tcp.receive_buffer = config.tcp.receive_buffer_initial = 1 << 30;
  Trace t{config};
  t.listen();
  t.peer.open({1460, 14, true, true});
  for (int i = 0; i < 2; ++i) t.peer.ack().data(std::string(1448, 'x'));
  const std::uint32_t right = 2897 + (65535u << 14);
  t.peer.expect().pure_ack().ack(2897).window(65535);
  // The same place modulo 128 MiB, and the last bytes of the window.
  for (std::uint32_t i = 1; i <= 7; ++i) t.peer.ack().seq(10000 + (i << 27)).data("far");
  drain(t.peer);
  t.peer.ack().seq(right - 2).data("end");  // one byte too far
  t.peer.expect().pure_ack().ack(2897).sack({{right - 2, right}, {10000 + (7u << 27), 10003 + (7u << 27)},
                                             {10000 + (6u << 27), 10003 + (6u << 27)}});
  t.peer.ack().seq(right).data("out");
  t.peer.expect().pure_ack().ack(2897);
  EXPECT_EQ(t.conn().stats().out_of_order, 7u * 3 + 2);
  EXPECT_LE(usage_of(t.core()).chunks, 8u * 3) << "two directories and a chunk for each";
}

// --- end to end -------------------------------------------------------------------------------------------------

std::string& bulk() {
  static std::string bytes(24u << 20, 'b');
  return bytes;
}

struct Source {
  struct State {
    std::uint32_t sent = 0;
  };
  static void feed(Conn& c, State& s) {
    while (s.sent < bulk().size()) {
      const auto n = std::min<std::size_t>(bulk().size() - s.sent, c.writable());
      if (n == 0) return;
      if (!c.send_static(std::string_view{bulk()}.substr(s.sent, n))) return;
      s.sent += static_cast<std::uint32_t>(n);
    }
    c.close();
  }
  void on_connect(Conn& c, State& s) { feed(c, s); }
  void on_sent(Conn& c, State& s, std::size_t) {
    if (s.sent < bulk().size()) feed(c, s);
  }
};
struct Sink {
  std::uint64_t got = 0;
  std::size_t on_data(Conn&, const RxView& in) {
    got += in.size();
    return in.size();
  }
};

/// How long 24 MiB take over 100 ms; the sender's buffer is no limit.
Duration transfer_time(std::uint32_t first_window) {
  LinkRules rules;
  rules.delay = 50ms;
  Pair pair{1, rules, [&](CoreConfig& c) {
              c.tcp.receive_buffer_initial = first_window;
              c.tcp.send_buffer = 64 << 20;
            }};
  Sink sink;
  EXPECT_TRUE(pair.core(1).listen_with({any, 80}, *pair.core(1).add_handler_ref(sink)));
  Source source;
  EXPECT_TRUE(pair.core(0).connect({Pair::address(1), 80}, *pair.core(0).add_handler_ref(source)));
  const Time begin = pair.now();
  EXPECT_TRUE(pair.run_until([&] { return sink.got == bulk().size(); }, 60s));
  const Duration took = pair.now() - begin;
  EXPECT_TRUE(pair.run_idle(60s));
  return took;
}

TEST(AutoTuning, long_path__as_fast_as_with_all_of_the_window_from_the_start) {
  const Duration whole = transfer_time(6 << 20), tuned = transfer_time(initial);
  EXPECT_LE(tuned, whole + 100ms) << whole / 1ms << " ms and " << tuned / 1ms << " ms";
}

}  // namespace
}  // namespace handfast::test
