// SPDX-License-Identifier: BSD-3-Clause
// The invariants. Layer: tcp; see invariants.hpp.
#include "tcp/invariants.hpp"

#include <algorithm>

namespace handfast::tcp {
namespace {

void check_sequence_space(const Context& cx, const Tcb& tcb) {
  // I1: snd_una <= snd_nxt, and what lies between is what is queued, with our SYN and FIN.
  HF_ASSERT(before_eq(tcb.snd_una, tcb.snd_nxt));
  const bool syn_out = !has(tcb, syn_acked);
  const std::uint32_t flight = distance(tcb.snd_una, tcb.snd_nxt);
  const std::uint32_t control = (syn_out ? 1u : 0u) + (has(tcb, fin_sent) ? 1u : 0u);
  HF_ASSERT(flight <= tcb.send_queued + control);
  // I3, I4: what was offered stays offered.
  HF_ASSERT(before_eq(tcb.rcv_nxt, tcb.rcv_adv) || tcb.state == State::syn_sent);
  HF_ASSERT(before_eq(tcb.last_ack_sent, tcb.rcv_nxt) || tcb.state == State::syn_sent);
  // I7
  if (!syn_out) {
    HF_ASSERT(tcb.cwnd >= tcb.snd_mss && tcb.ssthresh >= 2u * tcb.snd_mss);
    HF_ASSERT(tcb.snd_mss >= 36 && tcb.snd_mss <= tcb.mss_limit);
  }
  HF_ASSERT(rare(tcb).path_search == npos || has(tcb, mss_unsettled));
  static_cast<void>(cx);
}

void check_send_queue(const Tcb& tcb) {
  std::uint32_t bytes = 0;
  const Extent* last = nullptr;
  for (const Extent* extent = tcb.send_head; extent != nullptr; extent = extent->next) {
    HF_ASSERT(extent->length != 0);
    bytes += extent->length;
    last = extent;
  }
  HF_ASSERT(bytes == tcb.send_queued && last == tcb.send_tail);
}

void check_receive_buffer(const Tcb& tcb) {
  if (tcb.receive == nullptr) return;
  // I5: sorted, disjoint, above rcv_nxt, inside the window.
  const auto& beyond = tcb.receive->beyond;
  Seq edge = tcb.rcv_nxt;
  beyond.for_each([&](const ds::Range& range) {
    HF_ASSERT(before(edge, range.left) && before(range.left, range.right));
    edge = range.right;
    return true;
  });
  HF_ASSERT(before_eq(edge, tcb.rcv_adv));
  HF_ASSERT(before_eq(tcb.receive->unread, text_end(tcb)));
}

/// I6, I7: records in order from snd_una to snd_nxt, sums that are sums.
void check_flight(const Tcb& tcb) {
  if (tcb.flight == nullptr) {
    HF_ASSERT(tcb.recovery == Recovery::open);
    return;
  }
  const Flight& flight = *tcb.flight;
  std::uint32_t sacked = 0, lost = 0, resent = 0, segments = 0, forgiven = 0;
  Seq left = tcb.snd_una;
  for (std::uint32_t n = flight.sent.front_number(); n != flight.sent.back_number(); ++n) {
    const Sent& record = flight.sent[n];
    HF_ASSERT(before(left, record.right));
    const std::uint32_t length = distance(left, record.right);
    const bool is_sacked = (record.flags & sent_sacked) != 0, is_lost = (record.flags & sent_lost) != 0;
    const bool is_again = (record.flags & sent_again) != 0;
    HF_ASSERT(!(is_sacked && is_lost) && (is_lost || !is_again));
    sacked += is_sacked ? length : 0;
    segments += is_sacked ? 1 : 0;
    lost += is_lost ? length : 0;
    resent += is_again ? length : 0;
    forgiven += (record.flags & sent_probe) != 0 ? length : 0;
    HF_ASSERT(is_lost || (record.flags & sent_probe) == 0);
    const bool before_judged = static_cast<std::int32_t>(n - flight.judged) < 0;
    HF_ASSERT(!before_judged || is_sacked || is_lost);
    const bool before_next = static_cast<std::int32_t>(n - flight.next_lost) < 0;
    HF_ASSERT(!before_next || !is_lost || is_again);
    left = record.right;
  }
  HF_ASSERT(sacked == flight.sacked && segments == flight.sacked_segments && lost == flight.lost && resent == flight.resent);
  HF_ASSERT(forgiven == flight.forgiven);
  const bool probe = has(tcb, probe_out);
  HF_ASSERT(left == tcb.snd_nxt || (probe && flight.sent.empty()));
  if (flight.sent.empty()) HF_ASSERT(tcb.recovery == Recovery::open);
}

void check_timers(const Context& cx, const Tcb& tcb) {
  // I18: what is unacknowledged has a timer; I20: the node fires no later than the earliest deadline.
  const bool paced = tcb.flight != nullptr && tcb.flight->pace_deadline != never;
  if (tcb.snd_una != tcb.snd_nxt) HF_ASSERT(tcb.rtx_deadline != never || has(tcb, dirty) || (has(tcb, probe_out) && paced));
  if (has(tcb, ack_delayed)) HF_ASSERT(tcb.ack_deadline != never || has(tcb, dirty));
  if (tcb.state == State::fin_wait_2 && has(tcb, orphan)) HF_ASSERT(tcb.idle_deadline != never);
  const Time earliest = std::min({tcb.rtx_deadline, tcb.ack_deadline, tcb.idle_deadline, tcb.app_deadline});
  if (earliest != never) HF_ASSERT(tcb.timer.armed() && tcb.timer.deadline <= std::max(earliest, cx.now));
}

}  // namespace

void check_invariants(const Context& cx, const Tcb& tcb) {
  if (has(tcb, ended)) {
    HF_ASSERT(tcb.state == State::closed && !has(tcb, in_table) && !tcb.timer.armed());
    HF_ASSERT(tcb.send_head == nullptr && tcb.receive == nullptr && tcb.flight == nullptr);
    HF_ASSERT(rare(tcb).path_search == npos);
    return;
  }
  check_send_queue(tcb);
  if (!has(tcb, in_table)) return;  // complete, and waits to be read
  HF_ASSERT(tcb.state != State::closed && tcb.state != State::listen && tcb.state != State::time_wait);
  check_sequence_space(cx, tcb);
  check_receive_buffer(tcb);
  check_timers(cx, tcb);
  check_flight(tcb);
  // I23: found by its own key.
  const std::uint32_t slot = FlowSlot::make(FlowKind::connection, cx.tcbs.index_of(tcb));
  HF_ASSERT(cx.flows.find(cx.hasher(tcb.key), tcb.key) == slot);
}

}  // namespace handfast::tcp
