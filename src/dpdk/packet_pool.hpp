// SPDX-License-Identifier: BSD-3-Clause
// A pool of packet buffers, owned. Layer: dpdk. Must not know which port draws from it.
#pragma once

#include <rte_mbuf.h>
#include <rte_mempool.h>

#include <cstdint>
#include <memory>

#include "handfast/error.hpp"

namespace handfast::dpdk {

/// Safe to draw from and give back to on any thread. Shared by a port, its queues' I/O objects, and the other
/// end of a ring pair; the last of them frees it.
class PacketPool {
 public:
  struct Shape {
    std::uint32_t buffers = 8192;
    std::uint32_t frame_bytes = 2048;  ///< what fits into one buffer behind the headroom
    int socket = 0;                    ///< NUMA node
  };

  [[nodiscard]] static Expected<std::shared_ptr<PacketPool>> create(const Shape& shape);
  explicit PacketPool(rte_mempool* pool) : pool_(pool) {}
  ~PacketPool() { rte_mempool_free(pool_); }
  PacketPool(const PacketPool&) = delete;
  PacketPool& operator=(const PacketPool&) = delete;

  [[nodiscard]] rte_mempool* get() const { return pool_; }
  /// Buffers that are out: in rings, in caches of I/O objects, with the application. Walks the pool's caches.
  [[nodiscard]] std::uint32_t in_use() const { return rte_mempool_in_use_count(pool_); }
  [[nodiscard]] std::uint32_t size() const { return pool_->size; }
  [[nodiscard]] std::uint32_t frame_bytes() const {
    return static_cast<std::uint32_t>(rte_pktmbuf_data_room_size(pool_)) - RTE_PKTMBUF_HEADROOM;
  }

 private:
  rte_mempool* pool_;
};

}  // namespace handfast::dpdk
