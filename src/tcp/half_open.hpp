// SPDX-License-Identifier: BSD-3-Clause
// A passive connection in SYN-RECEIVED: what a SYN left us, and no more. Layer: tcp.
// It becomes a Tcb when the third segment of the handshake arrives and the listener has room.
#pragma once

#include <cstddef>

#include "base/seq.hpp"
#include "ds/timer_wheel.hpp"
#include "tcp/flow_slot.hpp"
#include "wire/tcp.hpp"

namespace handfast::tcp {

/// What both SYNs agreed on; the same from a half-open entry or out of a SYN cookie.
struct Handshake {
  Seq iss, irs;
  std::uint32_t ts_recent = 0;
  std::uint32_t ts_offset = 0;
  std::uint32_t snd_wnd = 0;         // window of the peer's SYN, never scaled
  std::uint32_t rcv_wnd = 0;         // window of our SYN-ACK, never scaled
  std::uint16_t peer_mss = 536;      // after the floor
  std::uint8_t snd_wscale = 0;       // peer's shift, at most 14
  bool wscale = false, timestamps = false, sack = false, ecn = false;
};

struct alignas(64) HalfOpen {
  FlowKey key;
  std::uint32_t generation = 0;
  Handshake handshake;
  std::uint32_t flow_sum = 0;
  std::uint32_t next_free = 0;
  std::uint16_t listener = 0xffff;
  std::uint8_t retries = 0;           // SYN-ACKs sent again since the peer's last SYN
  bool sent_again = false;            // more than one SYN-ACK was sent: an answer could be to either
  bool answered = false;              // its third segment came and found no room: it is not forged
  std::uint8_t challenge_sent = 0;    // in the second that began at challenge_ms
  std::uint32_t challenge_ms = 0;
  std::uint32_t sent_us = 0;          // when the SYN-ACK left: the first RTT sample, unless sent_again
  ds::TimerNode timer;
  std::uint32_t list_previous = 0xffffffff, list_next = 0xffffffff;  // of the listener, to close it
};
static_assert(sizeof(HalfOpen) <= 128);

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Winvalid-offsetof"
inline constexpr std::size_t half_open_timer_offset = offsetof(HalfOpen, timer);
#pragma GCC diagnostic pop

}  // namespace handfast::tcp
