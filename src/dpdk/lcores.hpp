// SPDX-License-Identifier: BSD-3-Clause
// One thread per core, pinned. Layer: dpdk. Must not know what the threads do.
#pragma once

#include <functional>
#include <vector>

#include "handfast/error.hpp"

namespace handfast::dpdk {

/// Where one core's function runs.
struct CoreSlot {
  unsigned index = 0;       ///< 0 is the thread that called EAL's start
  unsigned lcore = 0;       ///< EAL's number for it
  unsigned cpu = 0;         ///< the first processor that it may run on
  bool shares_cpu = false;  ///< another slot runs there too: an idle poll has to yield
};

/// EAL's threads in order, the calling one first.
[[nodiscard]] std::vector<CoreSlot> core_slots();

/// Runs `function` once on each of the first `count` cores, the first on the calling thread (which must be
/// the one that started EAL), and returns when all have returned. The function must not throw.
[[nodiscard]] Expected<void> run_on_cores(unsigned count,
                                          const std::function<void(const CoreSlot&)>& function);

/// What a poll that found nothing does: gives the processor away where it is shared, else a pause.
void idle(const CoreSlot& slot);

/// Makes a thread of the application known to DPDK, so that it has its own caches in the packet pools.
/// Lives on that thread's stack. Without it everything works, only slower.
class ThreadRegistration {
 public:
  ThreadRegistration();
  ~ThreadRegistration();
  ThreadRegistration(const ThreadRegistration&) = delete;
  ThreadRegistration& operator=(const ThreadRegistration&) = delete;
  /// False where DPDK has no number left for it.
  [[nodiscard]] bool registered() const;

 private:
  bool ours_ = false;
};

/// Binds the calling thread to one processor; false where it may not run there.
[[nodiscard]] bool pin_to_cpu(unsigned cpu);

}  // namespace handfast::dpdk
