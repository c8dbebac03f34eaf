// SPDX-License-Identifier: BSD-3-Clause
// The words of a load test, and the plan that they make. Layer: apps. Starts nothing.
#pragma once

#include <string>

#include "load_plan.hpp"
#include "stack_options.hpp"

namespace handfast::apps {

struct LoadOptions {
  Endpoint target;
  std::uint64_t rate = 0;
  std::uint64_t concurrency = 0;  // 0: not given
  std::uint64_t count = LoadPlan::unlimited;
  std::uint32_t requests = 1;
  std::string request = "/";  // a path, or so many bytes
  std::uint64_t answer = LoadPlan::unlimited;
  std::string who_closes = "client";
  std::string how = "fin";
  Duration duration = Duration::min();  // not given
  std::string json;

  static constexpr std::uint64_t default_concurrency = 256;
  static constexpr std::uint64_t most_request_bytes = 64 << 20;

  void add_to(CLI::App& app);
};

/// The bytes of the requests that a plan refers to.
struct LoadTexts {
  std::string request, last_request;
};

/// What is wrong with the words together, or the plan. `texts` outlives it.
[[nodiscard]] Expected<LoadPlan> make_plan(const LoadOptions& options, LoadTexts& texts);

}  // namespace handfast::apps
