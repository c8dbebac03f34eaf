// SPDX-License-Identifier: BSD-3-Clause
// One measurement; see run.hpp. Layer: bench.
#include "run.hpp"

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <thread>

namespace handfast::paths {
namespace {

constexpr Duration late_p99 = 500us,
                   late_most = 20ms;  // beyond: the machine was too busy, the figure is its, not TCP's
constexpr Duration open_limit = 10s;
constexpr std::size_t full_frame = 1514, least_queue_frames = 100;

MacAddress mac_of(Side side, std::uint8_t n) {
  return {{2, 0, 0, 0, static_cast<std::uint8_t>(side == Side::left ? 1 : 2), n}};
}
Ipv4Address address_of(Side side, std::uint8_t n) {
  return {10, 0, 0, static_cast<std::uint8_t>((side == Side::left ? 1 : 101) + n)};
}

Host& add_host(World& world, Side side, std::uint8_t n, Kind kind, const Flow& flow, std::uint64_t seed) {
  const auto address = address_of(side, n);
  const auto mac = mac_of(side, n);
  if (kind == Kind::kernel) return world.add(side, std::make_unique<KernelHost>(address, mac, flow.kernel));
  return world.add(side, std::make_unique<StackHost>(address, mac, seed, world.now(), flow.stack));
}

struct Running {
  Host* sender = nullptr;
  Host* receiver = nullptr;
  std::unique_ptr<Received> received = std::make_unique<Received>();
  std::uint64_t at_start = 0;
};

}  // namespace

bool RunPlan::real_time() const {
  return std::ranges::any_of(
      flows, [](const Flow& f) { return f.sender == Kind::kernel || f.receiver == Kind::kernel; });
}

bool RunResult::is_sound() const {
  return started && device_drops == 0 && lateness.p99 <= late_p99 && lateness.most <= late_most;
}

emulator::Rules clean_rules_of(const PathSetup& path) {
  emulator::Rules rules;
  rules.bits_per_second = path.bits_per_second;
  rules.delay = path.round_trip / 2;
  const double product =
      static_cast<double>(path.bits_per_second) / 8e9 * static_cast<double>(path.round_trip.count());
  rules.queue_bytes = path.queue_bytes != 0
                          ? path.queue_bytes
                          : std::max(static_cast<std::size_t>(product), least_queue_frames * full_frame);
  if (path.mark_above_bytes != 0) rules.mark_above_bytes = path.mark_above_bytes;
  return rules;
}

emulator::Rules rules_of(const PathSetup& path) {
  emulator::Rules rules = clean_rules_of(path);
  rules.loss = path.loss;
  rules.reorder = path.reorder;
  rules.reorder_by = path.reorder_by;
  return rules;
}

RunResult run_once(const RunPlan& plan) {
  RunResult result;
  std::vector<Running> flows(plan.flows.size());  // before the world: its hosts count into it
  World world{plan.seed * 1000, plan.real_time()};
  const emulator::Rules clean = clean_rules_of(plan.path);
  for (const Side side : {Side::left, Side::right}) world.set_rules(side, clean);
  for (std::size_t i = 0; i < flows.size(); ++i) {
    const auto n = static_cast<std::uint8_t>(i);
    flows[i].sender =
        &add_host(world, Side::left, n, plan.flows[i].sender, plan.flows[i], plan.seed * 100 + 2 * i);
    flows[i].receiver =
        &add_host(world, Side::right, n, plan.flows[i].receiver, plan.flows[i], plan.seed * 100 + 2 * i + 1);
    flows[i].receiver->sink(5000, *flows[i].received);
  }
  for (std::size_t i = 0; i < flows.size(); ++i) {
    if (i != 0) world.run_for(plan.stagger);
    flows[i].sender->source({flows[i].receiver->address(), 5000});
    result.started = result.started && world.run_until([&] { return flows[i].received->open; }, open_limit);
  }
  for (const Side side : {Side::left, Side::right}) world.set_rules(side, rules_of(plan.path));
  for (Running& flow : flows) flow.at_start = flow.received->bytes;
  (void)world.take_lateness();
  const Time start = world.now();
  world.run_for(plan.length);
  const double seconds = std::chrono::duration<double>(world.now() - start).count();
  result.lateness = world.take_lateness();
  for (const Running& flow : flows) {
    result.flows.push_back({static_cast<double>(flow.received->bytes - flow.at_start) * 8 / 1e6 / seconds,
                            flow.sender->retransmits()});
    for (const Host* host : {flow.sender, flow.receiver})
      if (const auto* kernel = dynamic_cast<const KernelHost*>(host))
        result.device_drops += kernel->device_drops();
  }
  const emulator::Counts& counts = world.counts(Side::left);
  result.lost = counts.lost;
  result.queue_full = counts.queue_full;
  result.marked = counts.marked;
  return result;
}

RunResult run(const RunPlan& plan) {
  RunResult best = run_once(plan);
  for (int attempt = 2; attempt <= max_attempts && plan.real_time() && !best.is_sound(); ++attempt) {
    RunResult again = run_once(plan);
    if (again.is_sound() || again.lateness.p99 < best.lateness.p99) best = std::move(again);
    best.attempts = attempt;
  }
  return best;
}

std::vector<RunResult> run_all(const std::vector<RunPlan>& plans, unsigned at_a_time,
                               const std::function<void(std::size_t)>& done) {
  std::vector<RunResult> results(plans.size());
  std::atomic<std::size_t> next{0};
  std::exception_ptr error;
  std::mutex mutex;
  const auto work = [&] {
    try {
      bool prompt = false;
      for (std::size_t i; (i = next++) < plans.size();) {
        if (plans[i].real_time() && !prompt) {
          be_prompt();
          prompt = true;
        }
        results[i] = run(plans[i]);
        const std::lock_guard lock{mutex};
        done(i);
      }
    } catch (...) {
      const std::lock_guard lock{mutex};
      if (!error) error = std::current_exception();
      next = plans.size();
    }
  };
  std::vector<std::thread> threads;
  for (unsigned i = 0; i < std::max(1u, at_a_time); ++i) threads.emplace_back(work);
  for (std::thread& thread : threads) thread.join();
  if (error) std::rethrow_exception(error);
  return results;
}

}  // namespace handfast::paths
