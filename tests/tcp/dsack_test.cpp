// SPDX-License-Identifier: BSD-3-Clause
// What the receiver says of bytes that came again (RFC 2883), and the rules of RFC 2018 section 4 around it.
// Layer: tests of the protocol, through frames alone. The numbers of the RFC's examples, plus one for the SYN.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "support/pair.hpp"
#include "support/peer.hpp"

namespace handfast::test {
namespace {

std::string text(std::size_t n) { return std::string(n, 'd'); }

int drain(Peer& p) {
  int n = 0;
  while (p.poll()) ++n;
  return n;
}

/// 500-byte segments from `from` up to `to`, acknowledged and the ACKs taken.
void received(Trace& t, std::uint32_t from, std::uint32_t to) {
  for (; from < to; from += 500) t.peer.ack().seq(from + 1).data(text(500));
  t.advance(100ms);
  drain(t.peer);
}

class Dsack : public testing::Test {
 protected:
  Dsack() {
    t.listen();
    t.peer.open(with_sack);
  }
  /// Bytes from..to-1 of the stream, as the RFC counts them.
  void arrives(std::uint32_t from, std::uint32_t to) { t.peer.ack().seq(from + 1).data(text(to - from)); }
  /// An ACK of `upto` with these blocks, in the RFC's numbers.
  void says(std::uint32_t upto, std::vector<Block> blocks) {
    for (Block& b : blocks) b.first += 1, b.second += 1;
    t.peer.expect().pure_ack().ack(upto + 1).sack(blocks);
  }
  Trace t;
};

// rfc2883 4.1.1
TEST_F(Dsack, example_1__duplicate_below_the_ack__is_the_first_block_and_told_once) {
  received(t, 0, 4000);
  arrives(3000, 3500);
  says(4000, {{3000, 3500}});
  arrives(4000, 4500);
  arrives(4500, 5000);
  while (auto p = t.peer.poll()) EXPECT_TRUE(p->sack.empty()) << "(2): in one ACK and no other";
  EXPECT_EQ(t.stats().dsacks_sent, 1u);
}

// rfc2883 4.1.2
TEST_F(Dsack, example_2__out_of_order_and_a_duplicate__both_are_told) {
  received(t, 0, 4000);
  arrives(4500, 5000);
  says(4000, {{4500, 5000}});
  arrives(3000, 3500);
  says(4000, {{3000, 3500}, {4500, 5000}});
  arrives(5500, 6000);
  says(4000, {{5500, 6000}, {4500, 5000}});
}

// rfc2883 4.1.3
TEST_F(Dsack, example_3__duplicate_of_out_of_order__its_block_comes_second) {
  received(t, 0, 4000);
  arrives(4500, 5000);
  arrives(5000, 5500);
  drain(t.peer);
  arrives(5000, 5500);
  says(4000, {{5000, 5500}, {4500, 5500}});
  EXPECT_EQ(t.conn().stats().out_of_order, 1000u);
}

// rfc2883 4.2.1
TEST_F(Dsack, example_4__part_of_a_segment__that_part_alone) {
  received(t, 0, 1000);
  arrives(2000, 2500);
  says(1000, {{2000, 2500}});
  arrives(1000, 1500);
  says(1500, {{2000, 2500}});
  arrives(1000, 2000);
  says(2500, {{1000, 1500}});
  while (auto p = t.peer.poll()) EXPECT_TRUE(p->sack.empty()) << "a window update at most";
  t.expect_nothing_until(1s);
  EXPECT_EQ(t.app.received().size(), 2500u);
}

// rfc2883 4.2.2
TEST_F(Dsack, example_5__two_parts_below_the_ack__the_first_alone) {
  received(t, 0, 1000);
  arrives(3000, 3500);
  says(1000, {{3000, 3500}});
  arrives(1000, 1500);
  says(1500, {{3000, 3500}});
  arrives(2000, 2500);
  says(1500, {{2000, 2500}, {3000, 3500}});
  arrives(1000, 2500);
  says(2500, {{1000, 1500}, {3000, 3500}});
}

// rfc2883 4.2.3
TEST_F(Dsack, example_6__two_parts_above_the_ack__the_first_and_its_larger_block) {
  received(t, 0, 1000);
  arrives(3500, 4000);
  says(1000, {{3500, 4000}});
  arrives(1500, 2000);
  says(1000, {{1500, 2000}, {3500, 4000}});
  arrives(2500, 3000);
  drain(t.peer);
  arrives(1500, 3000);
  says(1000, {{1500, 2000}, {1500, 3000}, {3500, 4000}});
}

TEST_F(Dsack, gap_filled_and_more__what_was_beyond_it_is_told) {
  received(t, 0, 1000);
  arrives(1500, 2000);
  says(1000, {{1500, 2000}});
  arrives(1000, 2000);
  says(2000, {{1500, 2000}});
}

TEST_F(Dsack, several_in_one_burst__each_is_told) {
  received(t, 0, 4000);
  t.peer.ack().seq(1001).data(text(500)).no_poll();
  t.peer.ack().seq(2001).data(text(500)).no_poll();
  t.peer.ack().seq(3001).data(text(500)).no_poll();
  t.poll();
  says(4000, {{1000, 1500}});
  says(4000, {{2000, 2500}});
  says(4000, {{3000, 3500}});
  t.expect_nothing_until(1s);
}

TEST_F(Dsack, bytes_that_never_came__are_no_duplicate) {
  received(t, 0, 500);
  t.peer.ack().seq(0u - 5000).data(text(500));  // before the stream began
  says(500, {});
  t.peer.ack().seq(0).data("g");  // a keep-alive probe with the byte of the SYN (MUST-30's other kind)
  says(500, {});
  t.peer.ack().seq(1).data("g");
  says(500, {{0, 1}});
}

TEST_F(Dsack, fin_with_data_again__data_is_told) {
  received(t, 0, 1000);
  t.app.fin = [](Conn&) {};
  t.peer.fin().seq(1001).data(text(100));
  t.peer.expect().pure_ack().ack(1102);
  t.peer.fin().seq(1001).data(text(100));
  t.peer.expect().pure_ack().ack(1102).sack({{1001, 1101}});
  t.with([](Conn& c) { c.close(); });
  drain(t.peer);
}

// rfc2883 4.3
TEST(DsackOptions, old_timestamp__is_answered_with_the_block_too) {
  Trace t;
  t.listen();
  t.peer.open(modern);
  t.advance(100ms);
  t.peer.ack().data("news");
  t.advance(100ms);
  drain(t.peer);
  t.peer.ack().seq(1).ts(t.peer.ts_now() - 150, t.peer.ts_recent).data("news");
  t.peer.expect().pure_ack().ack(5).sack({{1, 5}});
  EXPECT_EQ(t.drops(Drop::tcp_old_timestamp), 1u);
}

TEST(DsackOptions, beside_timestamps__three_blocks_in_all) {
  Trace t;
  t.listen();
  t.peer.open(modern);
  t.peer.ack().data("0123456789");
  for (std::uint32_t i = 1; i <= 5; ++i) t.peer.ack().seq(20 * i).data("xy");
  drain(t.peer);
  t.peer.ack().seq(1).data("0123");
  t.peer.expect().pure_ack().ack(11).sack({{1, 5}, {100, 102}, {80, 82}});
}

TEST(DsackOptions, sack_not_agreed__an_ack_and_no_option) {
  Trace t;
  t.listen();
  t.peer.open();
  t.peer.ack().data("0123456789");
  t.peer.ack().seq(1).data("0123");
  t.peer.expect().pure_ack().ack(11).sack({});
  EXPECT_EQ(t.stats().dsacks_sent, 0u);
}

// --- rfc2018 section 4 -----------------------------------------------------------------------------------------

TEST_F(Dsack, rfc2018__every_block_is_told_at_least_three_times_when_each_ack_has_a_new_one) {
  std::vector<int> told(60);
  for (std::uint32_t i = 0; i < 60; ++i) {
    arrives(1000 * i + 500, 1000 * i + 1000);
    const auto blocks = t.peer.expect().pure_ack().ack(1).packet().sack;
    ASSERT_EQ(blocks.size(), std::min(i + 1, 4u));
    for (const auto& [left, right] : blocks) ++told[(left - t.peer.iss - 501) / 1000];
    EXPECT_EQ(blocks[0].first - t.peer.iss, 1000 * i + 501) << "the first has what triggered the ACK";
  }
  for (int i = 0; i < 57; ++i) EXPECT_EQ(told[static_cast<std::size_t>(i)], 4);
}

TEST_F(Dsack, rfc2018__blocks_that_were_never_first_since__still_fill_the_option) {
  // Twelve blocks, then the eight that came last are filled up to: what is left is told, though nothing has recalled it.
  for (std::uint32_t i = 12; i-- > 0;) arrives(1000 * i + 500, 1000 * i + 1000);
  drain(t.peer);
  arrives(0, 8500);
  const auto p = t.peer.expect().packet();
  EXPECT_EQ(p.ack - t.peer.iss, 9001u);
  ASSERT_EQ(p.sack.size(), 4u) << "a D-SACK and three blocks";
  drain(t.peer);
  arrives(20000, 20500);
  says(9000, {{20000, 20500}, {9500, 10000}, {10500, 11000}, {11500, 12000}});
}

TEST(DsackPair, link_that_doubles_frames__streams_are_whole) {
  LinkRules rules;
  rules.duplicate = 0.3;
  rules.jitter = 3ms;
  Pair pair{7, rules};
  struct Server {
    std::string got;
    std::size_t on_data(Conn&, const RxView& in) {
      got += in.text();
      return in.size();
    }
  } server;
  struct Client {
    std::string all;
    void on_connect(Conn& c) {
      c.send(all);
      c.close();
    }
  } client;
  for (int i = 0; i < 200000; ++i) client.all += static_cast<char>('a' + i * 7919 % 26);
  ASSERT_TRUE(pair.core(1).listen_with({any, 80}, *pair.core(1).add_handler_ref(server)));
  ASSERT_TRUE(pair.core(0).connect({Pair::address(1), 80}, *pair.core(0).add_handler_ref(client)));
  EXPECT_TRUE(pair.run_idle(60s));
  EXPECT_EQ(server.got, client.all);
  EXPECT_GT(pair.core(1).stats().dsacks_sent, 10u);
  pair.run_for(2min);
}

}  // namespace
}  // namespace handfast::test
