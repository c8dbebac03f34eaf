// SPDX-License-Identifier: BSD-3-Clause
// RFC 9293 section 3.6: the short exchange in six packets, closing in all its ways, every wave lost once,
// half-close. Layer: tests of the protocol, through frames alone. TIME-WAIT and orphans are in
// time_wait_test.cpp.
#include <gtest/gtest.h>

#include <vector>

#include "support/peer.hpp"
#include "support/usage.hpp"

namespace handfast::test {
namespace {

/// The server of one short answer.
void serve_once(App& app) {
  app.data = [](Conn& c, const RxView& in) {
    c.send_static("response");
    c.close();
    return in.size();
  };
}

TEST(Close, short_http_exchange__six_packets_as_server) {
  Trace t;
  serve_once(t.app);
  t.listen();
  t.peer.syn().mss(1460);                                           // 1
  t.peer.expect().syn_ack().seq(0).ack(1);                          // 2
  t.peer.ack().data("request");                                     // 3
  t.peer.expect().flags(FIN | ACK).seq(1).ack(8).data("response");  // 4
  t.expect_nothing();
  t.peer.fin();                               // 5
  t.peer.expect().pure_ack().seq(10).ack(9);  // 6
  EXPECT_EQ(t.app.events, (std::vector<std::string>{"accept", "data:7", "closed:finished"}));
  EXPECT_EQ(t.stats().segments_out, 3u);
  EXPECT_EQ(t.stats().segments_in, 3u);
  EXPECT_EQ(t.stats().time_wait, 1u);
  t.expect_nothing_until(2min);
}

TEST(Close, short_http_exchange__six_packets_as_client) {
  Trace t;
  t.app.connected = [](Conn& c) { c.send_static("request"); };
  t.app.fin = [](Conn& c) { c.close(); };
  t.connect();
  t.peer.expect().syn();
  t.peer.syn_ack().mss(1460);
  t.peer.expect().flags(ACK).seq(1).ack(1).data("request");
  t.peer.fin().data("response");
  t.peer.expect().fin().seq(8).ack(10).data("");
  t.expect_nothing();
  t.peer.ack();
  EXPECT_EQ(t.app.events, (std::vector<std::string>{"connect", "data:8", "fin", "closed:finished"}));
  EXPECT_EQ(t.stats().segments_out, 3u);
  EXPECT_EQ(t.stats().time_wait, 0u);
  t.expect_nothing_until(2min);
}

TEST(Close, handler_without_on_peer_fin__its_side_is_closed_for_it) {
  struct Quiet {
    std::size_t on_data(Conn&, const RxView& in) { return in.size(); }
  };
  Trace t;
  ASSERT_TRUE(t.core().listen({any, 80}, Quiet{}));
  t.peer.open();
  t.peer.fin();
  t.peer.expect().fin().seq(1).ack(2);
  t.peer.ack();
  EXPECT_EQ(t.stats().closed[static_cast<std::size_t>(CloseReason::finished)], 1u);
}

// --- our FIN first
// -----------------------------------------------------------------------------------------------

TEST(Close, active__four_waves) {
  Trace t;
  t.listen();
  t.peer.open();
  t.with([](Conn& c) { c.close(); });
  t.peer.expect().fin().seq(1).ack(1);
  EXPECT_EQ(t.state(), State::fin_wait_1);
  t.peer.ack();
  EXPECT_EQ(t.state(), State::fin_wait_2);
  t.peer.fin();
  t.peer.expect().pure_ack().seq(2).ack(2);
  EXPECT_EQ(t.app.reason(), CloseReason::finished);
  EXPECT_EQ(t.stats().time_wait, 1u);
}

TEST(Close, active__three_waves) {
  Trace t;
  t.listen();
  t.peer.open();
  t.with([](Conn& c) { c.close(); });
  t.peer.expect().fin();
  t.peer.fin();
  t.peer.expect().pure_ack().seq(2).ack(2);
  EXPECT_EQ(t.app.reason(), CloseReason::finished);
  EXPECT_EQ(t.stats().time_wait, 1u);
}

TEST(Close, active__simultaneous) {
  Trace t;
  t.listen();
  t.peer.open();
  t.with([](Conn& c) { c.close(); });
  t.peer.expect().fin();
  t.peer.segment(FIN | ACK).ack(1);  // crosses ours
  EXPECT_EQ(t.state(), State::closing);
  t.peer.expect().pure_ack().seq(2).ack(2);
  EXPECT_FALSE(t.app.reason());
  t.peer.ack();
  EXPECT_EQ(t.app.reason(), CloseReason::finished);
  EXPECT_EQ(t.stats().time_wait, 1u);
}

TEST(Close, active__our_fin_lost__comes_again_after_the_rto) {
  Trace t;
  t.listen();
  t.peer.open();
  t.with([](Conn& c) { c.close(); });
  t.peer.expect().fin().seq(1);
  const Duration rto = t.advance_to_frame(2s);
  EXPECT_GE(rto, 200ms);
  t.peer.expect().fin().seq(1).ack(1);
  EXPECT_GE(t.advance_to_frame(5s), 2 * rto) << "backoff";
  t.peer.expect().fin().seq(1).ack(1);
  t.peer.fin();
  t.peer.expect().pure_ack().ack(2);
  EXPECT_EQ(t.app.reason(), CloseReason::finished);
}

TEST(Close, active__ack_of_our_fin_lost__the_next_one_counts) {
  Trace t;
  t.listen();
  t.peer.open();
  t.with([](Conn& c) { c.close(); });
  t.peer.expect().fin();
  t.advance_to_frame(2s);
  t.peer.expect().fin();
  t.peer.ack();  // of the copy
  EXPECT_EQ(t.state(), State::fin_wait_2);
  t.expect_nothing_until(10s);
  t.peer.fin();
  t.peer.expect().pure_ack();
}

TEST(Close, active__peers_fin_lost__waits_for_it) {
  Trace t;
  t.listen();
  t.peer.open();
  t.with([](Conn& c) { c.close(); });
  t.peer.expect().fin();
  t.peer.ack();
  t.expect_nothing_until(40s);
  EXPECT_EQ(t.state(), State::fin_wait_2);
  t.peer.fin();
  t.peer.expect().pure_ack().ack(2);
  EXPECT_EQ(t.app.reason(), CloseReason::finished);
}

TEST(Close, active__our_last_ack_lost__peers_fin_is_acknowledged_again) {
  Trace t;
  t.listen();
  t.peer.open();
  t.with([](Conn& c) { c.close(); });
  t.peer.expect().fin();
  t.peer.fin();
  t.peer.expect().pure_ack();
  for (int i = 0; i < 5; ++i) {
    t.advance(1s);
    t.peer.fin().seq(1).ack(2);
    t.peer.expect().pure_ack().seq(2).ack(2);
  }
}

TEST(Close, simultaneous__our_fin_lost__comes_again_in_closing) {
  Trace t;
  t.listen();
  t.peer.open();
  t.with([](Conn& c) { c.close(); });
  t.peer.expect().fin();
  t.peer.segment(FIN | ACK).ack(1);
  t.peer.expect().pure_ack();
  t.advance_to_frame(2s);
  t.peer.expect().fin().seq(1).ack(2);
  t.peer.ack();
  EXPECT_EQ(t.app.reason(), CloseReason::finished);
}

// --- the peer's FIN first
// ------------------------------------------------------------------------------------------

// MUST-12
TEST(Close, passive__four_waves__eof_once) {
  Trace t;
  t.listen();
  t.peer.open();
  t.peer.fin();
  t.peer.expect().pure_ack().seq(1).ack(2);
  EXPECT_EQ(t.state(), State::close_wait);
  EXPECT_EQ(t.app.count("fin"), 1);
  t.with([](Conn& c) { c.close(); });
  t.peer.expect().fin().seq(1).ack(2);
  EXPECT_EQ(t.state(), State::last_ack);
  t.peer.ack();
  EXPECT_EQ(t.app.events, (std::vector<std::string>{"accept", "fin", "closed:finished"}));
  EXPECT_EQ(t.stats().time_wait, 0u);
}

TEST(Close, passive__peers_fin_lost_then_again__eof_once) {
  Trace t;
  t.listen();
  t.peer.open();
  t.peer.fin();
  t.peer.expect().pure_ack().ack(2);
  t.peer.fin().seq(1);  // the peer has not seen our ACK
  t.peer.expect().pure_ack().ack(2);
  EXPECT_EQ(t.app.count("fin"), 1);
}

TEST(Close, passive__our_fin_lost__comes_again_in_last_ack) {
  Trace t;
  t.listen();
  t.peer.open();
  t.app.fin = [](Conn& c) { c.close(); };
  t.peer.fin();
  t.peer.expect().fin().seq(1).ack(2);
  t.advance_to_frame(2s);
  t.peer.expect().fin().seq(1).ack(2);
  t.peer.ack();
  EXPECT_EQ(t.app.reason(), CloseReason::finished);
  t.expect_nothing_until(10s);
}

TEST(Close, passive__peers_last_ack_lost__fin_again_and_the_next_one_ends) {
  Trace t;
  t.listen();
  t.peer.open();
  t.app.fin = [](Conn& c) { c.close(); };
  t.peer.fin();
  t.peer.expect().fin();
  t.advance_to_frame(2s);
  t.peer.expect().fin();
  t.peer.ack();
  EXPECT_EQ(t.app.reason(), CloseReason::finished);
  t.peer.ack();  // of the other copy: nobody is there
  t.peer.expect().rst().seq(2);
}

TEST(Close, passive__close_wait__lasts_until_the_application_closes) {
  Trace t;
  t.listen();
  t.peer.open();
  t.peer.fin();
  t.peer.expect().pure_ack();
  t.expect_nothing_until(24h);
  EXPECT_EQ(t.state(), State::close_wait);
  t.with([](Conn& c) { EXPECT_EQ(c.send("still"), 5u); });
  t.peer.expect().flags(ACK).data("still");
  t.peer.ack();
  t.with([](Conn& c) { c.close(); });
  t.peer.expect().fin();
  t.peer.ack();
  EXPECT_EQ(t.app.reason(), CloseReason::finished);
}

TEST(Close, passive__fin_beyond_a_gap__eof_after_the_gap_is_filled) {
  Trace t;
  t.listen();
  t.peer.open();
  t.peer.fin().seq(4).data("def");
  t.peer.expect().pure_ack().ack(1);
  EXPECT_EQ(t.app.count("fin"), 0);
  t.peer.ack().seq(1).data("abc");
  t.peer.expect().pure_ack().ack(8);
  EXPECT_EQ(t.app.received(), "abcdef");
  EXPECT_EQ(t.app.count("fin"), 1);
  EXPECT_EQ(t.state(), State::close_wait);
}

TEST(Close, passive__bytes_beyond_the_fin__are_forgotten_with_their_memory) {
  Trace t;
  t.listen();
  t.peer.open(with_sack);
  t.peer.ack().seq(2).data("beyond");
  t.peer.expect().pure_ack().ack(1).sack({{2, 8}});
  t.peer.fin().seq(1);
  t.peer.expect().pure_ack().ack(2).sack({});
  EXPECT_EQ(t.state(), State::close_wait);
  EXPECT_EQ(t.app.count("fin"), 1);
  EXPECT_EQ(t.app.received(), "");
  EXPECT_EQ(usage_of(t.core()).receive_buffers, 0u);
  EXPECT_EQ(usage_of(t.core()).chunks, 0u);
}

TEST(Close, passive__bytes_beyond_the_fin__give_their_chunks_back_while_earlier_ones_wait) {
  Trace t;
  t.app.data = [](Conn&, const RxView&) { return std::size_t{0}; };
  t.listen();
  t.peer.open(with_sack);
  t.peer.ack().seq(1).data("wait");
  const std::uint32_t waiting = usage_of(t.core()).chunks;
  for (std::uint32_t at = 6; at < 6 + 20 * 1000; at += 1000) t.peer.ack().seq(at).data(std::string(1000, 'x'));
  EXPECT_GT(usage_of(t.core()).chunks, waiting + 5);
  t.peer.fin().seq(5);
  t.advance(100ms);
  EXPECT_EQ(t.state(), State::close_wait);
  EXPECT_LE(usage_of(t.core()).chunks, waiting + 2) << "and their directories";
  t.app.data = nullptr;
  t.with([](Conn& c) { c.resume_rx(); });
  while (t.peer.poll()) {
  }
}

TEST(Close, passive__bare_fin_beyond_a_gap__does_not_end_the_stream_early) {
  Trace t;
  t.listen();
  t.peer.open();
  t.peer.fin().seq(4);
  t.peer.expect().pure_ack().ack(1);
  EXPECT_EQ(t.app.count("fin"), 0);
  t.peer.ack().seq(1).data("abc");
  t.peer.fin().seq(4);
  t.advance(100ms);
  EXPECT_EQ(t.app.received(), "abc");
  EXPECT_EQ(t.app.count("fin"), 1);
}

}  // namespace
}  // namespace handfast::test
