// SPDX-License-Identifier: BSD-3-Clause
// How long this process' threads wanted a processor and did not get one: what a measurement on a busy machine
// has to own up to. Layer: apps. Reads /proc; knows nothing of the stack.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "handfast/time.hpp"

namespace handfast::apps {

/// The second figure of a thread's schedstat: "run-ns wait-ns slices".
[[nodiscard]] std::optional<Duration> parse_schedstat_wait(std::string_view text);

/// A sentence with a line break, if a thread waited for more than a twentieth of the run; else empty.
[[nodiscard]] std::string cpu_wait_remark(Duration wait, Duration run);

/// From construction on.
class CpuWait {
 public:
  CpuWait() : at_start_(waits()) {}
  /// Of the thread that waited longest; zero where the kernel does not say.
  [[nodiscard]] Duration longest() const;

 private:
  [[nodiscard]] static std::map<std::string, Duration> waits();  // by the thread's number
  std::map<std::string, Duration> at_start_;
};

}  // namespace handfast::apps
