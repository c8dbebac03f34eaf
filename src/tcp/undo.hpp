// SPDX-License-Identifier: BSD-3-Clause
// Taking a reduction back that was an error: the segments had been delayed or reordered, not lost. Three witnesses:
// timestamps (RFC 3522), F-RTO (RFC 5682), D-SACK for all that was sent again (RFC 2883, RFC 3708). Layer: tcp.
#pragma once

#include "tcp/recovery.hpp"

namespace handfast::tcp {

/// Remembers the window before it is reduced.
void start_undo(Tcb& tcb, Flight& flight);
/// A record of this recovery was sent again.
void note_undo_sent(const Context& cx, const Tcb& tcb, Flight& flight);
/// Timestamps and D-SACK.
void look_for_spurious(Context& cx, Tcb& tcb, Flight& flight, const Delivery& delivery, const AckArrival& arrival);

/// RFC 5682 section 2.1, 3.1 step 1: after the first time-out of data that is not in recovery already.
void start_frto(const Tcb& tcb, Flight& flight, bool first);
/// Steps 2 and 3. While Flight::frto is 2, new data goes instead of what is lost.
void step_frto(Context& cx, Tcb& tcb, Flight& flight, const Delivery& delivery, const AckArrival& arrival);

}  // namespace handfast::tcp
