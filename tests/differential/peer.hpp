// SPDX-License-Identifier: BSD-3-Clause
// The raw peer of one program, and what is kept of an endpoint's replies: what TCP says, not when or in which
// pieces. Layer: differential test. Knows nothing of who the endpoint is.
#pragma once

#include <compare>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "program.hpp"
#include "support/packet.hpp"

namespace handfast::differential {

/// What one op has brought about. Numbers are relative to the initial ones.
struct Step {
  bool replied = false;              ///< anything but retransmissions and window probes
  std::optional<std::string> reset;  ///< flags and numbers
  std::uint32_t syns = 0;            ///< SYN (1), SYN-ACK (2): new ones
  std::int64_t edge = 0;             ///< right edge of all that the endpoint has sent so far, FIN included
  bool fin = false;                  ///< it has sent FIN
  std::int64_t missing = 0;          ///< what it has not acknowledged of what the peer sent in order
  bool window_zero = false;          ///< the last window
  std::vector<std::pair<std::int64_t, std::int64_t>> sack;  ///< in its last ACK
  std::optional<std::string> application;                   ///< what a read gave
  friend bool operator==(const Step&, const Step&) = default;
};
[[nodiscard]] std::string text(const Step& step);

class ScriptedPeer {
 public:
  explicit ScriptedPeer(const Program& program) : program_(program) {}

  using Emit = std::function<void(test::Packet)>;  ///< addresses are filled in there
  /// The segments of a segment or fill op.
  void act(const Op& op, const Emit& emit);
  /// The SYN of a passive handshake; the SYN-ACK of an active one.
  void open(const Emit& emit);
  /// The ACK that ends a passive handshake.
  void finish_open(const Emit& emit);
  /// What the endpoint has sent since the last call.
  Step observe(const std::vector<test::Packet>& packets);

  /// Ticks of the peer's timestamp clock go by.
  void pass(std::uint32_t ticks) { ts_clock_ += ticks; }

 private:
  test::Packet packet(std::uint8_t flags) const;
  void offer(test::Packet& syn) const;
  void take(const test::Packet& p, Step& step);

  const Program& program_;
  std::uint32_t irs_ = 0;
  bool irs_known_ = false, fin_ = false;
  std::int64_t next_ = 0, acked_ = 0, got_ = 0, una_ = 0, edge_ = 0;  // relative
  std::uint32_t window_ = 65535;                                      // the field
  std::uint32_t offered_ = 65535;                                     // unscaled, by the endpoint
  std::uint8_t scale_ = 0;                                            // of the endpoint
  bool scaled_ = false, ts_on_ = false, window_zero_ = false;
  std::uint32_t ts_clock_ = 1000000, ts_recent_ = 0;
  std::vector<std::pair<std::int64_t, std::int64_t>> sack_;
};

}  // namespace handfast::differential
