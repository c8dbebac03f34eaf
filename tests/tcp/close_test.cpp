// SPDX-License-Identifier: BSD-3-Clause
// RFC 9293 section 3.6: the short exchange in six packets, closing in all its ways, every wave lost once,
// half-close. Layer: tests of the protocol, through frames alone. TIME-WAIT and orphans are in
// time_wait_test.cpp.
#include <gtest/gtest.h>

#include <vector>

#include "support/peer.hpp"

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

std::size_t whole_request_then_close(Conn& c, const RxView& in) {
  if (in.text() != "request") return 0;
  c.send_static("response");
  c.close();
  return in.size();
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

// --- half-close
// -------------------------------------------------------------------------------------------------

TEST(HalfClose, ours__the_peers_data_still_comes_in_for_hours) {
  Trace t;
  t.listen();
  t.peer.open();
  t.with([](Conn& c) { c.shutdown_write(); });
  t.peer.expect().fin();
  t.peer.ack();
  for (int i = 0; i < 5; ++i) {
    t.advance(1h);
    t.peer.ack().data("more");
    t.advance(100ms);
    t.peer.expect().pure_ack();
  }
  EXPECT_EQ(t.app.received(), "moremoremoremoremore");
  EXPECT_EQ(t.state(), State::fin_wait_2);
  t.with([](Conn& c) { EXPECT_EQ(c.send("too late"), 0u); });
  t.peer.fin();
  t.peer.expect().pure_ack();
  EXPECT_EQ(t.app.events.back(), "closed:finished");
  EXPECT_EQ(t.app.count("fin"), 1);
}

TEST(HalfClose, ours__data_with_the_peers_fin__delivered_then_eof_then_closed) {
  Trace t;
  t.listen();
  t.peer.open();
  t.with([](Conn& c) { c.shutdown_write(); });
  t.peer.expect().fin();
  t.peer.fin().data("last words");
  t.peer.expect().pure_ack().ack(12);
  EXPECT_EQ(t.app.events, (std::vector<std::string>{"accept", "data:10", "fin", "closed:finished"}));
}

TEST(HalfClose, ours__then_close__bounded_like_an_orphan) {
  Trace t;
  t.listen();
  t.peer.open();
  t.with([](Conn& c) { c.shutdown_write(); });
  t.peer.expect().fin();
  t.peer.ack();
  t.advance(1h);
  t.with([](Conn& c) { c.close(); });
  t.advance(59s);
  EXPECT_FALSE(t.app.reason());
  t.advance(2s);
  EXPECT_EQ(t.app.reason(), CloseReason::fin_wait_2_timed_out);
}

TEST(HalfClose, peers__our_data_still_flows_and_is_retransmitted) {
  Trace t;
  t.listen();
  t.peer.open();
  t.peer.fin();
  t.peer.expect().pure_ack();
  t.with([](Conn& c) { c.send("lost once"); });
  t.peer.expect().flags(ACK).seq(1).data("lost once");
  t.advance_to_frame(2s);
  t.peer.expect().flags(ACK).seq(1).data("lost once");
  t.peer.ack();
  t.with([](Conn& c) { c.shutdown_write(); });
  t.peer.expect().fin().seq(10);
  t.peer.ack();
  EXPECT_EQ(t.app.events.back(), "closed:finished");
}

TEST(HalfClose, paused_with_data_and_fin__timer_still_fires_and_resume_delivers_all) {
  // Our FIN is out and acknowledged: the peer's FIN completes the exchange while the application does not
  // read.
  Trace t;
  t.listen();
  t.peer.open();
  t.with([](Conn& c) {
    c.shutdown_write();
    c.pause_rx();
    c.arm(1s);
  });
  t.app.timer = [](Conn& c) { c.resume_rx(); };
  t.peer.expect().fin();
  t.peer.fin().data("unread");
  t.peer.expect().pure_ack().ack(8);
  EXPECT_EQ(t.app.count("data:6"), 0);
  t.advance(2s);
  EXPECT_EQ(t.app.events, (std::vector<std::string>{"accept", "data:6", "fin", "closed:finished"}));
}

TEST(HalfClose, unread_bytes_consumed_later__eof_is_told) {
  Trace t;
  t.listen();
  t.peer.open();
  t.app.data = [](Conn&, const RxView&) { return std::size_t{0}; };
  t.peer.fin().data("later");
  t.peer.expect().pure_ack().ack(7);
  EXPECT_EQ(t.app.count("fin"), 0) << "not before the last byte";
  t.with([](Conn& c) { EXPECT_EQ(c.consume(5), 5u); });
  EXPECT_EQ(t.app.count("fin"), 1);
}

// --- abort, and closing without having read
// --------------------------------------------------------------------------

TEST(Close, with_unread_data__sends_rst) {
  Trace t;
  t.listen();
  t.peer.open();
  t.app.data = [](Conn&, const RxView&) { return std::size_t{0}; };
  t.peer.ack().data("unread");
  t.with([](Conn& c) { c.close(); });
  t.peer.expect().rst_ack().seq(1).ack(7);
  EXPECT_EQ(t.app.reason(), CloseReason::unread_data);
}

TEST(Close, in_on_data_with_a_part_left__sends_rst) {
  Trace t;
  t.listen();
  t.peer.open();
  t.app.data = [](Conn& c, const RxView&) {
    c.close();
    return std::size_t{1};
  };
  t.peer.ack().data("ab");
  t.peer.expect().rst_ack();
  EXPECT_EQ(t.app.reason(), CloseReason::unread_data);
}

TEST(Close, in_on_data_of_held_bytes_all_taken__sends_the_answer_and_fin) {
  Trace t;
  t.app.data = whole_request_then_close;  // it may come in two pieces, where it straddles two chunks
  const auto l = t.listen(80, {.paused = true});
  t.peer.open();
  t.peer.ack().data("request");
  t.advance(100ms);
  t.peer.expect().pure_ack();
  t.core().resume(l);
  t.poll();
  t.peer.expect().flags(FIN | ACK).data("response");
  t.peer.fin();
  t.peer.expect().pure_ack();
  EXPECT_EQ(t.app.received(), "request");
  EXPECT_EQ(t.app.reason(), CloseReason::finished);
}

TEST(Close, in_on_data_of_reordered_bytes_all_taken__sends_the_answer_and_fin) {
  Trace t;
  t.app.data = whole_request_then_close;
  t.listen();
  t.peer.open();
  t.peer.ack().seq(4).data("uest");
  t.peer.expect().pure_ack().ack(1);
  t.peer.ack().seq(1).data("req");
  t.peer.snd_nxt = 8;
  t.peer.expect().flags(FIN | ACK).ack(8).data("response");
  t.peer.fin();
  t.peer.expect().pure_ack();
  EXPECT_EQ(t.app.reason(), CloseReason::finished);
}

TEST(Close, in_on_data_of_held_bytes__the_view_stays_readable) {
  for (const bool abort : {false, true}) {
    Trace t;
    t.peer.iss =
        0xffffffff;  // the first byte stands at the beginning of a chunk, where a freed one is written to
    std::string after;
    t.app.data = [&](Conn& c, const RxView& in) {
      abort ? c.abort() : c.close();
      after = in.text();
      return in.size();
    };
    const auto l = t.listen(80, {.paused = true});
    t.peer.open();
    t.peer.ack().data("thirty-two bytes to look at once");
    t.core().resume(l);
    t.poll();
    EXPECT_EQ(after, "thirty-two bytes to look at once");
    while (t.peer.poll()) {
    }
  }
}

TEST(Close, data_after_it__is_answered_by_rst) {
  Trace t;
  t.listen();
  t.peer.open();
  t.with([](Conn& c) { c.close(); });
  t.peer.expect().fin();
  t.peer.ack().ack(1).data("nobody reads");
  t.peer.expect().rst_ack().seq(2);
  EXPECT_EQ(t.app.reason(), CloseReason::unread_data);
  t.peer.ack().data("more");
  t.peer.expect().rst();
}

TEST(Close, old_data_after_it__is_acknowledged_and_no_reset) {
  Trace t;
  t.listen();
  t.peer.open();
  t.peer.ack().data("seen");
  t.with([](Conn& c) { c.close(); });
  t.peer.expect().fin().ack(5);
  t.peer.ack().seq(1).ack(1).data("seen");
  t.peer.expect().pure_ack().ack(5);
  EXPECT_FALSE(t.app.reason());
}

TEST(Close, with_queued_data__fin_after_the_last_byte) {
  Trace t;
  t.listen();
  t.peer.open();
  t.with([](Conn& c) {
    c.send(std::string(2000, 'x'));
    c.close();
    EXPECT_EQ(c.send("no"), 0u);
  });
  t.peer.expect().flags(ACK).length(1460);
  t.peer.expect().flags(FIN | ACK).length(540);
}

TEST(Abort, established__rst_with_the_ack_and_everything_dropped) {
  Trace t;
  t.listen();
  t.peer.open();
  t.peer.ack().data("abc");
  t.with([](Conn& c) {
    c.send("never leaves");
    c.abort();
    EXPECT_EQ(c.send("no"), 0u);
  });
  t.peer.expect().rst_ack().seq(1).ack(4).data("");
  EXPECT_EQ(t.app.reason(), CloseReason::aborted);
  t.expect_nothing_until(10s);
}

TEST(Abort, syn_sent__nothing_is_sent) {
  Trace t;
  const ConnId id = t.connect();
  t.peer.expect().syn();
  t.core().find(id)->abort();
  t.poll();
  t.expect_nothing();
  EXPECT_EQ(t.app.records[id].closed, CloseReason::aborted);
}

TEST(Abort, in_closing_and_last_ack__sends_rst) {
  for (const bool closing : {true, false}) {
    Trace t;
    t.listen();
    t.peer.open();
    if (closing) {
      t.with([](Conn& c) { c.shutdown_write(); });
      t.peer.expect().fin();
      t.peer.segment(FIN | ACK).ack(1);
      t.peer.expect().pure_ack();
    } else {
      t.peer.fin();
      t.peer.expect().pure_ack();
      t.with([](Conn& c) { c.shutdown_write(); });
      t.peer.expect().fin();
    }
    EXPECT_EQ(t.state(), closing ? State::closing : State::last_ack);
    t.with([](Conn& c) { c.abort(); });
    t.peer.expect().rst_ack().seq(2).ack(2);
    EXPECT_EQ(t.app.reason(), CloseReason::aborted);
  }
}

TEST(Abort, in_every_callback__ends_once) {
  for (int which = 0; which < 4; ++which) {
    Trace t;
    const auto abort_in = [](int at, int now) {
      return [at, now](Conn& c) {
        if (at == now) c.abort();
      };
    };
    t.app.accepted = abort_in(which, 0);
    t.app.fin = abort_in(which, 1);
    t.app.data = [which](Conn& c, const RxView& in) {
      if (which == 2) c.abort();
      return in.size();
    };
    t.app.sent = [which](Conn& c, std::size_t) {
      if (which == 3) c.abort();
    };
    t.listen();
    t.peer.syn().mss(1460);
    t.peer.expect().syn_ack();
    t.peer.ack();
    if (which == 3) {
      t.with([](Conn& c) { c.send("x"); });
      t.peer.expect().data("x");
    }
    if (which != 0) t.peer.fin().data("abc");
    EXPECT_EQ(t.app.reason(), CloseReason::aborted) << which;
    EXPECT_EQ(t.stats().resets_out, 1u) << which;
    while (t.peer.poll()) {
    }
  }
}

}  // namespace
}  // namespace handfast::test
