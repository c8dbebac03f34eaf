// SPDX-License-Identifier: BSD-3-Clause
// Attacks by windows: shut for ever, a few bytes wide, taken back, read slowly; and what is shed when memory is used up.
// Rows C4 to C6 and C19 of docs/security-limits.md. Layer: tests of security, through frames.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "crowd.hpp"

namespace handfast::test {
namespace {

const std::string megabyte(1 << 20, 'm');

/// Each of the crowd opens, is sent what `app.accepted` sends, and shuts its window.
void shut_windows(SecurityWorld& w, Crowd& crowd) {
  for (auto& p : crowd) {
    p->window = 0;
    p->open();
    w.discard(*p);
  }
}

/// Every second each answers what it was asked, its window shut.
void answer_probes(SecurityWorld& w, Crowd& crowd, int seconds) {
  for (int i = 0; i < seconds; ++i) {
    w.t.advance(1s);
    for (auto& p : crowd)
      if (w.discard(*p) != 0) p->ack().ack(1).window(0);
    for (auto& p : crowd) w.discard(*p);
  }
}

// CVE-2008-4609. RFC 9293 3.8.6.1: open as long as probes are answered and memory lasts
TEST(SecurityC, sec_C4__crowd_with_shut_windows__asked_ever_more_seldom_and_held_within_the_send_buffer) {
  const auto n = static_cast<std::uint32_t>(scaled(10000, 200));
  CoreConfig config = small_config();
  config.limits.connections = n + 16;
  config.limits.send_extents = 2 * n;
  SecurityWorld w{config};
  w.t.app.accepted = [](Conn& c) {
    for (std::size_t at = 0; at < megabyte.size();) {
      const std::size_t sent = c.send_static(std::as_bytes(std::span{megabyte}).subspan(at));
      if (sent == 0) return;
      at += sent;
    }
  };
  Crowd crowd = crowd_of(w, n);
  shut_windows(w, crowd);
  answer_probes(w, crowd, 420);
  const std::uint64_t probes = w.t.stats().zero_window_probes;
  EXPECT_LE(probes, n * 16u) << "twice the distance each time, up to a minute";
  EXPECT_GE(probes, n * 8u);
  for (const ConnId id : w.t.app.opened) {
    const auto c = w.t.core().find(id);
    ASSERT_TRUE(c) << "they answer, and memory is fine";
    EXPECT_LE(c->stats().queued, config.tcp.send_buffer);
  }
  answer_probes(w, crowd, 120);
  const std::uint64_t later = w.t.stats().zero_window_probes - probes;
  EXPECT_GE(later, n) << "at least one a minute";
  EXPECT_LE(later, 3u * n);
  w.expect_innocent_moves();
}

TEST(SecurityC, sec_C4__shut_windows_hold_all_the_memory__they_are_ended_and_the_innocent_sends) {
  CoreConfig config = small_config();
  config.limits.buffer_memory = 1 << 20;
  SecurityWorld w{config};
  w.most_out_per_in = 10;
  w.t.app.accepted = [](Conn& c) { c.send(std::string(1 << 18, 'x')); };
  Crowd crowd = crowd_of(w, 12);
  shut_windows(w, crowd);
  w.t.app.accepted = nullptr;
  EXPECT_LE((config.limits.buffer_memory >> 11) - usage_of(w.t.core()).chunks, 16u) << "all but what is kept for receiving";
  answer_probes(w, crowd, 20);
  EXPECT_GE(w.t.stats().closed[static_cast<std::size_t>(CloseReason::no_memory)], 1u);
  w.expect_innocent_moves();
  w.establish();
  for (auto& p : crowd) w.discard(*p);
}

TEST(SecurityC, sec_C4__shut_windows_hold_all_descriptors__they_are_ended_and_the_innocent_sends) {
  CoreConfig config = small_config();
  config.limits.send_extents = 256;
  SecurityWorld w{config};
  w.most_out_per_in = 10;
  // An answer of a few bytes to each of many requests in a row: one descriptor each.
  w.t.app.data = [](Conn& c, const RxView& in) {
    for (std::size_t i = 0; i < in.size(); ++i) c.send_static(std::string_view{"answer"});
    return in.size();
  };
  Crowd crowd = crowd_of(w, 4);
  shut_windows(w, crowd);
  for (auto& p : crowd) p->ack().data(std::string(100, 'r'));
  w.t.app.data = nullptr;
  EXPECT_EQ(usage_of(w.t.core()).extents, 256u);
  answer_probes(w, crowd, 20);
  EXPECT_GE(w.t.stats().closed[static_cast<std::size_t>(CloseReason::no_memory)], 1u);
  w.expect_innocent_moves();
}

TEST(SecurityC, sec_C4__peers_that_take_nothing_and_say_nothing__go_when_memory_is_used_up) {
  CoreConfig config = small_config();
  config.limits.buffer_memory = 1 << 20;
  SecurityWorld w{config};
  w.most_out_per_in = 50;
  w.t.app.accepted = [](Conn& c) { c.send(std::string(1 << 18, 'x')); };
  Crowd crowd = crowd_of(w, 12);
  for (auto& p : crowd) p->open();
  w.t.app.accepted = nullptr;
  w.t.advance(30s);
  EXPECT_GE(w.t.stats().closed[static_cast<std::size_t>(CloseReason::no_memory)], 1u);
  w.expect_innocent_moves();
  for (auto& p : crowd) w.discard(*p);
}

TEST(SecurityC, sec_C4__user_timeout__ends_it_however_its_probes_are_answered) {
  for (const Duration limit : {20s, 130s}) {
    SecurityWorld w;
    w.t.app.accepted = [&](Conn& c) {
      c.set_user_timeout(limit);
      c.send("waits");
    };
    Crowd crowd = crowd_of(w, 1);
    shut_windows(w, crowd);
    answer_probes(w, crowd, 200);
    EXPECT_EQ(w.t.app.reason(), CloseReason::timed_out);
    w.discard(*crowd[0]);
  }
}

// RFC 9293 3.8.6.2.1
TEST(SecurityC, sec_C5__windows_of_one_to_four_bytes__a_segment_for_each_override_and_no_more) {
  for (std::uint32_t width = 1; width <= 4; ++width) {
    SecurityWorld w;
    w.establish();
    w.peer.ack().window(width);
    w.t.with([](Conn& c) { c.send(std::string(1000, 'x')); });
    std::size_t segments = w.discard();
    for (int i = 0; i < 400; ++i) {
      w.t.advance(10ms);
      std::size_t n = 0;
      while (const auto p = w.peer.poll()) {
        EXPECT_LE(p->payload.size(), width);
        ++n;
      }
      segments += n;
      if (n != 0) w.peer.ack().window(width);
    }
    const auto slots = static_cast<std::size_t>(Duration{4s} / w.t.core().config().tcp.override_timeout);
    EXPECT_LE(segments, slots + 1) << width;
    EXPECT_GE(segments, slots / 2) << "it does go on";
    w.discard();
  }
}

/// The window moves at random, back as well, over data in flight.
struct Shrinking {
  explicit Shrinking(SecurityWorld& world) : w(world) {}

  void take() {
    while (const auto p = w.peer.poll()) {
      const std::uint32_t left = p->seq - w.peer.irs, right = left + static_cast<std::uint32_t>(p->payload.size());
      if (right <= highest) continue;
      // New bytes: inside of what is offered now, or the one byte of a probe.
      const bool probe = p->payload.size() == 1 && edge <= left;
      EXPECT_TRUE(right <= edge || probe) << p->text() << " edge " << edge;
      highest = right;
    }
  }
  void offer(std::uint32_t ack, std::uint32_t window) {
    edge = ack + window;
    w.peer.ack().ack(ack).window(window);
    take();
    const ConnStats s = w.t.conn().stats();
    EXPECT_LE(s.flight, s.queued + 1) << "SND.UNA <= SND.NXT";
  }

  SecurityWorld& w;
  std::uint32_t highest = 1, edge = 0;
};

// RFC 9293 3.8.6, MUST-34
TEST(SecurityC, sec_C6__right_edge_anywhere_over_what_is_in_flight__nothing_new_beyond_it_and_recovers) {
  for (const bool sack : {false, true}) {
    SecurityWorld w;
    w.most_out_per_in = 60;
    w.peer.window = 20000;
    w.establish(sack ? with_sack : Handshake{}, false);
    Shrinking s{w};
    s.edge = 1 + 20000;
    constexpr std::uint32_t bytes = 200000;
    w.t.with([&](Conn& c) { ASSERT_EQ(c.send(std::string(bytes, 'x')), bytes); });
    s.take();
    std::uint32_t acked = 1;
    for (int i = 0; i < 600; ++i) {
      acked += w.t.rng().below(std::min<std::uint32_t>(s.highest - acked, 3000) + 1);
      s.offer(acked, w.t.rng().below(3) == 0 ? 0 : w.t.rng().below(20000));
      w.t.advance(std::chrono::milliseconds{w.t.rng().below(400)});
      s.take();
    }
    EXPECT_EQ(w.t.state(), State::established);
    // Open for good: all of it arrives.
    w.peer.window = 65535;
    for (int i = 0; i < 400 && w.t.conn().unacked() + w.t.conn().stats().queued != 0; ++i) {
      s.offer(s.highest, 65535);
      w.t.advance(300ms);
      s.take();
    }
    EXPECT_EQ(s.highest, 1 + bytes);
    EXPECT_EQ(w.t.conn().stats().queued, 0u);
  }
}

TEST(SecurityC, sec_C19__slow_reader_of_a_large_answer__queue_is_capped_and_the_application_is_held_back) {
  CoreConfig config = small_config();
  config.tcp.send_buffer = 32768;
  SecurityWorld w{config};
  w.most_out_per_in = 30;
  std::size_t written = 0, refused = 0;
  const auto feed = [&](Conn& c) {
    while (written < 400000) {
      const std::size_t n = c.send(std::string(4000, 'x'));
      written += n;
      if (n < 4000) {
        ++refused;
        return;
      }
    }
    c.shutdown_write();
  };
  w.t.app.writable = feed;
  w.peer.window = 2000;
  w.establish({}, false);
  w.t.with(feed);
  std::size_t got = 0;
  std::uint32_t most_chunks = 0;
  for (int i = 0; i < 4000 && got != written + 1; ++i) {
    w.t.advance(250ms);
    while (w.peer.poll()) {
    }
    got = w.peer.rcv_nxt - 1;
    w.peer.ack();
    EXPECT_LE(w.t.conn().stats().queued, config.tcp.send_buffer);
    most_chunks = std::max(most_chunks, usage_of(w.t.core()).chunks);
  }
  EXPECT_GE(written, 400000u);
  EXPECT_EQ(got, written + 1) << "and the FIN";
  EXPECT_LE(most_chunks, config.tcp.send_buffer / 2048 + 8);
  EXPECT_GE(refused, 10u) << "send() says how much it took";
  EXPECT_GE(w.t.app.record().writable, 10) << "and on_writable when there is room again";
  w.discard();
}

}  // namespace
}  // namespace handfast::test
