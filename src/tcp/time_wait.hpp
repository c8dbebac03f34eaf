// SPDX-License-Identifier: BSD-3-Clause
// TIME-WAIT: 64 bytes a connection, in the order in which they expire (all last 2MSL, so a list is a timer).
// Layer: tcp. Bounded: when full the oldest goes and is counted.
#pragma once

#include <cstdint>

#include "base/seq.hpp"
#include "ds/slab.hpp"
#include "tcp/flow_slot.hpp"

namespace handfast::tcp {

struct alignas(64) TimeWait {
  FlowKey key;
  std::uint32_t generation = 0;
  Time expires{};
  std::uint32_t previous = 0xffffffff, next = 0xffffffff;
  Seq snd_nxt, rcv_nxt;
  std::uint32_t ts_recent = 0;
  std::uint32_t ts_offset = 0;
  std::uint32_t flow_sum = 0;
  std::uint32_t next_free = 0;
  std::uint16_t window = 0;         // field of the last ACK
  bool timestamps : 1 = false;
  std::uint8_t answered : 7 = 0;    // ACKs in the half second that began at answered_ms; at most 2
  std::uint8_t tos = 0;             // of the connection that it was
  std::uint32_t answered_ms = 0;
};
static_assert(sizeof(TimeWait) == 64);

/// The entries by expiry. The flow table refers to them by index; the caller keeps both in step.
class TimeWaitList {
 public:
  static constexpr std::uint32_t npos = 0xffffffff;

  explicit TimeWaitList(std::uint32_t capacity) : entries_(capacity) {}
  /// See ds::Mapping::prefault().
  void prefault() { entries_.prefault(); }

  /// A new entry at the young end; npos when full: remove oldest() first.
  [[nodiscard]] std::uint32_t add(Time expires);
  void remove(std::uint32_t index);
  /// To the young end with a new time (the 2MSL timer restarted).
  void restart(std::uint32_t index, Time expires);

  [[nodiscard]] std::uint32_t oldest() const { return head_; }
  [[nodiscard]] TimeWait& operator[](std::uint32_t index) { return entries_[index]; }
  [[nodiscard]] const TimeWait& operator[](std::uint32_t index) const { return entries_[index]; }
  [[nodiscard]] std::uint32_t size() const { return entries_.size(); }
  [[nodiscard]] std::uint32_t capacity() const { return entries_.capacity(); }

 private:
  void link(std::uint32_t index);
  void unlink(std::uint32_t index);

  ds::Slab<TimeWait> entries_;
  std::uint32_t head_ = npos, tail_ = npos;
};

}  // namespace handfast::tcp
