// SPDX-License-Identifier: BSD-3-Clause
// The straight line of delivery.cpp, for whoever has a verdict in hand. Layer: shard.
#pragma once

#include "shard/shard.hpp"

namespace handfast::shard {

/// `tcb` is in hand, and is not any more afterwards.
[[gnu::always_inline]] inline void Shard::deliver_to(tcp::Tcb& tcb, const tcp::Verdict& verdict, void*& handle) {
  if (verdict.established) deliver_established(tcb);
  const bool notices = has(tcb, tcp::accept_pending | tcp::notice) && deliver_seldom(tcb, verdict);
  if (verdict.data_length != 0) deliver_text(tcb, {verdict.data, verdict.data_length}, handle);
  if (notices) [[unlikely]] in_view_ = {};
  if (verdict.readable && tcb.receive != nullptr) [[unlikely]] deliver_held(tcb);
  if (verdict.acked != 0 && handlers_[tcb.handler].ops.on_sent != nullptr) deliver_sent(tcb, verdict.acked);
  const std::uint64_t flags = tcb.flags;
  if ((flags & (tcp::want_writable | tcp::app_timer_due)) != 0 || (flags & (tcp::fin_received | tcp::eof_delivered)) == tcp::fin_received)
    deliver_flags(tcb);
  clear(tcb, tcp::in_hand);
  if ((tcb.flags & (tcp::in_table | tcp::ended)) != tcp::in_table) depart(tcb);
}

}  // namespace handfast::shard
