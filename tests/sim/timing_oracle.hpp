// SPDX-License-Identifier: BSD-3-Clause
// What must happen in time, and what must not happen before its time: timers, ACKs that are owed, windows,
// small segments. Layer: simulator. Written from the RFCs' texts; looks into control blocks and changes
// nothing.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "handfast/core.hpp"
#include "sim/ledger.hpp"
#include "support/packet.hpp"

namespace handfast::tcp {
struct Tcb;
struct Context;
}  // namespace handfast::tcp

namespace handfast::sim {

/// Of one end.
class TimingOracle {
 public:
  /// A frame of another end's, whole and before the stack has it; null: no TCP, or its checksum is wrong.
  void arrives(Core& core, Time now, const test::Packet* packet);
  /// A segment of this end's.
  void leaves(Core& core, const Plan& plan, Time now, const test::Packet& packet, Ledger& ledger);
  /// After a poll.
  void polled(Core& core, const Plan& plan, Ledger& ledger);

 private:
  using Flow = std::pair<Endpoint, Endpoint>;
  /// What is sent again and again while the peer says nothing.
  struct Silence {
    std::uint32_t seq = 0, length = 0;
    unsigned times = 0, keepalives = 0;
    Time last{};
    Duration gap{};
  };
  struct Sending {
    Time last_new = Time::min();  ///< new data left
    std::uint32_t edge = 0, rcv_mss = 0;
    bool edge_known = false;
  };
  /// A connection's block as it was after the last poll.
  struct Seen {
    std::uint32_t generation = 0, last_ack_sent = 0, snd_una = 0, rcv_adv = 0, rcv_mss = 0;
    std::uint64_t flags = 0;
    State state = State::closed;
    Time opened{}, owed{}, progress{}, in_state{}, shut{};
    bool owes = false, is_shut = false, synchronised = false;
  };
  struct Waiting {
    std::uint32_t generation = 0;
    Time since{};
  };

  void check_time_wait(tcp::Context& cx, Ledger& ledger);
  static void check_fast_opens(tcp::Context& cx, Ledger& ledger);
  void check_block(tcp::Context& cx, const tcp::Tcb& tcb, Seen& seen, const Plan& plan, Ledger& ledger);
  void check_acks(tcp::Context& cx, const tcp::Tcb& tcb, Seen& seen, Ledger& ledger);
  void check_windows(tcp::Context& cx, const tcp::Tcb& tcb, Seen& seen, const Plan& plan, Ledger& ledger);
  void check_end(tcp::Context& cx, const tcp::Tcb& tcb, const Seen& seen, Ledger& ledger);
  void check_keepalives(Core& core, const test::Packet& p, Ledger& ledger);
  void check_pace(const Core& core, const Plan& plan, Time now, const test::Packet& p, Ledger& ledger);
  void check_edge(Core& core, const test::Packet& p, Ledger& ledger);
  void check_small(Core& core, const Plan& plan, Time now, const test::Packet& p, Ledger& ledger);

  std::map<Flow, Silence> silences_;
  std::map<Flow, Sending> sendings_;
  std::vector<Seen> seen_;
  std::vector<Waiting> waiting_;
  Time last_poll_{};
  std::uint64_t cut_ = 0, reused_ = 0, resets_ = 0, resets_out_ = 0;
};

}  // namespace handfast::sim
