// SPDX-License-Identifier: BSD-3-Clause
// RACK-TLP (RFC 8985). Layer: tcp; see rack.hpp.
#include "tcp/rack.hpp"

#include <algorithm>

namespace handfast::tcp {
namespace {

/// RTTs older than this do not count for the least one (the path may have changed).
constexpr std::uint32_t min_rtt_lifetime_ms = 5 * 60 * 1000;
constexpr std::uint8_t reordering_persists = 16;

/// RACK_sent_after(): was (us, right) sent after (other_us, other_right)?
bool sent_after(std::uint32_t us, Seq right, std::uint32_t other_us, Seq other_right) {
  const auto later = static_cast<std::int32_t>(us - other_us);
  return later > 0 || (later == 0 && after(right, other_right));
}

/// A copy that was sent again may have arrived as the first one: an echo from before it left, or a round trip quicker
/// than the path has ever been.
bool is_of_earlier_copy(const Context& cx, const Tcb& tcb, const Flight& flight, const Sent& record, const wire::TcpOptions& options) {
  if ((record.flags & sent_twice) == 0) return false;
  const std::uint32_t age_us = cx.now_us - record.sent_us;
  if (has(tcb, ts_enabled) && options.has_timestamps) {
    const std::uint32_t age_of_echo_ms = ts_now(cx, tcb) - options.ts_ecr;
    if (static_cast<std::int32_t>(age_of_echo_ms) > static_cast<std::int32_t>(age_us / 1000 + 1)) return true;
  }
  return age_us < flight.min_rtt_us;
}

void note_min_rtt(const Context& cx, Flight& flight, std::uint32_t rtt_us) {
  const bool expired = flight.min_rtt_us != 0 && cx.now_ms - flight.min_rtt_ms > min_rtt_lifetime_ms;
  if (flight.min_rtt_us != 0 && rtt_us > flight.min_rtt_us && !expired) return;
  flight.min_rtt_us = rtt_us;
  flight.min_rtt_ms = cx.now_ms;
}

std::uint32_t reordering_window(const Tcb& tcb, const Flight& flight) {
  if (!flight.reordering_seen) {
    if (tcb.recovery != Recovery::open) return 0;
    if (flight.sacked_segments >= duplicate_threshold) return 0;
  }
  const std::uint64_t window = std::uint64_t{flight.reo_wnd_mult} * flight.min_rtt_us / 4;
  return static_cast<std::uint32_t>(std::min<std::uint64_t>(window, tcb.srtt_us));
}

struct Judge {
  const Flight& flight;
  std::uint32_t now_us, wait_us;  // RACK.rtt + reo_wnd

  enum class Word : std::uint8_t { later, soon, lost };
  /// `soon`: how much later stands in remaining_us.
  Word operator()(const Sent& record, std::uint32_t& remaining_us) const {
    if (!sent_after(flight.rack_us, flight.rack_right, record.sent_us, record.right)) return Word::later;
    // Within one tick of the clock the order of numbers is that of first copies only.
    if (flight.rack_us == record.sent_us && (record.flags & sent_twice) != 0) return Word::later;
    const auto remaining = static_cast<std::int32_t>(record.sent_us + wait_us - now_us);
    if (remaining <= 0) return Word::lost;
    remaining_us = static_cast<std::uint32_t>(remaining);
    return Word::soon;
  }
};

}  // namespace

void rack_arrival(const Context& cx, Tcb& tcb, Flight& flight, const Sent& record, const wire::TcpOptions& options) {
  const std::uint32_t rtt_us = cx.now_us - record.sent_us;
  if (!is_of_earlier_copy(cx, tcb, flight, record, options)) {
    if ((record.flags & sent_twice) == 0) note_min_rtt(cx, flight, std::max<std::uint32_t>(rtt_us, 1));
    flight.rack_rtt_us = rtt_us;
    if (!flight.rack_valid || sent_after(record.sent_us, record.right, flight.rack_us, flight.rack_right)) {
      flight.rack_us = record.sent_us;
      flight.rack_right = record.right;
      flight.rack_valid = true;
    }
  }
  if (after(record.right, flight.fack))
    flight.fack = record.right;
  else if (before(record.right, flight.fack) && (record.flags & sent_twice) == 0)
    flight.reordering_seen = true;
}

void rack_duplicate(const Tcb& tcb, Flight& flight) {
  if (flight.dsack_round_on && before(tcb.snd_una, flight.dsack_round)) return;
  flight.dsack_round_on = true;
  flight.dsack_round = tcb.snd_nxt;
  if (flight.reo_wnd_mult != 0xff) ++flight.reo_wnd_mult;
  flight.reo_wnd_persist = reordering_persists;
}

void rack_recovered(Flight& flight) {
  if (flight.reo_wnd_persist == 0) return;
  if (--flight.reo_wnd_persist == 0) flight.reo_wnd_mult = 1;
}

std::uint32_t rack_detect(Context& cx, Tcb& tcb, Flight& flight) {
  flight.reorder_deadline = never;
  if (!flight.rack_valid) return 0;
  const Judge judge{flight, cx.now_us, flight.rack_rtt_us + reordering_window(tcb, flight)};
  std::uint32_t bytes = 0, wait_us = 0;
  // Those that left once, in the order in which they did.
  for (std::uint32_t& n = flight.judged; n != flight.sent.back_number();) {
    const Sent& record = flight.sent[n];
    if ((record.flags & sent_sacked) != 0) {
      n = record.in_flight;
      continue;
    }
    if ((record.flags & sent_lost) == 0) {
      std::uint32_t remaining_us = 0;
      const Judge::Word word = judge(record, remaining_us);
      if (word == Judge::Word::soon) wait_us = remaining_us;
      if (word != Judge::Word::lost) break;
      bytes += mark_lost(tcb, flight, n);
    }
    ++n;
  }
  // And copies, in the order in which they left again.
  while (!flight.again.empty()) {
    const std::uint32_t n = flight.again.front();
    if (flight.sent.contains(n) && (flight.sent[n].flags & sent_again) != 0) {
      std::uint32_t remaining_us = 0;
      const Judge::Word word = judge(flight.sent[n], remaining_us);
      if (word == Judge::Word::soon && (wait_us == 0 || remaining_us < wait_us)) wait_us = remaining_us;
      if (word != Judge::Word::lost) break;
      bytes += mark_lost(tcb, flight, n);
      flight.copy_lost = true;
    }
    flight.again.pop(cx.chunks);
  }
  if (wait_us != 0) flight.reorder_deadline = cx.now + std::chrono::microseconds{wait_us};
  return bytes;
}

std::uint32_t rack_mark_on_timeout(Context& cx, Tcb& tcb, Flight& flight) {
  const std::uint32_t wait_us = flight.rack_rtt_us + reordering_window(tcb, flight);
  std::uint32_t bytes = 0;
  flight.again.clear(cx.chunks);
  for (std::uint32_t n = flight.sent.front_number(); n != flight.sent.back_number(); ++n) {
    const bool first = n == flight.sent.front_number();
    const bool long_ago = static_cast<std::int32_t>(flight.sent[n].sent_us + wait_us - cx.now_us) <= 0;
    if (first || long_ago)
      bytes += mark_lost(tcb, flight, n);
    else if ((flight.sent[n].flags & sent_again) != 0 && flight.again.reserve(cx.chunks))
      flight.again.push(n);
  }
  flight.judged = flight.sent.front_number();
  flight.next_lost = flight.sent.front_number();
  return bytes;
}

Duration probe_timeout(const Tcb& tcb, bool one_segment) {
  if (tcb.srtt_us == 0) return 1s;
  Duration timeout = std::chrono::microseconds{2 * std::uint64_t{tcb.srtt_us}};
  if (one_segment) timeout += tail_probe_ack_delay;
  return std::max(timeout, tail_probe_floor);
}

bool probe_is_eligible(const Tcb& tcb, const Flight& flight) {
  return has(tcb, sack_enabled) && tcb.recovery == Recovery::open && flight.sacked == 0 && flight.lost == 0 && !flight.tlp_out &&
         !flight.tlp_unmeasured &&  // rfc8985 7.3 (2)
         tcb.backoff == 0 && !flight.sent.empty();
}

bool probe_repaired_loss(const Tcb& tcb, Flight& flight, Seq ack, bool duplicate, const Delivery& d) {
  static_cast<void>(tcb);
  if (!flight.tlp_out || before(ack, flight.tlp_end)) return false;
  if (!flight.tlp_again) {
    flight.tlp_out = false;
    return false;
  }
  if (d.duplicate_sack && d.dsack_right == flight.tlp_end) {
    flight.tlp_out = false;  // both copies arrived
    return false;
  }
  if (after(ack, flight.tlp_end)) {
    flight.tlp_out = false;
    return true;
  }
  if (duplicate && !d.sack_block) flight.tlp_out = false;
  return false;
}

}  // namespace handfast::tcp
