// SPDX-License-Identifier: BSD-3-Clause
// The time stamp counter as handfast::Time: the one clock that is read, once per burst, above the core.
// Layer: dpdk. Must not know who asks.
#pragma once

#include <rte_cycles.h>

#include <cstdint>

#include "handfast/time.hpp"

namespace handfast::dpdk {

/// Nanoseconds since this clock was made. Copies share the origin, so that all cores agree.
class TscClock {
 public:
  /// Needs a running EAL, which measured the rate.
  TscClock() : TscClock(rte_get_tsc_hz(), rte_rdtsc()) {}
  TscClock(std::uint64_t hz, std::uint64_t origin) : multiplier_(multiplier(hz)), origin_(origin) {}

  [[nodiscard]] Time now() const { return at(rte_rdtsc()); }
  /// The time of a counter value; one before the origin is the origin.
  [[nodiscard]] Time at(std::uint64_t cycles) const {
    const std::uint64_t since = cycles > origin_ ? cycles - origin_ : 0;
    // 128 bits, so that no age of the process overflows: a multiplication and a shift, no division.
    const auto nanoseconds = static_cast<Wide>(since) * multiplier_ >> shift;
    return Time{Duration{static_cast<std::int64_t>(nanoseconds)}};
  }

 private:
  __extension__ using Wide = unsigned __int128;
  static constexpr unsigned shift = 32;
  static std::uint64_t multiplier(std::uint64_t hz) {
    constexpr std::uint64_t second_ns = 1'000'000'000;
    return static_cast<std::uint64_t>(((static_cast<Wide>(second_ns) << shift) + hz / 2) / hz);
  }

  std::uint64_t multiplier_;  ///< nanoseconds per cycle, 2^32 times
  std::uint64_t origin_;
};

}  // namespace handfast::dpdk
