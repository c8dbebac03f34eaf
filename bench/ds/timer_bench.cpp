// SPDX-License-Identifier: BSD-3-Clause
// The timer wheel: arm, re-arm, cancel, expire, and a poll that finds nothing to do.
#include "wheel_service.hpp"

namespace {

void idle_poll(benchmark::State& state) {
  using namespace handfast;
  ds::TimerWheel wheel{Time{1h}};
  ds::TimerNode node;
  wheel.arm(node, Time{100'000h});
  Time now{1h};
  for (auto _ : state) {
    now += 1us;
    benchmark::DoNotOptimize(wheel.advance(now, 32, [](ds::TimerNode&) {}));
  }
}
BENCHMARK(idle_poll);

}  // namespace

int main(int argc, char** argv) {
  handfast::bench::register_timer_benchmarks<handfast::bench::Wheel>("handfast");
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
}
