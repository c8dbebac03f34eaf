// SPDX-License-Identifier: BSD-3-Clause
// Looking for a larger path MTU with segments that are larger than the rest (RFC 4821 section 7, RFC 8899 section 5.3).
// Layer: tcp. A probe is new data that waits anyway; that it alone is lost is no sign of congestion.
// All but the first are called only while mss_unsettled is set, which few connections ever have.
#pragma once

#include "tcp/context.hpp"

namespace handfast::tcp {

/// Payload of the next segment of new data: the usual, or a probe's. Takes note of what has arrived meanwhile. `unsent` and
/// `usable` are bytes that wait and bytes that the peer's window takes.
[[nodiscard]] std::uint32_t next_segment_room(Context& cx, Tcb& tcb, std::uint32_t unsent, std::uint32_t usable);

/// New data of `length` bytes leaves from `at`.
void note_new_segment(Context& cx, Tcb& tcb, Seq at, std::uint32_t length);
/// What begins at `at` is sent again: if it is the probe, nobody can tell any more what became of it.
void note_segment_again(Context& cx, Tcb& tcb, Seq at);

/// Asked when loss was found by acknowledgements, before the window is cut: where the probe is all that is lost, its record
/// is forgiven. It leaves again in usual pieces, and there is no congestion to answer (rfc4821 7.6.2).
void note_lost_probe(Context& cx, Tcb& tcb, Flight& flight);

/// A router has dropped the probe; it takes `mtu`, which is no less than the size in use.
void probe_was_refused(Context& cx, Tcb& tcb, std::uint32_t mtu);
/// The retransmission timer expired; a probe may be in flight.
void probe_timed_out(Context& cx, Tcb& tcb);

}  // namespace handfast::tcp
