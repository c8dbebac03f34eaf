// SPDX-License-Identifier: BSD-3-Clause
// Windows: scale, zero and probes, shrinking, silly windows on both sides, never taking back (RFC 9293
// section 3.8.6). Layer: tests of the protocol, through frames alone.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "support/peer.hpp"

namespace handfast::test {
namespace {

int drain(Peer& p) {
  int n = 0;
  while (p.poll()) ++n;
  return n;
}

/// What comes in order from now on, each segment acknowledged.
std::string read_all(Trace& t) {
  std::string got;
  for (std::uint32_t from = t.peer.rcv_nxt; auto p = t.peer.poll(); from = t.peer.rcv_nxt) {
    EXPECT_EQ(p->seq - t.peer.irs, from);
    got += p->payload;
    t.peer.ack();
  }
  return got;
}

// --- sending into the peer's window
// ---------------------------------------------------------------------------------

// rfc5681 2
TEST(SendWindow, never_more_than_offered) {
  Trace t;
  t.listen();
  t.peer.window = 2000;
  t.peer.open();
  t.with([](Conn& c) { c.send(std::string(5000, 'x')); });
  t.peer.expect().seq(1).length(1460);
  // The other 540 of the window: SWS avoidance sends them only if they are half of the largest window.
  t.expect_nothing();
  t.peer.ack();
  t.peer.expect().seq(1461).length(1460);
}

// rfc7323 2.3a
TEST(SendWindow, scaled__is_what_the_field_says_times_the_factor) {
  Trace t;
  t.listen();
  {
    Send s = t.peer.syn();
    s.mss(1460).wscale(4);
  }
  t.peer.expect().syn_ack();
  t.peer.ack().window(200);  // 3200
  t.with([](Conn& c) { c.send(std::string(10000, 'x')); });
  std::uint32_t sent = 0;
  while (auto p = t.peer.poll()) sent += static_cast<std::uint32_t>(p->payload.size());
  EXPECT_LE(sent, 3200u);
  EXPECT_GE(sent, 2920u);
}

TEST(SendWindow, update_without_new_ack__opens_it) {
  Trace t;
  t.listen();
  t.peer.open();
  t.peer.ack().window(0);
  t.with([](Conn& c) { c.send("waits"); });
  t.expect_nothing_until(50ms);
  t.peer.ack().window(100);
  t.peer.expect().seq(1).data("waits");
}

TEST(SendWindow, update_from_an_older_segment__is_ignored) {
  Trace t;
  t.listen();
  t.peer.open();
  t.peer.ack().data("abc").window(5000);
  t.peer.ack().seq(1).ack(1).window(10);  // reordered: SEG.SEQ < SND.WL1
  EXPECT_EQ(t.conn().stats().send_window, 5000u);
  drain(t.peer);
}

// MUST-36, MUST-37
TEST(ZeroWindow, probes__back_off_to_a_minute_and_go_on_while_they_are_answered) {
  Trace t;
  t.listen();
  t.peer.open();
  t.peer.ack().window(0);
  t.with([](Conn& c) { c.send("waits"); });
  std::vector<Duration> gaps;
  Time last = t.now();
  while (gaps.size() < 16) {
    t.advance_to_frame(2min);
    const auto p = t.peer.expect().flags(ACK).seq(1);
    EXPECT_LE(p.packet().payload.size(), 1u);
    gaps.push_back(p.packet().at - last);
    last = p.packet().at;
    t.peer.ack().ack(1).window(0);
  }
  for (std::size_t i = 1; i < gaps.size(); ++i) EXPECT_GE(gaps[i], gaps[i - 1]) << i;
  EXPECT_LE(gaps.back(), 60s);
  EXPECT_GE(gaps.back(), 30s);
  EXPECT_GE(t.elapsed(), 5min) << "longer than R2";
  EXPECT_EQ(t.state(), State::established) << "RFC 9293 3.8.6.1: as long as the probes are answered";
  EXPECT_GE(t.stats().zero_window_probes, 16u);
  t.peer.rcv_nxt = 1;  // what the probes carried was not taken
  t.peer.ack().window(1000);
  EXPECT_EQ(read_all(t), "waits");
}

TEST(ZeroWindow, probes_unanswered__given_up_by_r2) {
  Trace t;
  t.listen();
  t.peer.open();
  t.peer.ack().window(0);
  t.with([](Conn& c) { c.send("waits"); });
  t.advance(299s);
  EXPECT_FALSE(t.app.reason());
  t.advance(62s);
  EXPECT_EQ(t.app.reason(), CloseReason::timed_out);
  drain(t.peer);
}

TEST(ZeroWindow, sec_C4__user_timeout__ends_it_though_probes_are_answered) {
  Trace t;
  t.listen();
  t.peer.open();
  t.peer.ack().window(0);
  t.with([](Conn& c) {
    c.set_user_timeout(20s);
    c.send("waits");
  });
  for (int i = 0; i < 200 && !t.app.reason(); ++i) {
    t.advance(1s);
    if (drain(t.peer) != 0 && !t.app.reason()) t.peer.ack().ack(1).window(0);
  }
  EXPECT_EQ(t.app.reason(), CloseReason::timed_out);
  EXPECT_GE(t.elapsed(), 20s);
  EXPECT_LE(t.elapsed(), 60s);
}

TEST(ZeroWindow, the_probes_byte_is_taken__the_stream_stays_exact) {
  Trace t;
  t.listen();
  t.peer.open();
  t.peer.ack().window(0);
  t.with([](Conn& c) { c.send("0123456789"); });
  std::string got;
  for (int i = 0; i < 4; ++i) {
    t.advance_to_frame(2min);
    while (auto p = t.peer.poll()) {
      EXPECT_EQ(p->seq - t.peer.irs, 1 + got.size());
      got += p->payload;
    }
    t.peer.ack().window(0);  // takes the byte, and keeps the window shut
  }
  EXPECT_GE(got.size(), 1u);
  t.peer.ack().window(500);
  while (auto p = t.peer.poll()) got += p->payload;
  EXPECT_EQ(got, "0123456789");
}

TEST(ZeroWindow, from_the_start__syn_ack_with_window_0) {
  Trace t;
  t.app.connected = [](Conn& c) { c.send("hello"); };
  t.connect();
  t.peer.expect().syn();
  t.peer.syn_ack().mss(1460).window(0);
  t.peer.expect().pure_ack();
  t.advance_to_frame(3s);
  t.peer.expect().seq(1);
  t.peer.rcv_nxt = 1;
  t.peer.ack().window(100);
  EXPECT_EQ(read_all(t), "hello");
}

TEST(ZeroWindow, fin_alone__is_sent_and_the_close_completes) {
  Trace t;
  t.listen();
  t.peer.open();
  t.peer.ack().window(0);
  t.with([](Conn& c) { c.close(); });
  t.advance(3s);
  bool fin = false;
  while (auto p = t.peer.poll()) fin |= p->has(FIN);
  EXPECT_TRUE(fin) << "a FIN takes no window that data would";
  t.peer.ack().ack(2);
  EXPECT_EQ(t.state(), State::fin_wait_2);
}

// MUST-34, SHLD-15, rfc7323 2.4a
TEST(ShrunkWindow, sec_C6__right_edge_retreats_below_snd_nxt__nothing_new_beyond_and_recovers) {
  Trace t;
  t.listen();
  t.peer.window = 10000;
  t.peer.open();
  t.with([](Conn& c) { c.send(std::string(20000, 'x')); });
  while (t.peer.poll()) {
  }
  const std::uint32_t highest = t.peer.rcv_nxt;
  t.peer.ack().ack(1461).window(1000);  // 1461 + 1000 is far below what was sent
  for (int i = 0; i < 100; ++i) {
    t.advance(100ms);
    while (auto p = t.peer.poll())
      EXPECT_LE(p->seq - t.peer.irs + p->payload.size(), highest) << "nothing new";
  }
  EXPECT_EQ(t.state(), State::established);
  t.peer.ack().ack(1461).window(0);
  for (int i = 0; i < 100; ++i) {
    t.advance(100ms);
    while (t.peer.poll()) {
    }
    t.peer.ack().ack(1461).window(0);
  }
  // Open again: everything arrives.
  t.peer.rcv_nxt = 1461;
  t.peer.window = 65535;
  for (int i = 0; i < 200 && t.peer.rcv_nxt != 20001; ++i) {
    t.peer.ack();
    t.advance(200ms);
    while (t.peer.poll()) {
    }
  }
  EXPECT_EQ(t.peer.rcv_nxt, 20001u);
  t.peer.ack();
  EXPECT_EQ(t.conn().unacked(), 0u);
}

// MUST-38
TEST(SillyWindow, sec_C5__four_byte_windows__one_small_segment_for_an_override_timeout) {
  Trace t;
  t.listen();
  t.peer.open();
  t.peer.ack().window(4);
  t.with([](Conn& c) { c.send(std::string(100, 'x')); });
  int segments = drain(t.peer);
  const Time begin = t.now();
  while (t.now() - begin < 2s) {
    t.advance(10ms);
    const int n = drain(t.peer);
    segments += n;
    if (n != 0) t.peer.ack().window(4);
  }
  EXPECT_GE(segments, 2) << "it does go on";
  EXPECT_LE(segments, 21) << "but slowly: 0.1 to 1 s each";
}

TEST(SillyWindow, held_back_and_a_duplicate_ack_comes__override_still_fires) {
  Trace t;
  t.listen();
  t.peer.window = 4000;
  t.peer.open();
  t.peer.ack().window(900);
  t.with([](Conn& c) { c.send(std::string(3000, 'x')); });
  t.expect_nothing_until(50ms);
  t.peer.ack();  // says nothing new
  t.peer.ack().window(950);
  EXPECT_EQ(t.advance_to_frame(5s), 150ms);
  t.peer.expect().length(950);
}

// MUST-38
TEST(SillyWindow, half_of_the_largest_window__is_sent) {
  Trace t;
  t.listen();
  t.peer.window = 1000;  // never more than that
  t.peer.open();
  t.with([](Conn& c) { c.send(std::string(3000, 'x')); });
  t.peer.expect().length(1000);
  t.peer.ack().window(500);
  t.peer.expect().length(500);
  t.peer.ack().window(300);
  EXPECT_TRUE(t.peer.quiet());
}

// --- the window that we offer
// -------------------------------------------------------------------------------------------

// SHLD-14, rfc7323 2.4b
TEST(ReceiveWindow, never_retreats_beyond_its_scale_and_never_exceeds_the_buffer) {
  for (const int shift : {0, 1}) {
    CoreConfig config = small_config();
    config.tcp.receive_buffer = shift == 0 ? 20000 : 300001;
    Trace t{config};
    t.app.data = [&](Conn&, const RxView& in) {
      return static_cast<std::size_t>(t.rng().below(static_cast<std::uint32_t>(in.size()) + 1));
    };
    t.listen();
    std::uint8_t scale = 0;
    {
      Send s = t.peer.syn();
      s.mss(1460);
      if (shift != 0) s.wscale(7);
    }
    const auto syn_ack = t.peer.expect();
    scale = syn_ack.packet().wscale.value_or(0);
    std::uint32_t edge = 1 + syn_ack.packet().window;
    t.peer.ack();
    for (int i = 0; i < 2000; ++i) {
      const std::uint32_t room = edge - t.peer.snd_nxt;
      const std::uint32_t n = std::min(room, 1 + t.rng().below(1460));
      if (n != 0) t.peer.ack().data(std::string(n, 'x'));
      if (t.rng().below(4) == 0) t.advance(50ms);
      if (t.rng().below(8) == 0) t.with([&](Conn& c) { c.consume(t.rng().below(9000)); });
      while (auto p = t.peer.poll()) {
        const std::uint32_t right = p->ack - t.peer.iss + (std::uint32_t{p->window} << scale);
        // By what the scale drops it may, rather than past the buffer (rfc7323 2.4).
        EXPECT_GT(static_cast<std::int32_t>(right - edge), -(1 << scale)) << "SHLD-14: the right edge moved left";
        edge = std::max(edge, right);
        EXPECT_LE(std::uint32_t{p->window} << scale, config.tcp.receive_buffer + (1u << scale));
      }
    }
    EXPECT_EQ(t.state(), State::established);
  }
}

// MAY-8
TEST(ReceiveWindow, closes_while_paused_and_opens_with_an_update) {
  CoreConfig config = small_config();
  config.tcp.receive_buffer = 8192;
  Trace t{config};
  t.listen();
  t.peer.open();
  t.with([](Conn& c) { c.pause_rx(); });
  std::uint32_t window = 8192;
  while (window != 0) {
    t.peer.ack().data(std::string(std::min(window, 1460u), 'x'));
    t.advance(50ms);
    while (auto p = t.peer.poll()) window = p->window;
  }
  EXPECT_EQ(t.conn().stats().unread, 8192u);
  t.peer.ack().seq(t.peer.snd_nxt).data("p");  // a probe: acknowledged at once, not taken
  t.peer.expect().pure_ack().ack(1 + 8192).window(0);
  EXPECT_EQ(t.drops(Drop::tcp_window_full), 1u);
  t.with([](Conn& c) { c.resume_rx(); });
  const auto update = t.peer.expect().pure_ack().ack(1 + 8192);
  EXPECT_GE(update.packet().window, 4096);
  EXPECT_EQ(t.app.received().size(), 8192u);
}

// MUST-39
TEST(ReceiveWindow, sws__no_update_for_a_few_bytes) {
  CoreConfig config = small_config();
  config.tcp.receive_buffer = 8192;
  Trace t{config};
  t.listen();
  t.peer.open();
  t.with([](Conn& c) { c.pause_rx(); });
  std::uint32_t window = 8192;
  while (window != 0) {
    t.peer.ack().data(std::string(std::min(window, 1460u), 'x'));
    t.advance(50ms);
    while (auto p = t.peer.poll()) window = p->window;
  }
  t.with([](Conn& c) { c.consume(100); });
  t.expect_nothing_until(1s);
  t.peer.ack().data("p");
  t.peer.snd_nxt -= 1;
  t.peer.expect().window(0);
  t.with([](Conn& c) { c.consume(5000); });
  EXPECT_GE(t.peer.expect().pure_ack().packet().window, 1460);
}

TEST(ReceiveWindow, fin_at_a_closed_window__taken_when_it_opens) {
  CoreConfig config = small_config();
  config.tcp.receive_buffer = 2920;
  Trace t{config};
  t.listen();
  t.peer.open();
  t.with([](Conn& c) { c.pause_rx(); });
  t.peer.ack().data(std::string(1460, 'x'));
  t.peer.ack().data(std::string(1460, 'x'));
  t.peer.expect().window(0);
  t.peer.fin();
  t.peer.snd_nxt -= 1;
  t.peer.expect().pure_ack().ack(2921);
  t.with([](Conn& c) { c.resume_rx(); });
  drain(t.peer);
  t.peer.fin();
  EXPECT_EQ(t.app.count("fin"), 1);
  drain(t.peer);
}

}  // namespace
}  // namespace handfast::test
