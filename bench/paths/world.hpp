// SPDX-License-Identifier: BSD-3-Clause
// Hosts on the two sides of an emulated link, and the loop that moves frames: in virtual time when all hosts
// are stacks, in real time as soon as one is a kernel. Layer: bench.
#pragma once

#include <memory>
#include <vector>

#include "emulator/direction.hpp"
#include "host.hpp"

namespace handfast::paths {

/// How late frames left the emulator in real time: its own fault, not the link's.
struct Lateness {
  std::uint64_t frames = 0;
  Duration p99{}, most{};
};

enum class Side { left, right };

class World {
 public:
  /// `spin`: in real time, never sleeps (for latency); otherwise sleeps until the next event.
  World(std::uint64_t seed, bool real_time, bool spin = false);
  World(const World&) = delete;

  Host& add(Side side, std::unique_ptr<Host> host);
  /// What frames from that side meet from now on.
  void set_rules(Side from, const emulator::Rules& rules) { ways_[index(from)].rules = rules; }
  [[nodiscard]] const emulator::Counts& counts(Side from) const { return ways_[index(from)].counts(); }

  [[nodiscard]] Time now() const { return now_; }
  void run_for(Duration d) {
    run_until([] { return false; }, d);
  }
  /// False when the limit came first.
  template <class Done>
  bool run_until(Done&& done, Duration limit) {
    const Time end = now_ + limit;
    while (!done()) {
      if (now_ >= end) return false;
      step(end);
    }
    return true;
  }

  /// Since the last call.
  Lateness take_lateness();

 private:
  static std::size_t index(Side side) { return side == Side::left ? 0 : 1; }
  void step(Time end);
  void deliver();
  void arrive(std::size_t side, std::span<const std::byte> frame);
  [[nodiscard]] Time next_event() const;
  void wait(Time until);

  bool real_time_, spin_;
  Time now_;
  emulator::Direction ways_[2];  // by the side that sends
  std::vector<std::unique_ptr<Host>> hosts_[2];
  std::vector<pollfd> fds_;
  std::vector<Host*> owners_;
  std::vector<float> late_us_;
};

/// The machine's monotonic clock.
[[nodiscard]] Time real_now();
/// Asks for the scheduler's promptness for this thread, as far as the machine grants it.
void be_prompt(bool spins = false);

}  // namespace handfast::paths
