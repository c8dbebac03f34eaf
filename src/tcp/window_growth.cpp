// SPDX-License-Identifier: BSD-3-Clause
// Growth and pacing of a window. Layer: tcp; see window_growth.hpp.
#include "tcp/window_growth.hpp"

#include <algorithm>

namespace handfast::tcp {
namespace {

/// Below this round trip a burst of the window is short, and gaps would be finer than the timers.
constexpr std::uint32_t least_paced_rtt_us = 1000;

}  // namespace

void grow_exponentially(Tcb& tcb, std::uint32_t bytes) {
  const std::uint32_t limit = std::min(tcb.ssthresh, max_window);
  if (tcb.cwnd < limit) tcb.cwnd += std::min(bytes, limit - tcb.cwnd);
}

void grow_linearly(Tcb& tcb, Flight& flight, std::uint32_t acked) {
  const std::uint64_t counted = std::uint64_t{flight.cwnd_acked} + acked;
  if (counted < tcb.cwnd) {
    flight.cwnd_acked = static_cast<std::uint32_t>(counted);
    return;
  }
  // One segment for one ACK, however much it covers; the rest counts, but never for a second whole window.
  flight.cwnd_acked = static_cast<std::uint32_t>(std::min<std::uint64_t>(counted - tcb.cwnd, tcb.cwnd));
  tcb.cwnd = std::min(tcb.cwnd + tcb.snd_mss, max_window);
}

void grow_as_reno(Tcb& tcb, Flight& flight, const AckEvent& event) {
  if (!may_grow(tcb, flight, event)) return;
  if (in_slow_start(tcb))
    grow_exponentially(tcb, std::min(event.acked, slow_start_limit(tcb, 2)));
  else
    grow_linearly(tcb, flight, event.acked);
}

std::uint32_t flight_size(const Tcb& tcb) { return std::min(distance(tcb.snd_una, tcb.snd_nxt), tcb.cwnd); }

std::uint32_t quantum_of(std::uint64_t pacing_rate, std::uint32_t mss) {
  const std::uint64_t most = std::max<std::uint64_t>(65536, 2 * mss);
  return static_cast<std::uint32_t>(std::clamp<std::uint64_t>(pacing_rate / 1000, 2 * mss, most));
}

void pace_window(const Context& cx, const Tcb& tcb, Flight& flight) {
  const bool untried = flight.unvalidated && tcb.srtt_us >= least_paced_rtt_us && tcb.cwnd > initial_window(cx, tcb);
  if (tcb.srtt_us == 0 || !(cx.config.tcp.pacing || untried)) {
    flight.pacing_rate = 0;
    flight.send_quantum = 0;
    return;
  }
  const std::uint64_t tenths = untried || in_slow_start(tcb) ? 20 : 12;
  flight.pacing_rate = std::max<std::uint64_t>(tenths * tcb.cwnd * 100000 / tcb.srtt_us, 1);
  flight.send_quantum = quantum_of(flight.pacing_rate, tcb.snd_mss);
}

}  // namespace handfast::tcp
