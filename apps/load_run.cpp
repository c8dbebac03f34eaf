// SPDX-License-Identifier: BSD-3-Clause
// Around a load test: who ticks it, how large its tables are, whether it succeeded. Layer: apps.
#include "load_run.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>

#include "common/duration_text.hpp"
#include "load_monitor.hpp"
#include "signals.hpp"
#include "stack_options.hpp"

namespace handfast::apps {

std::vector<Core*> cores_of(Stack& stack) {
  std::vector<Core*> cores;
  for (std::uint16_t i = 0; i < stack.cores(); ++i) cores.push_back(&stack.core(i));
  return cores;
}

RunOptions load_run_options(LoadMonitor& monitor, Stack& stack, const SignalFlag& signals) {
  RunOptions options;
  options.handle_signals = false;  // the connections that are open play to their end first
  options.tick_every = 10ms;
  options.tick = [&monitor, &stack, &signals, cores = cores_of(stack)] {
    if (signals.seen()) monitor.interrupt();
    return monitor.tick(stack.now(), cores);
  };
  return options;
}

void size_tables_for(const LoadPlan& plan, bool connections_given, StackConfig& config) {
  Limits& limits = config.core.limits;
  limits.state_bytes = sizeof(LoadClient::State);
  if (connections_given) return;
  // An open loop goes on opening while the server stalls; a closed one needs what it keeps going, and some
  // for those that end in the same poll.
  constexpr std::uint64_t spare = 1024, open_loop = 1 << 18;
  const std::uint64_t wanted = plan.open_loop() ? open_loop : plan.concurrency / config.cores + spare;
  limits.connections = static_cast<std::uint32_t>(std::max<std::uint64_t>(limits.connections, wanted));
}

int verdict(const LoadReport& report, const LoadMonitor& monitor) {
  if (const auto error = monitor.error()) return handfast::report(*error);
  if (report.closed != 0 || report.requests != 0) return 0;
  std::string why;
  for (const auto& [cause, count] : report.failed)
    why += fmt::format("{}{} {}", why.empty() ? ": " : ", ", count_text(count), cause);
  const std::string_view remedy =
      monitor.unresolved()
          ? "Nobody answers ARP for the target or the gateway: check --dev, --address and --gateway"
          : "Check that the target listens, and that nothing between drops segments";
  fmt::print(stderr, "handfast: no connection succeeded{}. {}.\n", why, remedy);
  return exit_nothing_succeeded;
}

}  // namespace handfast::apps
