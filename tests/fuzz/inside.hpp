// SPDX-License-Identifier: BSD-3-Clause
// What must hold inside a stack after every op: each control block's invariants, what never goes back, the tables'
// sums, and only transitions that RFC 9293 has. Layer: fuzz. It changes nothing.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "handfast/core.hpp"

namespace handfast::fuzz {

class Inside {
 public:
  void check(Core& core);
  /// Nothing is held any more: the pools are as they were at the start.
  static void check_nothing_held(Core& core);
  /// Prints which of the RFC's transitions were seen; for the end of a run.
  static void report();

 private:
  struct Seen {
    std::uint32_t generation = 0, rcv_nxt = 0, rcv_adv = 0, snd_una = 0, snd_nxt = 0;
    State state = State::closed;
  };
  std::vector<Seen> seen_;
};

/// A tuple's state, whatever holds it: CLOSED when nothing does.
[[nodiscard]] State state_of(Core& core, std::uint32_t slot);

}  // namespace handfast::fuzz
