// SPDX-License-Identifier: BSD-3-Clause
// What a change of the algorithm of congestion control leaves of the window, before the old one has found
// anything. Layer: tests of the protocol, through frames alone.
#include <gtest/gtest.h>

#include <limits>
#include <string>

#include "support/peer.hpp"

namespace handfast::test {
namespace {

constexpr std::uint32_t unlimited = std::numeric_limits<std::uint32_t>::max();

CoreConfig modelled() {
  CoreConfig config = small_config();
  config.tcp.congestion_control = CongestionControl::bbr;
  return config;
}

/// The window after `rounds` of sending what it lets out and having all of it acknowledged.
std::uint32_t window_after(Trace& t, int rounds) {
  t.with([](Conn& c) { c.send(std::string(100'000, 'x')); });
  for (int i = 0; i < rounds; ++i) {
    t.advance(50ms);
    while (const auto p = t.peer.poll()) t.peer.ack().ack(t.peer.rcv_nxt).no_poll();
    t.poll();
  }
  return t.conn().stats().congestion_window;
}

// rfc5681 3.1: the first threshold is to be as high as can be, so that slow start ends where the path does.
TEST(CongestionChange, model_to_window__while_connecting__threshold_stays_arbitrarily_high) {
  Trace t{modelled()};
  const ConnId id = t.connect();
  t.core().find(id)->set_congestion_control(CongestionControl::new_reno);
  t.peer.answer_open(modern);
  EXPECT_EQ(t.conn().stats().slow_start_threshold, unlimited);
  const std::uint32_t before = t.conn().stats().congestion_window;
  EXPECT_GT(window_after(t, 2), 2 * before) << "slow start: it doubles each round trip";
}

TEST(CongestionChange, model_to_window__on_a_fresh_connection__threshold_stays_arbitrarily_high) {
  Trace t{modelled()};
  t.listen();
  t.peer.open(modern);
  t.with([](Conn& c) { c.set_congestion_control(CongestionControl::cubic); });
  EXPECT_EQ(t.conn().stats().slow_start_threshold, unlimited);
}

TEST(CongestionChange, model_to_window__with_a_model__its_window_is_the_threshold) {
  Trace t{modelled()};
  t.listen();
  t.peer.open(modern);
  const std::uint32_t found = window_after(t, 4);
  t.with([](Conn& c) { c.set_congestion_control(CongestionControl::cubic); });
  EXPECT_EQ(t.conn().stats().slow_start_threshold, found);
}

}  // namespace
}  // namespace handfast::test
