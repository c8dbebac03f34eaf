// SPDX-License-Identifier: BSD-3-Clause
// BBR's model of the path and where its search stands, with the constants of draft-ietf-ccwg-bbr. Layer: tcp.
// Plain data in a flight; bbr.cpp has the verbs, a test looks inside. Rates are bytes a second, volumes bytes.
#pragma once

#include <cstdint>
#include <limits>

#include "tcp/flight.hpp"

namespace handfast::tcp {

struct Bbr {
  enum class Mode : std::uint8_t { startup, drain, probe_down, probe_cruise, probe_refill, probe_up, probe_rtt };
  /// What the ACKs that come now tell about the last probe for bandwidth.
  enum class Acks : std::uint8_t { nothing, refilling, starting, feedback, stopping };

  static constexpr std::uint64_t no_rate = std::numeric_limits<std::uint64_t>::max();
  static constexpr std::uint32_t no_volume = std::numeric_limits<std::uint32_t>::max();

  // In percent.
  static constexpr std::uint32_t startup_pacing = 277, drain_pacing = 50, down_pacing = 90, up_pacing = 125;
  static constexpr std::uint32_t cwnd_gain = 200, up_cwnd_gain = 225, probe_rtt_cwnd_gain = 50;
  static constexpr std::uint32_t pacing_margin = 1, loss_threshold = 2, beta = 70, headroom = 15;
  static constexpr std::uint32_t full_growth = 125;

  static constexpr std::uint32_t min_rtt_ms = 10000, probe_rtt_interval_ms = 5000, probe_rtt_ms = 200;
  static constexpr std::uint32_t probe_wait_ms = 2000, probe_wait_random_ms = 1000, probe_rounds = 63;
  static constexpr std::uint32_t min_pipe_segments = 4, drain_rounds = 3, extra_acked_rounds = 5;
  static constexpr std::uint8_t full_rounds = 3, startup_loss_events = 6;

  // --- rates ---
  std::uint64_t max_bw[2];   // highest sample of the last cycle of probing and of this one
  std::uint64_t bw;          // min of that and bw_lo: what it paces by
  std::uint64_t bw_lo;       // after losses in the short term; no_rate
  std::uint64_t bw_latest;   // highest sample of the last round
  std::uint64_t full_bw;     // what the next rounds have to surpass by a quarter
  std::uint64_t undo_bw_lo;

  // --- volumes ---
  std::uint32_t inflight_hi;  // what the path took before it lost too much; no_volume
  std::uint32_t inflight_lo;  // after losses in the short term; no_volume
  std::uint32_t inflight_latest;
  std::uint32_t extra_acked[2];  // highest excess of ACKs over bw, of the last rounds and the ones before
  std::uint32_t extra_delivered;
  std::uint32_t up_step;         // bytes acknowledged for each segment that inflight_hi grows by; 0: it does not
  std::uint32_t up_acked;
  std::uint32_t prior_cwnd;      // before a recovery or PROBE_RTT
  std::uint32_t undo_inflight_lo, undo_inflight_hi;
  std::uint32_t lost_seen;       // Flight::lost_total

  // --- round trips: microseconds, counts, and values of Flight::delivered ---
  std::uint32_t min_rtt_us, probe_rtt_min_us;  // over 10 s and 5 s; no_volume: none
  std::uint32_t rounds;
  std::uint32_t next_round, loss_round;
  std::uint32_t rounds_since_probe;
  std::uint32_t drain_round, extra_round;      // values of `rounds`

  // --- moments: milliseconds of the shard, one microseconds ---
  std::uint32_t min_rtt_at_ms, probe_rtt_min_at_ms, cycle_at_ms, probe_rtt_done_ms, extra_from_us;
  std::uint16_t probe_wait;                    // milliseconds from cycle_at_ms

  std::uint8_t full_count, loss_events, up_rounds, cycle;
  Mode mode, undo_mode;
  Acks acks;
  bool round_start, loss_round_start, loss_in_round;
  bool full_bw_now, full_bw_reached;
  bool probe_samples;        // samples are of what was sent while probing: a loss is not answered yet
  bool probe_too_high, probe_risky;  // the last probe lost too much; the one after it was broken off before it could
  bool idle_restart, recovering;
  bool probe_rtt_done_set, probe_rtt_round_done;
  bool undo_set;
};
static_assert(sizeof(Bbr) <= sizeof(Flight::own));

}  // namespace handfast::tcp
