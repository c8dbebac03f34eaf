// SPDX-License-Identifier: BSD-3-Clause
// The offered window. Layer: tcp; see receive_window.hpp.
#include "tcp/receive_window.hpp"

namespace handfast::tcp {
namespace {

/// The window is so many times what was taken in the last round trip: a sender in slow start doubles in this
/// one, and the ACKs of this one let it double again before the next is measured.
constexpr std::uint32_t growth_factor = 4;
/// And so many segments more, so that a slow start of few segments is not measured by their granularity.
constexpr std::uint32_t slack_segments = 16;
/// Assumed of a peer whose round trip is not known: its SYN was retransmitted, and it has no timestamps.
constexpr std::uint32_t unknown_round_trip_us = 200000;

/// Windows stop growing while half of the shard's memory is held, and while three quarters are, nobody is
/// offered more than at first. What is offered already stays offered.
bool memory_is_short(const Context& cx) { return cx.chunks.in_use() > cx.chunks.capacity() / 2; }
bool memory_is_scarce(const Context& cx) { return cx.chunks.in_use() > cx.chunks.capacity() / 4 * 3; }

std::uint32_t space_for(std::uint32_t limit, const Tcb& tcb) {
  const std::uint32_t unread = unread_bytes(tcb);
  return limit > unread ? limit - unread : 0;
}

void begin_round(const Context& cx, Tcb& tcb, Seq taken) {
  take_rare(cx, tcb).rcv_mark = taken;
  take_rare(cx, tcb).rcv_mark_time = has(tcb, ts_enabled) ? ts_now(cx, tcb) : cx.now_us;
}

/// With timestamps: the peer echoes what we sent when the round began; too soon by what is left of that
/// millisecond, but for a round that begins with one. Without: the round trip that our own segments have
/// measured is over.
bool round_is_over(const Context& cx, const Tcb& tcb, const wire::TcpOptions& options) {
  if (has(tcb, ts_enabled))
    return options.has_timestamps && static_cast<std::int32_t>(options.ts_ecr - rare(tcb).rcv_mark_time) >= 0;
  return cx.now_us - rare(tcb).rcv_mark_time >= (tcb.srtt_us != 0 ? tcb.srtt_us : unknown_round_trip_us);
}

}  // namespace

std::uint32_t receive_limit(const Context& cx, const Tcb& tcb) {
  if (!has(tcb, rcv_tuned)) return cx.first_receive_limit;
  return memory_is_scarce(cx) ? cx.first_receive_limit : rare(tcb).rcv_limit;
}

std::uint16_t measured_window_field(Context& cx, Tcb& tcb) { return offer_window(tcb, receive_limit(cx, tcb), unread_bytes(tcb)); }

bool window_update_is_due(const Context& cx, const Tcb& tcb) {
  const std::uint32_t limit = receive_limit(cx, tcb);
  const std::uint32_t granule = 1u << shift_of(tcb);
  const std::uint32_t space = space_for(limit, tcb) & ~(granule - 1);  // as far as it can be said
  const std::uint32_t offered = distance(tcb.rcv_nxt, tcb.rcv_adv);
  return space > offered && space - offered >= std::min<std::uint32_t>(limit / 2, 2u * tcb.rcv_mss);
}

void tune_receive_window(Context& cx, Tcb& tcb, const wire::TcpOptions& options, Seq taken) {
  if (!has(tcb, rcv_tuned)) {
    set(tcb, rcv_tuned);
    take_rare(cx, tcb).rcv_limit = cx.first_receive_limit;
    begin_round(cx, tcb, taken);
    return;
  }
  const std::uint32_t most = has(tcb, wscale_enabled) ? cx.config.tcp.receive_buffer : syn_receive_window(cx);
  if (rare(tcb).rcv_limit >= most || !round_is_over(cx, tcb, options)) return;
  const std::uint64_t wanted = std::uint64_t{growth_factor} * distance(rare(tcb).rcv_mark, taken) +
                               slack_segments * std::uint32_t{tcb.rcv_mss};
  begin_round(cx, tcb, taken);
  if (wanted <= rare(tcb).rcv_limit) return;
  if (memory_is_short(cx)) {
    ++cx.stats.receive_windows_held;
    return;
  }
  take_rare(cx, tcb).rcv_limit = static_cast<std::uint32_t>(std::min<std::uint64_t>(wanted, most));
  ++cx.stats.receive_windows_grown;
}

}  // namespace handfast::tcp
