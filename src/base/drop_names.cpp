// SPDX-License-Identifier: BSD-3-Clause
// The counters' names of the drop reasons. Layer: base.
// The table pairs each reason with its name, so that a new reason without a name does not compile.
#include <array>

#include "handfast/drop.hpp"

namespace handfast {
namespace {

struct Entry {
  Drop reason;
  std::string_view name;
};

// clang-format off
constexpr auto names = std::to_array<Entry>({
    {Drop::none, "none"},
    {Drop::eth_truncated, "eth_truncated"},
    {Drop::eth_not_for_us, "eth_not_for_us"},
    {Drop::eth_unknown_type, "eth_unknown_type"},
    {Drop::arp_truncated, "arp_truncated"},
    {Drop::arp_malformed, "arp_malformed"},
    {Drop::arp_not_for_us, "arp_not_for_us"},
    {Drop::arp_conflict, "arp_conflict"},
    {Drop::arp_locked, "arp_locked"},
    {Drop::neighbour_queue_full, "neighbour_queue_full"},
    {Drop::neighbour_unreachable, "neighbour_unreachable"},
    {Drop::ip_truncated, "ip_truncated"},
    {Drop::ip_version, "ip_version"},
    {Drop::ip_header_length, "ip_header_length"},
    {Drop::ip_total_length, "ip_total_length"},
    {Drop::ip_checksum, "ip_checksum"},
    {Drop::ip_fragment, "ip_fragment"},
    {Drop::ip_martian_source, "ip_martian_source"},
    {Drop::ip_not_for_us, "ip_not_for_us"},
    {Drop::ip_unknown_protocol, "ip_unknown_protocol"},
    {Drop::ip_source_route, "ip_source_route"},
    {Drop::icmp_truncated, "icmp_truncated"},
    {Drop::icmp_checksum, "icmp_checksum"},
    {Drop::icmp_unknown, "icmp_unknown"},
    {Drop::icmp_rate_limited, "icmp_rate_limited"},
    {Drop::icmp_no_connection, "icmp_no_connection"},
    {Drop::icmp_out_of_window, "icmp_out_of_window"},
    {Drop::icmp_implausible_mtu, "icmp_implausible_mtu"},
    {Drop::tcp_truncated, "tcp_truncated"},
    {Drop::tcp_data_offset, "tcp_data_offset"},
    {Drop::tcp_checksum, "tcp_checksum"},
    {Drop::tcp_malformed_option, "tcp_malformed_option"},
    {Drop::tcp_port_zero, "tcp_port_zero"},
    {Drop::tcp_no_connection, "tcp_no_connection"},
    {Drop::tcp_rst_rate_limited, "tcp_rst_rate_limited"},
    {Drop::tcp_out_of_window, "tcp_out_of_window"},
    {Drop::tcp_unacceptable_ack, "tcp_unacceptable_ack"},
    {Drop::tcp_no_ack, "tcp_no_ack"},
    {Drop::tcp_old_timestamp, "tcp_old_timestamp"},
    {Drop::tcp_rst_not_exact, "tcp_rst_not_exact"},
    {Drop::tcp_syn_in_window, "tcp_syn_in_window"},
    {Drop::tcp_challenge_limited, "tcp_challenge_limited"},
    {Drop::tcp_duplicate, "tcp_duplicate"},
    {Drop::tcp_out_of_order_full, "tcp_out_of_order_full"},
    {Drop::tcp_no_memory, "tcp_no_memory"},
    {Drop::tcp_connections_full, "tcp_connections_full"},
    {Drop::tcp_backlog_full, "tcp_backlog_full"},
    {Drop::tcp_accept_queue_full, "tcp_accept_queue_full"},
    {Drop::tcp_half_open_full, "tcp_half_open_full"},
    {Drop::tcp_refused_by_handler, "tcp_refused_by_handler"},
    {Drop::tcp_bad_cookie, "tcp_bad_cookie"},
    {Drop::tcp_time_wait, "tcp_time_wait"},
    {Drop::tcp_window_full, "tcp_window_full"},
    {Drop::tcp_no_timestamp, "tcp_no_timestamp"},
    {Drop::tcp_authentication, "tcp_authentication"},
    {Drop::steering_ring_full, "steering_ring_full"},
    {Drop::tx_no_buffer, "tx_no_buffer"},
});
// clang-format on

static_assert(names.size() == drop_count, "a drop reason without a name, or the other way round");
static_assert(
    [] {
      for (std::size_t i = 0; i < names.size(); ++i) {
        if (static_cast<std::size_t>(names[i].reason) != i) return false;
      }
      return true;
    }(),
    "the table must stand in the order of the enumeration");

}  // namespace

std::string_view name(Drop reason) {
  const auto index = static_cast<std::size_t>(reason);
  return index < names.size() ? names[index].name : std::string_view{"unknown"};
}

}  // namespace handfast
