// SPDX-License-Identifier: BSD-3-Clause
// Allocation, the end, TIME-WAIT. Layer: tcp; see lifetime.hpp.
#include "tcp/lifetime.hpp"

#include <algorithm>
#include <cstring>
#include <new>

#include "tcp/fast_open.hpp"
#include "tcp/flights.hpp"
#include "tcp/output.hpp"
#include "tcp/path_mtu.hpp"
#include "tcp/receive_window.hpp"
#include "tcp/state.hpp"
#include "wire/tcp_writer.hpp"

namespace handfast::tcp {

namespace {

/// MUST-67, SHLD-6, rfc6691 2a: fixed headers alone are taken off.
std::uint16_t mss_of_mtu(std::uint16_t mtu) { return static_cast<std::uint16_t>(mtu - 40); }

/// The least shift under which the whole receive buffer can be offered (RFC 7323 section 2.2).
std::uint8_t shift_for(std::uint32_t receive_buffer) {
  std::uint8_t shift = 0;
  while (shift < 14 && (std::uint32_t{65535} << shift) < receive_buffer) ++shift;
  return shift;
}

/// At least four units of a window field, so that it can say that something is left.
std::uint32_t first_limit(const TcpConfig& tcp, std::uint8_t shift) {
  return std::min(tcp.receive_buffer, std::max(tcp.receive_buffer_initial, 4u << shift));
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Winvalid-offsetof"  // as in tcb.hpp
constexpr std::size_t state_offset = offsetof(Tcb, state);
#pragma GCC diagnostic pop
static_assert(State{} == State::closed);  // of a slot that was never used

std::uint32_t flow_count(const Limits& limits) { return limits.connections + limits.half_open + limits.time_wait; }

/// A connection is dirty at most twice a round; slots that are used again within one come on top, by as many as frames come in.
constexpr std::size_t used_again = 8192;

/// What a connection begins with, whatever it is.
Tcb first_tcb(const TcpConfig& config) {
  Tcb tcb;
  tcb.rto_us = static_cast<std::uint32_t>(config.rto_initial / 1us);
  tcb.flags = flag_if(!config.nagle, nodelay) | flag_if(config.keepalive, keepalive_on);
  return tcb;
}

}  // namespace

Context::Context(const CoreConfig& c, Time start)
    : config(c),
      local_mss(c.tcp.mss != 0 ? c.tcp.mss : mss_of_mtu(c.link.mtu)),
      rcv_wscale(c.tcp.window_scale ? shift_for(c.tcp.receive_buffer) : std::uint8_t{0}),
      first_receive_limit(first_limit(c.tcp, rcv_wscale)),
      rto_min_us(static_cast<std::uint32_t>(c.tcp.rto_min / 1us)),
      rto_max_us(static_cast<std::uint32_t>(c.tcp.rto_max / 1us)),
      offers_all(c.tcp.timestamps && c.tcp.sack && c.tcp.window_scale && !c.tcp.user_timeout_option),
      predicted_needs(in_table | syn_acked | (c.tcp.header_prediction ? 0 : bit(63))),
      predicted_mask(predicted_needs | unpredicted_flags),
      rng(c.seed + 0x9e3779b97f4a7c15u * c.shard),
      secrets(rng, c.seed),
      hasher(secrets.flow),
      tcbs(c.limits.connections),
      half_opens(c.limits.half_open),
      time_waits(c.limits.time_wait),
      flows(flow_count(c.limits), KeyOf{this}),
      listeners(c.limits.listeners),
      fast_open_cache(c.limits.fast_open_servers, secrets.fast_open),
      chunks(static_cast<std::uint32_t>(c.limits.buffer_memory / chunk_bytes)),
      receive_chunks(chunks, most_for_receiving(chunks.capacity())),
      extents(c.limits.send_extents),
      receive_buffers(c.limits.recovery_blocks),
      flights(c.limits.recovery_blocks),
      path_searches(c.limits.path_searches),
      paths(c.limits.paths, secrets.flow[1]),
      rare_memory(std::size_t{c.limits.connections} * sizeof(Rare)),
      tcb_wheel(start),
      half_open_wheel(start),
      fresh_tcb(first_tcb(c.tcp)),
      dirty(2 * std::size_t{c.limits.connections} + used_again) {
  set_now(start);
  finished.reserve(c.limits.connections);
  starving.reserve(2 * std::size_t{c.limits.connections});
  released.reserve(c.limits.send_extents);
  if (c.limits.prefault) prefault();
}

void Context::prefault() {
  tcbs.prefault();
  half_opens.prefault();
  time_waits.prefault();
  flows.prefault();
  chunks.prefault();
  extents.prefault();
  receive_buffers.prefault();
  flights.prefault();
  path_searches.prefault();
}

Tcb* new_tcb(Context& cx, const FlowKey& key) {
  const std::uint32_t index = cx.tcbs.allocate();
  if (index == npos) return nullptr;
  Tcb& tcb = cx.tcbs[index];
  // Everything but key, generation and state, which other threads may be reading (a block that is free has the state of a
  // fresh one); from memory, where it has stood for long: a block built here would be loaded back before its stores are
  // done.
  HF_DEBUG_ASSERT(tcb.state == State::closed);
  const auto renew = [&](std::size_t from, std::size_t to) {
    std::memcpy(reinterpret_cast<std::byte*>(&tcb) + from, reinterpret_cast<const std::byte*>(&cx.fresh_tcb) + from, to - from);
  };
  renew(tcb_private_offset, state_offset);
  renew(state_offset + sizeof(State), sizeof(Tcb));
  publish(tcb.key, key);
  tcb.flow_sum = wire::flow_sum(key);
  tcb.heard_ms = tcb.progress_ms = cx.now_ms;
  if (key.remote_address - cx.config.link.address.address.value < cx.config.link.address_count) [[unlikely]] set(tcb, to_self);
  ++cx.stats.connections;
  return &tcb;
}

bool enter_table(Context& cx, Tcb& tcb, std::uint64_t hash) {
  if (!cx.flows.insert(hash, FlowSlot::make(FlowKind::connection, cx.tcbs.index_of(tcb)))) return false;
  set(tcb, in_table);
  return true;
}

void free_send_queue(Context& cx, Tcb& tcb) {
  for (Extent* extent = tcb.send_head; extent != nullptr;) {
    Extent* next = extent->next;
    release_extent(cx, *extent);
    extent = next;
  }
  tcb.send_head = tcb.send_tail = nullptr;
  tcb.send_queued = 0;
}

void free_receive_buffer(Context& cx, Tcb& tcb) {
  if (tcb.receive == nullptr) return;
  tcb.receive->clear(cx.receive_chunks);
  cx.receive_buffers.free(tcb.receive);
  tcb.receive = nullptr;
}

namespace {

void leave_table(Context& cx, Tcb& tcb) {
  if (!has(tcb, in_table)) return;
  clear(tcb, in_table);
  cx.flows.erase(cx.hasher(tcb.key), FlowSlot::make(FlowKind::connection, cx.tcbs.index_of(tcb)));
}

void stop_timers(Context& cx, Tcb& tcb) {
  tcb.rtx_deadline = tcb.ack_deadline = tcb.idle_deadline = tcb.app_deadline = never;
  if (tcb.timer.armed()) cx.tcb_wheel.cancel(tcb.timer);
}

}  // namespace

void end_connection(Context& cx, Tcb& tcb, CloseReason reason) {
  if (has(tcb, ended)) return;
  if (is_fast_opened(tcb)) leave_fast_open(cx, tcb, reason == CloseReason::reset_by_peer);
  leave_table(cx, tcb);
  stop_timers(cx, tcb);
  if (tcb.send_head != nullptr) free_send_queue(cx, tcb);
  if (tcb.receive != nullptr && !has(tcb, judging)) free_receive_buffer(cx, tcb);  // else the application is looking at it
  if (tcb.flight != nullptr) free_flight(cx, tcb);
  if (has(tcb, mss_unsettled)) release_path_search(cx, tcb);
  if (tcb.state != State::closed) set_state(tcb, State::closed);
  set(tcb, ended);
  tcb.close_reason = reason;
  ++cx.stats.closed[static_cast<std::size_t>(reason)];
  if (!has(tcb, in_hand)) cx.finished.push_back(cx.tcbs.index_of(tcb));
}

bool is_drained(const Tcb& tcb) {
  if (has(tcb, orphan)) return true;
  return has(tcb, eof_delivered) && unread_bytes(tcb) == 0;
}

void complete(Context& cx, Tcb& tcb) {
  leave_table(cx, tcb);
  if (is_drained(tcb)) {
    end_connection(cx, tcb, CloseReason::finished);
    return;
  }
  // The application has bytes or the end of file to come: the block stays, outside of the table, until then.
  const Time app_deadline = tcb.app_deadline;  // its timer may be what makes it read on
  stop_timers(cx, tcb);
  if (app_deadline != never) {
    tcb.app_deadline = app_deadline;
    arm_for(cx, tcb, app_deadline);
  }
  clear(tcb, ack_now | ack_delayed);
  if (tcb.state != State::closed) set_state(tcb, State::closed);
}

void free_tcb(Context& cx, Tcb& tcb) {
  --cx.stats.connections;
  clear(tcb, dirty);
  cx.tcbs.free(cx.tcbs.index_of(tcb));
}

// MUST-13
void enter_time_wait(Context& cx, Tcb& tcb) {
  set_state(tcb, State::time_wait);
  const Time expires = cx.now + 2 * cx.config.tcp.msl;
  std::uint32_t index = cx.time_waits.add(expires);
  if (index == npos && cx.time_waits.oldest() != npos) {
    remove_time_wait(cx, cx.time_waits.oldest());
    ++cx.stats.time_wait_cut_short;
    index = cx.time_waits.add(expires);
  }
  if (index == npos) {  // a table of no entries: the operator's choice
    ++cx.stats.time_wait_cut_short;
    send_ack(cx, tcb);
    complete(cx, tcb);
    return;
  }
  TimeWait& entry = cx.time_waits[index];
  publish(entry.key, tcb.key);
  entry.snd_nxt = tcb.snd_nxt;
  entry.rcv_nxt = tcb.rcv_nxt;
  entry.ts_recent = tcb.ts_recent;
  entry.ts_offset = tcb.ts_offset;
  entry.flow_sum = tcb.flow_sum;
  entry.timestamps = has(tcb, ts_enabled);
  entry.tos = tos_of(tcb);
  entry.window = window_field(cx, tcb);
  entry.answered = 0;
  entry.answered_ms = cx.now_ms;
  const bool replaced = cx.flows.replace(cx.hasher(tcb.key), FlowSlot::make(FlowKind::connection, cx.tcbs.index_of(tcb)),
                                         FlowSlot::make(FlowKind::time_wait, index));
  HF_ASSERT(replaced);
  clear(tcb, in_table);
  ++cx.stats.time_wait;
  if (has(tcb, ack_now)) send_time_wait_ack(cx, entry);
  complete(cx, tcb);
}

namespace {
/// Entries that come and go in the order of their places, as they do where the table is full, are long out of the caches when
/// their turn comes: so is their bucket. A hint, whatever lies there.
void prefetch_after(Context& cx, std::uint32_t index) {
  constexpr std::uint32_t entry_ahead = 16, bucket_ahead = 8;
  if (index + entry_ahead >= cx.time_waits.capacity()) return;
  ds::prefetch_for_write(&cx.time_waits[index + entry_ahead]);
  cx.flows.prefetch(cx.hasher(cx.time_waits[index + bucket_ahead].key));
}
}  // namespace

void remove_time_wait(Context& cx, std::uint32_t index) {
  cx.flows.erase(cx.hasher(cx.time_waits[index].key), FlowSlot::make(FlowKind::time_wait, index));
  cx.time_waits.remove(index);
  --cx.stats.time_wait;
  prefetch_after(cx, index);
}

void expire_time_wait(Context& cx, std::size_t limit) {
  for (; limit != 0; --limit) {
    const std::uint32_t index = cx.time_waits.oldest();
    if (index == npos || cx.time_waits[index].expires > cx.now) return;
    remove_time_wait(cx, index);
  }
}

HalfOpen* new_half_open(Context& cx, const FlowKey& key, std::uint64_t hash, std::uint16_t listener) {
  const std::uint32_t index = cx.half_opens.allocate();
  if (index == npos) return nullptr;
  HalfOpen& half = cx.half_opens[index];
  publish(half.key, key);
  if (!cx.flows.insert(hash, FlowSlot::make(FlowKind::half_open, index))) {
    cx.half_opens.free(index);
    return nullptr;
  }
  half.flow_sum = wire::flow_sum(key);
  half.listener = listener;
  half.retries = half.challenge_sent = 0;
  half.sent_again = half.answered = false;
  half.challenge_ms = cx.now_ms;
  new (&half.timer) ds::TimerNode;
  Listener& owner = cx.listeners[listener];
  half.list_previous = npos;
  half.list_next = owner.half_open_head;
  if (half.list_next != npos) cx.half_opens[half.list_next].list_previous = index;
  owner.half_open_head = index;
  ++owner.half_open;
  ++cx.stats.half_open;
  return &half;
}

void remove_half_open(Context& cx, HalfOpen& half, bool keep_in_table) {
  const std::uint32_t index = cx.half_opens.index_of(half);
  if (!keep_in_table) cx.flows.erase(cx.hasher(half.key), FlowSlot::make(FlowKind::half_open, index));
  if (half.timer.armed()) cx.half_open_wheel.cancel(half.timer);
  Listener& owner = cx.listeners[half.listener];
  (half.list_previous == npos ? owner.half_open_head : cx.half_opens[half.list_previous].list_next) = half.list_next;
  if (half.list_next != npos) cx.half_opens[half.list_next].list_previous = half.list_previous;
  --owner.half_open;
  --cx.stats.half_open;
  cx.half_opens.free(index);
}

}  // namespace handfast::tcp
