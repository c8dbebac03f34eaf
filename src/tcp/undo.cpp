// SPDX-License-Identifier: BSD-3-Clause
// Taking a reduction back. Layer: tcp; see undo.hpp.
#include "tcp/undo.hpp"

#include <algorithm>

#include "tcp/congestion.hpp"

namespace handfast::tcp {
namespace {

void undo(Context& cx, Tcb& tcb, Flight& flight) {
  unmark_lost(cx, tcb, flight);
  tcb.cwnd = std::max(tcb.cwnd, flight.undo_cwnd);
  tcb.ssthresh = std::max(tcb.ssthresh, flight.undo_ssthresh);
  tcb.recovery = Recovery::open;
  tcb.backoff = 0;
  tcb.dup_acks = 0;
  flight.undo_on = false;
  flight.frto = 0;
  flight.send_one = false;
  congestion(tcb).on_undo(cx, tcb, flight);
  ++cx.stats.recoveries_undone;
}

}  // namespace

void start_undo(Tcb& tcb, Flight& flight) {
  flight.undo_on = true;
  flight.undo_sent = false;
  flight.undo_mark = tcb.snd_una;
  flight.undo_cwnd = tcb.cwnd;
  flight.undo_ssthresh = tcb.ssthresh;
  flight.undo_resent = 0;
}

void note_undo_sent(const Context& cx, const Tcb& tcb, Flight& flight) {
  if (!flight.undo_on) return;
  if (!flight.undo_sent) flight.undo_ts = ts_now(cx, tcb);
  flight.undo_sent = true;
  ++flight.undo_resent;
}

void look_for_spurious(Context& cx, Tcb& tcb, Flight& flight, const Delivery& d, const AckArrival& arrival) {
  if (!flight.undo_sent) return;
  // rfc3522 3.2 (4): the first ACK that moves SND.UNA echoes a time before the first retransmission.
  if (d.acked != 0 && arrival.prior_una == flight.undo_mark && has(tcb, ts_enabled) && arrival.has_echo && arrival.echo != 0 &&
      static_cast<std::int32_t>(arrival.echo - flight.undo_ts) < 0) {
    undo(cx, tcb, flight);
    return;
  }
  if (!d.duplicate_sack || before(d.dsack_left, flight.undo_mark) || flight.undo_resent == 0) return;
  const std::uint32_t segments = (distance(d.dsack_left, d.dsack_right) + tcb.snd_mss - 1) / tcb.snd_mss;
  flight.undo_resent -= std::min(flight.undo_resent, segments);
  if (flight.undo_resent == 0) undo(cx, tcb, flight);
}

void start_frto(const Tcb& tcb, Flight& flight, bool first) {
  flight.frto = first && tcb.recovery == Recovery::open && flight.sent.size() > 1 ? 1 : 0;
}

void step_frto(Context& cx, Tcb& tcb, Flight& flight, const Delivery& d, const AckArrival& arrival) {
  if (tcb.recovery != Recovery::timeout) {
    flight.frto = 0;
    return;
  }
  if (flight.frto == 2) {
    // Step 3: something arrives that was not sent again: it was on its way all the time.
    if (d.original) {
      undo(cx, tcb, flight);
      flight.recover = tcb.snd_una;  // 3 b: losses from here on are losses
    } else if (d.any || arrival.duplicate) {
      flight.frto = 0;
      if (!congestion(tcb).models) tcb.cwnd = 3u * tcb.snd_mss;  // 3 a: two round trips of slow start have passed
    }
    return;
  }
  if (d.acked == 0) {
    if (arrival.duplicate) flight.frto = 0;  // step 2 a: a duplicate says that segments are missing
    return;
  }
  // Step 2 b: not all is acknowledged, and there is new data that may go instead of the old.
  const Seq data_end = tcb.snd_una + tcb.send_queued;
  const bool has_new = before(tcb.snd_nxt, data_end) && before(tcb.snd_nxt, tcb.snd_una + tcb.snd_wnd);
  flight.frto = has_new ? 2 : 0;
}

}  // namespace handfast::tcp
