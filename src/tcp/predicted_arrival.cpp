// SPDX-License-Identifier: BSD-3-Clause
// The plain segment in: RFC 9293 section 3.10.7.4 for the next segment in order, all eight steps in one. Layer: tcp; see
// prediction.hpp. Each line names the function of segment_arrives.cpp that says the same at length.
#include <algorithm>

#include "tcp/congestion.hpp"
#include "tcp/lifetime.hpp"
#include "tcp/output.hpp"
#include "tcp/path_mtu.hpp"
#include "tcp/prediction.hpp"
#include "tcp/receive_window.hpp"
#include "tcp/rtt.hpp"
#include "tcp/state.hpp"
#include "tcp/timeouts.hpp"
#include "tcp/timestamps.hpp"
#include "wire/tcp_writer.hpp"

namespace handfast::tcp {
namespace {

/// Timestamps exactly where they were agreed on, and no other option.
bool has_predicted_options(const Tcb& tcb, const wire::Segment& segment) {
  if (has(tcb, ts_enabled)) [[likely]]
    return segment.header_length == wire::tcp_header_length + wire::timestamps_length && wire::load32(segment.options) == 0x0101080a;
  return segment.header_length == wire::tcp_header_length;
}

/// The states past the handshake in which an ordinary connection gets segments; data where somebody reads, FIN where it is news.
bool is_predicted_state(const Tcb& tcb, bool data, bool fin) {
  constexpr std::uint16_t any = detail::to_bits(State::established, State::fin_wait_1, State::fin_wait_2, State::close_wait, State::last_ack);
  constexpr std::uint16_t takes_text = detail::to_bits(State::established, State::fin_wait_1, State::fin_wait_2);
  const std::uint16_t states = data || fin ? takes_text : any;
  return (states >> static_cast<unsigned>(tcb.state) & 1) != 0 && !(data && has(tcb, orphan));
}

/// acknowledge(), with nothing but `ack` new: at most one segment was out.
[[gnu::always_inline]] inline void acknowledge(Context& cx, Tcb& tcb, Seq ack, std::uint32_t bytes, Verdict& verdict) {
  if (distance(tcb.iss, ack) < distance(tcb.iss, tcb.snd_una)) count_wrap(cx, tcb, tcb.send_wraps, &Rare::send_wraps_128);
  if (ack == tcb.snd_nxt && has(tcb, rtt_timing)) [[likely]] {
    clear(tcb, rtt_timing);
    take_rtt_sample(cx, tcb, cx.now_us - tcb.rtt_time_us);  // MUST-18
  }
  if (has(tcb, cwnd_limited) && tcb.cwnd < tcb.ssthresh) tcb.cwnd += std::min<std::uint32_t>(bytes, tcb.snd_mss);
  tcb.snd_una = ack;
  const std::uint32_t data = std::min(bytes, tcb.send_queued);
  if (data != 0) {
    Extent* const extent = tcb.send_head;
    tcb.send_queued = 0;
    tcb.send_head = tcb.send_tail = nullptr;
    release_extent(cx, *extent);
    verdict.acked = data;
  }
  tcb.progress_ms = cx.now_ms;
  tcb.rtx_deadline = never;
  tcb.dup_acks = 0;
}

/// in_order_text()
[[gnu::always_inline]] inline void take_text(Context& cx, Tcb& tcb, const wire::Segment& segment, Verdict& verdict) {
  const std::uint32_t length = segment.payload_length;
  const Seq before_text = tcb.rcv_nxt;
  verdict.data = segment.payload;
  verdict.data_length = length;
  tcb.rcv_nxt += length;
  if (distance(tcb.irs, tcb.rcv_nxt) < distance(tcb.irs, before_text)) count_wrap(cx, tcb, tcb.receive_wraps, &Rare::receive_wraps_128);
  tcb.rcv_mss = static_cast<std::uint16_t>(std::max<std::uint32_t>(tcb.rcv_mss, std::min<std::uint32_t>(length, cx.local_mss)));
  set(tcb, ack_delayed);
  mark_dirty(cx, tcb);
}

/// process_fin()
[[gnu::always_inline]] inline void take_fin(Context& cx, Tcb& tcb, Verdict& verdict) {
  tcb.rcv_nxt += 1;
  tcb.rcv_adv = max(tcb.rcv_adv, tcb.rcv_nxt);
  set(tcb, fin_received | ack_now);
  mark_dirty(cx, tcb);
  verdict.readable = true;
  if (tcb.state == State::established)
    set_state(tcb, State::close_wait);
  else if (tcb.state == State::fin_wait_1)
    set_state(tcb, State::closing);
  else
    enter_time_wait(cx, tcb);  // FIN-WAIT-2
}

/// What in the segment and the window speaks for the short way, whatever the segment acknowledges.
[[gnu::always_inline]] inline bool is_plain(const Context& cx, const Tcb& tcb, const wire::Segment& segment) {
  constexpr std::uint8_t predicted_control = wire::psh | wire::fin;
  const std::uint32_t length = segment.payload_length;
  if ((segment.flags & ~predicted_control) != wire::ack || segment.seq != tcb.rcv_nxt || !has_predicted_options(tcb, segment)) return false;
  if (segment.window == 0) return false;  // what follows from a shut window (MUST-37, user timeouts) is process_ack()'s
  if (length + (segment.has(wire::fin) ? 1 : 0) > distance(tcb.rcv_nxt, tcb.rcv_adv)) return false;
  if (has(tcb, ts_enabled) && is_earlier(wire::load32(segment.options + 4), tcb.ts_recent)) return false;
  if (length == 0) return true;
  // An ACK may be due at once, for the second full segment or since wants_quick_ack() says so.
  const bool full = distance(tcb.last_ack_sent, tcb.rcv_nxt) + length >= 2u * tcb.rcv_mss || length > tcb.rcv_mss;
  return !full && segment.has(wire::psh) && has_memory_for(cx, length);
}

/// The rest of the steps; `bytes` of sequence space are acknowledged, all that was out or nothing.
[[gnu::always_inline]] inline void take(Context& cx, Tcb& tcb, const wire::Segment& segment, std::uint32_t bytes, Verdict& verdict) {
  const bool fin = segment.has(wire::fin);
  if (has(tcb, ts_enabled) && !after(segment.seq, tcb.last_ack_sent)) tcb.ts_recent = wire::load32(segment.options + 4);
  verdict.tcb = &tcb;
  tcb.heard_ms = cx.now_ms;
  if (bytes != 0) acknowledge(cx, tcb, segment.ack, bytes, verdict);
  // update_window(): what starts at RCV.NXT and acknowledges no less than the last is the newest there is.
  const std::uint32_t window = std::uint32_t{segment.window} << tcb.snd_wscale;
  if (window > tcb.snd_wnd || bytes != 0) mark_dirty(cx, tcb);
  tcb.snd_wnd = window;
  tcb.max_snd_wnd = std::max(tcb.max_snd_wnd, window);
  tcb.snd_wl1 = segment.seq;
  tcb.snd_wl2 = segment.ack;
  if (has(tcb, fin_sent) && tcb.snd_una == tcb.snd_nxt) {
    if (tcb.state == State::fin_wait_1) {
      set_state(tcb, State::fin_wait_2);
      if (has(tcb, orphan) && !fin) start_fin_wait_2_timer(cx, tcb);
    } else if (tcb.state == State::last_ack) {
      complete(cx, tcb);
      verdict.readable = true;
      return;
    }
  }
  if (segment.payload_length != 0) take_text(cx, tcb, segment, verdict);
  if (fin) take_fin(cx, tcb, verdict);
}

/// SYN-RECEIVED -> ESTABLISHED: our SYN is acknowledged, and with it nothing (become_established, acknowledge).
[[gnu::noinline]] bool predicted_third(Context& cx, Tcb& tcb, const wire::Segment& segment, Verdict& verdict) {
  constexpr std::uint64_t other_business = unpredicted_flags | syn_acked | active_open | keepalive_on | fin_queued;
  const std::uint64_t needs = (cx.predicted_needs & ~std::uint64_t{syn_acked}) | rtt_timing;
  if ((tcb.flags & (needs | other_business)) != needs || tcb.flight != nullptr || tcb.receive != nullptr || segment.ack != tcb.snd_nxt ||
      cx.config.tcp.user_timeout_option || !is_plain(cx, tcb, segment))
    return false;
  set(tcb, syn_acked);
  clear(tcb, rtt_timing);
  take_rtt_sample(cx, tcb, cx.now_us - tcb.rtt_time_us);
  tcb.snd_una = segment.ack;
  tcb.progress_ms = cx.now_ms;
  tcb.rtx_deadline = never;
  set_state(tcb, State::established);
  ++cx.stats.established;
  verdict.established = true;
  mark_dirty(cx, tcb);
  take(cx, tcb, segment, 0, verdict);
  return true;
}

/// The SYN,ACK that nearly every peer sends (syn_sent_syn). False: nothing was done.
[[gnu::noinline]] bool predicted_syn_ack(Context& cx, Tcb& tcb, const wire::Segment& segment, Verdict& verdict) {
  constexpr std::uint64_t other_business = unpredicted_flags | syn_retransmitted | fast_open | keepalive_on | syn_acked | fin_queued;
  const std::uint64_t needs = (cx.predicted_needs & ~std::uint64_t{syn_acked}) | rtt_timing | active_open;
  if ((tcb.flags & (needs | other_business)) != needs || segment.flags != (wire::syn | wire::ack) || segment.ack != tcb.snd_nxt ||
      segment.payload_length != 0 || !cx.offers_all || cx.config.tcp.user_timeout_option)
    return false;
  wire::TcpOptions options;
  if (!wire::parse_common_syn(segment.option_bytes(), options)) return false;
  tcb.irs = segment.seq;
  tcb.rcv_nxt = tcb.last_ack_sent = segment.seq + 1;
  tcb.rcv_adv = tcb.rcv_nxt + syn_receive_window(cx);
  tcb.heard_ms = tcb.progress_ms = cx.now_ms;
  set(tcb, ts_enabled | sack_enabled | wscale_enabled | syn_acked | ack_now);
  clear(tcb, rtt_timing);
  tcb.ts_recent = options.ts_val;
  tcb.snd_wscale = std::min<std::uint8_t>(options.window_scale, 14);
  tcb.rcv_wscale = cx.rcv_wscale;
  tcb.snd_wnd = tcb.max_snd_wnd = segment.window;
  tcb.snd_wl1 = segment.seq;
  tcb.snd_wl2 = segment.ack;
  set_send_mss(cx, tcb, options.mss);
  tcb.cwnd = initial_window(cx, tcb);
  take_rtt_sample(cx, tcb, cx.now_us - tcb.rtt_time_us);
  tcb.snd_una = segment.ack;
  tcb.rtx_deadline = never;
  set_state(tcb, State::established);
  ++cx.stats.established;
  verdict.tcb = &tcb;
  verdict.established = true;
  mark_dirty(cx, tcb);
  return true;
}

}  // namespace

bool predicted_arrival(Context& cx, Tcb& tcb, const wire::Segment& segment, Verdict& verdict) {
  if (!is_predictable(cx, tcb)) {
    if (tcb.state == State::syn_sent) return predicted_syn_ack(cx, tcb, segment, verdict);
    return tcb.state == State::syn_received && predicted_third(cx, tcb, segment, verdict);
  }
  const std::uint32_t length = segment.payload_length;
  const bool fin = segment.has(wire::fin);
  if (!is_predicted_state(tcb, length != 0, fin) || after(tcb.snd_wl1, segment.seq)) return false;
  const std::uint32_t bytes = distance(tcb.snd_una, segment.ack), out = distance(tcb.snd_una, tcb.snd_nxt);
  if (bytes == 0) {
    if (out != 0 && length == 0 && !fin) return false;  // a duplicate ACK is for those who count them
  } else if (bytes != out || tcb.send_head != tcb.send_tail || !has(tcb, rtt_timing) || bytes < tcb.send_queued) {
    return false;  // old, of what was never sent, of a part of what is out, or with more waiting
  }
  if (!is_plain(cx, tcb, segment)) return false;
  take(cx, tcb, segment, bytes, verdict);
  return true;
}

}  // namespace handfast::tcp
