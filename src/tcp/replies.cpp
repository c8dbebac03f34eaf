// SPDX-License-Identifier: BSD-3-Clause
// Segments with one purpose: SYN, ACK, RST, probes. Layer: tcp. The sender of data is output.cpp.
#include <algorithm>

#include "tcp/cookie_timestamp.hpp"
#include "tcp/ecn.hpp"
#include "tcp/fast_open.hpp"
#include "tcp/output.hpp"
#include "tcp/patience.hpp"
#include "tcp/receive_window.hpp"
#include "tcp/segment_builder.hpp"
#include "tcp/timeouts.hpp"

namespace handfast::tcp {
namespace {

using tcp::tos_of;

/// A segment that belongs to no block: the tuple, numbers and flags are all there is. No counters, no timers.
TxSegment* bare_segment(Context& cx, const FlowKey& key, std::uint32_t flow_sum, Seq seq, Seq ack, std::uint8_t flags,
                        std::uint8_t tos = 0) {
  TxSegment* segment = cx.out.next();
  if (segment == nullptr) return nullptr;
  segment->flow = key;
  segment->flow_sum = flow_sum;
  segment->seq = seq;
  segment->ack = ack;
  segment->window = 0;
  segment->flags = flags;
  segment->options_length = 0;
  segment->pieces = 0;
  segment->tos = tos;
  segment->payload_length = 0;
  cx.out.commit();
  ++cx.stats.segments_out;
  if ((flags & wire::rst) != 0) ++cx.stats.resets_out;
  return segment;
}

/// The same straight into its frame, where that is possible; with timestamps behind the header, or the four options of our
/// usual SYN.
enum class Options : std::uint8_t { none, timestamps, syn };
bool write_at_once(Context& cx, const FlowKey& key, std::uint32_t flow_sum, Seq seq, Seq ack, std::uint8_t flags, std::uint16_t window,
                   std::uint8_t tos, Options kind, std::uint32_t ts_val, std::uint32_t ts_ecr) {
  wire::TxFrame* const frame = cx.out.frame(key.remote_address);
  if (frame == nullptr) [[unlikely]] return false;
  std::byte* const ip = frame->data + wire::ethernet_header_length;
  std::byte* const options = ip + wire::ipv4_header_length + wire::tcp_header_length;
  std::uint32_t length = 0;
  std::uint64_t sum = 0;
  if (kind == Options::timestamps) {
    length = wire::timestamps_length;
    sum = wire::put_timestamps(options, ts_val, ts_ecr);
  } else if (kind == Options::syn) {
    length = wire::common_syn_length;
    sum = wire::put_common_syn(options, cx.local_mss, cx.rcv_wscale, ts_val, ts_ecr);
  }
  wire::TcpPacketFields fields;
  fields.flow = key;
  fields.flow_sum = flow_sum;
  fields.seq = seq;
  fields.ack = ack;
  fields.window = window;
  fields.flags = flags;
  fields.tos = tos;
  fields.ttl = cx.config.link.ttl;  // MUST-49
  frame->length = static_cast<std::uint32_t>(wire::ethernet_header_length) + wire::write_tcp_headers(ip, fields, length, sum, 0, 0, frame->offload);
  frame->segment_size = 0;
  frame->tcp_header_length = static_cast<std::uint8_t>(wire::tcp_header_length + length);
  ++cx.stats.segments_out;
  return true;
}

std::uint8_t tos_of(const Context& cx, const HalfOpen& half) { return tos_of(cx.listeners[half.listener].dscp); }
void put_timestamps(TxSegment& segment, std::uint32_t value, std::uint32_t echo) {
  wire::store32(segment.options.data(), 0x0101080a);  // NOP, NOP, timestamps, 10 bytes
  wire::store32(segment.options.data() + 4, value);
  wire::store32(segment.options.data() + 8, echo);
  segment.options_length = timestamp_option_bytes;
}

/// A reset in answer to a segment: with timestamps if that had them, of value zero (RFC 7323 section 5.2).
void send_bare_reset(Context& cx, const wire::Segment& cause, Seq seq, Seq ack, std::uint8_t flags) {
  TxSegment* segment = bare_segment(cx, cause.flow, wire::flow_sum(cause.flow), seq, ack, flags);
  wire::TcpOptions options;
  if (segment != nullptr && wire::read_options(cause, options) && options.has_timestamps) put_timestamps(*segment, 0, options.ts_val);
}

/// One token bucket, refilled each second, in two fields of whoever is limited.
bool within_limit(const Context& cx, std::uint32_t& second_began_ms, std::uint8_t& sent) {
  if (cx.now_ms - second_began_ms >= 1000) {
    second_began_ms = cx.now_ms;
    sent = 0;
  }
  if (sent >= cx.config.tcp.challenge_acks_per_second) return false;
  ++sent;
  return true;
}

/// MUST-14, SHLD-5, MAY-3: the MSS in every SYN; MUST-65: and nowhere else.
wire::TcpOptions syn_options(const Context& cx, bool mine, bool wscale, bool timestamps, bool sack) {
  const TcpConfig& config = cx.config.tcp;
  wire::TcpOptions options;
  options.has_mss = true;
  options.mss = cx.local_mss;
  options.has_window_scale = config.window_scale && (mine || wscale);
  options.window_scale = cx.rcv_wscale;
  options.has_timestamps = config.timestamps && (mine || timestamps);
  options.sack_permitted = config.sack && (mine || sack);
  return options;
}

std::uint16_t syn_window(const Context& cx) { return static_cast<std::uint16_t>(syn_receive_window(cx)); }

/// Of one limit for all, a stranger could count what is left: resets are spent by guesses that meet no connection.
bool reset_allowed(Context& cx, const wire::Segment& cause) {
  const std::uint32_t second = cx.now_ms / 1000, limit = cx.config.tcp.resets_per_second;
  if (second != cx.reset_second) {
    cx.reset_second = second;
    cx.resets_in_second = {};
  }
  const std::uint32_t shares = std::clamp(limit, 1u, reset_shares);
  const auto mine = static_cast<std::uint32_t>(siphash13(cx.secrets.cookie, cause.flow.remote_address, shares) % shares);
  if (cx.resets_in_second[mine] < limit / shares + (mine < limit % shares ? 1 : 0)) {
    ++cx.resets_in_second[mine];
    return true;
  }
  count(cx, Drop::tcp_rst_rate_limited);
  return false;
}

}  // namespace

namespace {
void give_cookie(wire::TcpOptions& options, const std::byte* cookie) {
  if (cookie == nullptr) return;
  options.has_fast_open = true;
  options.fast_open_cookie = cookie;
  options.fast_open_length = sizeof(FastOpenCookie);
}
}  // namespace

void send_syn(Context& cx, Tcb& tcb, const std::byte* cookie) {
  const bool answer = tcb.state != State::syn_sent;
  if (!answer && cx.offers_all && !has(tcb, fast_open) && !wants_ecn(cx, tcb.congestion)) [[likely]]
    if (write_at_once(cx, tcb.key, tcb.flow_sum, tcb.iss, Seq{}, wire::syn, syn_window(cx), tos_of(tcb), Options::syn, ts_now(cx, tcb), 0)) return;
  TxSegment* segment = bare_segment(cx, tcb.key, tcb.flow_sum, tcb.iss, answer ? tcb.rcv_nxt : Seq{},
                                    answer ? wire::syn | wire::ack : wire::syn, tos_of(tcb));
  if (segment == nullptr) return;
  // rfc3168 6.1.1, 6.1.1.1: sent again it does not ask, since something on the way may not bear it.
  if (!answer && wants_ecn(cx, tcb.congestion) && !has(tcb, syn_retransmitted)) segment->flags |= wire::ece | wire::cwr;
  if (answer && has(tcb, ecn_on)) segment->flags |= wire::ece;
  wire::TcpOptions options =
      syn_options(cx, !answer, has(tcb, wscale_enabled), has(tcb, ts_enabled), has(tcb, sack_enabled));
  options.ts_val = ts_now(cx, tcb);
  options.ts_ecr = answer ? tcb.ts_recent : 0;
  if (cx.config.tcp.user_timeout_option) options.user_timeout = advertised_user_timeout(cx, tcb);
  give_cookie(options, cookie);
  // rfc7413 4.2.2: sent again it has neither option nor data.
  const bool fast = !answer && has(tcb, fast_open) && !has(tcb, syn_retransmitted);
  if (fast) [[unlikely]] offer_fast_open(cx, tcb, options);
  segment->window = syn_window(cx);
  segment->options_length = wire::write_options(segment->options.data(), options);
  if (fast && options.fast_open_length != 0) [[unlikely]] put_syn_data(cx, tcb, *segment);
  if (answer) {
    tcb.rcv_adv = max(tcb.rcv_adv, tcb.rcv_nxt + segment->window);
    tcb.last_ack_sent = tcb.rcv_nxt;
    clear(tcb, ack_now | ack_delayed);
  }
}

void send_syn_ack(Context& cx, HalfOpen& half, const std::byte* cookie) {
  const Handshake& h = half.handshake;
  if (cx.offers_all && h.timestamps && h.sack && h.wscale && !h.ecn && cookie == nullptr) [[likely]] {
    const std::uint16_t window = syn_window(cx);
    if (write_at_once(cx, half.key, half.flow_sum, h.iss, h.irs + 1, wire::syn | wire::ack, window, tos_of(cx, half), Options::syn,
                      cx.now_ms + h.ts_offset, h.ts_recent)) {
      half.handshake.rcv_wnd = window;
      half.sent_us = cx.now_us;
      return;
    }
  }
  TxSegment* segment = bare_segment(cx, half.key, half.flow_sum, h.iss, h.irs + 1, wire::syn | wire::ack, tos_of(cx, half));
  if (segment == nullptr) return;
  if (h.ecn) segment->flags |= wire::ece;
  wire::TcpOptions options = syn_options(cx, false, h.wscale, h.timestamps, h.sack);
  options.ts_val = cx.now_ms + h.ts_offset;
  options.ts_ecr = h.ts_recent;
  if (cx.config.tcp.user_timeout_option) options.user_timeout = encode_user_timeout(cx.config.tcp.user_timeout);
  give_cookie(options, cookie);
  segment->window = syn_window(cx);
  half.handshake.rcv_wnd = segment->window;
  segment->options_length = wire::write_options(segment->options.data(), options);
  half.sent_us = cx.now_us;
}

void send_cookie(Context& cx, const Listener& listener, const wire::Segment& syn, const Handshake& h, std::uint32_t flow_sum) {
  ++cx.stats.syn_cookies_sent;
  cx.last_cookie = cx.now;
  if (cx.offers_all && h.timestamps && h.sack && h.wscale &&
      write_at_once(cx, syn.flow, flow_sum, h.iss, h.irs + 1, wire::syn | wire::ack, syn_window(cx), tos_of(listener.dscp), Options::syn,
                    cookie_timestamp(cx.now_ms + h.ts_offset, h), h.ts_recent)) [[likely]]
    return;
  TxSegment* segment = bare_segment(cx, syn.flow, flow_sum, h.iss, h.irs + 1, wire::syn | wire::ack, tos_of(listener.dscp));
  if (segment == nullptr) return;
  wire::TcpOptions options = syn_options(cx, false, h.wscale, h.timestamps, h.sack);
  options.ts_ecr = h.ts_recent;
  if (options.has_timestamps) options.ts_val = cookie_timestamp(cx.now_ms + h.ts_offset, h);
  segment->window = syn_window(cx);
  segment->options_length = wire::write_options(segment->options.data(), options);
}

void send_ack(Context& cx, Tcb& tcb) {
  if (begin_segment(cx, tcb, tcb.snd_nxt, wire::ack) != nullptr) commit_segment(cx, tcb);
}

void send_ack_of_duplicate(Context& cx, Tcb& tcb, const ds::Range& duplicate) {
  if (begin_segment(cx, tcb, tcb.snd_nxt, wire::ack, &duplicate) == nullptr) return;
  commit_segment(cx, tcb);
  ++cx.stats.dsacks_sent;
}

bool send_challenge_ack(Context& cx, Tcb& tcb) {
  if (!within_limit(cx, tcb.challenge_ms, tcb.challenge_sent)) {
    count(cx, Drop::tcp_challenge_limited);
    return false;
  }
  ++cx.stats.challenge_acks;
  send_ack(cx, tcb);
  return true;
}

bool send_challenge_ack(Context& cx, HalfOpen& half) {
  if (!within_limit(cx, half.challenge_ms, half.challenge_sent)) {
    count(cx, Drop::tcp_challenge_limited);
    return false;
  }
  ++cx.stats.challenge_acks;
  const Handshake& h = half.handshake;
  TxSegment* segment = bare_segment(cx, half.key, half.flow_sum, h.iss + 1, h.irs + 1, wire::ack, tos_of(cx, half));
  if (segment == nullptr) return false;
  segment->window = static_cast<std::uint16_t>(h.rcv_wnd >> (h.wscale ? cx.rcv_wscale : 0));
  if (h.timestamps) put_timestamps(*segment, cx.now_ms + h.ts_offset, h.ts_recent);
  return true;
}

void send_time_wait_ack(Context& cx, TimeWait& entry) {
  if (write_at_once(cx, entry.key, entry.flow_sum, entry.snd_nxt, entry.rcv_nxt, wire::ack, entry.window, entry.tos,
                    entry.timestamps ? Options::timestamps : Options::none, cx.now_ms + entry.ts_offset, entry.ts_recent)) [[likely]]
    return;
  TxSegment* segment = bare_segment(cx, entry.key, entry.flow_sum, entry.snd_nxt, entry.rcv_nxt, wire::ack, entry.tos);
  if (segment == nullptr) return;
  segment->window = entry.window;
  if (!entry.timestamps) return;
  put_timestamps(*segment, cx.now_ms + entry.ts_offset, entry.ts_recent);
}

void send_keepalive(Context& cx, Tcb& tcb) {
  // SEG.SEQ = SND.NXT - 1 lies below the window, so that a living peer must answer (SHLD-12: with no data).
  TxSegment* segment = begin_segment(cx, tcb, tcb.snd_nxt - 1, wire::ack);
  if (segment == nullptr) return;
  static constexpr std::byte garbage{};
  if (cx.config.tcp.keepalive_garbage && tcb.snd_una == tcb.snd_nxt) {  // MAY-6; the peer has this byte already
    segment->piece[0] = {&garbage, 1};
    segment->pieces = 1;
    segment->payload_length = 1;
  }
  commit_segment(cx, tcb);
  ++cx.stats.keepalive_probes;
}

void send_window_probe(Context& cx, Tcb& tcb) {
  if (tcb.send_queued == 0) {
    send_keepalive(cx, tcb);  // nothing to probe with
    return;
  }
  TxSegment* segment = begin_segment(cx, tcb, tcb.snd_una, wire::ack);
  if (segment == nullptr) return;
  segment->piece[0] = {tcb.send_head->data, 1};
  segment->pieces = 1;
  segment->payload_length = 1;
  commit_segment(cx, tcb);
  ++cx.stats.zero_window_probes;
  if (tcb.snd_nxt != tcb.snd_una) return;
  tcb.snd_nxt += 1;
  set(tcb, probe_out);
}

void send_reset(Context& cx, Tcb& tcb) {
  TxSegment* segment = bare_segment(cx, tcb.key, tcb.flow_sum, tcb.snd_nxt, tcb.rcv_nxt, wire::rst | wire::ack, tos_of(tcb));
  if (segment != nullptr && has(tcb, ts_enabled)) put_timestamps(*segment, ts_now(cx, tcb), tcb.ts_recent);
}

void send_reset(Context& cx, HalfOpen& half) {
  const Handshake& h = half.handshake;
  TxSegment* segment = bare_segment(cx, half.key, half.flow_sum, h.iss + 1, h.irs + 1, wire::rst | wire::ack, tos_of(cx, half));
  if (segment != nullptr && h.timestamps) put_timestamps(*segment, cx.now_ms + h.ts_offset, h.ts_recent);
}

void send_reset_for(Context& cx, const wire::Segment& segment) {
  if (segment.has(wire::rst) || !reset_allowed(cx, segment)) return;
  // rfc9293 3.10.7.1: with an ACK the reset takes its number; without, it acknowledges what came.
  if (segment.has(wire::ack))
    send_bare_reset(cx, segment, segment.ack, Seq{}, wire::rst);
  else
    send_bare_reset(cx, segment, Seq{}, segment.seq + segment.length(), wire::rst | wire::ack);
}

void send_reset_at_ack(Context& cx, const wire::Segment& segment) {
  if (segment.has(wire::rst) || !reset_allowed(cx, segment)) return;
  send_bare_reset(cx, segment, segment.ack, Seq{}, wire::rst);
}

void release_extent(Context& cx, Extent& extent) {
  switch (extent.ownership) {
    case Ownership::chunk: cx.chunks.free(static_cast<Chunk*>(extent.owner)); break;
    case Ownership::caller: break;
    case Ownership::callback:
    case Ownership::port:
      cx.released.push_back(&extent);  // the shard gives it back, and then the extent
      return;
  }
  cx.extents.free(&extent);
}

}  // namespace handfast::tcp
