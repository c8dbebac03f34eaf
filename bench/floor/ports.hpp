// SPDX-License-Identifier: BSD-3-Clause
// EAL and ports for the yardstick: rings crossed in one process, memif or vhost/virtio between two. Layer: bench.
// Its own few lines of DPDK, so that a change of Handfast's ports does not move the yardstick with it.
#pragma once

#include <rte_mempool.h>
#include <rte_ring.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace floor_bench {

enum class Link : std::uint8_t { memif, virtio };

/// Says what failed and ends the program: 3.
[[noreturn]] void give_up(const std::string& what);

/// Huge pages where enough are free, else ordinary ones.
void start_eal(unsigned processor, const std::string& prefix, const std::vector<std::string>& extra);
[[nodiscard]] rte_mempool* make_pool();

struct RingPair {
  std::uint16_t client, server;
  rte_ring* to_server;
};
[[nodiscard]] RingPair make_ring_pair(rte_mempool* pool);

/// EAL's words for one end of the link; the client of a virtio link is plugged in later.
[[nodiscard]] std::vector<std::string> device_arguments(Link link, bool server, const std::string& socket);
/// The port of one end, with its link up.
[[nodiscard]] std::uint16_t start_end(Link link, bool server, const std::string& socket, rte_mempool* pool);

}  // namespace floor_bench
