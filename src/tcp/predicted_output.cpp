// SPDX-License-Identifier: BSD-3-Clause
// The plain segment out: straight into its frame. Layer: tcp; see prediction.hpp.
#include "tcp/output.hpp"
#include "tcp/prediction.hpp"
#include "tcp/rack.hpp"
#include "tcp/receive_window.hpp"
#include "tcp/state.hpp"
#include "tcp/timeouts.hpp"
#include "tcp/window_validation.hpp"
#include "wire/tcp_writer.hpp"

namespace handfast::tcp {
namespace {

/// The segment [at, at + length) with its headers, and what segment_builder.hpp notes of each.
[[gnu::always_inline]] inline void write(Context& cx, Tcb& tcb, wire::TxFrame& frame, Seq at, std::uint8_t flags, const std::byte* data, std::uint32_t length) {
  std::byte* const ip = frame.data + wire::ethernet_header_length;
  std::byte* to = ip + wire::ipv4_header_length + wire::tcp_header_length;
  std::uint64_t options_sum = 0, payload_sum = 0;
  std::uint32_t options_length = 0;
  if (has(tcb, ts_enabled)) [[likely]] {
    options_length = wire::timestamps_length;
    options_sum = wire::put_timestamps(to, ts_now(cx, tcb), tcb.ts_recent);
    to += options_length;
  }
  if (length != 0) {
    if ((frame.offload & wire::tx_tcp_checksum) == 0)
      payload_sum = wire::copy_and_sum(to, {data, length});
    else
      std::memcpy(to, data, length);
  }
  wire::TcpPacketFields fields;
  fields.flow = tcb.key;
  fields.flow_sum = tcb.flow_sum;
  fields.seq = at;
  fields.ack = tcb.rcv_nxt;
  fields.window = window_field(cx, tcb);
  fields.flags = flags;
  fields.ttl = cx.config.link.ttl;  // MUST-49
  frame.length = static_cast<std::uint32_t>(wire::ethernet_header_length) +
                 wire::write_tcp_headers(ip, fields, options_length, options_sum, length, payload_sum, frame.offload);
  frame.segment_size = 0;
  frame.tcp_header_length = static_cast<std::uint8_t>(wire::tcp_header_length + options_length);
  ++cx.stats.segments_out;
  tcb.last_ack_sent = tcb.rcv_nxt;
  clear(tcb, ack_now | ack_delayed);
  tcb.ack_deadline = never;
}

/// start_retransmission_timer() for the one segment that is out, never backed off; the application has set no user timeout.
void start_timer(Context& cx, Tcb& tcb) {
  Duration timeout = std::chrono::microseconds{std::min(tcb.rto_us, cx.rto_max_us)};
  if (has(tcb, sack_enabled) && timeout > tail_probe_ack_delay) timeout = std::min(timeout, probe_timeout(tcb, true));
  tcb.rtx_deadline = cx.now + timeout;
  arm_for(cx, tcb, tcb.rtx_deadline);
}

}  // namespace

bool predicted_output(Context& cx, Tcb& tcb) {
  if (!is_predictable(cx, tcb)) return false;
  std::uint32_t length = tcb.send_queued;
  const bool fin = (tcb.flags & (fin_queued | fin_sent)) == fin_queued;
  const std::uint32_t out = distance(tcb.snd_una, tcb.snd_nxt);
  if (out != 0 && tcb.rtx_deadline == never) return false;
  Extent* const extent = tcb.send_head;
  if (!fin && length <= out) {  // nothing new: an ACK, if one is due
    if (!has(tcb, ack_now)) {
      clear(tcb, cwnd_limited | dirty);
      if (has(tcb, ack_delayed) && tcb.ack_deadline == never) start_delayed_ack_timer(cx, tcb);
      return true;
    }
    length = 0;
  } else if (out != 0 || tcb.state == State::syn_received || length > tcb.snd_mss || length > tcb.snd_wnd || extent != tcb.send_tail ||
             tcb.user_timeout_ds != 0 || tcb.rtx_deadline != never || (length != 0 && is_idle_restart(cx, tcb))) {
    return false;  // not all of it in one segment with nothing else in flight
  }
  wire::TxFrame* const frame = cx.out.frame(tcb.key.remote_address);
  if (frame == nullptr) [[unlikely]] return false;
  const auto flags = static_cast<std::uint8_t>(wire::ack | (length != 0 ? wire::psh : 0) | (fin ? wire::fin : 0));
  write(cx, tcb, *frame, tcb.snd_nxt, flags, length != 0 ? extent->data : nullptr, length);
  clear(tcb, cwnd_limited | dirty);
  const std::uint32_t took = length + (fin ? 1 : 0);
  if (took == 0) return true;
  if (fin) {
    set(tcb, fin_sent);
    if (tcb.state == State::close_wait) set_state(tcb, State::last_ack);
  }
  tcb.snd_nxt += took;
  set(tcb, rtt_timing);
  tcb.rtt_time_us = cx.now_us;
  tcb.progress_ms = cx.now_ms;
  start_timer(cx, tcb);
  return true;
}

}  // namespace handfast::tcp
