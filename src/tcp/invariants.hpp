// SPDX-License-Identifier: BSD-3-Clause
// What holds of a connection after every event. Layer: tcp.
// Checked in debug, sanitizer and HANDFAST_PARANOID builds; a failed one aborts and names itself.
#pragma once

#include "base/assert.hpp"
#include "tcp/context.hpp"

namespace handfast::tcp {

/// After a segment, a call or a timer, and before the application is told.
void check_invariants(const Context& cx, const Tcb& tcb);

}  // namespace handfast::tcp
