// SPDX-License-Identifier: BSD-3-Clause
// The transmission control block: RFC 9293 section 3.3.1 and what later RFCs added, laid out by how often it is read.
// Layer: tcp. Plain data; the verbs are in calls, segment_arrives, output and timeouts.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <type_traits>

#include "base/seq.hpp"
#include "ds/timer_wheel.hpp"
#include "handfast/conn.hpp"
#include "tcp/flow_slot.hpp"
#include "tcp/memory.hpp"
#include "tcp/rare.hpp"

namespace handfast::tcp {

struct ReceiveBuffer;
struct Flight;

/// A deadline that is not set.
inline constexpr Time never = Time::max();

/// Where loss recovery stands.
enum class Recovery : std::uint8_t {
  open,     ///< nothing known to be lost
  fast,     ///< fast recovery (RFC 6582, 6675, 8985) until snd_una reaches Flight::recover
  timeout,  ///< after the retransmission timer, until then too (RFC 5681 section 3.1)
};

constexpr std::uint64_t bit(unsigned n) { return std::uint64_t{1} << n; }

/// One bit each; the comment is what holds while it is set.
enum TcbFlag : std::uint64_t {
  active_open = bit(0),          ///< we sent the first SYN (MUST-11: in SYN-RECEIVED do not return to LISTEN)
  ts_enabled = bit(1),           ///< both SYNs had timestamps (RFC 7323 section 3.2)
  sack_enabled = bit(2),         ///< both SYNs had SACK-permitted
  wscale_enabled = bit(3),       ///< both SYNs had window scale
  ack_now = bit(4),              ///< an ACK leaves with this flush
  ack_delayed = bit(5),          ///< an ACK is due by ack_deadline
  fin_queued = bit(6),           ///< FIN follows the last byte of the send queue
  fin_sent = bit(7),             ///< snd_nxt - 1 is our FIN
  fin_received = bit(8),         ///< rcv_nxt - 1 is the peer's FIN
  eof_delivered = bit(9),        ///< the application was told
  orphan = bit(10),              ///< the application called close(): nobody receives
  persist = bit(11),             ///< rtx_deadline is the persist timer's
  nodelay = bit(12),             ///< Nagle is off
  corked = bit(13),              ///< partial segments wait for uncork
  rx_paused = bit(14),           ///< no data callbacks
  want_writable = bit(15),       ///< a send took less than offered: on_writable is owed
  dirty = bit(16),               ///< in the shard's list for output
  ended = bit(17),               ///< close_reason is set; on_closed is owed, then the slot is freed
  in_table = bit(18),            ///< the flow table has this block's slot
  accept_pending = bit(19),      ///< waits in its listener's queue: the application does not know of it yet
  keepalive_on = bit(20),
  rtt_timing = bit(21),          ///< without a flight: what is out left once, at rtt_time (Karn)
  syn_retransmitted = bit(22),   ///< RFC 6298 (5.7)
  override_due = bit(23),        ///< the SWS override timer fired: send what there is
  in_hand = bit(24),             ///< the shard is busy with it, and looks at `ended` when it is done
  cwnd_limited = bit(25),        ///< the last flush stopped at the congestion window (RFC 7661, in short)
  app_timer_due = bit(26),       ///< on_timer is owed
  starved = bit(27),             ///< in the list of those that wait for the shard's memory to send
  syn_acked = bit(28),           ///< our SYN is acknowledged (snd_una passes iss again after 4 GiB, so numbers cannot tell);
                                 ///< taken for it in SYN-RECEIVED where the connection was opened fast (RFC 7413)
  marked = bit(29),              ///< dscp is not 0: segments look for it in the last line
  notice = bit(30),              ///< there is something that delivery looks at seldom (urgent data, a peer in doubt)
  dressed = bit(31),             ///< segments carry more than usual: URG, or the user timeout
  judging = bit(32),             ///< a data callback runs: what is unread is known when it returns, not before
  mss_unsettled = bit(33),       ///< path_mtu.hpp has a say in the size of what leaves: smaller than could be, or in doubt
  rcv_tuned = bit(47),           ///< rcv_limit and the round of the measurement hold

  // of what few connections have
  probe_out = bit(34),           ///< snd_nxt - 1 left as a zero-window probe alone: it was not taken, and goes with the next data
  to_self = bit(38),             ///< the peer is this stack: what comes from outside is not the peer's
  ecn_on = bit(35),              ///< both SYNs agreed (RFC 3168 section 6.1.1)
  ece_due = bit(36),             ///< CE was seen: ECE on every ACK until CWR comes, or (RFC 8257) no CE
  cwr_due = bit(37),             ///< the next new data has CWR
  unresponsive_due = bit(39),    ///< on_unresponsive is owed
  urgent_due = bit(40),          ///< on_urgent is owed
  urgent_in = bit(41),           ///< rcv_up is the end of urgent data that the application has not taken
  urgent_out = bit(42),          ///< snd_up is the end of urgent data that the peer has not acknowledged
  user_timeout_due = bit(43),    ///< the next segment carries our user timeout (RFC 5482)
  user_timeout_fixed = bit(44),  ///< the application chose it: CHANGEABLE is false
  fast_open = bit(45),           ///< active: the SYN asks for a cookie or carries data (RFC 7413)
};

/// What a predicted connection has not (prediction.hpp): anything that asks for a look at more than the first lines of its block.
inline constexpr std::uint64_t unpredicted_flags =
    probe_out | persist | ecn_on | dressed | mss_unsettled | corked | override_due | marked | ended | notice | to_self;

[[nodiscard]] constexpr std::uint64_t flag_if(bool condition, TcbFlag flag) { return condition ? flag : std::uint64_t{0}; }

/// 256 bytes: two lines that every segment touches, two that timers, queues and loss touch.
struct alignas(64) Tcb {
  // --- line 0: what an arriving segment is compared with ------------------------------------------------------
  FlowKey key;                     // written by publish() alone
  std::uint32_t generation = 0;    // the slab's; odd while in use
  std::uint64_t flags = 0;         // TcbFlag
  Seq snd_una;                     // oldest unacknowledged; snd_una <= snd_nxt
  Seq snd_nxt;                     // next never sent (never pulled back)
  Seq snd_wl1, snd_wl2;            // segment of the last window update
  std::uint32_t snd_wnd = 0;       // offered by the peer, unscaled bytes beyond snd_una at that update (MUST-1, REC-1)
  Seq rcv_nxt;                     // next expected; never goes back
  Seq rcv_adv;                     // right edge offered; never goes back; RCV.WND = rcv_adv - rcv_nxt
  std::uint32_t ts_recent = 0;     // TS.Recent
  Seq last_ack_sent;               // Last.ACK.sent (RFC 7323 section 4.3); what lies up to rcv_nxt awaits an ACK
  State state = State::closed;     // written by set_state() alone
  std::uint8_t snd_wscale = 0;     // shift of windows we receive; 0..14
  std::uint8_t rcv_wscale = 0;     // shift of windows we send; 0..14
  std::uint8_t dup_acks = 0;       // duplicate ACKs in a row; stops at 255

  // --- line 1: sending -------------------------------------------------------------------------------------
  std::uint32_t cwnd = 0;          // bytes; >= snd_mss
  std::uint32_t ssthresh = std::numeric_limits<std::uint32_t>::max();
  std::uint16_t snd_mss = 536;     // payload of a full segment, options of ours already taken off
  std::uint16_t rcv_mss = 536;     // largest segment seen or agreed: when an ACK is due (MUST-58, SHLD-19)
  std::uint16_t handler = 0xffff;  // index of the handler
  std::uint8_t backoff = 0;        // expiries since the last new ACK
  Recovery recovery = Recovery::open;
  std::uint32_t flow_sum = 0;      // checksum of what never changes in this connection
  std::uint32_t ts_offset = 0;     // added to the shard's millisecond clock (RFC 7323 section 5.4)
  Time rtx_deadline = never;       // retransmission or persist
  Time ack_deadline = never;       // delayed ACK
  Extent* send_head = nullptr;     // first extent not wholly acknowledged
  Extent* send_tail = nullptr;
  std::uint32_t send_queued = 0;   // bytes in the queue from snd_una (or iss + 1) on
  std::uint32_t heard_ms = 0;      // last acceptable segment (keep-alive, age of TS.Recent)

  // --- line 2: timers and receiving ---------------------------------------------------------------------------
  ds::TimerNode timer;             // one node: fires at the earliest deadline, or earlier and re-files itself
  Time idle_deadline = never;      // keep-alive, or the end of an orphan's FIN-WAIT-2
  Time app_deadline = never;       // the application's own
  ReceiveBuffer* receive = nullptr;  // null while nothing is unread or out of order
  Flight* flight = nullptr;        // null while at most one segment is in flight, and it was not lost

  // --- line 3: cold -----------------------------------------------------------------------------------------
  Seq iss, irs;                       // initial sequence numbers
  std::uint32_t rtt_time_us = 0;      // without a flight: when what is out left last; microseconds, wrapping
  std::uint32_t max_snd_wnd = 0;      // largest window ever offered (RFC 5961 section 5.2, SWS)
  std::uint32_t srtt_us = 0;          // 0: no sample yet
  std::uint32_t rttvar_us = 0;
  std::uint32_t rto_us = 0;           // without backoff
  std::uint32_t next_free = 0;        // the slab's; the listener's accept queue while accept_pending
  std::uint32_t progress_ms = 0;      // since when nothing new was acknowledged: R2 counts from here
  std::uint32_t challenge_ms = 0;     // start of the second that challenge_sent counts
  std::uint16_t user_timeout_ds = 0;  // tenths of a second; 0: R2
  std::uint16_t retransmits = 0;      // segments sent again; stops at the maximum
  std::uint16_t listener = 0xffff;    // that it came from
  CloseReason close_reason = CloseReason::finished;
  std::uint8_t challenge_sent = 0;
  std::uint8_t keepalive_sent = 0;    // probes since the peer was last heard
  std::uint8_t send_wraps = 0;        // times snd_una passed iss again: bytes_sent beyond 4 GiB
  std::uint8_t receive_wraps = 0;
  CongestionControl congestion = CongestionControl::cubic;

  IcmpError last_icmp_error = IcmpError::none;
  std::uint8_t dscp = 0;              // 0..63; not 0 exactly while marked
  std::uint16_t mss_limit = 536;      // payload, options not taken off, that peer and link allow; snd_mss never exceeds it
  Rare* rare = nullptr;               // null while it has nothing rare
};
static_assert(sizeof(Tcb) == 256);

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Winvalid-offsetof"  // the hook of `timer` has a base class; the layout is plain all the same
/// Where the fields begin that no other thread reads.
inline constexpr std::size_t tcb_private_offset = offsetof(Tcb, flags);
inline constexpr std::size_t tcb_timer_offset = offsetof(Tcb, timer);
static_assert(offsetof(Tcb, cwnd) == 64 && offsetof(Tcb, timer) == 128 && offsetof(Tcb, iss) == 192);
#pragma GCC diagnostic pop
static_assert(std::is_trivially_destructible_v<Tcb>);

}  // namespace handfast::tcp
