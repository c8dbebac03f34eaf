// SPDX-License-Identifier: BSD-3-Clause
// What happens when a deadline has passed. Layer: tcp; see timeouts.hpp.
#include "tcp/timeouts.hpp"

#include <algorithm>

#include "tcp/fast_open.hpp"
#include "tcp/lifetime.hpp"
#include "tcp/output.hpp"
#include "tcp/rack.hpp"
#include "tcp/path_mtu.hpp"
#include "tcp/patience.hpp"
#include "tcp/recovery.hpp"
#include "tcp/rtt.hpp"
#include "tcp/state.hpp"

namespace handfast::tcp {
namespace {

Duration since_ms(const Context& cx, std::uint32_t then) { return std::chrono::milliseconds{cx.now_ms - then}; }

/// R2 (MUST-20), the user timeout (RFC 5482), or an orphan's number of tries, whichever binds.
bool gave_up(const Context& cx, const Tcb& tcb) {
  const TcpConfig& config = cx.config.tcp;
  if (has(tcb, orphan) && tcb.backoff >= config.orphan_retries) return true;
  return since_ms(cx, tcb.progress_ms) >= give_up_after(cx, tcb);
}

void count_backoff(Tcb& tcb) {
  if (tcb.backoff != 0xff) ++tcb.backoff;
}

// MUST-22, MUST-23
void syn_timeout(Context& cx, Tcb& tcb) {
  if (since_ms(cx, tcb.progress_ms) >= cx.config.tcp.connect_timeout) {
    // SHLD-25: where routers said why nobody answers, that is the reason.
    const bool told = tcb.last_icmp_error != IcmpError::none;
    end_connection(cx, tcb, told ? CloseReason::unreachable : CloseReason::connect_timed_out);
    return;
  }
  count_backoff(tcb);
  note_retransmission(cx, tcb);
  fast_open_failed(cx, tcb);
  set(tcb, syn_retransmitted);
  clear(tcb, rtt_timing);
  ++cx.stats.retransmits;
  if (tcb.retransmits != 0xffff) ++tcb.retransmits;
  start_retransmission_timer(cx, tcb);
  send_syn(cx, tcb);
}

/// Is the one segment that is out without a flight to be probed for, rather than timed out (RFC 8985 section 7.2)?
bool is_probe_of_one(const Tcb& tcb) { return tcb.flight == nullptr && has(tcb, sack_enabled) && tcb.backoff == 0 && has(tcb, rtt_timing); }

void tail_probe(Context& cx, Tcb& tcb, Flight& flight) {
  flight.probe_deadline = never;
  send_tail_probe(cx, tcb, flight);
  restart_rto(cx, tcb, flight);  // rfc8985 7.3
  set_alarm(cx, tcb, flight);
}

void retransmission_timeout(Context& cx, Tcb& tcb) {
  if (is_fast_opened(tcb)) {
    fast_open_timeout(cx, tcb);
    return;
  }
  if (!has(tcb, syn_acked)) {
    syn_timeout(cx, tcb);
    return;
  }
  if (is_probe_of_one(tcb) && take_flight(cx, tcb) != nullptr) {
    tail_probe(cx, tcb, *tcb.flight);
    return;
  }
  if (tcb.flight != nullptr && tcb.flight->alarm != Flight::Alarm::retransmission) {
    if (tcb.flight->alarm == Flight::Alarm::tail_probe)
      tail_probe(cx, tcb, *tcb.flight);
    else
      on_reordering_timeout(cx, tcb, *tcb.flight);
    mark_dirty(cx, tcb);
    return;
  }
  if (gave_up(cx, tcb)) {
    end_connection(cx, tcb, CloseReason::timed_out);
    return;
  }
  if (on_path_timeout(cx, tcb)) {
    start_retransmission_timer(cx, tcb);
    return;
  }
  on_retransmission_timeout(cx, tcb);  // RFC 6298 (5.4)
  count_backoff(tcb);                  // (5.5)
  note_retransmission(cx, tcb);
  start_retransmission_timer(cx, tcb);
  if (tcb.flight == nullptr) resend_without_flight(cx, tcb);
  mark_dirty(cx, tcb);
}

// MUST-35, MUST-36, SHLD-29, SHLD-30
void persist_timeout(Context& cx, Tcb& tcb) {
  if (tcb.snd_wnd != 0) {  // held back as too small: goes now (section 3.8.6.2.1 (4))
    clear(tcb, persist);
    set(tcb, override_due);
    mark_dirty(cx, tcb);
    return;
  }
  // Silence counts from the first probe on: before it nobody was asked, however long the connection had nothing to send.
  if (tcb.snd_una == tcb.snd_nxt && !has(tcb, orphan)) tcb.progress_ms = cx.now_ms;
  if (gave_up(cx, tcb)) {
    end_connection(cx, tcb, CloseReason::timed_out);
    return;
  }
  send_window_probe(cx, tcb);
  count_backoff(tcb);
  start_persist_timer(cx, tcb, false);
}

/// rfc5482 4.2: more than the user timeout, or it would end what that lets live.
Duration keepalive_idle(const Context& cx, const Tcb& tcb) {
  const TcpConfig& config = cx.config.tcp;
  const Duration idle = rare(tcb).keepalive_idle_s != 0 ? rare(tcb).keepalive_idle_s * Duration{1s} : config.keepalive_idle;
  if (!config.user_timeout_option || tcb.user_timeout_ds == endless) return idle;
  return std::max(idle, give_up_after(cx, tcb) + 1s);
}

Duration keepalive_interval(const Context& cx, const Tcb& tcb) {
  return rare(tcb).keepalive_interval_s != 0 ? rare(tcb).keepalive_interval_s * Duration{1s} : cx.config.tcp.keepalive_interval;
}

// MUST-26, MUST-29. `due`: the deadline that has passed; a probe left an interval before it.
void keepalive_timeout(Context& cx, Tcb& tcb, Time due) {
  if (!has(tcb, keepalive_on)) return;
  // Answers count also where the interval is longer than the idle time.
  const auto probe_ms = static_cast<std::uint32_t>((due - keepalive_interval(cx, tcb)).time_since_epoch() / 1ms);
  // By age: what was heard more than 2^31 ms ago is not yet to come.
  if (cx.now_ms - tcb.heard_ms <= cx.now_ms - probe_ms) tcb.keepalive_sent = 0;
  if (since_ms(cx, tcb.heard_ms) < keepalive_idle(cx, tcb)) {
    tcb.keepalive_sent = 0;
    start_keepalive_timer(cx, tcb);  // heard meanwhile
    return;
  }
  if (tcb.snd_una != tcb.snd_nxt) {
    tcb.idle_deadline = cx.now + keepalive_interval(cx, tcb);  // the retransmission timer asks already
    return;
  }
  if (tcb.keepalive_sent >= (rare(tcb).keepalive_probes != 0 ? rare(tcb).keepalive_probes : cx.config.tcp.keepalive_probes)) {
    send_reset(cx, tcb);
    end_connection(cx, tcb, CloseReason::keepalive_timed_out);
    return;
  }
  send_keepalive(cx, tcb);
  ++tcb.keepalive_sent;
  tcb.idle_deadline = cx.now + keepalive_interval(cx, tcb);
}

void idle_timeout(Context& cx, Tcb& tcb, Time due) {
  if (tcb.state == State::fin_wait_2 && has(tcb, orphan))
    end_connection(cx, tcb, CloseReason::fin_wait_2_timed_out);
  else
    keepalive_timeout(cx, tcb, due);
}

}  // namespace

void start_retransmission_timer(Context& cx, Tcb& tcb) {
  Duration timeout = current_rto(cx, tcb);
  if (tcb.flight != nullptr) {
    restart_rto(cx, tcb, *tcb.flight);
  } else if (is_probe_of_one(tcb) && timeout > tail_probe_ack_delay) {
    timeout = std::min(timeout, probe_timeout(tcb, true));
  }
  tcb.rtx_deadline = before_giving_up(cx, tcb, cx.now + timeout);
  arm_for(cx, tcb, tcb.rtx_deadline);
}

Time before_giving_up(const Context& cx, const Tcb& tcb, Time deadline) {
  if (tcb.user_timeout_ds == 0 || tcb.user_timeout_ds == endless || !has(tcb, syn_acked)) [[likely]] return deadline;
  const Duration left = give_up_after(cx, tcb) - since_ms(cx, tcb.progress_ms);
  return std::min(deadline, cx.now + std::max<Duration>(left, 1ms));
}

void start_persist_timer(Context& cx, Tcb& tcb, bool small_window) {
  tcb.rtx_deadline = small_window ? cx.now + cx.config.tcp.override_timeout : before_giving_up(cx, tcb, cx.now + current_rto(cx, tcb));
  arm_for(cx, tcb, tcb.rtx_deadline);
}

// SHLD-18
void start_delayed_ack_timer(Context& cx, Tcb& tcb) {
  tcb.ack_deadline = cx.now + cx.config.tcp.delayed_ack;
  arm_for(cx, tcb, tcb.ack_deadline);
}

void start_keepalive_timer(Context& cx, Tcb& tcb) {
  const Duration silent = since_ms(cx, tcb.heard_ms);
  tcb.idle_deadline = cx.now + std::max<Duration>(keepalive_idle(cx, tcb) - silent, 1ms);
  arm_for(cx, tcb, tcb.idle_deadline);
}

void start_fin_wait_2_timer(Context& cx, Tcb& tcb) {
  tcb.idle_deadline = cx.now + cx.config.tcp.fin_wait_2_timeout;
  arm_for(cx, tcb, tcb.idle_deadline);
}

bool connection_timer(Context& cx, Tcb& tcb) {
  const auto take = [&](Time& deadline) {
    if (deadline > cx.now) return false;
    deadline = never;
    return true;
  };
  if (take(tcb.ack_deadline) && has(tcb, ack_delayed)) {
    clear(tcb, ack_delayed);
    set(tcb, ack_now);
    ++cx.stats.delayed_acks;
    mark_dirty(cx, tcb);
  }
  if (take(tcb.rtx_deadline)) {
    if (has(tcb, persist))
      persist_timeout(cx, tcb);
    else
      retransmission_timeout(cx, tcb);
    if (has(tcb, ended)) return false;
  }
  const Time idle_due = tcb.idle_deadline;
  if (take(tcb.idle_deadline)) {
    idle_timeout(cx, tcb, idle_due);
    if (has(tcb, ended)) return false;
  }
  const bool application = take(tcb.app_deadline);
  Time next = std::min({tcb.rtx_deadline, tcb.ack_deadline, tcb.idle_deadline, tcb.app_deadline});
  if (tcb.flight != nullptr) {
    if (take(tcb.flight->pace_deadline)) mark_dirty(cx, tcb);
    next = std::min(next, tcb.flight->pace_deadline);
  }
  if (next != never) arm_for(cx, tcb, next);
  return application;
}

void start_half_open_timer(Context& cx, HalfOpen& half) {
  const Duration rto = std::min<Duration>(cx.config.tcp.rto_initial * (1 << std::min<int>(half.retries, 10)), cx.config.tcp.rto_max);
  cx.half_open_wheel.arm(half.timer, cx.now + rto);
}

namespace {
/// The table is full or was so a moment ago: cookies are sent in place of entries.
bool half_opens_are_scarce(const Context& cx) {
  return cx.last_cookie != Time::min() && cx.now - cx.last_cookie < 2 * cx.config.tcp.rto_initial;
}
}  // namespace

void half_open_timer(Context& cx, HalfOpen& half) {
  // Then nearly all of them are forged: each is answered once, so that nothing is reflected but one for one, and leaves its
  // place after a second wait, for peers that are far away. An honest peer's own SYN starts it over.
  if (half.retries < cx.config.tcp.syn_ack_retries && !half.answered && half_opens_are_scarce(cx)) {
    half.retries = cx.config.tcp.syn_ack_retries;
    cx.half_open_wheel.arm(half.timer, cx.now + cx.config.tcp.rto_initial);
    return;
  }
  if (half.retries >= cx.config.tcp.syn_ack_retries) {
    remove_half_open(cx, half);
    ++cx.stats.half_open_expired;
    return;
  }
  ++half.retries;
  half.sent_again = true;
  ++cx.stats.retransmits;
  start_half_open_timer(cx, half);
  send_syn_ack(cx, half);
}

}  // namespace handfast::tcp
