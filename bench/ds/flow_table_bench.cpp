// SPDX-License-Identifier: BSD-3-Clause
// The flow table beside the ordinary maps: look-up one by one, in batches, of absent flows; replacement.
#include "flow_tables.hpp"

namespace {

using namespace handfast::bench;

void hash_only(benchmark::State& state) {
  handfast::FlowKey key{{handfast::Ipv4Address{1}, 2}, {handfast::Ipv4Address{3}, 4}};
  std::uint64_t sum = 0;
  for (auto _ : state) {
    for (std::size_t i = 0; i < batch; ++i) {
      key.ports = static_cast<std::uint32_t>(i);
      benchmark::DoNotOptimize(key);
      sum += hasher(key);
    }
  }
  benchmark::DoNotOptimize(sum);
  count_operations(state, batch);
}
BENCHMARK(hash_only);

}  // namespace

int main(int argc, char** argv) {
  register_flow_benchmarks<Handfast>("handfast");
  register_flow_benchmarks<BoostMap>("boost_unordered_map");
  register_flow_benchmarks<StdMap>("std_unordered_map");
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
}
