// SPDX-License-Identifier: BSD-3-Clause
// From a device that is there to a port that runs: queues, pool, MTU, MAC, and only those offloads that the
// device reports. Layer: dpdk. Must not know how the device was found.
#include <rte_errno.h>
#include <rte_ethdev.h>

#include <algorithm>
#include <string>

#include "dpdk/log_capture.hpp"
#include "dpdk/port_state.hpp"
#include "wire/frame.hpp"

namespace handfast::dpdk {

namespace {

constexpr std::uint32_t usual_mtu = 1500;
constexpr std::uint32_t usual_frame_bytes = 2048;
constexpr std::uint32_t ethernet_overhead = 14 + 4;  // header and frame check sequence
constexpr std::uint32_t link_overhead = 14 + 4 + 4;  // Ethernet header, VLAN tag, frame check sequence

tl::unexpected<Error> refused(const Port::State& state, const char* step, int code, const std::string& said) {
  std::string what =
      "the port " + state.spec.to_string() + " refused to " + step + ": " + rte_strerror(-code);
  if (!said.empty()) what += " (" + said + ")";
  return tl::unexpected(
      Error{ErrorKind::environment, std::move(what), "check its words, its queues and its MTU"});
}

Expected<void> check_queues(const Port::State& state) {
  const auto most = std::min(state.info.max_rx_queues, state.info.max_tx_queues);
  if (state.options.queues <= most) return {};
  return tl::unexpected(Error{ErrorKind::usage,
                              "the port " + state.spec.to_string() + " has " + std::to_string(most) +
                                  " queues, and " + std::to_string(state.options.queues) + " were asked for",
                              "ask for at most " + std::to_string(most) + " cores"});
}

Expected<void> choose_mtu(Port::State& state) {
  // Drivers without a limit of their own for it (memif) still have one for the frame.
  const std::uint32_t by_frame = std::max(state.info.max_rx_pktlen, link_overhead) - ethernet_overhead;
  const std::uint32_t most =
      state.info.max_mtu == UINT16_MAX ? std::min<std::uint32_t>(by_frame, UINT16_MAX) : state.info.max_mtu;
  if (state.options.mtu == 0) {
    state.mtu = static_cast<std::uint16_t>(std::min(usual_mtu, most));
    return {};
  }
  if (state.options.mtu < state.info.min_mtu || state.options.mtu > most) {
    return tl::unexpected(Error{
        ErrorKind::usage,
        "the port " + state.spec.to_string() + " cannot have an MTU of " + std::to_string(state.options.mtu),
        "ask for " + std::to_string(state.info.min_mtu) + " to " + std::to_string(most)});
  }
  state.mtu = state.options.mtu;
  return {};
}

Expected<void> make_pool(Port::State& state) {
  if (state.pool != nullptr) return {};
  const auto& options = state.options;
  std::uint32_t bytes = options.buffer_bytes;
  if (bytes == 0) {
    bytes = std::max(usual_frame_bytes, state.mtu + link_overhead);
    if ((state.traits.tx_offloads & wire::tx_tcp_segmentation) != 0)
      bytes = std::max(bytes, segmentation_frame_bytes);
  }
  const int socket = rte_eth_dev_socket_id(state.id);
  auto pool = PacketPool::create({.buffers = options.queues * options.buffers_per_queue,
                                  .frame_bytes = bytes,
                                  .socket = socket < 0 ? 0 : socket});
  if (!pool) return tl::unexpected(pool.error());
  state.pool = std::move(*pool);
  return {};
}

rte_eth_conf choose_offloads(Port::State& state) {
  rte_eth_conf conf{};
  conf.rxmode.mtu = state.mtu;
  const auto rx = state.info.rx_offload_capa;
  const auto tx = state.info.tx_offload_capa;
  if (state.options.offloads) {
    conf.rxmode.offloads = rx & (RTE_ETH_RX_OFFLOAD_IPV4_CKSUM | RTE_ETH_RX_OFFLOAD_TCP_CKSUM);
    conf.txmode.offloads = tx & (RTE_ETH_TX_OFFLOAD_IPV4_CKSUM | RTE_ETH_TX_OFFLOAD_TCP_CKSUM);
    // TSO writes new headers, so it is of use only together with the TCP sum.
    if (state.options.segmentation && (tx & RTE_ETH_TX_OFFLOAD_TCP_CKSUM) != 0) {
      conf.txmode.offloads |= tx & RTE_ETH_TX_OFFLOAD_TCP_TSO;
    }
  }
  // Every buffer we send is whole, ours alone and of the port's one pool.
  if (state.spec.kind == PortKind::pci) conf.txmode.offloads |= tx & RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE;
  if (has_real_rss(state.spec, state.info)) conf.rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;

  auto& traits = state.traits;
  const auto on = conf.txmode.offloads;
  if ((on & RTE_ETH_TX_OFFLOAD_IPV4_CKSUM) != 0) traits.tx_offloads |= wire::tx_ip_checksum;
  if ((on & RTE_ETH_TX_OFFLOAD_TCP_CKSUM) != 0) traits.tx_offloads |= wire::tx_tcp_checksum;
  if ((on & RTE_ETH_TX_OFFLOAD_TCP_TSO) != 0) traits.tx_offloads |= wire::tx_tcp_segmentation;
  // Both ends of a ring are made together, with the same options: what one sends whole the other takes.
  if (state.spec.kind == PortKind::ring && state.options.segmentation) traits.tx_offloads |= wire::tx_whole;
  traits.rx_ip_checksum = (conf.rxmode.offloads & RTE_ETH_RX_OFFLOAD_IPV4_CKSUM) != 0;
  traits.rx_tcp_checksum = (conf.rxmode.offloads & RTE_ETH_RX_OFFLOAD_TCP_CKSUM) != 0;
  traits.rx_none_is_good = state.spec.kind == PortKind::vhost || state.spec.kind == PortKind::virtio ||
                           state.spec.kind == PortKind::tap;
  return conf;
}

Expected<void> set_up_queues(Port::State& state, const rte_eth_conf& conf, const LogCapture& log) {
  const auto id = state.id;
  const auto queues = state.options.queues;
  if (const int code = rte_eth_dev_configure(id, queues, queues, &conf); code != 0) {
    return refused(state, "be configured", code, log.last_line());
  }
  std::uint16_t rx_descriptors = state.options.descriptors;
  std::uint16_t tx_descriptors = state.options.descriptors;
  if (const int code = rte_eth_dev_adjust_nb_rx_tx_desc(id, &rx_descriptors, &tx_descriptors); code != 0) {
    return refused(state, "take that number of descriptors", code, log.last_line());
  }
  const int where = rte_eth_dev_socket_id(id);
  const auto socket = static_cast<unsigned>(where < 0 ? SOCKET_ID_ANY : where);
  for (std::uint16_t queue = 0; queue < queues; ++queue) {
    auto rx = state.info.default_rxconf;
    rx.offloads = conf.rxmode.offloads;
    if (const int code = rte_eth_rx_queue_setup(id, queue, rx_descriptors, socket, &rx, state.pool->get());
        code != 0) {
      return refused(state, "make a receive queue", code, log.last_line());
    }
    auto tx = state.info.default_txconf;
    tx.offloads = conf.txmode.offloads;
    if (const int code = rte_eth_tx_queue_setup(id, queue, tx_descriptors, socket, &tx); code != 0) {
      return refused(state, "make a transmit queue", code, log.last_line());
    }
  }
  return {};
}

/// The device's own address where the wire behind it knows it; a random one where it is only ours.
void choose_mac(Port::State& state) {
  const auto kind = state.spec.kind;
  const bool device_counts = kind == PortKind::pci || kind == PortKind::veth || kind == PortKind::xdp;
  rte_ether_addr address{};
  if (device_counts && rte_eth_macaddr_get(state.id, &address) == 0) {
    std::copy(std::begin(address.addr_bytes), std::end(address.addr_bytes), state.mac.bytes.begin());
  }
  if (!state.options.mac) {
    // A TAP's device address is that of the kernel's end; with it as ours both ends would have the same.
    if (state.mac.is_zero()) state.mac = random_local_mac();
    return;
  }
  const bool same = state.mac == *state.options.mac;
  state.mac = *state.options.mac;
  if (!device_counts || same) return;
  std::copy(state.mac.bytes.begin(), state.mac.bytes.end(), std::begin(address.addr_bytes));
  if (rte_eth_dev_default_mac_addr_set(state.id, &address) != 0) {
    static_cast<void>(rte_eth_promiscuous_enable(state.id));
  }
}

}  // namespace

Expected<void> start_device(Port::State& state) {
  LogCapture log;
  if (const int code = rte_eth_dev_info_get(state.id, &state.info); code != 0) {
    return refused(state, "tell what it can do", code, log.last_line());
  }
  if (auto ok = check_queues(state); !ok) return ok;
  if (auto ok = choose_mtu(state); !ok) return ok;
  const auto conf = choose_offloads(state);
  if (auto ok = make_pool(state); !ok) return ok;
  if (auto ok = set_up_queues(state, conf, log); !ok) return ok;
  if (const int code = rte_eth_dev_start(state.id); code != 0)
    return refused(state, "start", code, log.last_line());
  state.started = true;
  choose_mac(state);
  if (has_real_rss(state.spec, state.info)) {
    auto rss = configure_rss(state.id, state.info, state.options.queues);
    if (!rss) return tl::unexpected(rss.error());
    state.rss = std::move(*rss);
  }
  return {};
}

}  // namespace handfast::dpdk
