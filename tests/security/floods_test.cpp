// SPDX-License-Identifier: BSD-3-Clause
// Floods and reflection: SYNs, ACKs, RSTs and UDP, the queue of those that wait to be accepted, what is counted and what is
// logged. Rows C1 to C3, C17, C20 and C23 of docs/security-limits.md. Layer: tests of security, through frames.
#include <gtest/gtest.h>

#include <string>

#include "crowd.hpp"
#include "shard/link_frames.hpp"
#include "wire/bytes.hpp"

namespace handfast::test {
namespace {

CoreConfig flooded(std::uint32_t half_open = 256) {
  CoreConfig config = small_config();
  config.limits.half_open = half_open;
  config.limits.neighbours = 512;
  return config;
}

/// Forged SYNs in bursts; what the stack answers is looked at by nobody.
void flood_syns(SecurityWorld& w, std::uint64_t n) {
  for (std::uint64_t i = 0; i < n; ++i) {
    w.t.inject(build(forged(w.t.rng(), SYN)), i % 32 == 31 || i + 1 == n);
    w.t.other_frames.clear();
  }
}

// RFC 4987 3.6
TEST(SecurityC, sec_C1__syn_flood__half_open_is_bounded_and_a_syn_beyond_it_costs_neither_byte_nor_timer) {
  SecurityWorld w{flooded()};
  flood_syns(w, 2000);  // the table is full, the neighbours are known
  Holdings full = holdings_of(w.t);
  EXPECT_EQ(full.usage.half_open, 256u);
  const CoreStats before = w.t.stats();
  flood_syns(w, scaled(1000000, 30000));
  EXPECT_EQ(holdings_of(w.t), full);
  EXPECT_GE(w.t.stats().syn_cookies_sent - before.syn_cookies_sent, scaled(1000000, 30000) - 300);
  EXPECT_EQ(w.t.stats().retransmits, before.retransmits);
  // An honest client comes through in the middle of it.
  w.establish(modern);
  w.expect_innocent_moves();
  w.t.with([](Conn& c) { c.abort(); });
  w.discard();
}

TEST(SecurityC, sec_C1__flood_is_over__two_seconds_later_nothing_is_left_of_it) {
  SecurityWorld w{flooded()};
  const Holdings before = holdings_of(w.t);
  flood_syns(w, 5000);
  const std::uint64_t sent = w.frames_out();
  w.t.advance(2s);
  EXPECT_EQ(holdings_of(w.t), before);
  EXPECT_EQ(w.frames_out(), sent) << "no SYN-ACK is repeated while cookies answer";
  w.t.other_frames.clear();
}

TEST(SecurityC, sec_C1__far_away_client_in_the_flood__its_ack_after_a_second_and_a_half_still_counts) {
  SecurityWorld w{flooded(64)};
  w.peer.syn().mss(1460);
  w.peer.expect().syn_ack();
  flood_syns(w, 1000);
  w.t.advance(1500ms);
  w.t.other_frames.clear();
  w.peer.ack().data("far");
  EXPECT_EQ(w.t.app.received(), "far");
  w.discard();
}

TEST(SecurityC, sec_C1__without_cookies__dropped_counted_and_nothing_sent) {
  CoreConfig config = flooded(16);
  config.tcp.syn_cookies = false;
  SecurityWorld w{config};
  flood_syns(w, 16);
  const std::uint64_t sent = w.frames_out();
  w.expect_dropped(Drop::tcp_half_open_full, [&] { flood_syns(w, 1000); }, 1000);
  EXPECT_EQ(w.frames_out(), sent);
}

TEST(SecurityC, sec_C1__flood_of_one_listener__the_half_open_of_another_are_not_taken) {
  SecurityWorld w{flooded(4096), false};
  w.t.listen(80, {.backlog = 32});
  flood_syns(w, 3000);
  EXPECT_LE(w.t.stats().half_open, 32u);
  auto other = w.t.another_peer(41000);
  other->stack.port = SecurityWorld::innocent_port;
  other->syn().mss(1460);
  other->expect().syn_ack();
  EXPECT_EQ(w.t.stats().half_open, 33u);
}

/// Bytes of frames to anyone.
std::size_t bytes_in(const std::vector<std::vector<std::byte>>& frames) {
  std::size_t n = 0;
  for (const auto& f : frames) n += std::max<std::size_t>(f.size(), 60);
  return n;
}

TEST(SecurityC, sec_C2__one_forged_syn__three_answers_at_most_and_no_more_than_four_times_its_bytes) {
  for (const bool modern_syn : {false, true}) {
    SecurityWorld w;
    Packet syn = forged(w.t.rng(), SYN);
    if (modern_syn) {
      syn.wscale = 14;
      syn.sack_permitted = true;
      syn.ts = {1, 0};
    }
    const auto frame = build(syn);
    w.t.inject(frame);
    w.t.advance(10min);
    EXPECT_EQ(w.t.other_frames.size(), 1u + w.t.core().config().tcp.syn_ack_retries);
    EXPECT_LE(bytes_in(w.t.other_frames), 4 * frame.size());
    w.t.other_frames.clear();
  }
}

TEST(SecurityC, sec_C2__under_pressure__one_answer_for_each_forged_syn) {
  SecurityWorld w{flooded(50)};
  std::size_t answers = 0;
  for (int i = 0; i < 1000; ++i) {
    w.t.inject(forged(w.t.rng(), SYN));
    answers += w.t.other_frames.size();
    w.t.other_frames.clear();
  }
  w.t.advance(1min);
  answers += w.t.other_frames.size();
  w.t.other_frames.clear();
  EXPECT_LE(answers, 1000u);
}

TEST(SecurityC, sec_C2__the_victim_resets__it_was_one_answer) {
  SecurityWorld w;
  w.peer.syn().mss(1460);
  w.peer.expect().syn_ack();
  w.peer.rst();
  w.t.expect_nothing_until(10min);
  EXPECT_EQ(usage_of(w.t.core()).half_open, 0u);
}

// RFC 9293 3.10.7.1
TEST(SecurityC, sec_C3__acks_to_closed_ports__resets_are_bounded_by_second_and_nothing_is_kept) {
  SecurityWorld w{flooded()};
  const Holdings before = holdings_of(w.t);
  const std::uint64_t n = scaled(1000000, 50000);
  for (std::uint64_t i = 0; i < n; ++i) {
    Packet p = forged(w.t.rng(), ACK);
    p.destination.port = static_cast<Port>(1 + w.t.rng().below(79));
    w.t.inject(build(p), i % 32 == 31 || i + 1 == n);
    w.t.other_frames.clear();
  }
  EXPECT_LE(w.t.stats().resets_out, 2u * w.t.core().config().tcp.resets_per_second) << "the second may turn in the middle";
  EXPECT_EQ(w.drops(Drop::tcp_no_connection), n);
  EXPECT_EQ(w.t.stats().resets_out + w.drops(Drop::tcp_rst_rate_limited), n);
  EXPECT_EQ(holdings_of(w.t), before);
}

TEST(SecurityC, sec_C3__rsts_to_closed_and_open_ports__never_answered) {
  SecurityWorld w{flooded()};
  w.expect_dropped(
      Drop::tcp_no_connection,
      [&] {
        for (int i = 0; i < 10000; ++i) {
          Packet p = forged(w.t.rng(), i % 2 == 0 ? RST : RST | ACK);
          if (i % 3 == 0) p.destination.port = 79;
          w.t.inject(p);
        }
      },
      10000);
  EXPECT_EQ(w.frames_out(), 0u);
}

TEST(SecurityC, sec_C3__udp_flood__dropped_without_an_answer) {
  SecurityWorld w{flooded()};
  const Frame datagram(300, std::byte{0x11});
  w.expect_dropped(
      Drop::ip_unknown_protocol,
      [&] {
        for (int i = 0; i < 20000; ++i) {
          const Ipv4Address from{10, 0, 0, static_cast<std::uint8_t>(4 + w.t.rng().below(200))};
          w.t.inject(ipv4_frame(from, Trace::stack_address, 17, datagram), i % 32 == 31);
        }
        w.t.poll();
      },
      20000);
  EXPECT_EQ(w.frames_out(), 0u);
}

TEST(SecurityC, sec_C17__nobody_accepts__the_last_ack_is_dropped_and_comes_again) {
  SecurityWorld w{flooded(), false};
  const ListenerId listener = w.t.listen(80, {.backlog = 4, .paused = true});
  Crowd crowd = crowd_of(w, 8);
  for (auto& p : crowd) {
    p->syn().mss(1460);
    if (p != crowd[4] && p != crowd[5] && p != crowd[6] && p != crowd[7]) p->expect().syn_ack();
  }
  // Four have a half-open entry, as many as the backlog; the others have been answered by cookies.
  for (std::size_t i = 4; i < 8; ++i) crowd[i]->expect().syn_ack();
  for (std::size_t i = 0; i < 4; ++i) crowd[i]->ack();
  EXPECT_EQ(w.t.stats().established, 1u + 4);
  w.expect_dropped(
      Drop::tcp_accept_queue_full,
      [&] {
        for (std::size_t i = 4; i < 8; ++i) crowd[i]->ack().data("later");
      },
      4);
  EXPECT_EQ(usage_of(w.t.core()).connections, 1u + 4);
  w.t.core().resume(listener);
  w.t.poll();
  for (std::size_t i = 4; i < 8; ++i) crowd[i]->ack().seq(1).data("later");  // its retransmission
  EXPECT_EQ(w.t.app.count("accept"), 8);
  EXPECT_EQ(w.t.app.received(), "later");
  for (auto& p : crowd) w.discard(*p);
}

TEST(SecurityC, sec_C17__half_open_entry_behind_a_full_queue__completes_by_our_syn_ack) {
  SecurityWorld w{flooded(), false};
  const ListenerId listener = w.t.listen(80, {.backlog = 1, .paused = true});
  auto first = w.t.another_peer(41000);
  w.peer.syn().mss(1460);
  w.peer.expect().syn_ack();
  // Another one by cookie takes the one place before the ACK comes.
  first->open();
  w.expect_dropped(Drop::tcp_accept_queue_full, [&] { w.peer.ack(); });
  w.t.core().resume(listener);
  w.t.poll();
  w.t.advance(2s);
  w.peer.expect().syn_ack().seq(0);
  w.peer.ack().seq(1);
  EXPECT_EQ(w.t.app.count("accept"), 2);
  w.discard(*first);
  w.discard();
}

// RFC 9293 3.10.7.2, 3.10.7.4
TEST(SecurityC, sec_C20__syn_with_data__neither_kept_nor_delivered_nor_acknowledged) {
  SecurityWorld w;
  const Holdings before = holdings_of(w.t);
  w.peer.syn().mss(1460).data(std::string(1000, 'e'));
  const auto answer = w.peer.expect().syn_ack();
  EXPECT_EQ(answer.packet().ack, w.peer.iss + 1);
  EXPECT_EQ(holdings_of(w.t).usage.chunks, before.usage.chunks);
  EXPECT_TRUE(w.t.app.events.empty());
  w.peer.snd_nxt = 1;
  w.peer.ack().data("real");
  EXPECT_EQ(w.t.app.received(), "real");
}

TEST(SecurityC, sec_C20__syn_again__same_number_same_answer_other_number_challenge) {
  SecurityWorld w;
  w.peer.syn().mss(1460);
  const std::uint32_t iss = w.peer.expect().syn_ack().packet().seq;
  for (int i = 0; i < 100; ++i) {
    w.peer.syn().seq(0).mss(1460);
    EXPECT_EQ(w.peer.expect().syn_ack().packet().seq, iss);
    EXPECT_EQ(usage_of(w.t.core()).half_open, 1u);
  }
  int challenges = 0;
  for (std::uint32_t i = 1; i < 1000; ++i) {
    w.peer.syn().seq(i * 4000000u).mss(1460);
    while (const auto p = w.peer.poll()) {
      EXPECT_EQ(p->flags, ACK);
      ++challenges;
    }
  }
  EXPECT_EQ(challenges, w.t.core().config().tcp.challenge_acks_per_second);
  w.peer.ack().seq(1);
  EXPECT_EQ(w.t.state(), State::established);
}

TEST(SecurityC, sec_C23__bad_packets_of_every_kind__each_counted_once_and_not_a_line_is_written) {
  SecurityWorld w{flooded()};
  w.establish();
  const auto broken = [&](auto change) {
    Packet p = forged(w.t.rng(), ACK);
    auto frame = build(p);
    change(frame);
    return frame;
  };
  struct Kind {
    Drop reason;
    std::vector<std::byte> frame;
  };
  const std::vector<Kind> kinds = {
      {Drop::tcp_checksum, broken([](auto& f) { break_tcp_checksum(f); })},
      {Drop::ip_checksum, broken([](auto& f) { f[24] ^= std::byte{1}; })},
      {Drop::ip_version, broken([](auto& f) { f[14] = std::byte{0x65}; })},
      {Drop::eth_unknown_type, broken([](auto& f) { f[12] = std::byte{0x12}; })},
      {Drop::eth_not_for_us, broken([](auto& f) { f[5] ^= std::byte{1}; })},
      {Drop::eth_truncated, std::vector<std::byte>(9)},
      {Drop::ip_fragment, [&] {
         auto f = broken([](auto&) {});
         f[20] = std::byte{0x20};
         wire::store16(f.data() + 24, 0);
         wire::store16(f.data() + 24, static_cast<std::uint16_t>(~plain_sum(std::span{f}.subspan(14, 20))));
         return f;
       }()},
  };
  const std::uint64_t each = scaled(1000000, 70000) / kinds.size();
  testing::internal::CaptureStdout();
  testing::internal::CaptureStderr();
  const auto before = w.t.stats().drops;
  for (std::uint64_t i = 0; i < each; ++i)
    for (const Kind& k : kinds) w.t.inject(k.frame, i % 8 == 7);
  w.t.poll();
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
  EXPECT_EQ(testing::internal::GetCapturedStdout(), "");
  for (const Kind& k : kinds) EXPECT_EQ(w.drops(k.reason), each) << name(k.reason);
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < drop_count; ++i) sum += w.t.stats().drops[i] - before[i];
  EXPECT_EQ(sum, each * kinds.size());
}

}  // namespace
}  // namespace handfast::test
