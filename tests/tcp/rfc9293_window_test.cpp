// SPDX-License-Identifier: BSD-3-Clause
// RFC 9293 section 3.8.6 where it names times: probes of a closed window, and windows that a peer takes back, for longer than
// R2. Layer: tests of the protocol, through frames alone.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "support/peer.hpp"

namespace handfast::test {
namespace {

int drain(Peer& p) {
  int n = 0;
  while (p.poll()) ++n;
  return n;
}

/// When something left, counted from now; each time the peer answers with `ack` and `window`.
std::vector<Duration> answered_for(Trace& t, Duration limit, std::uint32_t ack, std::uint32_t window) {
  std::vector<Duration> times;
  const Time begin = t.now();
  while (t.now() - begin < limit && t.state() != State::closed) {
    const auto next = t.stack().next_deadline();
    if (!next || *next - begin > limit) break;
    t.advance(std::max<Duration>(*next - t.now(), Duration{0}));
    if (drain(t.peer) == 0) continue;
    times.push_back(t.now() - begin);
    t.peer.ack().ack(ack).window(window);
    drain(t.peer);
  }
  return times;
}

// SHLD-29, SHLD-30, MUST-36
TEST(ZeroWindow, probes__first_after_the_rto_then_at_doubling_distances) {
  Trace t;
  t.listen();
  t.peer.open();
  t.peer.ack().window(0);
  const Duration rto = t.conn().stats().rto;
  t.with([](Conn& c) { c.send("waits"); });
  t.expect_nothing();
  const std::vector<Duration> at = answered_for(t, 90s, 1, 0);
  ASSERT_GE(at.size(), 7u);
  EXPECT_EQ(at[0], rto);
  for (std::size_t i = 1; i < at.size(); ++i)
    EXPECT_EQ(at[i] - at[i - 1], std::min<Duration>(rto * (1 << i), 60s)) << i;
}

// SHLD-30. A window that says 0 may stand for a few bytes less than its scale can say: those of the probes are taken.
TEST(ZeroWindow, probes_bytes_are_taken_and_it_stays_shut__still_at_doubling_distances) {
  Trace t;
  t.listen();
  t.peer.open();
  t.peer.ack().window(0);
  const Duration rto = t.conn().stats().rto;
  t.with([](Conn& c) { c.send("waits for longer than that"); });
  t.expect_nothing();
  Duration distance = rto;
  for (std::uint32_t taken = 1; taken <= 7; ++taken, distance *= 2) {
    EXPECT_EQ(t.advance_to_frame(90s), distance);
    t.peer.expect().seq(taken).length(1);
    t.peer.ack().ack(taken + 1).window(0);
    t.expect_nothing();
  }
  // It opens: all leaves at once, and is sent again after the RTO as it was.
  t.peer.ack().ack(8).window(65535);
  t.peer.expect().seq(8).length(19);
  EXPECT_LT(t.advance_to_frame(90s), rto * 2);
  t.peer.expect().seq(8).length(19);
}

// MUST-34, SHLD-15, SHLD-16: five segments are out when the peer says that it takes one and a half.
TEST(ShrunkWindow, old_data_inside_of_it__is_retransmitted_and_nothing_new_is_sent) {
  Trace t;
  t.listen();
  t.peer.window = 7300;
  t.peer.open();
  t.with([](Conn& c) { c.send(std::string(20000, 'x')); });
  EXPECT_EQ(drain(t.peer), 5);
  t.peer.ack().ack(1).window(2190);
  t.expect_nothing();
  const Duration rto = t.advance_to_frame(5s);
  EXPECT_GT(rto, 0s);
  t.peer.expect().seq(1);
  for (int i = 0; i < 50; ++i) {
    t.advance(1s);
    while (auto p = t.peer.poll()) EXPECT_LE(p->seq - t.peer.irs + p->payload.size(), 7301u) << "beyond what had been sent";
  }
  EXPECT_EQ(t.state(), State::established);
  EXPECT_EQ(t.conn().stats().flight, 7300u);
}

// SHLD-17, MUST-35: what lies beyond the edge stays unacknowledged for twice R2, and is asked about all the time.
TEST(ShrunkWindow, to_zero_with_data_beyond_the_edge__probed_and_not_timed_out) {
  Trace t;
  t.listen();
  t.peer.window = 7300;
  t.peer.open();
  t.with([](Conn& c) { c.send(std::string(20000, 'x')); });
  drain(t.peer);
  t.peer.ack().ack(1461).window(0);
  drain(t.peer);
  const std::vector<Duration> at = answered_for(t, 600s, 1461, 0);
  EXPECT_EQ(t.state(), State::established) << "it answered every time";
  ASSERT_GE(at.size(), 10u);
  for (std::size_t i = 1; i < at.size(); ++i) EXPECT_LE(at[i] - at[i - 1], 60s);
  t.peer.rcv_nxt = 1461;
  t.peer.window = 65535;
  for (int i = 0; i < 100 && t.conn().unacked() != 0; ++i) {
    t.peer.ack();
    t.advance(1s);
    drain(t.peer);
  }
  EXPECT_EQ(t.peer.rcv_nxt, 20001u);
}

// MAY-7: not taken up beyond what the retransmission of a segment that straddles the edge carries.

// MUST-37, MAY-8: the other side's view: our window stays shut for an hour, every probe is answered, nothing is lost.
TEST(ReceiveWindow, shut_for_an_hour__every_probe_is_answered) {
  CoreConfig config = small_config();
  config.tcp.receive_buffer = 2920;
  Trace t{config};
  t.listen();
  t.peer.open();
  t.with([](Conn& c) { c.pause_rx(); });
  t.peer.ack().data(std::string(1460, 'x'));
  t.peer.ack().data(std::string(1460, 'x'));
  t.peer.expect().ack(2921).window(0);
  for (int i = 0; i < 60; ++i) {
    t.advance(1min);
    t.peer.ack().seq(2921).data("p");
    t.peer.expect().pure_ack().ack(2921).window(0);
  }
  t.with([](Conn& c) { c.resume_rx(); });
  EXPECT_GE(t.peer.expect().pure_ack().ack(2921).packet().window, 2920);
  t.peer.snd_nxt = 2921;
  t.peer.ack().data("p");
  EXPECT_EQ(t.app.received(), std::string(2920, 'x') + "p");
}

// MUST-66: what a segment carries is not taken while the window is shut; its ACK and its RST count all the same.
TEST(ReceiveWindow, shut__ack_and_rst_of_a_segment_with_data_count_and_the_data_does_not) {
  CoreConfig config = small_config();
  config.tcp.receive_buffer = 2920;
  Trace t{config};
  t.listen();
  t.peer.open();
  t.with([](Conn& c) {
    c.pause_rx();
    c.send("ours");
  });
  t.peer.expect().data("ours");
  t.peer.rcv_nxt = 1;
  t.peer.ack().data(std::string(1460, 'x'));
  t.peer.ack().data(std::string(1460, 'x'));
  t.peer.expect().ack(2921).window(0);
  EXPECT_EQ(t.conn().unacked(), 4u);
  t.peer.ack().seq(2921).ack(5).data("p");
  EXPECT_EQ(t.conn().unacked(), 0u);
  t.peer.expect().pure_ack().ack(2921).window(0);
  EXPECT_EQ(t.conn().stats().unread, 2920u);
  t.peer.rst().seq(2921).data("why");
  EXPECT_EQ(t.app.reason(), CloseReason::reset_by_peer);
}

}  // namespace
}  // namespace handfast::test
