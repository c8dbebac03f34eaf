// SPDX-License-Identifier: BSD-3-Clause
// The path and its senders. Layer: tests; see congestion_path.hpp.
#include "congestion_path.hpp"

#include <algorithm>

namespace handfast::test {

namespace {
constexpr std::uint32_t mss = Bench::mss;
std::uint32_t us(Time t) { return static_cast<std::uint32_t>(t.time_since_epoch() / 1us); }
}  // namespace

Path::Flow& Path::add(const tcp::CongestionOps& algorithm) {
  flows_.push_back(std::make_unique<Flow>(*this, static_cast<int>(flows_.size()), algorithm));
  flows_.back()->try_send();
  return *flows_.back();
}

std::uint32_t Path::queued() const {
  if (free_at_ <= cx.now) return 0;
  return static_cast<std::uint32_t>(rules.rate * static_cast<std::uint64_t>((free_at_ - cx.now) / 1us) / 1'000'000);
}

void Path::run_for(Duration d) {
  const Time end = cx.now + d;
  while (!events_.empty() && events_.top().at <= end) {
    const Event e = events_.top();
    events_.pop();
    cx.set_now(std::max(e.at, cx.now));
    Flow& flow = *flows_[static_cast<std::size_t>(e.flow)];
    if (e.packet == no_packet) {
      flow.wake_set_ = false;
      flow.check_timer();
    } else {
      flow.acknowledged(e.packet, e.marked);
      if (flow.on_event) flow.on_event();
    }
    flow.try_send();
  }
  cx.set_now(end);
}

Path::Flow::Flow(Path& path, int index, const tcp::CongestionOps& algorithm)
    : path_(path), index_(index), ops_(algorithm), began_(path.cx.now), last_ack_(path.cx.now) {
  tcb.snd_mss = mss;
  tcb.srtt_us = static_cast<std::uint32_t>(path.rules.rtt / 1us);  // the handshake's
  tcb.rto_us = std::max(2 * tcb.srtt_us, 200'000u);
  tcb.flags = tcp::sack_enabled;
  tcb.snd_una = tcb.snd_nxt = Seq{0xfff00000};
  tcb.cwnd = tcp::initial_window(path.cx, tcb);
  tcb.congestion = Bench::of(algorithm);
  flight.delivered = 0xffe00000;  // wraps soon
  flight.lost_total = 0xffffff00;
  flight.min_rtt_us = tcb.srtt_us;
  ops_.start(path.cx, tcb, flight);
  flight.started = true;
}

bool Path::Flow::has_data() const {
  if (!on) return false;
  if (app_rate == 0) return true;
  const auto since = static_cast<std::uint64_t>((path_.cx.now - began_) / 1us);
  return sent_bytes_ + mss <= app_rate * since / 1'000'000 + mss;
}

void Path::Flow::try_send() {
  tcp::Context& context = path_.cx;
  cwnd_limited_ = false;
  Time wake = context.now + 10ms;  // for the application's pace and the timer
  while (has_data()) {
    if (in_flight_ + mss > tcb.cwnd) {
      cwnd_limited_ = true;
      break;
    }
    if (flight.pacing_rate != 0 && flight.pace_next > context.now) {
      wake = std::min(wake, flight.pace_next);
      cwnd_limited_ = in_flight_ + std::max(flight.send_quantum, 2 * mss) > tcb.cwnd;
      break;
    }
    send_one();
  }
  if (!cwnd_limited_ && !has_data()) flight.app_limited_until = std::max(flight.delivered + in_flight_, 1u);
  if (wake_set_) return;
  wake_set_ = true;
  path_.schedule(wake, index_, no_packet, false);
}

void Path::Flow::send_one() {
  tcp::Context& context = path_.cx;
  if (in_flight_ == 0) {
    tcp::restart_after_idle(context, tcb, &flight);
    flight.first_sent_us = flight.delivered_us = context.now_us;
    last_ack_ = context.now;
  }
  in_flight_ += mss;
  sent_bytes_ += mss;
  tcb.snd_nxt += mss;
  Packet p;
  p.at = context.now;
  p.sent.sent_us = context.now_us;
  p.sent.delivered = flight.delivered;
  p.sent.delivered_us = flight.delivered_us;
  p.sent.first_us = flight.first_sent_us;
  p.sent.lost = flight.lost_total;
  p.sent.in_flight = in_flight_;
  if (flight.app_limited_until != 0) p.sent.flags = tcp::sent_app_limited;
  packets_.push_back(p);
  const std::uint64_t number = first_ + packets_.size() - 1;
  if (flight.pacing_rate != 0) {
    const Duration gap{static_cast<std::int64_t>(std::uint64_t{mss} * 1'000'000'000 / flight.pacing_rate)};
    flight.pace_next = std::max(flight.pace_next, context.now - 1ms) + gap;
  }
  const std::uint32_t queued = path_.queued();
  if (queued + mss > path_.rules.buffer) return;
  if (path_.rules.lose && path_.rules.lose(index_, number)) return;
  const Duration service{static_cast<std::int64_t>(std::uint64_t{mss} * 1'000'000'000 / path_.rules.rate)};
  path_.free_at_ = std::max(path_.free_at_, context.now) + service;
  path_.schedule(path_.free_at_ + path_.rules.rtt, index_, number, queued > path_.rules.mark_above);
}

std::uint32_t Path::Flow::detect_losses(std::uint64_t number, tcp::AckEvent& event) {
  std::uint32_t bytes = 0;
  for (std::uint64_t i = first_; i + 3 <= number; ++i) {
    Packet& p = packets_[static_cast<std::size_t>(i - first_)];
    if (p.fate != Packet::Fate::out) continue;
    p.fate = Packet::Fate::lost;
    bytes += mss;
    in_flight_ -= mss;
    flight.lost_total += mss;
    event.lost_in_flight = p.sent.in_flight;
    event.lost_since = flight.lost_total - p.sent.lost;
  }
  lost += bytes;
  return bytes;
}

void Path::Flow::fill_rate(const Packet& p, tcp::AckEvent& event) {
  const std::uint32_t now = path_.cx.now_us;
  const std::uint32_t send_elapsed = p.sent.sent_us - p.sent.first_us, ack_elapsed = now - p.sent.delivered_us;
  flight.first_sent_us = p.sent.sent_us;
  event.rate.delivered = flight.delivered - p.sent.delivered;
  event.rate.prior_delivered = p.sent.delivered;
  event.rate.interval_us = std::max(send_elapsed, ack_elapsed);
  event.rate.lost = flight.lost_total - p.sent.lost;
  event.rate.in_flight = p.sent.in_flight;
  event.rate.app_limited = (p.sent.flags & tcp::sent_app_limited) != 0;
}

void Path::Flow::react(std::uint32_t lost_now, bool ece) {
  tcp::Context& context = path_.cx;
  if (tcb.recovery == tcp::Recovery::open && lost_now != 0) {
    const std::uint32_t threshold = ops_.reduce(context, tcb, flight, false);
    tcb.recovery = tcp::Recovery::fast;
    flight.recover = tcb.snd_nxt;
    ++recoveries;
    if (!ops_.models) tcb.cwnd = tcb.ssthresh = threshold;
  } else if (tcb.recovery == tcp::Recovery::open && ece && !flight.cwr_on) {
    const std::uint32_t threshold = ops_.reduce(context, tcb, flight, true);
    flight.cwr_on = true;
    flight.cwr_end = tcb.snd_nxt;
    if (!ops_.models) tcb.cwnd = tcb.ssthresh = threshold;
  }
}

void Path::Flow::acknowledged(std::uint64_t number, bool marked) {
  tcp::Context& context = path_.cx;
  if (number < first_) return;
  Packet& p = packets_[static_cast<std::size_t>(number - first_)];
  if (p.fate == Packet::Fate::arrived) return;
  if (p.fate == Packet::Fate::out) in_flight_ -= mss;  // else a time-out wrote it off
  p.fate = Packet::Fate::arrived;
  last_ack_ = context.now;
  delivered += mss;
  flight.delivered += mss;
  flight.delivered_us = context.now_us;
  tcp::AckEvent event;
  event.prior_flight = in_flight_ + mss;
  event.acked = event.delivered = mss;
  event.rtt_us = us(context.now) - p.sent.sent_us;
  event.cwnd_limited = cwnd_limited_;
  event.ece = marked;
  flight.min_rtt_us = std::min(flight.min_rtt_us, event.rtt_us);
  tcb.srtt_us = tcb.srtt_us - tcb.srtt_us / 8 + event.rtt_us / 8;
  tcb.rto_us = tcb.srtt_us + std::max(tcb.srtt_us, 200'000u);
  if (flight.app_limited_until != 0 && static_cast<std::int32_t>(flight.delivered - flight.app_limited_until) > 0)
    flight.app_limited_until = 0;
  fill_rate(p, event);
  event.lost = detect_losses(number, event);
  while (!packets_.empty() && packets_.front().fate != Packet::Fate::out) {
    packets_.pop_front();
    ++first_;
    tcb.snd_una += mss;
  }
  tcb.progress_ms = context.now_ms;
  event.flight = in_flight_;
  if (flight.cwr_on && !before(tcb.snd_una, flight.cwr_end)) flight.cwr_on = false;
  react(event.lost, event.ece);
  if (tcb.recovery != tcp::Recovery::open && !before(tcb.snd_una, flight.recover)) {
    const bool fast = tcb.recovery == tcp::Recovery::fast;
    tcb.recovery = tcp::Recovery::open;
    if (fast && !ops_.models) tcb.cwnd = tcb.ssthresh;
    if (fast) ops_.on_recovered(context, tcb, flight);
  }
  if (tcb.recovery != tcp::Recovery::fast || ops_.models) ops_.on_ack(context, tcb, flight, event);
}

void Path::Flow::check_timer() {
  if (in_flight_ == 0 || path_.cx.now - last_ack_ < std::chrono::microseconds{tcb.rto_us}) return;
  ++timeouts;
  // What was sent after a time-out and is lost too is a retransmission: no second reduction (RFC 5681 (4)).
  if (tcb.recovery == tcp::Recovery::timeout)
    tcb.cwnd = mss;
  else
    ops_.on_timeout(path_.cx, tcb, flight);
  tcb.recovery = tcp::Recovery::timeout;
  flight.recover = tcb.snd_nxt;
  for (Packet& p : packets_) {
    if (p.fate == Packet::Fate::out) p.fate = Packet::Fate::lost;
  }
  flight.lost_total += in_flight_;
  in_flight_ = 0;
  last_ack_ = path_.cx.now;
}

}  // namespace handfast::test
