// SPDX-License-Identifier: BSD-3-Clause
// Marks that arrive. Layer: tcp; see ecn.hpp.
#include "tcp/ecn.hpp"

#include <algorithm>

#include "tcp/output.hpp"

namespace handfast::tcp {
namespace {

/// rfc8257 3.2: an ACK says of all that it covers whether it was marked. So what is not acknowledged yet is, before the word
/// changes.
void note_state(Context& cx, Tcb& tcb, bool marked) {
  if (has(tcb, ece_due) == marked) return;
  if (tcb.last_ack_sent != tcb.rcv_nxt) send_ack(cx, tcb);
  marked ? set(tcb, ece_due | dressed) : clear(tcb, ece_due);
  set(tcb, ack_now);
  mark_dirty(cx, tcb);
}

}  // namespace

void note_marks(Context& cx, Tcb& tcb, const wire::Segment& segment) {
  const bool marked = segment.ecn == congestion_experienced && segment.payload_length != 0;
  if (marked) ++cx.stats.ecn_marks_in;
  if (congestion(tcb).counts_marks) {
    if (segment.payload_length != 0) note_state(cx, tcb, marked);
    return;
  }
  // rfc3168 6.1.3: CWR first, since the segment that has it may have been marked itself.
  if (segment.has(wire::cwr)) clear(tcb, ece_due);
  if (marked) set(tcb, ece_due | dressed);
}

void react_to_ece_alone(Context& cx, Tcb& tcb) {
  tcb.ssthresh = std::max<std::uint32_t>(tcb.cwnd / 2, 2u * tcb.snd_mss);
  tcb.cwnd = std::min(tcb.cwnd, tcb.ssthresh);
  set(tcb, cwr_due);
  ++cx.stats.ecn_reductions;
}

}  // namespace handfast::tcp
