// SPDX-License-Identifier: BSD-3-Clause
// A segment for a connection in TIME-WAIT: RFC 9293 section 3.10.7.4, RFC 1337, RFC 6191, RFC 7323. Layer: tcp.
#include "tcp/lifetime.hpp"
#include "tcp/output.hpp"
#include "tcp/segment_arrives.hpp"
#include "tcp/timestamps.hpp"

namespace handfast::tcp {
namespace {

TimeWaitVerdict dropped(Drop reason) {
  TimeWaitVerdict verdict;
  verdict.drop = reason;
  return verdict;
}

/// At most two answers in half a second to what is not the peer's FIN: two ends that disagree fall silent.
void answer(Context& cx, TimeWait& entry) {
  if (cx.now_ms - entry.answered_ms >= 500) {
    entry.answered_ms = cx.now_ms;
    entry.answered = 0;
  }
  if (entry.answered >= 2) {
    count(cx, Drop::tcp_challenge_limited);
    return;
  }
  ++entry.answered;
  ++cx.stats.challenge_acks;
  send_time_wait_ack(cx, entry);
}

/// MAY-2 and SHLD-4, by rfc6191 2a, 2b, 2c and 2d: is this SYN certainly newer than everything of the incarnation before?
bool is_newer(const TimeWait& entry, const wire::Segment& syn, const wire::TcpOptions& options) {
  const bool larger_seq = after(syn.seq, entry.rcv_nxt) || syn.seq == entry.rcv_nxt;
  if (!entry.timestamps || !options.has_timestamps) return larger_seq;
  const auto newer = static_cast<std::int32_t>(options.ts_val - entry.ts_recent);
  return newer > 0 || (newer == 0 && larger_seq);
}

}  // namespace

TimeWaitVerdict segment_arrives_time_wait(Context& cx, std::uint32_t index, const wire::Segment& segment,
                                          bool has_listener) {
  TimeWait& entry = cx.time_waits[index];
  wire::TcpOptions options;
  if (!wire::read_options(segment, options)) return dropped(Drop::tcp_malformed_option);
  if (segment.has(wire::rst)) {
    // RFC 1337: an old RST must not shorten 2MSL.
    if (cx.config.tcp.rfc1337 || segment.seq != entry.rcv_nxt) return dropped(Drop::tcp_time_wait);
    ++cx.stats.resets_in;
    remove_time_wait(cx, index);
    return {};
  }
  if (entry.timestamps && !options.has_timestamps && !segment.has(wire::syn)) return dropped(Drop::tcp_no_timestamp);  // rfc7323 3.2
  if (segment.has(wire::syn) && !segment.has(wire::ack) && !segment.has(wire::fin)) {
    if (has_listener && is_newer(entry, segment, options)) {
      TimeWaitVerdict verdict{.drop = Drop::none, .reopen = true, .reuse = {true, entry.snd_nxt}};
      remove_time_wait(cx, index);
      ++cx.stats.time_wait_reused;
      return verdict;
    }
    answer(cx, entry);
    return dropped(Drop::tcp_time_wait);
  }
  const bool has_ack = segment.has(wire::ack), acks_unsent = has_ack && after(segment.ack, entry.snd_nxt);
  const bool ends_in_fin = segment.has(wire::fin) && segment.seq + segment.length() == entry.rcv_nxt;
  const bool is_old = entry.timestamps && options.has_timestamps && is_earlier(options.ts_val + paws_slack, entry.ts_recent);
  if (ends_in_fin && has_ack && !acks_unsent && !is_old && !segment.has(wire::syn)) {
    // The peer's FIN again: our last ACK was lost. Acknowledge it and restart 2MSL.
    send_time_wait_ack(cx, entry);
    cx.time_waits.restart(index, cx.now + 2 * cx.config.tcp.msl);
    return dropped(Drop::tcp_duplicate);
  }
  // A bare ACK where one is expected needs no answer; anything else is out of step, of what was never sent above all
  // (rfc9293 3.5.2, group 3).
  const bool is_in_step = segment.length() == 0 && segment.seq == entry.rcv_nxt;
  if (is_in_step && !acks_unsent && !is_old) return dropped(Drop::tcp_time_wait);
  answer(cx, entry);
  return dropped(Drop::tcp_time_wait);
}

}  // namespace handfast::tcp
