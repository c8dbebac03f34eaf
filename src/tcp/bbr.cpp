// SPDX-License-Identifier: BSD-3-Clause
// BBR, version 3, as draft-ietf-ccwg-bbr describes it, from rate samples and losses to window and pacing. Layer: tcp.
// Differences: PROBE_RTT every 5 s with the two-stage minimum (the earlier drafts' and the deployed code's), losses are
// judged by ACK and not by segment, the window has room for one send quantum and not three (nothing below us splits or
// queues), and ECE counts as a round with loss, for the draft has no answer to it and RFC 3168 wants one.
#include <algorithm>

#include "tcp/bbr_state.hpp"
#include "tcp/window_growth.hpp"

namespace handfast::tcp {
namespace {

using Mode = Bbr::Mode;
using Acks = Bbr::Acks;

/// Beyond these a sample is as good as nonsense; their product fits into 64 bits.
constexpr std::uint64_t most_rate = std::uint64_t{1} << 36;
constexpr std::uint32_t most_rtt_us = 1u << 27;

bool reached(std::uint32_t value, std::uint32_t mark) { return static_cast<std::int32_t>(value - mark) >= 0; }

std::uint64_t percent(std::uint64_t value, std::uint32_t of) { return value * of / 100; }

std::uint32_t volume(std::uint64_t bytes) { return static_cast<std::uint32_t>(std::min<std::uint64_t>(bytes, max_window)); }

/// One event with its connection and model.
struct Step {
  Context& cx;
  Tcb& tcb;
  Flight& flight;
  const AckEvent& event;
  Bbr& m;
  std::uint64_t bw = 0;  // of the event's sample; 0: none
};

// --- the model -------------------------------------------------------------------------------------------------

std::uint64_t max_bw(const Bbr& m) { return std::max(m.max_bw[0], m.max_bw[1]); }

std::uint32_t min_pipe(const Tcb& tcb) { return Bbr::min_pipe_segments * tcb.snd_mss; }

std::uint32_t bdp(const Tcb& tcb, const Bbr& m, std::uint64_t bw, std::uint32_t gain) {
  if (m.min_rtt_us == Bbr::no_volume || bw == 0) return tcb.cwnd;
  const std::uint64_t rtt_us = std::min(m.min_rtt_us, most_rtt_us);
  return volume(percent(std::min<std::uint64_t>(bw * rtt_us / 1000000, max_window), gain));
}

std::uint32_t with_quantum(const Tcb& tcb, const Flight& flight, const Bbr& m, std::uint32_t inflight) {
  inflight = std::max({inflight, flight.send_quantum, min_pipe(tcb)});
  return m.mode == Mode::probe_up ? inflight + 2 * tcb.snd_mss : inflight;
}

std::uint32_t inflight_with_headroom(const Tcb& tcb, const Bbr& m) {
  if (m.inflight_hi == Bbr::no_volume) return Bbr::no_volume;
  const auto room = std::max<std::uint32_t>(static_cast<std::uint32_t>(percent(m.inflight_hi, Bbr::headroom)), tcb.snd_mss);
  return std::max(m.inflight_hi - std::min(m.inflight_hi, room), min_pipe(tcb));
}

std::uint32_t target_inflight(const Tcb& tcb, const Bbr& m) { return std::min(bdp(tcb, m, m.bw, 100), tcb.cwnd); }

bool is_probe_bw(const Bbr& m) { return m.mode >= Mode::probe_down && m.mode <= Mode::probe_up; }

bool is_probing(const Bbr& m) {
  return m.mode == Mode::startup || m.mode == Mode::probe_refill || m.mode == Mode::probe_up;
}

void start_round(const Flight& flight, Bbr& m) { m.next_round = flight.delivered; }

void reset_full_bw(Bbr& m, std::uint64_t bw) {
  m.full_bw = bw;
  m.full_count = 0;
  m.full_bw_now = false;
}

void reset_short_term(Bbr& m) {
  m.bw_lo = Bbr::no_rate;
  m.inflight_lo = Bbr::no_volume;
}

void save_cwnd(const Tcb& tcb, Bbr& m) {
  const bool modulated = m.recovering || m.mode == Mode::probe_rtt;
  m.prior_cwnd = modulated ? std::max(m.prior_cwnd, tcb.cwnd) : tcb.cwnd;
}

/// Recovery begins: what an undo puts back.
void save_state(const Tcb& tcb, Bbr& m) {
  save_cwnd(tcb, m);
  if (m.recovering) return;
  m.recovering = true;
  m.undo_set = false;
  m.undo_bw_lo = m.bw_lo;
  m.undo_inflight_lo = m.inflight_lo;
  m.undo_inflight_hi = m.inflight_hi;
}

// --- the states --------------------------------------------------------------------------------------------------

void start_down(Context& cx, const Flight& flight, Bbr& m) {
  m.loss_in_round = false;
  m.bw_latest = 0;
  m.inflight_latest = 0;
  m.up_step = 0;
  // How long until the next probe: by the clock, and by Reno's round trips; both a bit random, so that flows mix.
  m.rounds_since_probe = cx.rng.below(2);
  m.probe_wait = static_cast<std::uint16_t>(Bbr::probe_wait_ms + cx.rng.below(Bbr::probe_wait_random_ms + 1));
  m.cycle_at_ms = cx.now_ms;
  m.acks = Acks::stopping;
  start_round(flight, m);
  m.mode = Mode::probe_down;
}

void start_refill(const Flight& flight, Bbr& m) {
  reset_short_term(m);
  m.up_rounds = 0;
  m.up_acked = 0;
  m.probe_risky = false;
  m.acks = Acks::refilling;
  start_round(flight, m);
  m.mode = Mode::probe_refill;
}

void raise_slope(const Tcb& tcb, Bbr& m) {
  m.up_step = std::max<std::uint32_t>(tcb.cwnd >> m.up_rounds, tcb.snd_mss);
  m.up_rounds = static_cast<std::uint8_t>(std::min(m.up_rounds + 1, 30));
}

void start_up(const Tcb& tcb, const Flight& flight, Bbr& m, std::uint64_t bw) {
  m.acks = Acks::starting;
  start_round(flight, m);
  reset_full_bw(m, bw);
  m.mode = Mode::probe_up;
  raise_slope(tcb, m);
}

// --- loss ----------------------------------------------------------------------------------------------------------

bool is_too_high(const Tcb& tcb, std::uint32_t lost, std::uint32_t in_flight) {
  if (lost != 0 && !has(tcb, sack_enabled)) return true;
  return lost > percent(in_flight, Bbr::loss_threshold);
}

void note_loss(const Flight& flight, Bbr& m) {
  if (!m.loss_in_round) m.loss_round = flight.delivered;
  m.loss_in_round = true;
}

void handle_too_high(Step& s, std::uint32_t in_flight) {
  Bbr& m = s.m;
  m.probe_too_high = true;
  m.probe_samples = false;
  if (!s.event.rate.app_limited) {
    const auto least = static_cast<std::uint32_t>(percent(target_inflight(s.tcb, m), Bbr::beta));
    m.inflight_hi = std::max({in_flight, least, min_pipe(s.tcb)});
  }
  if (m.mode != Mode::probe_up) return;
  m.undo_set = true;
  m.undo_mode = Mode::probe_up;
  start_down(s.cx, s.flight, m);
}

void take_losses(Step& s) {
  Bbr& m = s.m;
  const AckEvent& e = s.event;
  const bool lost = s.flight.lost_total != m.lost_seen;
  m.lost_seen = s.flight.lost_total;
  if (!lost && !e.ece) return;
  note_loss(s.flight, m);
  if (!lost) return;
  if (m.loss_events < Bbr::startup_loss_events) ++m.loss_events;
  if (!m.probe_samples) return;
  const bool known = e.lost_in_flight != 0;
  const std::uint32_t in_flight = known ? e.lost_in_flight : e.rate.in_flight;
  const std::uint32_t gone = known ? e.lost_since : e.rate.lost;
  if (in_flight != 0 && is_too_high(s.tcb, gone, in_flight)) handle_too_high(s, in_flight);
}

/// Once a round with loss, unless the flow itself is the reason: follow what was delivered, by no more than beta.
void adapt_lower_bounds(const Tcb& tcb, Bbr& m) {
  if (is_probing(m) || !m.loss_in_round) return;
  if (m.bw_lo == Bbr::no_rate) m.bw_lo = max_bw(m);
  if (m.inflight_lo == Bbr::no_volume) m.inflight_lo = tcb.cwnd;
  m.bw_lo = std::max(m.bw_latest, percent(m.bw_lo, Bbr::beta));
  m.inflight_lo = std::max(m.inflight_latest, static_cast<std::uint32_t>(percent(m.inflight_lo, Bbr::beta)));
}

// --- one ACK, in the draft's order ---------------------------------------------------------------------------------

void update_round(Step& s) {
  Bbr& m = s.m;
  m.round_start = s.event.rate.delivered != 0 && reached(s.event.rate.prior_delivered, m.next_round);
  if (!m.round_start) return;
  start_round(s.flight, m);
  ++m.rounds;
  ++m.rounds_since_probe;
}

void update_signals(Step& s) {
  Bbr& m = s.m;
  const RateSample& rate = s.event.rate;
  m.bw_latest = std::max(m.bw_latest, s.bw);
  m.inflight_latest = std::max(m.inflight_latest, rate.delivered);
  m.loss_round_start = rate.delivered != 0 && reached(rate.prior_delivered, m.loss_round);
  if (m.loss_round_start) m.loss_round = s.flight.delivered;
  update_round(s);
  if (s.bw != 0 && (s.bw >= max_bw(m) || !rate.app_limited)) m.max_bw[m.cycle] = std::max(m.max_bw[m.cycle], s.bw);
  if (!m.loss_round_start) return;
  adapt_lower_bounds(s.tcb, m);
  m.loss_in_round = false;
}

/// Bytes that came acknowledged at once beyond what bw explains: a window without room for them would stall.
void update_aggregation(Step& s) {
  Bbr& m = s.m;
  const std::uint32_t interval_us = std::min(s.cx.now_us - m.extra_from_us, 10'000'000u);
  std::uint64_t expected = m.bw * interval_us / 1000000;
  if (m.extra_delivered <= expected) {
    m.extra_delivered = 0;
    m.extra_from_us = s.cx.now_us;
    expected = 0;
  }
  m.extra_delivered = volume(std::uint64_t{m.extra_delivered} + s.event.delivered);
  const std::uint64_t excess = m.extra_delivered - std::min<std::uint64_t>(expected, m.extra_delivered);
  const std::uint32_t half = m.full_bw_reached ? Bbr::extra_acked_rounds : 1;
  if (m.rounds - m.extra_round >= half) {
    m.extra_round = m.rounds;
    m.extra_acked[1] = m.full_bw_reached ? m.extra_acked[0] : 0;
    m.extra_acked[0] = 0;
  }
  m.extra_acked[0] = std::max(m.extra_acked[0], volume(std::min<std::uint64_t>(excess, s.tcb.cwnd)));
}

void check_full_bw(Step& s) {
  Bbr& m = s.m;
  if (m.full_bw_now || !m.round_start || s.event.rate.app_limited || s.bw == 0) return;
  if (s.bw >= percent(m.full_bw, Bbr::full_growth)) {
    reset_full_bw(m, s.bw);
    return;
  }
  if (++m.full_count < Bbr::full_rounds) return;
  m.full_bw_now = m.full_bw_reached = true;
}

void check_startup(Step& s) {
  Bbr& m = s.m;
  const RateSample& rate = s.event.rate;
  if (!m.full_bw_reached && m.loss_round_start) {
    const bool enough = m.loss_events >= Bbr::startup_loss_events || (m.loss_events != 0 && !has(s.tcb, sack_enabled));
    if (s.tcb.recovery == Recovery::fast && enough && is_too_high(s.tcb, rate.lost, rate.in_flight)) {
      m.undo_set = m.mode == Mode::startup;
      m.undo_mode = Mode::startup;
      m.full_bw_reached = true;
      m.inflight_hi = std::max(bdp(s.tcb, m, max_bw(m), 100), m.inflight_latest);
    }
  }
  if (m.loss_round_start) m.loss_events = 0;
  if (m.mode != Mode::startup || !m.full_bw_reached) return;
  m.mode = Mode::drain;
  m.drain_round = m.rounds;
  reset_short_term(m);
}

void check_drain(Step& s) {
  Bbr& m = s.m;
  if (m.mode != Mode::drain) return;
  const std::uint32_t wanted = with_quantum(s.tcb, s.flight, m, bdp(s.tcb, m, m.bw, 100));
  if (s.event.flight <= wanted || m.rounds - m.drain_round > Bbr::drain_rounds) start_down(s.cx, s.flight, m);
}

void probe_hi_upward(Step& s) {
  Bbr& m = s.m;
  if (!is_window_used(s.tcb, s.flight, s.event) || s.tcb.cwnd < m.inflight_hi || m.up_step == 0) return;
  m.up_acked = volume(std::uint64_t{m.up_acked} + s.event.delivered);
  const std::uint32_t steps = m.up_acked / m.up_step;
  m.up_acked -= steps * m.up_step;
  m.inflight_hi = volume(m.inflight_hi + std::uint64_t{steps} * s.tcb.snd_mss);
  if (m.round_start) raise_slope(s.tcb, m);
}

/// True: it has changed the state already.
bool adapt_long_term(Step& s) {
  Bbr& m = s.m;
  if (m.acks == Acks::starting && m.round_start) m.acks = Acks::feedback;
  if (m.acks == Acks::stopping && m.round_start) {
    m.probe_samples = false;
    m.acks = Acks::nothing;
    if (is_probe_bw(m) && !s.event.rate.app_limited && m.max_bw[m.cycle] != 0) {
      m.cycle ^= 1;
      m.max_bw[m.cycle] = 0;
    }
    if (is_probe_bw(m) && m.probe_risky && !m.probe_too_high) {
      start_refill(s.flight, m);  // it was broken off for caution, and nothing was lost: try again at once
      return true;
    }
  }
  if (is_too_high(s.tcb, s.event.rate.lost, s.event.rate.in_flight)) return false;
  if (m.inflight_hi == Bbr::no_volume) return false;
  m.inflight_hi = std::max(m.inflight_hi, s.event.rate.in_flight);
  if (m.mode == Mode::probe_up) probe_hi_upward(s);
  return false;
}

bool is_time_to_probe(const Step& s) {
  const Bbr& m = s.m;
  if (s.cx.now_ms - m.cycle_at_ms > m.probe_wait) return true;
  const std::uint32_t reno_rounds = target_inflight(s.tcb, m) / s.tcb.snd_mss;
  return m.rounds_since_probe >= std::min(reno_rounds, Bbr::probe_rounds);
}

bool is_time_to_cruise(const Step& s) {
  const Bbr& m = s.m;
  if (s.event.flight > inflight_with_headroom(s.tcb, m)) return false;
  return s.event.flight <= with_quantum(s.tcb, s.flight, m, bdp(s.tcb, m, max_bw(m), 100));
}

bool is_time_to_go_down(Step& s) {
  Bbr& m = s.m;
  if (m.probe_too_high && s.event.flight >= m.inflight_hi) {
    m.probe_risky = true;
    return true;
  }
  if (is_window_used(s.tcb, s.flight, s.event) && s.tcb.cwnd >= m.inflight_hi) {
    reset_full_bw(m, s.bw);  // inflight_hi holds it back: that the rate stands says nothing
    return false;
  }
  return m.full_bw_now;
}

void update_probe_bw(Step& s) {
  Bbr& m = s.m;
  if (!m.full_bw_reached || adapt_long_term(s)) return;
  switch (m.mode) {
    case Mode::probe_down:
      if (is_time_to_probe(s))
        start_refill(s.flight, m);
      else if (is_time_to_cruise(s))
        m.mode = Mode::probe_cruise;
      return;
    case Mode::probe_cruise:
      if (is_time_to_probe(s)) start_refill(s.flight, m);
      return;
    case Mode::probe_refill:
      if (!m.round_start) return;
      m.probe_samples = true;
      start_up(s.tcb, s.flight, m, s.bw);
      return;
    case Mode::probe_up:
      if (!is_time_to_go_down(s)) return;
      m.probe_too_high = false;
      start_down(s.cx, s.flight, m);
      return;
    case Mode::startup:
    case Mode::drain:
    case Mode::probe_rtt: return;
  }
}

// --- PROBE_RTT -------------------------------------------------------------------------------------------------------

/// True: nothing lower was seen for long enough, it is time to drain the queue and look.
bool update_min_rtt(Step& s) {
  Bbr& m = s.m;
  const std::uint32_t now_ms = s.cx.now_ms, rtt = s.event.rtt_us;
  const bool expired = now_ms - m.probe_rtt_min_at_ms > Bbr::probe_rtt_interval_ms;
  if (rtt != 0 && (rtt < m.probe_rtt_min_us || expired)) {
    m.probe_rtt_min_us = rtt;
    m.probe_rtt_min_at_ms = now_ms;
  }
  if (m.probe_rtt_min_us < m.min_rtt_us || now_ms - m.min_rtt_at_ms > Bbr::min_rtt_ms) {
    m.min_rtt_us = m.probe_rtt_min_us;
    m.min_rtt_at_ms = m.probe_rtt_min_at_ms;
  }
  return expired;
}

std::uint32_t probe_rtt_cwnd(const Tcb& tcb, const Bbr& m) {
  return std::max(bdp(tcb, m, m.bw, Bbr::probe_rtt_cwnd_gain), min_pipe(tcb));
}

void check_probe_rtt_done(Context& cx, Tcb& tcb, const Flight& flight, Bbr& m) {
  if (!m.probe_rtt_done_set || !reached(cx.now_ms, m.probe_rtt_done_ms)) return;
  m.probe_rtt_min_at_ms = cx.now_ms;
  tcb.cwnd = std::max(tcb.cwnd, m.prior_cwnd);
  reset_short_term(m);
  if (!m.full_bw_reached) {
    m.mode = Mode::startup;
    return;
  }
  start_down(cx, flight, m);
  m.mode = Mode::probe_cruise;  // there is no queue left to drain
}

void check_probe_rtt(Step& s, bool expired) {
  Bbr& m = s.m;
  if (expired && m.mode != Mode::probe_rtt && !m.idle_restart) {
    save_cwnd(s.tcb, m);
    m.mode = Mode::probe_rtt;
    m.probe_rtt_done_set = false;
    m.acks = Acks::stopping;
    start_round(s.flight, m);
  }
  if (m.mode == Mode::probe_rtt) {
    // What is sent now is slow on purpose.
    s.flight.app_limited_until = std::max(s.flight.delivered + s.event.flight, 1u);
    if (!m.probe_rtt_done_set) {
      if (s.event.flight <= probe_rtt_cwnd(s.tcb, m)) {
        m.probe_rtt_done_set = true;
        m.probe_rtt_done_ms = s.cx.now_ms + Bbr::probe_rtt_ms;
        m.probe_rtt_round_done = false;
        start_round(s.flight, m);
      }
    } else {
      if (m.round_start) m.probe_rtt_round_done = true;
      if (m.probe_rtt_round_done) check_probe_rtt_done(s.cx, s.tcb, s.flight, m);
    }
  }
  if (s.event.delivered != 0) m.idle_restart = false;
}

// --- window and rate -------------------------------------------------------------------------------------------------

std::uint32_t pacing_gain(Mode mode) {
  switch (mode) {
    case Mode::startup: return Bbr::startup_pacing;
    case Mode::drain: return Bbr::drain_pacing;
    case Mode::probe_down: return Bbr::down_pacing;
    case Mode::probe_up: return Bbr::up_pacing;
    case Mode::probe_cruise:
    case Mode::probe_refill:
    case Mode::probe_rtt: break;
  }
  return 100;
}

void set_pacing(const Tcb& tcb, Flight& flight, const Bbr& m, std::uint32_t gain) {
  const std::uint64_t rate = percent(percent(m.bw, gain), 100 - Bbr::pacing_margin);
  if (rate != 0 && (m.full_bw_reached || rate > flight.pacing_rate)) flight.pacing_rate = rate;
  flight.send_quantum = quantum_of(flight.pacing_rate, tcb.snd_mss);
}

void bound_cwnd(Tcb& tcb, const Bbr& m) {
  std::uint32_t cap = Bbr::no_volume;
  if (m.mode == Mode::probe_rtt || m.mode == Mode::probe_cruise)
    cap = inflight_with_headroom(tcb, m);
  else if (is_probe_bw(m))
    cap = m.inflight_hi;
  cap = std::max(std::min(cap, m.inflight_lo), min_pipe(tcb));
  tcb.cwnd = std::min({tcb.cwnd, cap, max_window});
}

void set_cwnd(Step& s) {
  Bbr& m = s.m;
  Tcb& tcb = s.tcb;
  const std::uint32_t gain = m.mode == Mode::probe_up    ? Bbr::up_cwnd_gain
                             : m.mode == Mode::probe_rtt ? Bbr::probe_rtt_cwnd_gain
                                                         : Bbr::cwnd_gain;
  const std::uint32_t extra = std::max(m.extra_acked[0], m.extra_acked[1]);
  const std::uint32_t most = with_quantum(tcb, s.flight, m, volume(std::uint64_t{bdp(tcb, m, m.bw, gain)} + extra));
  const std::uint32_t grown = volume(std::uint64_t{tcb.cwnd} + s.event.delivered);
  // Until the pipe is known to be full the window follows the ACKs; a model from a few of them is none.
  if (m.full_bw_reached)
    tcb.cwnd = std::min(grown, most);
  else if (tcb.cwnd < most || s.flight.delivered < initial_window(s.cx, tcb))
    tcb.cwnd = grown;
  tcb.cwnd = std::max(tcb.cwnd, min_pipe(tcb));
  if (m.mode == Mode::probe_rtt) tcb.cwnd = std::min(tcb.cwnd, probe_rtt_cwnd(tcb, m));
  bound_cwnd(tcb, m);
}

// --- the seam ------------------------------------------------------------------------------------------------------

void start(Context& cx, Tcb& tcb, Flight& flight) {
  auto& m = own<Bbr>(flight);
  m.min_rtt_us = m.probe_rtt_min_us = tcb.srtt_us != 0 ? tcb.srtt_us : Bbr::no_volume;
  m.min_rtt_at_ms = m.probe_rtt_min_at_ms = m.cycle_at_ms = cx.now_ms;
  m.extra_from_us = cx.now_us;
  m.inflight_hi = Bbr::no_volume;
  m.undo_inflight_lo = m.undo_inflight_hi = Bbr::no_volume;
  m.undo_bw_lo = Bbr::no_rate;
  m.next_round = m.loss_round = flight.delivered;
  m.lost_seen = flight.lost_total;
  m.recovering = tcb.recovery != Recovery::open;
  reset_short_term(m);
  const std::uint32_t rtt_us = tcb.srtt_us != 0 ? tcb.srtt_us : 1000;
  flight.pacing_rate = percent(std::uint64_t{tcb.cwnd} * 1000000 / rtt_us, Bbr::startup_pacing);
  flight.send_quantum = quantum_of(flight.pacing_rate, tcb.snd_mss);
}

/// Recovery is over, by repair or by an undo: the window from before, as far as the model bears it.
void restore(Tcb& tcb, Bbr& m) {
  if (!m.recovering) return;
  m.recovering = false;
  tcb.cwnd = std::max(tcb.cwnd, m.prior_cwnd);
  bound_cwnd(tcb, m);
}

void on_ack(Context& cx, Tcb& tcb, Flight& flight, const AckEvent& event) {
  auto& m = own<Bbr>(flight);
  Step s{cx, tcb, flight, event, m};
  if (event.rate.delivered != 0 && event.rate.interval_us != 0 && event.rate.interval_us >= flight.min_rtt_us)
    s.bw = std::min(std::uint64_t{event.rate.delivered} * 1000000 / event.rate.interval_us, most_rate);
  if (tcb.recovery == Recovery::open) restore(tcb, m);
  take_losses(s);
  update_signals(s);
  update_aggregation(s);
  check_full_bw(s);
  check_startup(s);
  check_drain(s);
  update_probe_bw(s);
  check_probe_rtt(s, update_min_rtt(s));
  if (m.loss_round_start) {
    m.bw_latest = s.bw;
    m.inflight_latest = event.rate.delivered;
  }
  m.bw = std::min(max_bw(m), m.bw_lo);
  set_pacing(tcb, flight, m, pacing_gain(m.mode));
  set_cwnd(s);
}

std::uint32_t reduce(Context&, Tcb& tcb, Flight& flight, bool ecn) {
  auto& m = own<Bbr>(flight);
  note_loss(flight, m);
  if (!ecn) save_state(tcb, m);
  return tcb.ssthresh;  // has no meaning here
}

void on_timeout(Context&, Tcb& tcb, Flight& flight) {
  auto& m = own<Bbr>(flight);
  note_loss(flight, m);
  save_state(tcb, m);
  tcb.cwnd = tcb.snd_mss;
}

void on_recovered(Context&, Tcb& tcb, Flight& flight) { restore(tcb, own<Bbr>(flight)); }

void on_undo(Context& cx, Tcb& tcb, Flight& flight) {
  auto& m = own<Bbr>(flight);
  m.loss_in_round = false;
  reset_full_bw(m, 0);
  m.bw_lo = std::max(m.bw_lo, m.undo_bw_lo);
  m.inflight_lo = std::max(m.inflight_lo, m.undo_inflight_lo);
  m.inflight_hi = std::max(m.inflight_hi, m.undo_inflight_hi);
  if (m.undo_set && m.mode != Mode::probe_rtt && m.mode != m.undo_mode) {
    if (m.undo_mode == Mode::startup) {
      m.full_bw_reached = false;
      m.mode = Mode::startup;
    } else {
      start_refill(flight, m);
    }
  }
  m.undo_set = false;
  m.cycle_at_ms = is_probe_bw(m) ? m.cycle_at_ms : cx.now_ms;
  restore(tcb, m);
}

/// After a silence the path is as empty as it gets: pace at what it took, no need of PROBE_RTT.
void on_restart(Context& cx, Tcb& tcb, Flight& flight) {
  auto& m = own<Bbr>(flight);
  if (flight.app_limited_until == 0) return;
  m.idle_restart = true;
  m.extra_from_us = cx.now_us;
  m.extra_delivered = 0;
  if (is_probe_bw(m))
    set_pacing(tcb, flight, m, 100);
  else if (m.mode == Mode::probe_rtt)
    check_probe_rtt_done(cx, tcb, flight, m);
}

}  // namespace

const CongestionOps bbr{start, on_ack, reduce, on_timeout, on_recovered, on_undo, true, false, on_restart};

}  // namespace handfast::tcp
