// SPDX-License-Identifier: BSD-3-Clause
// A whole stack on a port that is made of two functions: frames in, frames out. No EAL, no DPDK, no thread, no clock.
// Layer: public. For tests of a handler in virtual time, for simulators, for another tool that drives the stack.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <span>

#include "handfast/core.hpp"

namespace handfast {

/// One core with its port. Same code as on DPDK, from the frame on. With the same config (the seed among it) and the
/// same calls at the same times, it does the same, bit for bit.
class FrameStack {
 public:
  /// Called with each frame that leaves; the bytes are valid during the call. It may call receive() of another stack, not
  /// poll() of this one.
  using Out = void (*)(void* ctx, std::span<const std::byte> frame);

  /// Fails where the config is out of range or memory cannot be had.
  [[nodiscard]] static Expected<std::unique_ptr<FrameStack>> create(const CoreConfig& config, Time start, Out out, void* ctx);
  ~FrameStack();
  FrameStack(const FrameStack&) = delete;
  FrameStack& operator=(const FrameStack&) = delete;

  [[nodiscard]] Core& core();

  /// A frame from the wire, Ethernet header first, without FCS; copied, processed by the next poll(). False: the queue of
  /// max_queued frames is full and the frame was dropped.
  static constexpr std::size_t max_queued = 4096;
  bool receive(std::span<const std::byte> frame);

  /// Processes what was received and whatever is due at `now`, and hands what is to leave to `out`. Returns the number of
  /// frames in and out.
  std::size_t poll(Time now);
  /// When poll() has something to do without a frame: now or earlier if at once, nullopt if never.
  [[nodiscard]] std::optional<Time> next_deadline() const;

  /// Buffers that are in use inside (frames waiting, views taken over): 0 when idle.
  [[nodiscard]] std::size_t buffers_in_use() const;
  /// From now on the port takes at most `n` frames a poll (back-pressure); for tests of a full transmit ring.
  void limit_transmit(std::size_t n);
  /// From now on `n` more buffers can be had, then none (for tests of an empty pool).
  void limit_buffers(std::size_t n);

 private:
  struct Inside;
  explicit FrameStack(std::unique_ptr<Inside> inside);
  std::unique_ptr<Inside> inside_;
};

}  // namespace handfast
