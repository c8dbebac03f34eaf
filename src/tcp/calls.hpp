// SPDX-License-Identifier: BSD-3-Clause
// RFC 9293 section 3.10.1 to .6: OPEN, SEND, RECEIVE, CLOSE, ABORT, STATUS. Layer: tcp.
#pragma once

#include <span>

#include "tcp/context.hpp"

namespace handfast::tcp {

/// Active OPEN: a block in SYN-SENT, its SYN on the way; null when a table is full. The tuple must be free.
[[nodiscard]] Tcb* open_active(Context& cx, const FlowKey& key, std::uint64_t hash, std::uint16_t handler);

/// Is there memory to copy into and to describe what is sent? Keeps what is for receiving out of it.
[[nodiscard]] bool has_send_memory(const Context& cx);
/// A chunk of those that sending may take, or nullptr.
[[nodiscard]] Chunk* allocate_to_send(Context& cx);

/// Bytes that SEND takes now; 0 where the state takes none.
[[nodiscard]] std::uint32_t writable(const Context& cx, const Tcb& tcb);
/// SEND, copied: as much as fits the send buffer and the shard's memory.
std::uint32_t send_copy(Context& cx, Tcb& tcb, std::span<const std::byte> bytes);
/// SEND of bytes that stay where they are as long as the core lives: as many as fit the send buffer. Says how many.
std::size_t send_in_place(Context& cx, Tcb& tcb, std::span<const std::byte> bytes);
/// SEND, by reference. All or nothing; a partial take is the caller's to ask for.
bool send_extent(Context& cx, Tcb& tcb, std::span<const std::byte> bytes, Ownership ownership, void* owner,
                 void (*release)(void*, std::span<const std::byte>));

/// RECEIVE: the application has taken n bytes of those that were held.
void consume(Context& cx, Tcb& tcb, std::uint32_t n);

/// The write half of CLOSE: FIN behind what is queued.
void shutdown_write(Context& cx, Tcb& tcb);
/// CLOSE by an application that will not read on. Bytes unread: RST instead (SHLD-3).
void close(Context& cx, Tcb& tcb);
void abort(Context& cx, Tcb& tcb, CloseReason reason = CloseReason::aborted);

[[nodiscard]] ConnStats status(const Context& cx, const Tcb& tcb);

}  // namespace handfast::tcp
