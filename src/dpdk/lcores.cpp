// SPDX-License-Identifier: BSD-3-Clause
// Launches functions on EAL's threads. Layer: dpdk. Must not know what the threads do.
#include "dpdk/lcores.hpp"

#include <pthread.h>
#include <rte_launch.h>
#include <rte_lcore.h>
#include <rte_pause.h>
#include <sched.h>

#include <algorithm>
#include <string>

namespace handfast::dpdk {

namespace {

struct Launch {
  const std::function<void(const CoreSlot&)>* function;
  CoreSlot slot;
};

int launch(void* argument) noexcept {
  const auto& what = *static_cast<const Launch*>(argument);
  (*what.function)(what.slot);
  return 0;
}

CoreSlot slot_of(unsigned lcore, unsigned index) {
  CoreSlot slot{.index = index, .lcore = lcore};
  const auto set = rte_lcore_cpuset(lcore);
  for (unsigned cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (CPU_ISSET(cpu, &set)) {
      slot.cpu = cpu;
      break;
    }
  }
  return slot;
}

}  // namespace

std::vector<CoreSlot> core_slots() {
  std::vector<CoreSlot> slots{slot_of(rte_get_main_lcore(), 0)};
  unsigned lcore = 0;
  RTE_LCORE_FOREACH_WORKER(lcore) { slots.push_back(slot_of(lcore, static_cast<unsigned>(slots.size()))); }
  // Those that may run on the same processors share one when there are more of them than processors.
  for (auto& a : slots) {
    const auto set = rte_lcore_cpuset(a.lcore);
    const auto alike = std::ranges::count_if(slots, [&](const CoreSlot& b) { return a.cpu == b.cpu; });
    a.shares_cpu = alike > CPU_COUNT(&set);
  }
  return slots;
}

Expected<void> run_on_cores(unsigned count, const std::function<void(const CoreSlot&)>& function) {
  const auto slots = core_slots();
  if (count == 0 || count > slots.size()) {
    return tl::unexpected(
        Error{ErrorKind::usage,
              std::to_string(count) + " cores were asked for, and EAL has " + std::to_string(slots.size()),
              "name the number of cores when EAL starts"});
  }
  if (rte_lcore_id() != slots[0].lcore) {
    return tl::unexpected(Error{ErrorKind::usage, "cores can only be launched by the thread that started EAL",
                                "call from that thread"});
  }
  std::vector<Launch> launches;
  for (unsigned i = 0; i < count; ++i) launches.push_back({&function, slots[i]});
  for (unsigned i = 1; i < count; ++i) {
    if (rte_eal_remote_launch(launch, &launches[i], slots[i].lcore) != 0) {
      for (unsigned j = 1; j < i; ++j) rte_eal_wait_lcore(slots[j].lcore);
      return tl::unexpected(Error{ErrorKind::usage,
                                  "core " + std::to_string(i) + " is busy with another function",
                                  "wait for the first run to end"});
    }
  }
  launch(&launches[0]);
  for (unsigned i = 1; i < count; ++i) rte_eal_wait_lcore(slots[i].lcore);
  return {};
}

void idle(const CoreSlot& slot) {
  if (slot.shares_cpu) {
    sched_yield();
  } else {
    rte_pause();
  }
}

ThreadRegistration::ThreadRegistration()
    : ours_(rte_lcore_id() == LCORE_ID_ANY && rte_thread_register() == 0) {}

ThreadRegistration::~ThreadRegistration() {
  if (ours_) rte_thread_unregister();
}

bool ThreadRegistration::registered() const { return rte_lcore_id() != LCORE_ID_ANY; }

bool pin_to_cpu(unsigned cpu) {
  if (cpu >= CPU_SETSIZE) return false;
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(cpu, &set);
  return pthread_setaffinity_np(pthread_self(), sizeof set, &set) == 0;
}

}  // namespace handfast::dpdk
