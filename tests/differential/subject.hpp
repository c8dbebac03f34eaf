// SPDX-License-Identifier: BSD-3-Clause
// An endpoint that programs are run against. Layer: differential test.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "program.hpp"
#include "support/packet.hpp"

namespace handfast::differential {

/// Between two ops; longer than any delayed ACK, shorter than any retransmission timer.
inline constexpr Duration settle_time = 60ms;

class Subject {
 public:
  virtual ~Subject() = default;
  /// Listens, or sends its SYN.
  virtual void start(const Program& program) = 0;
  /// Addresses are filled in here.
  virtual void send(test::Packet packet) = 0;
  /// write, read, shutdown, close, abort; nothing where there is no connection. What a read gave.
  virtual std::optional<std::string> call(const Op& op) = 0;
  /// All that it has sent since.
  virtual std::vector<test::Packet> take() = 0;
};

}  // namespace handfast::differential
