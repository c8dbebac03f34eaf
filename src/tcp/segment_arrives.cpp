// SPDX-License-Identifier: BSD-3-Clause
// RFC 9293 section 3.10.7.4, step by step in its order; later RFCs are amendments where they apply.
// Layer: tcp. LISTEN, half-open, SYN-SENT and TIME-WAIT are in files of their own.
#include "tcp/segment_arrives.hpp"

#include <algorithm>

#include "tcp/arrival.hpp"
#include "tcp/ecn.hpp"
#include "tcp/fast_open.hpp"
#include "tcp/lifetime.hpp"
#include "tcp/output.hpp"
#include "tcp/patience.hpp"
#include "tcp/receive_window.hpp"
#include "tcp/recovery.hpp"
#include "tcp/rtt.hpp"
#include "tcp/state.hpp"
#include "tcp/timeouts.hpp"
#include "tcp/timestamps.hpp"
#include "tcp/urgent.hpp"

namespace handfast::tcp {
namespace {

Step challenge(Arrival& a, Drop reason) {
  send_challenge_ack(a.cx, a.tcb);
  return drop(a, reason);
}

std::uint32_t receive_window(const Tcb& tcb) { return distance(tcb.rcv_nxt, tcb.rcv_adv); }

// --- first: sequence number, and before it PAWS (RFC 7323 section 5.3 R1) -------------------------------------

/// The four cases of the table in section 3.10.7.4.
bool acceptable(Seq rcv_nxt, std::uint32_t window, Seq seq, std::uint32_t length) {
  const auto inside = [&](Seq s) { return distance(rcv_nxt, s) < window; };
  if (length == 0) return window == 0 ? seq == rcv_nxt : inside(seq);
  return window != 0 && (inside(seq) || inside(seq + (length - 1)));
}

/// The bytes of a segment that lie before RCV.NXT, as far as there can have been any.
void note_duplicate(Arrival& a) {
  const Tcb& tcb = a.tcb;
  const Seq left = a.segment.seq + (a.segment.has(wire::syn) ? 1 : 0);
  const Seq right = min(left + a.segment.payload_length, tcb.rcv_nxt);
  const bool ever_received = tcb.receive_wraps != 0 || distance(tcb.irs + 1, left) < distance(tcb.irs + 1, tcb.rcv_nxt);
  if (before(left, right) && ever_received) a.duplicate = {left, right};
}

/// An ACK at once, with what came again in its first SACK block (rfc2883 4): each duplicate is told in one ACK and no
/// other, so it needs no place to wait for the flush.
void answer_duplicate(Arrival& a) {
  if (has(a.tcb, sack_enabled) && a.duplicate.left != a.duplicate.right)
    send_ack_of_duplicate(a.cx, a.tcb, a.duplicate);
  else
    send_ack(a.cx, a.tcb);
}

/// A segment that cannot be accepted is answered by an ACK (MUST-62...); one with data always, since its sender waits for
/// it, one without at most as often as a challenge, so that two ends out of step do not answer each other for ever. A SYN
/// is challenged whatever comes with it (rfc5961 4.2, 7).
Step answer_unacceptable(Arrival& a, Drop reason) {
  if (a.segment.has(wire::rst)) return drop(a, reason);
  if ((a.segment.payload_length != 0 || a.segment.has(wire::fin)) && !a.segment.has(wire::syn)) {
    note_duplicate(a);  // of PAWS as well (rfc2883 4.3)
    answer_duplicate(a);
    return drop(a, reason);
  }
  return challenge(a, reason);
}

Step check_sequence(Arrival& a) {
  const Tcb& tcb = a.tcb;
  if (paws_rejects(a.cx, tcb, a.segment, a.options)) return answer_unacceptable(a, Drop::tcp_old_timestamp);
  if (lacks_timestamp(tcb, a.segment, a.options)) return drop(a, Drop::tcp_no_timestamp);  // rfc7323 3.2: silently
  const std::uint32_t window = receive_window(tcb);
  if (!acceptable(tcb.rcv_nxt, window, a.seq, a.segment.length())) {
    // MUST-66: with the window closed (or shut since), the ACK and RST of a segment that starts just here still count;
    // its data does not.
    const bool starts_here = a.seq == tcb.rcv_nxt && window == 0;
    if (!starts_here) {
      const bool old = before(a.seq, tcb.rcv_nxt);
      if (old && a.segment.payload_length != 0) ++a.cx.stats.duplicates;
      return answer_unacceptable(a, old ? Drop::tcp_duplicate : Drop::tcp_out_of_window);
    }
    if (a.segment.length() != 0 && !a.segment.has(wire::rst)) {
      set(a.tcb, ack_now);
      mark_dirty(a.cx, a.tcb);
      a.verdict.drop = Drop::tcp_window_full;
    }
    a.data = {};
    a.fin = false;
    return Step::go_on;
  }
  // Cut to the window: old bytes in front, bytes past the right edge behind.
  if (before(a.seq, tcb.rcv_nxt)) {
    note_duplicate(a);
    std::uint32_t old = distance(a.seq, tcb.rcv_nxt);
    if (a.segment.has(wire::syn)) --old;
    a.data = a.data.subspan(std::min<std::size_t>(old, a.data.size()));
    a.seq = tcb.rcv_nxt;
  }
  const std::uint32_t room = distance(a.seq, tcb.rcv_adv);
  if (a.data.size() > room) {
    a.data = a.data.first(room);
    a.fin = false;
  } else if (a.fin && a.data.size() == room) {
    a.fin = false;  // the FIN itself is past the edge: it comes again
  }
  return Step::go_on;
}

// --- second: RST (RFC 5961 section 3) ----------------------------------------------------------------------

// rfc5961 3.2a, 3.2b; SHLD-2: whatever it carries
Step check_rst(Arrival& a) {
  if (!a.segment.has(wire::rst)) return Step::go_on;
  if (before(a.segment.seq, a.tcb.rcv_nxt)) return drop(a, Drop::tcp_duplicate);  // only what it carries was in the window
  if (a.segment.seq != a.tcb.rcv_nxt) return challenge(a, Drop::tcp_rst_not_exact);
  ++a.cx.stats.resets_in;
  switch (a.tcb.state) {
    case State::syn_received:  // a passive one is a half-open entry, or was opened fast and the application knows of it
      end_connection(a.cx, a.tcb, has(a.tcb, active_open) ? CloseReason::refused : CloseReason::reset_by_peer);
      break;
    case State::established:
    case State::fin_wait_1:
    case State::fin_wait_2:
    case State::close_wait:
      end_connection(a.cx, a.tcb, CloseReason::reset_by_peer);
      break;
    case State::closing:
    case State::last_ack:
      end_connection(a.cx, a.tcb, CloseReason::reset_by_peer);
      break;
    case State::closed:
    case State::listen:
    case State::syn_sent:
    case State::time_wait:
      HF_ASSERT(false);
  }
  return Step::done;
}

// third: security and compartment: none, as nearly everywhere.

// --- fourth: SYN (RFC 5961 section 4) ----------------------------------------------------------------------

Step check_syn(Arrival& a) {
  if (!a.segment.has(wire::syn)) return Step::go_on;
  return challenge(a, Drop::tcp_syn_in_window);
}

// --- fifth: ACK --------------------------------------------------------------------------------------------

/// MAY-12: RFC 5961 section 5.2, never below what was really sent (the lower edge early in a connection).
bool ack_is_plausible(const Tcb& tcb, Seq ack) {
  if (after(ack, tcb.snd_nxt)) return false;
  if (!before(ack, tcb.snd_una)) return true;
  if (!has(tcb, syn_acked)) return false;
  const std::uint32_t sent = distance(tcb.iss + 1, tcb.snd_una);
  const std::uint32_t back = tcb.send_wraps != 0 ? tcb.max_snd_wnd : std::min(tcb.max_snd_wnd, sent);
  return distance(ack, tcb.snd_una) <= back;
}

void forget_place(Flight& flight, const Extent* extent) {
  if (flight.new_place.extent == extent) flight.new_place = {};
  if (flight.again_place.extent == extent) flight.again_place = {};
}

/// Takes acknowledged bytes off the front of the send queue. `acked` counts sequence space.
void take_off_queue(Context& cx, Tcb& tcb, std::uint32_t bytes) {
  tcb.send_queued -= bytes;
  while (bytes != 0) {
    Extent* extent = tcb.send_head;
    if (extent->length > bytes) {
      extent->data += bytes;
      extent->length -= bytes;
      return;
    }
    bytes -= extent->length;
    tcb.send_head = extent->next;
    if (tcb.flight != nullptr) forget_place(*tcb.flight, extent);
    release_extent(cx, *extent);
  }
  if (tcb.send_head == nullptr) tcb.send_tail = nullptr;
}

/// Without a flight: what was out left as one segment, or was a SYN.
void sample_rtt(Arrival& a) {
  Tcb& tcb = a.tcb;
  if (has(tcb, rtt_timing)) {
    clear(tcb, rtt_timing);
    take_rtt_sample(a.cx, tcb, a.cx.now_us - tcb.rtt_time_us);  // MUST-18
  } else if (has(tcb, ts_enabled) && a.options.has_timestamps && a.options.ts_ecr != 0) {
    // It was sent again; the echo tells which copy this answers (RFC 7323 section 4).
    const std::uint32_t ms = ts_now(a.cx, tcb) - a.options.ts_ecr;
    if (ms < 1u << 22) take_rtt_sample(a.cx, tcb, ms * 1000);
  }
}

/// Slow start and congestion avoidance of a connection without a flight: one segment at a time, so the window grows
/// where it is as small as that.
void grow_without_flight(Tcb& tcb, std::uint32_t acked) {
  if (has(tcb, cwnd_limited) && tcb.cwnd < tcb.ssthresh) tcb.cwnd += std::min<std::uint32_t>(acked, tcb.snd_mss);
}

/// SND.UNA moves to `ack`: queue, RTT, timer. What recovery makes of it comes after that.
void acknowledge(Arrival& a, Seq ack) {
  Context& cx = a.cx;
  Tcb& tcb = a.tcb;
  std::uint32_t bytes = distance(tcb.snd_una, ack);
  // A probe's byte that is taken while the window stays shut opens nothing: probes go on at growing distances (SHLD-30), and
  // who holds memory in this way is known for it.
  const bool still_shut = has(tcb, probe_out) && a.segment.window == 0;
  if (tcb.backoff != 0 && !still_shut) {
    // Karn's second half (rfc1122 4.2.3.1): the RTO stays backed off until something is measured. A SYN's is (5.7) below.
    if (has(tcb, syn_acked)) tcb.rto_us = static_cast<std::uint32_t>(current_rto(cx, tcb) / 1us);
    tcb.backoff = 0;
  }
  if (!has(tcb, syn_acked)) {
    set(tcb, syn_acked);
    // RFC 6298 (5.7): no sample and a SYN sent twice means 3 s for the data.
    --bytes;
    if (has(tcb, syn_retransmitted) && !has(tcb, rtt_timing)) tcb.rto_us = std::max<std::uint32_t>(tcb.rto_us, 3000000);
  }
  const std::uint32_t data = std::min(bytes, tcb.send_queued);
  if (distance(tcb.iss, ack) < distance(tcb.iss, tcb.snd_una)) count_wrap(cx, tcb, tcb.send_wraps, &Rare::send_wraps_128);
  if (tcb.flight == nullptr) {
    if (ack == tcb.snd_nxt) sample_rtt(a);
    grow_without_flight(tcb, bytes);
  }
  tcb.snd_una = ack;
  if (data != 0) take_off_queue(cx, tcb, data);
  a.verdict.acked += data;
  tcb.progress_ms = cx.now_ms;
  clear(tcb, probe_out);
  clear(tcb, persist);
  if (tcb.snd_una == tcb.snd_nxt)
    tcb.rtx_deadline = never;  // RFC 6298 (5.2)
  else if (tcb.flight == nullptr)
    start_retransmission_timer(cx, tcb);  // (5.3)
}

/// RFC 5681 section 2: nothing in it but the number that is known already.
bool is_duplicate_ack(const Arrival& a) {
  const Tcb& tcb = a.tcb;
  return a.segment.ack == tcb.snd_una && tcb.snd_una != tcb.snd_nxt && a.segment.length() == 0 &&
         (std::uint32_t{a.segment.window} << tcb.snd_wscale) == tcb.snd_wnd && tcb.snd_wnd != 0;
}

/// dup_acks stand for segments that have left the network where there is no SACK: those that are acknowledged now, behind
/// the one that was missing, do not count any more.
void settle_duplicates(Tcb& tcb, std::uint32_t told) {
  const bool partial = tcb.recovery == Recovery::fast && !has(tcb, sack_enabled);
  tcb.dup_acks = partial ? static_cast<std::uint8_t>(tcb.dup_acks - std::min<std::uint32_t>(tcb.dup_acks, told)) : std::uint8_t{0};
}

/// rfc5681 3.2, on step 4: in recovery no more segments have left the network than were in it, whatever a receiver says
/// that wants to be sent to faster.
bool are_duplicates_used_up(const Tcb& tcb, const Flight& flight) {
  return tcb.recovery == Recovery::fast && !has(tcb, sack_enabled) &&
         std::max(tcb.dup_acks * std::uint32_t{tcb.snd_mss}, flight.prr_duplicates) >= flight.recover_flight;
}

/// The same with a flight: its records say what has arrived, and recovery what follows.
void acknowledge_flight(Arrival& a, Seq ack) {
  Tcb& tcb = a.tcb;
  Flight& flight = *tcb.flight;
  AckArrival arrival;
  arrival.prior_una = tcb.snd_una;
  arrival.duplicate = is_duplicate_ack(a);
  arrival.ece = a.segment.has(wire::ece);
  arrival.has_echo = a.options.has_timestamps;
  arrival.echo = a.options.ts_ecr;
  if (arrival.ece && has(tcb, ecn_on)) arrival.reduced = react_to_ece(a.cx, tcb, flight, ack);
  const std::uint32_t first = flight.sent.front_number();
  const Delivery delivery = deliver_ack(a.cx, tcb, flight, ack, a.options);
  if (after(ack, tcb.snd_una)) {
    acknowledge(a, ack);
    if (const std::uint32_t covered = flight.sent.front_number() - first; covered != 0) arrival.told = covered - 1;
    settle_duplicates(tcb, arrival.told);
  } else if (arrival.duplicate || delivery.sack_block) {
    if (are_duplicates_used_up(tcb, flight))
      arrival.duplicate = false;
    else if (tcb.dup_acks != 0xff)
      ++tcb.dup_acks;
  }
  react_to_ack(a.cx, tcb, flight, delivery, arrival);
  mark_dirty(a.cx, tcb);
}

/// SND.WND of the segment; not scaled in one with SYN (RFC 7323 section 2.2).
std::uint32_t offered_window(const Arrival& a) {
  return a.segment.has(wire::syn) ? a.segment.window : std::uint32_t{a.segment.window} << a.tcb.snd_wscale;
}

/// `is_news`: it acknowledges something new. Such a segment left after all that were acted upon, a retransmission with an
/// old SEQ too; and to keep the window of one of those, counted from the new SND.UNA, would pass the edge that was offered.
void update_window(Arrival& a, bool is_news) {
  Tcb& tcb = a.tcb;
  const Seq seq = a.segment.seq, ack = a.segment.ack;
  if (before(ack, tcb.snd_una)) return;
  if (!is_news && !before(tcb.snd_wl1, seq) && !(tcb.snd_wl1 == seq && before_eq(tcb.snd_wl2, ack))) return;
  const std::uint32_t window = offered_window(a);
  if (window > tcb.snd_wnd) mark_dirty(a.cx, tcb);
  const bool has_opened = tcb.snd_wnd == 0 && window != 0;
  tcb.snd_wnd = window;
  tcb.max_snd_wnd = std::max(tcb.max_snd_wnd, window);
  tcb.snd_wl1 = max(tcb.snd_wl1, seq);
  tcb.snd_wl2 = ack;
  if (has_opened && tcb.snd_una == tcb.snd_nxt) tcb.backoff = 0;  // it counted probes
  // Where the window was open all along, the timer is the override of something small: it goes on.
  if (!has(tcb, persist) || !has_opened) return;
  clear(tcb, persist);
  tcb.rtx_deadline = never;
  tcb.backoff = 0;
  // A probe's byte was not taken while the window was shut, and leaves again with what follows; neither was what had been
  // sent before it was shut.
  if (tcb.snd_una != tcb.snd_nxt && !has(tcb, probe_out)) resend_flight(a.cx, tcb);
}

bool fin_is_acked(const Tcb& tcb) { return has(tcb, fin_sent) && tcb.snd_una == tcb.snd_nxt; }

/// The end of a fast-opened connection's handshake (RFC 7413 section 4.2.2): SND.UNA stands behind the SYN already, and
/// data may be in flight. The application was told when it began.
void end_fast_handshake(Arrival& a) {
  Tcb& tcb = a.tcb;
  leave_fast_open(a.cx, tcb, false);
  if (has(tcb, rtt_timing)) sample_rtt(a);
  if (has(tcb, syn_retransmitted)) tcb.cwnd = tcb.snd_mss;  // RFC 5681 section 3.1
  tcb.backoff = 0;
  tcb.progress_ms = a.cx.now_ms;
  tcb.rtx_deadline = never;  // the flush starts it for the data that is in flight
}

/// SYN-RECEIVED -> ESTABLISHED.
Step become_established(Arrival& a) {
  Tcb& tcb = a.tcb;
  if (before(a.segment.ack, tcb.iss + 1) || after(a.segment.ack, tcb.snd_nxt)) {
    send_reset_at_ack(a.cx, a.segment);
    return drop(a, Drop::tcp_unacceptable_ack);
  }
  tcb.snd_wnd = offered_window(a);
  tcb.max_snd_wnd = std::max(tcb.max_snd_wnd, tcb.snd_wnd);
  tcb.snd_wl1 = a.segment.seq;
  tcb.snd_wl2 = a.segment.ack;
  const bool fast = is_fast_opened(tcb);
  if (fast) end_fast_handshake(a);
  set_state(tcb, State::established);
  ++a.cx.stats.established;
  a.verdict.established = !fast;
  mark_dirty(a.cx, tcb);
  if (has(tcb, fin_queued)) set_state(tcb, State::fin_wait_1);  // CLOSE came before (3.10.4)
  return Step::go_on;
}

/// rfc9293 3.10.7.4 fifth, ESTABLISHED: shared by all synchronised states.
Step process_ack(Arrival& a) {
  Context& cx = a.cx;
  Tcb& tcb = a.tcb;
  const Seq ack = a.segment.ack;
  if (!ack_is_plausible(tcb, ack)) return challenge(a, Drop::tcp_unacceptable_ack);
  // TS.Recent only from segments that may be the peer's (RFC 7323 section 4.3 (2); sec A12).
  note_timestamp(cx, tcb, a.segment, a.options);
  tcb.heard_ms = cx.now_ms;
  if (has(tcb, ecn_on)) note_marks(cx, tcb, a.segment);
  const bool is_news = after(ack, tcb.snd_una);
  if (tcb.flight != nullptr) {
    // D-SACK tells of what all arrived, too.
    const bool has_news = tcb.snd_una != tcb.snd_nxt || (a.options.sack_count != 0 && has(tcb, sack_enabled));
    if (!before(ack, tcb.snd_una) && has_news) acknowledge_flight(a, ack);
  } else if (is_news) {
    acknowledge(a, ack);
    if (has(tcb, ecn_on) && a.segment.has(wire::ece)) react_to_ece_alone(cx, tcb);
    tcb.dup_acks = 0;
    mark_dirty(cx, tcb);
  } else if (is_duplicate_ack(a) && tcb.dup_acks != 0xff) {
    ++tcb.dup_acks;
  }
  update_window(a, is_news);
  // A probe was answered: the peer lives (section 3.8.6.1: the connection may stay open as long as it does).
  if (tcb.snd_wnd == 0 && !has(tcb, orphan) && !is_user_timeout_ours(cx, tcb)) tcb.progress_ms = cx.now_ms;  // MUST-37, SHLD-17
  return Step::go_on;
}

Step check_ack(Arrival& a) {
  if (!a.segment.has(wire::ack)) return drop(a, Drop::tcp_no_ack);
  Tcb& tcb = a.tcb;
  if (tcb.state == State::syn_received && become_established(a) == Step::done) return Step::done;
  if (process_ack(a) == Step::done) return Step::done;
  switch (tcb.state) {
    case State::established:
    case State::close_wait:
      break;
    case State::fin_wait_1:
      if (fin_is_acked(tcb)) {
        set_state(tcb, State::fin_wait_2);
        if (has(tcb, orphan)) start_fin_wait_2_timer(a.cx, tcb);
      }
      break;
    case State::fin_wait_2:
      break;
    case State::closing:
      if (fin_is_acked(tcb)) {
        enter_time_wait(a.cx, tcb);
        a.verdict.readable = true;
        return Step::done;
      }
      break;
    case State::last_ack:
      if (fin_is_acked(tcb)) {
        complete(a.cx, tcb);
        a.verdict.readable = true;
        return Step::done;
      }
      break;
    case State::closed:
    case State::listen:
    case State::syn_sent:
    case State::syn_received:
    case State::time_wait:
      HF_ASSERT(false);
  }
  return Step::go_on;
}

// --- sixth: URG. The data is in-band whatever the pointer says (RFC 6093 section 4) -----------------------------

void check_urgent(Arrival& a) {
  constexpr std::uint16_t takes_text = detail::to_bits(State::established, State::fin_wait_1, State::fin_wait_2);
  if ((takes_text >> static_cast<unsigned>(a.tcb.state) & 1) != 0) urgent_arrives(a.cx, a.tcb, a.segment.seq + a.segment.urgent_pointer);
}

// --- seventh: text -----------------------------------------------------------------------------------------


ReceiveBuffer* receive_buffer_of(Context& cx, Tcb& tcb, Seq unread) {
  if (tcb.receive == nullptr && (tcb.receive = cx.receive_buffers.allocate()) != nullptr) {
    *tcb.receive = ReceiveBuffer{};
    tcb.receive->unread = unread;
  }
  return tcb.receive;
}

/// Full segments at the start of a connection that are acknowledged quickly.
constexpr std::uint32_t quick_ack_segments = 16;

/// The ranges that rcv_nxt has reached become ordinary unread bytes.
void absorb_beyond(Context& cx, Tcb& tcb) {
  auto& beyond = tcb.receive->beyond;
  while (!beyond.empty() && !after(beyond.front().left, tcb.rcv_nxt)) {
    tcb.rcv_nxt = max(tcb.rcv_nxt, beyond.front().right);
    beyond.trim_below(cx.receive_chunks, tcb.rcv_nxt);
  }
  if (beyond.empty()) tcb.receive->recent_count = 0;
}

/// Early in a connection the peer's window grows with our ACKs and may be one segment: where it says, by the lack of PSH,
/// that more is to come, it is not made to wait for delayed_ack. What ends a message is not hurried: the answer takes the
/// ACK along.
bool wants_quick_ack(const Arrival& a) {
  return !a.segment.has(wire::psh) && a.tcb.receive_wraps == 0 &&
         distance(a.tcb.irs + 1, a.tcb.rcv_nxt) <= quick_ack_segments * a.tcb.rcv_mss;
}

/// Without memory, text is still shown to an application that listens, in its frame, and what is left of it taken back: who
/// reads is not stopped by those who do not.
bool can_be_shown(const Arrival& a) {
  return a.tcb.receive == nullptr && !has(a.tcb, rx_paused | accept_pending) && a.duplicate.left == a.duplicate.right;
}

/// What came beyond a gap must not keep what fills it from being taken: where there is no memory for both it is forgotten,
/// and comes again (rfc2018 8 allows that to who runs out of it).
void forget_gaps(Arrival& a) {
  if (a.tcb.receive == nullptr || has(a.tcb, rx_paused | accept_pending) || unread_bytes(a.tcb) != 0) return;
  count(a.cx, Drop::tcp_no_memory);
  free_receive_buffer(a.cx, a.tcb);
}

/// Behind what waits already. What that takes is tried, not reckoned: where memory is least, the most that it could be would
/// never fit beside what came beyond a gap. If it does not fit, that goes first, bytes that wait to be read or not.
bool keep_in_order(Arrival& a) {
  ReceiveBuffer& buffer = *a.tcb.receive;
  const Seq at = a.tcb.rcv_nxt, end = at + static_cast<std::uint32_t>(a.data.size());
  if (buffer.put(a.cx.receive_chunks, at, at, a.data)) [[likely]] return true;
  const bool has_gaps = !buffer.beyond.empty();
  buffer.forget_beyond(a.cx.receive_chunks, at, end);
  if (!has_gaps) return false;
  count(a.cx, Drop::tcp_no_memory);
  if (buffer.put(a.cx.receive_chunks, at, at, a.data)) return true;
  buffer.forget_beyond(a.cx.receive_chunks, at, end);
  return false;
}

void in_order_text(Arrival& a) {
  Context& cx = a.cx;
  Tcb& tcb = a.tcb;
  const auto length = static_cast<std::uint32_t>(a.data.size());
  // Who has a buffer needs no other: with all of them in use for gaps, nothing but this fills one.
  const bool kept = tcb.receive != nullptr && keep_in_order(a);
  if (!kept && (tcb.receive != nullptr || !has_memory_for(cx, length))) [[unlikely]] {
    a.fin = false;  // it could not be taken back, and comes again
    forget_gaps(a);
    if (!can_be_shown(a)) {
      a.verdict.drop = Drop::tcp_no_memory;
      return;
    }
  }
  const Seq before_text = tcb.rcv_nxt;
  bool filled_gap = false;
  if (tcb.receive == nullptr) {
    a.verdict.data = a.data.data();
    a.verdict.data_length = length;
    tcb.rcv_nxt += length;
  } else {
    tcb.rcv_nxt += length;
    filled_gap = !tcb.receive->beyond.empty();
    absorb_beyond(cx, tcb);
    a.verdict.readable = true;
  }
  a.seq = a.seq + length;
  const Seq taken = tcb.receive != nullptr ? tcb.receive->unread : before_text;
  if (distance(tcb.irs, tcb.rcv_nxt) < distance(tcb.irs, before_text)) count_wrap(cx, tcb, tcb.receive_wraps, &Rare::receive_wraps_128);
  tcb.rcv_mss = static_cast<std::uint16_t>(std::max<std::uint32_t>(tcb.rcv_mss, std::min<std::uint32_t>(length, cx.local_mss)));
  // MUST-58 and SHLD-19: every second full segment at once, a filled gap at once (RFC 5681 section 4.2), else within
  // delayed_ack.
  if (filled_gap || distance(tcb.last_ack_sent, tcb.rcv_nxt) >= 2u * tcb.rcv_mss || wants_quick_ack(a)) {
    set(tcb, ack_now);
    if (tunes_receive_window(cx, tcb)) tune_receive_window(cx, tcb, a.options, taken);
  } else {
    set(tcb, ack_delayed);  // output() starts its timer, unless what the application says takes the ACK along
  }
  mark_dirty(cx, tcb);
}

/// A FIN beyond a gap with no text of its own: kept (SHLD-31), or else who lost the text before it would wait for a
/// time-out of the FIN as well.
void out_of_order_fin(Arrival& a) {
  Context& cx = a.cx;
  Tcb& tcb = a.tcb;
  a.fin = false;
  set(tcb, ack_now);
  mark_dirty(cx, tcb);
  if (has(tcb, orphan)) return;  // what is missing will not be read
  const bool scarce = tcb.receive == nullptr && cx.receive_buffers.in_use() >= cx.receive_buffers.capacity() / 2;
  if (scarce || receive_buffer_of(cx, tcb, tcb.rcv_nxt) == nullptr) {
    a.verdict.drop = Drop::tcp_no_memory;
    return;
  }
  tcb.receive->fin_known = true;
  tcb.receive->fin_seq = a.seq;
}

// SHLD-31, MAY-13
void out_of_order_text(Arrival& a) {
  Context& cx = a.cx;
  Tcb& tcb = a.tcb;
  ++cx.stats.out_of_order;
  set(tcb, ack_now);  // a duplicate ACK at once (RFC 5681 section 4.2)
  mark_dirty(cx, tcb);
  const bool had_buffer = tcb.receive != nullptr;
  // Half of the memory, buffers too, is kept for what is in order: it must go on even when all that came beyond gaps fills
  // the rest. Where memory is so little that one segment takes it all, forget_gaps() sees to that.
  const std::uint32_t needed = chunks_for(a.data.size());
  const bool scarce = cx.chunks.in_use() + needed > cx.chunks.capacity() / 2 || !cx.receive_chunks.has(needed) ||
                      (!had_buffer && cx.receive_buffers.in_use() >= cx.receive_buffers.capacity() / 2);
  if (scarce || receive_buffer_of(cx, tcb, tcb.rcv_nxt) == nullptr) {
    a.verdict.drop = Drop::tcp_no_memory;
  } else if (!tcb.receive->put(cx.receive_chunks, tcb.rcv_nxt, a.seq, a.data)) {
    a.verdict.drop = Drop::tcp_out_of_order_full;
    if (!had_buffer) free_receive_buffer(cx, tcb);
  } else if (a.fin) {
    tcb.receive->fin_known = true;
    tcb.receive->fin_seq = a.seq + static_cast<std::uint32_t>(a.data.size());
  }
  a.fin = false;
}

Step process_text(Arrival& a) {
  Tcb& tcb = a.tcb;
  switch (tcb.state) {
    case State::established:
    case State::fin_wait_1:
    case State::fin_wait_2:
      break;
    case State::close_wait:
    case State::closing:
    case State::last_ack:
      // deviates: a second FIN is not acknowledged, there is nothing behind the first. Pinned by
      // Steps.text_and_fin_behind_the_peers_fin__are_ignored_and_counted.
      if (!a.data.empty() || a.fin) [[unlikely]] a.verdict.drop = Drop::tcp_out_of_window;
      a.fin = false;
      return Step::go_on;
    case State::closed:
    case State::listen:
    case State::syn_sent:
    case State::syn_received:
    case State::time_wait:
      HF_ASSERT(false);
  }
  if (a.data.empty()) {
    if (a.fin && a.seq != tcb.rcv_nxt) out_of_order_fin(a);
    return Step::go_on;
  }
  if (has(tcb, orphan)) {
    // Nobody will read it, and the peer must know that it was lost (SHLD-3).
    send_reset(a.cx, tcb);
    end_connection(a.cx, tcb, CloseReason::unread_data);
    return Step::done;
  }
  if (has(tcb, sack_enabled) && a.duplicate.left == a.duplicate.right && tcb.receive != nullptr)
    if (const auto again = tcb.receive->beyond.first_overlap(a.seq, a.seq + static_cast<std::uint32_t>(a.data.size())))
      a.duplicate = *again;
  if (a.seq == tcb.rcv_nxt)
    in_order_text(a);
  else
    out_of_order_text(a);
  return Step::go_on;
}

// --- eighth: FIN --------------------------------------------------------------------------------------------

void process_fin(Arrival& a) {
  Context& cx = a.cx;
  Tcb& tcb = a.tcb;
  const bool kept = tcb.receive != nullptr && tcb.receive->fin_known && tcb.receive->fin_seq == tcb.rcv_nxt;
  if ((!a.fin || a.seq != tcb.rcv_nxt) && !kept) return;
  if (has(tcb, fin_received)) return;
  // Nothing comes after a FIN: what a peer has sent beyond it will never be read.
  if (tcb.receive != nullptr && !tcb.receive->beyond.empty()) {
    tcb.receive->forget_beyond(cx.receive_chunks, tcb.rcv_nxt);
    if (unread_bytes(tcb) == 0) free_receive_buffer(cx, tcb);
  }
  tcb.rcv_nxt += 1;
  tcb.rcv_adv = max(tcb.rcv_adv, tcb.rcv_nxt);
  set(tcb, fin_received | ack_now);
  mark_dirty(cx, tcb);
  a.verdict.readable = true;
  switch (tcb.state) {
    case State::established:
      set_state(tcb, State::close_wait);
      break;
    case State::fin_wait_1:
      // Were our FIN acknowledged, the fifth step would have gone to FIN-WAIT-2.
      set_state(tcb, State::closing);
      break;
    case State::fin_wait_2:
      enter_time_wait(cx, tcb);
      break;
    case State::close_wait:
    case State::closing:
    case State::last_ack:
      break;
    case State::closed:
    case State::listen:
    case State::syn_sent:
    case State::syn_received:
    case State::time_wait:
      HF_ASSERT(false);
  }
}

// --- before the first -----------------------------------------------------------------------------------------

/// Simultaneous open: the peer's SYN,ACK after its SYN (figure 8). Its SYN is known, so it lies below the window; its ACK
/// is what ends the handshake.
bool is_known_syn_ack(Arrival& a) {
  constexpr std::uint8_t control = wire::syn | wire::ack | wire::rst | wire::fin;
  if (a.segment.seq != a.tcb.irs || (a.segment.flags & control) != (wire::syn | wire::ack)) return false;
  if (paws_rejects(a.cx, a.tcb, a.segment, a.options)) return false;
  a.data = {};
  return true;
}

/// The client did not get our SYN-ACK: again, as a half-open entry would.
bool is_syn_of_fast_open(const Arrival& a) {
  constexpr std::uint8_t control = wire::syn | wire::ack | wire::rst;
  return has(a.tcb, syn_acked) && a.segment.seq == a.tcb.irs && (a.segment.flags & control) == wire::syn;
}

void answer_syn_again(Arrival& a) {
  Tcb& tcb = a.tcb;
  if (has(tcb, ts_enabled) && a.options.has_timestamps && is_earlier(tcb.ts_recent, a.options.ts_val)) tcb.ts_recent = a.options.ts_val;
  set(tcb, syn_retransmitted);
  clear(tcb, rtt_timing);
  ++a.cx.stats.retransmits;
  send_syn(a.cx, tcb);
  drop(a, Drop::tcp_duplicate);
}

void otherwise(Arrival& a) {
  const bool opening = a.tcb.state == State::syn_received;
  if (opening && is_syn_of_fast_open(a)) return answer_syn_again(a);
  if (!(opening && is_known_syn_ack(a))) {
    if (check_sequence(a) == Step::done) return;
    if (check_rst(a) == Step::done) return;
    if (check_syn(a) == Step::done) return;
  }
  if (check_ack(a) == Step::done) return;
  if (opening && has(a.tcb, active_open) && a.tcb.snd_una != a.tcb.snd_nxt) take_back_syn_data(a.tcb);
  if (a.segment.has(wire::urg)) [[unlikely]] check_urgent(a);
  if (a.options.user_timeout != 0) [[unlikely]] take_user_timeout(a.cx, a.tcb, a.options.user_timeout);
  if (process_text(a) == Step::done) return;
  process_fin(a);
  const bool came_again = a.duplicate.left != a.duplicate.right;
  if (came_again && has(a.tcb, sack_enabled) && has(a.tcb, in_table)) answer_duplicate(a);
  if (!opening || has(a.tcb, ended)) return;
  announce_user_timeout(a.cx, a.tcb);
  if (has(a.tcb, keepalive_on)) start_keepalive_timer(a.cx, a.tcb);
}

}  // namespace

void acknowledge_syn(Arrival& a, Seq ack) { acknowledge(a, ack); }

Verdict segment_arrives(Context& cx, Tcb& tcb, const wire::Segment& segment) {
  Verdict verdict;
  Arrival a{cx, tcb, segment, {}, segment.seq, {segment.payload, segment.payload_length}, segment.has(wire::fin), verdict};
  verdict.tcb = &tcb;
  if (!wire::read_options(segment, a.options)) {
    verdict.drop = Drop::tcp_malformed_option;
    return verdict;
  }
  if (segment.has(wire::syn)) a.seq = segment.seq;  // data of a SYN starts one later; it is never taken
  if (tcb.state == State::syn_sent)
    syn_sent_arrives(a);
  else
    otherwise(a);
  return verdict;
}

bool store_unread(Context& cx, Tcb& tcb, std::span<const std::byte> bytes) {
  const Seq at = text_end(tcb) - static_cast<std::uint32_t>(bytes.size());
  ReceiveBuffer* buffer = receive_buffer_of(cx, tcb, at);
  if (buffer == nullptr) return false;
  if (buffer->put(cx.receive_chunks, at, at, bytes)) return true;
  if (buffer->beyond.empty()) free_receive_buffer(cx, tcb);  // there was none
  return false;
}

bool take_back_text(Tcb& tcb, std::uint32_t length) {
  const Seq back = tcb.rcv_nxt - length;
  if (tcb.receive != nullptr || has(tcb, fin_received | orphan) || after(tcb.last_ack_sent, back)) return false;
  if (distance(tcb.irs, back) > distance(tcb.irs, tcb.rcv_nxt)) --tcb.receive_wraps;
  tcb.rcv_nxt = back;
  return true;
}

}  // namespace handfast::tcp
