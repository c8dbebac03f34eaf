// SPDX-License-Identifier: BSD-3-Clause
// How a connection's memory comes and goes: control blocks, half-open entries, TIME-WAIT. Layer: tcp.
#pragma once

#include "tcp/context.hpp"

namespace handfast::tcp {

/// A block with every field at its start, in CLOSED, not in the flow table; null when the slab is full.
[[nodiscard]] Tcb* new_tcb(Context& cx, const FlowKey& key);
/// Enters it into the flow table; false when that is full.
[[nodiscard]] bool enter_table(Context& cx, Tcb& tcb, std::uint64_t hash);

/// The protocol is done with the connection: out of the table, timers off, queues freed, state CLOSED. The shard
/// still owes on_closed(reason) and then calls free_tcb.
void end_connection(Context& cx, Tcb& tcb, CloseReason reason);
/// Both directions were closed in order. What the application has not read yet stays until it has.
void complete(Context& cx, Tcb& tcb);
void free_tcb(Context& cx, Tcb& tcb);

/// Moves tuple and numbers to a TIME-WAIT entry, sends the ACK that is due, then complete().
void enter_time_wait(Context& cx, Tcb& tcb);
void remove_time_wait(Context& cx, std::uint32_t index);
/// Entries that are over; called once a poll, bounded.
void expire_time_wait(Context& cx, std::size_t limit);

/// A half-open entry in the table and in its listener's list; null when a table is full.
[[nodiscard]] HalfOpen* new_half_open(Context& cx, const FlowKey& key, std::uint64_t hash, std::uint16_t listener);
/// Takes it out of list, wheel and slab; `keep_in_table` when a Tcb takes its place there.
void remove_half_open(Context& cx, HalfOpen& half, bool keep_in_table = false);

void free_send_queue(Context& cx, Tcb& tcb);
void free_receive_buffer(Context& cx, Tcb& tcb);

/// True when the application has nothing more to get from a connection that is complete.
[[nodiscard]] bool is_drained(const Tcb& tcb);

}  // namespace handfast::tcp
