// SPDX-License-Identifier: BSD-3-Clause
// The orderly half of the emulator: delay, rate, queue, ECN marks, MTU. Every time is worked out by hand.
#include "emulator/direction.hpp"

#include <gtest/gtest.h>

#include "numbered.hpp"

namespace handfast::emulator::test {
namespace {

constexpr std::uint64_t seed = 42;

/// An IPv4 header with a right sum, its ECN field as given.
Frame ipv4(unsigned ecn) {
  Frame frame(114);
  frame[12] = std::byte{0x08};
  frame[14] = std::byte{0x45};
  frame[15] = static_cast<std::byte>(0xb8 | ecn);
  frame[17] = std::byte{100};
  frame[22] = std::byte{64};
  frame[23] = std::byte{6};
  unsigned sum = 0;
  for (std::size_t i = 14; i < 34; i += 2)
    sum += std::to_integer<unsigned>(frame[i]) << 8 | std::to_integer<unsigned>(frame[i + 1]);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  sum = ~sum & 0xffff;
  frame[24] = static_cast<std::byte>(sum >> 8);
  frame[25] = static_cast<std::byte>(sum & 0xff);
  return frame;
}

unsigned header_sum(const Frame& frame) {
  unsigned sum = 0;
  for (std::size_t i = 14; i < 34; i += 2)
    sum += std::to_integer<unsigned>(frame[i]) << 8 | std::to_integer<unsigned>(frame[i + 1]);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  return sum;
}

TEST(Direction, no_rules__arrives_at_once_unchanged) {
  Direction way{seed};
  EXPECT_FALSE(way.next());
  way.push(at(5us), numbered(7));
  ASSERT_EQ(way.next(), at(5us));
  const auto all = arrivals(way, at(5us));
  ASSERT_EQ(all.size(), 1u);
  EXPECT_EQ(all[0].frame, numbered(7));
  EXPECT_EQ(way.in_flight(), 0u);
}

TEST(Direction, delay__nothing_before_its_time) {
  Direction way{seed, {.delay = 10ms}};
  way.push(at(1ms), numbered(0));
  EXPECT_TRUE(arrivals(way, at(11ms - 1ns)).empty());
  const auto all = arrivals(way, at(20ms));
  ASSERT_EQ(all.size(), 1u);
  EXPECT_EQ(all[0].at, 11ms) << "the time it was due, not the time it was fetched";
}

TEST(Direction, rate__frames_leave_one_after_the_other) {
  Direction way{seed, {.bits_per_second = 100'000'000, .delay = 1ms}};  // 1250 bytes: 100 us
  for (std::uint32_t n = 0; n < 3; ++n) way.push(at(0us), numbered(n, 1250));
  way.push(at(1ms), numbered(3, 1250));  // the transmitter was idle
  const auto all = arrivals(way);
  ASSERT_EQ(all.size(), 4u);
  EXPECT_EQ(all[0].at, 1100us);
  EXPECT_EQ(all[1].at, 1200us);
  EXPECT_EQ(all[2].at, 1300us);
  EXPECT_EQ(all[3].at, 2100us);
}

TEST(Direction, rate__no_time_is_lost_by_rounding) {
  Direction way{seed, {.bits_per_second = 3'000'000'000}};  // 64 bytes: 170.67 ns
  for (std::uint32_t n = 0; n < 30'000; ++n) way.push(at(0us), numbered(n, 64));
  EXPECT_EQ(arrivals(way).back().at, 5'120'000ns);
}

TEST(Direction, queue__tail_is_dropped_and_room_returns) {
  Direction way{seed, {.bits_per_second = 100'000'000, .queue_bytes = 3 * 1250}};
  for (std::uint32_t n = 0; n < 5; ++n) way.push(at(0us), numbered(n, 1250));
  EXPECT_EQ(way.queued_bytes(at(0us)), 3750u);
  EXPECT_EQ(way.counts().queue_full, 2u);
  way.push(at(99us), numbered(5, 1250));  // the first is still in transmission
  EXPECT_EQ(way.counts().queue_full, 3u);
  way.push(at(100us), numbered(6, 1250));
  const auto all = arrivals(way);
  ASSERT_EQ(all.size(), 4u);
  EXPECT_EQ(all[3].n, 6u);
  EXPECT_EQ(all[3].at, 400us);
  EXPECT_EQ(way.counts().most_queued_bytes, 3750u);
}

TEST(Direction, mark__ce_only_above_the_threshold_and_only_if_capable) {
  Direction way{seed, {.bits_per_second = 100'000'000, .mark_above_bytes = 114}};
  way.push(at(0us), ipv4(2));           // finds 0
  way.push(at(0us), ipv4(2));           // finds 114: not above
  way.push(at(0us), ipv4(2));           // ECT(0)
  way.push(at(0us), ipv4(1));           // ECT(1)
  way.push(at(0us), ipv4(0));           // not ECN-capable
  way.push(at(0us), numbered(0, 114));  // not IPv4
  const auto all = arrivals(way);
  ASSERT_EQ(all.size(), 6u);
  EXPECT_EQ(all[0].frame, ipv4(2));
  EXPECT_EQ(all[1].frame, ipv4(2));
  EXPECT_EQ(all[2].frame, ipv4(3));
  EXPECT_EQ(all[3].frame, ipv4(3));
  EXPECT_EQ(all[4].frame, ipv4(0));
  EXPECT_EQ(all[5].frame, numbered(0, 114));
  for (int i = 0; i < 5; ++i) EXPECT_EQ(header_sum(all[i].frame), 0xffffu) << i;
  EXPECT_EQ(way.counts().marked, 2u);
}

TEST(Direction, mtu__larger_frames_are_dropped_and_shown) {
  std::size_t shown = 0;
  Direction way{seed, {.mtu = 576, .too_big = [&](Time now, std::span<const std::byte> frame) {
                         EXPECT_EQ(now, at(3us));
                         shown = frame.size();
                       }}};
  way.push(at(3us), numbered(0, 14 + 576));
  way.push(at(3us), numbered(1, 14 + 577));
  EXPECT_EQ(arrivals(way).size(), 1u);
  EXPECT_EQ(shown, 14u + 577u);
  EXPECT_EQ(way.counts().too_big, 1u);
}

TEST(Direction, deliver__what_arrives_may_push) {
  Direction way{seed, {.delay = 1ms}};
  way.push(at(0us), numbered(0));
  std::size_t rounds = 0;
  way.deliver(at(10ms), [&](Time due, std::span<const std::byte> frame) {
    ++rounds;
    for (int i = 0; i < 50; ++i)
      if (rounds == 1) way.push(due, frame);
    EXPECT_EQ(frame.size(), 100u);
  });
  EXPECT_EQ(rounds, 51u);
}

TEST(Direction, rules__hold_for_the_frames_that_follow) {
  Direction way{seed, {.delay = 1ms}};
  way.push(at(0us), numbered(0));
  way.rules.delay = 5ms;
  way.push(at(0us), numbered(1));
  const auto all = arrivals(way);
  EXPECT_EQ(all[0].at, 1ms);
  EXPECT_EQ(all[1].at, 5ms);
}

TEST(Direction, counts__every_frame_is_accounted_for) {
  Direction way{seed,
                {.mtu = 1000,
                 .loss = 0.1,
                 .duplicate = 0.1,
                 .bits_per_second = 1'000'000'000,
                 .queue_bytes = 10'000,
                 .delay = 1ms}};
  for (std::uint32_t n = 0; n < 10'000; ++n) way.push(at(n * 1us), numbered(n, n % 10 == 0 ? 1500 : 200));
  arrivals(way);
  const Counts& c = way.counts();
  EXPECT_GT(c.lost, 0u);
  EXPECT_GT(c.queue_full, 0u);
  EXPECT_EQ(c.too_big, 1000u);
  EXPECT_EQ(c.pushed + c.duplicated, c.delivered + c.lost + c.too_big + c.queue_full + c.too_many);
  EXPECT_EQ(c.delivered_bytes, c.delivered * 200);
}

}  // namespace
}  // namespace handfast::emulator::test
