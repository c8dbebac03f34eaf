// SPDX-License-Identifier: BSD-3-Clause
// What the simulator has found, each as the shortest trace that shows it. Layer: tests of the protocol,
// through frames alone.
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "shard/shard.hpp"
#include "support/icmp.hpp"
#include "support/peer.hpp"
#include "tcp/rtt.hpp"

namespace handfast::test {
namespace {

/// Payload bytes of what is there to be read.
std::uint32_t drain_payload(Peer& peer) {
  std::uint32_t bytes = 0;
  while (auto p = peer.poll()) bytes += static_cast<std::uint32_t>(p->payload.size());
  return bytes;
}

// What the peer sends again acknowledges news, and has an older SEQ than the last window update: SND.UNA +
// SND.WND must not pass the edge that was offered (rfc9293 3.8.6, the usable window).
TEST(SendWindow, new_ack_on_an_older_sequence_number__edge_stays_where_it_was_offered) {
  Trace t;
  t.listen();
  t.peer.open();
  t.peer.ack().seq(4).window(4 * 1460);  // "abc" was lost
  drain_payload(t.peer);
  t.with([](Conn& c) { c.send(std::string(20000, 'x')); });
  EXPECT_EQ(drain_payload(t.peer), 4u * 1460);
  t.peer.ack().seq(1).ack(1 + 2 * 1460).window(2 * 1460).data("abc");
  EXPECT_EQ(drain_payload(t.peer), 0u);
  EXPECT_EQ(t.conn().stats().send_window, 2u * 1460);
}

// A window that is spread over a long round trip waits longer than a flight with nothing in it is kept.
TEST(Pacing, turn_that_comes_later_than_idle_flights_are_kept__data_leaves_all_the_same) {
  CoreConfig config = small_config();
  config.tcp.pacing = true;
  config.tcp.rto_min = config.tcp.rto_initial = 60s;
  Trace t{config};
  t.listen();
  t.peer.open();
  t.with([](Conn& c) { c.send(std::string(2920, 'x')); });
  drain_payload(t.peer);
  t.advance(50s);  // the round trip seems to be long, and the path then is quick
  t.peer.ack().ack(2921);
  t.with([](Conn& c) { c.send(std::string(100000, 'x')); });
  for (int i = 0; i < 600; ++i) {
    t.advance(100ms);
    drain_payload(t.peer);
    t.peer.ack().ack(t.peer.rcv_nxt);
  }
  EXPECT_EQ(t.peer.rcv_nxt, 1u + 2920 + 100000);
  EXPECT_EQ(t.conn().unacked(), 0u);
}

// rfc4821 7.4, rfc5482: a probe is as large as the path may be, without options that few segments have.
TEST(PathProbe, user_timeout_due__no_segment_is_larger_than_the_link) {
  CoreConfig config = small_config();
  config.tcp.path_mtu_discovery = PathMtuDiscovery::always;
  config.tcp.user_timeout_option = true;
  Trace t{config};
  t.listen();
  t.peer.open();
  drain_payload(t.peer);
  for (int round = 0; round < 4; ++round) {
    t.with([round](Conn& c) {
      c.set_user_timeout(std::chrono::seconds{200 + round});
      c.send(std::string(30000, 'x'));
    });
    for (int i = 0; i < 20; ++i) {
      while (auto p = t.peer.poll()) EXPECT_LE(p->payload.size() + (p->user_timeout ? 4 : 0), 1460u);
      t.peer.ack().ack(t.peer.rcv_nxt);
    }
  }
  EXPECT_GT(t.stats().path_probes, 0u);
}

// rfc9293 3.8.6.1: the byte of a probe was not taken. What is corked leaves by the override timer all the
// same.
TEST(ZeroWindow, corked_behind_a_probe_that_was_not_taken__leaves_once_the_window_opens) {
  Trace t;
  t.listen();
  t.peer.open();
  t.peer.ack().window(0);
  t.with([](Conn& c) {
    c.cork();
    c.send("waits");
  });
  t.advance_to_frame(2min);
  drain_payload(t.peer);
  t.peer.rcv_nxt = 1;
  t.peer.ack().ack(1).window(0);
  t.peer.ack().ack(1).window(1000);
  t.advance(1s);
  t.peer.expect().seq(1).data("waits");
}

// RFC 7413 section 4.1.3, RFC 1191: a router has no room for the SYN's data, and the server has not taken it.
TEST(FastOpenClient, syn_too_big_for_the_path__handshake_and_data_go_on_in_small_segments) {
  Trace t;
  const auto open = [&t](Peer& p, const std::string& data) {
    ConnectOptions options{.local = p.stack, .fast_open = true};
    options.data = std::as_bytes(std::span{data.data(), data.size()});
    EXPECT_TRUE(t.core().connect(p.self, t.handler, options));
    t.poll();
  };
  Peer first{t, {Trace::peer_address, 443}, {Trace::stack_address, 9000}};
  open(first, "");
  first.expect().syn();
  first.syn_ack().mss(1460).cookie("12345678");
  first.expect().pure_ack();
  first.rst();
  Peer p{t, {Trace::peer_address, 443}, {Trace::stack_address, 9001}};
  open(p, std::string(1000, 'x'));
  const Packet syn = p.expect().syn().length(1000).packet();
  p.rcv_nxt = 0;
  t.inject(too_big(syn, 500));
  p.syn_ack().mss(1460).ack(1);
  EXPECT_EQ(t.conn().stats().lost, 0u);
  p.rcv_nxt = 1;
  std::uint32_t bytes = 0;
  for (int i = 0; i < 10; ++i, t.advance(50ms)) {
    bytes += drain_payload(p);
    p.ack().ack(p.rcv_nxt);
  }
  EXPECT_EQ(bytes, 1000u);
  EXPECT_EQ(t.conn().unacked(), 0u);
}

// Established, and the application was never told: neither is it of the end, and its State was never made.
TEST(Shutdown, connection_that_waits_for_accept__ends_without_a_callback) {
  struct Counting {
    int closed = 0;
    void on_closed(ConnId, CloseReason) { ++closed; }
  } handler;
  Trace t;
  const auto ref = t.core().add_handler_ref(handler);
  ASSERT_TRUE(t.core().listen_with({any, 80}, *ref, {.paused = true}));
  t.peer.open();
  ASSERT_EQ(t.stats().connections, 1u);
  t.core().shard().end_all();
  EXPECT_EQ(t.stats().connections, 0u);
  EXPECT_EQ(handler.closed, 0);
}

// Flight::send_quantum: what may leave together while paced, where there are many segments in one
// description, too.
TEST(Pacing, large_segments__are_no_larger_than_the_quantum) {
  CoreConfig config = small_config();
  config.tcp.pacing = true;
  Trace t{config};
  t.listen();
  t.peer.open();
  t.with([](Conn& c) { c.send(std::string(1460, 'x')); });
  t.advance(100ms);
  drain_payload(t.peer);
  t.peer.ack().ack(1461);
  t.with([](Conn& c) { c.send(std::string(100000, 'x')); });
  drain_payload(t.peer);  // nothing is paced before there is a flight
  for (int i = 0; i < 40; ++i) {
    t.advance(100ms);
    std::map<Time, std::size_t> together;
    while (auto p = t.peer.poll()) together[p->at] += p->payload.size();
    for (const auto& [when, bytes] : together) EXPECT_LE(bytes, 4u * 1460);
    t.peer.ack().ack(t.peer.rcv_nxt);
  }
  EXPECT_EQ(t.peer.rcv_nxt, 1461u + 100000);
}

// Gaps must not take what the bytes that fill them need.
TEST(ReceiveMemory, all_buffers_wanted_for_gaps__what_is_in_order_is_taken) {
  for (const std::uint32_t buffers : {1u, 4u}) {
    CoreConfig config = small_config();
    config.limits.recovery_blocks = buffers;
    Trace t{config};
    t.listen();
    std::vector<std::unique_ptr<Peer>> others;
    for (std::uint32_t i = 0; i < 2 * buffers; ++i) {
      others.push_back(t.another_peer(static_cast<Port>(40001 + i)));
      others.back()->open();
      others.back()->ack().seq(5).data("late");
      drain_payload(*others.back());
    }
    for (auto& peer : others) {
      peer->ack().seq(1).data("gone");
      t.advance(1s);
      std::uint32_t acked = 0;
      while (auto p = peer->poll()) acked = p->ack - peer->iss;
      EXPECT_GE(acked, 5u) << buffers;
    }
  }
}

// A machine that slept for an hour has not measured a path.
TEST(Rtt, sample_beyond_the_largest_rto__counts_as_that) {
  Trace t;
  const tcp::Context& cx = t.core().shard().tcp();
  tcp::Tcb tcb;
  tcp::take_rtt_sample(cx, tcb, 3'600'000'000u);
  EXPECT_EQ(std::chrono::microseconds{tcb.srtt_us}, cx.config.tcp.rto_max);
}

// What is closed cannot be paused: who waited there is swept with the next poll.
TEST(Listener, paused_after_it_was_closed__nobody_is_left_in_its_queue) {
  Trace t;
  const ListenerId listener = t.listen(80, {.paused = true});
  t.peer.open();
  ASSERT_EQ(t.stats().connections, 1u);
  t.core().close(listener);
  t.core().pause(listener);
  t.poll();
  EXPECT_EQ(t.stats().connections, 0u);
  drain_payload(t.peer);
}

}  // namespace
}  // namespace handfast::test
