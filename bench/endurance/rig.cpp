// SPDX-License-Identifier: BSD-3-Clause
// Loss by a receive callback of the port, sums over the packet pools, /proc; see rig.hpp. Layer: bench.
#include "rig.hpp"

#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <rte_mempool.h>
#include <sys/prctl.h>

#include <cstdio>
#include <cstdlib>

#include "dpdk/dpdk_io.hpp"

namespace handfast::endurance {
namespace {

std::uint16_t on_receive(std::uint16_t, std::uint16_t, rte_mbuf** packets, std::uint16_t count, std::uint16_t,
                         void* loss) {
  return static_cast<Loss*>(loss)->filter(reinterpret_cast<void**>(packets), count);
}

}  // namespace

Loss::Loss(double share, std::uint64_t seed)
    : below_(static_cast<std::uint64_t>(share * 4294967296.0)), state_(seed | 1) {
  for (std::uint16_t port = 0; port < RTE_MAX_ETHPORTS && hook_count_ < most_ports; ++port) {
    if (rte_eth_dev_is_valid_port(port) == 0) continue;
    const void* callback = rte_eth_add_rx_callback(port, 0, &on_receive, this);
    if (callback == nullptr) {
      std::fputs("DPDK was built without receive callbacks: no loss is possible.\n", stderr);
      std::exit(3);
    }
    hooks_[hook_count_++] = {port, callback};
  }
}

Loss::~Loss() {
  for (std::uint16_t i = 0; i < hook_count_; ++i)
    rte_eth_remove_rx_callback(hooks_[i].port, 0, static_cast<const rte_eth_rxtx_callback*>(hooks_[i].callback));
}

std::uint16_t Loss::filter(void** packets, std::uint16_t count) {
  std::uint16_t kept = 0;
  for (std::uint16_t i = 0; i < count; ++i) {
    state_ ^= state_ << 13;  // Marsaglia's xorshift: one frame in a hundred needs no more
    state_ ^= state_ >> 7;
    state_ ^= state_ << 17;
    if ((state_ >> 32) < below_) {
      rte_pktmbuf_free(static_cast<rte_mbuf*>(packets[i]));
      ++lost_;
    } else {
      packets[kept++] = packets[i];
    }
  }
  frames_ += count;
  return kept;
}

std::size_t buffers_out() {
  std::size_t out = 0;
  rte_mempool_walk(
      [](rte_mempool* pool, void* sum) { *static_cast<std::size_t*>(sum) += rte_mempool_in_use_count(pool); }, &out);
  return out;
}

std::size_t buffers_kept_warm() { return 2 * dpdk::DpdkIo::cache_limit; }

std::size_t resident_kib() {
  std::size_t kib = 0;
  std::FILE* file = std::fopen("/proc/self/status", "r");
  if (file == nullptr) return 0;
  for (char line[256]; std::fgets(line, sizeof line, file) != nullptr;)
    if (std::sscanf(line, "VmRSS: %zu kB", &kib) == 1) break;
  std::fclose(file);
  return kib;
}

void use_small_pages() { static_cast<void>(prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0)); }

}  // namespace handfast::endurance
