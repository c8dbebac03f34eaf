// SPDX-License-Identifier: BSD-3-Clause
// Lines by the second and the sum at the end. Layer: apps.
#include "load_monitor.hpp"

#include <algorithm>
#include <string>

namespace handfast::apps {
namespace {

std::uint64_t failures(const LoadCounters& counters) {
  std::uint64_t sum = 0;
  for (const std::uint64_t n : counters.failed) sum += n;
  return sum;
}

}  // namespace

LoadMonitor::LoadMonitor(const LoadPlan& plan, std::uint16_t cores, std::FILE* out)
    : out_(out), watched_(cores) {
  for (std::uint16_t i = 0; i < cores; ++i)
    clients_.push_back(std::make_unique<LoadClient>(plan.share(i, cores)));
  total_.open_loop = plan.open_loop();
  total_.target_rate = plan.rate;
}

LoadPhase LoadMonitor::slowest_phase() const {
  LoadPhase slowest = LoadPhase::done;
  for (const auto& client : clients_) slowest = std::min(slowest, client->phase());
  return slowest;
}

bool LoadMonitor::tick(Time now, const std::vector<Core*>& cores) {
  const LoadPhase phase = slowest_phase();
  if (interrupted_) stop_all(cores);
  if (phase == LoadPhase::done) {
    // The last second, or most of it, gets its line too.
    if (!started_ || now - last_line_ < 500ms) return false;
    if (!collect(cores)) return true;
    print_line(now);
    return false;
  }
  if (phase == LoadPhase::resolving) return true;
  if (!started_) {
    started_ = true;
    began_ = last_line_ = now;
    next_line_ = now + 1s;
    if (out_ != nullptr) std::fprintf(out_, "%s\n", second_header().c_str());
  }
  if (phase == LoadPhase::closing) {
    if (!closing_) closing_since_ = now;
    closing_ = true;
    if (now - closing_since_ >= grace) return false;
  }
  if (now >= next_line_ && collect(cores)) {
    print_line(now);
    next_line_ += 1s;
  }
  return true;
}

void LoadMonitor::stop_all(const std::vector<Core*>& cores) {
  // A post that finds the ring full is tried again with the next tick.
  for (std::size_t i = 0; i < cores.size(); ++i)
    if (!watched_[i].stopped)
      watched_[i].stopped =
          cores[i]->post([](void* client) { static_cast<LoadClient*>(client)->stop(); }, clients_[i].get());
}

/// Asks each core for its figures, once; true when all have answered.
bool LoadMonitor::collect(const std::vector<Core*>& cores) {
  using Ask = Watched::Ask;
  bool all = true;
  for (std::size_t i = 0; i < cores.size(); ++i) {
    Watched& w = watched_[i];
    if (w.ask == Ask::none &&
        cores[i]->post([](void* client) { static_cast<LoadClient*>(client)->publish(); }, clients_[i].get()))
      w.ask = Ask::posted;
    if (w.ask == Ask::posted) {
      if (const LoadSample* sample = clients_[i]->take()) {
        absorb(i, *sample);
        w.ask = Ask::answered;
      }
    }
    all &= w.ask == Ask::answered;
  }
  if (all)
    for (Watched& w : watched_) w.ask = Ask::none;
  return all;
}

void LoadMonitor::absorb(std::size_t index, const LoadSample& sample) {
  watched_[index].counters = sample.counters;
  watched_[index].core = sample.core;
  watched_[index].open_now = sample.open_now;
  second_.merge(sample.connect);
  total_.life.merge(sample.life);
}

void LoadMonitor::print_line(Time now) {
  SecondSample line;  // totals
  for (const Watched& w : watched_) {
    line.established += w.counters.established;
    line.open_now += w.open_now;
    line.failed += failures(w.counters);
    line.retransmits += w.core.retransmits;
  }
  SecondSample shown = line;
  shown.at = now - began_;
  shown.span = now - last_line_;
  shown.established -= last_.established;
  shown.failed -= last_.failed;
  shown.retransmits -= last_.retransmits;
  shown.connect_p50 = second_.percentile(50);
  shown.connect_p99 = second_.percentile(99);
  if (out_ != nullptr) {
    std::fprintf(out_, "%s\n", second_line(shown).c_str());
    std::fflush(out_);
  }
  total_.connect.merge(second_);
  second_.reset();
  last_ = line;
  last_line_ = now;
}

LoadReport LoadMonitor::report(const std::vector<Core*>& cores) {
  for (std::size_t i = 0; i < clients_.size(); ++i) {
    // What is under way, and then what has gathered since: nobody else runs any more.
    if (const LoadSample* sample = clients_[i]->take()) absorb(i, *sample);
    clients_[i]->publish();
    absorb(i, *clients_[i]->take());
    const Watched& w = watched_[i];
    const LoadCounters& counters = w.counters;
    total_.duration = std::max(total_.duration, clients_[i]->ran_for());
    total_.opened += counters.opened;
    total_.established += counters.established;
    total_.closed += counters.closed;
    total_.requests += counters.requests;
    total_.not_ok += counters.not_ok;
    total_.not_started += counters.not_started;
    total_.bytes_in += counters.bytes_in;
    total_.bytes_out += counters.bytes_out;
    for (std::size_t cause = 0; cause < cause_count; ++cause)
      if (counters.failed[cause] != 0)
        total_.failed[std::string{cause_name(cause)}] += counters.failed[cause];
    // Not even the drain ended them: what becomes of them nobody will know.
    if (w.open_now != 0) total_.failed["left_open"] += w.open_now;
    add_stats(total_, cores[i]->stats());
  }
  total_.connect.merge(second_);
  second_.reset();
  return total_;
}

void LoadMonitor::add_stats(LoadReport& report, const CoreStats& stats) {
  report.retransmits += stats.retransmits;
  report.time_wait_cut_short += stats.time_wait_cut_short;
  for (std::size_t i = 0; i < drop_count; ++i)
    if (stats.drops[i] != 0) report.dropped[std::string{name(static_cast<Drop>(i))}] += stats.drops[i];
}

bool LoadMonitor::unresolved() const {
  return std::ranges::any_of(clients_, [](const auto& client) { return client->unresolved(); });
}

std::optional<Error> LoadMonitor::error() const {
  for (const auto& client : clients_)
    if (client->error()) return client->error();
  return std::nullopt;
}

}  // namespace handfast::apps
