// SPDX-License-Identifier: BSD-3-Clause
// RST and SYN in every state (RFC 9293 section 3.10.7, RFC 5961), challenge ACKs and their limit.
// Layer: tests of the protocol, through frames alone.
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "support/peer.hpp"
#include "support/usage.hpp"

namespace handfast::test {
namespace {

/// Brings the connection into a state; nothing is left untaken. The peer's next numbers are right.
void bring_to(Trace& t, State state) {
  t.listen();
  t.peer.open();
  const auto half_close = [&] {
    t.with([](Conn& c) { c.shutdown_write(); });
    t.peer.expect().fin();
  };
  const auto peers_fin = [&](std::uint32_t ack) {
    t.peer.segment(FIN | ACK).ack(ack);
    t.peer.expect().pure_ack();
  };
  switch (state) {
    case State::fin_wait_1:
      half_close();
      break;
    case State::fin_wait_2:
      half_close();
      t.peer.ack();
      break;
    case State::close_wait:
      peers_fin(1);
      break;
    case State::closing:
      half_close();
      peers_fin(1);
      break;
    case State::last_ack:
      peers_fin(1);
      half_close();
      break;
    case State::established:
    case State::closed:
    case State::listen:
    case State::syn_sent:
    case State::syn_received:
    case State::time_wait:
      break;
  }
  ASSERT_EQ(t.state(), state);
}

constexpr State synchronised[] = {State::established, State::fin_wait_1, State::fin_wait_2,
                                  State::close_wait,  State::closing,    State::last_ack};

class EveryState : public testing::TestWithParam<State> {};
INSTANTIATE_TEST_SUITE_P(Reset, EveryState, testing::ValuesIn(synchronised), [](const auto& state) {
  std::string s{name(state.param)};
  for (char& c : s)
    if (c == '-') c = '_';
  return s;
});

// MUST-12, rfc5961 3.2a
TEST_P(EveryState, sec_A1__rst_at_rcv_nxt__closes_once_and_silently) {
  Trace t;
  bring_to(t, GetParam());
  t.peer.rst();
  EXPECT_EQ(t.app.reason(), CloseReason::reset_by_peer);
  EXPECT_EQ(t.stats().resets_in, 1u);
  t.expect_nothing_until(2min);
  EXPECT_EQ(usage_of(t.core()), Usage{});
}

// rfc5961 3.2b
TEST_P(EveryState, sec_A1__rst_in_window__one_challenge_and_no_more) {
  Trace t;
  bring_to(t, GetParam());
  const std::uint32_t window = t.conn().stats().receive_window;
  const std::uint32_t snd = t.peer.rcv_nxt, rcv = t.peer.snd_nxt;
  t.peer.rst().seq(rcv + 1);
  t.peer.expect().pure_ack().seq(snd).ack(rcv);
  t.peer.rst().seq(rcv + window - 1);
  t.peer.expect().pure_ack().seq(snd).ack(rcv);
  EXPECT_EQ(t.state(), GetParam());
  EXPECT_EQ(t.stats().challenge_acks, 2u);
}

// rfc5961 3.2c
TEST_P(EveryState, sec_A1__rst_outside__silence) {
  Trace t;
  bring_to(t, GetParam());
  const std::uint32_t window = t.conn().stats().receive_window;
  for (const std::uint32_t offset : {0u - 1, 0u - 65535, window, window + 1, 1u << 31, (1u << 31) - 1})
    t.peer.rst().seq(t.peer.snd_nxt + offset);
  t.expect_nothing();
  EXPECT_EQ(t.state(), GetParam());
  EXPECT_EQ(t.drops(Drop::tcp_out_of_window) + t.drops(Drop::tcp_duplicate), 6u);
}

TEST_P(EveryState, sec_A1__a_million_random_rsts_but_the_one__never_close) {
  Trace t;
  bring_to(t, GetParam());
  for (int i = 0; i < 20000; ++i) {
    const auto offset = static_cast<std::uint32_t>(t.rng().next());
    if (offset != 0) t.peer.rst().seq(t.peer.snd_nxt + offset).no_poll();
    if (i % 1000 == 0) t.poll();
  }
  t.poll();
  EXPECT_EQ(t.state(), GetParam());
  while (t.peer.poll()) {
  }
}

// rfc5961 4.2a
TEST_P(EveryState, sec_A3__syn_anywhere__challenge_and_no_change) {
  for (const std::uint32_t offset : {0u - 1, 0u, 1u, 65535u, 70000u, 1u << 31, 0x12345678u}) {
    Trace t;
    bring_to(t, GetParam());
    const std::uint32_t snd = t.peer.rcv_nxt, rcv = t.peer.snd_nxt;
    t.peer.segment(SYN).seq(rcv + offset);
    t.peer.expect().pure_ack().seq(snd).ack(rcv);
    t.expect_nothing();
    EXPECT_EQ(t.state(), GetParam()) << offset;
  }
}

// rfc5961 4.2b
TEST_P(EveryState, sec_A3__reborn_peer__challenge_then_its_rst_then_a_new_connection) {
  Trace t;
  bring_to(t, GetParam());
  const std::uint32_t rcv = t.peer.snd_nxt;
  t.peer.segment(SYN).seq(777777);
  const Packet challenge = t.peer.expect().pure_ack().packet();
  Packet rst;
  rst.source = t.peer.self;
  rst.destination = t.peer.stack;
  rst.source_mac = Trace::peer_mac;
  rst.destination_mac = Trace::stack_mac;
  rst.seq = challenge.ack;
  rst.flags = RST;
  t.inject(rst);
  EXPECT_EQ(t.app.reason(), CloseReason::reset_by_peer) << rcv;
  t.peer.irs_known = false;
  t.peer.iss += 777777;
  t.peer.snd_nxt = 0;
  t.peer.open();
  EXPECT_EQ(t.state(), State::established);
}

TEST_P(EveryState, no_ack_flag__dropped) {
  Trace t;
  bring_to(t, GetParam());
  t.peer.segment(0).no_ack().data("x");
  t.peer.segment(FIN).no_ack();
  t.expect_nothing();
  EXPECT_EQ(t.state(), GetParam());
  EXPECT_EQ(t.drops(Drop::tcp_no_ack), 2u);
}

// MAY-12, rfc5961 5.2
TEST_P(EveryState, sec_A4__ack_of_what_was_never_sent__challenge_and_nothing_delivered) {
  Trace t;
  bring_to(t, GetParam());
  const std::uint32_t snd = t.peer.rcv_nxt;
  for (const std::uint32_t ack : {snd + 1, snd + 1000000}) {
    t.peer.segment(ACK).seq(t.peer.snd_nxt).ack(ack).data("0123456789");
    t.peer.expect().pure_ack().seq(snd).ack(t.peer.snd_nxt);
  }
  EXPECT_EQ(t.state(), GetParam());
  EXPECT_EQ(t.app.received(), "");
}

// rfc5961 7a
TEST_P(EveryState, sec_A7__a_flood_of_challenges__two_a_second_and_no_buffer_kept) {
  Trace t;
  bring_to(t, GetParam());
  const Usage before = usage_of(t.core());
  for (int i = 0; i < 3000; ++i) t.peer.rst().seq(t.peer.snd_nxt + 5);
  for (int i = 0; i < 3000; ++i) t.peer.segment(SYN).seq(t.peer.snd_nxt + 5);
  int answers = 0;
  while (t.peer.poll()) ++answers;
  EXPECT_EQ(answers, 2);
  EXPECT_EQ(t.stack().buffers_in_use(), 0u);
  EXPECT_EQ(usage_of(t.core()), before);
  EXPECT_EQ(t.drops(Drop::tcp_challenge_limited), 5998u);
  // The next second allows two more. (Retransmissions of a FIN that nobody acknowledged are another matter.)
  t.advance(1s);
  while (t.peer.poll()) {
  }
  const std::uint64_t so_far = t.stats().challenge_acks;
  for (int i = 0; i < 10; ++i) t.peer.rst().seq(t.peer.snd_nxt + 5);
  EXPECT_EQ(t.stats().challenge_acks - so_far, 2u);
  while (t.peer.poll()) {
  }
}

// MUST-66
TEST(Reset, sec_A1__zero_window__only_the_exact_rst_closes) {
  Trace t;
  t.listen();
  t.peer.open();
  t.with([](Conn& c) { c.pause_rx(); });
  while (t.conn().stats().receive_window != 0) {
    t.peer.ack().data(std::string(std::min(1460u, t.conn().stats().receive_window), 'x'));
    t.advance(50ms);
    while (t.peer.poll()) {
    }
  }
  for (const std::uint32_t offset : {1u, 0u - 1, 100u}) t.peer.rst().seq(t.peer.snd_nxt + offset);
  EXPECT_EQ(t.state(), State::established);
  t.peer.rst();
  EXPECT_EQ(t.app.reason(), CloseReason::reset_by_peer);
  while (t.peer.poll()) {
  }
}

// MUST-11
TEST(Reset, sec_A1__syn_received__returns_to_listen) {
  Trace t;
  t.listen();
  t.peer.syn().mss(1460);
  t.peer.expect().syn_ack();
  t.peer.rst().seq(2);
  t.peer.expect().pure_ack().seq(1).ack(1);
  t.peer.rst().seq(0);
  t.peer.rst().seq(70000);
  t.expect_nothing();
  EXPECT_EQ(usage_of(t.core()).half_open, 1u);
  t.peer.rst();
  EXPECT_EQ(usage_of(t.core()).half_open, 0u);
  t.expect_nothing_until(1min);
}

// rfc5961 3.2d
TEST(Reset, sec_A2__syn_sent__only_a_rst_that_acknowledges_our_syn_counts) {
  Trace t;
  const ConnId id = t.connect();
  t.peer.expect().syn();
  t.peer.rst();
  t.peer.segment(RST | ACK).ack(0);
  t.peer.segment(RST | ACK).ack(2);
  t.expect_nothing();
  ASSERT_TRUE(t.core().find(id));
  EXPECT_EQ(t.core().find(id)->state(), State::syn_sent);
  t.peer.segment(ACK).ack(2);
  t.peer.expect().rst().seq(2);
  t.peer.segment(SYN | ACK).seq(0).ack(0);
  t.peer.expect().rst().seq(0);
  EXPECT_EQ(t.core().find(id)->state(), State::syn_sent);
  t.peer.segment(RST | ACK).ack(1);
  EXPECT_EQ(t.app.records[id].closed, CloseReason::refused);
}

TEST(Reset, sec_A17__syn_received__wrong_ack_is_reset_and_the_connection_stays) {
  Trace t;
  t.connect();
  t.peer.expect().syn();
  t.peer.syn().mss(1460);
  t.peer.expect().syn_ack().ack(1);
  t.peer.segment(ACK).seq(1).ack(2);
  t.peer.expect().rst().seq(2);
  t.peer.segment(ACK).seq(1).ack(0);
  t.peer.expect().rst().seq(0);
  t.peer.ack();
  EXPECT_EQ(t.state(), State::established);
  EXPECT_EQ(t.app.count("connect"), 1);
}

TEST(Reset, closed__every_flag_combination__reset_but_never_for_a_reset) {
  for (unsigned flags = 0; flags < 64; ++flags) {
    Trace t;
    const auto f = static_cast<std::uint8_t>(flags);
    {
      Send s = t.peer.segment(f);
      s.seq(5);
      if ((f & ACK) != 0) s.ack(9);
    }
    if ((f & RST) != 0) {
      EXPECT_TRUE(t.peer.quiet()) << flags;
      continue;
    }
    const std::uint32_t length = ((f & SYN) != 0 ? 1u : 0u) + ((f & FIN) != 0 ? 1u : 0u);
    if ((f & ACK) != 0)
      t.peer.expect().rst().raw_seq(t.peer.irs + 9);
    else
      t.peer.expect().rst_ack().raw_seq(0).ack(5 + length);
    EXPECT_TRUE(t.peer.quiet()) << flags;
  }
}

TEST(Reset, listen__every_flag_combination__by_the_book) {
  for (unsigned flags = 0; flags < 64; ++flags) {
    Trace t;
    t.listen();
    const auto f = static_cast<std::uint8_t>(flags);
    t.peer.segment(f).seq(0);
    if ((f & RST) != 0) {
      EXPECT_TRUE(t.peer.quiet()) << flags;
    } else if ((f & ACK) != 0) {
      t.peer.expect().rst();
    } else if ((f & SYN) != 0) {
      t.peer.expect().syn_ack().ack(1);
    } else {
      EXPECT_TRUE(t.peer.quiet()) << flags;
    }
    EXPECT_TRUE(t.app.events.empty());
  }
}

TEST(Reset, sec_C3__ack_flood_to_closed_ports__bounded_by_second) {
  CoreConfig config = small_config();
  config.tcp.resets_per_second = 50;
  config.limits.neighbours = 512;
  Trace t{config};
  for (int i = 0; i < 5000; ++i) {
    Packet p;
    p.source = {Ipv4Address{Trace::peer_address.value + static_cast<std::uint32_t>(i) % 200}, static_cast<Port>(1024 + i)};
    p.destination = {Trace::stack_address, 9999};
    p.source_mac = Trace::peer_mac;
    p.destination_mac = Trace::stack_mac;
    p.flags = ACK;
    p.ack = static_cast<std::uint32_t>(i);
    t.inject(p);
  }
  EXPECT_EQ(t.stats().resets_out, 50u);
  EXPECT_EQ(t.drops(Drop::tcp_rst_rate_limited), 4950u);
  EXPECT_EQ(t.stack().buffers_in_use(), 0u);
  t.other_frames.clear();
  t.advance(1s);
  t.peer.ack();
  t.peer.expect().rst();
}

TEST(Reset, sec_A6__two_connections__challenges_of_one_do_not_show_in_the_other) {
  std::vector<std::size_t> seen;
  for (const bool hit : {true, false}) {
    Trace t;
    t.listen();
    t.peer.open();
    auto own = t.another_peer(43000);
    own->open();
    for (int i = 0; i < 150; ++i) t.peer.rst().seq(t.peer.snd_nxt + (hit ? 5u : 0x40000000u));
    for (int i = 0; i < 200; ++i) own->rst().seq(own->snd_nxt + 5);
    std::size_t n = 0;
    while (own->poll()) ++n;
    seen.push_back(n);
    while (t.peer.poll()) {
    }
  }
  EXPECT_EQ(seen[0], seen[1]);
}

}  // namespace
}  // namespace handfast::test
