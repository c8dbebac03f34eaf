// SPDX-License-Identifier: BSD-3-Clause
// One workload for every timer service: timers in random order, deadlines spread at random. A connection's
// own cache line is fetched ahead, as the stages of a burst do; what the service itself touches is not. A
// service under test: Service(size), arm(i, delay), cancel(i), expire_all(), prefetch(i); delays in ns.
#pragma once

#include <benchmark/benchmark.h>
#include <time.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <numeric>
#include <string>
#include <vector>

#include "base/rng.hpp"
#include "handfast/time.hpp"
#include "on_huge_pages.hpp"

namespace handfast::bench {

template <class Service>
class TimerWorld {
 public:
  static constexpr std::size_t ahead = 16;
  static constexpr std::uint32_t longest = 1u << 30;  // about a second

  explicit TimerWorld(std::uint32_t size) : service(size), order_(size), delay_(size) {
    std::iota(order_.begin(), order_.end(), 0u);
    shuffle();
  }

  static TimerWorld& of(std::uint32_t size) {
    static std::unique_ptr<TimerWorld> current;
    if (!current || current->order_.size() != size) {
      current.reset();
      current = std::make_unique<TimerWorld>(size);
    }
    return *current;
  }

  void shuffle() {
    for (auto i = static_cast<std::uint32_t>(order_.size()) - 1; i > 0; --i) {
      std::swap(order_[i], order_[rng_.below(i + 1)]);
    }
    for (std::uint32_t& delay : delay_) delay = rng_.below(longest);
  }

  template <class F>
  void for_each(F&& f) {
    const std::size_t size = order_.size();
    for (std::size_t i = 0; i < size; ++i) {
      service.prefetch(order_[i + ahead < size ? i + ahead : i]);
      f(order_[i], Duration{delay_[i]});
    }
  }
  void arm_all(Duration more = Duration{0}) {
    for_each([&](std::uint32_t i, Duration delay) { service.arm(i, delay + more); });
  }
  void arm_all_mirrored() {
    for_each([&](std::uint32_t i, Duration delay) { service.arm(i, Duration{longest} - delay); });
  }
  void cancel_all() {
    for_each([&](std::uint32_t i, Duration) { service.cancel(i); });
  }

  Service service;

 private:
  Rng rng_{1};
  std::vector<std::uint32_t> order_;
  std::vector<std::uint32_t> delay_;
};

/// Of this thread, so that what else runs on the machine is not counted.
inline double cpu_seconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

/// Small sizes are repeated until there is something to measure.
template <class Service, class Before, class Measured, class After>
void measure(benchmark::State& state, Before&& before, Measured&& measured, After&& after) {
  const auto size = static_cast<std::uint32_t>(state.range(0));
  auto& world = TimerWorld<Service>::of(size);
  for (auto _ : state) {
    world.shuffle();
    before(world);
    const double start = cpu_seconds();
    measured(world);
    state.SetIterationTime(cpu_seconds() - start);
    after(world);
  }
  state.counters["per_op"] = benchmark::Counter(
      static_cast<double>(size), benchmark::Counter::kIsIterationInvariantRate | benchmark::Counter::kInvert);
}

template <class Service>
void register_timer_benchmarks(const std::string& name) {
  using World = TimerWorld<Service>;
  constexpr bool waits = requires(Service & service) { service.before_expire(); };
  const auto nothing = [](World&) {};
  const auto arm = [](World& world) { world.arm_all(); };
  const auto arm_later = [](World& world) { world.arm_all(Duration{World::longest}); };
  const auto arm_any = [](World& world) { world.arm_all_mirrored(); };
  const auto cancel = [](World& world) { world.cancel_all(); };
  const auto arm_and_wait = [](World& world) {
    world.arm_all();
    // For a service that reads a clock of its own: until all deadlines have passed.
    if constexpr (waits) world.service.before_expire();
  };
  const auto expire = [](World& world) { world.service.expire_all(); };
  for (const std::int64_t size : {1'000, 1'000'000, 10'000'000}) {
    const std::int64_t rounds = size <= 1000 ? 2000 : size <= 1'000'000 ? 5 : 2;
    const auto add = [&](const char* what, std::int64_t times, auto before, auto measured, auto after) {
      benchmark::RegisterBenchmark(
          (std::string{what} + "/" + name).c_str(),
          [=](benchmark::State& state) { measure<Service>(state, before, measured, after); })
          ->Arg(size)
          ->UseManualTime()
          ->Iterations(times);
    };
    add("arm", rounds, nothing, arm, cancel);
    add("rearm_later", rounds, arm, arm_later, cancel);  // by a second: no deadline comes nearer
    add("rearm_any", rounds, arm, arm_any, cancel);      // half of them come nearer
    add("cancel", rounds, arm, cancel, nothing);
    add("expire", waits ? std::min<std::int64_t>(rounds, 5) : rounds, arm_and_wait, expire, nothing);
  }
}

}  // namespace handfast::bench
