// SPDX-License-Identifier: BSD-3-Clause
// Stack: a port, a shard for each of its queues, and the threads that poll them. Layer: dpdk.
#include "handfast/stack.hpp"

#include <sys/random.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <mutex>
#include <new>

#include "dpdk/eal.hpp"
#include "dpdk/lcores.hpp"
#include "dpdk/port.hpp"
#include "dpdk/worker.hpp"

namespace handfast {
namespace {

using dpdk::Eal;

/// DPDK is started once for the process and stays until it ends.
Expected<Eal*> shared_eal(const dpdk::EalOptions& options) {
  static std::mutex mutex;
  static std::unique_ptr<Eal> eal;
  const std::lock_guard lock{mutex};
  if (eal == nullptr) {
    auto started = Eal::start(options);
    if (!started) return tl::unexpected(started.error());
    eal = std::make_unique<Eal>(std::move(*started));
  }
  return eal.get();
}

/// Fewer than of the usual size: each holds eight times as much.
constexpr std::uint32_t large_buffers_per_queue = 4096;

std::uint32_t memory_for(const StackConfig& config, std::uint32_t ports) {
  // Packet buffers, rings and DPDK's own: about 24 MiB a queue and a floor; large buffers are some 68. Tables are no part
  // of this.
  return 128 + (config.segmentation ? 112 : 48) * ports * config.cores;
}

dpdk::EalOptions eal_options(const StackConfig& config, unsigned threads, std::uint32_t ports) {
  dpdk::EalOptions options;
  options.cores = threads;
  options.memory_mib = memory_for(config, ports);
  options.telemetry = config.telemetry;
  options.extra = config.eal_args;
  return options;
}

std::uint64_t random_seed() {
  std::uint64_t seed = 0;
  while (getrandom(&seed, sizeof seed, 0) != sizeof seed) {
  }
  return seed;
}

dpdk::PortOptions port_options(const StackConfig& config) {
  dpdk::PortOptions options;
  options.queues = config.cores;
  options.mtu = config.core.link.mtu;
  options.segmentation = config.segmentation;
  if (config.segmentation) options.buffers_per_queue = large_buffers_per_queue;
  if (config.mac_given) options.mac = config.core.link.mac;
  return options;
}

std::atomic<int> signals_seen{0};
extern "C" void handfast_on_signal(int) { signals_seen.fetch_add(1, std::memory_order_relaxed); }

/// SIGINT and SIGTERM while a run lasts; what was there before comes back.
class SignalGuard {
 public:
  explicit SignalGuard(bool active) : active_(active) {
    if (!active_) return;
    signals_seen = 0;
    struct sigaction action {};
    action.sa_handler = handfast_on_signal;
    sigaction(SIGINT, &action, &old_int_);
    sigaction(SIGTERM, &action, &old_term_);
  }
  ~SignalGuard() {
    if (!active_) return;
    sigaction(SIGINT, &old_int_, nullptr);
    sigaction(SIGTERM, &old_term_, nullptr);
  }
  SignalGuard(const SignalGuard&) = delete;
  SignalGuard& operator=(const SignalGuard&) = delete;

 private:
  bool active_;
  struct sigaction old_int_ {};
  struct sigaction old_term_ {};
};

}  // namespace

struct Stack::Inside {
  Inside(StackConfig completed, dpdk::Port&& p) : config(std::move(completed)), port(std::move(p)) {}

  Expected<void> make_workers() {
    if (config.core.seed == 0) config.core.seed = random_seed();
    if (!config.mac_given) config.core.link.mac = port.mac();
    config.core.link.mtu = std::min(config.core.link.mtu, port.mtu());
    config.core.shard_count = config.cores;
    if (auto error = validate(config.core)) return tl::unexpected(*error);
    if (config.cores > 1) mesh = std::make_unique<shard::Mesh>(steering());
    try {
      for (std::uint16_t i = 0; i < config.cores; ++i) {
        config.core.shard = i;
        workers.push_back(std::make_unique<dpdk::Worker>(config.core, port, i, clock, mesh.get()));
      }
    } catch (const std::bad_alloc&) {
      return tl::unexpected(Error{ErrorKind::environment,
                                  "there is not enough memory for the tables of " +
                                      std::to_string(config.core.limits.connections) + " connections a core",
                                  "lower --connections or the other limits"});
    }
    config.core.shard = 0;
    return {};
  }

  [[nodiscard]] shard::Steering steering() const {
    const auto& rss = port.rss();
    if (!rss || !rss->ports || rss->key.size() < 40 || rss->reta.empty()) return {config.core.seed, config.cores};
    shard::RssTable table;
    std::copy_n(rss->key.begin(), table.key.size(), table.key.begin());
    table.indirection = rss->reta;
    return {std::move(table), config.cores};
  }

  StackConfig config;
  dpdk::Port port;
  dpdk::TscClock clock;
  std::unique_ptr<shard::Mesh> mesh;
  std::vector<std::unique_ptr<dpdk::Worker>> workers;
  std::atomic<bool> stop{false};
};

Stack::Stack(std::unique_ptr<Inside> inside) : inside_(std::move(inside)) {}
Stack::~Stack() {
  inside_->port.stop();
  inside_->workers.clear();
}

namespace {

/// What can be told before anything is started.
std::optional<Error> precheck(const StackConfig& config) {
  if (config.cores < 1 || config.cores > 64)
    return Error{ErrorKind::usage, "cores is " + std::to_string(config.cores), "give a number from 1 to 64"};
  CoreConfig core = config.core;
  core.shard_count = config.cores;
  return validate(core);
}

}  // namespace

Expected<std::unique_ptr<Stack>> Stack::create(const StackConfig& config) {
  if (auto error = precheck(config)) return tl::unexpected(*error);
  auto spec = dpdk::PortSpec::parse(config.dev);
  if (!spec) return tl::unexpected(spec.error());
  dpdk::EalOptions options = eal_options(config, config.cores, 1);
  if (spec->kind == dpdk::PortKind::pci) options.pci = {spec->target};
  auto eal = shared_eal(options);
  if (!eal) return tl::unexpected(eal.error());
  auto port = dpdk::Port::create(*spec, port_options(config));
  if (!port) return tl::unexpected(port.error());
  auto inside = std::make_unique<Inside>(config, std::move(*port));
  if (auto made = inside->make_workers(); !made) return tl::unexpected(made.error());
  return std::unique_ptr<Stack>(new Stack(std::move(inside)));
}

Expected<std::pair<std::unique_ptr<Stack>, std::unique_ptr<Stack>>> Stack::create_pair(const StackConfig& a,
                                                                                       const StackConfig& b,
                                                                                       bool share_core) {
  for (const StackConfig* config : {&a, &b})
    if (auto error = precheck(*config)) return tl::unexpected(*error);
  if (a.cores != b.cores)
    return tl::unexpected(Error{ErrorKind::usage,
                                "the two ends of a ring pair have different numbers of cores",
                                "give both the same"});
  auto eal = shared_eal(eal_options(a, share_core ? a.cores : 2u * a.cores, 2));
  if (!eal) return tl::unexpected(eal.error());
  dpdk::PortOptions options = port_options(a);
  options.mac.reset();
  auto ports = dpdk::make_ring_pair(options);
  if (!ports) return tl::unexpected(ports.error());
  auto first = std::make_unique<Inside>(a, std::move(ports->first));
  auto second = std::make_unique<Inside>(b, std::move(ports->second));
  for (Inside* inside : {first.get(), second.get()})
    if (auto made = inside->make_workers(); !made) return tl::unexpected(made.error());
  return std::pair{std::unique_ptr<Stack>(new Stack(std::move(first))),
                   std::unique_ptr<Stack>(new Stack(std::move(second)))};
}

std::uint16_t Stack::cores() const { return inside_->config.cores; }
Core& Stack::core(std::uint16_t index) { return inside_->workers[index]->core(); }
const StackConfig& Stack::config() const { return inside_->config; }
std::size_t Stack::poll(std::uint16_t index) { return inside_->workers[index]->poll(); }
Time Stack::now() const { return inside_->clock.now(); }
void Stack::stop() { inside_->stop.store(true, std::memory_order_relaxed); }

CoreStats Stack::stats() const {
  CoreStats sum;
  for (const auto& worker : inside_->workers) sum.add(worker->published());
  return sum;
}

std::vector<ConnInfo> Stack::connections() const {
  std::vector<ConnInfo> all;
  for (const auto& worker : inside_->workers) {
    const std::vector<ConnInfo> some = worker->core().connections();
    all.insert(all.end(), some.begin(), some.end());
  }
  return all;
}

std::string Stack::describe() const {
  const dpdk::PortTraits& traits = inside_->port.traits();
  const auto yes_no = [](bool yes) { return yes ? "port" : "software"; };
  return inside_->port.spec().to_string() + ", mac " + inside_->port.mac().to_string() + ", mtu " +
         std::to_string(inside_->config.core.link.mtu) + ", queues " + std::to_string(inside_->config.cores) +
         ", checksums out: " + yes_no((traits.tx_offloads & wire::tx_tcp_checksum) != 0) +
         ", in: " + yes_no(traits.rx_tcp_checksum) + ", steering: " + (inside_->port.rss() ? "RSS" : "hash");
}

int Stack::run(const Setup& setup, const RunOptions& options) {
  return run_together({{this, setup}}, options);
}

namespace {

struct Task {
  Stack* stack;
  std::uint16_t core;
  const Stack::Setup* setup;
  bool failed = false;
};

/// Everything that the threads of one run have in common.
struct Run {
  std::vector<Task> tasks;
  unsigned threads = 1;
  const RunOptions* options = nullptr;
  std::atomic<bool> stop{false};
  std::atomic<unsigned> ready{0};
  std::mutex mutex;
  std::optional<Error> error;

  [[nodiscard]] bool should_stop(const std::vector<Stack*>& stacks, bool (*stopped)(const Stack&)) const {
    if (stop.load(std::memory_order_relaxed)) return true;
    if (options->handle_signals && signals_seen.load(std::memory_order_relaxed) != 0) return true;
    return std::ranges::any_of(stacks, [&](Stack* stack) { return stopped(*stack); });
  }
  void fail(const Error& e) {
    const std::lock_guard lock{mutex};
    if (!error) error = e;
    stop = true;
  }
};

/// Polls the tasks of one thread until all their connections are gone, by FIN while there is time, then by
/// RST.
void drain(Run& run, std::vector<Task*>& mine, const dpdk::CoreSlot& slot) {
  const auto deadline = mine.front()->stack->now() + run.options->drain_limit;
  const auto hard_deadline = deadline + 500ms;
  bool aborted = false;
  for (;;) {
    bool empty = true;
    for (Task* task : mine) empty &= task->stack->core(task->core).drain();
    std::size_t work = 0;
    for (Task* task : mine) work += task->stack->poll(task->core);
    const Time now = mine.front()->stack->now();
    const bool impatient = run.options->handle_signals && signals_seen.load(std::memory_order_relaxed) > 1;
    if (!aborted && (now >= deadline || impatient)) {
      for (Task* task : mine) task->stack->core(task->core).abort_all();
      aborted = true;
    }
    if ((empty && work == 0) || now >= hard_deadline) break;
    if (work == 0) dpdk::idle(slot);
  }
}

}  // namespace

int Stack::run_together(const std::vector<Part>& parts, const RunOptions& options) {
  Run run;
  run.options = &options;
  std::vector<Stack*> stacks;
  for (const Part& part : parts) {
    stacks.push_back(part.stack);
    part.stack->inside_->stop = false;
    for (std::uint16_t i = 0; i < part.stack->cores(); ++i) run.tasks.push_back({part.stack, i, &part.setup});
  }
  const auto available = static_cast<unsigned>(dpdk::core_slots().size());
  run.threads = std::min(available, static_cast<unsigned>(run.tasks.size()));
  const SignalGuard signals{options.handle_signals};
  const auto stopped = [](const Stack& stack) { return stack.inside_->stop.load(std::memory_order_relaxed); };

  const auto body = [&](const dpdk::CoreSlot& slot) {
    std::vector<Task*> mine;
    for (std::size_t i = slot.index; i < run.tasks.size(); i += run.threads) mine.push_back(&run.tasks[i]);
    for (Task* task : mine) {
      auto done = (*task->setup)(task->stack->core(task->core));
      if (!done) run.fail(done.error());
    }
    Time next_tick = stacks.front()->now() + options.tick_every;
    while (!run.should_stop(stacks, stopped)) {
      std::size_t work = 0;
      for (Task* task : mine) work += task->stack->poll(task->core);
      if (work == 0) dpdk::idle(slot);
      if (slot.index != 0 || !options.tick || stacks.front()->now() < next_tick) continue;
      if (!options.tick()) run.stop = true;
      next_tick += options.tick_every;
    }
    drain(run, mine, slot);
    for (Task* task : mine) task->stack->inside_->workers[task->core]->publish();
  };
  auto ran = dpdk::run_on_cores(run.threads, body);
  if (!ran) return report(ran.error());
  return run.error ? report(*run.error) : 0;
}

int report(const Error& error) {
  std::fprintf(stderr, "handfast: %s. %s.\n", error.what.c_str(), error.remedy.c_str());
  return error.kind == ErrorKind::usage ? 2 : 3;
}

}  // namespace handfast
