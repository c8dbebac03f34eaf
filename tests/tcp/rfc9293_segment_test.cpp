// SPDX-License-Identifier: BSD-3-Clause
// What RFC 9293 numbers about headers and options and no other test shows: unsigned windows, options anywhere and at any
// alignment, the MSS option's place. Layer: tests of the protocol, through frames alone.
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

// MUST-1
TEST(WindowField, above_32767__is_a_large_window_and_no_negative_one) {
  CoreConfig config = small_config();
  config.tcp.initial_window = 40;
  Trace t{config};
  t.listen();
  t.peer.window = 50000;
  t.peer.open();
  t.with([](Conn& c) { c.send(std::string(100000, 'x')); });
  std::size_t sent = 0;
  while (auto p = t.peer.poll()) sent += p->payload.size();
  EXPECT_LE(sent, 50000u);
  EXPECT_GT(sent, 50000u - 1460);
}

// REC-1
TEST(WindowField, of_a_gibibyte__is_computed_in_32_bits) {
  Trace t;
  t.listen();
  t.peer.open({.mss = 1460, .wscale = 14});
  EXPECT_EQ(t.conn().stats().send_window, 65535u << 14);
  t.peer.ack().window(0x8001);
  EXPECT_EQ(t.conn().stats().send_window, 0x8001u << 14);
}

// MUST-5: data, FIN and RST with options that are known and such that are not, not SYNs alone.
TEST(OptionsAnywhere, on_data_fin_and_rst__are_read_and_the_segment_counts) {
  Trace t;
  t.listen();
  t.peer.open(modern);
  const std::uint32_t ts = t.peer.ts_now();
  const auto with_timestamps = [&](std::uint32_t value) {
    const auto byte = [&](int shift) { return static_cast<std::uint8_t>(value >> shift); };
    // An option of unknown kind, then timestamps: who does not skip the one does not find the other.
    return std::vector<std::uint8_t>{253, 4, 1, 2, 8, 10, byte(24), byte(16), byte(8), byte(0), 0, 0, 0, 0, 1, 1};
  };
  t.peer.ack().data("data").options(with_timestamps(ts + 5));
  EXPECT_EQ(t.app.received(), "data");
  t.advance(50ms);
  const auto ack = t.peer.expect().pure_ack();
  ASSERT_TRUE(ack.packet().ts);
  EXPECT_EQ(ack.packet().ts->second, ts + 5);
  t.peer.fin().options(with_timestamps(ts + 6));
  EXPECT_EQ(t.app.count("fin"), 1);
  EXPECT_EQ(t.peer.expect().pure_ack().packet().ts->second, ts + 6);
  t.peer.rst().options(with_timestamps(ts + 7));
  EXPECT_EQ(t.app.reason(), CloseReason::reset_by_peer);
}

// MUST-64, MUST-4
TEST(OptionsAnywhere, at_odd_offsets_without_padding__are_all_understood) {
  Trace t;
  t.listen();
  t.peer.syn().options({1, 2, 4, 0x03, 0xe8, 8, 10, 0xde, 0xad, 0xbe, 0xef, 0, 0, 0, 0, 3, 3, 2, 4, 2});
  const auto answer = t.peer.expect().syn_ack();
  ASSERT_TRUE(answer.packet().ts);
  EXPECT_EQ(answer.packet().ts->second, 0xdeadbeefu);
  EXPECT_TRUE(answer.packet().wscale && answer.packet().sack_permitted);
  t.peer.ack().ts(0xdeadbef0u, answer.packet().ts->first).window(1000);
  const ConnStats s = t.conn().stats();
  EXPECT_EQ(s.mss, 1000u - 12);
  EXPECT_EQ(s.send_window, 4000u);
}

// MUST-4: End of List ends, No-Operation fills, MSS is heeded.
TEST(OptionsAnywhere, the_three_of_rfc_793__alone_on_a_syn) {
  Trace t;
  t.listen();
  t.peer.syn().options({1, 1, 2, 4, 0x02, 0x00, 0, 0});
  t.peer.expect().syn_ack();
  t.peer.ack();
  EXPECT_EQ(t.conn().stats().mss, 512u);
}

// MUST-14, SHLD-5, MAY-3, MUST-65: in both kinds of SYN and their repetitions, even with the default value, and nowhere else.
TEST(MssOption, is_in_every_syn_and_in_nothing_else) {
  CoreConfig config = small_config();
  config.tcp.mss = 536;
  config.tcp.keepalive = true;
  config.tcp.keepalive_idle = 1s;
  Trace t{config};
  t.listen();
  int syns = 0, others = 0;
  const auto look = [&](Peer& peer) {
    while (auto p = peer.poll()) {
      EXPECT_EQ(p->mss, p->has(SYN) ? std::optional<std::uint16_t>{536} : std::nullopt) << p->text();
      ++(p->has(SYN) ? syns : others);
    }
  };
  t.peer.syn().mss(1460);
  look(t.peer);
  t.advance(1s);  // the SYN-ACK again
  look(t.peer);
  t.peer.ack().data("ask");
  t.with([](Conn& c) { c.send(std::string(3000, 'x')); });
  look(t.peer);
  t.peer.rst().seq(t.peer.snd_nxt + 5);  // challenge ACK
  look(t.peer);
  t.peer.ack();
  look(t.peer);
  t.advance(2s);  // keep-alive
  look(t.peer);
  t.with([](Conn& c) { c.close(); });
  look(t.peer);
  auto other = t.another_peer(41000);
  other->stack.port = 9000;
  ASSERT_TRUE(t.core().connect(other->self, t.handler, {.local = {Trace::stack_address, 9000}}));
  t.poll();
  t.advance(1s);
  look(*other);
  other->syn_ack().mss(1460);
  look(*other);
  t.with([](Conn& c) { c.abort(); });
  look(*other);
  EXPECT_EQ(syns, 4);
  EXPECT_GE(others, 8);
}

// MUST-16, SHLD-27, SHLD-28: the lesser of the two, whichever it is, and segments of just that size.
TEST(MssOption, smaller_or_larger_than_ours__segments_are_of_the_lesser) {
  for (const std::uint16_t peers : {std::uint16_t{700}, std::uint16_t{1460}, std::uint16_t{8960}}) {
    Trace t;
    t.listen();
    t.peer.open({.mss = peers});
    t.with([](Conn& c) {
      for (int i = 0; i < 400; ++i) c.send(std::string(10, 'x'));
    });
    t.peer.expect().length(std::min<std::size_t>(peers, 1460));
    t.peer.expect().length(std::min<std::size_t>(peers, 1460));
    drain(t.peer);
  }
}

// SHLD-2
TEST(Reset, with_data__counts_all_the_same_and_the_data_is_not_delivered) {
  Trace t;
  t.listen();
  t.peer.open();
  t.peer.rst().data("why it was aborted");
  EXPECT_EQ(t.app.reason(), CloseReason::reset_by_peer);
  EXPECT_EQ(t.app.received(), "");
  t.expect_nothing();
  const ConnId id = t.connect();
  t.peer.irs_known = false;
  t.peer.expect().syn();
  t.peer.segment(RST | ACK).seq(0).ack(1).data("nobody here");
  EXPECT_EQ(t.app.records[id].closed, CloseReason::refused);
}

// MUST-40: what the delay can be set to, and that it ends in time.
TEST(DelayedAck, of_half_a_second__cannot_be_configured) {
  CoreConfig config = small_config();
  config.tcp.delayed_ack = 500ms;
  EXPECT_TRUE(validate(config));
  config.tcp.delayed_ack = 499ms;
  ASSERT_FALSE(validate(config));
  Trace t{config};
  t.listen();
  t.peer.open();
  t.peer.ack().data("x");
  EXPECT_LT(t.advance_to_frame(1s), 500ms);
  t.peer.expect().pure_ack().ack(2);
}

// MUST-59, MUST-58: eleven segments of two connections in one burst, then one ACK each and no more.
TEST(DelayedAck, a_burst_of_two_connections__is_processed_before_any_ack_leaves) {
  Trace t;
  t.listen();
  t.peer.open();
  auto other = t.another_peer(41000);
  other->open();
  for (int i = 0; i < 5; ++i) {
    t.peer.ack().data(std::string(1460, 'x')).no_poll();
    other->ack().data(std::string(1460, 'y')).no_poll();
  }
  other->ack().data("z").no_poll();
  t.poll();
  t.peer.expect().pure_ack().ack(1 + 5 * 1460);
  other->expect().pure_ack().ack(2 + 5 * 1460);
  t.expect_nothing_until(10s);
}

// MUST-60, MAY-16: a small piece waits for company behind unacknowledged data, and leaves without any when that is acknowledged
// or, where the window is what is small, after the override time-out.
TEST(SendCall, small_pieces_without_push__wait_and_never_for_ever) {
  Trace t;
  t.listen();
  t.peer.open();
  t.with([](Conn& c) { c.send("one"); });
  t.peer.expect().data("one");
  t.with([](Conn& c) { c.send("two"); });
  t.expect_nothing();
  t.peer.ack().window(2);
  EXPECT_LE(t.advance_to_frame(2s), 1s);
  t.peer.expect().data("tw");
}

}  // namespace
}  // namespace handfast::test
