// SPDX-License-Identifier: BSD-3-Clause
// A Handfast stack on a port of two functions as one end of a path. Layer: bench.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "handfast/frame_port.hpp"
#include "host.hpp"

namespace handfast::paths {

struct CongestionName {
  std::string name;
  CongestionControl control;
};
/// Every algorithm that this Handfast has.
[[nodiscard]] const std::vector<CongestionName>& congestion_controls();

struct StackOptions {
  CongestionControl congestion = CongestionControl::cubic;
  std::uint32_t buffer = 4u << 20;  ///< bytes, either way
  bool ecn = false;
};

class StackHost final : public Host {
 public:
  /// Throws std::runtime_error where the config is refused.
  StackHost(Ipv4Address address, MacAddress mac, std::uint64_t seed, Time start, const StackOptions& options);

  void sink(Port port, Received& received) override;
  void echo(Port port) override;
  void source(Endpoint to) override;
  [[nodiscard]] std::uint64_t retransmits() override { return stack_->core().stats().retransmits; }
  void receive(std::span<const std::byte> frame) override { stack_->receive(frame); }
  void poll(Time now) override { stack_->poll(now); }
  [[nodiscard]] std::optional<Time> next_deadline() const override { return stack_->next_deadline(); }

 private:
  std::unique_ptr<FrameStack> stack_;
};

}  // namespace handfast::paths
