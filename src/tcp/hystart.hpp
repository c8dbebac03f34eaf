// SPDX-License-Identifier: BSD-3-Clause
// HyStart++ (RFC 9406): leaves the first slow start when the round trip grows, before the queue overflows. Layer: tcp.
// Watches round trips and says how fast the window may grow; moving it is the caller's.
#pragma once

#include <algorithm>
#include <cstdint>

#include "base/seq.hpp"

namespace handfast::tcp {

/// Zeros are a good start.
class HyStart {
 public:
  enum class Phase : std::uint8_t {
    slow_start,
    conservative,  ///< the round trip has grown: a quarter of the speed, until that is certain
    over,          ///< it was: congestion avoidance from here
  };

  // rfc9406 4.3
  static constexpr std::uint32_t least_rise_us = 4000, most_rise_us = 16000, rise_divisor = 8;
  static constexpr std::uint8_t samples_needed = 8, conservative_rounds = 5;
  static constexpr std::uint32_t growth_divisor = 4;
  static constexpr std::uint32_t segments_per_ack = 8;  // L where nothing paces

  [[nodiscard]] Phase phase() const { return phase_; }

  /// One ACK in slow start; rtt_us 0: it has no sample. Both numbers as they are after it.
  Phase on_ack(Seq snd_una, Seq snd_nxt, std::uint32_t rtt_us) {
    if (phase_ == Phase::over) return phase_;
    if (!running_) {
      running_ = true;
      begin_round(snd_nxt);
    }
    if (rtt_us != 0) take(rtt_us);
    if (!before(snd_una, round_end_)) {
      if (phase_ == Phase::conservative && ++rounds_ >= conservative_rounds) phase_ = Phase::over;
      begin_round(snd_nxt);
    }
    return phase_;
  }

 private:
  void begin_round(Seq snd_nxt) {
    round_end_ = snd_nxt;
    last_us_ = this_us_;
    this_us_ = 0;
    samples_ = 0;
  }

  void take(std::uint32_t rtt_us) {
    this_us_ = this_us_ == 0 ? rtt_us : std::min(this_us_, rtt_us);
    if (samples_ < samples_needed) ++samples_;
    if (samples_ < samples_needed) return;
    if (phase_ == Phase::conservative) {
      if (this_us_ >= baseline_us_) return;
      phase_ = Phase::slow_start;  // it was jitter
      return;
    }
    if (last_us_ == 0) return;
    const std::uint32_t rise = std::clamp(last_us_ / rise_divisor, least_rise_us, most_rise_us);
    if (this_us_ < last_us_ + rise) return;
    phase_ = Phase::conservative;
    baseline_us_ = this_us_;
    rounds_ = 0;
  }

  std::uint32_t last_us_ = 0, this_us_ = 0;  // least of the last round and of this one; 0: none
  std::uint32_t baseline_us_ = 0;            // least of the round that ended slow start
  Seq round_end_;
  std::uint8_t samples_ = 0;                 // in this round; stops at samples_needed
  std::uint8_t rounds_ = 0;                  // of the conservative phase that are over, the first in part
  bool running_ = false;
  Phase phase_ = Phase::slow_start;
};

}  // namespace handfast::tcp
