// SPDX-License-Identifier: BSD-3-Clause
// Forged messages of routers: hard and soft errors, source quench, path MTU, quotes that lie (row A13).
// Layer: tests of security, through frames.
#include <gtest/gtest.h>

#include "fixture.hpp"
#include "shard/frames.hpp"
#include "support/icmp.hpp"
#include "wire/bytes.hpp"

namespace handfast::test {
namespace {

using wire::icmp::destination_unreachable;
using wire::icmp::parameter_problem;
using wire::icmp::source_quench;
using wire::icmp::time_exceeded;

constexpr IpEnds from_router{Trace::peer_mac, Trace::stack_mac, router, Trace::stack_address};

/// The first `length` bytes of an ICMP message about `sent`, with a right sum.
Bytes cut_quote(const Packet& sent, std::size_t length) {
  const Bytes original = build(sent);
  return icmp_frame(from_router, destination_unreachable, 1, 0, std::span{original}.subspan(14, length));
}

/// The victim has bytes in flight; the segment that left last.
Packet in_flight(SecurityWorld& w, std::size_t bytes = 100) {
  w.t.with([&](Conn& c) { c.send(std::string(bytes, 'f')); });
  Packet last;
  while (const auto packet = w.peer.poll()) last = *packet;
  return last;
}

void expect_still_works(SecurityWorld& w) {
  EXPECT_EQ(w.state(), State::established);
  w.peer.ack().data("still here");
  EXPECT_TRUE(w.t.app.received().ends_with("still here"));
  w.t.advance(300ms);
  w.discard();
}

// rfc5927 5.2
TEST(SecurityA, sec_A13__established__every_type_and_code_about_bytes_in_flight_is_soft) {
  SecurityWorld w;
  w.establish();
  const Packet sent = in_flight(w);
  const std::uint32_t mss = w.t.conn().stats().mss, window = w.t.conn().stats().congestion_window;
  for (const std::uint8_t type : {destination_unreachable, time_exceeded, parameter_problem})
    for (unsigned code = 0; code < 256; ++code)
      if (code != wire::icmp::code_fragmentation_needed || type != destination_unreachable)
        w.t.inject(icmp_about(sent, type, static_cast<std::uint8_t>(code)));
  EXPECT_TRUE(w.peer.quiet());
  EXPECT_EQ(w.t.conn().stats().mss, mss);
  EXPECT_EQ(w.t.conn().stats().congestion_window, window);
  expect_still_works(w);
}

// rfc5927 4.1
TEST(SecurityA, sec_A13__number_that_is_not_in_flight__ignored_and_counted) {
  SecurityWorld w;
  w.establish();
  const Packet sent = in_flight(w);
  const std::uint32_t una = sent.seq, nxt = sent.seq + 100;
  for (const std::uint32_t seq : {una - 1, nxt, nxt + 1, una + (1u << 31)}) {
    Packet lie = sent;
    lie.seq = seq;
    for (const std::uint8_t code : std::initializer_list<std::uint8_t>{1, 2, 3, 4, 9, 10, 13})
      w.expect_dropped(Drop::icmp_out_of_window, [&] { w.t.inject(icmp_about(lie, destination_unreachable, code, 500)); });
  }
  EXPECT_EQ(w.t.conn().stats().last_icmp_error, IcmpError::none);
  EXPECT_EQ(w.t.conn().stats().mss, 1460u);
  expect_still_works(w);
}

TEST(SecurityA, sec_A13__about_other_tuples_half_open_entries_and_time_wait__ignored_and_counted) {
  SecurityWorld w;
  w.establish();
  const Packet sent = in_flight(w);
  Packet other = sent;
  ++other.destination.port;
  w.expect_dropped(Drop::icmp_no_connection, [&] { w.t.inject(icmp_about(other, destination_unreachable, 3)); });
  for (const State state : {State::syn_received, State::time_wait}) {
    auto p = w.t.another_peer(static_cast<Port>(41000 + static_cast<int>(state)));
    w.bring(*p, state);
    Packet about = sent;
    about.destination = p->self;
    about.seq = p->irs + p->rcv_nxt - 1;
    w.expect_dropped(Drop::icmp_no_connection, [&] { w.t.inject(icmp_about(about, destination_unreachable, 3)); });
    EXPECT_EQ(w.state(*p), state);
  }
}

// RFC 6633
TEST(SecurityA, sec_A13__source_quench_and_redirect__ignored) {
  SecurityWorld w;
  w.establish();
  const Packet sent = in_flight(w);
  const ConnStats before = w.t.conn().stats();
  for (int i = 0; i < 50; ++i) {
    w.expect_dropped(Drop::icmp_unknown, [&] { w.t.inject(icmp_about(sent, source_quench, 0)); });
    w.expect_dropped(Drop::icmp_unknown, [&] { w.t.inject(icmp_about(sent, wire::icmp::redirect, 1, 0x0a000042)); });
  }
  EXPECT_EQ(w.t.conn().stats().congestion_window, before.congestion_window);
  EXPECT_EQ(w.t.conn().stats().slow_start_threshold, before.slow_start_threshold);
  expect_still_works(w);
}

// rfc5927 7, CVE-2004-1060
TEST(SecurityA, sec_A13__path_mtu_of_68_and_the_like__segments_never_below_the_least) {
  SecurityWorld w;
  w.establish();
  const Packet sent = in_flight(w, 1460);
  const std::uint32_t least = w.t.core().config().tcp.min_send_mss;
  for (std::uint32_t mtu = 1; mtu < least + 40; ++mtu) {
    w.expect_dropped(Drop::icmp_implausible_mtu, [&] { w.t.inject(too_big(sent, static_cast<std::uint16_t>(mtu))); });
    EXPECT_EQ(w.t.conn().stats().mss, 1460u);
  }
  w.most_out_per_in = 10;  // what was in flight leaves again in smaller segments
  for (std::uint32_t mtu = 1499; mtu >= 7; mtu -= 7) w.t.inject(too_big(sent, static_cast<std::uint16_t>(mtu)));
  EXPECT_GE(w.t.conn().stats().mss, least);
  w.discard();
  w.peer.ack();
  w.most_out_per_in = 1;
  expect_still_works(w);
}

TEST(SecurityA, sec_A13__path_mtu__ignored_about_a_segment_that_was_not_that_large) {
  SecurityWorld w;
  w.establish();
  const Packet sent = in_flight(w, 100);
  // The quote says 1500 bytes; 100 of data are out.
  Bytes lie = too_big(sent, 600);
  wire::store16(lie.data() + 34 + 8 + 2, 1500);
  wire::store16(lie.data() + 34 + 2, 0);
  wire::store16(lie.data() + 34 + 2, static_cast<std::uint16_t>(~plain_sum(std::span{lie}.subspan(34))));
  w.expect_dropped(Drop::icmp_implausible_mtu, [&] { w.t.inject(lie); });
  w.expect_dropped(Drop::icmp_implausible_mtu, [&] { w.t.inject(too_big(sent, 600)); });
  EXPECT_EQ(w.t.conn().stats().mss, 1460u);
  w.peer.ack();
  w.expect_dropped(Drop::icmp_out_of_window, [&] { w.t.inject(too_big(sent, 600)); });
  expect_still_works(w);
}

TEST(SecurityA, sec_A13__path_mtu__of_a_size_that_arrives_is_refuted_by_progress) {
  SecurityWorld w;
  w.establish();
  in_flight(w, 1460);
  w.peer.ack();
  w.t.advance(300ms);
  w.discard();
  const Packet sent = in_flight(w, 1460);
  for (int i = 0; i < 20; ++i) w.t.inject(too_big(sent, 600));
  EXPECT_EQ(w.t.conn().stats().mss, 1460u) << "full segments have arrived before";
  w.peer.ack();
  EXPECT_EQ(w.t.conn().stats().mss, 1460u);
  const Packet next = in_flight(w, 1460);
  EXPECT_EQ(next.payload.size(), 1460u);
  w.peer.ack();
  expect_still_works(w);
}

// rfc9293 3.9.2.2
TEST(SecurityA, sec_A13__syn_sent__only_a_hard_error_about_our_syn_ends_it) {
  for (const std::uint8_t code : {std::uint8_t{2}, std::uint8_t{3}}) {
    SecurityWorld w{small_config(), false};
    const auto id = w.t.core().connect(w.peer.self, w.t.handler, {.local = w.peer.stack});
    ASSERT_TRUE(id);
    w.t.poll();
    const Packet syn = w.peer.expect().syn().packet();
    for (const std::uint32_t off : {1u, 0u - 1, 1u << 31}) {
      Packet lie = syn;
      lie.seq += off;
      w.expect_dropped(Drop::icmp_out_of_window, [&] { w.t.inject(icmp_about(lie, destination_unreachable, code)); });
    }
    for (const std::uint8_t soft : std::initializer_list<std::uint8_t>{0, 1, 5, 9, 10, 13}) w.t.inject(icmp_about(syn, destination_unreachable, soft));
    EXPECT_EQ(w.state(w.peer), State::syn_sent);
    w.t.inject(icmp_about(syn, destination_unreachable, code));
    EXPECT_EQ(w.t.app.records[*id].closed, CloseReason::unreachable);
  }
}

// rfc1122 3.2.2: a quote is the IP header and eight bytes at least
TEST(SecurityA, sec_A13__quotes_cut_at_every_length__dropped) {
  SecurityWorld w;
  w.establish();
  const Packet sent = in_flight(w);
  for (std::size_t length = 0; length < 28; ++length)
    w.expect_dropped(Drop::icmp_truncated, [&] { w.t.inject(cut_quote(sent, length)); });
  EXPECT_EQ(w.t.conn().stats().last_icmp_error, IcmpError::none);
  w.t.inject(cut_quote(sent, 28));
  EXPECT_EQ(w.t.conn().stats().last_icmp_error, IcmpError::host_unreachable) << "the shortest that is whole";
  expect_still_works(w);
}

TEST(SecurityA, sec_A13__quotes_of_what_we_never_send__dropped) {
  SecurityWorld w;
  w.establish();
  const Bytes original = build(in_flight(w));
  struct Lie {
    const char* what;
    std::size_t at;
    unsigned value;
  };
  for (const Lie& lie : {Lie{"IHL 0", 0, 0x40}, Lie{"IHL 4", 0, 0x44}, Lie{"IHL 15", 0, 0x4f}, Lie{"version 6", 0, 0x65},
                         Lie{"UDP", 9, 17}, Lie{"later fragment", 7, 1}, Lie{"total length 0", 3, 0}}) {
    SCOPED_TRACE(lie.what);
    Bytes quote(original.begin() + 14, original.begin() + 14 + 28);
    quote[lie.at] = static_cast<std::byte>(lie.value);
    w.expect_dropped(Drop::icmp_unknown, [&] { w.t.inject(icmp_frame(from_router, destination_unreachable, 1, 0, quote)); });
  }
  EXPECT_EQ(w.t.conn().stats().last_icmp_error, IcmpError::none);
  expect_still_works(w);
}

}  // namespace
}  // namespace handfast::test
