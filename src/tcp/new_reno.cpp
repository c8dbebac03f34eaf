// SPDX-License-Identifier: BSD-3-Clause
// NewReno's window (RFC 5681 section 3.1, RFC 6582, with byte counting after RFC 3465, L = 2). Layer: tcp.
// When to retransmit is recovery.cpp's business, the same for every algorithm.
#include <algorithm>

#include "tcp/window_growth.hpp"
#include "tcp/window_validation.hpp"

namespace handfast::tcp {
namespace {

void start(Context& cx, Tcb& tcb, Flight& flight) {
  start_validation(cx, tcb, flight);
  pace_window(cx, tcb, flight);
}

void on_ack(Context& cx, Tcb& tcb, Flight& flight, const AckEvent& event) {
  validate_window(cx, tcb, flight, event);
  grow_as_reno(tcb, flight, event);
  pace_window(cx, tcb, flight);
}

std::uint32_t reduce(Context& cx, Tcb& tcb, Flight& flight, bool) {
  flight.cwnd_acked = 0;
  return reduced_window(cx, tcb, flight, 512);
}

void on_timeout(Context& cx, Tcb& tcb, Flight& flight) {
  // rfc5681 (4): ssthresh halves once for a flight, not again for its retransmissions.
  if (tcb.backoff == 0) tcb.ssthresh = std::max(flight_size(tcb) / 2, 2u * tcb.snd_mss);
  tcb.cwnd = tcb.snd_mss;
  flight.cwnd_acked = 0;
  forget_validation(flight);
  pace_window(cx, tcb, flight);
}

void on_recovered(Context& cx, Tcb& tcb, Flight& flight) {
  end_reduction(tcb, flight);
  pace_window(cx, tcb, flight);
}

void on_undo(Context& cx, Tcb& tcb, Flight& flight) {
  forget_validation(flight);
  pace_window(cx, tcb, flight);
}

}  // namespace

const CongestionOps new_reno{start, on_ack, reduce, on_timeout, on_recovered, on_undo};

}  // namespace handfast::tcp
