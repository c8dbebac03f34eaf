// SPDX-License-Identifier: BSD-3-Clause
// CLOSED, LISTEN and the passive half of SYN-RECEIVED: RFC 9293 section 3.10.7.1, .2 and what of .4 concerns an
// entry that is not a connection yet; SYN cookies (RFC 4987). Layer: tcp.
#include <algorithm>

#include "tcp/congestion.hpp"
#include "tcp/cookie_timestamp.hpp"
#include "tcp/ecn.hpp"
#include "tcp/fast_open.hpp"
#include "tcp/lifetime.hpp"
#include "tcp/output.hpp"
#include "tcp/path_mtu.hpp"
#include "tcp/receive_window.hpp"
#include "tcp/patience.hpp"
#include "tcp/prediction.hpp"
#include "tcp/recovery.hpp"
#include "tcp/rtt.hpp"
#include "tcp/segment_arrives.hpp"
#include "tcp/state.hpp"
#include "tcp/timeouts.hpp"
#include "tcp/timestamps.hpp"
#include "wire/tcp_writer.hpp"

namespace handfast::tcp {
namespace {

Verdict dropped(Drop reason) {
  Verdict verdict;
  verdict.drop = reason;
  return verdict;
}

/// What a SYN offers and this stack takes up.
void take_offer(const Context& cx, const wire::Segment& syn, const wire::TcpOptions& options, Handshake& h) {
  const TcpConfig& config = cx.config.tcp;
  h.snd_wnd = syn.window;
  h.peer_mss = options.has_mss ? options.mss : std::uint16_t{536};  // MUST-15
  h.timestamps = options.has_timestamps && config.timestamps;
  h.ts_recent = h.timestamps ? options.ts_val : 0;
  h.sack = options.sack_permitted && config.sack;
  h.wscale = options.has_window_scale && config.window_scale;
  h.snd_wscale = h.wscale ? std::min<std::uint8_t>(options.window_scale, 14) : std::uint8_t{0};
}

/// What a SYN asks for and this stack grants.
void agree(const Context& cx, CongestionControl congestion, const wire::Segment& syn, const wire::TcpOptions& options, Reuse reuse, Handshake& h) {
  const InitialNumbers initial = initial_numbers(cx.secrets, syn.flow, cx.now);
  h.iss = initial.iss;
  h.ts_offset = initial.ts_offset;
  // rfc1122 4.2.2.13: a larger ISS than the largest number of the incarnation before; by how much nobody can tell.
  if (reuse.valid && before_eq(h.iss, reuse.least_iss))
    h.iss = reuse.least_iss + 64000 + static_cast<std::uint32_t>(initial.ts_offset & 0xfff);
  h.irs = syn.seq;
  h.ecn = is_ecn_setup_syn(syn) && wants_ecn(cx, congestion);
  take_offer(cx, syn, options, h);
}

/// rfc4987 3.6. SYN,ACK with a cookie: no memory, no timer. Options that need a place to stand ride in the timestamp.
Verdict answer_with_cookie(Context& cx, const Listener& listener, const wire::Segment& syn, const wire::TcpOptions& options) {
  if (!cx.config.tcp.syn_cookies) return dropped(Drop::tcp_half_open_full);
  Handshake h;
  agree(cx, listener.congestion, syn, options, {}, h);
  h.ecn = false;  // a cookie has no room for it
  if (h.peer_mss < cookie_mss.front()) return dropped(Drop::tcp_half_open_full);  // MUST-16: no class is that small
  if (!h.timestamps) h.sack = h.wscale = false;
  h.iss = make_cookie(cx.secrets, syn.flow, syn.seq, h.peer_mss, cx.now);
  send_cookie(cx, listener, syn, h, wire::flow_sum(syn.flow));
  return {};
}

/// The connection that a good third segment makes. In SYN-RECEIVED; the segment is still to be processed.
Tcb* promote(Context& cx, const FlowKey& key, std::uint16_t listener_index, const Handshake& h) {
  Tcb* tcb = new_tcb(cx, key);
  if (tcb == nullptr) return nullptr;
  set(*tcb, in_hand);
  set_state(*tcb, State::syn_received);
  tcb->iss = tcb->snd_una = h.iss;
  tcb->snd_nxt = h.iss + 1;
  tcb->irs = h.irs;
  tcb->rcv_nxt = tcb->last_ack_sent = h.irs + 1;
  tcb->rcv_adv = tcb->rcv_nxt + h.rcv_wnd;
  tcb->snd_wnd = tcb->max_snd_wnd = h.snd_wnd;
  tcb->snd_wl1 = h.irs;
  tcb->snd_wl2 = h.iss;
  tcb->ts_offset = h.ts_offset;
  tcb->ts_recent = h.ts_recent;
  tcb->flags |= flag_if(h.timestamps, ts_enabled) | flag_if(h.sack, sack_enabled) | flag_if(h.wscale, wscale_enabled) | flag_if(h.ecn, ecn_on);
  tcb->snd_wscale = h.snd_wscale;
  tcb->rcv_wscale = h.wscale ? cx.rcv_wscale : std::uint8_t{0};
  tcb->listener = listener_index;
  tcb->handler = cx.listeners[listener_index].handler;
  if (cx.listeners[listener_index].dscp != 0) set_dscp(*tcb, cx.listeners[listener_index].dscp);
  tcb->congestion = cx.listeners[listener_index].congestion;
  set_send_mss(cx, *tcb, h.peer_mss);
  tcb->cwnd = initial_window(cx, *tcb);
  return tcb;
}

bool accept_queue_is_full(const Listener& listener) { return listener.waiting >= listener.backlog; }

/// A third segment whose cookie is good: the connection at once, with no entry in between.
Verdict accept_cookie(Context& cx, std::uint16_t index, std::uint64_t hash, const wire::Segment& segment) {
  const Seq cookie = segment.ack - 1, irs = segment.seq - 1;
  const auto mss = check_cookie(cx.secrets, segment.flow, irs, cookie, cx.now);
  if (!mss) {
    send_reset_for(cx, segment);
    return dropped(Drop::tcp_bad_cookie);
  }
  if (accept_queue_is_full(cx.listeners[index])) return dropped(Drop::tcp_accept_queue_full);
  wire::TcpOptions options;
  if (!wire::read_options(segment, options)) return dropped(Drop::tcp_malformed_option);
  Handshake h;
  h.iss = cookie;
  h.irs = irs;
  h.peer_mss = *mss;
  h.ts_offset = initial_numbers(cx.secrets, segment.flow, cx.now).ts_offset;
  h.snd_wnd = segment.window;
  h.rcv_wnd = syn_receive_window(cx);
  h.timestamps = options.has_timestamps && cx.config.tcp.timestamps;
  if (h.timestamps) {
    h.ts_recent = options.ts_val;
    read_cookie_timestamp(options.ts_ecr, h);
  }
  Tcb* tcb = promote(cx, segment.flow, index, h);
  if (tcb == nullptr) return dropped(Drop::tcp_connections_full);
  if (!enter_table(cx, *tcb, hash)) {
    free_tcb(cx, *tcb);
    return dropped(Drop::tcp_connections_full);
  }
  ++cx.stats.syn_cookies_accepted;
  ++cx.stats.passive_opens;
  set(*tcb, syn_retransmitted);  // no sample of the round trip
  return segment_arrives(cx, *tcb, segment);
}

bool cookies_may_be_out(const Context& cx) {
  return cx.last_cookie != Time::min() && cx.now - cx.last_cookie < 2 * cookie_slot;
}

/// The third segment promotes the entry, if there is room for a connection; without, it is as if it had been lost, and
/// our SYN-ACK or the peer's data brings it again.
Verdict promote_half_open(Context& cx, HalfOpen& half, std::uint64_t hash, const wire::Segment& segment) {
  const bool queue_is_full = accept_queue_is_full(cx.listeners[half.listener]);
  Tcb* tcb = queue_is_full ? nullptr : promote(cx, half.key, half.listener, half.handshake);
  if (tcb == nullptr) {
    half.answered = true;
    return dropped(queue_is_full ? Drop::tcp_accept_queue_full : Drop::tcp_connections_full);
  }
  const bool replaced = cx.flows.replace(hash, FlowSlot::make(FlowKind::half_open, cx.half_opens.index_of(half)),
                                         FlowSlot::make(FlowKind::connection, cx.tcbs.index_of(*tcb)));
  HF_ASSERT(replaced);
  set(*tcb, in_table);
  if (!half.sent_again) {
    set(*tcb, rtt_timing);
    tcb->rtt_time_us = half.sent_us;
  } else {
    set(*tcb, syn_retransmitted);
    tcb->cwnd = tcb->snd_mss;  // RFC 5681 section 3.1
  }
  remove_half_open(cx, half, true);
  Verdict verdict;
  return predicted_arrival(cx, *tcb, segment, verdict) ? verdict : segment_arrives(cx, *tcb, segment);
}

/// The third segment that nearly every peer sends: in order, an ACK of our SYN and of no more, timestamps as agreed and nothing
/// else. All that segment_arrives_half_open() asks is answered by that.
bool is_plain_third(const Handshake& h, const wire::Segment& segment) {
  if ((segment.flags & ~wire::psh) != wire::ack || segment.seq != h.irs + 1 || segment.ack != h.iss + 1 || h.rcv_wnd == 0) return false;
  if (!h.timestamps) return segment.header_length == wire::tcp_header_length;
  return segment.header_length == wire::tcp_header_length + wire::timestamps_length && wire::load32(segment.options) == 0x0101080a &&
         !is_earlier(wire::load32(segment.options + 4), h.ts_recent);
}

/// What a SYN's Fast Open option comes to (RFC 7413 section 4.2.2).
struct FastOpenWish {
  bool granted = false;    ///< data may be taken now
  bool give = false;       ///< the SYN-ACK has a cookie
  FastOpenCookie cookie{};
};

FastOpenWish judge_fast_open(Context& cx, Listener& listener, const wire::Segment& syn, const wire::TcpOptions& options) {
  FastOpenWish wish;
  // Never while SYN cookies are out: what fills the table would fill the application, too.
  if (listener.fast_open == 0 || !options.has_fast_open || cookies_may_be_out(cx)) return wish;
  const FastOpenCheck check =
      options.fast_open_length == 0
          ? FastOpenCheck::bad
          : check_fast_open_cookie(cx.secrets, syn.flow, {options.fast_open_cookie, options.fast_open_length}, cx.now);
  if (options.fast_open_length != 0 && check == FastOpenCheck::bad) ++cx.stats.fast_open_bad_cookies;
  const bool room = has_fast_open_room(cx, listener);
  wish.give = room && check != FastOpenCheck::good;
  if (wish.give) wish.cookie = make_fast_open_cookie(cx.secrets, syn.flow, cx.now);
  wish.granted = check != FastOpenCheck::bad && syn.payload_length != 0 && room && has_memory_for(cx, syn.payload_length);
  if (check != FastOpenCheck::bad && syn.payload_length != 0 && !wish.granted) ++cx.stats.fast_open_limited;
  return wish;
}

/// The connection at once, its data delivered; what is missing is the client's ACK. Nothing in `tcb` where a table is full.
Verdict open_fast(Context& cx, std::uint16_t index, std::uint64_t hash, const wire::Segment& syn, const wire::TcpOptions& options,
                  Reuse reuse, const FastOpenWish& wish) {
  Verdict verdict;
  Handshake h;
  agree(cx, cx.listeners[index].congestion, syn, options, reuse, h);
  h.rcv_wnd = std::min<std::uint32_t>(cx.config.tcp.receive_buffer, 65535);
  Tcb* tcb = promote(cx, syn.flow, index, h);
  if (tcb == nullptr) return verdict;
  if (!enter_table(cx, *tcb, hash)) {
    free_tcb(cx, *tcb);
    return verdict;
  }
  tcb->snd_una = tcb->snd_nxt;
  set(*tcb, syn_acked | rtt_timing);
  tcb->rtt_time_us = cx.now_us;
  ++cx.listeners[index].fast_open_pending;
  const std::uint32_t length = std::min(syn.payload_length, h.rcv_wnd);
  tcb->rcv_nxt += length;
  take_user_timeout(cx, *tcb, options.user_timeout);
  start_retransmission_timer(cx, *tcb);
  send_syn(cx, *tcb, wish.give ? wish.cookie.data() : nullptr);
  ++cx.stats.passive_opens;
  ++cx.stats.fast_open_accepted;
  verdict.tcb = tcb;
  verdict.established = true;  // to the application
  verdict.data = syn.payload;
  verdict.data_length = length;
  return verdict;
}

}  // namespace

Verdict segment_arrives_closed(Context& cx, const wire::Segment& segment) {
  if (segment.has(wire::rst)) return dropped(Drop::tcp_no_connection);
  send_reset_for(cx, segment);
  return dropped(Drop::tcp_no_connection);
}

Verdict segment_arrives_listen(Context& cx, std::uint16_t index, std::uint64_t hash, const wire::Segment& segment,
                               Reuse reuse) {
  Listener& listener = cx.listeners[index];
  // first: RST
  if (segment.has(wire::rst)) return dropped(Drop::tcp_no_connection);
  // second: ACK. It may be the answer to a cookie; a SYN or FIN with it is not.
  if (segment.has(wire::ack)) {
    if (!segment.has(wire::syn) && cookies_may_be_out(cx)) return accept_cookie(cx, index, hash, segment);
    send_reset_for(cx, segment);
    return dropped(Drop::tcp_no_connection);
  }
  // third: SYN
  if (!segment.has(wire::syn)) return dropped(Drop::tcp_no_ack);
  wire::TcpOptions options;
  if (!wire::read_options(segment, options)) return dropped(Drop::tcp_malformed_option);
  // A peer that signs its segments takes no answer that is not signed, an RST neither (RFC 2385 section 4.1, RFC 5925).
  if (options.is_authenticated) return dropped(Drop::tcp_authentication);
  if (accept_queue_is_full(listener)) return dropped(Drop::tcp_backlog_full);
  const FastOpenWish wish = judge_fast_open(cx, listener, segment, options);
  if (wish.granted) {
    Verdict verdict = open_fast(cx, index, hash, segment, options, reuse, wish);
    if (verdict.tcb != nullptr) return verdict;
  }
  HalfOpen* half = listener.half_open < listener.backlog ? new_half_open(cx, segment.flow, hash, index) : nullptr;
  if (half == nullptr) return answer_with_cookie(cx, listener, segment, options);
  agree(cx, listener.congestion, segment, options, reuse, half->handshake);
  ++cx.stats.passive_opens;
  send_syn_ack(cx, *half, wish.give ? wish.cookie.data() : nullptr);
  start_half_open_timer(cx, *half);
  return {};
}

Verdict segment_arrives_half_open(Context& cx, HalfOpen& half, std::uint64_t hash, const wire::Segment& segment) {
  const Handshake& h = half.handshake;
  if (is_plain_third(h, segment)) [[likely]] return promote_half_open(cx, half, hash, segment);
  const Seq rcv_nxt = h.irs + 1;
  wire::TcpOptions options;
  if (!wire::read_options(segment, options)) return dropped(Drop::tcp_malformed_option);
  // The SYN again: the SYN,ACK was lost, or is on its way (sec C20).
  if (segment.has(wire::syn) && !segment.has(wire::rst) && !segment.has(wire::ack) && segment.seq == h.irs) {
    // What it says last is what it stands by: a peer may try again with fewer options, and its clock has gone on. An old
    // duplicate (RFC 7323 section 5.2) changes nothing.
    if (!h.timestamps || !options.has_timestamps || !is_earlier(options.ts_val, h.ts_recent))
      take_offer(cx, segment, options, half.handshake);
    send_syn_ack(cx, half);
    half.sent_again = true;
    half.retries = 0;  // it is still there: our own tries start over
    start_half_open_timer(cx, half);
    ++cx.stats.retransmits;
    return dropped(Drop::tcp_duplicate);
  }
  if (h.timestamps && !options.has_timestamps && !segment.has(wire::rst | wire::syn)) return dropped(Drop::tcp_no_timestamp);
  // first: sequence number, and PAWS
  const bool old_timestamp = h.timestamps && options.has_timestamps && !segment.has(wire::rst) &&
                             is_earlier(options.ts_val, h.ts_recent);
  const std::uint32_t length = segment.length();
  const bool acceptable = distance(rcv_nxt, segment.seq) < h.rcv_wnd ||
                          (length != 0 && distance(rcv_nxt, segment.seq + (length - 1)) < h.rcv_wnd);
  if (!acceptable || old_timestamp) {
    if (!segment.has(wire::rst)) send_challenge_ack(cx, half);
    return dropped(old_timestamp ? Drop::tcp_old_timestamp : Drop::tcp_out_of_window);
  }
  // second: RST: back to LISTEN (MUST-11; rfc5961 3.2a: exactly at RCV.NXT)
  if (segment.has(wire::rst)) {
    if (before(segment.seq, rcv_nxt)) return dropped(Drop::tcp_out_of_window);  // only what it carries was in the window
    if (segment.seq != rcv_nxt) {
      send_challenge_ack(cx, half);
      return dropped(Drop::tcp_rst_not_exact);
    }
    ++cx.stats.resets_in;
    remove_half_open(cx, half);
    return {};
  }
  // fourth: SYN in the window. deviates: RFC 9293 returns to LISTEN; RFC 5961 section 4's answer does not let a blind
  // SYN end a handshake. Pinned by Handshake.half_open__other_syn_in_window__is_challenged.
  if (segment.has(wire::syn)) {
    send_challenge_ack(cx, half);
    return dropped(Drop::tcp_syn_in_window);
  }
  // fifth: ACK
  if (!segment.has(wire::ack)) return dropped(Drop::tcp_no_ack);
  if (segment.ack != h.iss + 1) {
    send_reset_at_ack(cx, segment);
    return dropped(Drop::tcp_unacceptable_ack);
  }
  return promote_half_open(cx, half, hash, segment);
}

}  // namespace handfast::tcp
