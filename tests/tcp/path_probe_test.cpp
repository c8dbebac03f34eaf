// SPDX-License-Identifier: BSD-3-Clause
// Path MTU discovery where routers are silent: black holes found by time-outs, larger sizes found by probes
// (RFC 4821). Layer: tests of the protocol, through frames alone.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "shard/shard.hpp"
#include "support/icmp.hpp"
#include "support/pair.hpp"
#include "support/peer.hpp"
#include "support/usage.hpp"

namespace handfast::test {
namespace {

using Lengths = std::vector<std::size_t>;

std::vector<Packet> taken(Trace& t) {
  std::vector<Packet> packets;
  while (auto p = t.peer.poll()) packets.push_back(*p);
  return packets;
}
Lengths lengths(const std::vector<Packet>& packets) {
  Lengths out;
  for (const Packet& p : packets) out.push_back(p.payload.size());
  return out;
}

CoreConfig always() {
  CoreConfig config = small_config();
  config.tcp.path_mtu_discovery = PathMtuDiscovery::always;
  return config;
}

// --- black holes
// -------------------------------------------------------------------------------------------------------

// rfc4821 7.7, rfc4821 7.2, rfc2923 2.1
TEST(BlackHole, full_segment_times_out_again_and_again__1024_then_576_and_no_less) {
  Trace t;
  t.listen();
  t.peer.open();
  t.with([](Conn& c) { c.send(std::string(3 * 1460, 'h')); });
  ASSERT_EQ(lengths(taken(t)), Lengths({1460, 1460, 1460}));
  Lengths first_of_each;
  for (int i = 0; i < 8; ++i) {
    t.advance_to_frame(60s);
    first_of_each.push_back(taken(t)[0].payload.size());
  }
  EXPECT_EQ(first_of_each, Lengths({1460, 1460, 984, 984, 536, 536, 536, 536}));
  EXPECT_EQ(t.stats().path_black_holes, 2u);
}

TEST(BlackHole, segments_that_are_small_already__are_no_reason) {
  for (const std::uint32_t bytes : {500u, 536u, 537u, 984u, 985u}) {
    SCOPED_TRACE(bytes);
    Trace t;
    t.listen();
    t.peer.open();
    t.with([bytes](Conn& c) { c.send(std::string(bytes, 'h')); });
    taken(t);
    for (int i = 0; i < 4; ++i) t.advance_to_frame(60s), taken(t);
    EXPECT_EQ(t.stats().path_black_holes, bytes > 984 ? 1u : 0u);
    for (int i = 0; i < 4; ++i) t.advance_to_frame(60s), taken(t);
    EXPECT_EQ(t.conn().stats().path_mtu, bytes > 536 ? 576u : 1500u);
  }
}

TEST(BlackHole, mode_without_it__size_stays) {
  CoreConfig config = small_config();
  config.tcp.path_mtu_discovery = PathMtuDiscovery::icmp;
  Trace t{config};
  t.listen();
  t.peer.open();
  t.with([](Conn& c) { c.send(std::string(1460, 'h')); });
  taken(t);
  for (int i = 0; i < 8; ++i) t.advance_to_frame(60s), taken(t);
  EXPECT_EQ(t.conn().stats().path_mtu, 1500u);
}

TEST(BlackHole, confirmed__new_connections_begin_small_and_suspicion_alone_does_not_count) {
  Trace t;
  t.listen();
  t.peer.open();
  t.with([](Conn& c) { c.send(std::string(3 * 1460, 'h')); });
  taken(t);
  for (int i = 0; i < 3; ++i) t.advance_to_frame(60s);
  auto early = t.another_peer(40001);
  early->open();
  EXPECT_EQ(t.conn().stats().path_mtu, 1500u) << "the peer may as well be gone";
  taken(t);
  t.peer.ack().ack(1 + 984);
  taken(t);
  auto later = t.another_peer(40002);
  later->open();
  EXPECT_EQ(t.conn().stats().path_mtu, 1024u);
}

TEST(BlackHole, last_of_a_short_answer_gets_through_small__remembered_when_the_connection_ends) {
  Trace t;
  t.listen();
  t.peer.open();
  t.with([](Conn& c) {
    c.send(std::string(985, 'h'));
    c.abort();
  });
  taken(t);
  auto one = t.another_peer(40001);
  one->open();
  t.with([](Conn& c) { c.send(std::string(985, 'h')); });
  for (int i = 0; i < 3; ++i) t.advance_to_frame(60s);
  while (one->poll()) {
  }
  one->ack();
  while (one->poll()) {
  }
  one->ack();
  t.with([](Conn& c) { c.abort(); });
  while (one->poll()) {
  }
  auto two = t.another_peer(40002);
  two->open();
  EXPECT_EQ(t.conn().stats().path_mtu, 1024u);
}

// --- probes
// ------------------------------------------------------------------------------------------------------------

/// A connection of 1400 bytes at most that may probe; nothing is in flight.
void open_cautious(Trace& t, Handshake h = {}) {
  t.listen();
  t.peer.open(h);
  t.with([](Conn& c) { c.set_nodelay(true); });
}

// rfc4821 7.1, 7.4: of data that waits, with enough behind it for its loss to be seen
TEST(Probe, always__first_segment_of_enough_data_is_of_the_largest_size) {
  Trace t{always()};
  open_cautious(t);
  EXPECT_EQ(t.conn().stats().path_mtu, 1400u);
  t.with([](Conn& c) { c.send(std::string(3 * 1360, 's')); });
  EXPECT_EQ(lengths(taken(t)), Lengths({1360, 1360, 1360})) << "too little";
  t.peer.ack();
  t.with([](Conn& c) { c.send(std::string(1459 + 3 * 1360, 's')); });
  EXPECT_EQ(lengths(taken(t)), Lengths({1360, 1360, 1360, 1360, 99})) << "too little still";
  t.peer.ack();
  t.with([](Conn& c) { c.send(std::string(1460 + 3 * 1360, 's')); });
  EXPECT_EQ(lengths(taken(t)), Lengths({1460, 1360, 1360, 1360}));
  EXPECT_EQ(t.stats().path_probes, 1u);
  t.peer.ack();
  t.with([](Conn& c) { c.send(std::string(2 * 1460, 's')); });
  EXPECT_EQ(lengths(taken(t)), Lengths({1460, 1460})) << "it arrived (rfc4821 7.6.1)";
  EXPECT_EQ(t.conn().stats().path_mtu, 1500u);
  t.peer.ack();
  EXPECT_EQ(usage_of(t.core()).path_searches, 0u);
}

// rfc4821 4c: in bytes; four segments of ten are no reason to grow either
TEST(Probe, arrived__the_window_stays_as_it_was) {
  Trace t{always()};
  open_cautious(t);
  const std::uint32_t before = t.conn().stats().congestion_window;
  t.with([](Conn& c) { c.send(std::string(1460 + 3 * 1360, 's')); });
  EXPECT_EQ(lengths(taken(t)), Lengths({1460, 1360, 1360, 1360}));
  t.peer.ack();
  EXPECT_EQ(t.conn().stats().congestion_window, before);
  t.with([](Conn& c) { c.send(std::string(1460, 's')); });
  EXPECT_EQ(lengths(taken(t)), Lengths({1460}));
  EXPECT_EQ(t.conn().stats().path_mtu, 1500u);
  EXPECT_EQ(t.conn().stats().congestion_window, before);
}

// rfc4821 4b, 7.6.2: no congestion signal; only the probe's bytes again, in pieces that are known to fit
TEST(Probe, lost_alone__sent_again_in_two_and_the_window_stays) {
  for (const bool sack : {false, true}) {
    SCOPED_TRACE(sack);
    Trace t{always()};
    open_cautious(t, sack ? with_sack : Handshake{});
    t.with([](Conn& c) { c.send(std::string(1460 + 5 * 1360, 's')); });
    ASSERT_EQ(lengths(taken(t)), Lengths({1460, 1360, 1360, 1360, 1360, 1360}));
    const ConnStats before = t.conn().stats();
    for (std::uint32_t i = 1; i <= 5; ++i) {
      Send dup = t.peer.ack();
      dup.ack(1);
      if (sack) dup.sack({{1461, 1461 + i * 1360}});
    }
    const auto again = taken(t);
    ASSERT_EQ(lengths(again), Lengths({1360, 100}));
    EXPECT_EQ(again[0].seq - t.peer.irs, 1u);
    EXPECT_EQ(t.stats().path_probes_failed, 1u);
    EXPECT_EQ(t.stats().fast_retransmits, 0u);
    t.peer.ack().ack(1 + 1460 + 5 * 1360);
    const ConnStats after = t.conn().stats();
    EXPECT_GE(after.congestion_window, before.congestion_window);
    EXPECT_EQ(after.slow_start_threshold, before.slow_start_threshold);
    EXPECT_EQ(after.path_mtu, 1400u);
  }
}

// rfc4821 7.6.4: with another loss beside it nothing is learned but that there is congestion
TEST(Probe, lost_with_another__is_congestion_and_tells_nothing_of_the_size) {
  Trace t{always()};
  open_cautious(t, with_sack);
  t.with([](Conn& c) { c.send(std::string(1460 + 5 * 1360, 's')); });
  taken(t);
  t.peer.ack().ack(1).sack({{2821, 4181}});
  t.peer.ack().ack(1).sack({{5541, 6901}, {2821, 4181}});
  t.peer.ack().ack(1).sack({{5541, 8261}, {2821, 4181}});
  EXPECT_EQ(t.stats().fast_retransmits, 1u);
  EXPECT_EQ(t.stats().path_probes_failed, 0u);
  EXPECT_LT(t.conn().stats().slow_start_threshold, 10u * 1460);
  taken(t);
  t.peer.ack().ack(1 + 1460 + 5 * 1360);
  t.with([](Conn& c) { c.send("x"); });
  taken(t);
  EXPECT_EQ(t.conn().stats().path_mtu, 1400u) << "its bytes have arrived, but in other segments";
  t.peer.ack();
  std::size_t next = 0;
  for (int i = 0; i < 20 && next <= 1360; ++i) {
    t.advance(1s);
    t.with([](Conn& c) { c.send(std::string(10 * 1360, 's')); });
    while (t.conn().unacked() != 0) {
      for (const Packet& p : taken(t)) next = std::max(next, p.payload.size());
      t.peer.ack();
    }
  }
  EXPECT_EQ(next, 1460u) << "the same size again, once the window has room for it";
}

// rfc4821 7.6.2: not before as many round trips as the window has segments
TEST(Probe, after_a_failure__the_next_waits_and_is_smaller) {
  Trace t{always()};
  open_cautious(t);
  t.with([](Conn& c) { c.send(std::string(1460 + 5 * 1360, 's')); });
  taken(t);
  for (int i = 0; i < 3; ++i) t.peer.ack().ack(1);
  taken(t);
  t.peer.ack().ack(1 + 1460 + 5 * 1360);
  t.with([](Conn& c) { c.send(std::string(8 * 1360, 's')); });
  EXPECT_EQ(taken(t)[0].payload.size(), 1360u);
  t.peer.ack();
  t.advance(2s);
  t.with([](Conn& c) { c.send(std::string(8 * 1360, 's')); });
  const std::size_t second = taken(t)[0].payload.size();
  EXPECT_GT(second, 1360u);
  EXPECT_LT(second, 1460u);
}

// rfc4821 7.6.3
TEST(Probe, lost_and_timed_out__is_congestion_and_a_failure) {
  Trace t{always()};
  open_cautious(t);
  t.with([](Conn& c) { c.send(std::string(1460 + 3 * 1360, 's')); });
  ASSERT_EQ(taken(t)[0].payload.size(), 1460u);
  t.advance_to_frame(2s);
  EXPECT_EQ(taken(t)[0].payload.size(), 1360u);
  EXPECT_EQ(t.stats().path_probes_failed, 1u);
  EXPECT_EQ(t.stats().timeouts, 1u);
  EXPECT_EQ(t.conn().stats().congestion_window, 1360u);
}

// rfc4821 7.6.2, last: a router that says why
TEST(Probe, refused_by_a_router__only_it_goes_again_and_the_named_size_is_next) {
  Trace t{always()};
  open_cautious(t);
  t.with([](Conn& c) { c.send(std::string(1460 + 5 * 1360, 's')); });
  const auto flight = taken(t);
  ASSERT_EQ(flight[0].payload.size(), 1460u);
  t.inject(too_big(flight[0], 1437));
  EXPECT_EQ(lengths(taken(t)), Lengths({1360, 100}));
  EXPECT_EQ(t.conn().stats().path_mtu, 1400u) << "what is used was not refused";
  t.peer.ack();
  t.advance(5s);
  t.with([](Conn& c) { c.send(std::string(10 * 1360, 's')); });
  EXPECT_EQ(taken(t)[0].payload.size(), 1397u);
  t.peer.ack();
  t.with([](Conn& c) { c.send(std::string(10 * 1360, 's')); });
  taken(t);
  EXPECT_EQ(t.conn().stats().path_mtu, 1437u);
}

TEST(Probe, window_has_no_room__waits_for_it_and_does_not_stall) {
  Trace t{always()};
  open_cautious(t);
  t.with([](Conn& c) { c.send(std::string(14 * 1360, 'w')); });  // more than the initial window
  std::size_t bytes = 0, largest = 0;
  for (int i = 0; i < 100 && t.conn().unacked() != 0; ++i) {
    for (const Packet& p : taken(t)) {
      bytes += p.payload.size();
      largest = std::max(largest, p.payload.size());
    }
    t.peer.ack();
  }
  EXPECT_EQ(bytes, 14u * 1360);
  EXPECT_EQ(largest, 1460u);
  EXPECT_EQ(t.stats().timeouts, 0u);
}

TEST(Probe, fin_on_a_full_segment__is_none) {
  Trace t{always()};
  open_cautious(t);
  t.with([](Conn& c) { c.send(std::string(1460 + 5 * 1360, 's')); });
  taken(t);
  for (int i = 0; i < 3; ++i) t.peer.ack().ack(1);
  taken(t);
  t.peer.ack().ack(1 + 1460 + 5 * 1360);
  ASSERT_EQ(t.stats().path_probes, 1u);
  ASSERT_EQ(usage_of(t.core()).path_searches, 1u) << "the search goes on";
  t.with([](Conn& c) {
    c.send(std::string(1360, 'f'));
    c.close();
  });
  t.peer.expect().fin().length(1360);
  EXPECT_EQ(t.stats().path_probes, 1u);
}

TEST(Probe, peer_takes_less__never_more_than_that) {
  Trace t{always()};
  open_cautious(t, {.mss = 1420});
  for (int i = 0; i < 5; ++i) {
    t.with([](Conn& c) { c.send(std::string(10 * 1360, 'm')); });
    for (const Packet& p : taken(t)) EXPECT_LE(p.payload.size(), 1420u);
    t.peer.ack();
  }
  EXPECT_EQ(t.conn().stats().mss, 1420u);
}

// rfc4821 7.3b: ten minutes after the end of a search
TEST(Probe, router_has_set_the_size__a_larger_one_is_probed_after_ten_minutes) {
  Trace t;
  open_cautious(t);
  t.with([](Conn& c) { c.send(std::string(1460, 'x')); });
  t.inject(too_big(taken(t)[0], 1400));
  taken(t);
  t.peer.ack();
  const auto first_of_bulk = [&] {
    t.with([](Conn& c) { c.send(std::string(8 * 1460, 'y')); });
    const std::size_t first = taken(t)[0].payload.size();
    t.peer.ack();
    taken(t);
    t.peer.ack();
    return first;
  };
  EXPECT_EQ(first_of_bulk(), 1360u);
  t.advance(590s);
  EXPECT_EQ(first_of_bulk(), 1360u);
  t.advance(30s);
  EXPECT_EQ(first_of_bulk(), 1460u);
  EXPECT_EQ(t.stats().path_probes, 1u);
  EXPECT_EQ(first_of_bulk(), 1460u);
  EXPECT_EQ(t.stats().path_probes, 1u);
}

// An outage of the whole path looks like a black hole. The size that had worked is what is probed first.
TEST(Probe, after_an_outage__the_old_size_is_back_with_one_probe) {
  Trace t;
  open_cautious(t);
  t.with([](Conn& c) { c.send(std::string(10 * 1460, 'o')); });
  taken(t);
  t.peer.ack();
  t.with([](Conn& c) { c.send(std::string(4 * 1460, 'o')); });
  taken(t);
  for (int i = 0; i < 6; ++i) t.advance_to_frame(60s), taken(t);
  EXPECT_EQ(t.conn().stats().path_mtu, 576u);
  for (int i = 0; i < 40; ++i) {
    t.peer.ack();
    t.with([](Conn& c) { c.send(std::string(4 * 1460, 'o')); });
    taken(t);
  }
  EXPECT_EQ(t.conn().stats().path_mtu, 1500u);
  EXPECT_EQ(t.stats().path_probes, 1u);
  EXPECT_EQ(t.stats().path_probes_failed, 0u);
  auto other = t.another_peer(40001);
  other->open();
  EXPECT_EQ(t.conn().stats().path_mtu, 1500u) << "nobody else was told of the suspicion";
}

// --- both ends, a narrow link, silence
// -----------------------------------------------------------------------------------

/// Sends `total` bytes as fast as they are taken; the other end checks them.
struct Bulk {
  std::size_t total, queued = 0, received = 0;
  bool intact = true;
  static char at(std::size_t i) { return static_cast<char>('a' + i % 23); }
  void fill(Conn& c) {
    while (queued < total) {
      std::string chunk(std::min<std::size_t>(8192, total - queued), '\0');
      for (std::size_t i = 0; i < chunk.size(); ++i) chunk[i] = at(queued + i);
      const std::size_t n = c.send(chunk);
      queued += n;
      if (n < chunk.size()) return;
    }
    c.close();
  }
};

struct Outcome {
  std::uint32_t path_mtu = 0;
  CoreStats stats;
  Duration took{};
};

Outcome transfer(PathMtuDiscovery mode, std::size_t link, std::size_t narrowest, std::size_t total,
                 double loss = 0) {
  LinkRules rules;
  rules.delay = 5ms;
  rules.loss = loss;
  rules.lose = [narrowest](int, std::size_t, std::span<const std::byte> frame) {
    return frame.size() > 14 + narrowest;
  };
  Pair pair{test_seed(), rules, [&](CoreConfig& c) {
              c.link.mtu = static_cast<std::uint16_t>(link);
              c.tcp.path_mtu_discovery = mode;
              c.tcp.receive_buffer = 256 * 1024;  // so that there are round trips enough for the search
            }};
  Bulk bulk{total};
  App sender, receiver;
  Outcome outcome;
  sender.connected = [&](Conn& c) { bulk.fill(c); };
  sender.writable = [&](Conn& c) { bulk.fill(c); };
  sender.sent = [&](Conn& c, std::size_t) { outcome.path_mtu = c.stats().path_mtu; };
  receiver.data = [&](Conn&, const RxView& in) {
    for (const char c : in.text()) bulk.intact = bulk.intact && c == Bulk::at(bulk.received++);
    return in.size();
  };
  receiver.fin = [](Conn& c) { c.close(); };
  const HandlerRef from = *pair.core(0).add_handler_ref(sender), to = *pair.core(1).add_handler_ref(receiver);
  EXPECT_TRUE(pair.core(1).listen_with({Pair::address(1), 80}, to));
  EXPECT_TRUE(pair.core(0).connect({Pair::address(1), 80}, from));
  const Time begin = pair.now();
  EXPECT_TRUE(pair.run_idle(30min));
  outcome.took = pair.now() - begin;
  outcome.stats = pair.core(0).stats();
  EXPECT_TRUE(bulk.intact);
  EXPECT_EQ(bulk.received, total);
  return outcome;
}

// rfc4821 7.1, 7.3a
TEST(PathSearch, silent_narrow_link__found_by_time_outs_and_probed_up_to_what_it_takes) {
  struct Row {
    std::size_t link, narrowest, least_found;
  };
  for (const Row& row : {Row{1500, 1400, 1380}, Row{1500, 1030, 1024}, Row{1500, 600, 576},
                         Row{9000, 1500, 1500}, Row{9000, 8000, 7900}}) {
    for (const auto mode : {PathMtuDiscovery::black_hole, PathMtuDiscovery::always}) {
      SCOPED_TRACE(std::to_string(row.link) + " " + std::to_string(row.narrowest) + " " +
                   std::to_string(static_cast<int>(mode)));
      const Outcome o = transfer(mode, row.link, row.narrowest, 100'000'000);
      EXPECT_GE(o.path_mtu, row.least_found);
      EXPECT_LE(o.path_mtu, row.narrowest);
      EXPECT_LT(o.took, 60s);
    }
  }
}

TEST(PathSearch, wide_link__is_used_in_full_and_nothing_is_lost) {
  for (const std::size_t mtu : {576u, 1500u, 9000u}) {
    const Outcome o = transfer(PathMtuDiscovery::always, mtu, mtu, 3'000'000);
    EXPECT_EQ(o.path_mtu, mtu);
    EXPECT_EQ(o.stats.retransmits, 0u);
    EXPECT_EQ(o.stats.path_probes_failed, 0u);
    const Outcome p = transfer(PathMtuDiscovery::black_hole, mtu, mtu, 3'000'000);
    EXPECT_EQ(p.path_mtu, mtu);
    EXPECT_EQ(p.stats.path_probes, 0u);
  }
}

TEST(PathSearch, silent_narrow_link_that_loses_too__the_stream_is_intact) {
  for (int i = 0; i < 4; ++i) {
    const Outcome o = transfer(i % 2 == 0 ? PathMtuDiscovery::always : PathMtuDiscovery::black_hole, 9000,
                               1450, 2'000'000, 0.01);
    EXPECT_LE(o.path_mtu, 1450u);
  }
}

}  // namespace
}  // namespace handfast::test
