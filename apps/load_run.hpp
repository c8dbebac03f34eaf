// SPDX-License-Identifier: BSD-3-Clause
// What `load` and `demo` have in common around a LoadMonitor. Layer: apps.
#pragma once

#include <vector>

#include "common/report.hpp"
#include "handfast/stack.hpp"
#include "load_plan.hpp"

namespace handfast::apps {

class LoadMonitor;
class SignalFlag;

[[nodiscard]] std::vector<Core*> cores_of(Stack& stack);

/// Ticks the monitor; a signal interrupts the test, and the connections that are open play to their end. All
/// three outlive the options.
[[nodiscard]] RunOptions load_run_options(LoadMonitor& monitor, Stack& stack, const SignalFlag& signals);

/// Enough connections for the plan, unless the user said how many.
void size_tables_for(const LoadPlan& plan, bool connections_given, StackConfig& config);

/// The exit code; says why when nothing succeeded.
[[nodiscard]] int verdict(const LoadReport& report, const LoadMonitor& monitor);

}  // namespace handfast::apps
