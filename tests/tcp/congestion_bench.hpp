// SPDX-License-Identifier: BSD-3-Clause
// One sender's control block and flight, made up, for a congestion control to work on: a test says what each ACK
// brings and looks at the window. Layer: tests of the protocol, below frames.
#pragma once

#include "tcp/congestion.hpp"
#include "tcp/window_growth.hpp"
#include "tcp/window_validation.hpp"

namespace handfast::test {

[[nodiscard]] inline CoreConfig tiny_config() {
  CoreConfig config;
  config.limits.connections = 4;
  config.limits.half_open = 4;
  config.limits.time_wait = 4;
  config.limits.buffer_memory = 64 << 10;
  config.limits.send_extents = 16;
  config.limits.recovery_blocks = 4;
  config.limits.listeners = 1;
  config.seed = 7;
  return config;
}

class Bench {
 public:
  static constexpr std::uint32_t mss = 1460;

  explicit Bench(const tcp::CongestionOps& algorithm, CoreConfig config = tiny_config())
      : cx(config, Time{} + 1000s), ops(algorithm) {
    tcb.snd_mss = mss;
    tcb.srtt_us = 50'000;
    tcb.rto_us = 200'000;
    tcb.flags = tcp::sack_enabled;
    tcb.snd_una = tcb.snd_nxt = Seq{0xffff0000};
    tcb.cwnd = tcp::initial_window(cx, tcb);
    tcb.congestion = of(algorithm);
  }
  [[nodiscard]] static CongestionControl of(const tcp::CongestionOps& algorithm) {
    if (&algorithm == &tcp::new_reno) return CongestionControl::new_reno;
    if (&algorithm == &tcp::dctcp) return CongestionControl::dctcp;
    return &algorithm == &tcp::bbr ? CongestionControl::bbr : CongestionControl::cubic;
  }

  void start() {
    ops.start(cx, tcb, flight);
    flight.started = true;
  }
  void pass(Duration d) { cx.set_now(cx.now + d); }
  /// The window is full.
  void fill() { tcb.snd_nxt = tcb.snd_una + tcb.cwnd; }
  /// An ACK for so many bytes; the sender is held by its window and fills it again.
  void ack(std::uint32_t bytes, tcp::AckEvent event = {.cwnd_limited = true}) {
    event.acked = event.delivered = bytes;
    event.prior_flight = distance(tcb.snd_una, tcb.snd_nxt);
    tcb.snd_una += bytes;
    if (before(tcb.snd_nxt, tcb.snd_una)) tcb.snd_nxt = tcb.snd_una;
    event.flight = distance(tcb.snd_una, tcb.snd_nxt);
    flight.delivered += bytes;
    ops.on_ack(cx, tcb, flight, event);
    if (event.cwnd_limited) fill();
  }
  /// A round trip of ACKs for two segments each, spread over it.
  void round(Duration rtt, bool ece = false) {
    const std::uint32_t acks = std::max(tcb.cwnd / (2 * mss), 1u);
    for (std::uint32_t i = 0; i < acks; ++i) {
      pass(rtt / acks);
      ack(2 * mss, {.rtt_us = static_cast<std::uint32_t>(rtt / 1us), .cwnd_limited = true, .ece = ece});
    }
  }
  /// As recovery does: the algorithm says ssthresh, proportional rate reduction gets there, and it is over.
  void lose(std::uint32_t bytes = mss) {
    flight.lost_total += bytes;
    flight.lost += bytes;
    tcb.recovery = tcp::Recovery::fast;
    flight.recover = tcb.snd_nxt;
    tcb.ssthresh = ops.reduce(cx, tcb, flight, false);
  }
  void recover() {
    tcb.snd_una = tcb.snd_nxt;
    flight.lost = 0;
    tcb.cwnd = tcb.ssthresh;
    tcb.recovery = tcp::Recovery::open;
    ops.on_recovered(cx, tcb, flight);
    fill();
  }

  tcp::Context cx;
  const tcp::CongestionOps& ops;
  tcp::Tcb tcb;
  tcp::Flight flight;
};

}  // namespace handfast::test
