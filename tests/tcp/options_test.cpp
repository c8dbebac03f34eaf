// SPDX-License-Identifier: BSD-3-Clause
// TCP options and header fields as an attacker writes them: lengths, MSS, window scale, URG, flags,
// checksums. Layer: tests of the protocol, through frames alone.
#include <gtest/gtest.h>

#include <string>
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

std::vector<std::uint8_t> option_of(unsigned kind, unsigned length, std::size_t room) {
  std::vector<std::uint8_t> bytes(room, 0x5a);
  bytes[0] = static_cast<std::uint8_t>(kind);
  bytes[1] = static_cast<std::uint8_t>(length);
  return bytes;
}

// MUST-7
TEST(Options, sec_B1__every_kind_and_length_on_an_established_connection__never_reset) {
  Trace t;
  t.listen();
  t.peer.open(with_sack);
  for (unsigned kind = 0; kind < 256; ++kind)
    for (unsigned length = 0; length <= 41; ++length)
      for (const std::size_t room : {4u, 12u, 40u})
        t.peer.segment(ACK).options(option_of(kind, length, room)).no_poll(), t.poll();
  EXPECT_EQ(t.state(), State::established);
  EXPECT_GT(t.drops(Drop::tcp_malformed_option), 1000u);
  drain(t.peer);
  t.peer.ack().data("alive");
  EXPECT_EQ(t.app.received(), "alive");
  drain(t.peer);
}

// MUST-7
TEST(Options, sec_B1__every_kind_and_length_on_a_syn__answer_or_silence) {
  CoreConfig config = small_config();
  config.limits.half_open = 4096;
  Trace t{config};
  t.listen();
  Port port = 1024;
  for (unsigned kind = 0; kind < 256; ++kind)
    for (unsigned length = 0; length <= 41; length += kind < 9 ? 1 : 8) {
      auto p = t.another_peer(++port);
      p->syn().options(option_of(kind, length, 40));
      EXPECT_LE(drain(*p), 1);
    }
  EXPECT_EQ(usage_of(t.core()).connections, 0u);
}

TEST(Options, malformed__nothing_of_the_segment_counts) {
  Trace t;
  t.listen();
  t.peer.open();
  t.with([](Conn& c) { c.send("x"); });
  t.peer.expect();
  t.peer.segment(ACK | RST).options({8, 1, 0, 0});
  t.peer.segment(ACK).options({5, 3, 0, 0}).data("no").seq(1);
  EXPECT_EQ(t.state(), State::established);
  EXPECT_EQ(t.app.received(), "");
  EXPECT_EQ(t.conn().stats().flight, 1u);
}

TEST(Options, bytes_after_the_end_of_the_list__still_open) {
  Trace t;
  t.listen();
  t.peer.syn().options({2, 4, 5, 0xb4, 0, 0xff, 1, 77});
  t.peer.expect().syn_ack();
}

// MUST-6, MUST-68, rfc5482 4.1
TEST(Options, unknown_ones__are_skipped) {
  Trace t;
  t.listen();
  t.peer.syn().options({253, 6, 1, 2, 3, 4, 2, 4, 2, 0, 1, 1});
  t.peer.expect().syn_ack();
  t.peer.ack();
  EXPECT_EQ(t.conn().stats().mss, 512u);
}

// MUST-16
TEST(Mss, sec_B7__absent_and_tiny_and_huge__bounded_work) {
  struct Row {
    std::optional<std::uint16_t> offered;
    std::uint32_t used;
  };
  for (const Row& row : {Row{std::nullopt, 536}, Row{0, 216}, Row{1, 216}, Row{7, 216}, Row{48, 216},
                         Row{215, 216}, Row{216, 216}, Row{536, 536}, Row{1460, 1460}, Row{65535, 1460}}) {
    Trace t;
    t.listen();
    t.peer.open({.mss = row.offered});
    EXPECT_EQ(t.conn().stats().mss, row.used);
    t.with([](Conn& c) { c.send(std::string(20000, 'x')); });
    int segments = drain(t.peer);
    for (int i = 0; i < 200 && t.conn().unacked() != 0; ++i) {
      t.peer.ack();
      segments += drain(t.peer);
    }
    EXPECT_LE(segments, 20000 / static_cast<int>(row.used) + 2);
  }
}

TEST(Mss, on_a_segment_without_syn__is_ignored) {
  Trace t;
  t.listen();
  t.peer.open();
  t.peer.ack().mss(300);
  EXPECT_EQ(t.conn().stats().mss, 1460u);
}

// MUST-67, SHLD-6, MUST-16, rfc6691 2a
TEST(Mss, of_the_stack__follows_the_mtu) {
  CoreConfig config = small_config();
  config.link.mtu = 9000;
  Trace t{config};
  t.listen();
  t.peer.syn().mss(8960);
  EXPECT_EQ(t.peer.expect().packet().mss, 8960);
  t.peer.ack();
  t.with([](Conn& c) { c.send(std::string(20000, 'x')); });
  t.peer.expect().length(8960);
  t.peer.ack().data(std::string(8960, 'y'));
  EXPECT_EQ(t.app.received().size(), 8960u);
  drain(t.peer);
}

// rfc7323 2.3b
TEST(WindowScale, sec_B8__above_14__is_14) {
  for (const unsigned shift : {14u, 15u, 31u, 32u, 255u}) {
    Trace t;
    t.listen();
    t.peer.open({.mss = 1460, .wscale = static_cast<std::uint8_t>(shift)});
    EXPECT_EQ(t.conn().stats().send_window, 65535u << 14);
    auto other = t.another_peer(41000);
    const auto id = t.core().connect(other->self, t.handler, {.local = {Trace::stack_address, 9000}});
    ASSERT_TRUE(id);
    other->stack.port = 9000;
    t.poll();
    other->answer_open({.mss = 1460, .wscale = static_cast<std::uint8_t>(shift)});
    other->ack();
    EXPECT_EQ(t.conn().stats().send_window, 65535u << 14);
  }
}

// rfc7323 2.2c
TEST(WindowScale, sec_B8__on_a_segment_without_syn__is_ignored) {
  Trace t;
  t.listen();
  t.peer.open({.mss = 1460, .wscale = 2});
  t.peer.ack().wscale(14).window(10);
  EXPECT_EQ(t.conn().stats().send_window, 40u);
}

// rfc7323 3.2d
TEST(Options, what_was_not_negotiated__does_not_count) {
  Trace t;
  t.listen();
  t.peer.open();
  t.with([](Conn& c) { c.send(std::string(3 * 1460, 'x')); });
  drain(t.peer);
  t.peer.ack().ack(1).sack({{1461, 4381}});
  t.peer.ack().ts(5, 5).data("a");
  EXPECT_EQ(t.app.received(), "a");
  EXPECT_EQ(t.conn().stats().sacked, 0u);
  t.advance(50ms);
  EXPECT_FALSE(t.peer.expect().packet().ts);
}

// rfc7323 2.2b
TEST(Options, switched_off_in_the_config__are_not_offered_and_not_granted) {
  CoreConfig config = small_config();
  config.tcp.timestamps = config.tcp.window_scale = config.tcp.sack = false;
  Trace t{config};
  t.listen();
  {
    Send s = t.peer.syn();
    t.peer.offer(s, modern);
  }
  const auto a = t.peer.expect().syn_ack();
  EXPECT_FALSE(a.packet().ts || a.packet().wscale || a.packet().sack_permitted);
  t.peer.ack();
  auto other = t.another_peer(41000);
  other->stack.port = 9000;
  ASSERT_TRUE(t.core().connect(other->self, t.handler, {.local = {Trace::stack_address, 9000}}));
  t.poll();
  const auto b = other->expect().syn();
  EXPECT_FALSE(b.packet().ts || b.packet().wscale || b.packet().sack_permitted);
}

// rfc6093 6
TEST(Urgent, sec_B5__any_pointer__the_stream_is_in_band_and_exact) {
  Trace t;
  t.listen();
  t.peer.open();
  std::string all;
  for (const unsigned p : {0u, 1u, 4u, 5u, 6u, 1000u, 65535u}) {
    const auto pointer = static_cast<std::uint16_t>(p);
    t.peer.ack().data("bytes").urgent(pointer);
    all += "bytes";
    t.peer.ack().urgent(pointer);
  }
  EXPECT_EQ(t.app.received(), all);
  t.peer.fin().urgent(65535);
  EXPECT_EQ(t.app.count("fin"), 1);
  drain(t.peer);
}

TEST(Urgent, sec_B5__on_a_syn__no_harm) {
  Trace t;
  t.listen();
  t.peer.syn().mss(1460).urgent(65535);
  t.peer.expect().syn_ack();
  t.peer.ack().data("x").urgent(0);
  EXPECT_EQ(t.app.received(), "x");
}

// MUST-3
TEST(Checksum, broken__dropped_and_counted) {
  Trace t;
  t.listen();
  t.peer.open();
  t.peer.ack().data("bad").broken_checksum();
  EXPECT_EQ(t.app.received(), "");
  EXPECT_EQ(t.drops(Drop::tcp_checksum), 1u);
  t.peer.snd_nxt = 1;
  t.peer.ack().data("good");
  EXPECT_EQ(t.app.received(), "good");
}

TEST(Flags, sec_B6__every_combination_in_established__only_a_good_rst_or_fin_changes_the_state) {
  for (unsigned flags = 0; flags < 256; ++flags) {
    for (const std::uint32_t offset : {0u - 1, 0u, 1u, 100000u * 10}) {
      Trace t;
      t.listen();
      t.peer.open();
      t.peer.segment(0).seq(1 + offset).ack(1).flags(static_cast<std::uint8_t>(flags));
      const bool rst = (flags & RST) != 0 && offset == 0;
      const bool fin = (flags & (FIN | ACK | RST | SYN)) == (FIN | ACK) && offset == 0;
      const State wanted = rst ? State::closed : fin ? State::close_wait : State::established;
      EXPECT_EQ(t.state(), wanted) << flags << " at " << static_cast<std::int32_t>(offset);
      EXPECT_LE(drain(t.peer), 1);
      if (testing::Test::HasFailure()) return;
    }
  }
}

}  // namespace
}  // namespace handfast::test
