// SPDX-License-Identifier: BSD-3-Clause
// Receive-side scaling: a key that nobody outside knows, and what the device made of it. Layer: dpdk.
#include <sys/random.h>

#include <string>

#include "dpdk/port_state.hpp"

namespace handfast::dpdk {

namespace {

constexpr std::size_t usual_key_bytes = 40;

tl::unexpected<Error> failed(std::uint16_t port, const char* what, int code) {
  return tl::unexpected(
      Error{ErrorKind::environment,
            "port " + std::to_string(port) + " would not " + what + ": " + rte_strerror(-code),
            "use one queue, or another device"});
}

}  // namespace

void fill_random(std::span<std::uint8_t> out) {
  while (!out.empty()) {
    const auto got = getrandom(out.data(), out.size(), 0);
    if (got > 0) out = out.subspan(static_cast<std::size_t>(got));
  }
}

MacAddress random_local_mac() {
  MacAddress mac;
  fill_random(mac.bytes);
  mac.bytes[0] =
      static_cast<std::uint8_t>((mac.bytes[0] & 0xfcu) | 0x02u);  // one station, locally administered
  return mac;
}

bool has_real_rss(const PortSpec& spec, const rte_eth_dev_info& info) {
  return spec.kind == PortKind::pci && info.reta_size != 0 &&
         (info.flow_type_rss_offloads & (RTE_ETH_RSS_IPV4 | RTE_ETH_RSS_NONFRAG_IPV4_TCP)) != 0;
}

Expected<Rss> configure_rss(std::uint16_t port, const rte_eth_dev_info& info, std::uint16_t queues) {
  Rss rss;
  rss.key.resize(info.hash_key_size != 0 ? info.hash_key_size : usual_key_bytes);
  fill_random(rss.key);
  rte_eth_rss_conf conf{};
  conf.rss_key = rss.key.data();
  conf.rss_key_len = static_cast<std::uint8_t>(rss.key.size());
  conf.rss_hf = info.flow_type_rss_offloads & RTE_ETH_RSS_NONFRAG_IPV4_TCP;
  if (conf.rss_hf == 0) conf.rss_hf = info.flow_type_rss_offloads & RTE_ETH_RSS_IPV4;
  // Some devices keep a key of their own; the one that is read back below is the one that counts.
  static_cast<void>(rte_eth_dev_rss_hash_update(port, &conf));

  std::vector<rte_eth_rss_reta_entry64> table((info.reta_size + RTE_ETH_RETA_GROUP_SIZE - 1u) /
                                              RTE_ETH_RETA_GROUP_SIZE);
  for (std::uint16_t i = 0; i < info.reta_size; ++i) {
    table[i / RTE_ETH_RETA_GROUP_SIZE].mask |= RTE_BIT64(i % RTE_ETH_RETA_GROUP_SIZE);
    table[i / RTE_ETH_RETA_GROUP_SIZE].reta[i % RTE_ETH_RETA_GROUP_SIZE] =
        static_cast<std::uint16_t>(i % queues);
  }
  static_cast<void>(rte_eth_dev_rss_reta_update(port, table.data(), info.reta_size));

  if (const int code = rte_eth_dev_rss_hash_conf_get(port, &conf); code != 0) {
    return failed(port, "tell its RSS key", code);
  }
  if (const int code = rte_eth_dev_rss_reta_query(port, table.data(), info.reta_size); code != 0) {
    return failed(port, "tell its RSS table", code);
  }
  rss.key.resize(conf.rss_key_len != 0 ? std::min<std::size_t>(conf.rss_key_len, rss.key.size())
                                       : rss.key.size());
  rss.ports = (conf.rss_hf & RTE_ETH_RSS_NONFRAG_IPV4_TCP) != 0;
  rss.reta.reserve(info.reta_size);
  for (std::uint16_t i = 0; i < info.reta_size; ++i) {
    rss.reta.push_back(table[i / RTE_ETH_RETA_GROUP_SIZE].reta[i % RTE_ETH_RETA_GROUP_SIZE]);
  }
  return rss;
}

}  // namespace handfast::dpdk
