// SPDX-License-Identifier: BSD-3-Clause
// paths-bench: what a bulk transfer gets over links that lose, delay and reorder, beside what the kernel gets
// over the same links; how two flows share a bottleneck; and what an exchange of 64 bytes takes. Layer:
// bench. `--help` for the options.
#include <cstdio>
#include <cstring>
#include <exception>
#include <limits>
#include <stdexcept>

#include "fairness.hpp"
#include "latency.hpp"
#include "matrix.hpp"

namespace {

using namespace handfast::paths;

bool needs_kernel(const Options& o) {
  if (o.what != What::matrix) return true;
  for (const std::string& pair : o.pairs)
    if (pair != "hh") return true;
  return false;
}

int measure(const Options& o) {
  bool kernel = needs_kernel(o);
  if (kernel)
    if (const auto why = why_no_kernel_host()) {
      std::fprintf(stderr,
                   "Without the kernel's ends, since this process cannot make them (%s): run as root, or "
                   "under `unshare -Ur`.\n",
                   why->c_str());
      kernel = false;
    }
  switch (o.what) {
    case What::matrix: {
      const auto cells = measure_matrix(o, kernel);
      print_matrix(o, cells);
      if (!o.json.empty()) write_matrix(o, cells);
      if (worst_of(cells) == std::numeric_limits<double>::infinity()) return 3;  // nothing could be measured
      return worst_of(cells) >= o.at_least ? 0 : 1;
    }
    case What::fairness:
      measure_fairness(o, kernel);
      return 0;
    case What::latency:
      if (!kernel) return 3;
      measure_latency(o);
      return 0;
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  for (int i = 1; i < argc; ++i)
    if (std::strcmp(argv[i], "--help") == 0) {
      std::fputs(usage(), stdout);
      return 0;
    }
  try {
    return measure(parse_options(argc, argv));
  } catch (const std::invalid_argument& e) {
    std::fprintf(stderr, "%s.\n%s", e.what(), usage());
    return 2;
  } catch (const std::exception& e) {
    std::fprintf(stderr, "%s.\n", e.what());
    return 3;
  }
}
