// SPDX-License-Identifier: BSD-3-Clause
// RCV.UP and SND.UP. Layer: tcp; see urgent.hpp. How SND.UP gets into segments is in dress.cpp.
#include "tcp/urgent.hpp"

namespace handfast::tcp {

void urgent_arrives(const Context& cx, Tcb& tcb, Seq end) {
  const Seq unread = first_unread(tcb);
  // A pointer to what was read already, or back from one that is known, says nothing (it "cannot recede").
  if (!after(end, unread)) return;
  const bool pending = has(tcb, urgent_in) && after(rare(tcb).rcv_up, unread);
  if (pending && !after(end, rare(tcb).rcv_up)) return;
  take_rare(cx, tcb).rcv_up = end;
  set(tcb, urgent_in | urgent_due);  // MUST-32: also when it advances
  set(tcb, notice);
}

// MUST-33
std::uint32_t urgent_ahead(const Tcb& tcb, Seq unread) {
  if (!has(tcb, notice) || !has(tcb, urgent_in) || !after(rare(tcb).rcv_up, unread)) return 0;
  return distance(unread, rare(tcb).rcv_up);
}

// MUST-30
void mark_urgent(Context& cx, Tcb& tcb) {
  const bool open = has(tcb, syn_acked);
  take_rare(cx, tcb).snd_up = (open ? tcb.snd_una : tcb.iss + 1) + tcb.send_queued;
  set(tcb, urgent_out);
  set(tcb, dressed | flag_if(open, ack_now));  // the word leaves now, even where the bytes cannot
  mark_dirty(cx, tcb);
}

}  // namespace handfast::tcp
