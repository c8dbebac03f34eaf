// SPDX-License-Identifier: BSD-3-Clause
// What goes first when the shard's memory is used up: connections whose peers have let nothing leave for long, be it that
// they are silent or that they keep their window shut (RFC 9293 section 3.8.6.1 leaves it to us). Layer: shard.
#include <algorithm>

#include "shard/shard.hpp"

namespace handfast::shard {
namespace {

/// It holds memory, and its timer has expired again and again with nothing acknowledged since.
bool is_stuck(const tcp::Tcb& tcb) {
  if ((tcb.generation & 1) == 0 || has(tcb, tcp::ended) || !has(tcb, tcp::in_table)) return false;
  return tcb.send_queued != 0 && tcb.backoff >= shed_backoff;
}

}  // namespace

/// Each is reset and ends with no_memory. A few looks at a time: nobody else waits for it.
void Shard::shed_stuck() {
  if (cx_.now < shed_next_) return;
  shed_next_ = cx_.now + shed_interval;
  const std::uint32_t all = cx_.tcbs.high_water();
  for (std::uint32_t looks = std::min(all, max_shed_looks); looks != 0 && !tcp::has_send_memory(cx_); --looks) {
    if (shed_at_ >= all) shed_at_ = 0;
    tcp::Tcb& tcb = cx_.tcbs[shed_at_++];
    if (is_stuck(tcb)) tcp::abort(cx_, tcb, CloseReason::no_memory);
  }
}

}  // namespace handfast::shard
