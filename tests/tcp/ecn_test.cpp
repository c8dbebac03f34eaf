// SPDX-License-Identifier: BSD-3-Clause
// Explicit congestion notification (RFC 3168) and DCTCP's exact echo (RFC 8257 section 3.2). Layer: tests of the protocol,
// through frames alone.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "support/pair.hpp"
#include "support/peer.hpp"

namespace handfast::test {
namespace {

constexpr std::uint32_t mss = 1460;
constexpr std::uint8_t ece = 0x40, cwr = 0x80, not_capable = 0, capable = 2, experienced = 3;

CoreConfig with_ecn() {
  CoreConfig config = small_config();
  config.tcp.ecn = true;
  config.tcp.congestion_control = CongestionControl::new_reno;
  return config;
}
CoreConfig with_dctcp() {
  CoreConfig config = small_config();
  config.tcp.congestion_control = CongestionControl::dctcp;
  return config;
}

void open(Trace& t) {
  t.listen();
  t.peer.segment(SYN | ece | cwr).mss(1460).sack_ok();
  const Expect answer = t.peer.expect();
  ASSERT_EQ(answer.packet().flags, SYN | ACK | ece);
  ASSERT_EQ(answer.packet().tos & 3, not_capable);
  t.peer.ack();
}

/// A data segment as a router left it.
void data(Trace& t, const std::string& bytes, std::uint8_t mark, std::uint8_t more_flags = 0) {
  Packet p;
  p.source = t.peer.self;
  p.destination = t.peer.stack;
  p.source_mac = Trace::peer_mac;
  p.destination_mac = Trace::stack_mac;
  p.seq = t.peer.iss + t.peer.snd_nxt;
  p.ack = t.peer.irs + t.peer.rcv_nxt;
  p.flags = static_cast<std::uint8_t>(ACK | 0x08 | more_flags);  // PSH: no quick ACK
  p.window = 65535;
  p.tos = mark;
  p.payload = bytes;
  t.peer.snd_nxt += static_cast<std::uint32_t>(bytes.size());
  t.inject(p);
}

// rfc3168 6.1.1, 6.1.1c
TEST(Ecn, active__asks_in_the_syn_and_agrees) {
  Trace t{with_ecn()};
  t.connect();
  const Expect syn = t.peer.expect();
  EXPECT_EQ(syn.packet().flags, SYN | ece | cwr);
  EXPECT_EQ(syn.packet().tos & 3, not_capable) << "rfc3168 6.1.1: a SYN is never marked as capable";
  t.peer.segment(SYN | ACK | ece).mss(1460);
  EXPECT_TRUE(t.conn().stats().ecn);
  EXPECT_EQ(t.peer.expect().packet().tos & 3, not_capable) << "nor a pure ACK (6.1.4)";
}

TEST(Ecn, active__peer_does_not__or_reflects_what_it_got__is_without) {
  for (const int flags : {SYN | ACK, SYN | ACK | ece | cwr, SYN | ACK | cwr}) {
    Trace t{with_ecn()};
    t.connect();
    t.peer.expect();
    t.peer.segment(static_cast<std::uint8_t>(flags)).mss(1460);
    EXPECT_EQ(t.state(), State::established);
    EXPECT_FALSE(t.conn().stats().ecn) << flags;
    t.peer.expect();
    t.with([](Conn& c) { c.send("x"); });
    EXPECT_EQ(t.peer.expect().packet().tos & 3, not_capable);
  }
}

// rfc3168 6.1.1.1
TEST(Ecn, active__syn_lost__asks_no_more) {
  Trace t{with_ecn()};
  t.connect();
  t.peer.expect();
  t.advance_to_frame(2s);
  EXPECT_EQ(t.peer.expect().packet().flags, SYN);
  t.peer.segment(SYN | ACK | ece).mss(1460);
  EXPECT_FALSE(t.conn().stats().ecn);
  t.peer.expect();
}

TEST(Ecn, passive__only_what_was_asked_for__and_only_where_configured) {
  {
    Trace t{with_ecn()};
    t.listen();
    t.peer.segment(SYN | ece).mss(1460);
    t.peer.expect().syn_ack();
  }
  Trace t;
  t.listen();
  t.peer.segment(SYN | ece | cwr).mss(1460);
  t.peer.expect().syn_ack();
}

// rfc3168 6.1.2, 6.1.5, 6.1.6
TEST(Ecn, new_data_is_capable__what_is_sent_again_or_probes_is_not) {
  Trace t{with_ecn()};
  open(t);
  t.with([](Conn& c) { c.send("first"); });
  EXPECT_EQ(t.peer.expect().packet().tos & 3, capable);
  t.advance_to_frame(5s);
  EXPECT_EQ(t.peer.expect().data("first").packet().tos & 3, not_capable);
  t.peer.ack().window(0);
  t.with([](Conn& c) { c.send("second"); });
  t.advance_to_frame(90s);
  const Expect probe = t.peer.expect();
  EXPECT_EQ(probe.packet().payload, "s");
  EXPECT_EQ(probe.packet().tos & 3, not_capable);
}

// rfc3168 6.1.2c, rfc3168 6.1.2: once a window, CWR on the next new data, once
TEST(Ecn, ece__window_halves_once_and_cwr_says_so) {
  Trace t{with_ecn()};
  open(t);
  t.with([](Conn& c) {
    c.set_nodelay(true);
    c.send(std::string(10 * mss, 'd'));
  });
  while (auto p = t.peer.poll()) EXPECT_EQ(p->tos & 3, capable);
  t.peer.segment(ACK | ece).ack(1 + 2 * mss);
  const std::uint32_t halved = t.conn().stats().congestion_window;
  EXPECT_EQ(t.conn().stats().slow_start_threshold, 5 * mss) << "half of what was in flight";
  EXPECT_EQ(halved, 5 * mss);
  t.peer.segment(ACK | ece).ack(1 + 4 * mss);
  t.peer.segment(ACK | ece).ack(1 + 8 * mss);
  EXPECT_EQ(t.stats().ecn_reductions, 1u);
  t.with([](Conn& c) { c.send(std::string(2 * mss, 'e')); });
  const auto first = t.peer.poll(), second = t.peer.poll();
  ASSERT_TRUE(first && second);
  EXPECT_EQ(first->flags & cwr, cwr);
  EXPECT_EQ(second->flags & cwr, 0);
  EXPECT_EQ(t.stats().retransmits, 0u);
  t.peer.segment(ACK | ece).ack(1 + 12 * mss);  // a window later: marked again
  EXPECT_EQ(t.stats().ecn_reductions, 2u);
}

TEST(Ecn, ece_without_agreement__is_nothing) {
  Trace t;
  t.listen();
  t.peer.open();
  t.with([](Conn& c) { c.send(std::string(4 * mss, 'd')); });
  const std::uint32_t before = t.conn().stats().congestion_window;
  t.peer.segment(ACK | ece).ack(1 + 2 * mss);
  EXPECT_GE(t.conn().stats().congestion_window, before);
  EXPECT_EQ(t.stats().ecn_reductions, 0u);
  while (t.peer.poll()) {}
}

// rfc3168 6.1.3
TEST(Ecn, ce__is_echoed_on_every_ack_until_cwr) {
  Trace t{with_ecn()};
  open(t);
  data(t, std::string(2 * mss, 'a').substr(0, mss), capable);
  data(t, std::string(mss, 'b'), experienced);
  EXPECT_EQ(t.peer.expect().packet().flags, ACK | ece);
  for (int i = 0; i < 3; ++i) {
    data(t, std::string(mss, 'c'), capable);
    data(t, std::string(mss, 'd'), capable);
    EXPECT_EQ(t.peer.expect().packet().flags, ACK | ece) << i;
  }
  data(t, std::string(mss, 'e'), capable, cwr);
  data(t, std::string(mss, 'f'), capable);
  EXPECT_EQ(t.peer.expect().packet().flags, ACK);
  data(t, std::string(mss, 'g'), experienced, cwr);  // CWR, and marked anew
  data(t, std::string(mss, 'h'), capable);
  EXPECT_EQ(t.peer.expect().packet().flags, ACK | ece);
  EXPECT_EQ(t.stats().ecn_marks_in, 2u);
}

// rfc8257 3.2: the echo follows each change at once
TEST(Dctcp, marks__are_echoed_exactly) {
  Trace t{with_dctcp()};
  open(t);
  data(t, std::string(mss, 'a'), capable);  // its ACK is delayed
  data(t, std::string(mss, 'b'), experienced);
  EXPECT_EQ(t.peer.expect().ack(1 + mss).packet().flags, ACK) << "of what came before the mark";
  EXPECT_EQ(t.peer.expect().ack(1 + 2 * mss).packet().flags, ACK | ece);
  data(t, std::string(mss, 'c'), capable);
  EXPECT_EQ(t.peer.expect().ack(1 + 3 * mss).packet().flags, ACK);
  t.expect_nothing();
}

// rfc3168 6.1.2d
TEST(Ecn, ece__window_is_two_segments_at_least) {
  Trace t{with_ecn()};
  open(t);
  for (int i = 0; i < 8; ++i) {
    t.with([](Conn& c) { c.send(std::string(2 * mss, 'd')); });
    while (t.peer.poll()) {}
    t.peer.segment(ACK | ece);
    EXPECT_GE(t.conn().stats().congestion_window, 2 * mss);
  }
  EXPECT_EQ(t.conn().stats().congestion_window, 2 * mss);
}

// rfc3168 6.1.5b
TEST(Ecn, mark_outside_of_the_window__is_nothing) {
  Trace t{with_ecn()};
  open(t);
  data(t, std::string(100, 'a'), capable);
  while (t.peer.poll()) {}
  t.peer.snd_nxt -= 100;
  data(t, std::string(100, 'a'), experienced);  // came again, marked
  EXPECT_EQ(t.peer.expect().packet().flags, ACK);
  t.peer.snd_nxt += 10'000'000;
  data(t, std::string(100, 'b'), experienced);
  EXPECT_EQ(t.peer.expect().packet().flags, ACK);
  EXPECT_EQ(t.stats().ecn_marks_in, 0u);
}

// rfc8257 1
TEST(Dctcp, is_nobodys_default) {
  EXPECT_NE(CoreConfig{}.tcp.congestion_control, CongestionControl::dctcp);
  Trace t;
  t.connect();
  t.peer.expect().syn();
}

TEST(Dctcp, asks_for_ecn_by_itself) {
  Trace t{with_dctcp()};
  t.connect();
  EXPECT_EQ(t.peer.expect().packet().flags, SYN | ece | cwr);
}

}  // namespace
}  // namespace handfast::test
