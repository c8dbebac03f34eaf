// SPDX-License-Identifier: BSD-3-Clause
// Whether a history of overlapping operations could have come from one thread that does them one after the
// other: the search of Wing and Gong, with what was visited remembered. Layer: test of threads.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "machine.hpp"

namespace handfast::explorer {

/// Model: a value with operator<=>, and `bool apply(const Operation&)`: does it, or says that the result was
/// another. Empty: there is an order. Every operation must have ended.
template <class Model>
class Linearizer {
 public:
  explicit Linearizer(const Machine& machine) : Linearizer(machine, machine.history()) {}
  Linearizer(const Machine& machine, std::vector<Operation> operations)
      : machine_(machine), operations_(std::move(operations)) {}

  [[nodiscard]] bool possible(const Model& start) { return search(start, 0); }

 private:
  bool search(const Model& model, std::uint32_t done) {
    if (done + 1 == std::uint32_t{1} << operations_.size()) return true;
    if (!visited_.insert({done, model}).second) return false;
    for (std::size_t i = 0; i < operations_.size(); ++i) {
      if ((done >> i & 1) != 0 || !may_be_next(i, done)) continue;
      Model after = model;
      if (after.apply(operations_[i]) && search(after, done | std::uint32_t{1} << i)) return true;
    }
    return false;
  }
  [[nodiscard]] bool may_be_next(std::size_t i, std::uint32_t done) const {
    for (std::size_t k = 0; k < operations_.size(); ++k)
      if (k != i && (done >> k & 1) == 0 && machine_.precedes(operations_[k], operations_[i])) return false;
    return true;
  }

  const Machine& machine_;
  const std::vector<Operation> operations_;
  std::set<std::pair<std::uint32_t, Model>> visited_;
};

}  // namespace handfast::explorer
