// SPDX-License-Identifier: BSD-3-Clause
// Time as Handfast sees it: a point that somebody passes in, never one that is read.
// Layer: public values. Knows nothing of clocks: the type has no now().
#pragma once

#include <chrono>
#include <cstdint>

namespace handfast {

/// Nanoseconds; every span of time in the public interface and below it.
using Duration = std::chrono::nanoseconds;

/// The clock that Time belongs to. It deliberately has no now(): the caller of poll() says what time it is.
/// The origin is the caller's choice; only differences count. It must never run backwards (a step back is
/// ignored).
struct Clock {
  using duration = Duration;
  using rep = duration::rep;
  using period = duration::period;
  using time_point = std::chrono::time_point<Clock>;
  static constexpr bool is_steady = true;
};

/// One point on that clock.
using Time = Clock::time_point;

using namespace std::chrono_literals;

}  // namespace handfast
