// SPDX-License-Identifier: BSD-3-Clause
// CUBIC (RFC 9438, which replaces RFC 8312) with HyStart++ (RFC 9406) in its first slow start. Layer: tcp.
// Windows are bytes, time on the curve is milliseconds; all of it integers. Figures and W_cubic, W_est, K as in the RFC.
#include <algorithm>

#include "tcp/cubic_curve.hpp"
#include "tcp/hystart.hpp"
#include "tcp/window_growth.hpp"
#include "tcp/window_validation.hpp"

namespace handfast::tcp {
namespace {

constexpr std::uint32_t beta = 717;  // 0.7, in 1024ths

/// What a reduction changes, and an undo puts back (section 4.9).
struct Epoch {
  Time start;                // of congestion avoidance, moved on by what was not spent growing (section 5.8)
  std::uint32_t w_max;       // 0: never reduced
  std::uint32_t w_est;       // what Reno would have
  std::uint32_t cwnd_prior;  // the window before the last reduction
  std::uint32_t k_ms;
  bool open;                 // congestion avoidance has begun since the last reduction
  bool flat;                 // it begins on the plateau: after a time-out, or no loss yet (sections 4.8, 4.10)
};

struct Cubic {
  Epoch now, before;         // `before`: as the first reduction of the last recovery found it
  Time updated;              // when the window last grew or could have
  bool held;                 // the last ACK found the window not used up
  bool recovering;           // `before` belongs to a recovery that is not over
  std::uint64_t credit;      // numerator of what the curve owes, over cwnd
  std::uint64_t est_credit;  // numerator of what Reno's line is owed, over 17 * cwnd
  HyStart hystart;
};

/// Time in which the window was not used is no time on the curve.
void skip_idle(const Context& cx, const Tcb& tcb, Cubic& state, bool limited) {
  const Duration gap = cx.now - state.updated;
  const bool idle = gap > std::chrono::microseconds{tcb.rto_us};
  if (state.now.open && (!limited || state.held || idle)) state.now.start += gap;
  state.updated = cx.now;
  state.held = !limited;
}

void open_epoch(const Context& cx, const Tcb& tcb, Cubic& state) {
  Epoch& e = state.now;
  e.open = true;
  e.start = cx.now;
  e.w_est = tcb.cwnd;
  state.credit = state.est_credit = 0;
  if (e.flat || e.w_max <= tcb.cwnd) {
    e.flat = false;
    e.k_ms = 0;
    e.w_max = tcb.cwnd;
  } else {
    e.k_ms = cubic_k_ms(e.w_max - tcb.cwnd, tcb.snd_mss);
  }
}

/// Section 4.3: alpha = 3 (1 - beta) / (1 + beta) = 9/17 until the window before the reduction is reached, then 1.
void grow_estimate(const Tcb& tcb, Cubic& state, std::uint32_t acked) {
  Epoch& e = state.now;
  const std::uint64_t alpha_17 = e.w_est < e.cwnd_prior ? 9 : 17;
  const std::uint64_t unit = std::uint64_t{17} * tcb.cwnd;
  state.est_credit += alpha_17 * tcb.snd_mss * std::min(acked, tcb.cwnd);
  e.w_est = static_cast<std::uint32_t>(std::min<std::uint64_t>(e.w_est + state.est_credit / unit, max_window));
  state.est_credit %= unit;
}

void avoid_congestion(const Context& cx, Tcb& tcb, Cubic& state, std::uint32_t acked) {
  if (!state.now.open) open_epoch(cx, tcb, state);
  grow_estimate(tcb, state, acked);
  const Epoch& e = state.now;
  const auto t_ms = static_cast<std::uint64_t>((cx.now - e.start) / 1ms);
  if (cubic_window(e.w_max, e.k_ms, t_ms, tcb.snd_mss) < e.w_est) {
    tcb.cwnd = std::max(tcb.cwnd, e.w_est);
    state.credit = 0;
    return;
  }
  // Sections 4.2, 4.4, 4.5: towards where the curve is a round trip from now, by (target - cwnd) / cwnd a segment.
  const std::uint32_t ahead = cubic_window(e.w_max, e.k_ms, t_ms + tcb.srtt_us / 1000, tcb.snd_mss);
  const std::uint32_t target = std::max(tcb.cwnd, std::min({ahead, tcb.cwnd + tcb.cwnd / 2, max_window}));
  state.credit += std::uint64_t{target - tcb.cwnd} * std::min(acked, tcb.cwnd);
  const std::uint64_t step = state.credit / tcb.cwnd;
  state.credit %= tcb.cwnd;
  tcb.cwnd = std::min(tcb.cwnd + static_cast<std::uint32_t>(step), max_window);
}

void slow_start(Tcb& tcb, const Flight& flight, Cubic& state, const AckEvent& event) {
  // rfc9406 4.2: only the first one, where the threshold is a guess.
  if (tcb.ssthresh != no_threshold || tcb.recovery != Recovery::open) {
    grow_exponentially(tcb, std::min(event.acked, slow_start_limit(tcb, 2)));
    return;
  }
  const HyStart::Phase phase = state.hystart.on_ack(tcb.snd_una, tcb.snd_nxt, event.rtt_us);
  if (!may_grow(tcb, flight, event)) return;
  if (phase == HyStart::Phase::over) {
    tcb.ssthresh = std::max<std::uint32_t>(tcb.cwnd, 2u * tcb.snd_mss);
    state.now.flat = true;
    return;
  }
  const std::uint32_t limit = slow_start_limit(tcb, HyStart::segments_per_ack);
  const std::uint32_t bytes = flight.pacing_rate != 0 ? event.acked : std::min(event.acked, limit);
  grow_exponentially(tcb, phase == HyStart::Phase::conservative ? bytes / HyStart::growth_divisor : bytes);
}

/// Section 4.7: a flow that lost before it was back where it lost the last time makes room for others.
void remember_window(const Context& cx, const Tcb& tcb, const Flight& flight, Cubic& state) {
  if (!state.recovering) state.before = state.now;
  state.recovering = true;
  Epoch& e = state.now;
  const std::uint32_t window = window_in_use(cx, tcb, flight);
  const bool short_of_it = window < e.w_max;
  e.w_max = short_of_it ? static_cast<std::uint32_t>(std::uint64_t{window} * (1024 + beta) / 2048) : window;
  e.cwnd_prior = window;
  e.open = false;
}

void start(Context& cx, Tcb& tcb, Flight& flight) {
  auto& state = own<Cubic>(flight);
  state.updated = cx.now;
  state.now.flat = true;
  start_validation(cx, tcb, flight);
  pace_window(cx, tcb, flight);
}

void on_ack(Context& cx, Tcb& tcb, Flight& flight, const AckEvent& event) {
  auto& state = own<Cubic>(flight);
  validate_window(cx, tcb, flight, event);
  if (tcb.recovery == Recovery::open) state.recovering = false;
  const bool grows = may_grow(tcb, flight, event);
  skip_idle(cx, tcb, state, is_window_used(tcb, flight, event) || tcb.recovery == Recovery::timeout);
  if (in_slow_start(tcb)) {
    if (grows || tcb.ssthresh == no_threshold) slow_start(tcb, flight, state, event);
  } else if (grows) {
    avoid_congestion(cx, tcb, state, event.acked);
  }
  pace_window(cx, tcb, flight);
}

std::uint32_t reduce(Context& cx, Tcb& tcb, Flight& flight, bool) {
  remember_window(cx, tcb, flight, own<Cubic>(flight));
  return reduced_window(cx, tcb, flight, beta);
}

void on_timeout(Context& cx, Tcb& tcb, Flight& flight) {
  auto& state = own<Cubic>(flight);
  if (tcb.backoff == 0) {  // rfc5681 (4): once for a flight
    remember_window(cx, tcb, flight, state);
    const auto kept = static_cast<std::uint32_t>(std::uint64_t{flight_size(tcb)} * beta / 1024);
    tcb.ssthresh = std::max(kept, 2u * tcb.snd_mss);
  }
  state.now.flat = true;
  state.now.open = false;
  tcb.cwnd = tcb.snd_mss;
  flight.cwnd_acked = 0;
  forget_validation(flight);
  pace_window(cx, tcb, flight);
}

void on_recovered(Context& cx, Tcb& tcb, Flight& flight) {
  auto& state = own<Cubic>(flight);
  state.updated = cx.now;
  state.recovering = false;
  end_reduction(tcb, flight);
  pace_window(cx, tcb, flight);
}

void on_undo(Context& cx, Tcb& tcb, Flight& flight) {
  auto& state = own<Cubic>(flight);
  // The curve goes on where it was; what passed meanwhile was no time on it.
  const Duration meanwhile = cx.now - state.updated;
  state.now = state.before;
  state.now.start += meanwhile;
  state.updated = cx.now;
  state.recovering = false;
  forget_validation(flight);
  pace_window(cx, tcb, flight);
}

/// Section 5.8: the silence is not on the curve.
void on_restart(Context& cx, Tcb&, Flight& flight) {
  auto& state = own<Cubic>(flight);
  if (state.now.open) state.now.start += cx.now - state.updated;
  state.updated = cx.now;
}

}  // namespace

const CongestionOps cubic{start, on_ack, reduce, on_timeout, on_recovered, on_undo, false, false, on_restart};

}  // namespace handfast::tcp
