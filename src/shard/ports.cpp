// SPDX-License-Identifier: BSD-3-Clause
// Local addresses and ports for active opens: RFC 6056. Layer: shard.
#include "shard/shard.hpp"

namespace handfast::shard {
namespace {
/// Candidates that are looked at in order before giving up; each costs a look-up. The whole range of one address is
/// covered, so that "exhausted" is the truth for it.
constexpr std::uint32_t max_tries_per_address = 65536;
/// With more tuples than that, so many in use one after the other are taken for a long run of them, and left behind.
constexpr std::uint32_t tries_in_a_run = 64;
}  // namespace

std::optional<FlowKey> Shard::choose_tuple(Endpoint remote, Endpoint wanted) {
  const LinkConfig& link = cx_.config.link;
  const TcpConfig& config = cx_.config.tcp;
  const auto is_free = [&](const FlowKey& key) {
    if (mesh_ != nullptr && mesh_->steering().owner(key) != cx_.config.shard) return false;
    return cx_.flows.find(cx_.hasher(key), key) == tcp::npos;
  };
  const std::uint32_t addresses = wanted.address.is_any() ? link.address_count : 1;
  const Ipv4Address base = wanted.address.is_any() ? link.address.address : wanted.address;
  if (wanted.port != 0) {
    for (std::uint32_t i = 0; i < addresses; ++i)
      if (const FlowKey key{{Ipv4Address{base.value + i}, wanted.port}, remote}; is_free(key)) return key;
    return std::nullopt;
  }
  // A destination's ports come in an order of its own (secrets.hpp), its addresses in turn.
  const std::uint64_t destination = siphash13(cx_.secrets.port, remote.address.value, remote.port);
  std::uint32_t& counter = port_counters_[destination % port_counters_.size()];
  const std::uint32_t range = std::uint32_t{config.last_ephemeral_port} - config.first_ephemeral_port + 1;
  const std::uint64_t tuples = std::uint64_t{range} * addresses,
                      tries = std::min<std::uint64_t>(tuples, max_tries_per_address);
  const auto candidate = [&](std::uint32_t n) {
    const Ipv4Address address{base.value + n % addresses};
    const Port port = tcp::nth_port(cx_.secrets, destination ^ address.value, n / addresses,
                                    config.first_ephemeral_port, config.last_ephemeral_port);
    return FlowKey::make(address.value, remote.address.value, std::uint32_t{port} << 16 | remote.port);
  };
  for (std::uint64_t i = 0; i < tries; ++i) {
    if (tries < tuples && i % tries_in_a_run == tries_in_a_run - 1) counter += cx_.rng.below(static_cast<std::uint32_t>(tuples));
    const FlowKey key = candidate(counter++);
    // rfc6056 3.2b: a service's port is not taken for a client's, where there are services.
    if (open_listeners_ != 0 && listener_by_port_[key.ports >> 16] != 0xffff) continue;
    if (!is_free(key)) continue;
    // The bucket of the candidate after this one, for whoever opens the next connection to the same place.
    cx_.flows.prefetch(cx_.hasher(candidate(counter)));
    return key;
  }
  return std::nullopt;
}

}  // namespace handfast::shard
