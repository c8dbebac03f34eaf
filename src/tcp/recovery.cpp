// SPDX-License-Identifier: BSD-3-Clause
// Loss recovery. Layer: tcp; see recovery.hpp. Undoing it is in undo.cpp, judging by time in rack.cpp.
#include "tcp/recovery.hpp"

#include <algorithm>

#include "tcp/congestion.hpp"
#include "tcp/rack.hpp"
#include "tcp/rtt.hpp"
#include "tcp/timeouts.hpp"
#include "tcp/undo.hpp"
#include "tcp/path_probe.hpp"

namespace handfast::tcp {
namespace {

/// Proportional rate reduction (RFC 6937 section 3): what may be sent for this ACK.
void reduce_in_proportion(Tcb& tcb, Flight& flight, std::uint32_t delivered, bool advanced) {
  flight.prr_delivered += delivered;
  const std::uint32_t in_flight = pipe(tcb);
  std::uint32_t may_send = 0;
  if (in_flight > tcb.ssthresh) {
    const std::uint64_t target =
        (std::uint64_t{flight.prr_delivered} * tcb.ssthresh + flight.recover_flight - 1) / std::max(flight.recover_flight, 1u);
    may_send = target > flight.prr_out ? static_cast<std::uint32_t>(target - flight.prr_out) : 0;
  } else {
    std::uint32_t limit = flight.prr_delivered > flight.prr_out ? flight.prr_delivered - flight.prr_out : 0;
    limit = std::max(limit, delivered);
    if (advanced) limit += tcb.snd_mss;  // slow-start reduction bound, where the ACK is good news
    may_send = std::min(tcb.ssthresh - in_flight, limit);
  }
  tcb.cwnd = std::max<std::uint32_t>(in_flight + may_send, tcb.snd_mss);
}

void enter_fast_recovery(Context& cx, Tcb& tcb, Flight& flight, const Delivery& d) {
  start_undo(tcb, flight);
  const CongestionOps& ops = congestion(tcb);
  const std::uint32_t ssthresh = ops.reduce(cx, tcb, flight, false);
  if (!ops.models) tcb.ssthresh = std::max(ssthresh, 2u * tcb.snd_mss);
  flight.recover = tcb.snd_nxt;
  flight.recover_flight = distance(tcb.snd_una, tcb.snd_nxt) + d.acked;
  flight.prr_delivered = flight.prr_out = 0;
  flight.prr_duplicates = tcb.dup_acks != 0 ? (tcb.dup_acks - 1u) * tcb.snd_mss : 0;  // the last one counts in recovery
  flight.cwnd_acked = 0;
  flight.send_one = true;
  flight.tlp_out = false;
  tcb.recovery = Recovery::fast;
  flight.copy_lost = false;
  flight.reduced_us = cx.now_us;
  ++cx.stats.fast_retransmits;
}

/// rfc5681 4.3b, rfc8985 9.3b: in fast recovery a copy was lost as well.
void reduce_again(Context& cx, Tcb& tcb, Flight& flight) {
  flight.copy_lost = false;
  const CongestionOps& ops = congestion(tcb);
  if (ops.models || cx.now_us - flight.reduced_us < tcb.srtt_us) return;
  tcb.ssthresh = std::max(std::min(tcb.ssthresh, ops.reduce(cx, tcb, flight, false)), 2u * tcb.snd_mss);
  flight.reduced_us = cx.now_us;
  flight.undo_on = false;
}

/// A probe of a larger segment size is lost all the time; that is what it is for (RFC 4821 section 7.6.2).
bool is_congestion(Context& cx, Tcb& tcb, Flight& flight) {
  if (flight.lost == flight.forgiven) return false;
  if (has(tcb, mss_unsettled)) note_lost_probe(cx, tcb, flight);
  return flight.lost != flight.forgiven;
}

void finish_recovery(Context& cx, Tcb& tcb, Flight& flight) {
  const CongestionOps& ops = congestion(tcb);
  if (tcb.recovery == Recovery::fast && !ops.models) tcb.cwnd = std::max<std::uint32_t>(tcb.ssthresh, tcb.snd_mss);
  if (tcb.recovery == Recovery::fast) ops.on_recovered(cx, tcb, flight);
  tcb.recovery = Recovery::open;
  tcb.dup_acks = 0;
  flight.frto = 0;
  rack_recovered(flight);
}

/// Without SACK: the third duplicate ACK, and in recovery each partial ACK, say that the first segment is lost
/// (RFC 5681 section 3.2, RFC 6582 section 3.2).
std::uint32_t detect_by_duplicates(Tcb& tcb, Flight& flight, const AckArrival& arrival) {
  if (flight.sent.empty()) return 0;
  const std::uint32_t front = flight.sent.front_number();
  switch (tcb.recovery) {
    case Recovery::open:
      if ((flight.sent.front().flags & sent_lost) != 0) return 0;  // known, and forgiven
      // rfc6582 3.2 step 2: duplicates of the last ACK of a recovery may be echoes of its retransmissions.
      if (!arrival.duplicate || tcb.dup_acks < duplicate_threshold || !after(tcb.snd_una, flight.recover)) return 0;
      break;
    case Recovery::fast:
      if (arrival.duplicate || arrival.prior_una == tcb.snd_una) return 0;
      if (!before(tcb.snd_una, flight.recover)) return 0;  // a full acknowledgment: nothing of this recovery is missing
      flight.send_one = true;  // no other ACK may come to let it out
      break;
    case Recovery::timeout:
      return 0;
  }
  return mark_lost(tcb, flight, front);
}

void take_samples(Context& cx, Tcb& tcb, Flight& flight, const Delivery& d, const AckArrival& arrival) {
  if (d.rtt_us != 0) {
    flight.tlp_unmeasured = false;
    if (before(d.rtt_right, flight.rtt_seq)) return;  // one a round trip
    take_rtt_sample(cx, tcb, d.rtt_us);
    flight.rtt_seq = tcb.snd_nxt;
  } else if (d.acked != 0 && has(tcb, ts_enabled) && arrival.has_echo && arrival.echo != 0) {
    // What it acknowledges was sent twice; the echo tells which copy this answers (RFC 7323 section 4).
    const std::uint32_t ms = ts_now(cx, tcb) - arrival.echo;
    if (ms < 1u << 22) {
      take_rtt_sample(cx, tcb, ms * 1000);
      flight.tlp_unmeasured = false;
    }
  }
}

/// What recovery was to achieve is achieved, or was never necessary.
void look_at_state(Context& cx, Tcb& tcb, Flight& flight, const Delivery& d) {
  if (tcb.recovery != Recovery::open && !before(tcb.snd_una, flight.recover)) finish_recovery(cx, tcb, flight);
  // Kept close behind: 2 GiB further on, a number left where it was would look like one that is still to come.
  if (tcb.recovery == Recovery::open && after(tcb.snd_una, flight.recover)) flight.recover = tcb.snd_una - 1;
  if (tcb.recovery == Recovery::open && is_congestion(cx, tcb, flight)) enter_fast_recovery(cx, tcb, flight, d);
  if (tcb.recovery == Recovery::fast && flight.copy_lost) reduce_again(cx, tcb, flight);
}

/// What counts towards a larger window. The ACK that has reduced it opens nothing; nor does the one that ends fast recovery,
/// and the one that ends the repair of a time-out one segment (RFC 3465 section 2.3).
std::uint32_t opening_bytes(const Tcb& tcb, const Delivery& d, const AckArrival& arrival, Recovery was) {
  if (arrival.reduced) return 0;
  if (was == tcb.recovery || tcb.recovery != Recovery::open) return d.acked;
  return was == Recovery::timeout ? std::min<std::uint32_t>(d.acked, tcb.snd_mss) : 0;
}

/// RFC 6937 section 2, DeliveredData. Without SACK each duplicate ACK stands for a segment, and what is acknowledged after
/// that does not count again: the sum is how far it went.
std::uint32_t delivered_data(const Tcb& tcb, Flight& flight, const Delivery& d, const AckArrival& arrival) {
  if (has(tcb, sack_enabled)) return d.bytes;
  if (arrival.duplicate) {
    flight.prr_duplicates += tcb.snd_mss;
    return tcb.snd_mss;
  }
  const std::uint64_t told = std::uint64_t{arrival.told} * tcb.snd_mss;
  const auto again = static_cast<std::uint32_t>(std::min<std::uint64_t>(flight.prr_duplicates, told));
  flight.prr_duplicates -= again;
  if (again <= d.bytes) return d.bytes - again;
  flight.prr_delivered -= std::min(flight.prr_delivered, again - d.bytes);  // they were smaller
  return 0;
}

// MUST-19: slow start and congestion avoidance, by the algorithm that was chosen.
void move_window(Context& cx, Tcb& tcb, Flight& flight, const Delivery& d, const AckArrival& arrival, std::uint32_t lost,
                 const RateSample& rate, Recovery was) {
  const CongestionOps& ops = congestion(tcb);
  if (tcb.recovery != Recovery::fast || ops.models) {
    AckEvent event;
    event.acked = ops.models ? d.acked : opening_bytes(tcb, d, arrival, was);
    event.delivered = d.bytes;
    event.lost = lost;
    event.prior_flight = d.prior_flight;
    event.flight = pipe(tcb);
    event.rtt_us = d.rtt_us;
    const bool slow_start = tcb.cwnd < tcb.ssthresh;
    event.cwnd_limited = has(tcb, cwnd_limited) || tcb.recovery == Recovery::timeout || (slow_start && d.prior_flight > tcb.cwnd / 2);
    event.ece = arrival.ece && has(tcb, ecn_on);
    event.rate = rate;
    if (lost != 0) {
      event.lost_in_flight = flight.newest_lost_flight;
      event.lost_since = flight.lost_total - flight.newest_lost_mark;
    }
    if (d.bytes != 0 || lost != 0) ops.on_ack(cx, tcb, flight, event);
    tcb.cwnd = std::clamp<std::uint32_t>(tcb.cwnd, tcb.snd_mss, max_window);
  } else if (d.bytes != 0 || arrival.duplicate) {
    reduce_in_proportion(tcb, flight, delivered_data(tcb, flight, d, arrival), d.acked != 0);
  }
}

}  // namespace

// SHLD-8, rfc3168 6.1.2b: once a window.
bool react_to_ece(Context& cx, Tcb& tcb, Flight& flight, Seq ack) {
  if (tcb.recovery != Recovery::open || (flight.cwr_on && before(ack, flight.cwr_end))) return false;
  const CongestionOps& ops = congestion(tcb);
  const std::uint32_t ssthresh = ops.reduce(cx, tcb, flight, true);
  if (!ops.models) {
    tcb.ssthresh = std::max(ssthresh, 2u * tcb.snd_mss);
    tcb.cwnd = std::min(tcb.cwnd, tcb.ssthresh);
  }
  flight.cwr_on = true;
  flight.cwr_end = tcb.snd_nxt;
  set(tcb, cwr_due);
  ++cx.stats.ecn_reductions;
  return true;
}

void react_to_ack(Context& cx, Tcb& tcb, Flight& flight, const Delivery& d, const AckArrival& arrival) {
  const RateSample rate = rate_sample(cx, flight, d);
  take_samples(cx, tcb, flight, d, arrival);
  if (d.duplicate_sack) rack_duplicate(tcb, flight);
  if (flight.undo_on) look_for_spurious(cx, tcb, flight, d, arrival);
  const bool probe_repaired = probe_repaired_loss(tcb, flight, tcb.snd_una, arrival.duplicate, d);
  std::uint32_t lost = 0;
  if (!has(tcb, sack_enabled))
    lost = detect_by_duplicates(tcb, flight, arrival);
  else if (d.any)
    lost = rack_detect(cx, tcb, flight);
  const Recovery was = tcb.recovery;
  look_at_state(cx, tcb, flight, d);
  if (probe_repaired && tcb.recovery == Recovery::open) {
    // rfc8985 7.4.2: as if fast recovery had begun and ended.
    enter_fast_recovery(cx, tcb, flight, d);
    flight.send_one = false;
    flight.recover = tcb.snd_una;
    finish_recovery(cx, tcb, flight);
  }
  if (flight.frto != 0) step_frto(cx, tcb, flight, d, arrival);
  move_window(cx, tcb, flight, d, arrival, lost, rate, was);
  if (tcb.snd_una == tcb.snd_nxt) {
    rest_flight(cx, tcb);
    tcb.rtx_deadline = never;  // RFC 6298 (5.2)
    return;
  }
  if (d.acked != 0) {
    restart_rto(cx, tcb, flight);  // (5.3)
    flight.probe_deadline = cx.now + probe_timeout(tcb, flight.sent.size() == 1);
  }
  if (!has(tcb, persist)) set_alarm(cx, tcb, flight);
}

void restart_rto(Context& cx, Tcb& tcb, Flight& flight) { flight.rto_deadline = before_giving_up(cx, tcb, cx.now + current_rto(cx, tcb)); }

void set_alarm(Context& cx, Tcb& tcb, Flight& flight) {
  Time at = flight.rto_deadline;
  flight.alarm = Flight::Alarm::retransmission;
  if (flight.probe_deadline != never && probe_is_eligible(tcb, flight)) {
    at = std::min(at, flight.probe_deadline);  // rfc8985 7.2: never later than the RTO, and then instead of it
    flight.alarm = Flight::Alarm::tail_probe;
  }
  if (flight.reorder_deadline < at) {
    at = flight.reorder_deadline;
    flight.alarm = Flight::Alarm::reordering;
  }
  tcb.rtx_deadline = at;
  arm_for(cx, tcb, at);
}

void on_reordering_timeout(Context& cx, Tcb& tcb, Flight& flight) {
  rack_detect(cx, tcb, flight);
  if (tcb.recovery == Recovery::open && is_congestion(cx, tcb, flight)) enter_fast_recovery(cx, tcb, flight, Delivery{});
  if (tcb.recovery == Recovery::fast && !congestion(tcb).models) {
    // Nothing was delivered. Below the threshold a segment of what was found may leave, above it ACKs will let it.
    reduce_in_proportion(tcb, flight, 0, true);
  }
  set_alarm(cx, tcb, flight);
}

void resend_flight(Context& cx, Tcb& tcb) {
  Flight* flight = take_flight(cx, tcb);
  if (flight == nullptr) return;  // output sends what is in flight as it stands
  if (flight->sent.empty()) return;
  cut_anew(cx, tcb, *flight);
  mark_all_lost(cx, tcb, *flight);
  flight->recover = tcb.snd_nxt;
  flight->send_one = true;
  flight->undo_on = flight->tlp_out = false;
  flight->reorder_deadline = flight->probe_deadline = never;
  tcb.recovery = Recovery::timeout;
  tcb.dup_acks = 0;
}

void on_retransmission_timeout(Context& cx, Tcb& tcb) {
  ++cx.stats.timeouts;
  Flight* taken = take_flight(cx, tcb);
  if (taken == nullptr) return;
  Flight& flight = *taken;
  if (flight.sent.empty()) return;
  const bool first = tcb.backoff == 0;
  if (first && tcb.recovery == Recovery::open) start_undo(tcb, flight);
  // The first segment cannot both be missing and be there: the peer has dropped what it had SACKed (RFC 2018 section 8).
  if ((flight.sent.front().flags & sent_sacked) != 0) {
    forget_sacks(tcb, flight);
    ++cx.stats.sack_reneging;
  }
  start_frto(tcb, flight, first);
  // rfc5681 3.1 (4): what was sent again by the timer already says nothing new of the path.
  if (first || congestion(tcb).models)
    congestion(tcb).on_timeout(cx, tcb, flight);
  else
    tcb.cwnd = tcb.snd_mss;
  if (has(tcb, sack_enabled))
    rack_mark_on_timeout(cx, tcb, flight);
  else
    mark_all_lost(cx, tcb, flight);
  flight.recover = tcb.snd_nxt;
  flight.send_one = true;
  flight.tlp_out = false;
  flight.reorder_deadline = flight.probe_deadline = never;
  tcb.recovery = Recovery::timeout;
  tcb.dup_acks = 0;
}

}  // namespace handfast::tcp
