// SPDX-License-Identifier: BSD-3-Clause
// From a failing seed to a smaller run that fails the same way: fewer connections, less time, fewer faults.
// Layer: simulator; see runner.hpp.
#include <chrono>

#include "sim/runner.hpp"

namespace handfast::sim {
namespace {

constexpr auto most_time = std::chrono::seconds{60};  // real

std::string kind_of(const std::string& failure) { return failure.substr(0, failure.find(' ')); }

class Shrinker {
 public:
  Shrinker(std::uint64_t seed, const Choice& choice, bool blind, const std::string& failure)
      : seed_(seed), best_(choice), blind_(blind), kind_(kind_of(failure)) {}

  Choice run() {
    bool better = true;
    while (better && !is_late()) {
      better = fewer_connections();
      better = less_time() || better;
      better = fewer_faults() || better;
      Choice single = best_;
      single.single = true;
      better = (!best_.single && try_one(single)) || better;
    }
    return best_;
  }

 private:
  [[nodiscard]] bool is_late() const { return std::chrono::steady_clock::now() > end_; }
  bool try_one(const Choice& choice) {
    if (is_late() || kind_of(failure_apart(seed_, choice, blind_)) != kind_) return false;
    best_ = choice;
    return true;
  }
  bool fewer_connections() {
    bool better = false;
    for (unsigned i = 0; i < 16; ++i) {
      Choice fewer = best_;
      fewer.connections &= 0xffff & ~(1u << i);
      if (fewer.connections != best_.connections && fewer.connections != 0) better = try_one(fewer) || better;
    }
    return better;
  }
  bool less_time() {
    bool better = false;
    for (;;) {
      Choice shorter = best_;
      shorter.chaos = draw_plan(seed_, best_).chaos / 2;
      if (*shorter.chaos < 1ms || !try_one(shorter)) return better;
      better = true;
    }
  }
  bool fewer_faults() {
    bool better = false;
    const std::uint32_t faults = draw_plan(seed_, best_).faults;
    if (best_.force) return false;
    for (unsigned f = 0; f < fault_count; ++f) {
      if ((faults >> f & 1) == 0) continue;
      Choice fewer = best_;
      fewer.without = 0;
      fewer.only = draw_plan(seed_, best_).faults & ~(1u << f);
      better = try_one(fewer) || better;
    }
    return better;
  }

  std::uint64_t seed_;
  Choice best_;
  bool blind_;
  std::string kind_;
  std::chrono::steady_clock::time_point end_ = std::chrono::steady_clock::now() + most_time;
};

}  // namespace

Choice shrink(std::uint64_t seed, const Choice& choice, bool blind, const std::string& failure) {
  return Shrinker{seed, choice, blind, failure}.run();
}

}  // namespace handfast::sim
