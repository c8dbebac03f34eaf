// SPDX-License-Identifier: BSD-3-Clause
// Two FrameStacks joined by a link that loses, doubles, delays and turns frames round, in virtual time, from
// a seed. Layer: test support. The same seed gives the same run, bit for bit.
#pragma once

#include <functional>
#include <limits>
#include <memory>
#include <optional>

#include "base/rng.hpp"
#include "emulator/direction.hpp"
#include "handfast/frame_port.hpp"
#include "support/recorder.hpp"

namespace handfast::test {

struct LinkRules {
  Duration delay = 1ms;  ///< one way
  Duration jitter{};     ///< up to this much more: frames overtake each other
  double loss = 0, duplicate = 0;
  std::uint64_t bits_per_second = 0;  ///< each way; 0: no limit, hence no queue
  std::size_t queue_bytes = std::numeric_limits<std::size_t>::max();
  /// True: the frame is lost. `from` 0 or 1, `n` counts the frames of that end.
  std::function<bool(int from, std::size_t n, std::span<const std::byte> frame)> lose{};
};

class Pair {
 public:
  /// The clock begins at `start`, or somewhere in the first 36 minutes.
  explicit Pair(std::uint64_t seed, LinkRules rules = {}, std::function<void(CoreConfig&)> adjust = {},
                std::optional<Time> start = std::nullopt);
  /// Checks that neither end holds a buffer, a connection or memory.
  ~Pair();
  Pair(const Pair&) = delete;

  [[nodiscard]] FrameStack& stack(int end) { return *ends_[end].stack; }
  [[nodiscard]] Core& core(int end) { return stack(end).core(); }
  [[nodiscard]] Time now() const { return now_; }
  [[nodiscard]] Rng& rng() { return rng_; }
  static constexpr Ipv4Address address(int end) { return {10, 0, 0, static_cast<std::uint8_t>(end + 1)}; }

  void run_until(Time end);
  void run_for(Duration d) { run_until(now_ + d); }
  /// Until nothing is on the way and nobody has anything to do, or `limit` has passed; true if it is idle.
  /// TIME-WAIT does not count as something to do.
  bool run_idle(Duration limit);
  /// Until `done` says so; false when `limit` has passed first.
  bool run_until(const std::function<bool()>& done, Duration limit);
  [[nodiscard]] std::size_t frames(int from) const { return ends_[from].sent; }
  [[nodiscard]] std::size_t frames_lost() const { return ways_[0].counts().lost + ways_[1].counts().lost; }

  LinkRules rules;

 private:
  struct End {
    Pair* pair = nullptr;
    int index = 0;
    std::size_t sent = 0;
    std::unique_ptr<FrameStack> stack;
  };
  void on_frame(End& from, std::span<const std::byte> frame);
  /// The next moment at which something happens; false when it is after `end`.
  bool step(Time end);
  [[nodiscard]] bool is_idle();

  Rng rng_;
  Time now_;
  End ends_[2];
  emulator::Direction ways_[2];  ///< by the end that sends
  Recorder recorder_;
};

}  // namespace handfast::test
