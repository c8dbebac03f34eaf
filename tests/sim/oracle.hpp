// SPDX-License-Identifier: BSD-3-Clause
// What must hold after every event: inside an end, between two ends, and of every frame that leaves one.
// Layer: simulator. It looks into control blocks and changes nothing.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "handfast/core.hpp"
#include "sim/ledger.hpp"
#include "support/invariants.hpp"
#include "support/packet.hpp"

namespace handfast::sim {

/// One shard's control blocks, as they were when last looked at.
class InsideOracle {
 public:
  /// Everything of one shard: the whole state (test::broken_invariant), what never goes back (I1, I3, I4),
  /// which states may follow which (I13), how long TIME-WAIT lasts (I16).
  void check(Core& core, const test::Withheld& withheld, Ledger& ledger);

 private:
  struct Seen {
    std::uint32_t generation = 0, rcv_nxt = 0, rcv_adv = 0, snd_una = 0, snd_nxt = 0, pipe = 0, cwnd = 0,
                  lost = 0, most = 0;  ///< cwnd in fast recovery
    State state = State::closed;
    CongestionControl congestion{};
  };
  struct Waiting {
    std::uint32_t generation = 0;
    Time expires{};
  };
  void check_progress(const tcp::Tcb& tcb, Seen& seen, Ledger& ledger);
  void check_time_wait(Core& core, Ledger& ledger);
  std::vector<Seen> seen_;
  std::vector<Waiting> waiting_;
  std::uint64_t looks_ = 0;
  std::uint64_t reasons_ = 0;  ///< for which TIME-WAIT may have ended early, so far
};

/// Which state was seen to follow which, in all runs of this process: what is not there was not tried.
[[nodiscard]] std::array<std::array<std::uint64_t, state_count>, state_count>& seen_transitions();

/// I9: A.snd_una <= B.rcv_nxt <= A.snd_nxt, for each connection of `core` whose other end is on `other`.
void check_both(Core& core, Core& other, Ledger& ledger);

/// What stands in a connection's block, for people who look for the reason of a failure.
[[nodiscard]] std::string block_text(Core& core, ConnId id);

/// What an end may put on the wire (I2, I27); one for all.
struct Traffic {
  std::uint64_t bare = 0;    ///< segments without data, SYN and FIN
  std::uint64_t resets = 0;  ///< of these
};

class WireOracle {
 public:
  /// `strict`: nobody forges, replays or forgets anything (an end that sends cookies forgets), so that what
  /// each flow has seen is what its ends know.
  WireOracle(Ledger& ledger, const Plan& plan);
  void check(unsigned from, std::span<const std::byte> frame, Traffic& traffic);
  [[nodiscard]] std::uint64_t segments() const { return segments_; }

 private:
  struct Flow {
    bool syn = false, acked = false, timed = false, scaled = false;
    std::uint32_t isn = 0, ack = 0, tsval = 0, edge = 0;
    std::uint8_t shift = 0;
    std::uint16_t mss = 536;
  };
  void check_flow(unsigned from, const test::Packet& packet, std::size_t options_length);
  void fail(const std::string& what, const test::Packet& packet) {
    ledger_.fail(what + ": " + packet.text());
  }

  Ledger& ledger_;
  const Plan& plan_;
  bool strict_;
  std::map<std::pair<Endpoint, Endpoint>, Flow> flows_;
  std::uint64_t segments_ = 0;
};

}  // namespace handfast::sim
