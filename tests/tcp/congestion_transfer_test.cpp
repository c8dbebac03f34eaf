// SPDX-License-Identifier: BSD-3-Clause
// Each congestion control end to end: two stacks, a link with a rate and a queue, all of recovery and pacing in
// between. Layer: tests of the protocol.
#include <gtest/gtest.h>

#include <array>
#include <deque>

#include "support/pair.hpp"

namespace handfast::test {
namespace {

constexpr double rate = 20e6 / 8;  // bytes a second on the wire
LinkRules link() { return {.delay = 10ms, .bits_per_second = 20'000'000, .queue_bytes = 100'000}; }

struct Sink {
  std::size_t on_data(Conn&, const RxView& in) { return in.size(); }
  void on_peer_fin(Conn& c) { c.close(); }
};

/// Sends without end, or so many bytes each time that it is told to.
struct Source {
  struct Shared {
    std::uint64_t acked = 0;
    std::uint64_t left = 0;  ///< that may be sent still
    ConnId id;
    std::optional<CloseReason> closed;
  };
  Shared* shared;
  void fill(Conn& c) const {
    static const std::array<std::byte, 16384> block{};
    while (shared->left != 0) {
      const std::size_t n = c.send_static(std::span{block}.first(std::min<std::size_t>(block.size(), shared->left)));
      if (n == 0) return;
      shared->left -= n;
    }
  }
  void on_connect(Conn& c) const {
    shared->id = c.id();
    c.set_nodelay(true);
    fill(c);
  }
  void on_writable(Conn& c) const { fill(c); }
  void on_sent(Conn&, std::size_t n) const { shared->acked += n; }
  void on_closed(ConnId, CloseReason why) const { shared->closed = why; }
};

constexpr std::uint64_t endless = ~std::uint64_t{0} / 2;

/// End 0 sends to end 1.
struct Transfer {
  explicit Transfer(CongestionControl cc, LinkRules rules = link())
      : pair(11, std::move(rules), [cc](CoreConfig& c) { c.tcp.congestion_control = cc; }) {
    EXPECT_TRUE(pair.core(1).listen({Pair::address(1), 80}, Sink{}));
  }
  ~Transfer() {
    pair.rules = {};
    for (Source::Shared& s : sources) {
      s.left = 0;
      if (auto c = pair.core(0).find(s.id)) c->close();
    }
    EXPECT_TRUE(pair.run_idle(60s));
    for (const Source::Shared& s : sources) EXPECT_EQ(s.closed, CloseReason::finished);
  }
  Source::Shared& open(std::uint64_t bytes = endless, ConnectOptions options = {}) {
    Source::Shared& s = sources.emplace_back();
    s.left = bytes;
    const auto handler = pair.core(0).add_handler(Source{&s});
    const auto id = pair.core(0).connect({Pair::address(1), 80}, *handler, options);
    EXPECT_TRUE(id);
    return s;
  }
  ConnStats stats(const Source::Shared& s) { return pair.core(0).find(s.id)->stats(); }
  /// Payload over the next while, as a part of the rate.
  double share(const Source::Shared& s, Duration d) {
    const std::uint64_t before = s.acked;
    pair.run_for(d);
    return static_cast<double>(s.acked - before) / (rate * std::chrono::duration<double>(d).count());
  }
  /// How long until so many more bytes are acknowledged.
  Duration time_for(Source::Shared& s, std::uint64_t bytes) {
    const std::uint64_t goal = s.acked + bytes;
    s.left = bytes;
    const Time from = pair.now();
    Conn c = *pair.core(0).find(s.id);
    Source{&s}.fill(c);
    EXPECT_TRUE(pair.run_until([&] { return s.acked >= goal; }, 60s));
    return pair.now() - from;
  }

  Pair pair;
  std::deque<Source::Shared> sources;  // stay where they are
};

class Transfers : public testing::TestWithParam<CongestionControl> {};

TEST_P(Transfers, long_one__fills_the_link) {
  Transfer t(GetParam());
  auto& s = t.open();
  t.pair.run_for(3s);
  EXPECT_GT(t.share(s, 10s), 0.85) << "headers are a twentieth";
  EXPECT_EQ(t.pair.core(0).stats().timeouts, 0u);
}

TEST_P(Transfers, at_first__half_of_the_link_within_a_second) {
  Transfer t(GetParam());
  EXPECT_GT(t.share(t.open(), 1s), 0.5);
}

TEST_P(Transfers, two_at_a_time__share_fairly_over_30_seconds) {
  Transfer t(GetParam());
  auto& first = t.open();
  t.pair.run_for(2s);
  auto& second = t.open();
  t.pair.run_for(20s);  // to meet
  const std::uint64_t a = first.acked, b = second.acked;
  t.pair.run_for(30s);
  const auto got_a = static_cast<double>(first.acked - a), got_b = static_cast<double>(second.acked - b);
  EXPECT_GT(got_a + got_b, 0.85 * 30 * rate);
  EXPECT_NEAR(got_a / (got_a + got_b), 0.5, 0.1) << got_a << " against " << got_b;
}

TEST_P(Transfers, random_loss__of_one_in_a_thousand_is_repaired_without_timeouts) {
  LinkRules rules = link();
  rules.loss = 0.001;
  Transfer t(GetParam(), rules);
  auto& s = t.open();
  t.pair.run_for(1s);
  EXPECT_GT(t.share(s, 20s), 0.4);
  EXPECT_LE(t.pair.core(0).stats().timeouts, 1u);
}

TEST_P(Transfers, outage_of_a_second__goes_on_after_it) {
  Transfer t(GetParam());
  auto& s = t.open();
  t.pair.run_for(3s);
  t.pair.rules.loss = 1;
  t.pair.run_for(1s);
  t.pair.rules.loss = 0;
  t.pair.run_for(2s);
  EXPECT_GT(t.share(s, 5s), 0.75);
}

TEST_P(Transfers, answers_now_and_then__are_not_slowed_by_the_pause) {
  Transfer t(GetParam());
  auto& s = t.open(400'000);
  ASSERT_TRUE(t.pair.run_until([&] { return s.acked >= 400'000; }, 10s));
  const Duration first = t.time_for(s, 50'000);
  t.pair.run_for(2s);
  const Duration second = t.time_for(s, 50'000);
  EXPECT_LT(first, 90ms) << "21 on the wire, a round trip, a delayed ACK";
  EXPECT_LT(second, first + 15ms) << "a slow start from ten segments takes two round trips more";
}

TEST_P(Transfers, delay_jumps__what_was_no_loss_is_taken_back) {
  Transfer t(GetParam(), {.delay = 10ms, .bits_per_second = 20'000'000, .queue_bytes = 1'000'000});
  auto& s = t.open();
  t.pair.run_for(2s);
  const std::uint32_t before = t.stats(s).congestion_window;
  t.pair.rules.delay = 400ms;
  t.pair.run_for(2s);
  const std::uint32_t after = t.stats(s).congestion_window;
  EXPECT_GE(t.pair.core(0).stats().recoveries_undone, 1u);
  EXPECT_GE(after, before / 2) << "of " << before;
}

TEST_P(Transfers, changed_in_flight__goes_on_at_full_rate) {
  Transfer t(CongestionControl::new_reno);
  auto& s = t.open();
  t.pair.run_for(3s);
  t.pair.core(0).find(s.id)->set_congestion_control(GetParam());
  EXPECT_EQ(t.stats(s).congestion_control, GetParam());
  t.pair.run_for(1s);
  EXPECT_GT(t.share(s, 5s), 0.8);
  t.pair.core(0).find(s.id)->set_congestion_control(CongestionControl::cubic);
  t.pair.run_for(1s);
  EXPECT_GT(t.share(s, 5s), 0.8);
}

INSTANTIATE_TEST_SUITE_P(Congestion, Transfers,
                         testing::Values(CongestionControl::new_reno, CongestionControl::cubic, CongestionControl::dctcp,
                                         CongestionControl::bbr),
                         [](const auto& one) { return std::string{name(one.param)}; });

TEST(CongestionChoice, by_stack_connection_and_listener) {
  Pair pair(3, {}, [](CoreConfig& c) { c.tcp.congestion_control = CongestionControl::dctcp; });
  std::vector<CongestionControl> accepted;
  struct Server {
    std::vector<CongestionControl>* seen;
    void on_accept(Conn& c) const { seen->push_back(c.stats().congestion_control); }
    void on_peer_fin(Conn& c) const { c.close(); }
  };
  ASSERT_TRUE(pair.core(1).listen({Pair::address(1), 80}, Server{&accepted}));
  ASSERT_TRUE(pair.core(1).listen({Pair::address(1), 81}, Server{&accepted}, {.congestion_control = CongestionControl::bbr}));
  const auto handler = pair.core(0).add_handler(Sink{});
  const auto plain = pair.core(0).connect({Pair::address(1), 80}, *handler);
  const auto own = pair.core(0).connect({Pair::address(1), 81}, *handler, {.congestion_control = CongestionControl::new_reno});
  pair.run_for(1s);
  EXPECT_EQ(accepted, (std::vector{CongestionControl::dctcp, CongestionControl::bbr}));
  EXPECT_EQ(pair.core(0).find(*plain)->stats().congestion_control, CongestionControl::dctcp);
  EXPECT_EQ(pair.core(0).find(*own)->stats().congestion_control, CongestionControl::new_reno);
  pair.core(0).find(*plain)->close();
  pair.core(0).find(*own)->close();
  EXPECT_TRUE(pair.run_idle(10s));
}

TEST(CongestionChoice, names__there_and_back) {
  for (const char* text : {"new_reno", "cubic", "dctcp", "bbr"}) {
    const auto parsed = parse_congestion_control(text);
    ASSERT_TRUE(parsed) << text;
    EXPECT_EQ(name(*parsed), text);
  }
  EXPECT_FALSE(parse_congestion_control("vegas"));
  EXPECT_FALSE(parse_congestion_control(""));
  EXPECT_EQ(TcpConfig{}.congestion_control, CongestionControl::cubic);
}

}  // namespace
}  // namespace handfast::test
