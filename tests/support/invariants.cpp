// SPDX-License-Identifier: BSD-3-Clause
// The invariants of a core's whole state; see invariants.hpp. Layer: test support. Written against the data,
// not against the verbs: sums are counted anew, lists are walked, each table is asked for what another one
// holds.
#include "support/invariants.hpp"

#include <algorithm>

#include "shard/shard.hpp"
#include "tcp/fast_open.hpp"
#include "tcp/invariants.hpp"

namespace handfast::test {
namespace {

using tcp::Context;
using tcp::Tcb;

bool is_live(const Tcb& tcb) { return (tcb.generation & 1) != 0; }

bool is_synchronised(const Tcb& tcb) {
  return has(tcb, tcp::in_table) && !has(tcb, tcp::ended) && tcb.state != State::syn_sent &&
         tcb.state != State::syn_received;
}

std::string who(const Tcb& tcb) {
  return tcb.key.local().to_string() + " > " + tcb.key.remote().to_string() + " " +
         std::string{handfast::name(tcb.state)};
}

std::string numbers(std::uint64_t counted, std::uint64_t said) {
  return ": counted " + std::to_string(counted) + ", the stack says " + std::to_string(said);
}

/// What the connections hold together.
struct Held {
  std::uint32_t extents = 0, chunks = 0, receive_buffers = 0, flights = 0, path_searches = 0;
  std::uint32_t slack = 0;  ///< chunks that directories of long queues may hold: nobody outside can see
  std::uint32_t timers = 0, live = 0, in_table = 0, pending = 0, early = 0;
};

/// I5: sorted, disjoint, above rcv_nxt, inside the window, within the caps.
std::string check_receive(const Tcb& tcb, Held& held) {
  if (tcb.receive == nullptr) return {};
  const tcp::ReceiveBuffer& buffer = *tcb.receive;
  Seq edge = tcb.rcv_nxt;
  std::uint32_t bytes = 0, ranges = 0;
  bool sorted = true;
  buffer.beyond.for_each([&](const ds::Range& range) {
    sorted = sorted && before(edge, range.left) && before(range.left, range.right);
    bytes += distance(range.left, range.right);
    ++ranges;
    edge = range.right;
    return true;
  });
  if (!sorted) return "I5 ranges beyond gaps are not in order, or touch";
  if (bytes != buffer.beyond.bytes() || ranges != buffer.beyond.size() ||
      ranges > tcp::max_out_of_order_ranges)
    return "I5 ranges are miscounted" + numbers(bytes, buffer.beyond.bytes());
  if (ranges != 0 && is_synchronised(tcb) && before(tcb.rcv_adv, edge))
    return "I5 bytes are held beyond the window";
  if (before(text_end(tcb), buffer.unread)) return "I5 more was read than has come";
  // Every chunk has a byte in the window, and a byte has one chunk.
  const std::uint32_t span = distance(buffer.unread, ranges != 0 ? edge : tcb.rcv_nxt);
  if (buffer.chunks > span / tcp::chunk_bytes + 2) return "I25 more chunks than the window has";
  ++held.receive_buffers;
  held.chunks += buffer.chunks + buffer.beyond.blocks();
  for (const tcp::Chunk* middle : buffer.tops) {
    if (middle == nullptr) continue;
    ++held.chunks;
    const auto* inner = reinterpret_cast<const tcp::Chunk* const*>(middle->bytes.data());
    for (std::size_t i = 0; i < tcp::chunk_bytes / sizeof inner; ++i)
      held.chunks += inner[i] != nullptr ? 1 : 0;
  }
  return {};
}

/// I22: what stands in the send queue; each byte once.
std::string check_send(const Tcb& tcb, Held& held) {
  std::uint32_t bytes = 0;
  for (const tcp::Extent* extent = tcb.send_head; extent != nullptr; extent = extent->next) {
    bytes += extent->length;
    ++held.extents;
    held.chunks += extent->ownership == tcp::Ownership::chunk ? 1 : 0;
    if (extent->next == nullptr && extent != tcb.send_tail) return "I22 the send queue's tail is another";
  }
  return bytes == tcb.send_queued ? std::string{} : "I22 the send queue" + numbers(bytes, tcb.send_queued);
}

template <class Queue>
void count_queue(const Queue& queue, Held& held, std::uint32_t direct_blocks) {
  held.chunks += queue.chunks();
  if (queue.back_number() / Queue::per_block >= direct_blocks)
    held.slack += 2 + queue.chunks() / Queue::fan_out;
}

/// I6: the scoreboard lies in (snd_una, snd_nxt], and its sums are sums.
std::string check_scoreboard(const Tcb& tcb, Held& held) {
  if (tcb.flight == nullptr) return {};
  const tcp::Flight& flight = *tcb.flight;
  ++held.flights;
  count_queue(flight.sent, held, 16);
  count_queue(flight.again, held, 2);
  Seq left = tcb.snd_una;
  std::uint32_t sacked = 0, lost = 0, resent = 0;
  for (std::uint32_t n = flight.sent.front_number(); n != flight.sent.back_number(); ++n) {
    const tcp::Sent& record = flight.sent[n];
    if (!before(left, record.right) || before(tcb.snd_nxt, record.right))
      return "I6 a record lies outside of (snd_una, snd_nxt]";
    const std::uint32_t length = distance(left, record.right);
    sacked += (record.flags & tcp::sent_sacked) != 0 ? length : 0;
    lost += (record.flags & tcp::sent_lost) != 0 ? length : 0;
    resent += (record.flags & tcp::sent_again) != 0 ? length : 0;
    left = record.right;
  }
  if (sacked != flight.sacked) return "I6 SACKed bytes" + numbers(sacked, flight.sacked);
  if (lost != flight.lost || resent != flight.resent) return "I6 lost bytes" + numbers(lost, flight.lost);
  if (sacked + lost > distance(tcb.snd_una, tcb.snd_nxt) || resent > lost) return "I6 more lost than was out";
  return {};
}

/// I7, I8: what the sender's numbers may be.
std::string check_sender(const Tcb& tcb, const Context& cx) {
  const TcpConfig& config = cx.config.tcp;
  const auto most = static_cast<std::uint64_t>(std::max(config.rto_max, config.rto_initial) / 1us);
  const auto least = static_cast<std::uint64_t>(std::min(config.rto_min, config.rto_initial) / 1us);
  if (tcb.rto_us < least || tcb.rto_us > most) return "I8 the RTO is " + std::to_string(tcb.rto_us) + " us";
  const Duration farthest =
      std::max({config.rto_max, config.rto_initial, config.override_timeout, Duration{3s}});
  if (tcb.rtx_deadline != tcp::never && tcb.rtx_deadline > cx.now + farthest)
    return "I8 the retransmission timer is " + std::to_string((tcb.rtx_deadline - cx.now) / 1us) + " us away";
  if (!has(tcb, tcp::syn_acked)) return {};
  if (tcb.cwnd < tcb.snd_mss) return "I7 cwnd is below one segment";
  if (tcb.ssthresh < 2u * tcb.snd_mss) return "I7 ssthresh is below two segments";
  if (tcb.snd_mss > tcb.mss_limit) return "I7 segments larger than peer and link allow";
  return {};
}

/// I18: whatever waits has something that will go on with it.
std::string check_waiting(const Tcb& tcb) {
  const bool dirty = has(tcb, tcp::dirty);
  const bool paced = tcb.flight != nullptr && tcb.flight->pace_deadline != tcp::never;
  if (tcb.snd_una != tcb.snd_nxt && tcb.rtx_deadline == tcp::never && !dirty && !paced)
    return "I18 something is unacknowledged and no timer runs";
  if (is_synchronised(tcb) && tcb.send_queued != 0 && tcb.snd_una == tcb.snd_nxt && !dirty && !paced &&
      tcb.rtx_deadline == tcp::never)
    return "I18 data waits and no timer runs";
  if (is_synchronised(tcb) && has(tcb, tcp::fin_queued) && !has(tcb, tcp::fin_sent) &&
      tcb.snd_una == tcb.snd_nxt && tcb.send_queued == 0 && !dirty && !paced &&
      tcb.rtx_deadline == tcp::never)
    return "I18 a FIN waits for nothing";
  if ((tcb.state == State::syn_sent || tcb.state == State::syn_received) && tcb.rtx_deadline == tcp::never)
    return "I18 a SYN without a timer";
  if (has(tcb, tcp::ack_delayed) && tcb.ack_deadline == tcp::never && !dirty)
    return "I18 a delayed ACK without a timer";
  if (tcb.state == State::fin_wait_2 && has(tcb, tcp::orphan) && tcb.idle_deadline == tcp::never)
    return "I18 an orphan in FIN-WAIT-2 without a timer";
  if (has(tcb, tcp::ack_now) && !dirty) return "I18 an ACK is due and nobody will send it";
  return {};
}

/// I19, I20: the node fires no later than the earliest deadline, and what was due has fired.
std::string check_timer(const Tcb& tcb, const Context& cx) {
  constexpr Duration tick{1 << ds::TimerWheel::tick_bits};
  Time earliest = std::min({tcb.rtx_deadline, tcb.ack_deadline, tcb.idle_deadline, tcb.app_deadline});
  if (tcb.flight != nullptr) earliest = std::min(earliest, tcb.flight->pace_deadline);
  if (earliest == tcp::never) return {};
  if (!tcb.timer.armed()) return "I20 a deadline and no timer";
  if (tcb.timer.deadline > std::max(earliest, cx.now)) return "I20 the timer is later than the deadline";
  // One that is set to what has passed, behind another alarm that was as late, comes at the next turn.
  const bool is_next = cx.tcb_wheel.next_deadline().value_or(Time::max()) <= cx.tcb_wheel.now();
  if (cx.tcb_wheel.lag() == Duration{0} && earliest + tick < cx.tcb_wheel.now() && !is_next)
    return "I20 overdue by " + std::to_string((cx.tcb_wheel.now() - earliest) / 1us) + " us";
  return {};
}

std::string check_connection(const Tcb& tcb, const Context& cx, Held& held) {
  ++held.live;
  held.timers += tcb.timer.armed() ? 1 : 0;
  held.in_table += has(tcb, tcp::in_table) ? 1 : 0;
  held.pending += has(tcb, tcp::accept_pending) ? 1 : 0;
  held.path_searches += tcp::rare(tcb).path_search != tcp::npos ? 1 : 0;
  std::string why = check_receive(tcb, held);
  if (why.empty()) why = check_send(tcb, held);
  if (why.empty()) why = check_scoreboard(tcb, held);
  if (!why.empty() || has(tcb, tcp::ended) || !has(tcb, tcp::in_table)) return why;
  why = check_sender(tcb, cx);
  if (why.empty()) why = check_waiting(tcb);
  if (why.empty()) why = check_timer(tcb, cx);
  const std::uint32_t slot = tcp::FlowSlot::make(tcp::FlowKind::connection, cx.tcbs.index_of(tcb));
  if (why.empty() && cx.flows.find(cx.hasher(tcb.key), tcb.key) != slot)
    why = "I12 I23 not found by its own key";
  return why;
}

/// I18, I20, I23, I24, of half-open connections; they hold nothing but a timer.
std::string check_half_open(const Context& cx) {
  std::uint32_t live = 0;
  for (const tcp::Listener& listener : cx.listeners) {
    std::uint32_t counted = 0;
    for (std::uint32_t i = listener.half_open_head; i != tcp::npos; i = cx.half_opens[i].list_next) {
      const tcp::HalfOpen& half = cx.half_opens[i];
      if (++counted > listener.half_open || (half.generation & 1) == 0) break;
      if (cx.flows.find(cx.hasher(half.key), half.key) != tcp::FlowSlot::make(tcp::FlowKind::half_open, i))
        return "I12 I23 a half-open connection is not found by its own key";
      if (!half.timer.armed()) return "I18 SYN-RECEIVED without a timer";
    }
    if (counted != listener.half_open)
      return "I24 half-open connections of a listener" + numbers(counted, listener.half_open);
    live += counted;
  }
  if (live != cx.half_open_wheel.size())
    return "I20 half-open timers" + numbers(live, cx.half_open_wheel.size());
  if (cx.stats.half_open != live) return "I24 half-open connections" + numbers(live, cx.stats.half_open);
  return {};
}

/// I16, I18: the list is in the order of expiry, no entry lasts longer than 2MSL, none is overdue.
std::string check_time_wait(const Context& cx) {
  std::uint32_t count = 0;
  Time last = Time::min();
  for (std::uint32_t i = cx.time_waits.oldest(); i != tcp::TimeWaitList::npos; i = cx.time_waits[i].next) {
    const tcp::TimeWait& entry = cx.time_waits[i];
    if (++count > cx.time_waits.size()) return "I23 the list of TIME-WAIT entries is a ring";
    if (entry.expires < last || entry.expires > cx.now + 2 * cx.config.tcp.msl)
      return "I16 TIME-WAIT entries are not in the order of expiry, or last too long";
    last = entry.expires;
    if (cx.flows.find(cx.hasher(entry.key), entry.key) != tcp::FlowSlot::make(tcp::FlowKind::time_wait, i))
      return "I23 a TIME-WAIT entry is not found by its own key";
  }
  return count == cx.time_waits.size() ? std::string{}
                                       : "I23 TIME-WAIT entries" + numbers(count, cx.time_waits.size());
}

/// I24: what listeners count is what there is.
std::string check_listeners(const Context& cx, const Held& held) {
  std::uint32_t waiting = 0, early = 0;
  for (const tcp::Listener& listener : cx.listeners) {
    std::uint32_t queued = 0;
    for (std::uint32_t i = listener.accept_head; i != tcp::npos; i = cx.tcbs[i].next_free)
      if (++queued > listener.waiting) return "I24 the accept queue is longer than its count";
    if (queued != listener.waiting) return "I24 the accept queue" + numbers(queued, listener.waiting);
    waiting += listener.waiting;
    early += listener.fast_open_pending;
    if (listener.open && (listener.waiting > listener.backlog || listener.half_open > listener.backlog))
      return "I25 more wait than the backlog allows";
  }
  if (waiting != held.pending) return "I24 connections that wait for accept" + numbers(held.pending, waiting);
  if (early != held.early) return "I24 Fast Open connections" + numbers(held.early, early);
  return {};
}

std::string check_pools(const Context& cx, const Held& held, const Withheld& out) {
  const auto released = static_cast<std::uint32_t>(cx.released.size());
  if (cx.tcbs.size() != held.live) return "I23 control blocks" + numbers(held.live, cx.tcbs.size());
  if (cx.stats.connections + out.connections != held.live)
    return "I26 the gauge of connections" + numbers(held.live, cx.stats.connections);
  if (cx.extents.in_use() != held.extents + released + out.extents)
    return "I22 extents" + numbers(held.extents + released + out.extents, cx.extents.in_use());
  const std::uint32_t chunks = held.chunks + out.chunks;
  if (cx.chunks.in_use() < chunks || cx.chunks.in_use() > chunks + held.slack + out.views)
    return "I22 chunks" + numbers(chunks, cx.chunks.in_use());
  if (cx.receive_buffers.in_use() != held.receive_buffers + out.receive_buffers)
    return "I22 receive buffers" +
           numbers(held.receive_buffers + out.receive_buffers, cx.receive_buffers.in_use());
  if (cx.flights.in_use() != held.flights + out.flights)
    return "I22 flights" + numbers(held.flights + out.flights, cx.flights.in_use());
  if (cx.path_searches.size() != held.path_searches + out.path_searches)
    return "I22 path searches" + numbers(held.path_searches + out.path_searches, cx.path_searches.size());
  if (cx.tcb_wheel.size() != held.timers) return "I20 timers" + numbers(held.timers, cx.tcb_wheel.size());
  if (cx.half_opens.size() != cx.stats.half_open + out.half_open)
    return "I23 half-open connections" + numbers(cx.stats.half_open, cx.half_opens.size());
  const std::uint32_t entries = held.in_table + cx.half_opens.size() - out.half_open + cx.time_waits.size();
  if (cx.flows.size() != entries) return "I23 the flow table" + numbers(entries, cx.flows.size());
  return {};
}

}  // namespace

std::string broken_invariant(Core& core, const Withheld& withheld, bool buckets) {
  const Context& cx = core.shard().tcp();
  Held held;
  for (std::uint32_t i = 0; i < cx.tcbs.high_water(); ++i) {
    const Tcb& tcb = cx.tcbs[i];
    if (!is_live(tcb)) continue;
    if (withheld.connections != 0 && tcb.handler == 0xffff && tcb.key == FlowKey{}) {
      ++held.live;  // taken by who withholds it
      continue;
    }
    held.early += tcp::is_fast_opened(tcb) ? 1 : 0;
    tcp::check_invariants(cx, tcb);
    if (const std::string why = check_connection(tcb, cx, held); !why.empty()) return why + ": " + who(tcb);
  }
  std::string why = check_half_open(cx);
  if (why.empty()) why = check_time_wait(cx);
  if (why.empty()) why = check_listeners(cx, held);
  if (why.empty()) why = check_pools(cx, held, withheld);
  if (!why.empty() || !buckets) return why;
  const auto hash_of = [&cx](std::uint32_t slot) { return cx.hasher(const_cast<Context&>(cx).key(slot)); };
  return cx.flows.invariants(hash_of) ? std::string{} : "I23 the flow table's buckets are not in order";
}

}  // namespace handfast::test
