// SPDX-License-Identifier: BSD-3-Clause
// RACK-TLP (RFC 8985): losses by time, and the probe for a tail that nobody would tell of. Layer: tcp.
// For peers with SACK only. Says what is lost; what follows from that is recovery's.
#pragma once

#include "tcp/context.hpp"
#include "tcp/flight.hpp"
#include "tcp/flights.hpp"

namespace handfast::tcp {

/// Segments SACKed (or duplicate ACKs) that say "lost" where no reordering was ever seen (RFC 5681, RFC 8985 section 6.2).
inline constexpr std::uint32_t duplicate_threshold = 3;
/// Least probe time-out: below it a delayed ACK or a burst of the peer's would look like a lost tail.
inline constexpr Duration tail_probe_floor = 10ms;
/// TLP.max_ack_delay: what a peer may wait before it acknowledges one segment (RFC 8985 section 7.2).
inline constexpr Duration tail_probe_ack_delay = 200ms;

/// Steps 1 to 3 of section 6.2, for a record that this ACK delivers first.
void rack_arrival(const Context& cx, Tcb& tcb, Flight& flight, const Sent& record, const wire::TcpOptions& options);
/// Step 4, the part that D-SACK drives: the window widens by one step a round trip with a D-SACK.
void rack_duplicate(const Tcb& tcb, Flight& flight);
/// And the part that time without D-SACK drives: called when a recovery is over.
void rack_recovered(Flight& flight);
/// Step 5: marks what is lost by now and sets reorder_deadline for what may be soon; returns the bytes marked.
std::uint32_t rack_detect(Context& cx, Tcb& tcb, Flight& flight);
/// After a retransmission time-out (section 6.3): the first record, and what was sent long enough before.
std::uint32_t rack_mark_on_timeout(Context& cx, Tcb& tcb, Flight& flight);

/// TLP section 7.2: the probe time-out from now; never where there is nothing to go by.
[[nodiscard]] Duration probe_timeout(const Tcb& tcb, bool one_segment);
[[nodiscard]] bool probe_is_eligible(const Tcb& tcb, const Flight& flight);
/// Section 7.4.2: what an ACK says of a probe in flight. True: it repaired a loss, which is to count as congestion.
[[nodiscard]] bool probe_repaired_loss(const Tcb& tcb, Flight& flight, Seq ack, bool duplicate, const Delivery& delivery);

}  // namespace handfast::tcp
