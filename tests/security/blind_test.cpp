// SPDX-License-Identifier: BSD-3-Clause
// What a stranger who sees nothing can send into a connection: resets, SYNs, data, acknowledgements, timestamps (rows A1 to
// A5, A12). Layer: tests of security, through frames. R, N, U and W are the RFC's RCV.NXT, SND.NXT, SND.UNA and RCV.WND.
#include <gtest/gtest.h>

#include "fixture.hpp"

namespace handfast::test {
namespace {

std::uint32_t receive_window(SecurityWorld& w) { return w.t.conn().stats().receive_window; }

/// Lets a second pass, so that challenges are allowed again, without anything being due.
void next_second(SecurityWorld& w) { w.t.advance(1s); }

// rfc5961 3.2; CVE-2004-0230
TEST(SecurityA, sec_A1__blind_rst__only_the_exact_one_closes_and_silently) {
  SecurityWorld w;
  w.establish(modern);
  const std::uint32_t r = w.peer.snd_nxt, n = w.peer.rcv_nxt, window = receive_window(w);
  for (const std::uint32_t inside : {r + 1, r + window - 1}) {
    w.expect_dropped(Drop::tcp_rst_not_exact, [&] { w.peer.rst().seq(inside); });
    w.peer.expect().pure_ack().seq(n).ack(r);
  }
  w.expect_dropped(Drop::tcp_rst_not_exact, [&] { w.peer.rst().seq(r + 1); });
  EXPECT_TRUE(w.peer.quiet()) << "two a second";
  EXPECT_EQ(w.drops(Drop::tcp_challenge_limited), 1u);
  w.expect_dropped(Drop::tcp_duplicate, [&] { w.peer.rst().seq(r - 1); });
  w.expect_dropped(Drop::tcp_out_of_window, [&] { w.peer.rst().seq(r + window); });
  EXPECT_TRUE(w.peer.quiet());
  EXPECT_EQ(w.state(), State::established);
  w.peer.rst().seq(r);
  EXPECT_EQ(w.t.app.reason(), CloseReason::reset_by_peer);
  EXPECT_EQ(w.t.app.count("closed:reset_by_peer"), 1);
  w.t.expect_nothing_until(5min);
}

TEST(SecurityA, sec_A1__every_state__one_challenge_inside_nothing_outside_gone_at_the_exact_number) {
  for (const State state : {State::syn_received, State::established, State::fin_wait_1, State::fin_wait_2, State::close_wait,
                            State::closing, State::last_ack}) {
    SCOPED_TRACE(std::string{name(state)});
    SecurityWorld w;
    w.bring(w.peer, state);
    const std::uint32_t r = w.peer.snd_nxt;
    w.expect_dropped(Drop::tcp_rst_not_exact, [&] { w.peer.rst().seq(r + 1); });
    w.peer.expect().pure_ack().seq(w.peer.rcv_nxt).ack(r);
    for (const std::uint32_t outside : {r - 1, r + 65536, r + (1u << 31)}) w.peer.rst().seq(outside);
    EXPECT_TRUE(w.peer.quiet());
    EXPECT_EQ(w.state(w.peer), state);
    w.peer.rst().seq(r);
    EXPECT_EQ(w.state(w.peer), State::closed);
    EXPECT_EQ(usage_of(w.t.core()).half_open, 0u) << "back to LISTEN";
    EXPECT_TRUE(w.peer.quiet());
  }
}

// rfc9293 3.10.7.4: with the window closed only SEG.SEQ = RCV.NXT is acceptable
TEST(SecurityA, sec_A1__window_closed__only_the_exact_rst_closes) {
  CoreConfig config = small_config();
  config.tcp.receive_buffer = config.tcp.receive_buffer_initial = 4096;
  SecurityWorld w{config};
  w.establish();
  w.t.with([](Conn& c) { c.pause_rx(); });
  while (receive_window(w) != 0) {
    w.peer.ack().data(std::string(std::min(1024u, receive_window(w)), 'x'));
    w.t.advance(50ms);
    w.discard();
  }
  const std::uint32_t r = w.peer.snd_nxt;
  for (const std::uint32_t other : {r + 1, r - 1, r + 4095, r + 100}) w.peer.rst().seq(other);
  EXPECT_TRUE(w.peer.quiet()) << "nothing is inside a window of nothing";
  EXPECT_EQ(w.state(), State::established);
  w.peer.rst().seq(r);
  EXPECT_EQ(w.t.app.reason(), CloseReason::reset_by_peer);
}

TEST(SecurityA, sec_A1__a_million_random_rsts_but_the_one__none_closes) {
  SecurityWorld w;
  w.establish(modern);
  constexpr std::uint64_t shots = 1u << 20;
  for (std::uint64_t i = 0; i < shots; ++i) {
    auto seq = static_cast<std::uint32_t>(w.t.rng().next());
    if (seq == w.peer.snd_nxt) ++seq;
    w.peer.rst().seq(seq);
  }
  EXPECT_EQ(w.state(), State::established);
  EXPECT_LE(w.discard(), 2u);
  w.peer.ack().data("still here");
  EXPECT_TRUE(w.t.app.received().ends_with("still here"));
}

// rfc9293 3.10.7.3
TEST(SecurityA, sec_A2__syn_sent__only_a_rst_that_acknowledges_the_syn_refuses) {
  SecurityWorld w{small_config(), false};
  const ConnId id = w.bring(w.peer, State::syn_sent);
  w.expect_dropped(Drop::tcp_rst_not_exact, [&] { w.peer.rst(); });
  for (const std::uint32_t ack : {0u, 2u, 0u - 1, 1u << 31})
    w.expect_dropped(Drop::tcp_unacceptable_ack, [&] { w.peer.segment(RST | ACK).ack(ack); });
  EXPECT_TRUE(w.peer.quiet());
  for (const std::uint32_t ack : {0u, 2u}) {
    w.expect_dropped(Drop::tcp_unacceptable_ack, [&] { w.peer.segment(ACK).ack(ack); });
    w.peer.expect().rst().seq(ack);
    w.expect_dropped(Drop::tcp_unacceptable_ack, [&] { w.peer.segment(SYN | ACK).seq(0).ack(ack).mss(1460); });
    w.peer.expect().rst().seq(ack);
  }
  EXPECT_EQ(w.state(w.peer), State::syn_sent);
  w.peer.segment(RST | ACK).ack(1);
  EXPECT_EQ(w.t.app.records[id].closed, CloseReason::refused);
  EXPECT_TRUE(w.peer.quiet());
}

// rfc5961 4.2
TEST(SecurityA, sec_A3__blind_syn_anywhere__challenge_and_no_change) {
  for (const State state : {State::established, State::fin_wait_1, State::fin_wait_2, State::close_wait, State::closing,
                            State::last_ack}) {
    SCOPED_TRACE(std::string{name(state)});
    SecurityWorld w;
    w.bring(w.peer, state);
    const std::uint32_t r = w.peer.snd_nxt, n = w.peer.rcv_nxt, window = receive_window(w);
    for (const std::uint32_t seq : {r - 1, r, r + 1, r + window, static_cast<std::uint32_t>(w.t.rng().next())}) {
      w.discard();
      w.peer.segment(SYN).seq(seq).mss(1460);
      w.peer.expect().pure_ack().seq(n).ack(r);
      w.peer.segment(SYN | ACK).seq(seq);
      w.peer.expect().pure_ack().seq(n).ack(r);
      EXPECT_TRUE(w.peer.quiet());
      next_second(w);
    }
    EXPECT_EQ(w.state(w.peer), state);
    w.discard();
  }
}

TEST(SecurityA, sec_A3__flood_of_syns_with_or_without_data_and_fin__two_challenges_a_second) {
  SecurityWorld w;
  w.establish(modern);
  const std::uint32_t r = w.peer.snd_nxt;
  for (const std::uint32_t seq : {r - 1, r, r + 1, r + receive_window(w), r + (1u << 30)}) {
    for (const std::uint8_t more : {std::uint8_t{0}, FIN, ACK}) {
      SCOPED_TRACE(std::to_string(seq - r) + " " + std::to_string(more));
      next_second(w);
      w.discard();
      for (int i = 0; i < 20; ++i) w.peer.segment(static_cast<std::uint8_t>(SYN | more)).seq(seq).data("in a SYN");
      EXPECT_EQ(w.discard(), 2u);
    }
  }
  EXPECT_EQ(w.state(), State::established);
  EXPECT_EQ(w.t.app.received().size(), 100u);
}

TEST(SecurityA, sec_A3__reborn_peer__challenge_its_rst_and_a_new_connection) {
  SecurityWorld w;
  w.establish();
  const std::uint32_t r = w.peer.snd_nxt;
  w.peer.segment(SYN).seq(r + (1u << 29)).mss(1460);
  w.peer.expect().pure_ack().ack(r);
  w.peer.rst().seq(r);
  EXPECT_EQ(w.t.app.reason(), CloseReason::reset_by_peer);
  w.peer.iss += 1u << 29;
  w.peer.snd_nxt = 0;
  w.peer.irs_known = false;
  w.establish();
  EXPECT_EQ(w.state(), State::established);
}

/// An established connection whose peer has never offered more than `window` and has acknowledged `sent` bytes.
void established_with(SecurityWorld& w, std::uint32_t window, std::uint32_t sent) {
  w.peer.window = window;
  w.establish({}, false);
  w.most_out_per_in = 1000;
  for (std::uint32_t done = 0; done < sent;) {
    const std::uint32_t part = std::min(window, sent - done);
    w.t.with([&](Conn& c) { EXPECT_EQ(c.send(std::string(part, 's')), part); });
    done += part;
    while (w.peer.rcv_nxt < 1 + done) {
      w.t.advance(1s);
      w.discard();
      w.peer.ack();
    }
  }
  w.t.advance(1s);
  w.discard();
  w.most_out_per_in = 1;
  ASSERT_EQ(w.peer.rcv_nxt, 1 + sent);
}

// rfc5961 5.2
TEST(SecurityA, sec_A4__data_with_an_ack_that_cannot_be__challenge_and_nothing_delivered) {
  constexpr std::uint32_t most = 1000;
  SecurityWorld w;
  established_with(w, most, 5000);
  const std::uint32_t r = w.peer.snd_nxt, n = w.peer.rcv_nxt;
  for (const std::uint32_t ack : {n - most - 1, n + 1, n + (1u << 31), n - (1u << 30)}) {
    w.expect_dropped(Drop::tcp_unacceptable_ack, [&] { w.peer.segment(ACK).seq(r).ack(ack).data("0123456789"); });
    w.peer.expect().pure_ack().seq(n).ack(r);
    next_second(w);
  }
  EXPECT_EQ(w.t.app.received(), "");
  w.peer.segment(ACK).seq(r).ack(n - 1).data("0123456789");
  EXPECT_EQ(w.t.app.received(), "0123456789") << "old, but what an honest peer may say";
  w.peer.segment(ACK).seq(r + 10).ack(n - most).data("abc");
  EXPECT_EQ(w.t.app.received(), "0123456789abc") << "the lower edge itself";
  w.t.advance(1s);
  w.discard();
}

// The lower edge is never below what was really sent, however large the window.
TEST(SecurityA, sec_A5__ghost_acks__refused_below_the_first_byte_ever_sent) {
  constexpr std::uint32_t most = 2000;
  for (const std::uint32_t sent : {0u, 1u, most - 1, most, 2 * most}) {
    SCOPED_TRACE(sent);
    SecurityWorld w;
    established_with(w, most, sent);
    const std::uint32_t r = w.peer.snd_nxt, n = w.peer.rcv_nxt, edge = n - std::min(most, sent);
    for (const std::uint32_t back : {1u, 2u, 100u}) {
      w.expect_dropped(Drop::tcp_unacceptable_ack, [&] { w.peer.segment(ACK).seq(r).ack(edge - back).data("ghost"); });
      w.peer.expect().pure_ack().seq(n).ack(r);
      next_second(w);
    }
    EXPECT_EQ(w.t.app.received(), "");
    w.peer.segment(ACK).seq(r).ack(edge).data("true");
    EXPECT_EQ(w.t.app.received(), "true");
    w.t.advance(1s);
    w.discard();
  }
}

TEST(SecurityA, sec_A5__full_window_and_nothing_sent__a_hundred_back_is_refused) {
  SecurityWorld w;
  w.establish({}, false);
  w.expect_dropped(Drop::tcp_unacceptable_ack, [&] { w.peer.segment(ACK).ack(1 - 100).seq(1).data("ghost"); });
  w.peer.expect().pure_ack().seq(1).ack(1);
  EXPECT_EQ(w.t.app.received(), "");
}

// rfc7323 4.3, 5.3
TEST(SecurityA, sec_A12__unacceptable_ack_with_a_far_timestamp__does_not_poison_ts_recent) {
  SecurityWorld w;
  w.establish(modern);
  const std::uint32_t r = w.peer.snd_nxt, n = w.peer.rcv_nxt, now = w.peer.ts_now();
  w.expect_dropped(Drop::tcp_unacceptable_ack,
                   [&] { w.peer.segment(ACK).seq(r).ack(n + 1).ts(now + (1u << 30), 0).data("poison"); });
  EXPECT_EQ(w.peer.expect().pure_ack().ack(r).packet().ts->second, now);
  // Outside of the window, and with flags that are refused: the same.
  w.peer.segment(ACK).seq(r + (1u << 30)).ts(now + (1u << 30), 0).data("far");
  EXPECT_EQ(w.peer.expect().packet().ts->second, now);
  w.peer.segment(SYN).seq(r).ts(now + (1u << 30), 0);
  EXPECT_EQ(w.peer.expect().packet().ts->second, now);
  w.expect_dropped(Drop::tcp_no_ack, [&] { w.peer.segment(0).no_ack().seq(r).ts(now + (1u << 30), 0).data("no ACK"); });
  w.peer.ack().data("true");
  EXPECT_TRUE(w.t.app.received().ends_with("true"));
  w.t.advance(1s);
  w.discard();
}

TEST(SecurityA, sec_A12__old_timestamp__dropped_and_answered_but_a_rst_is_exempt) {
  SecurityWorld w;
  w.establish(modern);
  w.t.advance(500ms);
  w.peer.ack().data("new");
  w.t.advance(1s);
  w.discard();
  const std::uint32_t r = w.peer.snd_nxt, n = w.peer.rcv_nxt, old = w.peer.ts_now() - 1000 - 100;
  w.expect_dropped(Drop::tcp_old_timestamp, [&] { w.peer.segment(ACK).seq(r).ts(old, 0).data("old"); });
  w.peer.expect().pure_ack().seq(n).ack(r);
  EXPECT_TRUE(w.t.app.received().ends_with("new"));
  w.peer.rst().seq(r).ts(old, 0);
  EXPECT_EQ(w.t.app.reason(), CloseReason::reset_by_peer);
  EXPECT_TRUE(w.peer.quiet());
}

}  // namespace
}  // namespace handfast::test
