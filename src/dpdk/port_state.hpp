// SPDX-License-Identifier: BSD-3-Clause
// What a Port owns, for the files that make ports; nobody else includes it. Layer: dpdk.
#pragma once

#include <rte_ethdev.h>
#include <rte_ring.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "dpdk/port.hpp"

namespace handfast::dpdk {

/// The rings of a pair, shared by its two ends; the last one to go empties them into the pool.
struct RingSet {
  std::shared_ptr<PacketPool> pool;
  std::vector<rte_ring*> rings;

  RingSet() = default;
  RingSet(const RingSet&) = delete;
  RingSet& operator=(const RingSet&) = delete;
  ~RingSet();
};

struct Port::State {
  PortSpec spec;
  PortOptions options;
  std::uint16_t id = RTE_MAX_ETHPORTS;  ///< RTE_MAX_ETHPORTS: there is no device yet
  std::string device_name;              ///< on the vdev bus; empty for a PCI device
  bool started = false;
  rte_eth_dev_info info{};
  PortTraits traits;
  MacAddress mac;
  std::uint16_t mtu = 0;
  std::optional<Rss> rss;
  std::shared_ptr<PacketPool> pool;
  std::shared_ptr<RingSet> rings;         ///< ring ports only
  std::unique_ptr<State> unclaimed_peer;  ///< the other end of `ring:NAME`, until somebody asks for it

  State() = default;
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State();
  void stop();
};

/// Room for a frame where the port takes larger ones than go over the wire.
inline constexpr std::uint32_t segmentation_frame_bytes = 16384;

/// Configures and starts the device state.id: pool, queues, offloads, RSS, MAC.
[[nodiscard]] Expected<void> start_device(Port::State& state);

/// The end of `ring:NAME` that is still free, or a new pair of which one end stays unclaimed.
[[nodiscard]] Expected<std::unique_ptr<Port::State>> claim_ring_end(const PortSpec& spec,
                                                                    const PortOptions& options);

/// Before the first end goes while its name still waits for the second.
void forget_ring_end(const Port::State& state);

/// Sets a random key and an even table, and reads both back.
[[nodiscard]] Expected<Rss> configure_rss(std::uint16_t port, const rte_eth_dev_info& info,
                                          std::uint16_t queues);

/// True where the device hashes in earnest; null and tap only say so.
[[nodiscard]] bool has_real_rss(const PortSpec& spec, const rte_eth_dev_info& info);

/// From the kernel's generator.
void fill_random(std::span<std::uint8_t> out);
[[nodiscard]] MacAddress random_local_mac();

/// A number of this process for the next device's name.
[[nodiscard]] unsigned next_serial();

}  // namespace handfast::dpdk
