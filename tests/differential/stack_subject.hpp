// SPDX-License-Identifier: BSD-3-Clause
// Handfast as the endpoint of a program, in virtual time. Layer: differential test.
#pragma once

#include "subject.hpp"
#include "support/peer.hpp"

namespace handfast::differential {

class StackSubject final : public Subject {
 public:
  StackSubject();
  void start(const Program& program) override;
  void send(test::Packet packet) override;
  std::optional<std::string> call(const Op& op) override;
  std::vector<test::Packet> take() override;
  /// Time goes by.
  void settle() { trace_.advance(settle_time); }

 private:
  test::Trace trace_;
  ConnId connecting_, let_go_;  // let go: closed by the application, which has no descriptor of it any more
};

}  // namespace handfast::differential
