// SPDX-License-Identifier: BSD-3-Clause
// Functions on cores: each runs once, where it was told to, and too many are refused.
#include "dpdk/lcores.hpp"

#include <gtest/gtest.h>
#include <sched.h>

#include <array>
#include <atomic>
#include <thread>

#include "dpdk/machine.hpp"

namespace handfast::dpdk {
namespace {

TEST(lcores, run_on_three__each_runs_once_on_its_processor) {
  std::array<std::atomic<int>, 3> runs{};
  std::array<std::atomic<int>, 3> cpu{};
  const auto done = run_on_cores(3, [&](const CoreSlot& slot) {
    ++runs[slot.index];
    cpu[slot.index] = sched_getcpu();
  });
  ASSERT_TRUE(done);
  const auto slots = core_slots();
  for (unsigned i = 0; i < 3; ++i) {
    EXPECT_EQ(runs[i], 1);
    EXPECT_EQ(static_cast<unsigned>(cpu[i]), slots[i].cpu);
  }
}

TEST(lcores, slots__know_whether_they_share_a_processor) {
  const auto slots = core_slots();
  ASSERT_EQ(slots.size(), 3u);
  for (const auto& a : slots) {
    bool shared = false;
    for (const auto& b : slots) shared |= a.index != b.index && a.cpu == b.cpu;
    EXPECT_EQ(a.shares_cpu, shared);
  }
}

TEST(lcores, cores_that_wait_for_each_other__all_get_on) {
  // Two cores may share a processor: without idle() giving it away this would last whole time slices.
  std::atomic<unsigned> turn{0};
  const auto done = run_on_cores(3, [&](const CoreSlot& slot) {
    for (unsigned round = 0; round < 200; ++round) {
      while (turn.load() != round * 3 + slot.index) idle(slot);
      ++turn;
    }
  });
  ASSERT_TRUE(done);
  EXPECT_EQ(turn, 600u);
}

TEST(lcores, more_than_there_are_or_none__is_refused) {
  bool ran = false;
  EXPECT_FALSE(run_on_cores(4, [&](const CoreSlot&) { ran = true; }));
  EXPECT_FALSE(run_on_cores(0, [&](const CoreSlot&) { ran = true; }));
  EXPECT_FALSE(ran);
}

TEST(lcores, launched_from_another_thread__is_refused) {
  bool refused = false;
  std::thread([&] { refused = !run_on_cores(2, [](const CoreSlot&) {}); }).join();
  EXPECT_TRUE(refused);
}

TEST(lcores, thread_of_the_application__can_register_and_go) {
  std::thread([] {
    for (int i = 0; i < 300; ++i) {  // more often than DPDK has numbers
      const ThreadRegistration registration;
      ASSERT_TRUE(registration.registered());
    }
  }).join();
}

}  // namespace
}  // namespace handfast::dpdk
