// SPDX-License-Identifier: BSD-3-Clause
// The bookkeeping of what is in flight. Layer: tcp; see flights.hpp.
#include "tcp/flights.hpp"

#include <algorithm>
#include <array>
#include <limits>
#include <new>

#include "tcp/calls.hpp"
#include "tcp/congestion.hpp"
#include "tcp/rack.hpp"

namespace handfast::tcp {
namespace {

bool is_before(std::uint32_t n, std::uint32_t m) { return static_cast<std::int32_t>(n - m) < 0; }

/// Cursors never point at records that are gone.
void pull_cursors(Flight& flight) {
  const std::uint32_t front = flight.sent.front_number();
  if (is_before(flight.judged, front)) flight.judged = front;
  if (is_before(flight.next_lost, front)) flight.next_lost = front;
}

/// What the sender knew when this copy left (for the rate sample and for RACK).
void stamp(const Context& cx, const Tcb& tcb, Flight& flight, Sent& record, std::uint32_t length) {
  if (flight.sent.size() == 1) flight.first_sent_us = flight.delivered_us = cx.now_us;
  record.sent_us = cx.now_us;
  record.delivered = flight.delivered;
  record.delivered_us = flight.delivered_us;
  record.first_us = flight.first_sent_us;
  record.lost = flight.lost_total;
  record.in_flight = pipe(tcb) + length;
  if (flight.app_limited_until != 0)
    record.flags |= sent_app_limited;
  else
    record.flags &= ~std::uint32_t{sent_app_limited};
}

/// The pool is empty: the one that has rested longest goes.
bool take_from_idle(Context& cx) {
  if (cx.idle_flights.empty()) return false;
  free_flight(cx, cx.tcbs[cx.idle_flights.front().owner]);
  return true;
}

void note_arrival(const Context& cx, Tcb& tcb, Flight& flight, const Sent& record, Delivery& d, const wire::TcpOptions& options) {
  d.any = true;
  if ((record.flags & sent_twice) == 0) {
    if (before_eq(record.right, flight.recover)) d.original = true;
    const std::uint32_t rtt = std::max<std::uint32_t>(cx.now_us - record.sent_us, 1);
    if (d.rtt_us == 0 || rtt <= d.rtt_us) {
      d.rtt_us = rtt;
      d.rtt_right = record.right;
    }
  }
  if (!d.has_newest || static_cast<std::int32_t>(record.delivered - d.newest.delivered) > 0 ||
      (record.delivered == d.newest.delivered && static_cast<std::int32_t>(record.sent_us - d.newest.sent_us) >= 0)) {
    d.newest = record;
    d.has_newest = true;
  }
  if (has(tcb, sack_enabled)) rack_arrival(cx, tcb, flight, record, options);
}

void take_off_sums(Flight& flight, const Sent& record, std::uint32_t bytes) {
  if ((record.flags & sent_sacked) != 0) flight.sacked -= bytes;
  if ((record.flags & sent_lost) != 0) {
    flight.lost -= bytes;
    if ((record.flags & sent_probe) != 0) flight.forgiven -= bytes;
  }
  if ((record.flags & sent_again) != 0) flight.resent -= bytes;
}

void deliver_cumulative(Context& cx, Tcb& tcb, Flight& flight, Seq ack, const wire::TcpOptions& options, Delivery& d) {
  d.acked = distance(tcb.snd_una, ack);
  Seq left = tcb.snd_una;
  while (!flight.sent.empty() && !after(flight.sent.front().right, ack)) {
    const Sent& record = flight.sent.front();
    const std::uint32_t length = distance(left, record.right);
    left = record.right;
    take_off_sums(flight, record, length);
    if ((record.flags & sent_sacked) != 0) {
      --flight.sacked_segments;
    } else {
      d.bytes += length;
      note_arrival(cx, tcb, flight, record, d, options);
    }
    flight.sent.pop(cx.chunks);
  }
  if (!flight.sent.empty() && after(ack, left)) {  // a part of one
    const std::uint32_t part = distance(left, ack);
    take_off_sums(flight, flight.sent.front(), part);
    if ((flight.sent.front().flags & sent_sacked) == 0) d.bytes += part;
  }
  pull_cursors(flight);
}

}  // namespace

std::uint32_t first_behind(const Flight& flight, Seq at) {
  std::uint32_t low = flight.sent.front_number();
  std::uint32_t count = flight.sent.size();
  while (count != 0) {
    const std::uint32_t half = count / 2;
    if (after(flight.sent[low + half].right, at)) {
      count = half;
    } else {
      low += half + 1;
      count -= half + 1;
    }
  }
  return low;
}

namespace {

void mark_sacked(Context& cx, Tcb& tcb, Flight& flight, std::uint32_t n, const wire::TcpOptions& options, Delivery& d) {
  Sent& record = flight.sent[n];
  const std::uint32_t length = length_of(tcb, flight, n);
  note_arrival(cx, tcb, flight, record, d, options);
  d.bytes += length;
  take_off_sums(flight, record, length);
  record.flags = (record.flags & ~std::uint32_t{sent_lost | sent_again | sent_probe}) | sent_sacked;
  record.in_flight = n + 1;
  flight.sacked += length;
  ++flight.sacked_segments;
}

/// One block: whole records inside it. A run of records that are SACKed already is passed in a few steps, whatever its
/// length, so that a peer cannot buy work with blocks that say nothing new (sec C10).
void apply_block(Context& cx, Tcb& tcb, Flight& flight, const wire::SackBlock& block, const wire::TcpOptions& options, Delivery& d) {
  std::uint32_t n = first_behind(flight, block.left);
  if (n != flight.sent.back_number() && before(left_of(tcb, flight, n), block.left)) ++n;
  const std::uint32_t begin = n;
  while (n != flight.sent.back_number() && !after(flight.sent[n].right, block.right)) {
    if ((flight.sent[n].flags & sent_sacked) == 0) {
      mark_sacked(cx, tcb, flight, n, options, d);
      ++n;
    } else {
      n = flight.sent[n].in_flight;
    }
  }
  // The next walk over these goes in one step.
  if (n != begin && flight.sent.contains(begin)) {
    for (std::uint32_t i = begin, next = 0; i != n; i = next) {
      next = flight.sent[i].in_flight;
      flight.sent[i].in_flight = n;
      if (i - begin > 64) break;  // the rest is shortened another time
    }
  }
}

/// RFC 2883 section 4: the first block tells of a duplicate if it lies below the cumulative ACK or inside the second.
bool is_duplicate_sack(const wire::TcpOptions& options, Seq ack) {
  const wire::SackBlock& first = options.sack[0];
  if (before_eq(first.right, ack)) return true;
  if (options.sack_count < 2) return false;
  const wire::SackBlock& second = options.sack[1];
  return before_eq(second.left, first.left) && before_eq(first.right, second.right);
}

/// In ascending order, whatever the order in the option: what one ACK tells of at once is no reordering (rfc8985 6.2
/// step 3).
void apply_sack(Context& cx, Tcb& tcb, Flight& flight, Seq ack, const wire::TcpOptions& options, Delivery& d) {
  std::array<std::uint8_t, std::tuple_size_v<decltype(options.sack)>> order{};
  for (std::uint8_t i = 0; i < options.sack_count; ++i) {
    std::uint8_t at = i;
    for (; at != 0 && before(options.sack[i].left, options.sack[order[at - 1u]].left); --at) order[at] = order[at - 1u];
    order[at] = i;
  }
  for (std::size_t k = 0; k < options.sack_count; ++k) {
    const std::size_t i = order[k];
    const wire::SackBlock& block = options.sack[i];
    if (!before(block.left, block.right) || after(block.right, tcb.snd_nxt)) continue;
    if (i == 0 && is_duplicate_sack(options, ack)) {
      // Of what was in flight not long ago; anything older is an old ACK or a lie.
      if (distance(block.left, tcb.snd_nxt) > max_window) continue;
      d.duplicate_sack = true;
      d.dsack_left = block.left;
      d.dsack_right = block.right;
      continue;
    }
    if (!after(block.left, ack)) continue;
    d.sack_block = true;
    if (!flight.sent.empty()) apply_block(cx, tcb, flight, block, options, d);
  }
}

}  // namespace

Flight* take_flight(Context& cx, Tcb& tcb) {
  Flight* flight = tcb.flight;
  if (flight != nullptr) {
    if (flight->is_linked()) IdleFlights::erase(*flight);
    return flight;
  }
  flight = cx.flights.allocate();
  if (flight == nullptr && take_from_idle(cx)) flight = cx.flights.allocate();
  if (flight == nullptr) return nullptr;
  ::new (static_cast<void*>(flight)) Flight;
  flight->owner = cx.tcbs.index_of(tcb);
  flight->fack = flight->rack_right = flight->rtt_seq = tcb.snd_una;
  flight->recover = tcb.snd_una - 1;
  flight->delivered_us = flight->first_sent_us = cx.now_us;
  tcb.flight = flight;
  if (tcb.snd_una != tcb.snd_nxt && !has(tcb, probe_out)) {
    if (!has_send_memory(cx) || !flight->sent.reserve(cx.chunks)) {
      free_flight(cx, tcb);
      return nullptr;
    }
    Sent record;
    record.right = tcb.snd_nxt;
    record.sent_us = record.delivered_us = record.first_us = flight->first_sent_us = flight->delivered_us = tcb.rtt_time_us;
    record.in_flight = distance(tcb.snd_una, tcb.snd_nxt);
    if (!has(tcb, rtt_timing)) record.flags |= sent_twice;
    flight->sent.push(record);
    flight->rto_deadline = tcb.rtx_deadline;
  }
  clear(tcb, rtt_timing);  // from here on its records tell
  congestion(tcb).start(cx, tcb, *flight);
  flight->started = true;
  return flight;
}

void free_flight(Context& cx, Tcb& tcb) {
  Flight* flight = tcb.flight;
  if (flight == nullptr) return;
  if (flight->is_linked()) IdleFlights::erase(*flight);
  flight->sent.clear(cx.chunks);
  flight->again.clear(cx.chunks);
  cx.flights.free(flight);
  tcb.flight = nullptr;
}

void rest_flight(Context& cx, Tcb& tcb) {
  Flight& flight = *tcb.flight;
  flight.again.clear(cx.chunks);
  flight.rto_deadline = flight.probe_deadline = flight.reorder_deadline = flight.pace_deadline = never;
  flight.new_place = flight.again_place = {};
  if (flight.is_linked()) return;
  flight.idle_since_us = cx.now_us;
  cx.idle_flights.push_back(flight);
}

void expire_flights(Context& cx, std::size_t limit) {
  constexpr auto keep_us = static_cast<std::uint32_t>(flight_keep / 1us);
  for (; limit != 0 && !cx.idle_flights.empty(); --limit) {
    Flight& flight = cx.idle_flights.front();
    if (cx.now_us - flight.idle_since_us < keep_us) return;
    free_flight(cx, cx.tcbs[flight.owner]);
  }
}

void enter_sent(Context& cx, Tcb& tcb, Flight& flight, Seq right) {
  const Seq left = flight.sent.empty() ? tcb.snd_una : flight.sent.back().right;
  Sent record;
  record.right = right;
  flight.sent.push(record);
  Sent& entered = flight.sent.back();
  stamp(cx, tcb, flight, entered, distance(left, right));
}

void enter_again(Context& cx, Tcb& tcb, Flight& flight, std::uint32_t n) {
  Sent& record = flight.sent[n];
  const std::uint32_t length = length_of(tcb, flight, n);
  record.flags |= sent_twice;
  stamp(cx, tcb, flight, record, length);
  if ((record.flags & sent_lost) == 0 || (record.flags & sent_again) != 0) return;
  record.flags |= sent_again;
  flight.resent += length;
  // Without a place in the order RACK does not judge this copy, and the retransmission timer does.
  if (flight.again.reserve(cx.chunks)) flight.again.push(n);
}

std::uint32_t mark_lost(Tcb& tcb, Flight& flight, std::uint32_t n) {
  Sent& record = flight.sent[n];
  const bool waits = (record.flags & sent_lost) != 0 && (record.flags & sent_again) == 0;
  if ((record.flags & sent_sacked) != 0 || waits) return 0;
  const std::uint32_t length = length_of(tcb, flight, n);
  if ((record.flags & sent_again) != 0) {
    record.flags &= ~std::uint32_t{sent_again};
    flight.resent -= length;
    if ((record.flags & sent_probe) != 0) {  // in ordinary size by now
      record.flags &= ~std::uint32_t{sent_probe};
      flight.forgiven -= length;
    }
  } else {
    record.flags |= sent_lost;
    flight.lost += length;
  }
  flight.lost_total += length;
  flight.newest_lost_flight = record.in_flight;
  flight.newest_lost_mark = record.lost;
  if (is_before(n, flight.next_lost)) flight.next_lost = n;
  return length;
}

void forgive(Tcb& tcb, Flight& flight, std::uint32_t n) {
  Sent& record = flight.sent[n];
  HF_ASSERT((record.flags & sent_lost) != 0);
  if ((record.flags & sent_probe) != 0) return;
  record.flags |= sent_probe;
  flight.forgiven += length_of(tcb, flight, n);
}

std::uint32_t mark_all_lost(Context& cx, Tcb& tcb, Flight& flight) {
  std::uint32_t bytes = 0;
  for (std::uint32_t n = flight.sent.front_number(); n != flight.sent.back_number(); ++n) bytes += mark_lost(tcb, flight, n);
  flight.again.clear(cx.chunks);
  flight.judged = flight.sent.back_number();
  flight.next_lost = flight.sent.front_number();
  return bytes;
}

void unmark_lost(Context& cx, Tcb& tcb, Flight& flight) {
  static_cast<void>(tcb);
  for (std::uint32_t n = flight.sent.front_number(); n != flight.sent.back_number(); ++n)
    flight.sent[n].flags &= ~std::uint32_t{sent_lost | sent_again | sent_probe};
  flight.lost = flight.resent = flight.forgiven = 0;
  flight.again.clear(cx.chunks);
  flight.judged = flight.next_lost = flight.sent.front_number();
}

void forget_sacks(Tcb& tcb, Flight& flight) {
  static_cast<void>(tcb);
  for (std::uint32_t n = flight.sent.front_number(); n != flight.sent.back_number(); ++n)
    flight.sent[n].flags &= ~std::uint32_t{sent_sacked};
  flight.sacked = flight.sacked_segments = 0;
  flight.judged = flight.sent.front_number();
}

void cut_anew(Context& cx, Tcb& tcb, Flight& flight) {
  Sent record = flight.sent.front();
  record.flags = sent_twice;
  flight.sent.clear(cx.chunks);
  flight.again.clear(cx.chunks);
  flight.sacked = flight.lost = flight.resent = flight.forgiven = flight.sacked_segments = 0;
  flight.judged = flight.next_lost = flight.sent.front_number();
  for (record.right = tcb.snd_una; before(record.right, tcb.snd_nxt);) {
    const std::uint32_t left = distance(record.right, tcb.snd_nxt), mss = tcb.snd_mss;
    record.right = left <= mss + 1 ? tcb.snd_nxt : record.right + mss;
    if (!flight.sent.reserve(cx.chunks)) {  // then the last one has the rest: it leaves in several segments
      flight.sent.back().right = tcb.snd_nxt;
      return;
    }
    flight.sent.push(record);
  }
}

std::optional<std::uint32_t> next_lost(Flight& flight) {
  if (flight.lost == flight.resent) return std::nullopt;
  for (std::uint32_t& n = flight.next_lost; n != flight.sent.back_number();) {
    const Sent& record = flight.sent[n];
    if ((record.flags & (sent_lost | sent_again)) == sent_lost) return n;
    n = (record.flags & sent_sacked) != 0 ? record.in_flight : n + 1;
  }
  return std::nullopt;
}

std::uint32_t pipe(const Tcb& tcb) {
  const std::uint32_t out = has(tcb, probe_out) ? 0 : distance(tcb.snd_una, tcb.snd_nxt);
  if (tcb.flight == nullptr) return out;
  const Flight& flight = *tcb.flight;
  std::uint32_t gone = flight.sacked + flight.lost - flight.resent;
  // Each duplicate ACK says that one segment has left the network (RFC 5681 section 3.2); after a timeout it is one of
  // those that count as lost already.
  if (!has(tcb, sack_enabled) && tcb.recovery != Recovery::timeout) gone += std::uint32_t{tcb.dup_acks} * tcb.snd_mss;
  return out - std::min(out, gone);
}

Delivery deliver_ack(Context& cx, Tcb& tcb, Flight& flight, Seq ack, const wire::TcpOptions& options) {
  Delivery d;
  d.prior_flight = pipe(tcb);
  if (after(ack, tcb.snd_una)) deliver_cumulative(cx, tcb, flight, ack, options, d);
  if (has(tcb, sack_enabled) && options.sack_count != 0) apply_sack(cx, tcb, flight, ack, options, d);
  return d;
}

RateSample rate_sample(Context& cx, Flight& flight, const Delivery& d) {
  RateSample rate;
  flight.delivered += d.bytes;
  if (d.bytes != 0) flight.delivered_us = cx.now_us;
  if (flight.app_limited_until != 0 && static_cast<std::int32_t>(flight.delivered - flight.app_limited_until) > 0)
    flight.app_limited_until = 0;
  if (!d.has_newest) return rate;
  const std::uint32_t sending_us = d.newest.sent_us - d.newest.first_us;
  const std::uint32_t arriving_us = cx.now_us - d.newest.delivered_us;
  flight.first_sent_us = d.newest.sent_us;
  rate.interval_us = std::max(sending_us, arriving_us);
  rate.prior_delivered = d.newest.delivered;
  rate.lost = flight.lost_total - d.newest.lost;
  rate.in_flight = d.newest.in_flight;
  rate.app_limited = (d.newest.flags & sent_app_limited) != 0;
  // Quicker than the path can be: an echo of what was sent twice.
  if (rate.interval_us != 0 && rate.interval_us >= flight.min_rtt_us) rate.delivered = flight.delivered - d.newest.delivered;
  return rate;
}

}  // namespace handfast::tcp
