// SPDX-License-Identifier: BSD-3-Clause
// What the three kinds of flow have in common, so that one look-up finds any: a control block, a half-open entry,
// a TIME-WAIT entry. Each begins with its key and the slab's generation. Layer: tcp. Other threads read both
// (listings); the owner alone writes them.
#pragma once

#include <cstdint>

#include "base/flow_key.hpp"
#include "ds/atomics.hpp"
#include "handfast/conn.hpp"

namespace handfast::tcp {

/// The kind stands in the two upper bits of the flow table's slot, the index in the rest.
enum class FlowKind : std::uint32_t { connection = 0, half_open = 1, time_wait = 2 };

struct FlowSlot {
  static constexpr std::uint32_t kind_shift = 30;
  static constexpr std::uint32_t index_mask = (1u << kind_shift) - 1;

  [[nodiscard]] static constexpr std::uint32_t make(FlowKind kind, std::uint32_t index) {
    return static_cast<std::uint32_t>(kind) << kind_shift | index;
  }
  [[nodiscard]] static constexpr FlowKind kind(std::uint32_t slot) { return static_cast<FlowKind>(slot >> kind_shift); }
  [[nodiscard]] static constexpr std::uint32_t index(std::uint32_t slot) { return slot & index_mask; }
};

/// Stores a key so that a listing on another thread reads whole words, and that whoever reads one of them knows what
/// happened before: that the slot's last user has left the table.
template <class Access = ds::Atomics>
void publish(FlowKey& to, const FlowKey& from) {
  Access::store(to.local_address, from.local_address);
  Access::store(to.remote_address, from.remote_address);
  Access::store(to.ports, from.ports);
}

/// The reader's side of publish().
template <class Access = ds::Atomics>
[[nodiscard]] FlowKey observe(FlowKey& from) {
  FlowKey key;
  key.local_address = Access::load(from.local_address);
  key.remote_address = Access::load(from.remote_address);
  key.ports = Access::load(from.ports);
  return key;
}

}  // namespace handfast::tcp
