// SPDX-License-Identifier: BSD-3-Clause
// One direction of an emulated link: frames in, frames out at times. Deterministic: time is a parameter and
// randomness a seed, so it serves virtual time and real time alike. Layer: emulator; it must not know clocks,
// stacks or devices.
#pragma once

#include <deque>
#include <optional>
#include <span>
#include <vector>

#include "base/rng.hpp"
#include "emulator/rules.hpp"

namespace handfast::emulator {

class Direction {
 public:
  /// Which frames the seed loses does not depend on the other rules: each has a generator of its own.
  explicit Direction(std::uint64_t seed, Rules rules = {});

  /// May change at any time and holds for the frames pushed from then on.
  Rules rules;

  /// A frame, Ethernet header first; copied. `now` must not run backwards.
  void push(Time now, std::span<const std::byte> frame);
  /// When the next frame arrives; nothing if none is on the way.
  [[nodiscard]] std::optional<Time> next() const;
  /// Calls arrive(due, frame) for each frame that is due at `now`, in order. `arrive` may push.
  template <class F>
  std::size_t deliver(Time now, F&& arrive) {
    std::size_t n = 0;
    for (; !heap_.empty() && heap_.front().at <= now; ++n) {
      const Flying flying = take();
      arrive(flying.at, std::span<const std::byte>{slots_[flying.slot]});
      free_.push_back(flying.slot);
    }
    return n;
  }

  [[nodiscard]] const Counts& counts() const { return counts_; }
  [[nodiscard]] std::size_t in_flight() const { return heap_.size(); }  ///< the queue included
  [[nodiscard]] std::size_t queued_bytes(Time now);

  /// Frames on the way at once, at most; more are dropped and counted (too_many).
  static constexpr std::size_t max_in_flight = 1u << 20;

 private:
  struct Flying {
    Time at;
    std::uint64_t order;
    std::uint32_t slot;
  };
  struct Queued {
    Time leaves;
    std::size_t bytes;
  };
  static bool later(const Flying& a, const Flying& b) {
    return a.at != b.at ? a.at > b.at : a.order > b.order;
  }
  [[nodiscard]] bool is_lost(std::size_t n, std::span<const std::byte> frame);
  void transmit(Time now, std::span<const std::byte> frame, bool flip);
  [[nodiscard]] Time leave(Time now, std::size_t bytes);
  [[nodiscard]] std::uint32_t store(std::span<const std::byte> frame);
  Flying take();

  Rng loss_, copies_, flips_, jitter_, order_;
  Counts counts_;
  bool bad_ = false;          // state of Rules::bursts
  std::deque<Queued> queue_;  // in the order of leaving; the front is in transmission
  std::size_t queued_bytes_ = 0;
  Time free_at_{};               // of the transmitter
  std::uint64_t remainder_ = 0;  // of the last division by the rate, so that no time is lost by rounding
  std::vector<Flying> heap_;     // the earliest in front
  std::uint64_t next_order_ = 0;
  std::vector<std::vector<std::byte>> slots_;
  std::vector<std::uint32_t> free_;
};

}  // namespace handfast::emulator
