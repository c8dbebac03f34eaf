// SPDX-License-Identifier: BSD-3-Clause
// What a timer's owner embeds: one node, 32 bytes, zero bytes when not armed.
// Layer: ds. Knows nothing of what the timer is for.
#pragma once

#include <boost/intrusive/circular_list_algorithms.hpp>
#include <cstdint>
#include <type_traits>

#include "handfast/time.hpp"

namespace handfast::ds {

namespace detail {
struct TimerLink {
  TimerLink* next = nullptr;
  TimerLink* prev = nullptr;
};

struct TimerLinkTraits {
  using node = TimerLink;
  using node_ptr = TimerLink*;
  using const_node_ptr = const TimerLink*;
  static node_ptr get_next(const_node_ptr n) { return n->next; }
  static void set_next(node_ptr n, node_ptr next) { n->next = next; }
  static node_ptr get_previous(const_node_ptr n) { return n->prev; }
  static void set_previous(node_ptr n, node_ptr previous) { n->prev = previous; }
};
using TimerList = boost::intrusive::circular_list_algorithms<TimerLinkTraits>;
}  // namespace detail

/// Trivially destructible, so that it may live in a slab: the owner cancels it before its memory is reused,
/// and does not move or copy it while armed.
struct TimerNode : private detail::TimerLink {
  Time deadline{};         ///< set by arm(); meaningful while armed
  std::uint16_t kind = 0;  ///< the owner's own: what sort of object the node is in

  [[nodiscard]] bool armed() const { return filed_ != 0; }

 private:
  friend class TimerWheel;
  std::uint16_t filed_ = 0;  // 1 + the number of the bucket; 0: not armed
  std::uint32_t hint_ = 0;   // what to prefetch when this node is taken from its bucket
};
static_assert(sizeof(TimerNode) == 32 && std::is_trivially_destructible_v<TimerNode>);

}  // namespace handfast::ds
