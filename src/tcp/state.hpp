// SPDX-License-Identifier: BSD-3-Clause
// The one function that writes a connection's state, and the edges it may take (RFC 9293 figure 5). Layer: tcp.
#pragma once

#include <array>
#include <cstdint>

#include "base/assert.hpp"
#include "ds/atomics.hpp"
#include "tcp/tcb.hpp"

namespace handfast::tcp {

namespace detail {
constexpr std::uint16_t to_bits() { return 0; }
template <class... States>
constexpr std::uint16_t to_bits(State first, States... rest) {
  return static_cast<std::uint16_t>(1u << static_cast<unsigned>(first) | to_bits(rest...));
}
}  // namespace detail

/// For each state the states that may follow. CLOSED follows all of them: ABORT, RST and time-outs.
inline constexpr std::array<std::uint16_t, state_count> legal_edges = [] {
  using enum State;
  std::array<std::uint16_t, state_count> edges{};
  const auto from = [&edges](State state) -> std::uint16_t& { return edges[static_cast<std::size_t>(state)]; };
  from(closed) = detail::to_bits(listen, syn_sent, syn_received);
  from(listen) = detail::to_bits(syn_sent, syn_received, closed);
  from(syn_sent) = detail::to_bits(syn_received, established, closed);
  from(syn_received) = detail::to_bits(listen, established, fin_wait_1, closed);
  from(established) = detail::to_bits(fin_wait_1, close_wait, closed);
  from(fin_wait_1) = detail::to_bits(fin_wait_2, closing, time_wait, closed);
  from(fin_wait_2) = detail::to_bits(time_wait, closed);
  from(close_wait) = detail::to_bits(last_ack, closed);
  from(closing) = detail::to_bits(time_wait, closed);
  from(last_ack) = detail::to_bits(closed);
  from(time_wait) = detail::to_bits(closed);
  return edges;
}();

[[nodiscard]] constexpr bool is_legal(State from, State to) {
  return (legal_edges[static_cast<std::size_t>(from)] >> static_cast<unsigned>(to) & 1) != 0;
}

/// Listings on other threads read the state while it changes; a release, as with keys: who reads the state of a slot's next
/// user knows that the last one has left the table.
inline void set_state(Tcb& tcb, State to) {
  HF_ASSERT(is_legal(tcb.state, to));
  ds::Atomics::store(tcb.state, to);
}

}  // namespace handfast::tcp
