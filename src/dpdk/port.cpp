// SPDX-License-Identifier: BSD-3-Clause
// Finds or plugs in the device of a port, waits for its peer, and takes it away again. Layer: dpdk.
#include "dpdk/port.hpp"

#include <rte_bus_vdev.h>
#include <rte_cycles.h>
#include <rte_dev.h>
#include <rte_ethdev.h>

#include <algorithm>
#include <string>
#include <thread>

#include "dpdk/log_capture.hpp"
#include "dpdk/port_state.hpp"
#include "dpdk/vdev.hpp"

namespace handfast::dpdk {

namespace {

using Steady = std::chrono::steady_clock;

constexpr auto retry_every = std::chrono::milliseconds{50};
constexpr auto memif_settle = std::chrono::milliseconds{20};
constexpr auto poll_every = std::chrono::milliseconds{1};

bool stopped(const std::atomic<bool>* stop) {
  return stop != nullptr && stop->load(std::memory_order_relaxed);
}

std::string seconds_text(Duration limit) {
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(limit).count();
  return ms % 1000 == 0 ? std::to_string(ms / 1000) + " s" : std::to_string(ms) + " ms";
}

/// Plugs the device in; the last line of DPDK's log in `said` where that fails. EAL may hide a failed probe,
/// so only a port of that name counts.
bool plug_in(Port::State& state, const Vdev& vdev, std::string& said) {
  LogCapture capture;
  const int code = rte_eal_hotplug_add("vdev", vdev.name.c_str(), vdev.arguments.c_str());
  if (code == 0 && rte_eth_dev_get_port_by_name(vdev.name.c_str(), &state.id) == 0) {
    state.device_name = vdev.name;
    return true;
  }
  state.id = RTE_MAX_ETHPORTS;
  said = capture.last_line();
  return false;
}

Expected<void> plug_in_when_peer_is_there(Port::State& state, const MachineFacts& facts) {
  const auto deadline = Steady::now() + state.options.peer_wait;
  std::string said;
  bool tried = false;
  while (true) {
    if (peer_socket_present(state.spec)) {
      if (plug_in(state, vdev_for(state.spec, state.options.queues, next_serial()), said)) return {};
      tried = true;
    }
    if (Steady::now() >= deadline || stopped(state.options.stop)) break;
    std::this_thread::sleep_for(retry_every);
  }
  if (tried) return tl::unexpected(explain_failure(state.spec, facts, said));
  return tl::unexpected(peer_missing(state.spec, seconds_text(state.options.peer_wait)));
}

Expected<void> find_pci(Port::State& state, const MachineFacts& facts) {
  const auto& target = state.spec.target;
  const auto address = target.size() == 7 ? "0000:" + target : target;
  if (rte_eth_dev_get_port_by_name(address.c_str(), &state.id) == 0) return {};
  LogCapture capture;
  const int code = rte_eal_hotplug_add("pci", address.c_str(), "");
  if (code == 0 && rte_eth_dev_get_port_by_name(address.c_str(), &state.id) == 0) return {};
  state.id = RTE_MAX_ETHPORTS;
  return tl::unexpected(explain_failure(state.spec, facts, capture.last_line()));
}

Expected<void> attach(Port::State& state, const MachineFacts& facts) {
  if (state.spec.kind == PortKind::pci) return find_pci(state, facts);
  if (needs_peer_socket(state.spec)) return plug_in_when_peer_is_there(state, facts);
  std::string said;
  if (plug_in(state, vdev_for(state.spec, state.options.queues, next_serial()), said)) return {};
  return tl::unexpected(explain_failure(state.spec, facts, said));
}

Expected<void> check_options(const PortSpec& spec, const PortOptions& options) {
  if (options.queues == 0 || options.descriptors == 0 ||
      options.buffers_per_queue < 2u * options.descriptors) {
    return tl::unexpected(Error{ErrorKind::usage,
                                "the port " + spec.to_string() + " cannot work with " +
                                    std::to_string(options.queues) + " queues of " +
                                    std::to_string(options.descriptors) + " descriptors and " +
                                    std::to_string(options.buffers_per_queue) + " buffers each",
                                "one queue or more, and at least two buffers for each descriptor"});
  }
  return {};
}

}  // namespace

unsigned next_serial() {
  static std::atomic<unsigned> serial{0};
  return serial++;
}

void Port::State::stop() {
  if (!started) return;
  LogCapture quiet;
  rte_eth_dev_stop(id);
  started = false;
}

Port::State::~State() {
  if (unclaimed_peer != nullptr) forget_ring_end(*this);
  unclaimed_peer.reset();
  if (id == RTE_MAX_ETHPORTS) return;
  stop();
  LogCapture quiet;
  rte_eth_dev_close(id);
  if (!device_name.empty()) rte_eal_hotplug_remove("vdev", device_name.c_str());
}

Port::Port(std::unique_ptr<State> state) : state_(std::move(state)) {}
Port::Port(Port&&) noexcept = default;
Port& Port::operator=(Port&&) noexcept = default;
Port::~Port() = default;

Expected<Port> Port::create(const PortSpec& spec, const PortOptions& options) {
  if (auto sane = check_options(spec, options); !sane) return tl::unexpected(sane.error());
  if (spec.kind == PortKind::ring) {
    auto end = claim_ring_end(spec, options);
    if (!end) return tl::unexpected(end.error());
    return Port(std::move(*end));
  }
  const auto facts = probe_resources();
  if (auto possible = preflight(spec, options.queues, facts); !possible)
    return tl::unexpected(possible.error());
  auto state = std::make_unique<State>();
  state->spec = spec;
  state->options = options;
  if (auto attached = attach(*state, facts); !attached) return tl::unexpected(attached.error());
  if (auto started = start_device(*state); !started) return tl::unexpected(started.error());
  Port port(std::move(state));
  if (needs_peer_socket(spec) && !port.wait_link(options.peer_wait, options.stop)) {
    return tl::unexpected(peer_missing(spec, seconds_text(options.peer_wait)));
  }
  return port;
}

std::uint16_t Port::id() const { return state_->id; }
const PortSpec& Port::spec() const { return state_->spec; }
std::uint16_t Port::queues() const { return state_->options.queues; }
MacAddress Port::mac() const { return state_->mac; }
std::uint16_t Port::mtu() const { return state_->mtu; }
const PortTraits& Port::traits() const { return state_->traits; }
const std::shared_ptr<PacketPool>& Port::pool() const { return state_->pool; }
const std::optional<Rss>& Port::rss() const { return state_->rss; }
void Port::stop() { state_->stop(); }

bool Port::link_up() const {
  rte_eth_link link{};
  return rte_eth_link_get_nowait(state_->id, &link) == 0 && link.link_status == RTE_ETH_LINK_UP;
}

bool Port::wait_link(Duration limit, const std::atomic<bool>* stop) const {
  const auto deadline = Steady::now() + limit;
  while (!link_up()) {
    if (Steady::now() >= deadline || stopped(stop)) return false;
    std::this_thread::sleep_for(poll_every);
  }
  return true;
}

PortStats Port::stats() const {
  rte_eth_stats raw{};
  if (rte_eth_stats_get(state_->id, &raw) != 0) return {};
  return {.rx_frames = raw.ipackets,
          .tx_frames = raw.opackets,
          .rx_missed = raw.imissed,
          .rx_no_buffer = raw.rx_nombuf,
          .rx_errors = raw.ierrors,
          .tx_errors = raw.oerrors};
}

void close_in_order(std::vector<Port>& ports) {
  const auto rank = [](const Port& port) {
    switch (port.spec().kind) {
      case PortKind::virtio:
        return 0;
      case PortKind::vhost:
        return 2;
      case PortKind::memif:
        return port.spec().role == MemifRole::server ? 1 : 3;
      case PortKind::ring:
      case PortKind::tap:
      case PortKind::veth:
      case PortKind::xdp:
      case PortKind::pcap:
      case PortKind::null:
      case PortKind::pci:
        break;
    }
    return 1;
  };
  std::stable_sort(ports.begin(), ports.end(), [&](auto& a, auto& b) { return rank(a) > rank(b); });
  for (auto at = ports.rbegin(); at != ports.rend(); ++at) {
    at->stop();
    // The other end learns of it on DPDK's interrupt thread, which frees what our own stop() would free too.
    if (at->spec().kind == PortKind::memif) std::this_thread::sleep_for(memif_settle);
  }
  while (!ports.empty()) ports.pop_back();
}

}  // namespace handfast::dpdk
