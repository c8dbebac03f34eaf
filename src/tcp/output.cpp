// SPDX-License-Identifier: BSD-3-Clause
// The sender: what may leave now (RFC 9293 section 3.8.6.2.1, RFC 5681), and in which segments. Layer: tcp.
// Single segments for a purpose (SYN, RST, challenge ACK, probe) are in replies.cpp.
#include "tcp/output.hpp"

#include <algorithm>

#include "tcp/recovery.hpp"
#include "tcp/segment_builder.hpp"
#include "tcp/state.hpp"
#include "tcp/timeouts.hpp"

namespace handfast::tcp {
namespace {

/// Points the segment at [at, at + length) of the send queue; may shorten it (too many pieces). `offset` counts from
/// the first byte of the queue.
void gather(const Tcb& tcb, TxSegment& segment, std::uint32_t offset, std::uint32_t length) {
  const Extent* extent = tcb.send_head;
  while (offset >= extent->length) {
    offset -= extent->length;
    extent = extent->next;
  }
  std::uint32_t taken = 0;
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
std::uint32_t send_segment(Context& cx, Tcb& tcb, Seq at, std::uint32_t length, bool with_fin) {
  TxSegment* segment = begin_segment(cx, tcb, at, wire::ack);
  if (segment == nullptr) return 0;
  const std::uint32_t offset = distance(tcb.snd_una, at);
  if (length != 0) gather(tcb, *segment, offset, length);
  const bool last = offset + segment->payload_length == tcb.send_queued;
  if (with_fin && last) segment->flags |= wire::fin;
  if (segment->payload_length != 0 && last) segment->flags |= wire::psh;
  commit_segment(cx, tcb);
  return segment->payload_length + ((segment->flags & wire::fin) != 0 ? 1 : 0);
}

void note_sent_again(Context& cx, Tcb& tcb) {
  ++cx.stats.retransmits;
  if (tcb.retransmits != 0xffff) ++tcb.retransmits;
  clear(tcb, rtt_timing);  // Karn: an answer could be to either copy (RFC 6298 section 3)
}

/// Retransmissions that recovery has ordered, as far as the congestion window lets them. False: no place.
bool send_lost(Context& cx, Tcb& tcb, std::uint32_t& in_flight, bool& sent) {
  const Seq data_end = tcb.snd_una + tcb.send_queued;
  while (tcb.recovery != Recovery::open) {
    const auto lost = next_lost(tcb);
    if (!lost) return true;
    // The first one of a recovery always goes; the others when there is room for them.
    const bool first = tcb.rtx_nxt == tcb.snd_una || before(tcb.rtx_nxt, tcb.snd_una);
    if (!first && in_flight >= tcb.cwnd) return true;
    if (!cx.out.has_room()) return false;
    const std::uint32_t mss = segment_room(tcb);
    const Seq at = lost->left;
    const std::uint32_t data = before(at, data_end) ? std::min({distance(at, lost->right), mss, distance(at, data_end)}) : 0;
    const std::uint32_t took = send_segment(cx, tcb, at, data, has(tcb, fin_sent));
    if (took == 0) return false;
    tcb.rtx_nxt = at + took;
    in_flight += took;
    sent = true;
    note_sent_again(cx, tcb);
  }
  return true;
}

enum class Hold : std::uint8_t { no, window, congestion, small };

/// RFC 9293 section 3.8.6.2.1 with Nagle (section 3.7.4): may `length` of `unsent` bytes go?
Hold why_hold(const Tcb& tcb, std::uint32_t length, std::uint32_t unsent, std::uint32_t mss, std::uint32_t in_flight) {
  if (length == mss) return Hold::no;
  const bool last = length == unsent;
  if (last && has(tcb, fin_queued)) return Hold::no;
  if (has(tcb, override_due)) return Hold::no;
  if (last && !has(tcb, corked) && (has(tcb, nodelay) || in_flight == 0)) return Hold::no;
  if (!last && length >= tcb.max_snd_wnd / 2) return Hold::no;
  return Hold::small;
}

struct Sent {
  bool any = false;
  Hold hold = Hold::no;
  bool no_place = false;
};

/// New data and the FIN behind it.
Sent send_new(Context& cx, Tcb& tcb, std::uint32_t in_flight) {
  Sent result;
  const Seq limit = tcb.snd_una + tcb.snd_wnd;
  const Seq data_end = tcb.snd_una + tcb.send_queued;
  while (!has(tcb, fin_sent)) {
    const std::uint32_t unsent = distance(tcb.snd_nxt, data_end);
    // A FIN waits for the end of the handshake (section 3.10.4); data does not, where it was opened fast.
    const bool fin = has(tcb, fin_queued) && tcb.state != State::syn_received;
    if (unsent == 0 && !fin) break;
    const std::uint32_t mss = segment_room(tcb);
    const std::uint32_t usable = before(tcb.snd_nxt, limit) ? distance(tcb.snd_nxt, limit) : 0;
    std::uint32_t length = std::min({unsent, mss, usable});
    if (unsent != 0 && length == 0) {
      result.hold = Hold::window;
      break;
    }
    if (unsent != 0) {
      if (in_flight != 0 && in_flight + length > tcb.cwnd) {
        set(tcb, cwnd_limited);
        result.hold = Hold::congestion;
        break;
      }
      result.hold = why_hold(tcb, length, unsent, mss, in_flight);
      if (result.hold != Hold::no) break;
    }
    if (!cx.out.has_room()) {
      result.no_place = true;
      break;
    }
    const std::uint32_t took = send_segment(cx, tcb, tcb.snd_nxt, length, fin && length == unsent);
    if (took == 0) {
      result.no_place = true;
      break;
    }
    if (!has(tcb, rtt_timing) && tcb.recovery == Recovery::open) {
      set(tcb, rtt_timing);
      tcb.rtt_seq = tcb.snd_nxt + took;
      tcb.rtt_time_us = cx.now_us;
    }
    if (tcb.snd_una == tcb.snd_nxt) tcb.progress_ms = cx.now_ms;
    tcb.snd_nxt += took;
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
void run_timer(Context& cx, Tcb& tcb, Hold hold) {
  if (tcb.snd_una != tcb.snd_nxt) {
    if (tcb.rtx_deadline != never && !has(tcb, persist)) return;
    if (has(tcb, persist) && tcb.snd_wnd == 0) return;  // a probe is in flight: it goes on
    clear(tcb, persist);
    start_retransmission_timer(cx, tcb);
  } else if (hold == Hold::window || hold == Hold::small) {
    if (tcb.rtx_deadline != never) return;
    set(tcb, persist);
    start_persist_timer(cx, tcb, hold == Hold::small);
  }
}

}  // namespace

std::uint32_t pipe(const Tcb& tcb) {
  std::uint32_t flight = distance(tcb.snd_una, tcb.snd_nxt);
  if (tcb.scoreboard != nullptr) {
    flight -= std::min(flight, tcb.scoreboard->sacked.bytes());
  } else if (!has(tcb, sack_enabled)) {
    // Each duplicate ACK says that one segment has left the network (RFC 5681 section 3.2).
    flight -= std::min(flight, std::uint32_t{tcb.dup_acks} * tcb.snd_mss);
  }
  return flight - std::min(flight, lost_bytes(tcb));
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
  Sent fresh;
  if (tcb.snd_una != tcb.snd_nxt || tcb.send_queued != 0 || has(tcb, fin_queued)) {
    clear(tcb, cwnd_limited);
    std::uint32_t in_flight = pipe(tcb);
    const bool lost_done = send_lost(cx, tcb, in_flight, sent);
    if (lost_done) fresh = send_new(cx, tcb, in_flight);
    sent = sent || fresh.any;
    run_timer(cx, tcb, fresh.hold);
    if (!lost_done || fresh.no_place) mark_dirty(cx, tcb);
  }
  if (has(tcb, ack_now) && !sent) send_ack(cx, tcb);
  if (has(tcb, ack_delayed) && tcb.ack_deadline == never) start_delayed_ack_timer(cx, tcb);
}

}  // namespace handfast::tcp
