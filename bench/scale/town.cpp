// SPDX-License-Identifier: BSD-3-Clause
// The phases; see town.hpp. Layer: bench.
#include "town.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "common/cpu_time.hpp"
#include "common/process_memory.hpp"

namespace handfast::bench {
namespace {

constexpr Ipv4Address server_address{10, 0, 0, 1};
constexpr Port port = 80;
constexpr std::uint32_t by_address = 60'000, spare = 1024;
/// As many at once as the port's buffers can answer.
constexpr std::uint32_t at_once = 64, most_under_way = 1024;

StackConfig side(const TownOptions& options, bool server) {
  StackConfig config;
  CoreConfig& core = config.core;
  core.link.address = {server ? server_address : Ipv4Address{10, 0, 1, 0}, 16};
  core.link.address_count = server ? 1 : 1 + options.connections / by_address;
  core.limits.connections = options.connections + spare;
  core.limits.half_open = core.limits.somaxconn = 2 * most_under_way;
  core.limits.time_wait = std::min(options.connections, options.time_wait);
  core.limits.state_bytes = 0;  // what stays has none
  core.limits.prefault = options.prefault;
  // One end asks, the other answers: what both would say to each other is half in vain.
  core.tcp.keepalive = !server;
  core.tcp.keepalive_idle = options.keep_alive;
  core.tcp.keepalive_interval = 10s;
  return config;
}

template <class T>
T or_exit(Expected<T> value) {
  if (!value) std::exit(report(value.error()));
  return std::move(*value);
}

Duration to_duration(double seconds) { return std::chrono::duration_cast<Duration>(std::chrono::duration<double>(seconds)); }

}  // namespace

Town::Town(const TownOptions& options) : options_(options) {
  const double start = thread_cpu_seconds();
  auto pair = or_exit(Stack::create_pair(side(options, true), side(options, false), true));
  start_seconds_ = thread_cpu_seconds() - start;
  server_ = std::move(pair.first);
  client_ = std::move(pair.second);
  (void)or_exit(server_->core(0).listen({any, port}, Resident{}, {.backlog = 2 * most_under_way}));
  visitor_ = or_exit(client_->core(0).add_handler(Visitor{&counts_}));
  ids_.reserve(options.connections);
  while (!client_->core(0).resolve(server_address)) {
    server_->poll(0);
    client_->poll(0);
  }
  resident_at_start_ = resident_bytes();
}

template <class Work, class Done>
Phase Town::run(Work&& work, Done&& done) {
  Phase phase;
  const Time start = client_->now();
  Time last = start;
  double last_cpu = thread_cpu_seconds();
  std::uint64_t last_faults = thread_page_faults();
  while (!done()) {
    work();
    server_->poll(0);
    client_->poll(0);
    const Time now = client_->now();
    const double cpu = thread_cpu_seconds();
    const std::uint64_t faults = thread_page_faults();
    phase.longest_gap = std::max(phase.longest_gap, now - last);
    if (const Duration took = to_duration(cpu - last_cpu); took > phase.longest_work) {
      phase.longest_work = took;
      phase.faults = faults - last_faults;
    }
    last = now;
    last_cpu = cpu;
    last_faults = faults;
  }
  phase.seconds = std::chrono::duration<double>(last - start).count();
  const auto lag = std::max(client_->core(0).stats().timer_lag_max_ns, server_->core(0).stats().timer_lag_max_ns);
  phase.timer_lag = Duration{static_cast<std::int64_t>(lag)};
  phase.resident_bytes = resident_bytes();
  return phase;
}

Phase Town::open() {
  Phase phase = run(
      [this] {
        for (std::uint32_t i = 0; i < at_once && ids_.size() < options_.connections; ++i) {
          if (ids_.size() - counts_.established >= most_under_way) return;
          ids_.push_back(or_exit(client_->core(0).connect({server_address, port}, visitor_)));
        }
      },
      [this] { return counts_.established + counts_.lost >= options_.connections; });
  phase.done = counts_.established;
  return phase;
}

Phase Town::keep() {
  const std::uint64_t before = client_->core(0).stats().keepalive_probes;
  const Time end = client_->now() + 2 * options_.keep_alive + 10s;
  const auto probes = [this, before] { return client_->core(0).stats().keepalive_probes - before; };
  Phase phase = run([] {}, [&] { return probes() >= options_.connections || client_->now() > end; });
  phase.done = probes();
  return phase;
}

Phase Town::close() {
  std::size_t next = 0;
  Phase phase = run(
      [&] {
        for (std::uint32_t i = 0; i < at_once && next < ids_.size(); ++i) {
          if (next - counts_.closed >= most_under_way) return;
          if (auto c = client_->core(0).find(ids_[next++])) c->close();
        }
      },
      [this] { return counts_.closed + counts_.lost >= options_.connections; });
  phase.done = counts_.closed;
  return phase;
}

}  // namespace handfast::bench
