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

std::optional<Shard::Candidate> Shard::choose_tuple(Endpoint remote, Endpoint wanted) {
  const LinkConfig& link = cx_.config.link;
  const std::uint32_t addresses = wanted.address.is_any() ? link.address_count : 1;
  const Ipv4Address base = wanted.address.is_any() ? link.address.address : wanted.address;
  if (wanted.port == 0) return choose_ephemeral(remote, base, addresses);
  for (std::uint32_t i = 0; i < addresses; ++i) {
    const FlowKey key{{Ipv4Address{base.value + i}, wanted.port}, remote};
    if (mesh_ != nullptr && mesh_->steering().owner(key) != cx_.config.shard) continue;
    const std::uint64_t hash = cx_.hasher(key);
    if (cx_.flows.find(hash, key) == tcp::npos) return Candidate{key, hash};
  }
  return std::nullopt;
}

/// A destination's ports come in an order of its own (secrets.hpp), its addresses in turn.
std::optional<Shard::Candidate> Shard::choose_ephemeral(Endpoint remote, Ipv4Address base, std::uint32_t addresses) {
  const TcpConfig& config = cx_.config.tcp;
  Upcoming& next = upcoming_[(remote.address.value ^ remote.port) % upcoming_.size()];
  if (next.remote != remote || next.base != base || next.addresses != addresses) [[unlikely]] {
    next.remote = remote;
    next.base = base;
    next.addresses = addresses;
    next.count = 0;
    next.destination = siphash13(cx_.secrets.port, remote.address.value, remote.port);
  }
  std::uint32_t& counter = port_counters_[next.destination % port_counters_.size()];
  if (counter != next.first) next.count = 0;  // another destination has used the counter since
  next.first = counter;
  const auto add = [&] {
    const std::uint32_t n = counter + next.count, turn = n / addresses;
    const Ipv4Address address{base.value + (n - turn * addresses)};
    const Port port = tcp::nth_port(cx_.secrets, next.destination ^ address.value, turn, config.first_ephemeral_port, config.last_ephemeral_port);
    Candidate& candidate = next.ring[n % Upcoming::size];
    candidate.key = FlowKey::make(address.value, remote.address.value, std::uint32_t{port} << 16 | remote.port);
    candidate.hash = cx_.hasher(candidate.key);
    cx_.flows.prefetch(candidate.hash);
    ++next.count;
  };
  const std::uint32_t range = std::uint32_t{config.last_ephemeral_port} - config.first_ephemeral_port + 1;
  const std::uint64_t tuples = std::uint64_t{range} * addresses, tries = std::min<std::uint64_t>(tuples, max_tries_per_address);
  for (std::uint64_t i = 0; i < tries; ++i) {
    if (tries < tuples && i % tries_in_a_run == tries_in_a_run - 1) [[unlikely]] {
      counter += cx_.rng.below(static_cast<std::uint32_t>(tuples));
      next.count = 0;
    }
    if (next.count == 0) [[unlikely]] add();
    const Candidate candidate = next.ring[counter % Upcoming::size];
    next.first = ++counter;
    --next.count;
    // Those that come after it, for whoever opens the next connections to the same place.
    while (next.count < Upcoming::size - 1) add();
    // rfc6056 3.2b: a service's port is not taken for a client's, where there are services.
    if (open_listeners_ != 0 && listener_by_port_[candidate.key.ports >> 16] != 0xffff) continue;
    if (mesh_ != nullptr && mesh_->steering().owner(candidate.key) != cx_.config.shard) continue;
    if (cx_.flows.find(candidate.hash, candidate.key) == tcp::npos) return candidate;
  }
  return std::nullopt;
}

}  // namespace handfast::shard
