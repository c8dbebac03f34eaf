// SPDX-License-Identifier: BSD-3-Clause
// The order in which a core is shut down: drain (no more listeners, FIN for everybody), then abort (RST for
// everybody), then the end of the loop. Layer: tests of the shard.
#include <gtest/gtest.h>

#include <set>

#include "net.hpp"
#include "support/app.hpp"
#include "support/pair.hpp"
#include "support/peer.hpp"
#include "support/recorder.hpp"

namespace handfast::test {
namespace {

constexpr std::size_t n = 200;

/// n established connections from end 0 to end 1.
struct Open {
  Open() : pair(test_seed()) {
    EXPECT_TRUE(pair.core(1).listen_with({any, 80}, *pair.core(1).add_handler_ref(server)));
    ref = *pair.core(0).add_handler_ref(client);
    for (std::size_t i = 0; i < n; ++i) EXPECT_TRUE(pair.core(0).connect({Pair::address(1), 80}, ref));
    pair.run_for(100ms);
    EXPECT_EQ(client.opened.size(), n);
    EXPECT_EQ(server.opened.size(), n);
  }
  static std::size_t ended(const App& app, CloseReason why) {
    std::size_t k = 0;
    for (const auto& [id, r] : app.records) k += r.closed == why;
    return k;
  }
  App client, server;
  Pair pair;
  HandlerRef ref;
};

TEST(Drain, everybody_gets_fin_and_nobody_gets_in) {
  Open o;
  std::set<Port> fins;
  int resets = 0;
  o.pair.rules.lose = [&](int from, std::size_t, std::span<const std::byte> frame) {
    const auto flow = flow_of(frame);
    if (from != 1 || !flow) return false;
    if ((frame[47] & std::byte{FIN}) != std::byte{0}) fins.insert(flow->local().port);
    resets += (frame[47] & std::byte{RST}) != std::byte{0};
    return false;
  };
  EXPECT_FALSE(o.pair.core(1).drain());
  o.pair.run_for(20ms);
  EXPECT_EQ(fins.size(), n);
  EXPECT_EQ(resets, 0);
  EXPECT_FALSE(o.pair.core(1).drain()) << "the other ends are still open";
  EXPECT_EQ(o.client.count("fin"), static_cast<int>(n));
  ASSERT_TRUE(o.pair.core(0).connect({Pair::address(1), 80}, o.ref));
  o.pair.run_for(20ms);
  EXPECT_EQ(Open::ended(o.client, CloseReason::refused), 1u) << "no listener any more";
  for (const ConnId id : o.client.opened) o.pair.core(0).find(id)->close();
  o.pair.run_for(100ms);
  EXPECT_TRUE(o.pair.core(1).drain());
  EXPECT_EQ(Open::ended(o.server, CloseReason::finished), n);
  EXPECT_EQ(Open::ended(o.client, CloseReason::finished), n);
}

TEST(Drain, queued_data__goes_out_before_the_fin) {
  Trace t;
  t.listen();
  t.peer.open();
  Conn c = t.conn();
  c.send("last words");
  EXPECT_FALSE(t.core().drain());
  t.poll();
  t.peer.expect().flags(FIN | ACK).data("last words");
  t.peer.fin();
  t.peer.expect().pure_ack();
  t.poll();
  EXPECT_TRUE(t.core().drain());
}

TEST(Drain, half_open_and_waiting_connections__are_reset) {
  Trace t;
  t.listen(80, {.paused = true});
  auto waiting = t.another_peer(41000);
  waiting->open();
  t.peer.syn().mss(1460);
  t.peer.expect().syn_ack();
  t.core().drain();
  t.poll();
  t.peer.expect().rst_ack();
  waiting->expect().rst_ack();
  t.poll();
  EXPECT_TRUE(t.core().drain());
  EXPECT_TRUE(t.app.events.empty()) << "the application never knew of them";
}

TEST(Drain, nothing_there__is_done_at_once) {
  Trace t;
  t.listen();
  EXPECT_TRUE(t.core().drain());
  t.expect_nothing_until(1s);
}

TEST(AbortAll, every_connection__one_reset_no_fin__reason_stopped) {
  Open o;
  std::map<Port, int> resets;
  int others = 0;
  o.pair.rules.lose = [&](int from, std::size_t, std::span<const std::byte> frame) {
    const auto flow = flow_of(frame);
    if (from != 0 || !flow) return false;
    if ((frame[47] & std::byte{RST}) != std::byte{0})
      ++resets[flow->remote().port];
    else
      ++others;
    return false;
  };
  o.pair.core(0).abort_all();
  o.pair.run_for(100ms);
  EXPECT_EQ(resets.size(), n);
  for (const auto& [port, k] : resets) EXPECT_EQ(k, 1) << port;
  EXPECT_EQ(others, 0) << "an aborted connection says nothing but RST";
  EXPECT_EQ(Open::ended(o.client, CloseReason::stopped), n);
  EXPECT_EQ(Open::ended(o.server, CloseReason::reset_by_peer), n);
  const auto closed = o.pair.core(0).stats().closed;
  EXPECT_EQ(closed[static_cast<std::size_t>(CloseReason::stopped)], n)
      << "the counter says what the callback says";
  EXPECT_EQ(closed[static_cast<std::size_t>(CloseReason::aborted)], 0u);
}

TEST(AbortAll, while_they_open_and_close__all_end_and_listeners_are_gone) {
  Trace t;
  t.listen();
  auto closing = t.another_peer(41000), waiting = t.another_peer(41001), half = t.another_peer(41002);
  closing->open();
  t.with([](Conn& c) { c.close(); });
  closing->expect().fin();
  half->syn().mss(1460);
  half->expect().syn_ack();
  auto to = t.another_peer(42000);
  const auto id = t.core().connect(to->self, t.handler);
  ASSERT_TRUE(id);
  to->stack = t.core().find(*id)->local();
  t.poll();
  to->expect().syn();
  t.core().abort_all();
  t.advance(10ms);
  closing->expect().rst_ack();
  half->expect().rst_ack();
  EXPECT_EQ(t.app.count("closed:stopped"), 2);
  waiting->syn().mss(1460);
  waiting->expect().rst_ack();
  t.expect_nothing_until(10s);
}

TEST(AbortAll, callback_that_connects_again__is_ended_too) {
  Trace t;
  t.listen();
  t.peer.open();
  int again = 0;
  t.app.closed = [&](ConnId, CloseReason) {
    if (again++ < 3) static_cast<void>(t.core().connect({Trace::peer_address, 9}, t.handler));
  };
  t.core().abort_all();
  t.advance(100ms);
  t.peer.expect().rst_ack();
  t.other_frames.clear();
  t.app.closed = nullptr;
  t.core().abort_all();
  t.advance(100ms);
  EXPECT_EQ(t.stats().connections, 0u);
  t.other_frames.clear();
}

TEST(Stop, in_the_middle_of_everything__on_closed_for_each_and_every_buffer_back) {
  struct Handler {
    int open = 0, stopped = 0;
    void on_accept(Conn& c) {
      ++open;
      c.send_static("greetings");
    }
    void on_connect(Conn&) { ++open; }
    void on_closed(ConnId, CloseReason why) { stopped += why == CloseReason::stopped; }
  } handler;
  int opened = 0;
  {
    Net net{test_seed(), {}, {}};
    ASSERT_TRUE(net.core(1).listen_with({any, 80}, *net.core(1).add_handler_ref(handler)));
    const HandlerRef ref = *net.core(0).add_handler_ref(handler);
    for (; opened < 300; ++opened) ASSERT_TRUE(net.core(0).connect({Net::address(1), 80}, ref));
    for (int i = 0; i < 7; ++i) net.poll();
    for (int i = 0; i < 50; ++i)
      ASSERT_TRUE(net.core(0).connect({Ipv4Address{10, 0, 9, 9}, 80}, ref));  // held
    net.poll();
  }
  EXPECT_GT(handler.open, 0);
  EXPECT_GE(handler.stopped, 350);
}

}  // namespace
}  // namespace handfast::test
