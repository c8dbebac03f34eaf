// SPDX-License-Identifier: BSD-3-Clause
// Fast recovery where duplicate ACKs are all there is: what one of them stands for counts once, whatever the
// ACKs behind it cover (RFC 6937 section 2, RFC 6582). Layer: tests of the protocol, through frames alone.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "support/peer.hpp"

namespace handfast::test {
namespace {

constexpr std::uint32_t mss = 1000;
using Seqs = std::vector<std::uint32_t>;

Seqs sent(Trace& t) {
  Seqs seqs;
  while (auto p = t.peer.poll()) seqs.push_back(p->seq - t.peer.irs);
  return seqs;
}

CoreConfig with_window(std::uint32_t segments) {
  CoreConfig config = small_config();
  config.tcp.initial_window = segments;
  return config;
}

void open(Trace& t) {
  t.listen();
  t.peer.open(Handshake{.mss = mss, .wscale = 7});
  t.with([](Conn& c) { c.set_nodelay(true); });
}

void send(Trace& t, std::size_t bytes) {
  t.with([bytes](Conn& c) { ASSERT_EQ(c.send(std::string(bytes, 'f')), bytes); });
}

Seqs duplicates(Trace& t, unsigned n, std::uint32_t ack = 1) {
  for (unsigned i = 0; i < n; ++i) t.peer.ack().ack(ack);
  return sent(t);
}

// rfc6937 3a. Twenty segments, the first and the eleventh are lost. Of the duplicates seven count in
// recovery: half as many segments may leave. The ACK of ten brings what one segment brings, the nine others
// were counted.
TEST(WithoutSack, partial_ack_of_what_duplicates_told_of__delivers_one_segment) {
  Trace t{with_window(20)};
  open(t);
  send(t, 20 * mss);
  ASSERT_EQ(sent(t).size(), 20u);
  EXPECT_EQ(duplicates(t, 3), Seqs{1});
  send(t, 30 * mss);
  EXPECT_EQ(duplicates(t, 6).size(), 2u) << "with the first one three segments for seven";
  t.peer.ack().ack(1 + 10 * mss);
  EXPECT_EQ(sent(t), Seqs{1 + 10 * mss}) << "the hole, and no burst behind it";
  EXPECT_EQ(t.conn().stats().slow_start_threshold, 10 * mss);
  t.peer.ack().ack(1 + 22 * mss);
  EXPECT_EQ(t.conn().stats().congestion_window, 10 * mss);
  sent(t);
}

// rfc5681 3.2 step 4, rfc6582 3.2 step 3: an ACK of less than a segment takes no more out of the window than
// it covers.
TEST(WithoutSack, partial_ack_of_less_than_a_segment__duplicates_of_the_others_still_count) {
  Trace t{with_window(20)};
  open(t);
  send(t, 100);
  send(t, 100);
  send(t, 19 * mss);
  ASSERT_EQ(sent(t).size(), 21u);
  EXPECT_EQ(duplicates(t, 3), Seqs{1});
  send(t, 40 * mss);
  duplicates(t, 16);  // the second is lost as well
  t.peer.ack().ack(101);
  const Seqs again = sent(t);
  ASSERT_FALSE(again.empty());
  EXPECT_EQ(again.front(), 101u);
  EXPECT_LE(t.conn().stats().congestion_window, 200 + 19 * mss)
      << "no more than was out when the loss was found";
  t.peer.ack().ack(101);
  EXPECT_EQ(sent(t).size(), 1u) << "one leaves for one that has arrived";
}

constexpr std::uint32_t small = 216;  // the least there is, so that hundreds are not much

/// A connection whose window is `segments` small ones, all of them out. The number of the first.
std::uint32_t with_small_segments(Trace& t, std::uint32_t segments) {
  t.listen();
  t.peer.open(Handshake{.mss = small, .wscale = 7});
  std::uint32_t next = 1;
  for (int round = 0; round < 50 && t.conn().stats().congestion_window < segments * small; ++round) {
    const std::uint32_t n = t.conn().stats().congestion_window / small;
    send(t, n * small);
    for (const std::uint32_t end = next + n * small; next < end;) {
      sent(t);
      t.peer.ack().ack(next = std::min(next + 2 * small, end));
    }
  }
  send(t, segments * small);
  EXPECT_EQ(sent(t).size(), segments);
  EXPECT_EQ(duplicates(t, 3, next), Seqs{next});
  send(t, 200000);
  return next;
}

CoreConfig with_memory() {
  CoreConfig config = small_config();
  config.tcp.send_buffer = 1 << 20;
  return config;
}

// rfc5681 3.2, on step 4; sec_C12: more duplicates than there are segments let nothing out.
TEST(WithoutSack, endless_duplicates_for_many_segments__no_more_leave_than_half_of_these) {
  Trace t{with_memory()};
  const std::uint32_t first = with_small_segments(t, 400);
  EXPECT_LE(duplicates(t, 3000, first).size(), 200u);
}

// rfc6937 2: the sum of what is delivered is how far it went, with more duplicates than a byte counts too.
TEST(WithoutSack, partial_ack_of_four_hundred_segments__no_burst) {
  Trace t{with_memory()};
  const std::uint32_t first = with_small_segments(t, 600);
  duplicates(t, 396, first);
  t.peer.ack().ack(first + 400 * small);
  EXPECT_LE(sent(t).size(), 2u);
}

}  // namespace
}  // namespace handfast::test
