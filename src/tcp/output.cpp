// SPDX-License-Identifier: BSD-3-Clause
// The sender: what may leave now (RFC 9293 section 3.8.6.2.1, RFC 5681), and in which segments. Layer: tcp.
// Single segments for a purpose (SYN, RST, challenge ACK, probe) are in replies.cpp.
#include "tcp/output.hpp"

#include <algorithm>

#include "tcp/calls.hpp"
#include "tcp/ecn.hpp"
#include "tcp/rack.hpp"
#include "tcp/path_probe.hpp"
#include "tcp/large_segment.hpp"
#include "tcp/recovery.hpp"
#include "tcp/segment_builder.hpp"
#include "tcp/state.hpp"
#include "tcp/timeouts.hpp"
#include "tcp/undo.hpp"
#include "tcp/window_validation.hpp"

namespace handfast::tcp {
namespace {

/// SHLD-27, SHLD-28: whatever pieces it was sent in.
/// Points the segment at [at, at + length) of the send queue; may shorten it (too many pieces). The extent is looked for
/// from `place`, where the last one was found, if that is not behind.
void gather(const Tcb& tcb, TxSegment& segment, Seq at, std::uint32_t length, Flight::Place* place) {
  Extent* extent = tcb.send_head;
  Seq begin = tcb.snd_una;
  if (place != nullptr && place->extent != nullptr && place->extent != extent && before_eq(place->at, at)) {
    extent = place->extent;
    begin = place->at;
  }
  while (distance(begin, at) >= extent->length) {
    begin += extent->length;
    extent = extent->next;
  }
  if (place != nullptr) *place = {extent, begin};
  std::uint32_t offset = distance(begin, at), taken = 0;
  std::uint8_t pieces = 0;
  while (taken < length && pieces < max_pieces) {
    const std::uint32_t n = std::min(extent->length - offset, length - taken);
    segment.piece[pieces++] = {extent->data + offset, n};
    taken += n;
    offset = 0;
    extent = extent->next;
  }
  segment.pieces = pieces;
  segment.payload_length = taken;
}

/// One segment with data, FIN or both, from `at`. Returns the sequence space it took; 0 when there was no place.
std::uint32_t send_segment(Context& cx, Tcb& tcb, Seq at, std::uint32_t length, std::uint32_t mss, bool with_fin, bool fresh,
                           Flight::Place* place) {
  TxSegment* segment = begin_segment(cx, tcb, at, wire::ack);
  if (segment == nullptr) return 0;
  if (length != 0) gather(tcb, *segment, at, length, place);
  if (segment->payload_length != length) drop_partial_segment(*segment, mss);
  const bool last = distance(tcb.snd_una, at) + segment->payload_length == tcb.send_queued;
  if (with_fin && last) segment->flags |= wire::fin;  // MUST-61 is the next line
  if (segment->payload_length != 0 && last) segment->flags |= wire::psh;
  if (fresh && has(tcb, ecn_on) && segment->payload_length != 0) {  // rfc3168 6.1.2, 6.1.5: new data alone
    segment->tos |= ecn_capable;
    if (has(tcb, cwr_due)) segment->flags |= wire::cwr;
    clear(tcb, cwr_due);
  }
  commit_segment(cx, tcb, allow_cutting(*segment, mss));
  return segment->payload_length + ((segment->flags & wire::fin) != 0 ? 1 : 0);
}

void count_sent_again(Context& cx, Tcb& tcb) {
  ++cx.stats.retransmits;
  if (tcb.retransmits != 0xffff) ++tcb.retransmits;
}

/// [at, end) once more, in segments that the path takes now. False: no place.
bool send_range_again(Context& cx, Tcb& tcb, Seq at, Seq end, Flight::Place* place) {
  const Seq data_end = tcb.snd_una + tcb.send_queued;
  while (before(at, end)) {
    if (!cx.out.has_room()) return false;
    const std::uint32_t mss = segment_room(tcb);
    const std::uint32_t data = before(at, data_end) ? std::min({distance(at, end), mss, distance(at, data_end)}) : 0;
    const std::uint32_t took = send_segment(cx, tcb, at, data, mss, has(tcb, fin_sent), false, place);
    if (took == 0) return false;
    if (has(tcb, mss_unsettled)) note_segment_again(cx, tcb, at);
    at += took;
    count_sent_again(cx, tcb);
  }
  return true;
}

/// SHLD-16: retransmissions that recovery has ordered, as far as the congestion window lets them. False: no place.
bool send_lost(Context& cx, Tcb& tcb, Flight& flight, std::uint32_t& in_flight, bool& sent) {
  if (flight.frto == 2) return true;  // rfc5682 2.1 step 2 b: new data instead
  while (const auto n = next_lost(flight)) {
    // The first one of a recovery always goes; the others when there is room for them.
    if (!flight.send_one && in_flight >= tcb.cwnd) return true;
    const std::uint32_t length = length_of(tcb, flight, *n);
    if (!send_range_again(cx, tcb, left_of(tcb, flight, *n), flight.sent[*n].right, &flight.again_place)) return false;
    flight.send_one = false;
    enter_again(cx, tcb, flight, *n);
    // rfc6298 5: a whole RTO for this copy too
    if (*n == flight.sent.front_number()) restart_rto(cx, tcb, flight);
    note_undo_sent(cx, tcb, flight);
    flight.prr_out += length;
    in_flight += length;
    sent = true;
  }
  return true;
}

enum class Hold : std::uint8_t { no, window, congestion, small, pace };

/// RFC 9293 section 3.8.6.2.1 with Nagle (section 3.7.4): may `length` of `unsent` bytes go?
Hold why_hold(const Tcb& tcb, std::uint32_t length, std::uint32_t unsent, std::uint32_t mss, std::uint32_t out) {
  if (length == mss) return Hold::no;
  const bool last = length == unsent;
  if (last && has(tcb, fin_queued)) return Hold::no;
  if (has(tcb, override_due)) return Hold::no;  // MUST-60
  if (last && !has(tcb, corked) && (has(tcb, nodelay) || out == 0)) return Hold::no;
  if (!last && length >= tcb.max_snd_wnd / 2) return Hold::no;
  return Hold::small;  // MUST-38, SHLD-7
}

/// Segments in one description, each with a record.
constexpr std::uint32_t max_records_at_once = 64;

struct Flush {
  bool any = false;
  Hold hold = Hold::no;
  bool no_place = false;
};

Duration time_for(const Flight& flight, std::uint32_t bytes) {
  return Duration{static_cast<std::int64_t>(std::uint64_t{bytes} * 1000000000u / flight.pacing_rate)};
}

/// The next segment may leave by now, or a timer runs until it may. What was not used of the rate is kept for a
/// millisecond or a quantum.
bool is_paced_out(Context& cx, Tcb& tcb, Flight& flight) {
  if (flight.pacing_rate == 0) return false;
  flight.pace_next = std::max(flight.pace_next, cx.now - std::max(Duration{1ms}, time_for(flight, flight.send_quantum)));
  if (flight.pace_next <= cx.now) return false;
  // Something waits for its turn: the flight does not rest, however long that takes, and so is not given back.
  if (flight.is_linked()) IdleFlights::erase(flight);
  flight.pace_deadline = flight.pace_next;
  arm_for(cx, tcb, flight.pace_deadline);
  return true;
}

void pace(Flight& flight, std::uint32_t bytes) {
  if (flight.pacing_rate == 0) return;
  flight.pace_next += time_for(flight, bytes);
}

/// A second segment in flight is remembered by a record. `segments` is how many are to leave, and how many may. False: none
/// for now, since there is no memory; one at a time needs none.
bool has_place_for_records(Context& cx, Tcb& tcb, Flight*& flight, bool out, std::uint32_t& segments) {
  flight = tcb.flight != nullptr || out || segments > 1 ? take_flight(cx, tcb) : nullptr;
  if (flight != nullptr && has_send_memory(cx) && flight->sent.reserve(cx.chunks, segments)) return true;
  if (out) {
    segments = 1;
    return flight != nullptr && has_send_memory(cx) && flight->sent.reserve(cx.chunks);
  }
  free_flight(cx, tcb);
  flight = nullptr;
  segments = 1;
  return true;
}

/// `took` from `at` has left for the first time, in segments of `mss`.
void note_new(Context& cx, Tcb& tcb, Flight* flight, Seq at, std::uint32_t took, std::uint32_t mss) {
  if (tcb.snd_una == at) tcb.progress_ms = cx.now_ms;
  const bool again = has(tcb, probe_out);
  clear(tcb, probe_out);
  if (flight == nullptr) {
    if (!again) set(tcb, rtt_timing);
    tcb.rtt_time_us = cx.now_us;
    tcb.snd_nxt = at + took;
    return;
  }
  if (flight->sent.empty()) restart_rto(cx, tcb, *flight);
  const Seq end = at + took;
  // A FIN behind a full segment is part of its record.
  for (Seq right = at; before(right, end);) {
    right = distance(right, end) <= mss + 1 ? end : right + mss;
    enter_sent(cx, tcb, *flight, right);
    tcb.snd_nxt = right;
  }
  flight->probe_deadline = cx.now + probe_timeout(tcb, flight->sent.size() == 1);
  flight->prr_out += took;
  pace(*flight, took);
}

/// New data and the FIN behind it. MUST-34, SHLD-15: none where the peer took its window back.
Flush send_new(Context& cx, Tcb& tcb, std::uint32_t in_flight) {
  Flush result;
  const Seq limit = tcb.snd_una + tcb.snd_wnd;
  const Seq data_end = tcb.snd_una + tcb.send_queued;
  while (!has(tcb, fin_sent)) {
    const Seq at = has(tcb, probe_out) ? tcb.snd_una : tcb.snd_nxt;
    const std::uint32_t unsent = distance(at, data_end);
    // A FIN waits for the end of the handshake (section 3.10.4); data does not, where it was opened fast.
    const bool fin = has(tcb, fin_queued) && tcb.state != State::syn_received;
    if (unsent == 0 && !fin) break;
    const std::uint32_t usable = before(at, limit) ? distance(at, limit) : 0;
    const std::uint32_t mss = has(tcb, mss_unsettled) ? next_segment_room(cx, tcb, unsent, usable) : segment_room(tcb);
    std::uint32_t length = std::min({unsent, mss, usable});
    if (unsent != 0 && length == 0) {
      result.hold = Hold::window;
      break;
    }
    if (at == tcb.snd_una && unsent != 0 && (tcb.flight != nullptr || is_idle_restart(cx, tcb)))
      restart_after_idle(cx, tcb, tcb.flight);
    if (unsent != 0) {
      if (in_flight != 0 && in_flight + length > tcb.cwnd) {
        set(tcb, cwnd_limited);
        result.hold = Hold::congestion;
        break;
      }
      result.hold = why_hold(tcb, length, unsent, mss, distance(tcb.snd_una, at));
      if (result.hold != Hold::no) break;
    }
    Flight* flight = nullptr;
    if (tcb.flight != nullptr && is_paced_out(cx, tcb, *tcb.flight)) {
      result.hold = Hold::pace;
      break;
    }
    std::uint32_t segments = 1;
    if (length == mss && mss <= tcb.snd_mss && !has(tcb, dressed)) {
      std::uint32_t open = tcb.cwnd > in_flight ? tcb.cwnd - in_flight : 0;
      if (tcb.flight != nullptr && tcb.flight->send_quantum != 0) open = std::min(open, tcb.flight->send_quantum);
      segments = std::min(whole_segments(mss, std::min({unsent, usable, open})) / mss, max_records_at_once);
    }
    if (!has_place_for_records(cx, tcb, flight, tcb.snd_una != at, segments)) {
      ++cx.stats.flights_exhausted;
      result.hold = Hold::congestion;  // an ACK, or the timer, goes on
      break;
    }
    if (!cx.out.has_room()) {
      result.no_place = true;
      break;
    }
    if (segments > 1) length = segments * mss;
    const std::uint32_t took =
        send_segment(cx, tcb, at, length, mss, fin && length == unsent, true, flight != nullptr ? &flight->new_place : nullptr);
    if (took == 0) {
      result.no_place = true;
      break;
    }
    if (has(tcb, mss_unsettled)) note_new_segment(cx, tcb, at, std::min({took, length, mss}));
    note_new(cx, tcb, flight, at, took, mss);
    if (tcb.snd_nxt == data_end + 1) {
      set(tcb, fin_sent);
      if (tcb.state == State::close_wait) set_state(tcb, State::last_ack);
    }
    in_flight += took;
    result.any = true;
  }
  clear(tcb, override_due);
  return result;
}

/// After sending: the retransmission timer runs while anything is unacknowledged (RFC 6298 (5.1)), the persist timer
/// while something waits and nothing is in flight that an ACK could answer (section 3.8.6.1).
/// The byte of a probe that was not taken counts as not sent: it goes with the data, and waits for what that waits for.
void run_timer(Context& cx, Tcb& tcb, Hold hold) {
  if (tcb.snd_una != tcb.snd_nxt && !has(tcb, probe_out)) {
    if (has(tcb, persist) && tcb.snd_wnd == 0) return;  // what was sent before the window shut
    if (tcb.flight != nullptr && !tcb.flight->sent.empty()) {
      clear(tcb, persist);
      if (tcb.flight->rto_deadline == never) restart_rto(cx, tcb, *tcb.flight);
      set_alarm(cx, tcb, *tcb.flight);
      return;
    }
    if (tcb.rtx_deadline != never && !has(tcb, persist)) return;
    clear(tcb, persist);
    start_retransmission_timer(cx, tcb);
  } else if (hold == Hold::window || hold == Hold::small) {  // MUST-36
    if (tcb.rtx_deadline != never) return;
    set(tcb, persist);
    start_persist_timer(cx, tcb, hold == Hold::small);
  }
}

/// The application had no more to say than the window took: what the path can do is not seen (RFC 7661, BBR's samples).
void note_app_limited(Tcb& tcb, const Flush& sent) {
  Flight* flight = tcb.flight;
  if (flight == nullptr || sent.hold == Hold::congestion || sent.hold == Hold::pace || flight->lost != flight->resent) return;
  flight->app_limited_until = std::max<std::uint32_t>(flight->delivered + pipe(tcb), 1);
}

}  // namespace

bool send_tail_probe(Context& cx, Tcb& tcb, Flight& flight) {
  const Seq limit = tcb.snd_una + tcb.snd_wnd;
  const Seq data_end = tcb.snd_una + tcb.send_queued;
  flight.tlp_again = false;
  const std::uint32_t unsent = has(tcb, fin_sent) ? 0 : distance(tcb.snd_nxt, data_end);
  const std::uint32_t usable = before(tcb.snd_nxt, limit) ? distance(tcb.snd_nxt, limit) : 0;
  const std::uint32_t length = std::min({unsent, segment_room(tcb), usable});
  if (length != 0 && has_send_memory(cx) && flight.sent.reserve(cx.chunks)) {
    const bool fin = has(tcb, fin_queued) && length == unsent;
    const std::uint32_t took = send_segment(cx, tcb, tcb.snd_nxt, length, length, fin, true, &flight.new_place);
    if (took == 0) return false;
    note_new(cx, tcb, &flight, tcb.snd_nxt, took, length);
    if (tcb.snd_nxt == data_end + 1) {
      set(tcb, fin_sent);
      if (tcb.state == State::close_wait) set_state(tcb, State::last_ack);
    }
  } else {
    const std::uint32_t n = flight.sent.back_number() - 1;
    if (!send_range_again(cx, tcb, left_of(tcb, flight, n), flight.sent[n].right, &flight.again_place)) return false;
    enter_again(cx, tcb, flight, n);
    flight.tlp_again = true;
  }
  flight.tlp_out = flight.tlp_unmeasured = true;
  flight.tlp_end = tcb.snd_nxt;
  ++cx.stats.tail_loss_probes;
  return true;
}

bool resend_without_flight(Context& cx, Tcb& tcb) {
  clear(tcb, rtt_timing);  // Karn: an answer could be to either copy (RFC 6298 section 3)
  tcb.rtt_time_us = cx.now_us;
  return send_range_again(cx, tcb, tcb.snd_una, tcb.snd_nxt, nullptr);
}

void output(Context& cx, Tcb& tcb) {
  clear(tcb, dirty);
  if (!has(tcb, in_table)) return;
  if (!has(tcb, syn_acked)) {
    if (tcb.state == State::syn_sent && has(tcb, ack_now)) {
      clear(tcb, ack_now);
      tcb.rtt_time_us = cx.now_us;
      send_syn(cx, tcb);
    }
    return;
  }
  bool sent = false;
  Flush fresh;
  if (tcb.snd_una != tcb.snd_nxt || tcb.send_queued != 0 || has(tcb, fin_queued)) {
    clear(tcb, cwnd_limited);
    std::uint32_t in_flight = pipe(tcb);
    const bool lost_done = tcb.flight == nullptr || send_lost(cx, tcb, *tcb.flight, in_flight, sent);
    if (lost_done) fresh = send_new(cx, tcb, in_flight);
    sent = sent || fresh.any;
    note_app_limited(tcb, fresh);
    run_timer(cx, tcb, fresh.hold);
    if (!lost_done || fresh.no_place) mark_dirty(cx, tcb);
  }
  if (has(tcb, ack_now) && !sent) send_ack(cx, tcb);
  if (has(tcb, ack_delayed) && tcb.ack_deadline == never) start_delayed_ack_timer(cx, tcb);
}

}  // namespace handfast::tcp
