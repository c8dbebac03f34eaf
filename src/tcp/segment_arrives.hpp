// SPDX-License-Identifier: BSD-3-Clause
// RFC 9293 section 3.10.7: what a segment does, by the kind of flow that it found. Layer: tcp.
// Nothing here calls the application: a verdict says what there is to tell it, and the shard does.
#pragma once

#include "tcp/context.hpp"

namespace handfast::tcp {

/// What a segment left for the application, in the order in which it is to be told.
struct Verdict {
  Tcb* tcb = nullptr;              ///< the connection that the rest is about; may have been created just now
  Drop drop = Drop::none;          ///< why the segment, or a part of it, went no further (counted by the caller)
  bool established = false;        ///< entered ESTABLISHED
  std::uint32_t acked = 0;         ///< bytes of data newly acknowledged
  const std::byte* data = nullptr; ///< next bytes in order, in the frame; rcv_nxt stands after them already
  std::uint32_t data_length = 0;
  bool readable = false;           ///< the receive buffer has bytes in order, or the end of file was reached
};

/// CLOSED (3.10.7.1): no flow and no listener.
Verdict segment_arrives_closed(Context& cx, const wire::Segment& segment);

/// LISTEN (3.10.7.2). `admitted` is the application's word on a SYN; the ISS is raised above `least_iss` where the
/// SYN takes over a TIME-WAIT entry. May create a half-open entry, or a connection out of a cookie.
struct Reuse {
  bool valid = false;
  Seq least_iss;
};
Verdict segment_arrives_listen(Context& cx, std::uint16_t listener, std::uint64_t hash, const wire::Segment& segment,
                               Reuse reuse = {});

/// SYN-RECEIVED as a half-open entry; creates the connection when its third segment is good.
Verdict segment_arrives_half_open(Context& cx, HalfOpen& half, std::uint64_t hash, const wire::Segment& segment);

/// TIME-WAIT. True in `reopen`: the entry is gone and the SYN is to be given to the listener with `reuse`; never where
/// nobody listens.
struct TimeWaitVerdict {
  Drop drop = Drop::none;
  bool reopen = false;
  Reuse reuse;
};
TimeWaitVerdict segment_arrives_time_wait(Context& cx, std::uint32_t index, const wire::Segment& segment,
                                          bool has_listener);

/// SYN-SENT (3.10.7.3) and all synchronised states (3.10.7.4).
Verdict segment_arrives(Context& cx, Tcb& tcb, const wire::Segment& segment);

/// Memory for `length` bytes that may have to wait: accepted bytes must never be lost for want of a place.
[[nodiscard]] inline bool has_chunks_for(const Context& cx, std::uint32_t length) {
  const std::uint32_t n = chunks_for(length);
  if (cx.chunks.in_use() + n <= cx.receive_chunks.most()) [[likely]] return true;  // whoever has them
  return cx.receive_chunks.has(n);
}
/// And a buffer for a connection that has none.
[[nodiscard]] inline bool has_memory_for(const Context& cx, std::uint32_t length) {
  return has_chunks_for(cx, length) && cx.receive_buffers.in_use() < cx.receive_buffers.capacity();
}

/// Keeps bytes that the application did not take, [rcv_nxt - bytes, rcv_nxt). False: there is no room, or the application's
/// callback has used it up.
[[nodiscard]] bool store_unread(Context& cx, Tcb& tcb, std::span<const std::byte> bytes);
/// Then: as if these bytes had not come, so that the peer sends them again. False where they are acknowledged already, or the
/// peer's FIN behind them is taken: the stream is broken.
[[nodiscard]] bool take_back_text(Tcb& tcb, std::uint32_t length);

}  // namespace handfast::tcp
