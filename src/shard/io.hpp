// SPDX-License-Identifier: BSD-3-Clause
// What a shard needs of whoever moves its frames: DPDK, two functions, a simulator. Layer: shard.
// Nothing here knows which.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>

#include "wire/frame.hpp"

namespace handfast::shard {

/// receive: up to out.size() frames, each with a handle that comes back through release() exactly once, maybe to the Io
///          of another shard of the same port.
/// allocate: a buffer to write a frame into; false when there is none. It is given back by transmit() or discard(), or
///          by release() of its handle, when the frame was addressed to ourselves and was received after all.
/// transmit: takes frames from the front; those beyond the returned number stay the caller's, who tries again.
/// tx_offloads: wire::TxOffload bits that the port does.
/// keeps_buffers: where it is declared, some of allocate() may stay with the loop from one poll to the next; else what it has
///          taken and not used is discarded at the end of each.
/// max_frame: where there is one, the room in a buffer of allocate(): larger segments are made of it, if tx_offloads says
///          that the port cuts them or that the other end takes them.
template <class T>
concept Io = requires(T& io, std::span<wire::RxFrame> in, std::span<void* const> handles, wire::TxFrame& frame,
                      std::span<wire::TxFrame> out) {
  { io.receive(in) } -> std::same_as<std::size_t>;
  { io.release(handles) };
  { io.allocate(frame) } -> std::same_as<bool>;
  { io.discard(frame) };
  { io.transmit(out) } -> std::same_as<std::size_t>;
  { io.tx_offloads() } -> std::convertible_to<std::uint8_t>;
};

/// The same for what is rare (ARP, ICMP): two functions behind a pointer, so that it need not be a template.
struct FrameSource {
  void* io;
  bool (*allocate)(void* io, wire::TxFrame& frame);
};

}  // namespace handfast::shard
