// SPDX-License-Identifier: BSD-3-Clause
// What a sender remembers of the segments in flight, of loss recovery and of its congestion control. Layer: tcp.
// Plain data, taken from a pool when a second segment is in flight or the first was lost, given back when the
// connection has been idle for a while: a short connection and an idle one have none. The verbs are in recovery,
// rack, undo and congestion.
#pragma once

#include <array>
#include <boost/intrusive/list.hpp>
#include <cstddef>
#include <cstdint>

#include "base/seq.hpp"
#include "handfast/time.hpp"
#include "tcp/chunk_queue.hpp"

namespace handfast::tcp {

/// One bit each, of one segment in flight.
enum SentFlag : std::uint32_t {
  sent_sacked = 1u << 0,      ///< the peer has it (RFC 2018); it may yet drop it
  sent_lost = 1u << 1,        ///< taken for lost since its first transmission; stays when it is sent again
  sent_again = 1u << 2,       ///< lost, sent again, and that copy is believed in flight
  sent_twice = 1u << 3,       ///< more than one copy was ever sent: an ACK could be of either (Karn)
  sent_app_limited = 1u << 4, ///< the sender had nothing more to send then: no sample of what the path can do
  sent_probe = 1u << 5,       ///< lost, and larger than the path was known to take (RFC 4821): that says nothing of congestion
};

/// A segment that was sent and is not wholly acknowledged (RFC 8985 section 5.2). Its first octet is where the one
/// before it ends, or SND.UNA.
struct Sent {
  Seq right;                       // one past its last octet, FIN included
  std::uint32_t flags = 0;         // SentFlag
  std::uint32_t sent_us = 0;       // last transmission; microseconds, wrapping
  std::uint32_t delivered = 0;     // Flight::delivered then
  std::uint32_t delivered_us = 0;  // Flight::delivered_us then
  std::uint32_t first_us = 0;      // Flight::first_sent_us then
  std::uint32_t lost = 0;          // Flight::lost_total then
  std::uint32_t in_flight = 0;     // bytes in flight with it, then; once SACKed: number of a record behind its run
};
static_assert(sizeof(Sent) == 32);

/// How fast the path has taken data, from one ACK (delivery rate estimation as BBR's drafts describe it).
struct RateSample {
  std::uint32_t delivered = 0;        // bytes between the two moments; 0: no sample
  std::uint32_t interval_us = 0;
  std::uint32_t prior_delivered = 0;  // Flight::delivered when the newest segment that this ACK delivers was sent
  std::uint32_t lost = 0;             // bytes lost since then
  std::uint32_t in_flight = 0;        // bytes in flight when it was sent, itself included
  bool app_limited = false;
};

/// A place in the shard's list of flights with nothing in flight, oldest first. Plain, since flights live in raw memory.
struct IdleNode {
  IdleNode* next = nullptr;  // null: not in the list
  IdleNode* previous = nullptr;
  [[nodiscard]] bool is_linked() const { return next != nullptr; }
};

struct alignas(64) Flight : IdleNode {
  std::uint32_t owner = 0;                    // index of the Tcb
  std::uint32_t idle_since_us = 0;

  ChunkQueue<Sent, 16> sent;            // in sequence order; the first one has snd_una
  ChunkQueue<std::uint32_t, 2> again;   // numbers of records in the order in which they were sent again; some are stale

  // --- bytes of sequence space, sums over `sent` ---
  std::uint32_t sacked = 0;   // sent_sacked
  std::uint32_t lost = 0;     // sent_lost and not sent_sacked
  std::uint32_t resent = 0;   // sent_again; <= lost
  std::uint32_t forgiven = 0; // lost, and sent_probe: no sign of congestion; <= lost
  std::uint32_t sacked_segments = 0;
  std::uint32_t newest_lost_flight = 0, newest_lost_mark = 0;  // Sent::in_flight and Sent::lost of the last one marked lost
  std::uint32_t judged = 0;   // no record before this one is out for the first time and neither lost nor SACKed
  std::uint32_t next_lost = 0;  // no record before this one is lost and waits to be sent again

  // --- recovery ---
  Seq recover;                // snd_nxt when recovery began (RFC 6582, 6675)
  Seq fack;                   // highest number that was SACKed or acknowledged (RFC 8985 RACK.fack)
  std::uint32_t recover_flight = 0, prr_delivered = 0, prr_out = 0;  // RFC 6937
  std::uint32_t prr_duplicates = 0;  // without SACK: what duplicate ACKs have told of and no ACK has covered yet
  std::uint32_t cwnd_acked = 0;  // bytes towards the next increase (RFC 3465)
  // What Tcb::rtx_deadline is the earliest applicable of; `alarm` says of which.
  Time rto_deadline = Time::max();      // RFC 6298
  Time probe_deadline = Time::max();    // RFC 8985 section 7.2
  Time reorder_deadline = Time::max();  // RFC 8985 section 6.2 step 5
  Seq rtt_seq;                // an RTT sample is taken when this is passed: about one a round trip

  // --- RACK (RFC 8985 section 5.3, 6.2) and TLP (7) ---
  std::uint32_t rack_us = 0;   // RACK.xmit_ts
  Seq rack_right;              // RACK.end_seq
  std::uint32_t rack_rtt_us = 0;
  std::uint32_t min_rtt_us = 0;      // over the last minutes; 0: none
  std::uint32_t min_rtt_ms = 0;      // when it was measured
  Seq dsack_round;                   // while dsack_round_on
  Seq tlp_end;                       // snd_nxt when the probe left
  std::uint8_t reo_wnd_mult = 1;
  std::uint8_t reo_wnd_persist = 0;
  bool rack_valid = false;
  bool reordering_seen = false;
  bool dsack_round_on = false;
  bool tlp_out = false;              // a probe is in flight
  bool tlp_again = false;            // it was a retransmission
  bool tlp_unmeasured = false;       // no round trip was measured since the last probe
  enum class Alarm : std::uint8_t { retransmission, tail_probe, reordering } alarm = Alarm::retransmission;

  // --- undo (RFC 3522, 4015, 5682, and D-SACK as RFC 3708 describes) ---
  Seq undo_mark;                     // snd_una when the reduction was made
  std::uint32_t undo_cwnd = 0, undo_ssthresh = 0;
  std::uint32_t undo_resent = 0;     // segments sent again since, not known to be duplicates
  std::uint32_t undo_ts = 0;         // timestamp of the first of them
  bool undo_on = false, undo_sent = false;
  bool copy_lost = false;            // what was sent again was lost again: congestion once more (RFC 5681 section 4.3)
  std::uint32_t reduced_us = 0;      // last reduction: that counts once a round trip
  bool send_one = false;             // the first segment of a recovery leaves whatever the window says
  std::uint8_t frto = 0;             // step of RFC 5682; 0: not tried

  // --- ECN (RFC 3168, 8257) ---
  Seq cwr_end;                       // no further reduction for ECE until this is acknowledged
  bool cwr_on = false;

  // --- rate and pacing ---
  std::uint32_t delivered = 0, delivered_us = 0, first_sent_us = 0, lost_total = 0;
  std::uint32_t app_limited_until = 0;   // value of `delivered`; 0: not app-limited
  std::uint64_t pacing_rate = 0;         // bytes a second; 0: not paced
  Time pace_next{};                      // the next new segment leaves no earlier
  Time pace_deadline = Time::max();      // and a timer runs until then

  // --- where in the send queue the last segments were found: the next are not far ---
  struct Place {
    Extent* extent = nullptr;
    Seq at;  // of its first octet, unless it is the head: that begins at snd_una
  };
  Place new_place, again_place;
  std::uint32_t send_quantum = 0;        // bytes that may leave together while paced; 0: as many as the sender likes

  // --- congestion window validation (RFC 7661; window_validation has the verbs) ---
  Seq pipe_end;                          // a pipeACK sample is complete when this is acknowledged, while pipe_round
  std::uint32_t pipe_count = 0;          // bytes delivered since it began
  std::uint32_t pipe_now = 0, pipe_before = 0;  // highest sample of this half of the sampling period, and the last
  std::uint32_t pipe_half_ms = 0;        // when this half began
  std::uint32_t unvalidated_ms = 0;      // since when, while `unvalidated`
  std::uint32_t loss_volume = 0;         // max(pipeACK, FlightSize) when the loss came, while loss_unvalidated
  std::uint32_t loss_mark = 0;           // lost_total before that loss
  bool pipe_round = false, pipe_known = false;  // pipeACK is defined
  bool unvalidated = false;              // the non-validated phase
  bool loss_unvalidated = false;         // recovery from a loss in that phase

  // --- the congestion control's own; zeros when it starts ---
  alignas(8) std::array<std::byte, 192> own{};
  bool started = false;
};

struct IdleNodeTraits {
  using node = IdleNode;
  using node_ptr = IdleNode*;
  using const_node_ptr = const IdleNode*;
  static node_ptr get_next(const_node_ptr n) { return n->next; }
  static void set_next(node_ptr n, node_ptr to) { n->next = to; }
  static node_ptr get_previous(const_node_ptr n) { return n->previous; }
  static void set_previous(node_ptr n, node_ptr to) { n->previous = to; }
};

/// Flights that rest.
class IdleFlights {
 public:
  IdleFlights() { Algorithms::init_header(&head_); }
  IdleFlights(const IdleFlights&) = delete;
  IdleFlights& operator=(const IdleFlights&) = delete;
  [[nodiscard]] bool empty() const { return Algorithms::unique(&head_); }
  [[nodiscard]] Flight& front() { return static_cast<Flight&>(*head_.next); }
  void push_back(Flight& flight) { Algorithms::link_before(&head_, &flight); }
  static void erase(Flight& flight) {
    Algorithms::unlink(&flight);
    flight.next = nullptr;
  }

 private:
  using Algorithms = boost::intrusive::circular_list_algorithms<IdleNodeTraits>;
  IdleNode head_;
};

/// The private state of a congestion control in its flight: a plain struct of at most 192 bytes, zeros at first.
template <class State>
[[nodiscard]] State& own(Flight& flight) {
  static_assert(sizeof(State) <= sizeof(Flight::own) && alignof(State) <= 8 && std::is_trivially_copyable_v<State>);
  return *reinterpret_cast<State*>(flight.own.data());
}

}  // namespace handfast::tcp
