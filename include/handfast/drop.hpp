// SPDX-License-Identifier: BSD-3-Clause
// Why a frame or a segment went no further. Every one is counted, none is logged.
// Layer: public values.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace handfast {

enum class Drop : std::uint8_t {
  none,
  // link
  eth_truncated,
  eth_not_for_us,
  eth_unknown_type,
  arp_truncated,
  arp_malformed,
  arp_not_for_us,
  arp_conflict,
  arp_locked,
  neighbour_queue_full,
  neighbour_unreachable,
  // IPv4
  ip_truncated,
  ip_version,
  ip_header_length,
  ip_total_length,
  ip_checksum,
  ip_fragment,
  ip_martian_source,
  ip_not_for_us,
  ip_unknown_protocol,
  ip_source_route,
  // ICMP
  icmp_truncated,
  icmp_checksum,
  icmp_unknown,
  icmp_rate_limited,
  icmp_no_connection,
  icmp_out_of_window,
  icmp_implausible_mtu,
  // TCP, formats
  tcp_truncated,
  tcp_data_offset,
  tcp_checksum,
  tcp_malformed_option,
  tcp_port_zero,
  // TCP, protocol
  tcp_no_connection,
  tcp_rst_rate_limited,
  tcp_out_of_window,
  tcp_unacceptable_ack,
  tcp_no_ack,
  tcp_old_timestamp,
  tcp_rst_not_exact,
  tcp_syn_in_window,
  tcp_challenge_limited,
  tcp_duplicate,
  tcp_out_of_order_full,
  tcp_no_memory,
  tcp_connections_full,
  tcp_backlog_full,
  tcp_accept_queue_full,
  tcp_half_open_full,
  tcp_refused_by_handler,
  tcp_bad_cookie,
  tcp_time_wait,
  tcp_window_full,
  tcp_no_timestamp,
  tcp_authentication,
  // shard
  steering_ring_full,
  tx_no_buffer,
  count_,
};

inline constexpr std::size_t drop_count = static_cast<std::size_t>(Drop::count_);

/// The counter's name, as in telemetry and reports: "tcp_out_of_window".
[[nodiscard]] std::string_view name(Drop reason);

}  // namespace handfast
