// SPDX-License-Identifier: BSD-3-Clause
// One segment, one poll: what RFC 9293 section 3.10.7 and its companions make of a segment, seen in the
// control block before and after. Layer: simulator. Written from the text; knows nothing of how the stack
// gets there.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "handfast/core.hpp"
#include "sim/ledger.hpp"
#include "support/packet.hpp"

namespace handfast::tcp {
struct Tcb;
struct Context;
}  // namespace handfast::tcp

namespace handfast::sim {

/// Of one end. It looks at polls that took exactly one frame: there are enough of them.
class StepOracle {
 public:
  /// Before the stack has the frame, whenever that will be looked at.
  /// `packet`: what a strict parser makes of it, or `why` not.
  void arrives(Core& core, std::span<const std::byte> frame, const std::optional<test::Packet>& packet,
               const std::string& why);
  /// What the end sends meanwhile.
  void leaves(const test::Packet& packet);
  /// After the poll.
  void polled(Core& core, const Plan& plan, Ledger& ledger);

 private:
  enum class Kind : std::uint8_t { none, connection, half_open, time_wait };
  struct Piece {
    std::uint32_t left, right;
    bool sacked;
  };
  struct Before {
    Kind kind = Kind::none;
    std::uint32_t index = 0, generation = 0;
    std::uint64_t flags = 0;
    State state = State::closed;
    std::uint32_t iss = 0, irs = 0, snd_una = 0, snd_nxt = 0, snd_wnd = 0, max_snd_wnd = 0, wl1 = 0, wl2 = 0;
    std::uint32_t rcv_nxt = 0, rcv_adv = 0, ts_recent = 0, last_ack_sent = 0, heard_ms = 0, srtt_us = 0;
    std::uint8_t snd_wscale = 0, dup_acks = 0, backoff = 0, recovery = 0;
    std::vector<Piece> pieces;  // of its flight
    std::uint64_t resets = 0, refusals = 0, no_memory = 0, frames_in = 0, unsaid = 0, undone = 0, reused = 0,
                  expired = 0;
  };

  void look(Core& core);
  void judge(Core& core, const Plan& plan, Ledger& ledger);
  void judge_connection(tcp::Context& cx, const tcp::Tcb* after, const Plan& plan, Ledger& ledger);
  void judge_reset(const tcp::Tcb* after, Core& core, Ledger& ledger);
  void judge_ignored(const tcp::Tcb& after, const char* why, Ledger& ledger);
  void judge_ack(const tcp::Tcb& after, Ledger& ledger);
  void judge_window(const tcp::Tcb& after, bool is_news, Ledger& ledger);
  void judge_timestamp(const tcp::Context& cx, const tcp::Tcb& after, Ledger& ledger);
  void judge_text(const tcp::Context& cx, const tcp::Tcb& after, const Plan& plan, Ledger& ledger);
  void judge_sacks(const tcp::Tcb& after, Ledger& ledger);
  void judge_recovery(const tcp::Context& cx, const tcp::Tcb& after, Ledger& ledger);
  void judge_samples(const tcp::Tcb& after, Ledger& ledger);
  void judge_answer(const tcp::Tcb& after, const Plan& plan, Ledger& ledger);
  void judge_half_open(tcp::Context& cx, const Plan& plan, Ledger& ledger);
  void judge_time_wait(tcp::Context& cx, const Plan& plan, Ledger& ledger);
  [[nodiscard]] bool flag(std::uint64_t bit) const { return (before_.flags & bit) != 0; }
  /// Frames may stay in the end: an answer that was given is not seen.
  [[nodiscard]] bool answers_may_stay(const Plan& plan) const;
  void fail(Ledger& ledger, const std::string& what) const;

  unsigned arrivals_ = 0;
  bool broken_ = false;  ///< its checksum is wrong
  bool held_ = false;    ///< frames waited for a neighbour
  std::optional<test::Packet> packet_;
  Before before_;
  std::vector<test::Packet> answers_;
};

/// Both ends of a connection agree on what their SYNs said (RFC 7323, RFC 2018, rfc9293 MUST-16).
void check_agreement(Core& core, Core& other, Ledger& ledger);

}  // namespace handfast::sim
