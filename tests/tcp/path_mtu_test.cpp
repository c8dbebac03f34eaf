// SPDX-License-Identifier: BSD-3-Clause
// Path MTU discovery as routers drive it (RFC 1191), with the caution of RFC 5927 section 7, and the memory of paths.
// Layer: tests of the protocol, through frames alone.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "shard/shard.hpp"
#include "support/icmp.hpp"
#include "support/peer.hpp"
#include "support/usage.hpp"

namespace handfast::test {
namespace {

std::vector<Packet> taken(Trace& t) {
  std::vector<Packet> packets;
  while (auto p = t.peer.poll()) packets.push_back(*p);
  return packets;
}

std::vector<std::size_t> lengths(const std::vector<Packet>& packets) {
  std::vector<std::size_t> out;
  for (const Packet& p : packets) out.push_back(p.payload.size());
  return out;
}
using Lengths = std::vector<std::size_t>;

CoreConfig with_mode(PathMtuDiscovery mode) {
  CoreConfig config = small_config();
  config.tcp.path_mtu_discovery = mode;
  return config;
}

/// Nothing was ever acknowledged but the SYN: `n` bytes are in flight.
std::vector<Packet> early_flight(Trace& t, std::size_t n, Handshake h = {}) {
  t.listen();
  t.peer.open(h);
  t.with([n](Conn& c) {
    c.set_nodelay(true);
    c.send(std::string(n, 'p'));
  });
  return taken(t);
}

/// Full segments have arrived before; then `n` bytes are in flight.
std::vector<Packet> proven_flight(Trace& t, std::size_t n) {
  early_flight(t, 4 * 1460);
  t.peer.ack();
  taken(t);
  t.with([n](Conn& c) { c.send(std::string(n, 'q')); });
  return taken(t);
}

/// All that was sent, put together by sequence number: a retransmission must say the same.
std::uint32_t end_of(const Trace& t, const Packet& p) {
  return p.seq - t.peer.irs + static_cast<std::uint32_t>(p.payload.size());
}

// --- initial discovery: nothing of the size was ever acknowledged ---------------------------------------------------

// MUST-54, rfc1191 6.4, rfc5927 7.2
TEST(PathMtu, early_segments__error_is_believed_at_once_and_the_flight_sent_again_smaller) {
  Trace t;
  const auto flight = early_flight(t, 3 * 1460);
  ASSERT_EQ(lengths(flight), Lengths({1460, 1460, 1460}));
  const ConnStats before = t.conn().stats();
  t.inject(too_big(flight[0], 1000));
  const auto again = taken(t);
  EXPECT_EQ(lengths(again), Lengths({960, 960, 960, 960, 540}));
  EXPECT_EQ(again[0].seq - t.peer.irs, 1u);
  EXPECT_EQ(end_of(t, again.back()), 1u + 3 * 1460);
  // rfc1191 6.4: it is no sign of congestion.
  EXPECT_EQ(t.conn().stats().congestion_window, before.congestion_window);
  EXPECT_EQ(t.conn().stats().slow_start_threshold, before.slow_start_threshold);
  EXPECT_EQ(t.conn().stats().path_mtu, 1000u);
  EXPECT_EQ(t.stats().path_mtu_reduced, 1u);
  t.peer.ack();
  t.with([](Conn& c) { c.send(std::string(2000, 'r')); });
  EXPECT_EQ(lengths(taken(t)), Lengths({960, 960, 80}));
}

// rfc1191 6.4: MUST not retransmit in response to every one of them
TEST(PathMtu, one_error_for_each_segment_of_the_flight__one_retransmission) {
  Trace t;
  const auto flight = early_flight(t, 5 * 1460);
  for (const Packet& p : flight) t.inject(too_big(p, 1000));
  EXPECT_EQ(taken(t).size(), 8u);
  EXPECT_EQ(t.stats().path_mtu_reduced, 1u);
}

// rfc5927 7.3.1: each hop narrower than the last
TEST(PathMtu, next_hop_is_narrower_still__believed_at_once_too) {
  Trace t;
  const auto flight = early_flight(t, 1460);
  t.inject(too_big(flight[0], 1400));
  const auto second = taken(t);
  ASSERT_EQ(lengths(second), Lengths({1360, 100}));
  t.inject(too_big(second[0], 1280));
  EXPECT_EQ(lengths(taken(t)), Lengths({1240, 220}));
  EXPECT_EQ(t.conn().stats().mss, 1240u);
}

TEST(PathMtu, endless_smaller_and_smaller_errors__a_bounded_number_is_believed) {
  Trace t;
  auto flight = early_flight(t, 1460);
  std::uint16_t mtu = 1499;
  std::size_t resent = 0;
  for (int i = 0; i < 200; ++i) {
    t.inject(too_big(flight[0], mtu--));
    const auto again = taken(t);
    resent += again.size();
    if (!again.empty()) flight = again;
  }
  EXPECT_LE(t.stats().path_mtu_reduced, 8u);
  EXPECT_LE(resent, 20u);
}

TEST(PathMtu, timestamps__their_option_is_taken_off) {
  Trace t;
  const auto flight = early_flight(t, 1448, with_ts);
  ASSERT_EQ(lengths(flight), Lengths({1448}));
  t.inject(too_big(flight[0], 1000));
  EXPECT_EQ(lengths(taken(t)), Lengths({948, 500}));
}

// rfc1191 5: routers from before it say 0; the next plateau below what was sent is the guess
TEST(PathMtu, router_names_no_mtu__plateau_by_plateau) {
  Trace t;
  auto flight = early_flight(t, 1460);
  for (const std::uint32_t plateau : {1492u, 1006u, 508u, 296u}) {
    t.inject(too_big(flight[0], 0));
    EXPECT_EQ(t.conn().stats().path_mtu, plateau);
    flight = taken(t);
    ASSERT_FALSE(flight.empty());
  }
  t.inject(too_big(flight[0], 0));
  EXPECT_EQ(t.conn().stats().path_mtu, 296u) << "68 is below what is ever sent";
  EXPECT_EQ(t.drops(Drop::icmp_implausible_mtu), 1u);
}

// rfc1191 5: 4.2BSD's routers quote a total length with the header counted twice
TEST(PathMtu, router_names_no_mtu_and_quotes_a_length_too_long__what_was_sent_counts) {
  Trace t;
  auto flight = early_flight(t, 2 * 1460);
  flight[0].payload.resize(1480);
  t.inject(too_big(flight[0], 0));
  EXPECT_EQ(t.conn().stats().path_mtu, 1492u);
}

// rfc1191 8: an error never raises the estimate. rfc5927 7.2: nor is it legitimate above what was sent.
TEST(PathMtu, claim_that_cannot_be__is_dropped_and_counted) {
  Trace t;
  const auto flight = early_flight(t, 2 * 1460);
  std::uint64_t drops = 0;
  // Not smaller than what it is said to be too small for; and smaller than what is ever sent (min_send_mss 216).
  for (const unsigned mtu : {1500u, 1501u, 9000u, 65535u, 1u, 20u, 68u, 255u}) {
    t.inject(too_big(flight[0], static_cast<std::uint16_t>(mtu)));
    EXPECT_EQ(t.drops(Drop::icmp_implausible_mtu), ++drops) << mtu;
  }
  // A datagram longer than all that is in flight behind that number.
  Packet longer = flight[1];
  longer.payload.resize(1460 + 100);
  t.inject(too_big(longer, 1000));
  EXPECT_EQ(t.drops(Drop::icmp_implausible_mtu), ++drops);
  EXPECT_EQ(t.conn().stats().path_mtu, 1500u);
  EXPECT_TRUE(t.quiet());
  t.inject(too_big(flight[0], 256));
  EXPECT_EQ(t.conn().stats().path_mtu, 256u) << "the least that is believed";
}

// rfc5927 4.1
TEST(PathMtu, about_something_not_in_flight__is_dropped_and_counted) {
  Trace t;
  const auto flight = early_flight(t, 1460);
  Packet wrong = flight[0];
  for (const std::uint32_t seq : {flight[0].seq - 1, flight[0].seq + 1460, flight[0].seq + 0x80000000u}) {
    wrong.seq = seq;
    t.inject(too_big(wrong, 1000));
  }
  EXPECT_EQ(t.drops(Drop::icmp_out_of_window), 3u);
  t.peer.ack();
  t.inject(too_big(flight[0], 1000));
  EXPECT_EQ(t.drops(Drop::icmp_out_of_window), 4u);
  EXPECT_EQ(t.conn().stats().path_mtu, 1500u);
}

TEST(PathMtu, off__nothing_is_believed) {
  Trace t{with_mode(PathMtuDiscovery::off)};
  const auto flight = early_flight(t, 1460);
  t.inject(too_big(flight[0], 1000));
  EXPECT_TRUE(t.quiet());
  EXPECT_EQ(t.conn().stats().path_mtu, 1500u);
}

TEST(PathMtu, silly_window_and_nagle__the_smaller_segment_is_a_full_one) {
  Trace t;
  t.listen();
  t.peer.open();
  t.with([](Conn& c) { c.send(std::string(1460, 'p')); });
  const auto flight = taken(t);
  t.inject(too_big(flight[0], 1000));
  ASSERT_EQ(lengths(taken(t)), Lengths({960, 500}));
  t.with([](Conn& c) { c.send(std::string(961, 'q')); });
  EXPECT_EQ(lengths(taken(t)), Lengths({960})) << "the last byte waits (SHLD-7)";
  t.peer.ack();
  EXPECT_EQ(lengths(taken(t)), Lengths({1}));
}

// --- update: the size did arrive before ----------------------------------------------------------------------------

// rfc5927 7.3.4: an ACK of what is quoted gives the lie to the error
TEST(PathMtu, proven_size__error_waits_and_progress_refutes_it) {
  Trace t;
  const auto flight = proven_flight(t, 3 * 1460);
  t.inject(too_big(flight[0], 1000));
  EXPECT_TRUE(t.quiet());
  EXPECT_EQ(t.conn().stats().path_mtu, 1500u);
  t.peer.ack();
  t.with([](Conn& c) { c.send(std::string(1460, 'r')); });
  EXPECT_EQ(lengths(taken(t)), Lengths({1460}));
  t.advance_to_frame(2s);
  EXPECT_EQ(lengths(taken(t)), Lengths({1460})) << "a time-out of something else is no confirmation";
  EXPECT_EQ(t.stats().path_mtu_reduced, 0u);
}

// rfc5927 7.3.2
TEST(PathMtu, proven_size__time_out_of_what_is_quoted_confirms_it_and_is_no_congestion) {
  Trace t;
  const auto flight = proven_flight(t, 2 * 1460);
  t.inject(too_big(flight[0], 1492));
  EXPECT_TRUE(t.quiet());
  const ConnStats before = t.conn().stats();
  t.advance_to_frame(2s);
  EXPECT_EQ(lengths(taken(t)), Lengths({1452, 1452, 16}));
  const ConnStats after = t.conn().stats();
  EXPECT_EQ(after.path_mtu, 1492u);
  EXPECT_EQ(after.congestion_window, before.congestion_window);
  EXPECT_EQ(after.slow_start_threshold, before.slow_start_threshold);
  EXPECT_EQ(t.stats().path_mtu_reduced, 1u);
  t.peer.ack();
  t.with([](Conn& c) { c.send(std::string(1460, 'r')); });
  EXPECT_EQ(lengths(taken(t)), Lengths({1452, 8}));
}

TEST(PathMtu, proven_size__of_two_claims_the_larger_waits) {
  for (const bool forged_first : {true, false}) {
    Trace t;
    const auto flight = proven_flight(t, 2 * 1460);
    t.inject(too_big(flight[0], forged_first ? 300 : 1400));
    t.inject(too_big(flight[0], forged_first ? 1400 : 300));
    t.advance_to_frame(2s);
    taken(t);
    EXPECT_EQ(t.conn().stats().path_mtu, 1400u);
  }
}

TEST(PathMtu, proven_size__second_claim_after_a_confirmed_one__waits_again) {
  Trace t;
  const auto flight = proven_flight(t, 1460);
  t.inject(too_big(flight[0], 1400));
  t.advance_to_frame(2s);
  const auto again = taken(t);
  t.inject(too_big(again[0], 1300));
  EXPECT_TRUE(t.quiet());
  EXPECT_EQ(t.conn().stats().path_mtu, 1400u);
  t.advance_to_frame(4s);
  taken(t);
  EXPECT_EQ(t.conn().stats().path_mtu, 1300u);
}

// --- the memory of paths ---------------------------------------------------------------------------------------------


TEST(PathMtu, new_connections_to_the_destination__begin_with_what_is_known) {
  Trace t;
  const auto flight = early_flight(t, 1460);
  t.inject(too_big(flight[0], 1400));
  taken(t);
  auto passive = t.another_peer(40001);
  passive->open();
  EXPECT_EQ(t.conn().stats().mss, 1360u);
  auto active = t.another_peer(40002);
  active->stack.port = 9000;
  ASSERT_TRUE(t.core().connect(active->self, t.handler, {.local = active->stack}));
  t.poll();
  // What we take does not depend on what we can send (rfc1191 6.4).
  EXPECT_EQ(active->in.front().mss, 1460);
  active->answer_open();
  EXPECT_EQ(t.conn().stats().mss, 1360u);
  auto elsewhere = t.another_peer(40001, {10, 0, 0, 77});
  elsewhere->open();
  EXPECT_EQ(t.conn().stats().mss, 1460u);
}

// rfc1191 6.3: ten minutes
TEST(PathMtu, what_is_known__is_forgotten_after_ten_minutes) {
  Trace t;
  const auto flight = early_flight(t, 1460);
  t.inject(too_big(flight[0], 1400));
  taken(t);
  t.peer.ack();
  t.advance(599s);
  auto before = t.another_peer(40001);
  before->open();
  EXPECT_EQ(t.conn().stats().mss, 1360u);
  t.advance(2s);
  auto after = t.another_peer(40002);
  after->open();
  EXPECT_EQ(t.conn().stats().mss, 1460u);
}

// rfc1191 6.3: an open connection tries the full size again, and is told at once if that is too much
TEST(PathMtu, icmp_alone__open_connection_tries_the_full_size_after_ten_minutes) {
  Trace t{with_mode(PathMtuDiscovery::icmp)};
  auto flight = early_flight(t, 1460);
  t.inject(too_big(flight[0], 1400));
  taken(t);
  const auto bulk = [&] {
    t.peer.ack();
    t.with([](Conn& c) { c.send(std::string(6 * 1460, 'b')); });
    const auto packets = taken(t);
    t.peer.ack();
    return packets;
  };
  EXPECT_EQ(bulk()[0].payload.size(), 1360u);
  t.advance(590s);
  EXPECT_EQ(bulk()[0].payload.size(), 1360u);
  t.advance(30s);
  t.with([](Conn& c) { c.send(std::string(6 * 1460, 'b')); });
  flight = taken(t);
  EXPECT_EQ(flight[0].payload.size(), 1460u);
  t.inject(too_big(flight[0], 1400));
  EXPECT_EQ(taken(t)[0].payload.size(), 1360u) << "this size is not proven: believed at once";
  t.peer.ack();
  EXPECT_EQ(bulk()[0].payload.size(), 1360u);
  bulk();
  EXPECT_EQ(usage_of(t.core()).path_searches, 0u) << "a settled size needs no memory but the control block";
}

TEST(PathMtu, full_size_turns_out_to_arrive__nothing_is_left_of_the_doubt) {
  Trace t{with_mode(PathMtuDiscovery::icmp)};
  const auto flight = early_flight(t, 1460);
  t.inject(too_big(flight[0], 1400));
  taken(t);
  for (int i = 0; i < 4; ++i) {
    t.peer.ack();
    t.advance(620s);
    t.with([](Conn& c) { c.send(std::string(3 * 1460, 'b')); });
    taken(t);
  }
  EXPECT_EQ(t.conn().stats().mss, 1460u);
  EXPECT_EQ(usage_of(t.core()).path_searches, 0u);
  const auto& cx = t.core().shard().tcp();
  EXPECT_FALSE(has(cx.tcbs[t.app.last().slot], tcp::mss_unsettled));
}

TEST(PathMtu, no_memory_for_doubts__error_is_dropped_and_counted) {
  CoreConfig config = small_config();
  config.limits.path_searches = 0;
  Trace t{config};
  const auto flight = early_flight(t, 1460);
  t.inject(too_big(flight[0], 1400));
  EXPECT_EQ(t.drops(Drop::tcp_no_memory), 1u);
  EXPECT_EQ(t.conn().stats().path_mtu, 1500u);
  // Time-outs still tell.
  for (int i = 0; i < 3; ++i) t.advance_to_frame(5s);
  EXPECT_EQ(t.conn().stats().path_mtu, 1024u);
  taken(t);
}

TEST(PathMtu, no_memory_of_paths__each_connection_learns_for_itself) {
  CoreConfig config = small_config();
  config.limits.paths = 0;
  Trace t{config};
  const auto flight = early_flight(t, 1460);
  t.inject(too_big(flight[0], 1400));
  taken(t);
  EXPECT_EQ(t.conn().stats().path_mtu, 1400u);
  auto other = t.another_peer(40001);
  other->open();
  EXPECT_EQ(t.conn().stats().path_mtu, 1500u);
}

TEST(PathCache, more_destinations_than_places__the_oldest_of_a_bucket_goes_and_is_told) {
  tcp::PathCache cache{100, 0x123456789abcdef};
  EXPECT_TRUE(cache.empty());
  std::uint32_t pushed_out = 0;
  for (std::uint32_t i = 0; i < 1000; ++i) pushed_out += cache.store(Ipv4Address{0x0a000000 + i}, 1400, i);
  EXPECT_EQ(cache.size() + pushed_out, 1000u);
  EXPECT_LE(cache.size(), 100u);
  EXPECT_EQ(cache.find(Ipv4Address{0x0a000000 + 999}, 1000), 1400) << "the newest is there";
  std::uint32_t found = 0;
  for (std::uint32_t i = 0; i < 1000; ++i) found += cache.find(Ipv4Address{0x0a000000 + i}, 1000) != 0;
  EXPECT_EQ(found, cache.size());
}

TEST(PathCache, replaced_forgotten_and_aged) {
  tcp::PathCache cache{5, 1};
  const Ipv4Address a{1, 2, 3, 4};
  EXPECT_FALSE(cache.store(a, 1400, 0xfffffff0));
  EXPECT_FALSE(cache.store(a, 1300, 0xfffffff0));
  EXPECT_EQ(cache.size(), 1u);
  EXPECT_EQ(cache.find(a, tcp::path_lifetime_ms - 17), 1300) << "the clock has wrapped";
  EXPECT_EQ(cache.find(a, tcp::path_lifetime_ms - 16), 0);
  EXPECT_TRUE(cache.empty());
  cache.store(a, 1300, 0);
  cache.forget(a);
  EXPECT_TRUE(cache.empty());
  // What has aged makes room without being counted.
  for (std::uint32_t i = 0; i < 5; ++i) cache.store(Ipv4Address{i + 1}, 1400, 0);
  EXPECT_TRUE(cache.store(Ipv4Address{98}, 1400, tcp::path_lifetime_ms - 1));
  EXPECT_FALSE(cache.store(Ipv4Address{99}, 1400, tcp::path_lifetime_ms));
}

}  // namespace
}  // namespace handfast::test
