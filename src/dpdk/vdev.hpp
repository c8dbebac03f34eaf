// SPDX-License-Identifier: BSD-3-Clause
// From a port's words to a driver's arguments, and from a driver's silence to a sentence.
// Layer: dpdk, but no rte_* type. Must not touch devices: it looks at paths, names and rights only.
#pragma once

#include <string>

#include "dpdk/machine.hpp"
#include "dpdk/port_spec.hpp"
#include "handfast/error.hpp"

namespace handfast::dpdk {

struct Vdev {
  std::string name;       ///< "net_tap3": the driver's name and a number of this process
  std::string arguments;  ///< "iface=hf0,..."
};

/// The device to plug in for a spec of any kind but ring and pci.
[[nodiscard]] Vdev vdev_for(const PortSpec& spec, unsigned queues, unsigned serial);

/// What can be known to be wrong before the driver is asked: names, paths, rights. A dead vhost socket of a
/// process that is gone is removed here.
[[nodiscard]] Expected<void> preflight(const PortSpec& spec, unsigned queues, const MachineFacts& facts);

/// Why the device did not come, from the spec, the rights and the last line of DPDK's log.
[[nodiscard]] Error explain_failure(const PortSpec& spec, const MachineFacts& facts,
                                    const std::string& last_line);

/// True where the port waits for another process's socket: virtio, and a memif client.
[[nodiscard]] bool needs_peer_socket(const PortSpec& spec);

/// True once that socket is there and accepts us as far as the file's mode tells.
[[nodiscard]] bool peer_socket_present(const PortSpec& spec);

/// The peer did not come within the time.
[[nodiscard]] Error peer_missing(const PortSpec& spec, const std::string& waited);

}  // namespace handfast::dpdk
