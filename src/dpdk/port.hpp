// SPDX-License-Identifier: BSD-3-Clause
// One port with its queues and its packet pool, from the words that name it to the end of its scope.
// Layer: dpdk. Must not know what the frames mean; DpdkIo moves them.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "dpdk/packet_pool.hpp"
#include "dpdk/port_spec.hpp"
#include "handfast/address.hpp"
#include "handfast/error.hpp"
#include "handfast/time.hpp"

namespace handfast::dpdk {

struct PortOptions {
  std::uint16_t queues = 1;                ///< pairs of a receive and a transmit queue, one for each core
  std::uint16_t descriptors = 1024;        ///< for each queue; 512 to 1024 is what pays
  std::uint32_t buffers_per_queue = 8192;  ///< sized to what is in flight: more makes caches miss
  std::uint32_t buffer_bytes = 0;          ///< room for a frame in one buffer; 0: what the MTU needs
  std::uint16_t mtu = 0;            ///< bytes of an IP packet; 0: 1500, or less where the port has less
  std::optional<MacAddress> mac{};  ///< absent: the device's, or a random local one
  bool offloads = true;             ///< let the port do the checksums that it can
  bool segmentation = false;        ///< TSO, where the port can; a ring hands large segments over whole. Either makes
                                    ///< the buffers larger (16 KiB, where buffer_bytes does not say)
  Duration peer_wait = std::chrono::seconds{10};  ///< for the socket of virtio and of a memif client
  const std::atomic<bool>* stop = nullptr;        ///< ends the wait early when it turns true
};

/// How the port spreads flows over queues: the queue is reta[toeplitz(key, tuple) % reta.size()].
struct Rss {
  bool ports = true;  ///< the tuple has both port numbers; false: the addresses alone
  std::vector<std::uint8_t> key;
  std::vector<std::uint16_t> reta;
};

/// What a queue's I/O object has to know of its port.
struct PortTraits {
  std::uint8_t tx_offloads = 0;  ///< wire::TxOffload bits that the port does, tx_whole among them
  bool rx_ip_checksum = false;   ///< flags on the IP header's sum may be believed
  bool rx_tcp_checksum = false;  ///< and those on TCP's
  bool rx_none_is_good = false;  ///< NONE: intact, but without a sum in the data (vhost, virtio, tap)
};

struct PortStats {
  std::uint64_t rx_frames = 0, tx_frames = 0;
  std::uint64_t rx_missed = 0;     ///< the queue was full
  std::uint64_t rx_no_buffer = 0;  ///< the pool was empty
  std::uint64_t rx_errors = 0, tx_errors = 0;
};

/// A started port. Move-only; the I/O objects of its queues must be gone before it is.
/// When two ends of one link live in one process, the order of closing matters: see close_in_order.
class Port {
 public:
  /// Needs a running Eal. A virtio port or memif client waits until its peer is there. `ring:NAME` makes both
  /// ends at the first call, and the second call with that name returns the other end.
  [[nodiscard]] static Expected<Port> create(const PortSpec& spec, const PortOptions& options);

  Port(Port&&) noexcept;
  Port& operator=(Port&&) noexcept;
  Port(const Port&) = delete;
  ~Port();

  [[nodiscard]] std::uint16_t id() const;
  [[nodiscard]] const PortSpec& spec() const;
  [[nodiscard]] std::uint16_t queues() const;
  [[nodiscard]] MacAddress mac() const;     ///< ours, never that of the kernel's end of a TAP
  [[nodiscard]] std::uint16_t mtu() const;  ///< bytes of an IP packet
  [[nodiscard]] const PortTraits& traits() const;
  [[nodiscard]] const std::shared_ptr<PacketPool>& pool() const;
  /// Present where the device really hashes (none of the virtual ones does); key and table as read back.
  [[nodiscard]] const std::optional<Rss>& rss() const;

  [[nodiscard]] bool link_up() const;
  /// Until the link is up; false after `limit`, or when `stop` turns true.
  [[nodiscard]] bool wait_link(Duration limit, const std::atomic<bool>* stop = nullptr) const;
  [[nodiscard]] PortStats stats() const;
  /// No more frames in either direction. For the order of closing; the destructor does it too.
  void stop();

  struct State;
  explicit Port(std::unique_ptr<State> state);

 private:
  std::unique_ptr<State> state_;
};

/// Two ports joined by rings: what one sends on queue i the other receives on queue i, the very same buffer.
/// Each direction of each queue has one producer and one consumer. They share one pool.
[[nodiscard]] Expected<std::pair<Port, Port>> make_ring_pair(const PortOptions& options);

/// Stops all, then closes virtio before vhost (which would pull the socket away under it), and memif clients
/// last (a memif server of DPDK 22.11 can crash when its client goes first).
void close_in_order(std::vector<Port>& ports);

}  // namespace handfast::dpdk
