// SPDX-License-Identifier: BSD-3-Clause
// Makes packet pools. Layer: dpdk.
#include "dpdk/packet_pool.hpp"

#include <rte_errno.h>

#include <algorithm>
#include <atomic>
#include <string>

#include "dpdk/log_capture.hpp"

namespace handfast::dpdk {

Expected<std::shared_ptr<PacketPool>> PacketPool::create(const Shape& shape) {
  static std::atomic<unsigned> serial{0};
  constexpr std::uint32_t largest_frame = UINT16_MAX - RTE_PKTMBUF_HEADROOM;
  if (shape.frame_bytes > largest_frame || shape.buffers == 0) {
    return tl::unexpected(
        Error{ErrorKind::usage,
              "a packet buffer of " + std::to_string(shape.frame_bytes) + " bytes is not possible",
              "ask for at most " + std::to_string(largest_frame)});
  }
  // The pool asks that its size be at least one and a half times the cache of one core.
  const std::uint32_t cache = std::min<std::uint32_t>(256, shape.buffers / 2);
  const std::string name = "hf_pool" + std::to_string(serial++);
  LogCapture quiet;
  auto* const pool = rte_pktmbuf_pool_create(
      name.c_str(), shape.buffers, cache, 0,
      static_cast<std::uint16_t>(shape.frame_bytes + RTE_PKTMBUF_HEADROOM), shape.socket);
  if (pool == nullptr) {
    const auto mib = (std::uint64_t{shape.buffers} * (shape.frame_bytes + 384)) >> 20;
    return tl::unexpected(Error{ErrorKind::environment,
                                "no memory for " + std::to_string(shape.buffers) + " packet buffers, some " +
                                    std::to_string(mib) + " MiB: " + rte_strerror(rte_errno),
                                "give DPDK more memory, or ask for fewer buffers or queues"});
  }
  return std::make_shared<PacketPool>(pool);
}

}  // namespace handfast::dpdk
