// SPDX-License-Identifier: BSD-3-Clause
// RFC 9293 section 3.10.7.3: a segment for a connection in SYN-SENT. Layer: tcp. What comes once it is synchronised is
// in segment_arrives.cpp.
#include <algorithm>

#include "tcp/arrival.hpp"
#include "tcp/congestion.hpp"
#include "tcp/ecn.hpp"
#include "tcp/fast_open.hpp"
#include "tcp/lifetime.hpp"
#include "tcp/output.hpp"
#include "tcp/path_mtu.hpp"
#include "tcp/patience.hpp"
#include "tcp/receive_window.hpp"
#include "tcp/state.hpp"
#include "tcp/timeouts.hpp"

namespace handfast::tcp {
namespace {

void adopt_peer_options(Context& cx, Tcb& tcb, const wire::Segment& segment, const wire::TcpOptions& options) {
  const TcpConfig& config = cx.config.tcp;
  const std::uint16_t peer_mss = options.has_mss ? options.mss : std::uint16_t{536};  // MUST-15
  const bool timestamps = options.has_timestamps && config.timestamps;
  if (timestamps) {
    set(tcb, ts_enabled);
    tcb.ts_recent = options.ts_val;
  }
  if (options.sack_permitted && config.sack) set(tcb, sack_enabled);
  if (options.has_window_scale && config.window_scale) {
    set(tcb, wscale_enabled);
    tcb.snd_wscale = std::min<std::uint8_t>(options.window_scale, 14);
    tcb.rcv_wscale = cx.rcv_wscale;
  }
  if (!has(tcb, syn_retransmitted) && wants_ecn(cx, tcb.congestion))
    tcb.flags |= flag_if(segment.has(wire::ack) ? is_ecn_setup_syn_ack(segment) : is_ecn_setup_syn(segment), ecn_on);
  tcb.snd_wnd = tcb.max_snd_wnd = segment.window;  // never scaled in a SYN
  if (options.user_timeout != 0) take_user_timeout(cx, tcb, options.user_timeout);
  set_send_mss(cx, tcb, peer_mss);
}

Step syn_sent_ack_and_rst(Arrival& a) {
  const wire::Segment& segment = a.segment;
  Tcb& tcb = a.tcb;
  const bool acceptable_ack = segment.has(wire::ack) && after(segment.ack, tcb.iss) && before_eq(segment.ack, tcb.snd_nxt);
  // first
  if (segment.has(wire::ack) && !acceptable_ack) {
    send_reset_at_ack(a.cx, segment);
    return drop(a, Drop::tcp_unacceptable_ack);
  }
  // second
  if (segment.has(wire::rst)) {
    if (!segment.has(wire::ack)) return drop(a, Drop::tcp_rst_not_exact);
    ++a.cx.stats.resets_in;
    fast_open_failed(a.cx, tcb);
    end_connection(a.cx, tcb, CloseReason::refused);
    return Step::done;
  }
  return Step::go_on;
}

void syn_sent_syn(Arrival& a) {
  Context& cx = a.cx;
  Tcb& tcb = a.tcb;
  const wire::Segment& segment = a.segment;
  tcb.rcv_nxt = segment.seq + 1;
  tcb.irs = segment.seq;
  tcb.heard_ms = cx.now_ms;
  adopt_peer_options(cx, tcb, segment, a.options);
  tcb.rcv_adv = tcb.rcv_nxt + syn_receive_window(cx);
  tcb.last_ack_sent = tcb.rcv_nxt;
  tcb.snd_wl1 = segment.seq;
  tcb.snd_wl2 = segment.has(wire::ack) ? segment.ack : tcb.iss;
  tcb.cwnd = initial_window(cx, tcb);
  if (!segment.has(wire::ack)) {
    // Simultaneous open (MUST-10).
    set_state(tcb, State::syn_received);
    clear(tcb, rtt_timing);
    send_syn(cx, tcb);
    return;
  }
  fast_open_answered(cx, tcb, segment, a.options);
  acknowledge_syn(a, segment.ack);
  if (tcb.snd_una != tcb.snd_nxt) take_back_syn_data(tcb);
  if (has(tcb, syn_retransmitted)) tcb.cwnd = tcb.snd_mss;  // RFC 5681 section 3.1
  set_state(tcb, State::established);
  if (has(tcb, fin_queued)) set_state(tcb, State::fin_wait_1);  // the application shut it while the SYN was out (3.10.4)
  ++cx.stats.established;
  a.verdict.established = true;
  announce_user_timeout(cx, tcb);
  set(tcb, ack_now);
  mark_dirty(cx, tcb);
  if (has(tcb, keepalive_on)) start_keepalive_timer(cx, tcb);
}

}  // namespace

void syn_sent_arrives(Arrival& a) {
  if (syn_sent_ack_and_rst(a) == Step::done) return;
  // third: security: none. fourth and fifth:
  if (!a.segment.has(wire::syn)) {
    drop(a, Drop::tcp_no_ack);
    return;
  }
  if (a.options.is_authenticated) {  // not asked for, and not checked
    drop(a, Drop::tcp_authentication);
    return;
  }
  // Data and FIN with the SYN are not taken; the peer sends them again (RFC 9293 allows to queue them).
  syn_sent_syn(a);
}

}  // namespace handfast::tcp
