// SPDX-License-Identifier: BSD-3-Clause
// The user's calls. Layer: tcp; see calls.hpp.
#include "tcp/calls.hpp"

#include <algorithm>
#include <cstring>

#include "tcp/lifetime.hpp"
#include "tcp/output.hpp"
#include "tcp/path_mtu.hpp"
#include "tcp/patience.hpp"
#include "tcp/receive_window.hpp"
#include "tcp/rtt.hpp"
#include "tcp/state.hpp"
#include "tcp/timeouts.hpp"
#include "tcp/urgent.hpp"

namespace handfast::tcp {
namespace {

bool takes_data(const Tcb& tcb) {
  constexpr std::uint16_t states = detail::to_bits(State::syn_sent, State::syn_received, State::established, State::close_wait);
  return !has(tcb, fin_queued | ended | orphan) && (states >> static_cast<unsigned>(tcb.state) & 1) != 0;
}

void append(Tcb& tcb, Extent* extent) {
  extent->next = nullptr;
  (tcb.send_tail == nullptr ? tcb.send_head : tcb.send_tail->next) = extent;
  tcb.send_tail = extent;
}

/// Room behind the last extent, where that is a chunk of ours with nothing after it.
std::uint32_t room_in_tail(const Tcb& tcb) {
  const Extent* tail = tcb.send_tail;
  if (tail == nullptr || tail->ownership != Ownership::chunk) return 0;
  const auto* chunk = static_cast<const Chunk*>(tail->owner);
  return static_cast<std::uint32_t>(chunk->bytes.data() + chunk_bytes - (tail->data + tail->length));
}

void fill(Extent& extent, std::span<const std::byte> bytes, Ownership ownership, void* owner,
          void (*release)(void*, std::span<const std::byte>)) {
  extent.data = extent.whole_data = bytes.data();
  extent.length = extent.whole_length = static_cast<std::uint32_t>(bytes.size());
  extent.ownership = ownership;
  extent.owner = owner;
  extent.release = release;
}

/// It asked for memory that others hold: no ACK of its own may ever come to wake it.
void note_starved(Context& cx, Tcb& tcb) {
  if (has(tcb, starved)) return;
  if (cx.starving.size() == cx.starving.capacity()) {
    // Entries of blocks that were freed and used again: keep each that counts once.
    std::erase_if(cx.starving, [&](std::uint32_t i) {
      if (!has(cx.tcbs[i], starved)) return true;
      clear(cx.tcbs[i], starved);
      return false;
    });
    for (const std::uint32_t i : cx.starving) set(cx.tcbs[i], starved);
  }
  set(tcb, starved);
  cx.starving.push_back(cx.tcbs.index_of(tcb));
}

Extent* new_chunk_extent(Context& cx) {
  if (!has_send_memory(cx)) return nullptr;
  Chunk* chunk = cx.chunks.allocate();
  if (chunk == nullptr) return nullptr;
  Extent* extent = cx.extents.allocate();
  if (extent == nullptr) {
    cx.chunks.free(chunk);
    return nullptr;
  }
  fill(*extent, {chunk->bytes.data(), 0}, Ownership::chunk, chunk, nullptr);
  return extent;
}

}  // namespace

Tcb* open_active(Context& cx, const FlowKey& key, std::uint64_t hash, std::uint16_t handler) {
  Tcb* tcb = new_tcb(cx, key);
  if (tcb == nullptr) return nullptr;
  if (!enter_table(cx, *tcb, hash)) {
    free_tcb(cx, *tcb);
    return nullptr;
  }
  const InitialNumbers initial = initial_numbers(cx.secrets, key, cx.now);
  set(*tcb, active_open | rtt_timing);
  tcb->handler = handler;
  tcb->congestion = cx.config.tcp.congestion_control;
  tcb->iss = tcb->snd_una = initial.iss;
  tcb->snd_nxt = initial.iss + 1;
  tcb->rtt_time_us = cx.now_us;
  tcb->ts_offset = initial.ts_offset;
  set_state(*tcb, State::syn_sent);
  ++cx.stats.active_opens;
  set(*tcb, ack_now);  // in SYN-SENT: the SYN is due. It leaves with the flush, so that any number can be opened at once
  mark_dirty(cx, *tcb);
  // Filed for when data could need it first: a connection that is answered by then never moves its node again, and one
  // that is not has it fire once for nothing.
  arm_for(cx, *tcb, cx.now + cx.config.tcp.rto_min);
  start_retransmission_timer(cx, *tcb);
  return tcb;
}

bool has_send_memory(const Context& cx) {
  return cx.chunks.capacity() - cx.chunks.in_use() > receive_reserve && cx.extents.in_use() < cx.extents.capacity();
}

Chunk* allocate_to_send(Context& cx) {
  return cx.chunks.capacity() - cx.chunks.in_use() > receive_reserve ? cx.chunks.allocate() : nullptr;
}

std::uint32_t writable(const Context& cx, const Tcb& tcb) {
  const std::uint32_t limit = cx.config.tcp.send_buffer;
  return takes_data(tcb) && tcb.send_queued < limit ? limit - tcb.send_queued : 0;
}

std::uint32_t send_copy(Context& cx, Tcb& tcb, std::span<const std::byte> bytes) {
  const std::size_t wanted = std::min<std::size_t>(bytes.size(), writable(cx, tcb));
  std::size_t taken = 0;
  while (taken < wanted) {
    std::uint32_t room = room_in_tail(tcb);
    if (room == 0) {
      Extent* extent = new_chunk_extent(cx);
      if (extent == nullptr) break;
      append(tcb, extent);
      room = chunk_bytes;
    }
    const auto n = static_cast<std::uint32_t>(std::min<std::size_t>(room, wanted - taken));
    Extent& tail = *tcb.send_tail;
    auto* chunk = static_cast<Chunk*>(tail.owner);
    std::memcpy(chunk->bytes.data() + (tail.data - chunk->bytes.data()) + tail.length, bytes.data() + taken, n);
    tail.length += n;
    taken += n;
  }
  tcb.send_queued += static_cast<std::uint32_t>(taken);
  if (taken < bytes.size() && takes_data(tcb)) set(tcb, want_writable);
  if (taken < wanted) note_starved(cx, tcb);
  if (taken != 0) mark_dirty(cx, tcb);
  return static_cast<std::uint32_t>(taken);
}

namespace {
/// An extent with `bytes`, which fit, at the end of the queue. False: there is none.
bool queue_extent(Context& cx, Tcb& tcb, std::span<const std::byte> bytes, Ownership ownership, void* owner,
                  void (*release)(void*, std::span<const std::byte>)) {
  Extent* extent = cx.extents.allocate();
  if (extent == nullptr) {
    set(tcb, want_writable);
    note_starved(cx, tcb);
    return false;
  }
  fill(*extent, bytes, ownership, owner, release);
  append(tcb, extent);
  tcb.send_queued += extent->length;
  mark_dirty(cx, tcb);
  return true;
}
}  // namespace

bool send_extent(Context& cx, Tcb& tcb, std::span<const std::byte> bytes, Ownership ownership, void* owner,
                 void (*release)(void*, std::span<const std::byte>)) {
  if (bytes.empty()) return false;
  if (bytes.size() > writable(cx, tcb)) {
    if (takes_data(tcb)) set(tcb, want_writable);
    return false;
  }
  return queue_extent(cx, tcb, bytes, ownership, owner, release);
}

std::size_t send_in_place(Context& cx, Tcb& tcb, std::span<const std::byte> bytes) {
  const std::size_t n = std::min<std::size_t>(bytes.size(), writable(cx, tcb));
  if (n < bytes.size() && !has(tcb, ended)) set(tcb, want_writable);
  return n != 0 && queue_extent(cx, tcb, bytes.first(n), Ownership::caller, nullptr, nullptr) ? n : 0;
}

void consume(Context& cx, Tcb& tcb, std::uint32_t n) {
  if (tcb.receive == nullptr || n == 0) return;
  tcb.receive->consume(cx.receive_chunks, n);
  const bool has_gap = !tcb.receive->beyond.empty() || (tcb.receive->fin_known && !has(tcb, fin_received));
  if (unread_bytes(tcb) == 0 && !has_gap) free_receive_buffer(cx, tcb);
  // A window update, once it is worth one (MUST-39): window_field() decides how much is said.
  if (!has(tcb, fin_received) && has(tcb, in_table) && window_update_is_due(cx, tcb)) {
    set(tcb, ack_now);
    mark_dirty(cx, tcb);
  }
}

void shutdown_write(Context& cx, Tcb& tcb) {
  if (!takes_data(tcb)) return;
  set(tcb, fin_queued);
  clear(tcb, want_writable);
  switch (tcb.state) {
    case State::established:
      set_state(tcb, State::fin_wait_1);
      break;
    case State::syn_sent:
    case State::syn_received:  // queued until ESTABLISHED (section 3.10.4)
    case State::close_wait:    // LAST-ACK when the FIN leaves
      break;
    case State::closed:
    case State::listen:
    case State::fin_wait_1:
    case State::fin_wait_2:
    case State::closing:
    case State::last_ack:
    case State::time_wait:
      HF_ASSERT(false);
  }
  mark_dirty(cx, tcb);
}

void close(Context& cx, Tcb& tcb) {
  if (has(tcb, ended | orphan)) return;
  if (tcb.state == State::syn_sent) {
    end_connection(cx, tcb, CloseReason::aborted);
    return;
  }
  if (!has(tcb, in_table)) {
    end_connection(cx, tcb, CloseReason::finished);  // was complete and waited to be read
    return;
  }
  const bool judged_later = has(tcb, judging);
  if (unread_bytes(tcb) != 0 && !judged_later) {  // SHLD-3
    send_reset(cx, tcb);
    end_connection(cx, tcb, CloseReason::unread_data);
    return;
  }
  shutdown_write(cx, tcb);
  set(tcb, orphan);
  tcb.progress_ms = cx.now_ms;
  if (!judged_later) free_receive_buffer(cx, tcb);  // beyond a gap: it will never be read
  if (tcb.state == State::fin_wait_2) start_fin_wait_2_timer(cx, tcb);
}

void abort(Context& cx, Tcb& tcb, CloseReason reason) {
  if (has(tcb, ended)) return;
  switch (tcb.state) {
    case State::syn_received:
    case State::established:
    case State::fin_wait_1:
    case State::fin_wait_2:
    case State::close_wait:
      send_reset(cx, tcb);
      break;
    case State::closing:
    case State::last_ack:
      // RFC 9293 section 3.10.5 sends nothing here. deviates: the peer would retransmit its FIN, or wait for our
      // answer, so it is told. Pinned by Abort.in_closing_and_last_ack__sends_rst.
      send_reset(cx, tcb);
      break;
    case State::closed:
    case State::listen:
    case State::syn_sent:
    case State::time_wait:
      break;
  }
  end_connection(cx, tcb, reason);
}

ConnStats status(const Context& cx, const Tcb& tcb) {
  ConnStats s;
  s.state = tcb.state;
  s.local = tcb.key.local();
  s.peer = tcb.key.remote();
  s.send_window = tcb.snd_wnd;
  s.receive_window = distance(tcb.rcv_nxt, tcb.rcv_adv);
  s.congestion_window = tcb.cwnd;
  s.slow_start_threshold = tcb.ssthresh;
  s.mss = tcb.snd_mss;
  s.path_mtu = path_mtu(tcb);
  s.last_icmp_error = tcb.last_icmp_error;
  s.flight = distance(tcb.snd_una, tcb.snd_nxt);
  if (tcb.flight != nullptr) {
    s.sacked = tcb.flight->sacked;
    s.lost = tcb.flight->lost;
  }
  s.queued = tcb.send_queued;
  s.unread = unread_bytes(tcb);
  s.out_of_order = tcb.receive != nullptr ? tcb.receive->beyond.bytes() : 0;
  s.srtt = std::chrono::microseconds{tcb.srtt_us};
  s.rttvar = std::chrono::microseconds{tcb.rttvar_us};
  s.rto = current_rto(cx, tcb);
  s.retransmits = tcb.retransmits;
  s.duplicate_acks = tcb.dup_acks;
  const bool opened = tcb.state != State::syn_sent && tcb.state != State::syn_received;
  if (opened) {
    const bool fin_acked = has(tcb, fin_sent) && tcb.snd_una == tcb.snd_nxt;
    s.bytes_sent = bytes_of_wraps(tcb.send_wraps, rare(tcb).send_wraps_128) + distance(tcb.iss + 1, tcb.snd_una) - (fin_acked ? 1 : 0);
    s.bytes_received = bytes_of_wraps(tcb.receive_wraps, rare(tcb).receive_wraps_128) + distance(tcb.irs + 1, text_end(tcb));
  }
  s.timestamps = has(tcb, ts_enabled);
  s.sack = has(tcb, sack_enabled);
  s.window_scale = has(tcb, wscale_enabled);
  s.ecn = has(tcb, ecn_on);
  s.dscp = has(tcb, marked) ? tcb.dscp : std::uint8_t{0};
  s.user_timeout = give_up_after(cx, tcb);
  s.peer_user_timeout = decode_user_timeout(rare(tcb).peer_user_timeout);
  s.urgent_ahead = urgent_ahead(tcb, first_unread(tcb));
  s.congestion_control = tcb.congestion;
  return s;
}

}  // namespace handfast::tcp
