// SPDX-License-Identifier: BSD-3-Clause
// What few connections have, or only while much is on its way: apart from the control block, found by the same number,
// and untouched memory for all others. Layer: tcp. Plain data.
#pragma once

#include <cstdint>

#include "base/seq.hpp"

namespace handfast::tcp {

struct Rare {
  Seq snd_up, rcv_up;                   // first byte behind the urgent data (RFC 9293 section 3.8.5)
  std::uint16_t adv_user_timeout = 0;   // ADV_UTO as in the option; 0: the shard's
  std::uint16_t peer_user_timeout = 0;  // REMOTE_UTO as in the option; 0: none came
  std::uint16_t keepalive_idle_s = 0, keepalive_interval_s = 0;  // 0: the shard's
  std::uint8_t keepalive_probes = 0;                             // 0: the shard's
  std::uint16_t larger_after = 0;       // when a larger path MTU is tried; ticks of path_mtu.cpp, while mss_unsettled
  std::uint32_t path_search = 0xffffffff;  // index of its PathSearch, only while mss_unsettled
  std::uint32_t rcv_limit = 0;          // while rcv_tuned: most bytes that may wait for the application; only grows
  Seq rcv_mark;                         // first byte not taken when the measured round trip began
  std::uint32_t send_wraps_128 = 0, receive_wraps_128 = 0;  // carried over from the block's counts, 128 at a time
  std::uint32_t rcv_mark_time = 0;      // that moment: milliseconds as in our timestamps, or microseconds without them
};

/// Of a connection that never had any of it.
inline constexpr Rare no_rare{};

}  // namespace handfast::tcp
