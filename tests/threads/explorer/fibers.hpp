// SPDX-License-Identifier: BSD-3-Clause
// A few logical threads on one real one: each has a stack of its own and runs until it hands over by name.
// Layer: test of threads. Knows nothing of memory, of schedules or of what is run.
#pragma once

#include <array>
#include <cstddef>
#include <functional>
#include <memory>

namespace handfast::explorer {

class Fibers {
 public:
  static constexpr int most = 3;
  static constexpr int nobody = -1;  // the caller of run()

  Fibers();
  ~Fibers();
  Fibers(const Fibers&) = delete;

  /// Runs body(0) first, if `first` is 0, and so on; returns when somebody switches to `nobody`. body(i) ends
  /// by returning who goes on.
  void run(int first, const std::function<int(int)>& body);
  /// From inside of a fiber: another goes on, this one when somebody switches to it.
  void switch_to(int next);

 private:
  struct Side;
  static void enter(unsigned high, unsigned low);
  void start(int index);
  void jump(Side& from, Side& to, bool for_good);
  Side& side(int index);

  std::array<std::unique_ptr<Side>, most + 1> sides_;  // the last is the caller
  const std::function<int(int)>* body_ = nullptr;
  int current_ = nobody;
};

}  // namespace handfast::explorer
