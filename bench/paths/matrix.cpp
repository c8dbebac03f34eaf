// SPDX-License-Identifier: BSD-3-Clause
// The matrix of paths; see matrix.hpp. Layer: bench.
#include "matrix.hpp"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <limits>
#include <stdexcept>
#include <thread>

namespace handfast::paths {
namespace {

struct Place {
  std::size_t cell;
  std::string pair;
};

RunPlan plan_of(const Options& o, const Cell& cell, const std::string& pair, std::uint64_t seed) {
  RunPlan plan;
  plan.path = o.path;
  plan.path.loss = cell.loss / 100;
  plan.path.reorder = cell.reorder / 100;
  plan.path.round_trip = Duration{static_cast<Duration::rep>(cell.round_trip_ms * 1e6)};
  const auto kind = [](char c) { return c == 'h' ? Kind::handfast : Kind::kernel; };
  plan.flows = {{kind(pair[0]), kind(pair[1]), o.stack, o.kernel}};
  plan.length = Duration{static_cast<Duration::rep>((o.seconds > 0 ? o.seconds : 8) * 1e9)};
  plan.seed = seed;
  return plan;
}

void take(Goodput& g, const RunResult& run, unsigned n) {
  const double mbit = run.flows[0].mbit, k = n;
  g.mean += (mbit - g.mean) / (k + 1);
  g.least = n == 0 ? mbit : std::min(g.least, mbit);
  g.most = std::max(g.most, mbit);
  g.retransmits += (static_cast<double>(run.flows[0].retransmits) - g.retransmits) / (k + 1);
  g.late_p99_us = std::max(g.late_p99_us, static_cast<double>(run.lateness.p99.count()) / 1000);
  g.late_most_us = std::max(g.late_most_us, static_cast<double>(run.lateness.most.count()) / 1000);
  g.queue_full = run.queue_full;
  g.lost = run.lost;
  g.attempts = std::max(g.attempts, run.attempts);
  g.sound = g.sound && run.is_sound();
}

/// Virtual and real runs apart, so that the one does not make the other late.
void measure(const Options& o, std::vector<Cell>& cells, bool real, unsigned at_a_time) {
  std::vector<RunPlan> plans;
  std::vector<Place> places;
  const unsigned repeats = real ? std::max(1u, o.repeats) : std::max(1u, o.virtual_repeats);
  for (std::size_t c = 0; c < cells.size(); ++c)
    for (const std::string& pair : o.pairs)
      for (unsigned r = 0; r < repeats; ++r) {
        RunPlan plan = plan_of(o, cells[c], pair, o.seed + c * 100 + r);
        if (plan.real_time() != real) continue;
        plans.push_back(std::move(plan));
        places.push_back({c, pair});
      }
  std::size_t ended = 0;
  const auto results = run_all(plans, at_a_time, [&](std::size_t) {
    ++ended;
    if (!o.quiet && ::isatty(STDERR_FILENO) != 0)
      std::fprintf(stderr, "\r%s runs: %zu of %zu ", real ? "real" : "virtual", ended, plans.size());
  });
  if (!o.quiet && !plans.empty() && ::isatty(STDERR_FILENO) != 0) std::fprintf(stderr, "\n");
  for (std::size_t i = 0; i < results.size(); ++i)
    take(cells[places[i].cell].by_pair[places[i].pair], results[i], static_cast<unsigned>(i) % repeats);
}

const Goodput* find(const Cell& cell, const std::string& pair) {
  const auto at = cell.by_pair.find(pair);
  return at == cell.by_pair.end() ? nullptr : &at->second;
}

std::string figure(const Cell& cell, const std::string& pair) {
  const Goodput* g = find(cell, pair);
  if (g == nullptr) return "-";
  char text[32];
  std::snprintf(text, sizeof text, g->mean < 10 ? "%.2f%s" : "%.1f%s", g->mean, g->sound ? "" : "!");
  return text;
}

std::string ratio(const Cell& cell, const std::string& pair) {
  const Goodput *g = find(cell, pair), *k = find(cell, "kk");
  if (g == nullptr || k == nullptr || k->mean == 0) return "-";
  char text[32];
  std::snprintf(text, sizeof text, "%.2f", g->mean / k->mean);
  return text;
}

}  // namespace

std::vector<Cell> measure_matrix(const Options& o, bool kernel) {
  std::vector<Cell> cells;
  for (const double loss : o.loss)
    for (const double delay : o.round_trip)
      for (const double reorder : o.reorder) cells.push_back({loss, delay, reorder, {}});
  const unsigned processors = std::max(1u, std::thread::hardware_concurrency());
  measure(o, cells, false, processors);
  if (kernel) measure(o, cells, true, o.parallel != 0 ? o.parallel : processors);
  return cells;
}

void print_matrix(const Options& o, const std::vector<Cell>& cells) {
  const char* format = o.markdown ? "| %6s | %9s | %9s | %9s | %9s | %9s | %9s | %7s | %7s | %7s |\n"
                                  : "%6s %9s %9s  %9s %9s %9s %9s  %7s %7s %7s\n";
  const auto row = [&](auto... column) { std::printf(format, column...); };
  row("loss %", "delay ms", "reorder %", "H to H", "H to K", "K to H", "K to K", "HH/KK", "HK/KK", "KH/KK");
  if (o.markdown) row("---:", "---:", "---:", "---:", "---:", "---:", "---:", "---:", "---:", "---:");
  for (const Cell& cell : cells) {
    char loss[16], delay[16], reorder[16];
    std::snprintf(loss, sizeof loss, "%g", cell.loss);
    std::snprintf(delay, sizeof delay, "%g", cell.round_trip_ms);
    std::snprintf(reorder, sizeof reorder, "%g", cell.reorder);
    row(loss, delay, reorder, figure(cell, "hh").c_str(), figure(cell, "hk").c_str(),
        figure(cell, "kh").c_str(), figure(cell, "kk").c_str(), ratio(cell, "hh").c_str(),
        ratio(cell, "hk").c_str(), ratio(cell, "kh").c_str());
  }
  const bool unsound = std::ranges::any_of(cells, [](const Cell& c) {
    return std::ranges::any_of(c.by_pair, [](const auto& g) { return !g.second.sound; });
  });
  if (unsound)
    std::printf("\n!: the emulator was late in all of %d attempts (p99 over 0.5 ms, or a frame over 20 ms)\n",
                max_attempts);
}

double worst_of(const std::vector<Cell>& cells) {
  double worst = std::numeric_limits<double>::infinity();
  for (const Cell& cell : cells)
    for (const auto& [pair, goodput] : cell.by_pair) worst = std::min(worst, goodput.mean);
  return worst;
}

void write_matrix(const Options& o, const std::vector<Cell>& cells) {
  std::FILE* file = std::fopen(o.json.c_str(), "w");
  if (file == nullptr) throw std::runtime_error("cannot write " + o.json);
  std::fprintf(file,
               "{\"mbit_per_second\": %g, \"queue_bytes\": %zu, \"mark_above_bytes\": %zu, "
               "\"reorder_by_ms\": %g, \"congestion\": \"%s\", "
               "\"kernel_congestion\": \"%s\", \"ecn\": %s, \"seed\": %llu,\n \"cells\": [",
               static_cast<double>(o.path.bits_per_second) / 1e6, o.path.queue_bytes, o.path.mark_above_bytes,
               static_cast<double>(o.path.reorder_by.count()) / 1e6, o.stack_congestion.c_str(),
               o.kernel.congestion.c_str(), o.stack.ecn ? "true" : "false",
               static_cast<unsigned long long>(o.seed));
  const char* between = "\n";
  for (const Cell& cell : cells) {
    std::fprintf(file, "%s  {\"loss\": %g, \"delay_ms\": %g, \"reorder\": %g", between, cell.loss,
                 cell.round_trip_ms, cell.reorder);
    for (const auto& [pair, g] : cell.by_pair)
      std::fprintf(file,
                   ",\n   \"%s\": {\"mbit\": %.4f, \"least\": %.4f, \"most\": %.4f, \"retransmits\": %.1f, "
                   "\"queue_full\": %llu, \"lost\": %llu, "
                   "\"late_p99_us\": %.1f, \"late_most_us\": %.1f, \"attempts\": %d, \"sound\": %s}",
                   pair.c_str(), g.mean, g.least, g.most, g.retransmits,
                   static_cast<unsigned long long>(g.queue_full), static_cast<unsigned long long>(g.lost),
                   g.late_p99_us, g.late_most_us, g.attempts, g.sound ? "true" : "false");
    std::fprintf(file, "}");
    between = ",\n";
  }
  std::fprintf(file, "\n ]}\n");
  if (std::fclose(file) != 0) throw std::runtime_error("cannot write " + o.json);
}

}  // namespace handfast::paths
