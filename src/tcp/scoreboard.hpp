// SPDX-License-Identifier: BSD-3-Clause
// What the peer's SACK blocks said (RFC 2018, RFC 6675): allocated with the first block, given back when all is
// acknowledged. Layer: tcp.
#pragma once

#include "ds/range_set.hpp"
#include "tcp/tcb.hpp"

namespace handfast::tcp {

/// Most ranges remembered; further ones are ignored, which costs retransmissions and nothing else (sec C10).
inline constexpr unsigned max_sacked_ranges = 64;

struct Scoreboard {
  ds::RangeSet<max_sacked_ranges> sacked;  // inside (snd_una, snd_nxt]
};

}  // namespace handfast::tcp
