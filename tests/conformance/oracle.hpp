// SPDX-License-Identifier: BSD-3-Clause
// What RFC 9293 section 3.10.7 says of one segment in one state, as a table of rows that are read from top to
// bottom. Layer: tests. Knows the RFC's variables and the names that the stack's user sees, and nothing of
// the stack: no header of src is read here.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "handfast/conn.hpp"
#include "handfast/drop.hpp"

namespace handfast::conformance {

/// RFC 9293 section 3.3.1, as the wire and the user know them.
struct Variables {
  State state = State::closed;
  std::uint32_t iss = 0, snd_una = 0, snd_nxt = 0, max_snd_wnd = 0;
  std::uint32_t irs = 0, rcv_nxt = 0, rcv_wnd = 0;
  std::uint32_t ts_recent = 0;
  bool timestamps = false;  ///< agreed on, RFC 7323
  bool passive = false;     ///< came from LISTEN
  bool listener = false;    ///< somebody listens on the port
  bool orphan = false;      ///< CLOSE, not half-close: nobody reads
  bool fin_sent = false;    ///< SND.NXT stands behind our FIN
};

struct Arriving {
  std::uint8_t flags = 0;
  std::uint32_t seq = 0, ack = 0;
  std::uint32_t text = 0;  ///< bytes
  std::uint16_t urgent = 0;
  bool has_ts = false;
  std::uint32_t ts_val = 0;
  [[nodiscard]] bool has(std::uint8_t bits) const { return (flags & bits) != 0; }
  [[nodiscard]] std::uint32_t length() const;  ///< SEG.LEN
};

/// What leaves in answer.
enum class Answer : std::uint8_t {
  none,
  ack,             ///< <SEQ=SND.NXT><ACK=RCV.NXT><CTL=ACK>, now
  ack_soon,        ///< the same within 500 ms
  rst_at_ack,      ///< <SEQ=SEG.ACK><CTL=RST>
  rst_to_segment,  ///< <SEQ=0><ACK=SEG.SEQ+SEG.LEN><CTL=RST,ACK>
  rst_of_ours,     ///< <SEQ=SND.NXT><ACK=RCV.NXT><CTL=RST,ACK>: the user has closed
  syn_ack,         ///< <SEQ=ISS><ACK=RCV.NXT><CTL=SYN,ACK>
  syn_ack_fresh,   ///< the same with an ISS of the stack's choice
};

/// What is known of the segment before the first row; the row's two conditions are sets of these.
enum Fact : std::uint32_t {
  rst = 1u << 0,
  syn = 1u << 1,
  ack = 1u << 2,
  fin = 1u << 3,
  urg = 1u << 4,
  text = 1u << 5,
  acceptable = 1u << 6,    ///< by the four cases of table 6
  shut = 1u << 7,          ///< RCV.WND is zero, SEG.SEQ = RCV.NXT, SEG.LEN > 0: the special allowance
  seq_exact = 1u << 8,     ///< SEG.SEQ = RCV.NXT
  seq_inside = 1u << 9,    ///< SEG.SEQ itself is in the window (or exact, where that is zero)
  seq_old = 1u << 10,      ///< SEG.SEQ < RCV.NXT
  is_irs = 1u << 11,       ///< SEG.SEQ = IRS
  ack_new = 1u << 12,      ///< SND.UNA < SEG.ACK =< SND.NXT
  ack_fits = 1u << 13,     ///< SND.UNA - MAX.SND.WND =< SEG.ACK =< SND.NXT (rfc5961 5.2)
  ack_unsent = 1u << 14,   ///< SEG.ACK > SND.NXT
  acks_fin = 1u << 15,     ///< our FIN is sent, and SEG.ACK = SND.NXT
  text_next = 1u << 16,    ///< text that is new begins at RCV.NXT
  text_beyond = 1u << 17,  ///< text that is new lies in the window, behind a gap
  fin_next = 1u << 18,     ///< FIN stands at RCV.NXT, or behind text_next
  fin_beyond = 1u << 19,   ///< FIN lies in the window, behind a gap
  fin_again = 1u << 20,    ///< it ends with the FIN that RCV.NXT stands behind
  up_ahead = 1u << 21,     ///< SEG.UP is in advance of what is consumed
  passive = 1u << 22,
  listener = 1u << 23,
  orphan = 1u << 24,
  ts_older =
      1u << 25,  ///< SEG.TSval < TS.Recent (rfc7323 5.3 R1, with the tolerance of docs/rfc-exceptions.md)
  ts_newer = 1u << 26,   ///< SEG.TSval > TS.Recent
  ts_both = 1u << 27,    ///< agreed on, and in the segment
  ts_lacks = 1u << 28,   ///< agreed on, and not in the segment
  ts_before = 1u << 29,  ///< SEG.TSval < TS.Recent, by however little
};
using Facts = std::uint32_t;

/// What happens to the variables and to the user.
enum Deed : std::uint16_t {
  take_syn = 1u << 0,   ///< RCV.NXT <- SEG.SEQ+1, IRS <- SEG.SEQ
  take_ack = 1u << 1,   ///< SND.UNA <- SEG.ACK
  take_text = 1u << 2,  ///< delivered, RCV.NXT moves over it, and over text that was held
  hold_text = 1u << 3,  ///< kept for later
  take_fin = 1u << 4,   ///< RCV.NXT moves over it
  hold_fin = 1u << 5,
  restart_2msl = 1u << 6,
  nothing_more = 1u << 7,  ///< "return"
};

struct Row {
  std::uint16_t in;  ///< bit (1 << State) for each state
  Facts all, none;   ///< all of these, and none of those
  Answer answer = Answer::none;
  std::uint16_t deeds = 0;
  State to = State::listen;  ///< LISTEN: stays (what returns to LISTEN is CLOSED to its TCB)
  const char* told = "";     ///< the callback, as tests/support/app.hpp writes it
  Drop drop = Drop::none;
  const char* source = "";  ///< the sentence
};

struct Emission {
  std::uint8_t flags = 0;
  std::uint32_t seq = 0, ack = 0;
  bool any_seq = false;  ///< of the stack's choice
  bool late = false;     ///< may be up to 500 ms late
};

struct Outcome {
  Variables after;
  std::vector<Emission> emitted;
  std::vector<std::string> told;
  std::uint32_t delivered = 0;  ///< bytes
  std::uint32_t held_text = 0;  ///< bytes
  bool held_fin = false, restarted_2msl = false;
  Drop drop = Drop::none;
  std::vector<std::uint16_t> path;  ///< rows by number, in the order in which they applied
};

[[nodiscard]] std::span<const Row> rows();
[[nodiscard]] Facts facts_of(const Variables& v, const Arriving& segment);
[[nodiscard]] Outcome judge(const Variables& v, const Arriving& segment);
/// "1: 3.10.7.4 first: ..." for each row of the path.
[[nodiscard]] std::string cite(const Outcome& outcome);

}  // namespace handfast::conformance
