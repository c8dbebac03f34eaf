// SPDX-License-Identifier: BSD-3-Clause
// The timer wheel under the interface of timer_workload.hpp.
#pragma once

#include "ds/cache_line.hpp"
#include "ds/timer_wheel.hpp"
#include "timer_workload.hpp"

namespace handfast::bench {

class Wheel {
 public:
  explicit Wheel(std::uint32_t size) : connections_(size) {}
  void prefetch(std::uint32_t i) const { ds::prefetch_for_write(&connections_[i].timer); }
  void arm(std::uint32_t i, Duration delay) { wheel_.arm(connections_[i].timer, wheel_.now() + delay); }
  void cancel(std::uint32_t i) { wheel_.cancel(connections_[i].timer); }

  /// In steps of about 32 expiries, at least of a microsecond: as a polling core that has enough to do.
  void expire_all() {
    const Duration step{std::max<std::int64_t>(1000, (std::int64_t{1} << 30) * 32 / connections_.size())};
    while (wheel_.size() != 0) {
      wheel_.advance(wheel_.now() + step, 256, [this](ds::TimerNode&) { ++expired_; });
    }
  }

 private:
  struct alignas(64) Connection {
    ds::TimerNode timer;
  };
  OnHugePages<Connection> connections_;
  ds::TimerWheel wheel_{Time{1h}};
  std::uint64_t expired_ = 0;
};

}  // namespace handfast::bench
