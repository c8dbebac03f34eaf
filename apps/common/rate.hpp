// SPDX-License-Identifier: BSD-3-Clause
// Paces an open loop: who is due at a given time, and when each was meant to start. Exact in integers, so a
// rate of one in three nanoseconds does not drift in a week. Layer: apps. Time is a parameter; no clock is
// read.
#pragma once

#include <cstdint>

#include "handfast/time.hpp"

namespace handfast::apps {

/// Start number n (from 0) is meant for start + floor(n * 1 s / rate).
/// A late caller catches up: the starts keep their intended times, from which latency is measured, or else
/// the waiting that the system under test caused would go missing from the figures (coordinated omission).
class Pacer {
 public:
  static constexpr std::uint64_t max_per_second = 1'000'000'000;

  /// `per_second` is taken as at least 1 and at most max_per_second.
  Pacer(std::uint64_t per_second, Time start)
      : rate_(per_second == 0 ? 1 : (per_second > max_per_second ? max_per_second : per_second)),
        step_ns_(second_ns / rate_),
        step_rest_(second_ns % rate_),
        start_(start),
        next_(start) {}

  [[nodiscard]] std::uint64_t per_second() const { return rate_; }
  [[nodiscard]] std::uint64_t taken() const { return taken_; }

  /// When the next start that was not yet taken is meant to happen.
  [[nodiscard]] Time next_at() const { return next_; }

  /// How many starts are due at `now` and not yet taken. Zero before `start`.
  [[nodiscard]] std::uint64_t due(Time now) const {
    if (now < next_) return 0;
    // n is due when floor(n * 1e9 / rate) <= elapsed, that is n < (elapsed + 1) * rate / 1e9.
    const std::uint64_t end = static_cast<std::uint64_t>((now - start_).count()) + 1;
    const std::uint64_t seconds = end / second_ns;
    const std::uint64_t rest = end % second_ns;  // below 1e9, as rate_ is at most: the product fits
    return seconds * rate_ + (rest * rate_ + second_ns - 1) / second_ns - taken_;
  }

  /// Takes the next start, due or not, and says when it was meant to happen. No division.
  Time take() {
    const Time intended = next_;
    ++taken_;
    next_ += Duration{static_cast<std::int64_t>(step_ns_)};
    rest_ += step_rest_;
    if (rest_ >= rate_) {
      rest_ -= rate_;
      next_ += Duration{1};
    }
    return intended;
  }

 private:
  static constexpr std::uint64_t second_ns = 1'000'000'000;

  std::uint64_t rate_;
  std::uint64_t step_ns_;    // whole nanoseconds between two starts
  std::uint64_t step_rest_;  // and what is left of them, in units of 1/rate_ ns
  std::uint64_t rest_ = 0;   // the fraction of next_, always below rate_
  std::uint64_t taken_ = 0;
  Time start_;
  Time next_;
};

}  // namespace handfast::apps
