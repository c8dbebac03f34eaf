// SPDX-License-Identifier: BSD-3-Clause
// A network namespace of this process's own, with nothing in it but a loopback, tuned for short connections; it
// goes with the process. Layer: bench.
#pragma once

namespace handfast::bench {

/// Ends the program (3) with a sentence where this user may not.
void enter_own_network();

}  // namespace handfast::bench
