// SPDX-License-Identifier: BSD-3-Clause
// Attacks by what segments claim to carry or to acknowledge: overlaps, tiny pieces beyond gaps, blocks and numbers that lie.
// Rows B13, B14, C9, C10 and C12 of docs/security-limits.md. Layer: tests of security, through frames.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "crowd.hpp"

namespace handfast::test {
namespace {

// Where the whole state is looked at after every event, that look is what takes the time, and it grows with the state.
#ifdef HANDFAST_PARANOID
constexpr bool is_timed = false;
#else
constexpr bool is_timed = true;
#endif

constexpr std::uint32_t mss = 1460;

struct Slots {
  unsigned from, to;
};

std::vector<Slots> all_ranges() {
  std::vector<Slots> ranges;
  for (unsigned i = 1; i < 8; ++i)
    for (unsigned j = i + 1; j <= 8; ++j) ranges.push_back({i, j});
  return ranges;
}

/// Each arrival has a letter of its own, or, `equal`, the letter of the place; slot 0 comes last, with all the rest, as 'z'.
void play_overlaps(SecurityWorld& w, Port port, const std::vector<Slots>& arrivals, bool equal) {
  auto p = w.t.another_peer(port);
  p->open(with_sack);
  std::string expected(9, equal ? '.' : 'z');
  std::vector<bool> have(9, false);
  if (equal)
    for (unsigned s = 0; s < 9; ++s) expected[s] = static_cast<char>('0' + s);
  char letter = 'a';
  for (const Slots& r : arrivals) {
    const std::string text = equal ? expected.substr(r.from, r.to - r.from) : std::string(r.to - r.from, letter);
    for (unsigned s = r.from; s < r.to && !equal; ++s)
      if (!have[s]) expected[s] = letter, have[s] = true;
    p->ack().seq(1 + r.from).data(text);
    ++letter;
  }
  p->ack().seq(1).data(equal ? expected : std::string(9, 'z'));
  EXPECT_EQ(w.t.app.received(), expected);
  w.t.with([](Conn& c) { c.abort(); });
  w.discard(*p);
}

// RFC 9293 3.10.7.4 seventh: which copy of a byte counts is ours to say, and it is always the first that came.
TEST(SecurityB, sec_B13__every_pair_of_overlaps_and_triples__first_byte_received_wins) {
  SecurityWorld w;
  const auto ranges = all_ranges();
  Port port = 20000;
  const std::uint32_t most = static_cast<std::uint32_t>(scaled(28, 2));
  for (const Slots& a : ranges)
    for (const Slots& b : ranges) {
      play_overlaps(w, port++, {a, b}, false);
      for (std::uint32_t k = 0; k < most; ++k) {
        const Slots& c = most == 28 ? ranges[k] : ranges[w.t.rng().below(28)];
        play_overlaps(w, port++, {a, b, c}, false);
        if (port > 60000) port = 20000;
      }
      if (testing::Test::HasFailure()) return;
    }
}

TEST(SecurityB, sec_B13__equal_content_in_every_order__the_same_stream) {
  SecurityWorld w;
  const auto ranges = all_ranges();
  Port port = 20000;
  for (int i = 0; i < 150; ++i) {
    std::array<unsigned, 3> pick{w.t.rng().below(28), w.t.rng().below(28), w.t.rng().below(28)};
    std::ranges::sort(pick);
    do play_overlaps(w, port++, {ranges[pick[0]], ranges[pick[1]], ranges[pick[2]]}, true);
    while (std::ranges::next_permutation(pick).found);
    if (testing::Test::HasFailure()) return;
  }
}

/// A flight of `n` segments to the peer, which has taken none.
void with_flight(SecurityWorld& w, std::uint32_t n, Handshake h) {
  w.most_out_per_in = 20;
  w.establish(h, false);
  w.t.with([&](Conn& c) { ASSERT_EQ(c.send(std::string(n * mss, 'x')), n * mss); });
  EXPECT_EQ(w.discard(), n);
  w.peer.rcv_nxt = 1;
}
std::uint32_t nth(std::uint32_t n) { return 1 + n * mss; }

// RFC 2018, RFC 2883
TEST(SecurityB, sec_B14__blocks_that_cannot_be__ignored_without_a_retransmission) {
  SecurityWorld w;
  with_flight(w, 4, with_sack);
  const std::vector<std::vector<Block>> bad = {
      {{nth(2), nth(1)}},             {{nth(1), nth(1)}},
      {{0u - 5000, 0u - 100}},        {{0u - 100, nth(2)}},
      {{nth(2), nth(4) + 1}},         {{nth(10), nth(12)}},
      {{1, 1u + (1u << 31)}},         {{nth(3), nth(2)}, {nth(2), nth(1)}, {nth(4), nth(1)}, {5, 4}},
      {{0u - (1u << 31), nth(4) + 5}}, {{nth(1) + 1, nth(2) - 1}}};
  for (int again = 0; again < 100; ++again)
    for (const auto& blocks : bad) w.peer.ack().window(60000 + static_cast<std::uint32_t>(again % 2)).sack(blocks);
  EXPECT_EQ(w.t.conn().stats().sacked, 0u);
  EXPECT_EQ(w.discard(), 0u);
  EXPECT_EQ(w.t.stats().retransmits, 0u);
  w.peer.ack().ack(nth(1)).sack({{1, nth(1)}});  // D-SACK of the first, whose copy was never sent
  w.peer.ack().ack(nth(4));
  EXPECT_EQ(w.t.conn().unacked(), 0u);
  EXPECT_EQ(w.t.stats().fast_retransmits, 0u);
}

// RFC 2018 section 3: two bytes and eight for each block
TEST(SecurityB, sec_B14__option_of_every_length__no_block_out_of_half_a_one) {
  SecurityWorld w;
  with_flight(w, 4, with_sack);
  std::uint64_t malformed = 0;
  for (std::uint8_t length = 0; length <= 40; ++length) {
    std::vector<std::uint8_t> option(40, 1);
    option[0] = 5;
    option[1] = length;
    const bool whole = length >= 10 && length <= 34 && (length - 2) % 8 == 0;
    for (std::size_t i = 2; i < std::max<std::size_t>(length, 2); ++i) option[i] = 0xee;
    const std::uint64_t before = w.drops(Drop::tcp_malformed_option);
    w.peer.segment(ACK).options(option);
    malformed += w.drops(Drop::tcp_malformed_option) - before;
    EXPECT_TRUE(!whole || w.drops(Drop::tcp_malformed_option) == before) << int{length};
  }
  EXPECT_GE(malformed, 2u) << "lengths 0 and 1 at least";
  EXPECT_EQ(w.t.conn().stats().sacked, 0u);
  EXPECT_EQ(w.t.stats().retransmits, 0u);
  EXPECT_EQ(w.t.state(), State::established);
}

// CVE-2018-5390: the work for the last piece is that for the first. RFC 9293 MAY-13.
TEST(SecurityC, sec_C9__every_second_byte_of_a_megabyte__bounded_ranges_memory_and_work) {
  CoreConfig config = small_config();
  config.tcp.receive_buffer = config.tcp.receive_buffer_initial = 1 << 20;
  SecurityWorld w{config};
  w.establish(modern, false);
  const Usage before = usage_of(w.t.core());
  std::uint32_t place = 0;
  const auto piece = [&] {
    w.peer.ack().seq(2 + 2 * place++).data("x");
    w.discard();
  };
  std::vector<double> cost;
  const std::uint64_t n = scaled(100000, 30000);
  for (std::uint64_t i = 0; i < n; i += 1000) cost.push_back(least_mean_ns(20, 50, piece));
  const double early = *std::min_element(cost.begin(), cost.begin() + 4);
  const double late = *std::min_element(cost.end() - 4, cost.end());
  if (is_timed) {
    EXPECT_LT(late, 6 * early + 500) << "ns: a list walked from its head would be a thousand times as long";
  }
  const std::uint64_t kept = w.t.conn().stats().out_of_order;
  EXPECT_EQ(kept, std::min<std::uint64_t>(n, 8192)) << "max_out_of_order_ranges";
  EXPECT_EQ(w.drops(Drop::tcp_out_of_order_full), n - kept);
  // By places, not by pieces: 8192 of every two bytes lie in 16 KiB, and their list takes 8 bytes each.
  const std::uint32_t chunks = usage_of(w.t.core()).chunks - before.chunks;
  EXPECT_LE(chunks, 9u + 3 + 2 * (8192 * 8 / 2048) + 1);
  EXPECT_EQ(w.t.stack().buffers_in_use(), 0u) << "no frame is pinned";
  // Whatever is full, the byte that is next is taken.
  w.peer.ack().seq(1).data("y");
  EXPECT_EQ(w.t.app.received(), "yx");
  w.peer.ack().seq(3).data("y");
  EXPECT_EQ(w.t.app.received(), "yxyx");
}

TEST(SecurityC, sec_C9__out_of_order_pieces_on_many_connections__half_of_the_memory_at_most) {
  CoreConfig config = small_config();
  config.limits.buffer_memory = 1 << 20;
  SecurityWorld w{config};
  Crowd crowd = crowd_of(w, 100);
  for (auto& p : crowd) {
    p->open(with_sack);
    for (std::uint32_t k = 0; k < 20; ++k) p->ack().seq(1000 + 3000 * k).data("gap");
    w.discard(*p);
  }
  EXPECT_GT(w.drops(Drop::tcp_no_memory), 0u);
  EXPECT_LE(usage_of(w.t.core()).chunks, (1u << 20) / 2048 / 2);
  w.expect_innocent_moves();
}

/// Segments of 216 bytes in flight towards the peer, opened up by honest ACKs; returns the first of them.
std::uint32_t fill_flight(SecurityWorld& w, std::uint32_t segments) {
  w.most_out_per_in = 70;
  w.establish({.mss = 216, .wscale = 8, .ts = false, .sack = true}, false);
  const auto feed = [](Conn& c) {
    while (c.send(std::string(60000, 's')) == 60000) {
    }
  };
  w.t.app.writable = feed;
  w.t.with(feed);
  for (int i = 0; i < 60000 && w.t.conn().stats().flight < segments * 216; ++i) {
    if (w.peer.quiet()) break;
    w.peer.expect();
    w.peer.ack();
  }
  w.discard();
  w.t.app.writable = nullptr;
  EXPECT_GE(w.t.conn().stats().flight, segments * 216);
  return w.peer.rcv_nxt - w.t.conn().stats().flight;
}

/// What one SACK of a random segment of every two costs, with so many in flight.
double cost_of_sack_ns(std::uint32_t segments, int acks) {
  CoreConfig config = small_config();
  config.tcp.send_buffer = 4 << 20;
  config.limits.buffer_memory = 16 << 20;
  SecurityWorld w{config};
  const std::uint32_t una = fill_flight(w, segments);
  const Holdings before = holdings_of(w.t);
  const double cost = least_mean_ns(acks / 50, 50, [&] {
    const std::uint32_t at = una + 216 * (1 + 2 * w.t.rng().below(segments / 2 - 1));
    w.peer.ack().ack(una).sack({{at, at + 216}});
    w.discard();
  });
  const std::uint32_t grown = holdings_of(w.t).usage.chunks - std::min(holdings_of(w.t).usage.chunks, before.usage.chunks);
  EXPECT_LE(grown, 2 + segments * 64 / 2048) << "what is kept of a segment is of one size";
  EXPECT_LE(w.t.conn().stats().sacked, segments * 216);
  return cost;
}

// CVE-2019-11477, -11478, -5599
TEST(SecurityC, sec_C10__random_sacks_over_ten_thousand_segments__work_grows_with_neither_flight_nor_blocks) {
  const double few = cost_of_sack_ns(500, 3000);
  const double many = cost_of_sack_ns(static_cast<std::uint32_t>(scaled(10000, 6000)), 10000);
  if (is_timed) {
    EXPECT_LT(many, 5 * few + 1000) << "ns";
  }
}

// RFC 5681, RFC 3465
TEST(SecurityC, sec_C12__ack_of_what_was_never_sent__discarded) {
  SecurityWorld w;
  with_flight(w, 4, {});
  const ConnStats before = w.t.conn().stats();
  for (std::uint32_t k = 1; k < 2000; k += 7) w.peer.ack().ack(nth(4) + k);
  EXPECT_EQ(w.drops(Drop::tcp_unacceptable_ack), (2000u - 1 + 6) / 7);
  EXPECT_EQ(w.t.conn().stats().congestion_window, before.congestion_window);
  EXPECT_EQ(w.t.conn().stats().flight, before.flight);
  w.discard();
}

TEST(SecurityC, sec_C12__one_segment_acknowledged_byte_by_byte__window_grows_by_one_segment) {
  for (const CongestionControl one : {CongestionControl::new_reno, CongestionControl::cubic}) {
    CoreConfig config = small_config();
    config.tcp.congestion_control = one;
    SecurityWorld w{config};
    w.most_out_per_in = 20;
    w.establish({}, false);
    w.t.with([](Conn& c) { c.send(std::string(40 * mss, 'x')); });
    const std::uint32_t before = w.t.conn().stats().congestion_window;
    for (std::uint32_t i = 1; i <= mss; ++i) w.peer.ack().ack(1 + i);
    EXPECT_LE(w.t.conn().stats().congestion_window, before + mss);
    w.discard();
  }
}

TEST(SecurityC, sec_C12__stretch_ack_of_twenty_segments__window_grows_by_two) {
  CoreConfig config = small_config();
  config.tcp.initial_window = 20;
  SecurityWorld w{config};
  w.most_out_per_in = 30;
  w.establish({}, false);
  w.t.with([](Conn& c) { c.send(std::string(100 * mss, 'x')); });
  const std::uint32_t before = w.t.conn().stats().congestion_window;
  w.peer.ack().ack(nth(20));
  EXPECT_LE(w.t.conn().stats().congestion_window, before + 2 * mss);
  w.discard();
}

TEST(SecurityC, sec_C12__a_thousand_duplicate_acks__no_window_for_nothing_and_in_recovery_what_was_sent) {
  SecurityWorld w;
  w.most_out_per_in = 20;
  w.establish();
  const std::uint32_t idle = w.t.conn().stats().congestion_window;
  for (int i = 0; i < 1000; ++i) w.peer.ack();
  EXPECT_EQ(w.t.conn().stats().congestion_window, idle) << "nothing was outstanding";
  w.t.with([](Conn& c) { c.send(std::string(150 * mss, 'x')); });
  const std::size_t out = w.discard();
  w.peer.rcv_nxt = 101;
  std::size_t sent = 0;
  for (int i = 0; i < 1000; ++i) {
    w.peer.ack().ack(101);
    sent += w.discard();
  }
  // One that was lost, and as many new ones as are said to have left the network: there were `out` of them.
  EXPECT_LE(sent, out + 1);
  EXPECT_LE(w.t.conn().stats().congestion_window, idle);
}

}  // namespace
}  // namespace handfast::test
