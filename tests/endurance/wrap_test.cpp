// SPDX-License-Identifier: BSD-3-Clause
// Every number of the protocol that is counted in 32 bits or fewer, and every level of the timer wheel, at the moment at
// which it begins again: ordinary traffic notices nothing. Layer: tests of endurance, in virtual time.
#include <gtest/gtest.h>

#include <map>
#include <optional>

#include "base/seq.hpp"
#include "endurance/traffic.hpp"
#include "shard/shard.hpp"
#include "support/packet.hpp"
#include "support/pair.hpp"
#include "support/peer.hpp"
#include "support/usage.hpp"

namespace handfast::test {
namespace {

std::optional<Packet> seen_in(std::span<const std::byte> frame) {
  std::string why;
  return parse_strictly(frame, why);
}

/// Two ends whose clock begins at a time of the test's choice, all kinds of traffic from end 0 to end 1.
struct World {
  explicit World(Time start, LinkRules link = {}, const std::function<void(CoreConfig&)>& adjust = {})
      : pair(test_seed(), std::move(link),
             [&](CoreConfig& c) {
               c.tcp.msl = 2s;
               if (adjust) adjust(c);
             },
             start) {
    EXPECT_TRUE(pair.core(1).listen_with({any, 80}, *pair.core(1).add_handler_ref(server)));
    self = *pair.core(0).add_handler_ref(client);
  }
  bool open(const Task& task, Port local = 0) {
    return client.open(pair.core(0), self, {Pair::address(1), 80}, task, {.local = {{}, local}});
  }
  /// All that were opened have said all and are gone, TIME-WAIT too.
  void expect_all_finished(Duration limit) {
    EXPECT_TRUE(pair.run_idle(limit)) << "something never ends";
    EXPECT_EQ(client.finished, client.opened);
    EXPECT_EQ(client.wrong_bytes, 0u);
    pair.run_for(5s);
    for (int end = 0; end < 2; ++end) {
      EXPECT_EQ(usage_of(pair.core(end)), Usage{}) << "end " << end;
      const auto& cx = pair.core(end).shard().tcp();
      EXPECT_EQ(cx.tcb_wheel.size() + cx.half_open_wheel.size(), 0u) << "timers, end " << end;
    }
  }
  Traffic client;
  EchoBack server;
  Pair pair;
  HandlerRef self;
};

/// Ten seconds of everything over a bad path: five before the moment, five after it. RTOs, delayed ACKs, RACK, probes,
/// keep-alives and TIME-WAIT all lie across it.
void run_across(Time moment, CongestionControl congestion = CongestionControl::cubic) {
  SCOPED_TRACE("moment " + std::to_string(moment.time_since_epoch().count()) + " ns");
  LinkRules link;
  link.delay = 5ms;
  link.jitter = 2ms;
  link.loss = 0.02;
  World w{moment - 5s, link, [=](CoreConfig& c) {
            c.tcp.congestion_control = congestion;
            c.tcp.keepalive_idle = 1s;
            c.tcp.keepalive_interval = 300ms;
          }};
  EXPECT_TRUE(w.open({.bytes = 3000, .turns = 4, .pause = 2500ms, .keepalive = true}));
  EXPECT_TRUE(w.open({.bytes = 50, .turns = 50, .pause = 190ms}));
  for (int i = 0; i < 100; ++i) {
    EXPECT_TRUE(w.open({.bytes = 100}));
    if (i % 40 == 39) {
      EXPECT_TRUE(w.open({.bytes = 150'000}));
    }
    w.pair.run_for(100ms);
  }
  EXPECT_GT(w.pair.now(), moment + 4s);
  w.expect_all_finished(1min);
  EXPECT_LT(w.pair.now(), moment + 90s) << "somebody waited for a wrong clock";
}

TEST(Wrap, millisecond_clock__traffic_goes_on) {
  run_across(Time{std::chrono::milliseconds{std::int64_t{1} << 32}});
  run_across(Time{std::chrono::milliseconds{std::int64_t{1} << 31}});
}

TEST(Wrap, microsecond_clock__traffic_goes_on) {
  run_across(Time{std::chrono::microseconds{std::int64_t{1} << 32}});
  run_across(Time{std::chrono::microseconds{std::int64_t{1} << 31}});
}

TEST(Wrap, either_clock_with_bbr__traffic_goes_on) {
  run_across(Time{std::chrono::milliseconds{std::int64_t{1} << 32}}, CongestionControl::bbr);
  run_across(Time{std::chrono::microseconds{std::int64_t{1} << 32}}, CongestionControl::bbr);
}

TEST(Wrap, each_level_of_the_timer_wheel_and_each_power_of_two__traffic_goes_on) {
  // Nanoseconds; 2^62 are 146 years.
  for (int bit = 33; bit <= 62; ++bit) run_across(Time{Duration{std::int64_t{1} << bit}});
}

TEST(Wrap, slots_of_syn_cookies__a_handshake_across_each_of_64) {
  // The cookie keeps six bits of its slot's number: all 64 of them end once.
  for (int slot = 1; slot <= 65; ++slot) {
    LinkRules link;
    link.delay = 20ms;
    World w{Time{slot * Duration{64s}} - 30ms, link, [](CoreConfig& c) { c.limits.half_open = 1; }};
    for (int i = 0; i < 10; ++i) EXPECT_TRUE(w.open({.bytes = 2000}));
    w.expect_all_finished(1min);
    if (slot == 1) {
      EXPECT_GT(w.pair.core(1).stats().syn_cookies_accepted, 0u);
    }
  }
}

/// Raw numbers on the wire, by direction.
struct Watch {
  explicit Watch(Pair& pair) {
    pair.rules.lose = [this](int from, std::size_t, std::span<const std::byte> frame) {
      const auto p = seen_in(frame);
      if (!p) return false;
      Seen& s = seen[from];
      if (!p->payload.empty()) {
        s.low |= p->seq < 1u << 30;
        s.high |= p->seq >= 3u << 30;
        s.below_half |= p->seq >> 30 == 1;
        s.above_half |= p->seq >> 30 == 2;
      }
      if (p->ts) {
        s.ts_low |= p->ts->first < 1u << 30;
        s.ts_high |= p->ts->first >= 3u << 30;
      }
      return false;
    };
  }
  struct Seen {
    bool low = false, high = false, below_half = false, above_half = false, ts_low = false, ts_high = false;
  } seen[2];
};

/// A local port with which end `end` of a connection that is opened now will begin `from`..`below` before `at`: sequence
/// numbers, or timestamps.
enum class Number : std::uint8_t { sequence, timestamp };
/// There are so many of them that one is found but for once in a hundred thousand times.
std::optional<Port> port_before(World& w, int end, Number which, std::uint32_t at, std::uint32_t from, std::uint32_t below) {
  const auto& cx = w.pair.core(end).shard().tcp();
  const Time when = w.pair.now() + (end == 1 ? w.pair.rules.delay : Duration{});
  const auto ms = static_cast<std::uint32_t>(when.time_since_epoch() / 1ms);
  for (std::uint32_t port = 1024; port <= 65535; ++port) {
    const Endpoint client{Pair::address(0), static_cast<Port>(port)}, server{Pair::address(1), 80};
    const FlowKey key = end == 0 ? FlowKey{client, server} : FlowKey{server, client};
    const auto numbers = tcp::initial_numbers(cx.secrets, key, when);
    const std::uint32_t first = which == Number::sequence ? numbers.iss.raw() : ms + numbers.ts_offset;
    if (at - first >= from && at - first < below) return static_cast<Port>(port);
  }
  return std::nullopt;
}

/// A transfer both ways that begins shortly before `at` of end `end`'s sequence space.
void transfer_across(int end, std::uint32_t at, double loss) {
  LinkRules link;
  link.loss = loss;
  link.jitter = loss > 0 ? Duration{1ms} : Duration{};
  World w{Time{1h}, link};
  while (!w.pair.core(0).resolve(Pair::address(1)) || !w.pair.core(1).resolve(Pair::address(0))) w.pair.run_for(10ms);
  const auto port = port_before(w, end, Number::sequence, at, 300'000, 1'200'000);  // a SYN that is lost costs 250,000
  ASSERT_TRUE(port);
  Watch watch{w.pair};
  EXPECT_TRUE(w.open({.bytes = 1'500'000}, *port));
  w.expect_all_finished(10min);
  const auto& s = watch.seen[end];
  EXPECT_TRUE(at == 0 ? s.low && s.high : s.below_half && s.above_half) << "the numbers did not pass the place";
}

TEST(Wrap, sequence_numbers_of_either_end__past_2_32_and_2_31) {
  for (const int end : {0, 1})
    for (const std::uint32_t at : {0u, 1u << 31})
      for (const double loss : {0.0, 0.03}) {
        SCOPED_TRACE(std::to_string(end) + ' ' + std::to_string(at) + ' ' + std::to_string(loss));
        transfer_across(end, at, loss);
      }
}

TEST(Wrap, timestamps_of_either_end__past_2_32) {
  for (const int end : {0, 1}) {
    SCOPED_TRACE(end);
    LinkRules link;
    link.loss = 0.02;
    World w{Time{1h}, link};
    const auto port = port_before(w, end, Number::timestamp, 0, 5000, 900'000);
    ASSERT_TRUE(port);
    Watch watch{w.pair};
    EXPECT_TRUE(w.open({.bytes = 20'000, .turns = 240, .pause = 4s}, *port));
    w.expect_all_finished(1h);
    EXPECT_TRUE(watch.seen[end].ts_low && watch.seen[end].ts_high);
  }
}

// rfc7323 5.5: what was noted weeks ago is not compared with, whatever our own clock did since.
TEST(Wrap, connection_idle_for_weeks__the_next_segment_counts) {
  for (const int days : {1, 23, 25, 30, 49, 50, 60, 75, 99, 100, 150, 400}) {
    SCOPED_TRACE(days);
    World w{Time{1h}};
    EXPECT_TRUE(w.open({.bytes = 5000, .turns = 3, .pause = days * Duration{24h}}));
    w.pair.run_for(days * Duration{24h} * 2 + 1min);
    w.expect_all_finished(1min);
  }
}

// 256 times 4 GiB: a quarter of an hour at 10 Gbit/s.
TEST(Wrap, bytes_of_a_connection__counted_beyond_1_tib) {
  World w{Time{1h}};
  EXPECT_TRUE(w.open({.bytes = 20'000, .turns = 3, .pause = 1s}));
  w.pair.run_for(500ms);
  // As if it had carried 256 * 2^32 - 5000 bytes each way.
  constexpr std::uint64_t carried = (std::uint64_t{256} << 32) - 5000;
  for (int end = 0; end < 2; ++end) {
    tcp::Tcb& tcb = w.pair.core(end).shard().tcp().tcbs[0];
    tcb.iss = tcb.snd_una + 4999;
    tcb.irs = tcb.rcv_nxt + 4999;
    tcb.send_wraps = tcb.receive_wraps = 255;
  }
  const auto stats = [&] { return w.pair.core(0).find(w.client.living.at(0))->stats(); };
  EXPECT_EQ(stats().bytes_sent, carried);
  EXPECT_EQ(stats().bytes_received, carried);
  w.pair.run_for(1s);
  EXPECT_EQ(stats().bytes_sent, carried + 20'000);
  EXPECT_EQ(stats().bytes_received, carried + 20'000);
  w.expect_all_finished(1min);
}

/// The slab's next slot is one use from the end of its generations.
template <class Slots>
void age(Slots& slots, std::uint32_t index) {
  slots[index].generation = 0xfffffffe;  // even: free
}

TEST(Wrap, generation_of_a_connection__the_old_name_is_not_the_new_one) {
  World w{Time{1h}};
  auto& cx = w.pair.core(0).shard().tcp();
  age(cx.tcbs, 0);
  EXPECT_TRUE(w.open({.bytes = 100, .turns = 2, .pause = 1s}));
  w.pair.run_for(100ms);
  const ConnId last = w.client.living.at(0);
  EXPECT_EQ(last.generation, 0xffffffffu);
  EXPECT_TRUE(w.pair.core(0).find(last));
  w.expect_all_finished(1min);
  EXPECT_FALSE(w.pair.core(0).find(last));
  EXPECT_TRUE(w.open({.bytes = 100, .turns = 2, .pause = 1s}));
  w.pair.run_for(100ms);
  const ConnId first = w.client.living.at(1);
  EXPECT_EQ(first.slot, last.slot);
  EXPECT_NE(first.generation, last.generation);
  EXPECT_FALSE(w.pair.core(0).find(last)) << "a name from before";
  EXPECT_TRUE(w.pair.core(0).find(first));
  w.expect_all_finished(1min);
}

TEST(Wrap, generations_of_half_open_and_time_wait_entries__served_and_listed) {
  World w{Time{1h}};
  for (const int end : {0, 1}) {
    auto& cx = w.pair.core(end).shard().tcp();
    age(cx.half_opens, 0);
    age(cx.time_waits, 0);
    age(cx.tcbs, 0);
  }
  for (int i = 0; i < 5; ++i) {
    EXPECT_TRUE(w.open({.bytes = 100}));
    w.pair.run_for(100ms);
    EXPECT_EQ(w.pair.core(0).connections().size(), static_cast<std::size_t>(i + 1)) << "in TIME-WAIT";
  }
  w.expect_all_finished(1min);
}

TEST(Wrap, local_ports_up_to_65535__the_order_begins_again) {
  World w{Time{1h}, {}, [](CoreConfig& c) {
            c.tcp.first_ephemeral_port = 65530;
            c.tcp.last_ephemeral_port = 65535;
            c.tcp.msl = 1ms;
          }};
  std::map<Port, int> used;
  w.pair.rules.lose = [&](int from, std::size_t, std::span<const std::byte> frame) {
    const auto p = seen_in(frame);
    if (from == 0 && p && p->flags == SYN) ++used[p->source.port];
    return false;
  };
  for (int i = 0; i < 60; ++i) {
    EXPECT_TRUE(w.open({.bytes = 10}));
    w.pair.run_for(1s);
  }
  EXPECT_EQ(used.size(), 6u);
  for (const auto& [port, times] : used) {
    EXPECT_GE(port, 65530);
    EXPECT_EQ(times, 10) << port;
  }
  w.expect_all_finished(1min);
}

TEST(Wrap, time_wait_across_the_end_of_the_clocks__lasts_as_long_as_ever) {
  for (const Time moment : {Time{std::chrono::milliseconds{std::int64_t{1} << 32}},
                            Time{std::chrono::microseconds{std::int64_t{1} << 32}}, Time{Duration{std::int64_t{1} << 40}}}) {
    World w{moment - 3s};
    EXPECT_TRUE(w.open({.bytes = 10}));
    EXPECT_TRUE(w.pair.run_idle(1s));
    const Time began = w.pair.now();
    ASSERT_EQ(usage_of(w.pair.core(0)).time_wait, 1u);
    EXPECT_TRUE(w.pair.run_until([&] { return usage_of(w.pair.core(0)).time_wait == 0; }, 10s));
    const Duration lasted = w.pair.now() - began;
    EXPECT_GT(lasted, 4s - 10ms);
    EXPECT_LE(lasted, 4s);
    EXPECT_GT(w.pair.now(), moment);
    w.expect_all_finished(1min);
  }
}

}  // namespace
}  // namespace handfast::test
