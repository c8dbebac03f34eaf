// SPDX-License-Identifier: BSD-3-Clause
// What a stranger can foretell of numbers that we choose: initial sequence numbers, ports, IP identification, timestamps
// (rows A8 to A11). Layer: tests of security; distributions of the pure functions, the rest through frames. Seeds are fixed.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <map>
#include <set>
#include <vector>

#include "fixture.hpp"
#include "shard/frames.hpp"
#include "tcp/secrets.hpp"
#include "wire/bytes.hpp"

namespace handfast::test {
namespace {

FlowKey tuple(std::uint32_t i) {
  return FlowKey{{Trace::stack_address, 80}, {Ipv4Address{0x0a010000u + i / 60000}, static_cast<Port>(1024 + i % 60000)}};
}

/// Of 256 kinds that are equally likely; p = 0.001 lies at 330.5, 1e-6 at 379.
double chi_square(const std::array<std::uint32_t, 256>& seen, double n) {
  const double expected = n / 256;
  double sum = 0;
  for (const std::uint32_t count : seen) sum += (count - expected) * (count - expected) / expected;
  return sum;
}
constexpr double p_of_one_in_a_thousand = 330.5;

// rfc6528 3
TEST(SecurityA, sec_A8__a_hundred_thousand_tuples_at_one_instant__evenly_spread_and_distinct) {
  SecurityWorld w;
  Rng rng{0xa8};
  const tcp::Secrets secrets{rng};
  constexpr std::uint32_t n = 100000;
  std::array<std::array<std::uint32_t, 256>, 8> seen{};
  std::set<std::uint32_t> distinct;
  for (std::uint32_t i = 0; i < n; ++i) {
    const tcp::InitialNumbers numbers = tcp::initial_numbers(secrets, tuple(i), Time{1234567s});
    distinct.insert(numbers.iss.raw());
    for (unsigned byte = 0; byte < 4; ++byte) {
      ++seen[byte][numbers.iss.raw() >> 8 * byte & 0xff];
      ++seen[4 + byte][numbers.ts_offset >> 8 * byte & 0xff];
    }
  }
  // 1.2 tuples are expected to share a number with another by chance.
  EXPECT_GE(distinct.size(), n - n / 10000);
  for (const auto& byte : seen) EXPECT_LT(chi_square(byte, n), p_of_one_in_a_thousand);
}

TEST(SecurityA, sec_A8__one_tuple__rises_by_250_a_millisecond_and_is_keyed) {
  SecurityWorld w;
  const auto iss = [](std::uint64_t seed, std::uint32_t i, Time now) {
    Rng rng{seed};
    const tcp::Secrets secrets{rng};
    return tcp::initial_numbers(secrets, tuple(i), now).iss.raw();
  };
  std::array<std::uint32_t, 256> seen{};
  for (std::uint32_t i = 0; i < 10000; ++i) {
    const Time now{std::chrono::microseconds{1000000000ull + i * 7777ull}};
    EXPECT_EQ(iss(1, i, now + 1ms) - iss(1, i, now), 250u) << "the clock of 4 us";
    // Another secret says nothing of the first.
    ++seen[(iss(1, i, now) - iss(2, i, now)) >> 24];
  }
  EXPECT_LT(chi_square(seen, 10000), p_of_one_in_a_thousand);
  // With the same secret and a clock that goes on, a later start is further on. (A stack's own clock begins at its start, and
  // so does its secret: docs/security.md.)
  EXPECT_EQ(iss(1, 7, Time{2000s}) - iss(1, 7, Time{1000s}), 250'000'000u);
}

TEST(SecurityA, sec_A8__three_numbers__tell_nothing_of_a_fourth) {
  SecurityWorld w;
  Rng rng{0xa8a8};
  const tcp::Secrets secrets{rng};
  std::set<std::uint32_t> sums;
  for (int i = 0; i < 10000; ++i) {
    // Linear over XOR, as a CRC is, would make this one value.
    std::array<std::uint64_t, 3> x{rng.next(), rng.next(), rng.next()};
    const auto number = [&](std::uint64_t bits) {
      const FlowKey key{{Trace::stack_address, 80}, {Ipv4Address{static_cast<std::uint32_t>(bits)}, static_cast<Port>(bits >> 32)}};
      return tcp::initial_numbers(secrets, key, Time{}).iss.raw();
    };
    sums.insert(number(x[0]) ^ number(x[1]) ^ number(x[2]) ^ number(x[0] ^ x[1] ^ x[2]));
  }
  EXPECT_GT(sums.size(), 9990u);
}

/// As it leaves, at one virtual instant.
TEST(SecurityA, sec_A8__on_the_wire__numbers_of_neighbouring_ports_have_no_step_in_common) {
  SecurityWorld w;
  std::set<std::uint32_t> steps;
  std::uint32_t last = 0;
  for (Port port = 41000; port < 41200; ++port) {
    auto p = w.t.another_peer(port);
    p->syn().mss(1460);
    const std::uint32_t iss = p->expect().syn_ack().packet().seq;
    steps.insert(iss - last);
    last = iss;
  }
  EXPECT_EQ(steps.size(), 200u);
}

CoreConfig many_connections() {
  CoreConfig config = small_config();
  config.limits.connections = 11000;
  config.limits.time_wait = 4096;
  config.seed = 0xa9;
  return config;
}

Port open_somewhere(SecurityWorld& w, Endpoint to, ConnId* opened = nullptr) {
  const auto id = w.t.core().connect(to, w.t.handler);
  EXPECT_TRUE(id);
  if (!id) return 0;
  if (opened != nullptr) *opened = *id;
  return w.t.core().find(*id)->local().port;
}

// rfc6056 3.3
TEST(SecurityA, sec_A9__ten_thousand_ports__none_foretold_by_the_last_or_by_its_step_and_none_twice) {
  SecurityWorld w{many_connections()};
  std::set<Port> ports;
  int by_one = 0, by_the_last_step = 0, below = 0;
  Port last = 0;
  int last_step = 0;
  for (int i = 0; i < 10000; ++i) {
    const Port port = open_somewhere(w, {Ipv4Address{10, 0, 0, 9}, 443});
    EXPECT_TRUE(ports.insert(port).second);
    const int step = port - last;
    by_one += step == 1 || step == -1;
    by_the_last_step += step == last_step;
    below += step < 0;
    last = port;
    last_step = step;
  }
  EXPECT_LE(by_one, 4) << "both neighbours: 0.3 by chance";
  EXPECT_LE(by_the_last_step, 4);
  EXPECT_NEAR(below, 5000, 300);
  w.t.poll();
  w.t.other_frames.clear();
}

TEST(SecurityA, sec_A9__two_destinations__share_no_counter_and_no_order) {
  SecurityWorld w{many_connections()};
  int same = 0, same_step = 0;
  std::array<Port, 2> last{};
  for (int i = 0; i < 2000; ++i) {
    const std::array<Port, 2> now{open_somewhere(w, {Ipv4Address{10, 0, 0, 9}, 443}), open_somewhere(w, {Ipv4Address{10, 0, 0, 10}, 443})};
    same += now[0] == now[1];
    same_step += now[0] - last[0] == now[1] - last[1];
    last = now;
  }
  EXPECT_LE(same, 3);
  EXPECT_LE(same_step, 3);
  w.t.poll();
  w.t.other_frames.clear();
}

TEST(SecurityA, sec_A9__tuples_in_time_wait__are_not_taken_and_exhaustion_is_an_error_at_once) {
  CoreConfig config = small_config();
  config.tcp.first_ephemeral_port = 50000;
  config.tcp.last_ephemeral_port = 50031;
  SecurityWorld w{config, false};
  std::set<Port> in_time_wait;
  for (int i = 0; i < 8; ++i) {
    Peer p{w.t, {Ipv4Address{10, 0, 0, 9}, 443}, {Trace::stack_address, 0}};
    ConnId id;
    p.stack.port = open_somewhere(w, p.self, &id);
    w.t.poll();
    p.answer_open();
    w.t.with([](Conn& c) { c.close(); });
    p.finish_after_fin();
    EXPECT_EQ(w.state(p), State::time_wait);
    in_time_wait.insert(p.stack.port);
  }
  for (int i = 0; i < 24; ++i) EXPECT_EQ(in_time_wait.count(open_somewhere(w, {Ipv4Address{10, 0, 0, 9}, 443})), 0u);
  EXPECT_FALSE(w.t.core().connect({Ipv4Address{10, 0, 0, 9}, 443}, w.t.handler)) << "all 32 are used";
  EXPECT_TRUE(w.t.core().connect({Ipv4Address{10, 0, 0, 9}, 444}, w.t.handler)) << "elsewhere they are not";
  w.t.poll();
  w.t.other_frames.clear();
}

/// The whole range is used up: the "no" comes after one pass. By the processor's time, since machines are shared; a pass
/// takes some 2 ms, and more in builds that check themselves.
TEST(SecurityA, sec_A9__all_ports_of_a_destination_used__an_error_after_one_pass) {
  CoreConfig config = small_config();
  config.limits.connections = 66000;
  config.limits.held_frames = 1;
  SecurityWorld w{config, false};
  w.t.answer_arp = false;
  const Endpoint to{Ipv4Address{10, 0, 0, 9}, 443};
  std::uint32_t opened = 0;
  while (w.t.core().connect(to, w.t.handler)) ++opened;
  EXPECT_EQ(opened, 64512u - 1) << "1024 to 65535 but the port of a listener";
  const std::clock_t begin = std::clock();
  for (int i = 0; i < 10; ++i) EXPECT_FALSE(w.t.core().connect(to, w.t.handler));
  const double ms = static_cast<double>(std::clock() - begin) * 1000 / CLOCKS_PER_SEC / 10;
  EXPECT_LT(ms, 200) << "milliseconds for one";
  RecordProperty("exhausted_connect_us", static_cast<int>(ms * 1000));
  w.t.core().abort_all();
  w.t.poll();
  w.has_innocent = false;
  w.t.other_frames.clear();
}

// rfc6864 4.1
TEST(SecurityA, sec_A10__identification__is_zero_with_df_whatever_else_is_sent) {
  SecurityWorld w;
  w.establish(modern);
  std::uint64_t seen = 0;
  const auto look = [&](const std::vector<std::byte>& frame) {
    EXPECT_EQ(wire::load16(frame.data() + 18), 0u) << "identification";
    EXPECT_EQ(wire::load16(frame.data() + 20), 0x4000u) << "DF, and no fragment";
    ++seen;
  };
  // To an address that no Peer stands for, so that the frames themselves are kept.
  Packet probe;
  probe.source = {Ipv4Address{10, 0, 0, 66}, 1234};
  probe.destination = {Trace::stack_address, 9};
  probe.source_mac = Trace::peer_mac;
  probe.destination_mac = Trace::stack_mac;
  probe.flags = ACK;
  const auto ping = icmp_frame({Trace::peer_mac, Trace::stack_mac, Ipv4Address{10, 0, 0, 66}, Trace::stack_address}, 8, 0, 1, Bytes(8));
  for (int i = 0; i < 10000; ++i) {
    w.t.with([](Conn& c) { c.send("traffic"); });
    w.discard();
    w.peer.ack();
    if (i % 100 == 0) w.t.inject(i % 200 == 0 ? build(probe) : ping);
    if (i % 1000 == 0) w.t.advance(1s);
    for (const auto& frame : w.t.other_frames)
      if (wire::load16(frame.data() + 12) == 0x0800) look(frame);
    w.t.other_frames.clear();
  }
  EXPECT_EQ(seen, 100u);
}

// rfc7323 5.4, 7
TEST(SecurityA, sec_A11__timestamps__differ_by_connection_and_rise_within_it) {
  CoreConfig config = small_config();
  config.limits.half_open = 2000;
  config.limits.neighbours = 512;
  SecurityWorld w{config};
  std::set<std::uint32_t> values;
  std::map<std::uint32_t, int> differences;
  std::uint32_t last = 0;
  for (std::uint32_t i = 0; i < 1000; ++i) {
    Peer p{w.t, {Ipv4Address{0x0a000000u + 10 + i % 200}, static_cast<Port>(42000 + i)}, {Trace::stack_address, 80}};
    p.syn().mss(1460).ts(1, 0);
    const auto answer = p.expect().syn_ack().packet();
    ASSERT_TRUE(answer.ts);
    values.insert(answer.ts->first);
    ++differences[answer.ts->first - last];
    last = answer.ts->first;
  }
  EXPECT_GE(values.size(), 990u) << "a shared clock would show one value: uptime, and who is whose alias";
  for (const auto& [difference, times] : differences) EXPECT_LE(times, 2) << difference;
}

TEST(SecurityA, sec_A11__one_tuple__rises_within_a_connection_and_from_one_incarnation_to_the_next) {
  SecurityWorld w;
  std::uint32_t last = 0;
  bool first = true;
  const auto look = [&](const Packet& packet) {
    ASSERT_TRUE(packet.ts);
    if (first) last = packet.ts->first;
    first = false;
    EXPECT_GE(static_cast<std::int32_t>(packet.ts->first - last), 0);
    last = packet.ts->first;
  };
  for (int incarnation = 0; incarnation < 5; ++incarnation) {
    SCOPED_TRACE(incarnation);
    w.peer.snd_nxt = 0;
    w.peer.irs_known = false;
    {
      Send syn = w.peer.syn();
      w.peer.offer(syn, modern);
    }
    look(w.peer.expect().syn_ack().packet());
    w.peer.ts_on = true;
    w.peer.ack();
    for (int i = 0; i < 5; ++i) {
      w.t.advance(7ms);
      w.t.with([](Conn& c) { c.send("x"); });
      look(w.peer.expect().packet());
      w.peer.ack();
    }
    w.t.with([](Conn& c) { c.close(); });
    look(w.peer.expect().fin().packet());
    w.peer.fin();
    look(w.peer.expect().pure_ack().packet());
    EXPECT_EQ(w.state(w.peer), State::time_wait);
    w.t.advance(1ms);
    w.peer.iss += 100000;
  }
}

}  // namespace
}  // namespace handfast::test
