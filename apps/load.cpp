// SPDX-License-Identifier: BSD-3-Clause
// `handfast load`: a load test of a server on the other side of a port. Layer: apps.
#include <fmt/format.h>

#include <fstream>

#include "commands.hpp"
#include "common/cpu_wait.hpp"
#include "common/duration_text.hpp"
#include "load_monitor.hpp"
#include "load_options.hpp"
#include "load_run.hpp"
#include "signals.hpp"

namespace handfast::apps {

namespace {

class Load final : public Command {
 public:
  explicit Load(CLI::App& app) : Command(app) { options_.add_to(app); }

  int run(StackConfig config) override {
    LoadTexts texts;
    const auto plan = make_plan(options_, texts);
    if (!plan) return report(plan.error());
    std::ofstream json;
    if (!options_.json.empty()) {
      json.open(options_.json);  // now, and not after an hour's test
      if (!json)
        return report({ErrorKind::environment, "\"" + options_.json + "\" cannot be written",
                       "Name a file that can, after --json"});
    }
    size_tables_for(*plan, stack_option_given("--connections"), config);
    LoadMonitor monitor{*plan, config.cores,
                        stdout};  // before the stack: connections call its clients to the last
    auto stack = Stack::create(config);
    if (!stack) return report(stack.error());
    announce(*plan, **stack);
    const SignalFlag signals;
    const CpuWait waiting;
    const Time began = (*stack)->now();
    const int code = (*stack)->run(Stack::Setup{[&](Core& core) { return monitor.start(core); }},
                                   load_run_options(monitor, **stack, signals));
    if (code != 0) return code;
    const std::string remark = cpu_wait_remark(waiting.longest(), (*stack)->now() - began);
    const LoadReport result = monitor.report(cores_of(**stack));
    fmt::print("\n{}{}", result.to_text(), remark);
    std::fflush(stdout);
    if (json.is_open()) {
      json << result.to_json();
      if (!json.flush())
        return report(
            {ErrorKind::environment, "\"" + options_.json + "\" could not be written", "Make room for it"});
    }
    return verdict(result, monitor);
  }

 private:
  void announce(const LoadPlan& plan, const Stack& stack) const {
    fmt::print("load: {} to {}, {}\n",
               plan.open_loop() ? count_text(plan.rate) + " connections per second"
                                : count_text(plan.concurrency) + " connections at a time",
               plan.target.to_string(), stack.describe());
    std::fflush(stdout);
  }

  LoadOptions options_;
};

}  // namespace

std::unique_ptr<Command> add_load(CLI::App& program) {
  return std::make_unique<Load>(*program.add_subcommand("load", "A load test of a server")->fallthrough());
}

}  // namespace handfast::apps
