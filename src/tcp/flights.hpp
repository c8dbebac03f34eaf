// SPDX-License-Identifier: BSD-3-Clause
// The bookkeeping of what is in flight: taking a flight from the pool, entering and removing segments, the sums.
// Layer: tcp. Knows nothing of why a segment is lost (rack, recovery) or how large the window is.
#pragma once

#include <optional>

#include "tcp/context.hpp"
#include "tcp/flight.hpp"

namespace handfast::tcp {

/// How long a flight with nothing in it is kept: what it knows of the path (RTT, reordering, the model of a congestion
/// control) is worth something to a connection that pauses, nothing to one that is idle.
inline constexpr Duration flight_keep = 1s;

/// The connection's flight. If it has none, one from the pool, whose first record is what is in flight; null when pool
/// or memory are used up (then at most one segment may be in flight).
[[nodiscard]] Flight* take_flight(Context& cx, Tcb& tcb);
/// Gives it back, if there is one.
void free_flight(Context& cx, Tcb& tcb);
/// All has been acknowledged: it stays for a while.
void rest_flight(Context& cx, Tcb& tcb);
/// Gives back those that have rested long enough; called once a poll, bounded.
void expire_flights(Context& cx, std::size_t limit);

/// First octet of record n.
[[nodiscard]] inline Seq left_of(const Tcb& tcb, const Flight& flight, std::uint32_t n) {
  return n == flight.sent.front_number() ? tcb.snd_una : flight.sent[n - 1].right;
}
[[nodiscard]] inline std::uint32_t length_of(const Tcb& tcb, const Flight& flight, std::uint32_t n) {
  return distance(left_of(tcb, flight, n), flight.sent[n].right);
}

/// New data up to `right` has left; room was made sure of (Flight::sent.reserve).
void enter_sent(Context& cx, Tcb& tcb, Flight& flight, Seq right);
/// Record n, marked lost or not, has left again.
void enter_again(Context& cx, Tcb& tcb, Flight& flight, std::uint32_t n);

/// Takes record n for lost (once more, if it was sent again). Returns its length; 0 for one that is SACKed or marked
/// already.
std::uint32_t mark_lost(Tcb& tcb, Flight& flight, std::uint32_t n);
/// Record n, which is lost, was larger than the path may take: its loss is no sign of congestion.
void forgive(Tcb& tcb, Flight& flight, std::uint32_t n);
/// The first record that ends after `at`; the number behind the last if there is none.
[[nodiscard]] std::uint32_t first_behind(const Flight& flight, Seq at);
/// Every record that is not SACKed; returns the bytes.
std::uint32_t mark_all_lost(Context& cx, Tcb& tcb, Flight& flight);
/// None is lost: what was said before was an error.
void unmark_lost(Context& cx, Tcb& tcb, Flight& flight);
/// None is SACKed: the peer has dropped what it had (RFC 2018 section 8).
void forget_sacks(Tcb& tcb, Flight& flight);
/// The next record that is lost and waits to be sent again.
[[nodiscard]] std::optional<std::uint32_t> next_lost(Flight& flight);

/// Bytes believed to be in the network (RFC 6675 "pipe"; with duplicate ACKs standing for segments without SACK).
[[nodiscard]] std::uint32_t pipe(const Tcb& tcb);

/// What one ACK says of the records.
struct Delivery {
  std::uint32_t prior_flight = 0;   // pipe before it
  std::uint32_t acked = 0;          // bytes that snd_una is about to move by
  std::uint32_t bytes = 0;          // newly acknowledged or SACKed
  std::uint32_t rtt_us = 0;         // of the newest that was sent once; 0: none such
  Seq rtt_right;                    // its end
  bool original = false;            // a record that was sent once is among them, and began before `recover`
  bool any = false;                 // a record arrived
  bool duplicate_sack = false;      // D-SACK (RFC 2883): [dsack_left, dsack_right) came twice
  Seq dsack_left, dsack_right;
  bool sack_block = false;          // the ACK has SACK blocks other than that
  Sent newest;                      // of the records that arrived, as it was: for the rate sample
  bool has_newest = false;
};

/// Takes what `ack` (at least snd_una) and the SACK blocks cover off or marks it. snd_una is the caller's to move, at
/// once. Also tells RACK what has arrived.
[[nodiscard]] Delivery deliver_ack(Context& cx, Tcb& tcb, Flight& flight, Seq ack, const wire::TcpOptions& options);

/// What the path has shown (delivery rate); called once snd_una has moved.
[[nodiscard]] RateSample rate_sample(Context& cx, Flight& flight, const Delivery& delivery);

}  // namespace handfast::tcp
