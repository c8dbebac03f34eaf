// SPDX-License-Identifier: BSD-3-Clause
// What a stranger does to the beginning and the end of connections: TIME-WAIT assassination, forged handshakes, crossing SYNs
// (rows A14, A16, A17). Layer: tests of security, through frames; the cookie's own arithmetic also by itself.
#include <gtest/gtest.h>

#include "fixture.hpp"
#include "tcp/secrets.hpp"

namespace handfast::test {
namespace {

std::uint32_t time_waits(SecurityWorld& w) { return usage_of(w.t.core()).time_wait; }

// rfc1337 3
TEST(SecurityA, sec_A14__resets_in_time_wait__it_lives_for_the_whole_of_twice_msl) {
  SecurityWorld w;
  w.bring(w.peer, State::time_wait);
  const std::uint32_t r = w.peer.snd_nxt;
  for (int second = 0; second < 59; ++second) {
    for (const std::uint32_t seq : {r, r + 1, r - 1, r + 1000}) w.expect_dropped(Drop::tcp_time_wait, [&] { w.peer.rst().seq(seq); });
    w.t.advance(1s);
  }
  EXPECT_EQ(w.state(w.peer), State::time_wait);
  w.t.expect_nothing_until(999ms);
  EXPECT_EQ(w.state(w.peer), State::time_wait);
  w.t.advance(1ms);
  EXPECT_EQ(w.state(w.peer), State::closed);
}

TEST(SecurityA, sec_A14__old_data_is_only_acknowledged_and_the_fin_again_starts_the_time_anew) {
  SecurityWorld w;
  w.bring(w.peer, State::time_wait);
  const std::uint32_t r = w.peer.snd_nxt, n = w.peer.rcv_nxt;
  w.t.advance(30s);
  w.peer.segment(ACK).seq(r - 50).data("old");
  w.peer.expect().pure_ack().seq(n).ack(r);
  w.t.advance(29s);
  EXPECT_EQ(w.state(w.peer), State::time_wait);
  w.peer.segment(FIN | ACK).seq(r - 1);
  w.peer.expect().pure_ack().seq(n).ack(r);
  w.t.advance(59s);
  EXPECT_EQ(w.state(w.peer), State::time_wait) << "once more twice MSL";
  w.t.advance(1s);
  EXPECT_EQ(time_waits(w), 0u);
}

TEST(SecurityA, sec_A14__flood_of_nonsense__a_few_answers_a_second_and_no_longer_life) {
  SecurityWorld w;
  w.bring(w.peer, State::time_wait);
  const std::uint32_t r = w.peer.snd_nxt;
  for (int second = 0; second < 60; ++second) {
    for (int i = 0; i < 50; ++i) w.peer.segment(ACK).seq(static_cast<std::uint32_t>(w.t.rng().next())).data("x");
    for (int i = 0; i < 50; ++i) w.peer.segment(SYN).seq(r - 1 - static_cast<std::uint32_t>(w.t.rng().below(1u << 30)));
    EXPECT_LE(w.discard(), 4u) << "two in half a second";
    w.t.advance(1s);
  }
  EXPECT_EQ(time_waits(w), 0u);
}

// rfc6191 2, rfc1122 4.2.2.13
TEST(SecurityA, sec_A14__syn__taken_if_certainly_newer_and_else_only_answered) {
  struct Case {
    const char* what;
    bool timestamps;
    std::uint32_t seq_ahead;
    std::int32_t ts_ahead;
    bool taken;
  };
  for (const Case& c : {Case{"larger number", false, 1, 0, true}, Case{"older number", false, 0u - 1000, 0, false},
                        Case{"newer clock, older number", true, 0u - 1000, 10, true},
                        Case{"older clock, larger number", true, 1000, -10, false},
                        Case{"same clock, larger number", true, 1000, 0, true}}) {
    SCOPED_TRACE(c.what);
    SecurityWorld w;
    w.bring(w.peer, State::time_wait, c.timestamps ? with_ts : Handshake{});
    const std::uint32_t r = w.peer.snd_nxt, n = w.peer.rcv_nxt;
    const std::uint32_t iss = w.peer.iss + r + c.seq_ahead, last = w.peer.irs + n;
    {
      Send syn = w.peer.segment(SYN);
      syn.seq(iss - w.peer.iss).mss(1460);
      if (c.timestamps) syn.ts(w.peer.ts_now() + static_cast<std::uint32_t>(c.ts_ahead), 0);
    }
    if (!c.taken) {
      w.peer.expect().pure_ack().seq(n).ack(r);
      EXPECT_EQ(w.state(w.peer), State::time_wait);
      continue;
    }
    const Packet answer = w.peer.expect().syn_ack().packet();
    EXPECT_EQ(answer.ack, iss + 1);
    EXPECT_GT(static_cast<std::int32_t>(answer.seq - last), 0);
    EXPECT_EQ(w.state(w.peer), State::syn_received);
  }
}

Packet forged(SecurityWorld& w, std::uint8_t flags) {
  Packet p;
  p.source = {Ipv4Address{0x0a000000u + 4 + static_cast<std::uint32_t>(w.t.rng().below(200))},
              static_cast<Port>(1024 + w.t.rng().below(60000))};
  p.destination = {Trace::stack_address, 80};
  p.source_mac = Trace::peer_mac;
  p.destination_mac = Trace::stack_mac;
  p.seq = static_cast<std::uint32_t>(w.t.rng().next());
  p.ack = static_cast<std::uint32_t>(w.t.rng().next());
  p.flags = flags;
  p.window = 65535;
  return p;
}

CoreConfig only_cookies() {
  CoreConfig config = small_config();
  config.limits.half_open = 0;
  config.limits.neighbours = 512;
  return config;
}

TEST(SecurityA, sec_A16__cookies_not_in_use__a_random_ack_makes_nothing_and_resets_are_limited) {
  CoreConfig config = small_config();
  config.limits.neighbours = 512;
  SecurityWorld w{config};
  const std::uint64_t shots = scaled(1000000, 100000), per_second = 50000;
  for (std::uint64_t i = 0; i < shots; ++i) {
    w.t.inject(forged(w, ACK));
    if (i % 64 == 0) w.t.other_frames.clear();
    if (i % per_second == per_second - 1) w.t.advance(1s);
  }
  EXPECT_EQ(usage_of(w.t.core()).connections, 1u) << "the innocent one";
  EXPECT_EQ(usage_of(w.t.core()).half_open, 0u);
  EXPECT_LE(w.t.stats().resets_out, shots / per_second * w.t.core().config().tcp.resets_per_second);
  EXPECT_EQ(w.drops(Drop::tcp_no_connection), shots);
  w.t.other_frames.clear();
}

// rfc4987 3.6
TEST(SecurityA, sec_A16__cookies_in_use__random_acks_are_as_good_as_never_right) {
  CoreConfig config = only_cookies();
  config.tcp.resets_per_second = 0;
  SecurityWorld w{config};
  w.peer.syn().mss(1460);
  w.peer.expect().syn_ack();
  const std::uint64_t shots = scaled(1u << 24, 1u << 18), before = w.t.stats().syn_cookies_accepted;
  for (std::uint64_t i = 0; i < shots; ++i) w.t.inject(build(forged(w, ACK)), i % 64 == 63);
  w.t.poll();
  // 2^24 tries with a chance of 2^-29 each: one in 32 runs has one.
  EXPECT_LE(w.t.stats().syn_cookies_accepted - before, is_long_run() ? 1u : 0u);
  w.peer.ack();
  EXPECT_EQ(w.state(), State::established) << "the true one";
  w.t.other_frames.clear();
}

/// Of the 2^24 numbers that have the right slot and class, one is right.
TEST(SecurityA, sec_A16__the_mac__has_all_of_its_24_bits) {
  SecurityWorld w;
  Rng rng{0xa16};
  const tcp::Secrets secrets{rng};
  const FlowKey key{{Trace::stack_address, 80}, {Trace::peer_address, 40000}};
  const Time now{1000s};
  const std::uint32_t good = tcp::make_cookie(secrets, key, Seq{77}, 1460, now).raw();
  const auto accepted = [&](std::uint32_t number) { return tcp::check_cookie(secrets, key, Seq{77}, Seq{number}, now).has_value(); };
  EXPECT_TRUE(accepted(good));
  for (unsigned bit = 0; bit < 32; ++bit) EXPECT_FALSE(accepted(good ^ 1u << bit)) << bit;
  std::uint32_t right = 0;
  const auto tries = static_cast<std::uint32_t>(scaled(1u << 24, 1u << 20));
  for (std::uint32_t mac = 0; mac < tries; ++mac) right += accepted((good & 0xff000000) | ((good + mac) & 0xffffff));
  EXPECT_EQ(right, 1u);
  EXPECT_FALSE(tcp::check_cookie(secrets, key, Seq{78}, Seq{good}, now)) << "another number of the peer's";
  Rng other{0xa17};
  EXPECT_FALSE(tcp::check_cookie(tcp::Secrets{other}, key, Seq{77}, Seq{good}, now)) << "another start of the stack";
}

TEST(SecurityA, sec_A16__age_of_a_cookie__good_for_a_slot_and_never_for_more_than_two) {
  for (const auto& [age, taken] : {std::pair{Duration{64s}, true}, {Duration{128s}, false}, {Duration{200s}, false}}) {
    SCOPED_TRACE(age / 1s);
    SecurityWorld w{only_cookies()};
    w.peer.syn().mss(1460);
    w.peer.expect().syn_ack();
    w.t.advance(age - 1ms);
    auto other = w.t.another_peer(41000);
    other->syn().mss(1460);  // so that cookies are still in use
    other->expect().syn_ack();
    w.t.advance(1ms);
    w.peer.ack();
    EXPECT_EQ(w.state(w.peer), taken ? State::established : State::closed);
    if (!taken) w.peer.expect().rst();
  }
}

TEST(SecurityA, sec_A16__good_cookie_with_other_flags__accepted_only_on_what_ends_a_handshake) {
  struct Case {
    std::uint8_t flags;
    bool taken;
  };
  for (const Case& c : {Case{ACK, true}, Case{ACK | PSH, true}, Case{ACK | SYN, false}, Case{ACK | RST, false},
                        Case{ACK | SYN | FIN, false}, Case{ACK | RST | FIN, false}, Case{ACK | SYN | RST, false}, Case{0, false},
                        Case{FIN, false}, Case{PSH, false}}) {
    SCOPED_TRACE(int{c.flags});
    SecurityWorld w{only_cookies()};
    w.peer.syn().mss(1460);
    w.peer.expect().syn_ack();
    {
      Send s = w.peer.segment(c.flags);
      s.seq(1);
    }
    EXPECT_EQ(w.state(w.peer) == State::established, c.taken);
    EXPECT_EQ(w.t.app.count("accept"), c.taken ? 1 : 0);
    w.discard();
  }
}

// rfc7323 2.3; what the echo says of options is nobody's word but the peer's
TEST(SecurityA, sec_A16__good_cookie_with_a_forged_echo__the_window_scale_is_14_at_most) {
  for (std::uint32_t low = 0; low < 64; ++low) {
    SecurityWorld w{only_cookies()};
    {
      Send syn = w.peer.syn();
      w.peer.offer(syn, modern);
    }
    const Packet answer = w.peer.expect().syn_ack().packet();
    ASSERT_TRUE(answer.ts);
    w.peer.segment(ACK).seq(1).ts(w.peer.ts_now(), (answer.ts->first & ~0x3fu) | low).window(65535);
    EXPECT_EQ(w.state(), State::established);
    EXPECT_LE(w.t.conn().stats().send_window, 65535u << 14) << low;
    w.peer.ts_on = true;
    w.discard();
  }
}

// rfc9293 3.5, figure 8
TEST(SecurityA, sec_A17__syns_cross__one_connection_and_one_callback) {
  SecurityWorld w{small_config(), false};
  w.bring(w.peer, State::syn_sent);
  w.peer.syn().mss(1460);
  w.peer.expect().syn_ack().seq(0).ack(1);
  EXPECT_EQ(w.state(w.peer), State::syn_received);
  EXPECT_TRUE(w.t.app.events.empty());
  // Neither another SYN nor a wrong ACK, nor a reset that is not exact, moves it.
  for (const std::uint32_t ack : {0u, 2u, 1000u}) {
    w.expect_dropped(Drop::tcp_unacceptable_ack, [&] { w.peer.segment(ACK).seq(1).ack(ack); });
    w.peer.expect().rst().seq(ack);
  }
  w.expect_dropped(Drop::tcp_syn_in_window, [&] { w.peer.segment(SYN).seq(500).mss(1460); });
  w.peer.expect().pure_ack().ack(1);
  w.expect_dropped(Drop::tcp_rst_not_exact, [&] { w.peer.rst().seq(2); });
  w.peer.expect().pure_ack().ack(1);
  EXPECT_EQ(w.state(w.peer), State::syn_received);
  w.peer.ack();
  EXPECT_EQ(w.state(w.peer), State::established);
  EXPECT_EQ(w.t.app.count("connect"), 1);
  w.discard();
}

TEST(SecurityA, sec_A17__split_handshake__syn_then_syn_ack_is_one_connection_with_the_first_number) {
  SecurityWorld w{small_config(), false};
  w.bring(w.peer, State::syn_sent);
  w.peer.syn().mss(1460);
  w.peer.expect().syn_ack().ack(1);
  // From another number: not the peer that we know.
  w.peer.segment(SYN | ACK).seq(70000).ack(1).mss(1460);
  w.peer.expect().pure_ack().ack(1);
  EXPECT_EQ(w.state(w.peer), State::syn_received);
  w.peer.segment(SYN | ACK).seq(0).ack(1).mss(1460);
  EXPECT_EQ(w.state(w.peer), State::established);
  EXPECT_EQ(w.t.app.count("connect"), 1);
  w.discard();
  w.peer.ack().data("in the stream");
  EXPECT_EQ(w.t.app.received(), "in the stream");
}

TEST(SecurityA, sec_A17__half_open__a_wrong_ack_is_reset_and_the_entry_stays) {
  SecurityWorld w;
  w.bring(w.peer, State::syn_received);
  for (const std::uint32_t ack : {0u, 2u, 1u << 31}) {
    w.expect_dropped(Drop::tcp_unacceptable_ack, [&] { w.peer.segment(ACK).seq(1).ack(ack).data("early"); });
    w.peer.expect().rst().seq(ack);
  }
  EXPECT_EQ(w.state(w.peer), State::syn_received);
  EXPECT_TRUE(w.t.app.events.empty());
  w.peer.ack();
  EXPECT_EQ(w.t.app.count("accept"), 1);
}

}  // namespace
}  // namespace handfast::test
