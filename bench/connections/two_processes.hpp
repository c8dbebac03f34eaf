// SPDX-License-Identifier: BSD-3-Clause
// One end in each of two processes, a core each, over memif or over virtio and vhost. Layer: bench.
#pragma once

#include "result.hpp"

namespace handfast::bench {

/// Before anything of DPDK was started in this process. Ends the program where an end does not come up (3).
[[nodiscard]] Result run_two_processes(const Options& options, std::uint32_t open);

}  // namespace handfast::bench
