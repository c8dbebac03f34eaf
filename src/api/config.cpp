// SPDX-License-Identifier: BSD-3-Clause
// The ranges that the comments in config.hpp give, checked. Layer: api.
#include "handfast/config.hpp"

#include "tcp/receive_buffer.hpp"
#include "tcp/receive_chunks.hpp"

namespace handfast {
namespace {

template <class T>
std::string text(T value) {
  if constexpr (std::is_same_v<T, Duration>)
    return std::to_string(value / 1ms) + " ms";
  else
    return std::to_string(value);
}

/// Collects the first field that is out of range.
class Checker {
 public:
  template <class T>
  void range(const char* field, T value, std::type_identity_t<T> least, std::type_identity_t<T> most) {
    if (error_ || (value >= least && value <= most)) return;
    error_ = Error{ErrorKind::usage, std::string{field} + " is " + text(value),
                   "give a value from " + text(least) + " to " + text(most)};
  }
  void require(bool holds, const char* what, const char* remedy) {
    if (!error_ && !holds) error_ = Error{ErrorKind::usage, what, remedy};
  }
  [[nodiscard]] std::optional<Error> result() const { return error_; }

 private:
  std::optional<Error> error_;
};

void check_tcp(Checker& check, const TcpConfig& tcp, const LinkConfig& link) {
  const auto path_mss = static_cast<std::uint16_t>(link.mtu - 40);
  if (tcp.mss != 0) check.range("tcp.mss", tcp.mss, std::uint16_t{88}, path_mss);
  check.range("tcp.initial_window", tcp.initial_window, 1u, 64u);
  check.range("tcp.min_send_mss", tcp.min_send_mss, std::uint16_t{48}, std::uint16_t{536});
  check.range("tcp.base_path_mtu", tcp.base_path_mtu, std::uint16_t{296}, std::uint16_t{1500});
  check.range("tcp.rto_min", tcp.rto_min, Duration{1ms}, tcp.rto_max);
  check.range("tcp.rto_initial", tcp.rto_initial, tcp.rto_min, tcp.rto_max);
  check.range("tcp.rto_max", tcp.rto_max, Duration{100ms}, Duration{1h});
  check.range("tcp.connect_timeout", tcp.connect_timeout, Duration{100ms}, Duration{1h});
  check.range("tcp.r2_timeout", tcp.r2_timeout, Duration{1s}, Duration{24h});
  check.range("tcp.r1_retries", tcp.r1_retries, std::uint8_t{1}, std::uint8_t{255});
  check.range("tcp.user_timeout", tcp.user_timeout, Duration{1s}, Duration{6553s});
  check.range("tcp.user_timeout_most", tcp.user_timeout_most, Duration{1s}, Duration{6553s});
  // rfc5482 3.1: the lower limit MUST be larger than the RTO.
  if (tcp.user_timeout_option)
    check.range("tcp.user_timeout_least", tcp.user_timeout_least, tcp.rto_max + 1s, tcp.user_timeout_most);
  check.range("tcp.delayed_ack", tcp.delayed_ack, Duration{0}, Duration{200ms});
  check.range("tcp.override_timeout", tcp.override_timeout, Duration{100ms}, Duration{1s});
  check.range("tcp.receive_buffer", tcp.receive_buffer, 2048u, tcp::max_receive_buffer);
  check.range("tcp.receive_buffer_initial", tcp.receive_buffer_initial, 2048u, tcp::max_receive_buffer);
  check.range("tcp.send_buffer", tcp.send_buffer, 2048u, 1u << 30);
  check.range("tcp.msl", tcp.msl, Duration{1ms}, Duration{4min});
  check.range("tcp.fin_wait_2_timeout", tcp.fin_wait_2_timeout, Duration{10ms}, Duration{1h});
  check.range("tcp.orphan_retries", tcp.orphan_retries, std::uint8_t{1}, std::uint8_t{15});
  check.range("tcp.syn_ack_retries", tcp.syn_ack_retries, std::uint8_t{0}, std::uint8_t{10});
  check.range("tcp.challenge_acks_per_second", tcp.challenge_acks_per_second, std::uint8_t{1}, std::uint8_t{255});
  check.range("tcp.keepalive_idle", tcp.keepalive_idle, Duration{10ms}, Duration{240h});
  check.range("tcp.keepalive_interval", tcp.keepalive_interval, Duration{10ms}, Duration{1h});
  check.range("tcp.first_ephemeral_port", tcp.first_ephemeral_port, Port{1}, tcp.last_ephemeral_port);
}

constexpr std::uint16_t largest_mtu = 9216;
// The least memory has room for a frame to be kept, and for one to be sent as well.
static_assert(tcp::chunks_for(largest_mtu) <= tcp::most_for_receiving(tcp::least_chunks));
static_assert(tcp::chunks_for(largest_mtu) <= tcp::receive_reserve);

void check_link(Checker& check, const LinkConfig& link) {
  check.range("link.mtu", link.mtu, std::uint16_t{576}, largest_mtu);
  check.range("link.address.length", link.address.length, std::uint8_t{1}, std::uint8_t{32});
  check.range("link.address_count", link.address_count, 1u, 65536u);
  const Ipv4Address first = link.address.address;
  const Ipv4Address last{first.value + (link.address_count - 1)};
  check.require(!first.is_any() && !first.is_loopback() && !first.is_multicast() && !first.is_reserved(),
                "link.address cannot be a host's address", "give one like 10.0.0.2/24");
  check.require(link.address.contains(last) && !link.address.is_broadcast(last),
                "the addresses of link.address_count do not fit into the network",
                "take fewer, or a larger network such as 10.0.0.2/16");
  check.require(!link.gateway || link.address.contains(*link.gateway), "the gateway is not in the network of link.address",
                "give a gateway inside it");
  check.require(!link.mac.is_group() && !link.mac.is_zero(), "link.mac cannot be a host's address",
                "give one like 02:00:00:00:00:01");
  check.range("link.ttl", link.ttl, std::uint8_t{1}, std::uint8_t{255});
}

void check_limits(Checker& check, const Limits& limits) {
  constexpr std::uint32_t most = 1u << 28;
  check.range("limits.connections", limits.connections, 1u, most);
  check.range("limits.half_open", limits.half_open, 0u, most);
  check.range("limits.time_wait", limits.time_wait, 0u, most);
  check.range("limits.listeners", limits.listeners, 1u, 65534u);
  check.range("limits.handlers", limits.handlers, 1u, 65534u);
  check.range("limits.state_bytes", limits.state_bytes, 0u, 4096u);
  check.range("limits.somaxconn", limits.somaxconn, 1u, most);
  check.range("limits.posts", limits.posts, 1u, 1u << 20);
  check.range("limits.buffer_memory", limits.buffer_memory, std::uint64_t{tcp::least_chunks} * tcp::chunk_bytes, std::uint64_t{1} << 42);
  check.range("limits.send_extents", limits.send_extents, 1u, most);
  check.range("limits.paths", limits.paths, 0u, most);
  check.range("limits.path_searches", limits.path_searches, 0u, most);
  check.range("limits.fast_open_servers", limits.fast_open_servers, 0u, 65536u);
  check.range("limits.recovery_blocks", limits.recovery_blocks, 1u, most);
}

}  // namespace

std::optional<Error> validate(const CoreConfig& config) {
  Checker check;
  check_link(check, config.link);
  check_tcp(check, config.tcp, config.link);
  check_limits(check, config.limits);
  check.range("shard_count", config.shard_count, std::uint16_t{1}, std::uint16_t{64});
  check.require(config.shard < config.shard_count, "shard is not below shard_count", "number shards from 0");
  return check.result();
}

}  // namespace handfast
