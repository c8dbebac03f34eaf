// SPDX-License-Identifier: BSD-3-Clause
// Two flows through one bottleneck; see fairness.hpp. Layer: bench.
#include "fairness.hpp"

#include <cstdio>
#include <stdexcept>
#include <thread>

namespace handfast::paths {
namespace {

struct Row {
  std::string first, second;
  RunPlan plan;
};

RunPlan plan_of(const Options& o, double round_trip_ms) {
  RunPlan plan;
  plan.path = o.path;
  plan.path.round_trip = Duration{static_cast<Duration::rep>(round_trip_ms * 1e6)};
  plan.length = Duration{static_cast<Duration::rep>((o.seconds > 0 ? o.seconds : 30) * 1e9)};
  plan.seed = o.seed;
  return plan;
}

Flow handfast_flow(const Options& o, CongestionControl control, Kind receiver) {
  Flow flow{Kind::handfast, receiver, o.stack, o.kernel};
  flow.stack.congestion = control;
  return flow;
}

std::vector<Row> rows(const Options& o, bool kernel, double round_trip_ms) {
  std::vector<Row> all;
  const auto& controls = congestion_controls();
  for (std::size_t i = 0; i < controls.size(); ++i)
    for (std::size_t j = i; j < controls.size(); ++j) {
      Row row{controls[i].name, controls[j].name, plan_of(o, round_trip_ms)};
      row.plan.flows = {handfast_flow(o, controls[i].control, Kind::handfast),
                        handfast_flow(o, controls[j].control, Kind::handfast)};
      all.push_back(std::move(row));
    }
  if (!kernel) return all;
  const Flow kernel_flow{Kind::kernel, Kind::kernel, o.stack, o.kernel};
  for (const CongestionName& c : controls) {
    Row row{c.name, "kernel " + o.kernel.congestion, plan_of(o, round_trip_ms)};
    row.plan.flows = {handfast_flow(o, c.control, Kind::kernel), kernel_flow};
    all.push_back(std::move(row));
  }
  Row row{"kernel " + o.kernel.congestion, "kernel " + o.kernel.congestion, plan_of(o, round_trip_ms)};
  row.plan.flows = {kernel_flow, kernel_flow};
  all.push_back(std::move(row));
  return all;
}

void print(const Options& o, double round_trip_ms, const Row& row, const RunResult& r) {
  const double a = r.flows[0].mbit, b = r.flows[1].mbit, sum = a + b;
  const double jain = sum > 0 ? sum * sum / (2 * (a * a + b * b)) : 0;
  std::printf(o.markdown ? "| %8g | %-14s | %-14s | %8.1f | %8.1f | %5.1f %% | %5.3f |%s\n"
                         : "%8g  %-14s %-14s %8.1f %8.1f  %5.1f %%  %5.3f%s\n",
              round_trip_ms, row.first.c_str(), row.second.c_str(), a, b, sum > 0 ? a / sum * 100 : 0, jain,
              r.is_sound() ? "" : " !");
}

}  // namespace

void measure_fairness(const Options& o, bool kernel) {
  // The matrix' delays serve here too; the default is one that a bottleneck would have.
  const std::vector<double> delays =
      o.round_trip == Options{}.round_trip ? std::vector<double>{20} : o.round_trip;
  std::printf(o.markdown ? "| delay ms | first | second | Mbit/s | Mbit/s | first's share | Jain "
                           "|\n|---:|---|---|---:|---:|---:|---:|\n"
                         : "delay ms  first          second           Mbit/s   Mbit/s   share   Jain\n");
  std::FILE* json = o.json.empty() ? nullptr : std::fopen(o.json.c_str(), "w");
  if (!o.json.empty() && json == nullptr) throw std::runtime_error("cannot write " + o.json);
  const char* between = "[\n";
  for (const double delay : delays) {
    const std::vector<Row> all = rows(o, kernel, delay);
    std::vector<RunPlan> virtual_plans, real_plans;
    for (const Row& row : all) (row.plan.real_time() ? real_plans : virtual_plans).push_back(row.plan);
    const unsigned processors = std::max(1u, std::thread::hardware_concurrency());
    std::vector<RunResult> results = run_all(virtual_plans, processors, [](std::size_t) {});
    for (RunResult& r : run_all(real_plans, o.parallel != 0 ? o.parallel : processors, [](std::size_t) {}))
      results.push_back(std::move(r));
    for (std::size_t i = 0; i < all.size(); ++i) {
      print(o, delay, all[i], results[i]);
      if (json == nullptr) continue;
      std::fprintf(json,
                   "%s {\"delay_ms\": %g, \"first\": \"%s\", \"second\": \"%s\", \"mbit\": [%.4f, %.4f], "
                   "\"late_p99_us\": %.1f, \"sound\": %s}",
                   between, delay, all[i].first.c_str(), all[i].second.c_str(), results[i].flows[0].mbit,
                   results[i].flows[1].mbit, static_cast<double>(results[i].lateness.p99.count()) / 1000,
                   results[i].is_sound() ? "true" : "false");
      between = ",\n";
    }
  }
  if (json != nullptr) {
    std::fprintf(json, "\n]\n");
    std::fclose(json);
  }
}

}  // namespace handfast::paths
