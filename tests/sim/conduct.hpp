// SPDX-License-Identifier: BSD-3-Clause
// How one end behaves towards its peers, judged segment by segment and by the clock. Layer: simulator.
#pragma once

#include <span>
#include <string>

#include "sim/step_oracle.hpp"
#include "sim/timing_oracle.hpp"

namespace handfast::sim {

class Conduct {
 public:
  void arrives(Core& core, Time now, std::span<const std::byte> frame) {
    std::string why;
    const auto packet = test::parse_strictly(frame, why);
    timing_.arrives(core, now, packet ? &*packet : nullptr);
    step_.arrives(core, frame, packet, why);
  }
  void leaves(Core& core, const Plan& plan, Time now, std::span<const std::byte> frame, Ledger& ledger) {
    std::string why;
    const auto packet = test::parse_strictly(frame, why);
    if (!packet) return;
    timing_.leaves(core, plan, now, *packet, ledger);
    step_.leaves(*packet);
  }
  void polled(Core& core, const Plan& plan, Ledger& ledger) {
    step_.polled(core, plan, ledger);
    timing_.polled(core, plan, ledger);
  }

 private:
  StepOracle step_;
  TimingOracle timing_;
};

}  // namespace handfast::sim
