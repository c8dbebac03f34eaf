// SPDX-License-Identifier: BSD-3-Clause
// EAL and ports for the yardstick; see ports.hpp. Layer: bench.
#include "ports.hpp"

#include <rte_bus.h>
#include <rte_dev.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_eth_ring.h>
#include <rte_ethdev.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

namespace floor_bench {
namespace {

constexpr std::uint16_t descriptors = 512;
constexpr unsigned ring_places = 2048, pool_buffers = 8191, pool_cache = 512, memory_mib = 128;
constexpr int most_tries = 100;  // of 100 ms

bool huge_pages_can_be_had() {
  constexpr std::size_t bytes = std::size_t{memory_mib} << 20;
  void* const at = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);
  if (at == MAP_FAILED) return false;
  munmap(at, bytes);
  return true;
}

void start_port(std::uint16_t port, rte_mempool* pool) {
  const rte_eth_conf configuration{};
  if (rte_eth_dev_configure(port, 1, 1, &configuration) < 0 ||
      rte_eth_rx_queue_setup(port, 0, descriptors, 0, nullptr, pool) < 0 ||
      rte_eth_tx_queue_setup(port, 0, descriptors, 0, nullptr) < 0 || rte_eth_dev_start(port) < 0)
    give_up("a port did not start");
}

}  // namespace

void give_up(const std::string& what) {
  std::fprintf(stderr, "floor-bench: %s: %s\n", what.c_str(), rte_strerror(rte_errno));
  std::_Exit(3);
}

void start_eal(unsigned processor, const std::string& prefix, const std::vector<std::string>& extra) {
  std::vector<std::string> words{"floor-bench", "--no-pci", "--no-telemetry", "--log-level=4", "-m", std::to_string(memory_mib),
                                 "--lcores", "0@" + std::to_string(processor), "--file-prefix", prefix};
  const std::vector<std::string> huge{"--in-memory", "--single-file-segments"}, ordinary{"--no-huge", "--no-shconf"};
  const auto& memory = huge_pages_can_be_had() ? huge : ordinary;
  words.insert(words.end(), memory.begin(), memory.end());
  words.insert(words.end(), extra.begin(), extra.end());
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  if (rte_eal_init(static_cast<int>(words.size()), argv.data()) < 0) give_up("DPDK did not start");
}

rte_mempool* make_pool() {
  rte_mempool* pool = rte_pktmbuf_pool_create("floor", pool_buffers, pool_cache, 0, RTE_MBUF_DEFAULT_BUF_SIZE, 0);
  if (pool == nullptr) give_up("no memory for packets");
  return pool;
}

RingPair make_ring_pair(rte_mempool* pool) {
  constexpr unsigned one_each = RING_F_SP_ENQ | RING_F_SC_DEQ;
  rte_ring* a = rte_ring_create("a", ring_places, 0, one_each);
  rte_ring* b = rte_ring_create("b", ring_places, 0, one_each);
  if (a == nullptr || b == nullptr) give_up("no memory for rings");
  const int client = rte_eth_from_rings("client", &a, 1, &b, 1, 0);
  const int server = rte_eth_from_rings("server", &b, 1, &a, 1, 0);
  if (client < 0 || server < 0) give_up("no ring ports");
  start_port(static_cast<std::uint16_t>(client), pool);
  start_port(static_cast<std::uint16_t>(server), pool);
  return {static_cast<std::uint16_t>(client), static_cast<std::uint16_t>(server), b};
}

std::vector<std::string> device_arguments(Link link, bool server, const std::string& socket) {
  if (link == Link::virtio)
    return server ? std::vector<std::string>{"--vdev", "net_vhost0,queues=1,iface=" + socket} : std::vector<std::string>{};
  const std::string role = server ? "server" : "client";
  return {"--vdev", "net_memif0,rsize=10,socket-abstract=no,role=" + role + ",socket=" + socket};
}

std::uint16_t start_end(Link link, bool server, const std::string& socket, rte_mempool* pool) {
  if (link == Link::virtio && !server) {
    // The socket is there once the other end has configured its port.
    const std::string how = "path=" + socket + ",queues=1,queue_size=1024";
    int tries = 0;
    while (access(socket.c_str(), F_OK) != 0 && ++tries < most_tries) usleep(100'000);
    if (rte_eal_hotplug_add("vdev", "net_virtio_user0", how.c_str()) != 0) give_up("no virtio port");
  }
  const std::uint16_t port = 0;
  if (rte_eth_dev_count_avail() == 0) give_up("no port came up");
  start_port(port, pool);
  rte_eth_link state{};
  for (int i = 0; i < most_tries; ++i) {
    if (rte_eth_link_get_nowait(port, &state) == 0 && state.link_status != 0) return port;
    usleep(100'000);
  }
  give_up("the link did not come up");
}

}  // namespace floor_bench
