// SPDX-License-Identifier: BSD-3-Clause
// Acknowledging and being acknowledged: delayed ACK, piggybacking, the acceptable range (RFC 5961 section 5),
// PAWS and TS.Recent (RFC 7323). Layer: tests of the protocol, through frames alone.
#include <gtest/gtest.h>

#include <string>

#include "support/peer.hpp"

namespace handfast::test {
namespace {

// SHLD-18, MUST-40, rfc5681 4.2a
TEST(DelayedAck, one_small_segment__within_40_ms) {
  Trace t;
  t.listen();
  t.peer.open();
  t.peer.ack().data("x");
  t.expect_nothing_until(39999us);
  EXPECT_EQ(t.advance_to_frame(1s), 1us);
  t.peer.expect().pure_ack().seq(1).ack(2);
  EXPECT_EQ(t.stats().delayed_acks, 1u);
  t.expect_nothing_until(10s);
}

// SHLD-19, rfc5681 4.2b
TEST(DelayedAck, every_second_full_segment__at_once) {
  Trace t;
  t.listen();
  t.peer.open();
  for (std::uint32_t i = 0; i < 4; ++i) {
    t.peer.ack().data(std::string(1460, 'x'));
    EXPECT_TRUE(t.peer.quiet());
    t.peer.ack().data(std::string(1460, 'x'));
    t.peer.expect().pure_ack().ack(1 + (i + 1) * 2920);
  }
}

// MUST-58, MUST-59, rfc5681 4.2c
TEST(DelayedAck, two_full_segments_in_one_burst__one_ack) {
  Trace t;
  t.listen();
  t.peer.open();
  for (int i = 0; i < 6; ++i) t.peer.ack().data(std::string(1460, 'x')).no_poll();
  t.poll();
  t.peer.expect().pure_ack().ack(1 + 6 * 1460);
  t.expect_nothing_until(10s);
}

TEST(DelayedAck, rides_on_data__and_no_other_follows) {
  Trace t;
  t.app.data = [](Conn& c, const RxView& in) {
    c.send("reply");
    return in.size();
  };
  t.listen();
  t.peer.open();
  t.peer.ack().data("ask");
  t.peer.expect().flags(ACK).ack(4).data("reply");
  t.peer.ack();
  t.expect_nothing_until(10s);
}

TEST(DelayedAck, of_zero__at_once) {
  CoreConfig config = small_config();
  config.tcp.delayed_ack = Duration{0};
  Trace t{config};
  t.listen();
  t.peer.open();
  t.peer.ack().data("x");
  t.advance(1ms);
  t.peer.expect().pure_ack().ack(2);
}

TEST(DelayedAck, pure_acks__are_never_acknowledged) {
  Trace t;
  t.listen();
  t.peer.open();
  for (int i = 0; i < 10; ++i) t.peer.ack();
  t.expect_nothing_until(10s);
}

// --- which ACKs count
// ------------------------------------------------------------------------------------------------

// MAY-12, rfc5961 5.2
TEST(AckRange, sec_A4__too_old__challenge_and_nothing_delivered) {
  Trace t;
  t.listen();
  t.peer.open();
  t.peer.window = 1000;
  for (int i = 0; i < 5; ++i) {
    t.with([](Conn& c) { c.send(std::string(1000, 'd')); });
    t.peer.expect();
    t.peer.ack().window(1000);
  }
  // MAX.SND.WND is the 65535 of the handshake: everything sent so far is acceptable, and nothing below it.
  t.peer.ack().ack(0).data("blind");
  t.peer.expect().pure_ack();
  t.peer.ack().seq(1).ack(0u - 100000).data("blind");
  t.peer.expect().pure_ack();
  EXPECT_EQ(t.app.received(), "");
  t.peer.snd_nxt = 1;
  t.peer.ack().ack(1).data("old but in range");
  EXPECT_EQ(t.app.received(), "old but in range");
}

TEST(AckRange, sec_A5__ghost_acks__bounded_by_what_was_sent) {
  for (const std::uint32_t n : {0u, 1u, 999u, 1000u, 2000u}) {
    Trace t;
    t.listen();
    t.peer.window = 1000;
    t.peer.open();
    for (std::uint32_t sent = 0; sent < n;) {
      const std::uint32_t step = std::min(1000u, n - sent);
      t.with([&](Conn& c) { c.send(std::string(step, 'd')); });
      while (t.peer.poll()) {
      }
      t.peer.ack();
      sent += step;
    }
    while (t.peer.poll()) {
    }
    ASSERT_EQ(t.conn().stats().flight, 0u);
    const std::uint32_t una = 1 + n;
    const std::uint32_t lowest = una - std::min(n, 1000u);
    t.peer.segment(ACK).seq(1).ack(lowest - 1).data("ghost");
    EXPECT_EQ(t.app.received(), "") << n;
    t.peer.expect().pure_ack();
    t.peer.segment(ACK).seq(1).ack(lowest - 100).data("ghost");
    EXPECT_EQ(t.app.received(), "") << n;
    t.peer.segment(ACK).seq(1).ack(lowest).data("good");
    EXPECT_EQ(t.app.received(), "good") << n;
    while (t.peer.poll()) {
    }
  }
}

// rfc5961 5.2
TEST(AckRange, sec_C12__optimistic_ack__discarded) {
  Trace t;
  t.listen();
  t.peer.open();
  t.with([](Conn& c) { c.send(std::string(100, 'd')); });
  t.peer.expect();
  t.peer.ack().ack(102);
  t.peer.expect().pure_ack();
  EXPECT_EQ(t.conn().stats().flight, 100u);
}

TEST(AckRange, a_part_of_a_segment__the_rest_is_sent_again_from_there) {
  Trace t;
  t.listen();
  t.peer.open();
  t.with([](Conn& c) { c.send("0123456789"); });
  t.peer.expect();
  t.peer.ack().ack(5);
  t.advance_to_frame(3s);
  t.peer.expect().seq(5).data("456789");
}

// --- timestamps
// ---------------------------------------------------------------------------------------------------

// rfc7323 5.3a
TEST(Paws, old_timestamp__dropped_and_acknowledged) {
  Trace t;
  t.listen();
  t.peer.open(with_ts);
  t.advance(100ms);
  t.peer.ack().data("new");
  t.advance(100ms);
  while (t.peer.poll()) {
  }
  t.peer.ack().seq(4).ts(t.peer.ts_now() - 150, t.peer.ts_recent).data("old");
  t.peer.expect().pure_ack().ack(4);
  EXPECT_EQ(t.app.received(), "new");
  EXPECT_EQ(t.drops(Drop::tcp_old_timestamp), 1u);
}

// rfc7323 5.2b
TEST(Paws, rst__is_exempt) {
  Trace t;
  t.listen();
  t.peer.open(with_ts);
  t.advance(100ms);
  t.peer.ack().data("new");
  t.peer.segment(RST).ts(t.peer.ts_now() - 50, 0);
  EXPECT_EQ(t.app.reason(), CloseReason::reset_by_peer);
}

// rfc7323 5.5
TEST(Paws, after_24_days_of_silence__ts_recent_is_not_believed) {
  Trace t;
  t.listen();
  t.peer.open(with_ts);
  t.advance(25 * 24h);
  t.peer.ack().ts(t.peer.ts_base - 5, t.peer.ts_recent).data("awake");
  EXPECT_EQ(t.app.received(), "awake");
}

// rfc7323 5.3b
TEST(TsRecent, sec_A12__invalid_ack_with_far_future_timestamp__does_not_poison_it) {
  Trace t;
  t.listen();
  t.peer.open(with_ts);
  t.peer.segment(ACK).seq(1).ack(50000).ts(t.peer.ts_now() + 1000000, 0).data("evil");
  while (t.peer.poll()) {
  }
  t.advance(5ms);
  t.peer.ack().data("good");
  EXPECT_EQ(t.app.received(), "good");
}

// rfc7323 4.3b, 5.3b
TEST(TsRecent, beyond_a_gap__not_taken) {
  Trace t;
  t.listen();
  t.peer.open(with_ts);
  const std::uint32_t before = t.peer.ts_now();
  t.advance(50ms);
  t.peer.ack().seq(10).data("gap");
  EXPECT_EQ(t.peer.expect().packet().ts->second, before) << "RFC 7323 4.3 (2): SEG.SEQ <= Last.ACK.sent";
}

// rfc7323 4.3a
TEST(TsRecent, delayed_ack_of_two__echoes_the_first) {
  Trace t;
  t.listen();
  t.peer.open(with_ts);
  t.advance(50ms);
  const std::uint32_t first = t.peer.ts_now();
  t.peer.ack().data("a");
  t.advance(20ms);
  t.peer.ack().data("b");
  t.advance(100ms);
  const auto ack = t.peer.expect().pure_ack().ack(3);
  EXPECT_EQ(ack.packet().ts->second, first) << "RFC 7323 4.3 (A): the round trip includes the delay";
}

// rfc7323 3.2a, 4.1, 5.4
TEST(Timestamps, tsval_counts_milliseconds_and_is_on_everything) {
  Trace t;
  t.listen();
  t.peer.open(with_ts);
  t.with([](Conn& c) { c.send("a"); });
  const std::uint32_t first = t.peer.expect().packet().ts->first;
  t.peer.ack();
  t.advance(1234ms);
  t.with([](Conn& c) { c.send("b"); });
  EXPECT_EQ(t.peer.expect().packet().ts->first - first, 1234u);
  t.peer.ack().seq(100).data("gap");
  EXPECT_TRUE(t.peer.expect().packet().ts);
}

}  // namespace
}  // namespace handfast::test
