// SPDX-License-Identifier: BSD-3-Clause
// Header prediction: the segments that an ordinary connection is made of, taken and sent in one straight piece of code.
// Layer: tcp. It decides nothing of its own: for a segment of the predicted shape it does what segment_arrives and output
// would do, and everything else is theirs. tests/tcp/prediction_test.cpp and the simulator run both and compare.
#pragma once

#include "tcp/context.hpp"
#include "tcp/segment_arrives.hpp"

namespace handfast::tcp {

[[nodiscard]] inline bool is_predictable(const Context& cx, const Tcb& tcb) {
  const std::uintptr_t any_of = reinterpret_cast<std::uintptr_t>(tcb.flight) | reinterpret_cast<std::uintptr_t>(tcb.receive) | tcb.backoff;
  return (tcb.flags & cx.predicted_mask) == cx.predicted_needs && any_of == 0;
}

/// The next segment in order, with nothing but ACK, PSH and FIN, of a connection whose state is past the handshake. False:
/// nothing was done, ask segment_arrives.
[[nodiscard]] bool predicted_arrival(Context& cx, Tcb& tcb, const wire::Segment& segment, Verdict& verdict);

/// An ACK; or all that is queued, which fits into one segment with nothing else in flight, or the FIN. False: nothing was
/// done, ask output.
[[nodiscard]] bool predicted_output(Context& cx, Tcb& tcb);

}  // namespace handfast::tcp
