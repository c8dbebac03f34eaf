// SPDX-License-Identifier: BSD-3-Clause
// States and reasons in words. Layer: api.
#include <array>

#include "handfast/conn.hpp"

namespace handfast {

std::string_view name(State state) {
  constexpr std::array<std::string_view, state_count> names{
      "CLOSED",     "LISTEN",     "SYN-SENT",   "SYN-RECEIVED", "ESTABLISHED", "FIN-WAIT-1",
      "FIN-WAIT-2", "CLOSE-WAIT", "CLOSING",    "LAST-ACK",     "TIME-WAIT"};
  return names[static_cast<std::size_t>(state)];
}

std::string_view name(IcmpError error) {
  constexpr std::array<std::string_view, static_cast<std::size_t>(IcmpError::count_)> names{
      "none", "network_unreachable", "host_unreachable", "protocol_unreachable", "port_unreachable",
      "source_route_failed", "prohibited", "time_exceeded", "parameter_problem"};
  return names[static_cast<std::size_t>(error)];
}

std::string_view name(CloseReason reason) {
  constexpr std::array<std::string_view, static_cast<std::size_t>(CloseReason::count_)> names{
      "finished",  "reset_by_peer",       "refused",              "connect_timed_out", "timed_out", "keepalive_timed_out",
      "fin_wait_2_timed_out", "unreachable", "aborted", "unread_data", "no_memory", "stopped"};
  return names[static_cast<std::size_t>(reason)];
}

}  // namespace handfast
