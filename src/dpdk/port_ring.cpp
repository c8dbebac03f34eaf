// SPDX-License-Identifier: BSD-3-Clause
// Two ports in one process, joined by rings. Layer: dpdk. Must not know who polls them.
#include <rte_errno.h>
#include <rte_eth_ring.h>

#include <map>
#include <mutex>
#include <string>

#include "dpdk/port_state.hpp"

namespace handfast::dpdk {

namespace {

constexpr std::uint16_t most_ring_queues = 16;  // of the driver

/// Pairs made by name of which one end is still to be claimed.
struct Waiting {
  std::mutex mutex;
  std::map<std::string, Port::State*> first_ends;
};

Waiting& waiting() {
  static Waiting instance;
  return instance;
}

Error ring_error(const std::string& what) {
  return {ErrorKind::environment, "no ring pair: " + what, "give DPDK more memory, or ask for fewer queues"};
}

Expected<std::shared_ptr<RingSet>> make_rings(const PortOptions& options, std::shared_ptr<PacketPool> pool) {
  auto set = std::make_shared<RingSet>();
  set->pool = std::move(pool);
  const auto serial = next_serial();
  for (unsigned i = 0; i < 2u * options.queues; ++i) {
    const auto name = "hf_ring" + std::to_string(serial) + "_" + std::to_string(i);
    // One core at each end of each ring, so neither side needs an atomic exchange.
    auto* const ring = rte_ring_create(name.c_str(), rte_align32pow2(options.descriptors), SOCKET_ID_ANY,
                                       RING_F_SP_ENQ | RING_F_SC_DEQ);
    if (ring == nullptr) return tl::unexpected(ring_error(rte_strerror(rte_errno)));
    set->rings.push_back(ring);
  }
  return set;
}

/// An Ethernet device over rings [receive_from, +queues) and [send_to, +queues) of the set.
Expected<std::unique_ptr<Port::State>> make_end(const PortSpec& spec, const PortOptions& options,
                                                const std::shared_ptr<RingSet>& set, std::size_t receive_from,
                                                std::size_t send_to) {
  auto state = std::make_unique<Port::State>();
  state->spec = spec;
  state->options = options;
  state->pool = set->pool;
  state->rings = set;
  const auto name = "hf" + std::to_string(next_serial());
  const int id = rte_eth_from_rings(name.c_str(), set->rings.data() + receive_from, options.queues,
                                    set->rings.data() + send_to, options.queues, 0);
  if (id < 0) return tl::unexpected(ring_error(rte_strerror(rte_errno)));
  state->id = static_cast<std::uint16_t>(id);
  char device_name[RTE_ETH_NAME_MAX_LEN] = {};
  if (rte_eth_dev_get_name_by_port(state->id, device_name) == 0) state->device_name = device_name;
  if (auto started = start_device(*state); !started) return tl::unexpected(started.error());
  return state;
}

using Ends = std::pair<std::unique_ptr<Port::State>, std::unique_ptr<Port::State>>;

Expected<Ends> make_ends(const PortSpec& spec, const PortOptions& options) {
  if (options.queues == 0 || options.queues > most_ring_queues) {
    return tl::unexpected(Error{ErrorKind::usage,
                                "a ring port cannot have " + std::to_string(options.queues) + " queues",
                                "ask for 1 to " + std::to_string(most_ring_queues) + " cores"});
  }
  // One pool for both ends: what one end receives it can send again at once.
  const auto mtu = options.mtu != 0 ? options.mtu : 1500u;
  const std::uint32_t usual = options.segmentation ? segmentation_frame_bytes : std::max(2048u, mtu + 64u);
  const std::uint32_t room = options.buffer_bytes != 0 ? options.buffer_bytes : usual;
  auto pool =
      PacketPool::create({.buffers = 2 * options.queues * options.buffers_per_queue, .frame_bytes = room});
  if (!pool) return tl::unexpected(pool.error());
  auto rings = make_rings(options, *pool);
  if (!rings) return tl::unexpected(rings.error());
  auto a = make_end(spec, options, *rings, 0, options.queues);
  if (!a) return tl::unexpected(a.error());
  auto b = make_end(spec, options, *rings, options.queues, 0);
  if (!b) return tl::unexpected(b.error());
  return Ends{std::move(*a), std::move(*b)};
}

}  // namespace

RingSet::~RingSet() {
  for (auto* const ring : rings) {
    void* left = nullptr;
    while (rte_ring_sc_dequeue(ring, &left) == 0) rte_pktmbuf_free(static_cast<rte_mbuf*>(left));
    rte_ring_free(ring);
  }
}

Expected<std::unique_ptr<Port::State>> claim_ring_end(const PortSpec& spec, const PortOptions& options) {
  auto& names = waiting();
  const std::scoped_lock lock(names.mutex);
  if (const auto found = names.first_ends.find(spec.target); found != names.first_ends.end()) {
    auto* const first = found->second;
    if (first->options.queues != options.queues) {
      return tl::unexpected(Error{ErrorKind::usage,
                                  "the two ends of " + spec.to_string() + " differ in their number of queues",
                                  "use as many cores on one as on the other"});
    }
    names.first_ends.erase(found);
    return std::move(first->unclaimed_peer);
  }
  auto ends = make_ends(spec, options);
  if (!ends) return tl::unexpected(ends.error());
  ends->first->unclaimed_peer = std::move(ends->second);
  names.first_ends[spec.target] = ends->first.get();
  return std::move(ends->first);
}

void forget_ring_end(const Port::State& state) {
  auto& names = waiting();
  const std::scoped_lock lock(names.mutex);
  std::erase_if(names.first_ends, [&](const auto& entry) { return entry.second == &state; });
}

Expected<std::pair<Port, Port>> make_ring_pair(const PortOptions& options) {
  PortSpec spec;
  spec.kind = PortKind::ring;
  spec.target = "pair";
  auto ends = make_ends(spec, options);
  if (!ends) return tl::unexpected(ends.error());
  return std::pair<Port, Port>{Port(std::move(ends->first)), Port(std::move(ends->second))};
}

}  // namespace handfast::dpdk
