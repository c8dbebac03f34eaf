// SPDX-License-Identifier: BSD-3-Clause
// SEGMENT ARRIVES with text: order, overlaps, SACK blocks, duplicates, pausing, memory.
// Layer: tests of the protocol, through frames alone.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "shard/shard.hpp"
#include "support/peer.hpp"
#include "support/usage.hpp"

namespace handfast::test {
namespace {

int drain(Peer& p) {
  int n = 0;
  while (p.poll()) ++n;
  return n;
}

TEST(Receive, in_order__delivered_at_once) {
  Trace t;
  t.listen();
  t.peer.open();
  t.peer.ack().data("abc");
  t.peer.ack().data("def");
  EXPECT_EQ(t.app.events, (std::vector<std::string>{"accept", "data:3", "data:3"}));
  EXPECT_EQ(t.app.received(), "abcdef");
  EXPECT_EQ(t.conn().stats().bytes_received, 6u);
}

// SHLD-31
TEST(Receive, sec_B13__every_pair_and_triple_on_seven_slots__first_byte_received_wins) {
  // Segments [i, j) of seven slots, each arrival with a letter of its own; then one segment over all of it.
  struct Range {
    unsigned from, to;
  };
  std::vector<Range> ranges;
  for (unsigned i = 1; i < 8; ++i)
    for (unsigned j = i + 1; j <= 8; ++j) ranges.push_back({i, j});
  const auto run = [](Trace& t, Peer& p, const std::vector<Range>& arrivals) {
    p.open(with_sack);
    std::string expected(9, '.');
    std::vector<bool> have(9, false);
    // Slot 0 is missing until the end, so that all of it waits.
    char letter = 'a';
    for (const Range& r : arrivals) {
      for (unsigned s = r.from; s < r.to; ++s) {
        if (!have[s]) expected[s] = letter;
        have[s] = true;
      }
      p.ack().seq(1 + r.from).data(std::string(r.to - r.from, letter));
      ++letter;
    }
    for (unsigned s = 0; s < 9; ++s)
      if (!have[s]) expected[s] = 'z';
    p.ack().seq(1).data(std::string(9, 'z'));
    EXPECT_EQ(t.app.received(), expected);
    drain(p);
    t.with([](Conn& c) { c.abort(); });
    drain(p);
    return !testing::Test::HasFailure();
  };
  Trace t;
  t.listen();
  Port port = 20000;
  for (const Range& a : ranges)
    for (const Range& b : ranges) {
      auto p = t.another_peer(++port);
      ASSERT_TRUE(run(t, *p, {a, b})) << a.from << '-' << a.to << ' ' << b.from << '-' << b.to;
    }
  for (int i = 0; i < 1500; ++i) {
    const auto pick = [&] { return ranges[t.rng().below(static_cast<std::uint32_t>(ranges.size()))]; };
    auto p = t.another_peer(++port);
    ASSERT_TRUE(run(t, *p, {pick(), pick(), pick()})) << i;
  }
}

TEST(Receive, overlap_in_front_of_what_was_delivered__only_the_new_part) {
  Trace t;
  t.listen();
  t.peer.open();
  t.peer.ack().data("abc");
  t.peer.ack().seq(1).data("XXXdef");
  EXPECT_EQ(t.app.received(), "abcdef");
}

TEST(Receive, duplicate__acknowledged_at_once_and_not_delivered) {
  Trace t;
  t.listen();
  t.peer.open();
  t.peer.ack().data("abc");
  t.peer.ack().seq(1).data("abc");
  t.peer.expect().pure_ack().ack(4);
  EXPECT_EQ(t.app.received(), "abc");
  EXPECT_EQ(t.drops(Drop::tcp_duplicate), 1u);
}

TEST(Receive, beyond_the_window__cut_to_it) {
  CoreConfig config = small_config();
  config.tcp.receive_buffer = 4096;
  Trace t{config};
  t.listen();
  t.peer.open();
  t.with([](Conn& c) { c.pause_rx(); });
  t.peer.ack().seq(3001).data(std::string(1460, 'q'));  // 364 bytes too many
  t.peer.expect().pure_ack().ack(1);
  EXPECT_EQ(t.conn().stats().out_of_order, 4096u - 3000);
}

// MUST-58, SHLD-19: what a port has merged is as many full segments as it holds.
TEST(Receive, merged_segments__are_acknowledged_as_the_full_ones_they_were) {
  Trace t;
  t.listen();
  t.peer.open();
  t.peer.ack().data(std::string(4 * 1460, 'm'));
  t.peer.expect().pure_ack().ack(1 + 4 * 1460);
  t.peer.ack().data(std::string(1460, 'm'));
  EXPECT_TRUE(t.peer.quiet());
  t.peer.ack().data(std::string(1460, 'm'));
  t.peer.expect().pure_ack().ack(1 + 6 * 1460);
}

TEST(Receive, far_outside_the_window__acknowledged_and_dropped) {
  Trace t;
  t.listen();
  t.peer.open();
  const std::uint32_t window = t.conn().stats().receive_window;
  for (const std::uint32_t seq : {1 + window, 1 + window + 5000, 1u + (1u << 31)}) {
    t.peer.ack().seq(seq).data("far");
    t.peer.expect().pure_ack().seq(1).ack(1);
  }
  EXPECT_EQ(t.app.received(), "");
}

// --- what we report (RFC 2018 section 4)
// ------------------------------------------------------------------------

// MAY-13, rfc2018 4b, 4c, 4d, rfc5681 3.2a
TEST(SackSent, a_gap__one_block_and_an_ack_at_once) {
  Trace t;
  t.listen();
  t.peer.open(with_sack);
  t.peer.ack().seq(11).data("0123456789");
  t.peer.expect().pure_ack().ack(1).sack({{11, 21}});
}

// rfc2018 4d, 4e, 4f
TEST(SackSent, several_gaps__the_latest_first_then_the_most_recent) {
  Trace t;
  t.listen();
  t.peer.open(with_sack);
  t.peer.ack().seq(11).data("aaaaa");
  t.peer.expect().sack({{11, 16}});
  t.peer.ack().seq(31).data("ccccc");
  t.peer.expect().sack({{31, 36}, {11, 16}});
  t.peer.ack().seq(21).data("bbbbb");
  t.peer.expect().sack({{21, 26}, {31, 36}, {11, 16}});
  t.peer.ack().seq(36).data("ddddd");
  t.peer.expect().sack({{31, 41}, {21, 26}, {11, 16}});
  t.peer.ack().seq(51).data("e");
  t.peer.expect().sack({{51, 52}, {31, 41}, {21, 26}, {11, 16}});
  t.peer.ack().seq(61).data("f");
  t.peer.expect().sack({{61, 62}, {51, 52}, {31, 41}, {21, 26}});
  t.peer.ack().seq(1).data("0123456789");
  t.peer.expect().pure_ack().ack(16).sack({{61, 62}, {51, 52}, {31, 41}, {21, 26}});
}

// rfc2018 4e
TEST(SackSent, with_timestamps__three_blocks_at_most) {
  Trace t;
  t.listen();
  t.peer.open(modern);
  for (std::uint32_t i = 1; i <= 5; ++i) t.peer.ack().seq(10 * i).data("x");
  for (int i = 0; i < 4; ++i) t.peer.expect();
  EXPECT_EQ(t.peer.expect().packet().sack.size(), 3u);
}

// rfc2018 4a
TEST(SackSent, not_negotiated__none) {
  Trace t;
  t.listen();
  t.peer.open();
  t.peer.ack().seq(11).data("x");
  t.peer.expect().pure_ack().ack(1).sack({});
}

// rfc5681 3.2b, rfc2018 8a
TEST(SackSent, gap_filled__ack_at_once_and_no_blocks) {
  Trace t;
  t.listen();
  t.peer.open(with_sack);
  t.peer.ack().seq(4).data("def");
  t.peer.expect();
  t.peer.ack().seq(1).data("abc");
  t.peer.expect().pure_ack().ack(7).sack({});
  EXPECT_EQ(t.app.received(), "abcdef");
  EXPECT_EQ(usage_of(t.core()), (Usage{.connections = 1}));
}

TEST(Receive, sec_C9__every_second_byte_of_the_window__8192_ranges_and_bounded_memory) {
  Trace t;
  t.listen();
  t.peer.open(modern);
  for (std::uint32_t i = 0; i < 20000; ++i)
    t.peer.ack().seq(2 + 2 * i).data("x").no_poll(), i % 500 == 499 ? t.poll() : void();
  t.poll();
  EXPECT_EQ(t.conn().stats().out_of_order, 8192u);
  EXPECT_EQ(t.drops(Drop::tcp_out_of_order_full), 20000u - 8192);
  EXPECT_LE(usage_of(t.core()).chunks, 32u + 3 + 34 + 1) << "the window rounded up and its ranges, however small the pieces";
  EXPECT_EQ(t.stack().buffers_in_use(), 0u) << "no frame is pinned";
  drain(t.peer);
  // The missing byte is always taken.
  t.peer.ack().seq(1).data("y");
  EXPECT_EQ(t.app.received(), "yx");
  drain(t.peer);
}

TEST(Receive, sec_C9__out_of_order_memory_used_up__what_is_in_order_goes_on) {
  CoreConfig config = small_config();
  config.limits.buffer_memory = 128 << 10;
  Trace t{config};
  t.listen();
  std::vector<std::unique_ptr<Peer>> peers;
  for (int i = 0; i < 30; ++i) {
    peers.push_back(t.another_peer(static_cast<Port>(21000 + i)));
    peers.back()->open(with_sack);
    for (std::uint32_t k = 0; k < 4; ++k)
      peers.back()->ack().seq(1000 + 3000 * k).data(std::string(1460, 'g'));
    drain(*peers.back());
  }
  EXPECT_GT(t.drops(Drop::tcp_no_memory), 0u);
  EXPECT_LE(usage_of(t.core()).chunks, 64u * 3 / 4);
  t.peer.open();
  t.peer.ack().data(std::string(1460, 'h'));
  EXPECT_EQ(t.app.received().size(), 1460u);
}

// --- pausing, partial reading
// --------------------------------------------------------------------------------------

TEST(Pause, data_waits_and_resume_delivers__order_kept) {
  Trace t;
  t.listen();
  t.peer.open();
  t.with([](Conn& c) { c.pause_rx(); });
  t.peer.ack().data("abc");
  t.peer.ack().data("def");
  EXPECT_EQ(t.app.received(), "");
  EXPECT_EQ(t.conn().stats().unread, 6u);
  t.with([](Conn& c) { c.resume_rx(); });
  EXPECT_EQ(t.app.received(), "abcdef");
  EXPECT_EQ(usage_of(t.core()), (Usage{.connections = 1})) << "nothing is held while idle";
}

TEST(Pause, in_the_data_callback__the_rest_waits) {
  Trace t;
  t.app.data = [](Conn& c, const RxView&) {
    c.pause_rx();
    return std::size_t{2};
  };
  t.listen();
  t.peer.open();
  t.peer.ack().data("abcdef");
  EXPECT_EQ(t.app.received(), "ab");
  t.app.data = nullptr;
  t.peer.ack().data("ghi");
  EXPECT_EQ(t.app.received(), "ab");
  t.with([](Conn& c) { c.resume_rx(); });
  EXPECT_EQ(t.app.received(), "abcdefghi");
}

TEST(Partial, a_parser_that_waits_for_a_whole_line__sees_it_in_one_piece) {
  Trace t;
  std::vector<std::string> lines;
  t.app.data = [&](Conn&, const RxView& in) {
    const auto end = in.text().find('\n');
    if (end == std::string_view::npos) return std::size_t{0};
    lines.emplace_back(in.text().substr(0, end));
    return end + 1;
  };
  t.listen();
  t.peer.open();
  std::string wanted;
  for (int i = 0; i < 6; ++i) {
    const std::string piece(1000, static_cast<char>('a' + i));
    wanted += piece;
    t.peer.ack().data(piece);
  }
  t.peer.ack().data("\nnext\n");
  ASSERT_GE(lines.size(), 1u);
  EXPECT_EQ(lines[0], wanted) << "longer than any chunk or segment";
  drain(t.peer);
}

TEST(Partial, consume_in_the_callback_of_many_held_chunks__is_safe) {
  Trace t;
  t.listen();
  t.peer.open();
  t.with([](Conn& c) { c.pause_rx(); });
  for (int i = 0; i < 8; ++i) t.peer.ack().data(std::string(1400, 'c'));
  t.app.data = [](Conn& c, const RxView&) {
    c.consume(c.stats().unread);
    return std::size_t{0};
  };
  t.with([](Conn& c) { c.resume_rx(); });
  EXPECT_EQ(t.conn().stats().unread, 0u);
  drain(t.peer);
}

TEST(Memory, callback_sends_all_it_can_and_leaves_its_bytes__they_are_kept) {
  CoreConfig config = small_config();
  config.limits.buffer_memory = 64 << 10;
  Trace t{config};
  t.app.accepted = [](Conn& c) {
    while (c.send(std::string(2048, 's')) != 0) {
    }
  };
  t.app.data = [](Conn&, const RxView&) { return std::size_t{0}; };
  t.listen();
  t.peer.syn().mss(1460);
  t.peer.expect().syn_ack();
  t.peer.ack().data("leave me here");
  EXPECT_FALSE(t.app.reason());
  EXPECT_EQ(t.conn().stats().unread, 13u);
  drain(t.peer);
}

/// All of the shard's memory, the reserves included: what no application can take.
struct Hoard {
  explicit Hoard(Core& core) : pool(core.shard().tcp().chunks) {}
  ~Hoard() { give_back(); }
  Hoard(const Hoard&) = delete;
  void take_all() {
    while (tcp::Chunk* chunk = pool.allocate()) taken.push_back(chunk);
  }
  void give_back() {
    for (tcp::Chunk* chunk : taken) pool.free(chunk);
    taken.clear();
  }
  tcp::ChunkPool& pool;
  std::vector<tcp::Chunk*> taken;
};

TEST(Memory, callback_takes_every_buffer_and_leaves_bytes_before_a_fin__they_are_kept) {
  CoreConfig config = small_config();
  config.limits.buffer_memory = 64 << 10;
  Trace t{config};
  std::vector<TxBuf> hoard;
  t.app.data = [&](Conn& c, const RxView&) {
    for (TxBuf b = c.core().allocate(); b; b = c.core().allocate()) hoard.push_back(std::move(b));
    return std::size_t{0};
  };
  t.listen();
  t.peer.open();
  t.peer.ack().data("leave me here").fin();
  EXPECT_FALSE(t.app.reason());
  EXPECT_EQ(t.conn().stats().unread, 13u);
  EXPECT_FALSE(hoard.empty());
  hoard.clear();
  drain(t.peer);
}

TEST(Memory, none_is_left_behind_the_callback_that_leaves_its_bytes__they_come_again) {
  CoreConfig config = small_config();
  config.limits.buffer_memory = 64 << 10;
  Trace t{config};
  Hoard hoard{t.core()};
  t.app.data = [&](Conn&, const RxView&) {
    hoard.take_all();
    return std::size_t{0};
  };
  t.listen();
  t.peer.open();
  t.peer.ack().data("leave me here");
  EXPECT_EQ(t.drops(Drop::tcp_no_memory), 1u);
  t.advance(1s);
  while (const auto p = t.peer.poll()) EXPECT_EQ(p->ack, t.peer.iss + 1) << "what is not kept is not acknowledged";
  hoard.give_back();
  t.app.data = nullptr;
  t.peer.ack().seq(1).data("leave me here");
  EXPECT_EQ(t.app.received(), "leave me here");
  drain(t.peer);
}

TEST(Memory, none_is_left_behind_the_callback_that_leaves_bytes_before_a_fin__connection_ends_and_nothing_else) {
  CoreConfig config = small_config();
  config.limits.buffer_memory = 64 << 10;
  Trace t{config};
  Hoard hoard{t.core()};
  t.app.data = [&](Conn&, const RxView&) {
    hoard.take_all();
    return std::size_t{0};
  };
  t.listen();
  t.peer.open();
  t.peer.ack().data("leave me here").fin();
  t.peer.expect().rst_ack();
  EXPECT_EQ(t.app.reason(), CloseReason::no_memory);
  hoard.give_back();
  EXPECT_EQ(usage_of(t.core()), Usage{});
  t.app.data = nullptr;
  auto other = t.another_peer(31000);
  other->open();
  other->ack().data("all is well");
  EXPECT_EQ(t.app.received(), "all is well");
  drain(t.peer);
}

TEST(Memory, no_receive_memory__in_order_data_for_who_does_not_read_is_dropped_and_comes_again) {
  CoreConfig config = small_config();
  config.limits.buffer_memory = 64 << 10;
  Trace t{config};
  t.listen();
  t.peer.open();
  Hoard hoard{t.core()};
  hoard.take_all();
  t.peer.ack().data("shown in its frame");
  EXPECT_EQ(t.app.received(), "shown in its frame");
  t.with([](Conn& c) { c.pause_rx(); });
  t.peer.ack().data("not now");
  EXPECT_EQ(t.app.received(), "shown in its frame");
  EXPECT_EQ(t.drops(Drop::tcp_no_memory), 1u);
  hoard.give_back();
  t.with([](Conn& c) { c.resume_rx(); });
  t.peer.ack().seq(19).data("not now");
  EXPECT_EQ(t.app.received(), "shown in its framenot now");
}

TEST(Memory, no_frame_to_send_with__counted_and_retransmitted_later) {
  Trace t;
  t.listen();
  t.peer.open();
  t.stack().limit_buffers(0);
  t.with([](Conn& c) { c.send("lost here"); });
  t.expect_nothing();
  EXPECT_GE(t.drops(Drop::tx_no_buffer), 1u);
  t.stack().limit_buffers(100000);
  t.advance_to_frame(3s);
  t.peer.expect().data("lost here");
}

TEST(Memory, port_takes_nothing__everything_leaves_later_in_order) {
  Trace t;
  t.listen();
  t.peer.open();
  t.stack().limit_transmit(0);
  t.with([](Conn& c) { c.send(std::string(4000, 'p')); });
  EXPECT_TRUE(t.peer.quiet());
  t.stack().limit_transmit(1);
  for (int i = 0; i < 4; ++i) t.poll();
  t.peer.expect().seq(1).length(1460);
  t.peer.expect().seq(1461).length(1460);
}

}  // namespace
}  // namespace handfast::test
