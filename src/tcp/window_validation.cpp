// SPDX-License-Identifier: BSD-3-Clause
// RFC 7661. Layer: tcp; see window_validation.hpp.
#include "tcp/window_validation.hpp"

#include <algorithm>

#include "tcp/window_growth.hpp"

namespace handfast::tcp {
namespace {

/// Half of the sampling period max(3 * RTT, 1 s) of section 4.2. Two halves are kept, so that pipeACK is the highest
/// sample of between one half and the whole.
std::uint32_t half_period_ms(const Tcb& tcb) {
  return std::max(static_cast<std::uint32_t>(std::uint64_t{tcb.srtt_us} * 3 / 2000), 500u);
}

/// pipeACK as of now: a half that is over no longer counts.
std::uint32_t pipe_ack(const Context& cx, const Tcb& tcb, const Flight& flight) {
  const std::uint32_t age = cx.now_ms - flight.pipe_half_ms, half = half_period_ms(tcb);
  if (age >= 2 * half) return 0;
  return age >= half ? flight.pipe_now : std::max(flight.pipe_now, flight.pipe_before);
}

void enter(const Context& cx, Flight& flight, std::uint32_t sample, std::uint32_t half) {
  const std::uint32_t age = cx.now_ms - flight.pipe_half_ms;
  if (flight.pipe_known && age < half) {
    flight.pipe_now = std::max(flight.pipe_now, sample);
    return;
  }
  flight.pipe_before = flight.pipe_known && age < 2 * half ? flight.pipe_now : 0;
  flight.pipe_now = sample;
  flight.pipe_half_ms = cx.now_ms;
  flight.pipe_known = true;
}

/// A sample is what was in flight before the ACK that begins it, and has its bytes. Without them slow start,
/// where the window is twice what was in flight a round trip ago, would always look like less than half.
void begin_sample(const Tcb& tcb, Flight& flight, const AckEvent& event) {
  flight.pipe_end = tcb.snd_nxt;
  flight.pipe_count = tcb.snd_una != tcb.snd_nxt ? event.delivered : 0;
  flight.pipe_round = true;
}

}  // namespace

void start_validation(const Context& cx, const Tcb& tcb, Flight& flight) {
  if (flight.pipe_round || flight.pipe_known || flight.unvalidated) return;  // another algorithm takes over
  flight.unvalidated = tcb.cwnd > initial_window(cx, tcb) && tcb.recovery == Recovery::open;
  flight.unvalidated_ms = cx.now_ms;
}

void validate_window(const Context& cx, Tcb& tcb, Flight& flight, const AckEvent& event) {
  if (tcb.recovery != Recovery::open) return;  // section 4.2: no samples while a loss is repaired
  flight.pipe_count += event.delivered;
  if (!flight.pipe_round) {
    begin_sample(tcb, flight, event);
    return;
  }
  if (before(tcb.snd_una, flight.pipe_end)) return;
  enter(cx, flight, flight.pipe_count, half_period_ms(tcb));
  begin_sample(tcb, flight, event);
  // Whole segments fill a window.
  if (2 * std::uint64_t{pipe_ack(cx, tcb, flight)} + tcb.snd_mss > tcb.cwnd) {
    flight.unvalidated = false;
    return;
  }
  if (!flight.unvalidated) {
    flight.unvalidated = true;
    flight.unvalidated_ms = cx.now_ms;
  }
  const std::uint32_t periods = (cx.now_ms - flight.unvalidated_ms) / nonvalidated_period_ms;
  if (periods == 0) return;
  flight.unvalidated_ms += periods * nonvalidated_period_ms;
  expire_window(cx, tcb, periods);
}

std::uint32_t window_in_use(const Context& cx, const Tcb& tcb, const Flight& flight) {
  const std::uint32_t in_flight = flight_size(tcb);
  return flight.pipe_known ? std::min(std::max(in_flight, pipe_ack(cx, tcb, flight)), tcb.cwnd) : in_flight;
}

std::uint32_t reduced_window(const Context& cx, Tcb& tcb, Flight& flight, std::uint32_t keep) {
  const std::uint32_t used = window_in_use(cx, tcb, flight);
  const bool unvalidated = flight.unvalidated;
  forget_validation(flight);
  if (unvalidated) {
    keep = std::min(keep, 512u);
    flight.loss_unvalidated = true;
    flight.loss_volume = used;
    flight.loss_mark = flight.lost_total - flight.lost;
  }
  return std::max(static_cast<std::uint32_t>(std::uint64_t{used} * keep / 1024), 2u * tcb.snd_mss);
}

void end_reduction(Tcb& tcb, Flight& flight) {
  if (flight.loss_unvalidated) {
    const std::uint32_t resent = flight.lost_total - flight.loss_mark;
    const std::uint32_t rest = (flight.loss_volume - std::min(flight.loss_volume, resent)) / 2;
    tcb.cwnd = std::min(tcb.cwnd, std::max<std::uint32_t>(rest, tcb.snd_mss));
    tcb.ssthresh = std::max(std::min(tcb.ssthresh, tcb.cwnd), 2u * tcb.snd_mss);
  }
  forget_validation(flight);
}

void forget_validation(Flight& flight) {
  flight.pipe_round = flight.pipe_known = flight.unvalidated = flight.loss_unvalidated = false;
}

void expire_window(const Context& cx, Tcb& tcb, std::uint32_t periods) {
  const std::uint32_t least = initial_window(cx, tcb);
  if (periods == 0 || tcb.cwnd <= least) return;
  tcb.ssthresh = std::max(tcb.ssthresh, static_cast<std::uint32_t>(std::uint64_t{tcb.cwnd} * 3 / 4));
  tcb.cwnd = std::max(tcb.cwnd >> std::min(periods, 31u), least);
}

void restart_after_idle(Context& cx, Tcb& tcb, Flight* flight) {
  const CongestionOps& ops = congestion(tcb);
  if (flight != nullptr && flight->started && ops.on_restart != nullptr) ops.on_restart(cx, tcb, *flight);
  if (!is_idle_restart(cx, tcb) || tcb.cwnd <= initial_window(cx, tcb)) return;
  if (ops.models && flight != nullptr) return;  // it paces by what it knows of the path
  const bool clocked = flight != nullptr && flight->unvalidated;
  const std::uint32_t since = clocked ? flight->unvalidated_ms : tcb.progress_ms;
  const std::uint32_t periods = (cx.now_ms - since) / nonvalidated_period_ms;
  expire_window(cx, tcb, periods);
  if (flight == nullptr) {
    tcb.progress_ms += periods * nonvalidated_period_ms;  // paid for, should the segment be held back
    return;
  }
  flight->unvalidated = true;
  flight->unvalidated_ms = since + periods * nonvalidated_period_ms;
  pace_window(cx, tcb, *flight);
}

}  // namespace handfast::tcp
