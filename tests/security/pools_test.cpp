// SPDX-License-Identifier: BSD-3-Clause
// Attacks on what a shard has in numbers: memory for what is unread, buffers of the port, timers, places for connections.
// Rows C15, C16 and C18 of docs/security-limits.md. Layer: tests of security, through frames and on the timer wheel.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "crowd.hpp"
#include "ds/timer_wheel.hpp"
#include "shard/shard.hpp"

namespace handfast::test {
namespace {

/// Whether a segment of so many bytes may still be kept.
bool has_room(SecurityWorld& w, std::size_t bytes) {
  return w.t.core().shard().tcp().receive_chunks.has(tcp::chunks_for(bytes));
}

/// A crowd whose connections the application has stopped reading, each with as much unread as its window lets it.
void fill_with_unread(SecurityWorld& w, Crowd& crowd, std::size_t piece) {
  w.t.app.accepted = [](Conn& c) { c.pause_rx(); };
  const std::size_t pieces = 65535 / piece;
  for (auto& p : crowd) {
    p->open();
    for (std::size_t i = 0; i < pieces && has_room(w, piece); ++i) {
      p->ack().data(std::string(piece, 'u'));
      if (i % 16 == 15) w.discard(*p);
    }
    w.discard(*p);
  }
  w.t.app.accepted = nullptr;
}

TEST(SecurityC, sec_C15__unread_bytes_in_tiny_segments__no_frame_is_pinned_and_memory_follows_bytes) {
  CoreConfig config = small_config();
  config.limits.buffer_memory = 32 << 20;
  SecurityWorld w{config};
  Crowd crowd = crowd_of(w, scaled(60, 6));
  w.t.app.accepted = [](Conn& c) { c.pause_rx(); };
  for (auto& p : crowd) {
    p->open();
    for (int i = 0; i < 20000; ++i) {
      p->ack().data("1");
      w.discard(*p);
    }
    EXPECT_EQ(w.t.stack().buffers_in_use(), 0u) << "the port has all its buffers back";
  }
  w.t.app.accepted = nullptr;
  // Of 2 KiB each, with two directories and what a window's begin and end have besides.
  EXPECT_LE(usage_of(w.t.core()).chunks, crowd.size() * (20000 / 2048 + 6));
  w.expect_innocent_moves();
  w.establish();
}

TEST(SecurityC, sec_C15__unread_bytes_hold_all_the_memory__who_reads_goes_on_and_handshakes_succeed) {
  CoreConfig config = small_config();
  config.limits.buffer_memory = 1 << 20;
  SecurityWorld w{config};
  Crowd crowd = crowd_of(w, 40);
  fill_with_unread(w, crowd, 1400);
  EXPECT_FALSE(has_room(w, 1400));
  EXPECT_EQ(w.t.stack().buffers_in_use(), 0u);
  // Its own data is taken in the frame, and there is memory for its answers.
  w.peer.open();
  for (int i = 0; i < 100; ++i) w.peer.ack().data(std::string(1000, 'r'));
  EXPECT_EQ(w.t.app.received().size(), 100000u);
  w.t.with([](Conn& c) { EXPECT_EQ(c.send(std::string_view{"copied"}), 6u); });
  std::string got;
  while (const auto p = w.peer.poll()) got += p->payload;
  EXPECT_EQ(got, "copied");
  // Some of them are read: all is as before.
  for (std::size_t i = 0; i < 10; ++i) {
    auto c = w.t.core().find(w.t.app.opened[i]);
    ASSERT_TRUE(c);
    c->resume_rx();
  }
  w.t.poll();
  for (auto& p : crowd) w.discard(*p);
  w.expect_innocent_moves();
}

TEST(SecurityC, sec_C15__one_unread_byte_on_each_of_many__who_reads_goes_on) {
  CoreConfig config = small_config();
  config.limits.recovery_blocks = 64;
  SecurityWorld w{config};
  Crowd crowd = crowd_of(w, 100);
  w.t.app.accepted = [](Conn& c) { c.pause_rx(); };
  for (auto& p : crowd) {
    p->open();
    p->ack().data("1");
    w.discard(*p);
  }
  w.t.app.accepted = nullptr;
  EXPECT_EQ(usage_of(w.t.core()).receive_buffers, 64u);
  EXPECT_EQ(w.drops(Drop::tcp_no_memory), 36u);
  w.expect_innocent_moves();
  w.establish(modern);
}

// What the application leaves of a frame has nowhere to wait: it is as if it had not come.
TEST(SecurityC, sec_C15__no_memory_and_the_application_takes_a_part__the_rest_comes_again_and_the_stream_is_exact) {
  CoreConfig config = small_config();
  config.limits.buffer_memory = 1 << 20;
  SecurityWorld w{config};
  Crowd crowd = crowd_of(w, 40);
  fill_with_unread(w, crowd, 1400);
  // The last few blocks go to those that are shown their bytes and leave them.
  w.t.app.data = [](Conn&, const RxView&) { return std::size_t{0}; };
  Crowd more = crowd_of(w, 4, 41000);
  for (auto& p : more) {
    p->open();
    p->ack().data("left");
    w.discard(*p);
  }
  EXPECT_FALSE(w.t.core().shard().tcp().receive_chunks.has(3));
  w.peer.open();
  const ConnId id = w.t.app.last();
  std::string sent;
  for (int i = 0; i < 500; ++i) sent += static_cast<char>('a' + i % 26);
  w.t.app.data = [&](Conn& c, const RxView& in) { return c.id() == id ? std::min<std::size_t>(in.size(), 7) : in.size(); };
  for (int i = 0; i < 200 && w.t.app.records[id].received.size() < sent.size(); ++i) {
    w.peer.ack().seq(1 + static_cast<std::uint32_t>(w.t.app.records[id].received.size())).data(sent.substr(w.t.app.records[id].received.size()));
    w.t.advance(50ms);
    while (const auto p = w.peer.poll()) EXPECT_LE(p->ack - w.peer.iss, 1 + w.t.app.records[id].received.size()) << "acknowledged and not kept";
  }
  EXPECT_EQ(w.t.app.records[id].received, sent);
  EXPECT_FALSE(w.t.app.records[id].closed);
  w.t.app.data = nullptr;
  for (Crowd* some : {&crowd, &more})
    for (auto& p : *some) w.discard(*p);
  for (const ConnId one : w.t.app.opened)
    if (auto c = w.t.core().find(one)) c->resume_rx();
  w.t.poll();
  for (auto& p : crowd) w.discard(*p);
}

TEST(SecurityC, sec_C15__no_buffer_left_in_the_port__frames_are_lost_and_counted_and_all_goes_on_after) {
  SecurityWorld w;
  w.establish();
  w.t.stack().limit_buffers(0);
  w.peer.ack().data("lost answer");
  EXPECT_EQ(w.discard(), 0u);
  w.t.advance(200ms);
  EXPECT_GE(w.drops(Drop::tx_no_buffer), 1u);
  w.t.stack().limit_buffers(1 << 20);
  w.peer.ack().data("and more");
  w.t.advance(1s);
  EXPECT_GE(w.discard(), 1u);
  EXPECT_EQ(w.t.app.received(), std::string(100, 'p') + "lost answerand more");
}

// --- C16 ---------------------------------------------------------------------------------------------------------

TEST(SecurityC, sec_C16__a_million_timers_on_one_tick__so_many_a_call_none_lost_and_the_lag_is_known) {
  const auto n = static_cast<std::size_t>(scaled(1000000, 200000));
  const Time start{1000s};
  ds::TimerWheel wheel{start};
  std::vector<ds::TimerNode> nodes(n);
  for (auto& node : nodes) wheel.arm(node, start + 10s);
  std::size_t expired = 0, calls = 0;
  Time now = start + 10s;
  for (; expired < n && calls < 2 * n; ++calls) {
    std::size_t in_call = 0;
    wheel.advance(now, 256, [&](ds::TimerNode&) { ++in_call; });
    EXPECT_LE(in_call, 256u);
    expired += in_call;
    now += 1us;
    EXPECT_TRUE(expired == n || calls == 0 || wheel.lag() > Duration{0}) << "what is left is late, and it shows";
    if (testing::Test::HasFailure()) break;
  }
  EXPECT_EQ(expired, n);
  EXPECT_EQ(wheel.size(), 0u);
  EXPECT_LE(calls, n / 256 + n / 256 / 8 + 64) << "calls that lead nowhere are few";
  EXPECT_EQ(wheel.lag(), Duration{0});
}

// More timers than one call looks at, all due a little later within one tick of the wheel: at one moment there is an end to it.
TEST(SecurityC, sec_C16__more_timers_in_a_tick_than_a_call_looks_at__it_comes_to_rest_and_none_is_early_or_late) {
  for (const std::size_t n : {257u, 1000u, 5000u}) {
    const Time start{1000s}, due = start + 10s;
    ds::TimerWheel wheel{start};
    std::vector<ds::TimerNode> nodes(n);
    for (std::size_t i = 0; i < n; ++i) wheel.arm(nodes[i], due + std::chrono::nanoseconds{i % 100});
    Time now = start;
    std::size_t expired = 0, calls = 0;
    while (wheel.size() != 0 && ++calls < 1000 + 2 * n) {
      now = std::max(now, *wheel.next_deadline());
      wheel.advance(now, 256, [&](ds::TimerNode& node) {
        ++expired;
        EXPECT_EQ(node.deadline, now);
      });
    }
    EXPECT_EQ(expired, n);
  }
}

TEST(SecurityC, sec_C16__timers_of_all_connections_at_once__256_a_poll_and_the_lag_is_counted) {
  constexpr int n = 2000;
  CoreConfig config = small_config();
  config.limits.connections = n + 16;
  SecurityWorld w{config};
  w.t.app.accepted = [](Conn& c) { c.arm(10s); };
  Crowd crowd = crowd_of(w, n);
  for (auto& p : crowd) p->open();
  int fired = 0, most = 0, polls = 0;
  w.t.app.timer = [&](Conn&) { ++fired; };
  Time now = w.t.now() + 10s;
  while (fired < n && ++polls < 100) {
    const int before = fired;
    w.t.stack().poll(now);
    most = std::max(most, fired - before);
    now += 1ms;
  }
  EXPECT_EQ(fired, n);
  EXPECT_LE(most, 256);
  EXPECT_GE(w.t.stats().timer_lag_max_ns, 5000000u) << "eight polls, a millisecond apart";
  w.t.advance(now - w.t.now());
}

// --- C18 ---------------------------------------------------------------------------------------------------------

TEST(SecurityC, sec_C18__idle_connections_of_a_handler_with_a_deadline__each_is_closed_by_it) {
  const int n = static_cast<int>(scaled(10000, 500));
  CoreConfig config = small_config();
  config.limits.connections = static_cast<std::uint32_t>(n) + 16;
  SecurityWorld w{config};
  w.t.app.accepted = [](Conn& c) { c.arm(30s); };
  w.t.app.timer = [](Conn& c) { c.abort(); };
  Crowd crowd = crowd_of(w, static_cast<std::size_t>(n), 2000);
  for (auto& p : crowd) p->open();
  // A byte every ten seconds does not put it off.
  for (int i = 0; i < 3; ++i) {
    w.t.advance(9900ms);
    for (auto& p : crowd) p->ack().data("x");
  }
  w.t.advance(1s);
  EXPECT_EQ(w.t.stats().connections, 1u);
  for (auto& p : crowd) w.discard(*p);
}

TEST(SecurityC, sec_C18__table_of_connections_is_full__counted_the_living_are_not_touched_and_a_place_is_used_again) {
  CoreConfig config = small_config();
  config.limits.connections = 100;
  SecurityWorld w{config};
  Crowd crowd = crowd_of(w, 99);
  for (auto& p : crowd) p->open();
  w.peer.syn().mss(1460);
  w.peer.expect().syn_ack();
  w.expect_dropped(Drop::tcp_connections_full, [&] { w.peer.ack().data("full"); });
  w.expect_innocent_moves();
  crowd[0]->rst();
  w.peer.ack().seq(1).data("full");  // again, as its timer would
  EXPECT_EQ(w.t.app.received(), "full");
  w.discard();
}

TEST(SecurityC, sec_C18__cap_by_source_in_on_syn__the_others_come_through) {
  SecurityWorld w;
  std::uint32_t from_one = 0;
  w.t.app.syn = [&](const SynInfo& info) { return info.peer.address != Ipv4Address{10, 0, 0, 66} || ++from_one <= 10; };
  Crowd crowd;
  for (int i = 0; i < 100; ++i) {
    crowd.push_back(w.t.another_peer(static_cast<Port>(20000 + i), {10, 0, 0, 66}));
    crowd.back()->syn().mss(1460);
    w.discard(*crowd.back());
  }
  EXPECT_EQ(w.drops(Drop::tcp_refused_by_handler), 90u);
  EXPECT_EQ(usage_of(w.t.core()).half_open, 10u);
  w.establish();
}

}  // namespace
}  // namespace handfast::test
