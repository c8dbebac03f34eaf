// SPDX-License-Identifier: BSD-3-Clause
// What path MTU discovery has to remember of a connection while its segment size is in doubt, and only then: from a bounded
// pool. Layer: tcp. Plain data; sizes are bytes of datagram, IP and TCP headers included.
#pragma once

#include <cstdint>

#include "base/seq.hpp"

namespace handfast::tcp {

struct PathSearch {
  std::uint32_t next_free = 0;   // the slab's
  std::uint32_t generation = 0;  // the slab's
  Seq proof;                     // a full segment acknowledged beyond this proves the size in use
  Seq doubted;                   // quoted by the error that waits, while claimed != 0
  Seq probe;                     // first byte of the probe in flight, while probe_size != 0
  std::uint32_t probe_after_ms = 0;  // no probe before
  std::uint16_t claimed = 0;     // MTU of an ICMP error that waits for a time-out to confirm it; 0: none
  std::uint16_t probe_size = 0;  // of the probe in flight; 0: none
  std::uint16_t high = 0;        // largest size that may turn out to work; 0: no search is on
  std::uint8_t cuts = 0;         // errors that were believed at once
  bool proven = false;           // a full segment of the size in use has arrived
  bool high_untried = false;     // nothing speaks against `high` itself
  bool black_hole = false;       // the size was cut on suspicion: it counts when smaller segments arrive
};
static_assert(sizeof(PathSearch) <= 40);

}  // namespace handfast::tcp
