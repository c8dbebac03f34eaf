// SPDX-License-Identifier: BSD-3-Clause
// Floods, reflection, forged handshakes: what is not covered where its subject is tested.
// Layer: tests of the protocol, through frames alone.
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "support/peer.hpp"
#include "support/usage.hpp"
#include "tcp/secrets.hpp"

namespace handfast::test {
namespace {

Packet spoofed(Trace& t, std::uint8_t flags) {
  Packet p;
  p.source = {Ipv4Address{10, 0, 0, static_cast<std::uint8_t>(3 + t.rng().below(200))},
              static_cast<Port>(1024 + t.rng().below(60000))};
  p.destination = {Trace::stack_address, 80};
  p.source_mac = Trace::peer_mac;
  p.destination_mac = Trace::stack_mac;
  p.seq = static_cast<std::uint32_t>(t.rng().next());
  p.flags = flags;
  p.window = 65535;
  return p;
}

// rfc4987 3.2, 3.6
TEST(SynFlood, sec_C1__half_open_is_bounded_and_beyond_it_nothing_is_kept) {
  CoreConfig config = small_config();
  config.limits.half_open = 50;
  config.limits.neighbours = 512;
  Trace t{config};
  t.listen();
  for (int i = 0; i < 5000; ++i) {
    Packet p = spoofed(t, SYN);
    p.mss = 1460;
    t.inject(p);
    EXPECT_LE(usage_of(t.core()).half_open, 50u);
    t.other_frames.clear();
  }
  EXPECT_EQ(usage_of(t.core()), (Usage{.half_open = 50}));
  EXPECT_GT(t.stats().syn_cookies_sent, 4900u);
  EXPECT_EQ(t.stack().buffers_in_use(), 0u);
  // An honest peer comes through in the middle of it.
  t.peer.open(modern);
  t.peer.ack().data("honest");
  EXPECT_EQ(t.app.received(), "honest");
  t.with([](Conn& c) { c.abort(); });
  t.peer.expect();
  t.advance(10s);
  EXPECT_EQ(usage_of(t.core()).half_open, 0u);
  t.other_frames.clear();
}

TEST(SynFlood, sec_C2__one_spoofed_syn__at_most_three_answers_and_one_if_the_victim_resets) {
  {
    Trace t;
    t.listen();
    t.peer.syn().mss(1460);
    t.advance(5min);
    int answers = 0;
    while (t.peer.poll()) ++answers;
    EXPECT_EQ(answers, 3);
  }
  Trace t;
  t.listen();
  t.peer.syn().mss(1460);
  t.peer.expect().syn_ack();
  t.peer.rst();
  t.expect_nothing_until(5min);
}

TEST(SynFlood, sec_C20__syn_with_data__not_delivered_before_the_handshake_and_not_lost) {
  Trace t;
  t.listen();
  t.peer.syn().mss(1460).data("early");
  t.peer.snd_nxt = 1;
  const auto answer = t.peer.expect().syn_ack();
  EXPECT_TRUE(answer.packet().ack == t.peer.iss + 1) << "what is not kept must not be acknowledged";
  EXPECT_TRUE(t.app.events.empty());
  t.peer.ack().data("early");
  EXPECT_EQ(t.app.received(), "early");
}

TEST(SynFlood, sec_C20__repeated_syn__same_answer_same_entry) {
  Trace t;
  t.listen();
  t.peer.syn().mss(1460);
  const std::uint32_t iss = t.peer.expect().syn_ack().packet().seq;
  for (int i = 0; i < 5; ++i) {
    t.peer.syn().seq(0).mss(1460);
    EXPECT_EQ(t.peer.expect().syn_ack().packet().seq, iss);
  }
  EXPECT_EQ(usage_of(t.core()).half_open, 1u);
}

TEST(Cookies, sec_A16__not_in_use__a_random_ack_is_reset_and_makes_nothing) {
  CoreConfig config = small_config();
  config.tcp.resets_per_second = 10;
  config.limits.neighbours = 512;
  Trace t{config};
  t.listen();
  for (int i = 0; i < 20000; ++i) {
    Packet p = spoofed(t, ACK);
    p.ack = static_cast<std::uint32_t>(t.rng().next());
    t.inject(p);
  }
  EXPECT_EQ(usage_of(t.core()), Usage{});
  EXPECT_EQ(t.stats().resets_out, 10u);
  t.other_frames.clear();
}

TEST(Cookies, sec_A16__in_use__random_acks_are_not_accepted) {
  CoreConfig config = small_config();
  config.limits.half_open = 0;
  config.tcp.resets_per_second = 0;
  config.limits.neighbours = 512;
  Trace t{config};
  t.listen();
  t.peer.syn().mss(1460);
  t.peer.expect().syn_ack();
  for (int i = 0; i < 200000; ++i) {
    Packet p = spoofed(t, ACK);
    p.ack = static_cast<std::uint32_t>(t.rng().next());
    t.inject(build(p), i % 64 == 63);
  }
  t.poll();
  EXPECT_EQ(t.stats().syn_cookies_accepted, 0u);
  t.peer.ack();
  EXPECT_EQ(t.stats().syn_cookies_accepted, 1u);
}

TEST(Cookies, sec_A16__replayed_with_another_tuple_or_number__not_accepted) {
  CoreConfig config = small_config();
  config.limits.half_open = 0;
  Trace t{config};
  t.listen();
  t.peer.syn().mss(1460);
  t.peer.expect().syn_ack();
  auto other = t.another_peer(40001);
  other->iss = t.peer.iss;
  other->irs = t.peer.irs;
  other->snd_nxt = other->rcv_nxt = 1;
  other->ack();
  other->expect().rst();
  t.peer.segment(ACK).seq(2);
  t.peer.expect().rst();
  EXPECT_TRUE(t.app.events.empty());
}

// MUST-8, MUST-9, SHLD-1, rfc6528 3a, 3b
TEST(Isn, sec_A8__distinct_by_tuple_rising_in_time_and_keyed) {
  Rng a{1}, b{2};
  const tcp::Secrets one{a}, two{b};
  const Time now{1000s};
  std::set<std::uint32_t> seen;
  const auto key = [](std::uint32_t i) {
    return FlowKey{{Trace::stack_address, 80},
                   {Ipv4Address{0x0a010000u + i / 60000}, static_cast<Port>(1024 + i % 60000)}};
  };
  for (std::uint32_t i = 0; i < 100000; ++i) seen.insert(tcp::initial_numbers(one, key(i), now).iss.raw());
  EXPECT_GE(seen.size(), 99990u);
  const std::uint32_t first = tcp::initial_numbers(one, key(7), now).iss.raw();
  EXPECT_EQ(tcp::initial_numbers(one, key(7), now + 1ms).iss.raw() - first, 250u)
      << "the 4 us clock of RFC 6528";
  EXPECT_NE(tcp::initial_numbers(two, key(7), now).iss.raw(), first);
  // Linear over XOR, as a CRC is, would make this constant.
  std::set<std::uint32_t> sums;
  for (std::uint32_t i = 0; i < 1000; ++i) {
    const auto iss = [&](std::uint32_t x) { return tcp::initial_numbers(one, key(x), now).iss.raw(); };
    sums.insert(iss(i) ^ iss(i + 1000) ^ iss(i + 2000) ^ iss(i ^ (i + 1000) ^ (i + 2000)));
  }
  EXPECT_GT(sums.size(), 990u);
}

// rfc6056 3.3, rfc5927 4.2
TEST(Ports, sec_A9__no_port_follows_from_the_one_before_and_none_comes_twice) {
  CoreConfig config = small_config();
  config.tcp.first_ephemeral_port = 32768;
  config.limits.connections = 4096;
  Trace t{config};
  int predicted = 0;
  Port last = 0;
  std::set<Port> ports;
  for (int i = 0; i < 2000; ++i) {
    const auto id = t.core().connect(t.peer.self, t.handler);
    ASSERT_TRUE(id);
    const Port port = t.core().find(*id)->local().port;
    EXPECT_GE(port, 32768);
    EXPECT_TRUE(ports.insert(port).second);
    predicted += port == last + 1;
    last = port;
  }
  EXPECT_LE(predicted, 2);
  t.poll();
  t.other_frames.clear();
}

TEST(Challenge, sec_A7__every_way_to_be_dropped__no_buffer_and_no_memory_kept) {
  const std::map<std::string, std::function<void(Trace&)>> ways = {
      {"rst in window", [](Trace& t) { t.peer.rst().seq(t.peer.snd_nxt + 7); }},
      {"syn", [](Trace& t) { t.peer.segment(SYN).seq(t.peer.snd_nxt); }},
      {"old data", [](Trace& t) { t.peer.segment(ACK).seq(0u - 50).data("old"); }},
      {"far data", [](Trace& t) { t.peer.segment(ACK).seq(1u << 30).data("far"); }},
      {"bad ack", [](Trace& t) { t.peer.segment(ACK).ack(99999); }},
      {"no ack", [](Trace& t) { t.peer.segment(0).no_ack(); }},
      {"bad option",
       [](Trace& t) {
         t.peer.segment(ACK).options({8, 0, 0, 0});
       }},
      {"bad checksum", [](Trace& t) { t.peer.segment(ACK).seq(1).data("x").broken_checksum(); }},
      {"old timestamp", [](Trace& t) { t.peer.segment(ACK).ts(t.peer.ts_base - 9999, 0).seq(1).data("x"); }},
      {"other port",
       [](Trace& t) {
         t.peer.stack.port = 81;
         t.peer.segment(ACK);
         t.peer.stack.port = 80;
       }},
  };
  for (const auto& [what, inject] : ways) {
    SCOPED_TRACE(what);
    Trace t;
    t.listen();
    t.peer.open(modern);
    const Usage before = usage_of(t.core());
    std::uint64_t drops_before = 0, drops = 0;
    for (const auto d : t.stats().drops) drops_before += d;
    for (int i = 0; i < 3000; ++i) {
      inject(t);
      t.other_frames.clear();
      while (t.peer.poll()) {
      }
    }
    EXPECT_EQ(usage_of(t.core()), before);
    EXPECT_EQ(t.stack().buffers_in_use(), 0u);
    for (const auto d : t.stats().drops) drops += d;
    EXPECT_GE(drops - drops_before, 3000u) << "each one counted";
    t.peer.irs_known = true;
    t.peer.snd_nxt = 1;
    t.peer.ack().data("still here");
    EXPECT_EQ(t.app.received(), "still here");
    while (t.peer.poll()) {
    }
  }
}

TEST(AckWar, sec_C11__two_ends_out_of_step__few_packets_then_silence) {
  Trace t;
  t.listen();
  t.peer.open();
  // The other end answers everything with a bare ACK of numbers that do not fit.
  int exchanged = 0;
  t.peer.segment(ACK).seq(500000).ack(1);
  for (int i = 0; i < 100; ++i) {
    int answers = 0;
    while (t.peer.poll()) ++answers;
    exchanged += answers;
    for (int k = 0; k < answers; ++k) t.peer.segment(ACK).seq(500000).ack(1);
    t.advance(10ms);
  }
  EXPECT_LE(exchanged, 8) << "in a second";
}

}  // namespace
}  // namespace handfast::test
