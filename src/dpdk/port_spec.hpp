// SPDX-License-Identifier: BSD-3-Clause
// The words that name a port: "tap:hf0", "memif:/run/a.sock,role=server", "pci:0000:03:00.0".
// Layer: dpdk, but pure text: no rte_* type, no look at the machine. Must not know how a port is made.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "handfast/error.hpp"

namespace handfast::dpdk {

enum class PortKind : std::uint8_t { ring, vhost, virtio, memif, tap, veth, xdp, pcap, null, pci };

/// Which end of a memif socket we are: the server makes the socket, the client comes to it.
enum class MemifRole : std::uint8_t { client, server };

/// What the user typed, taken apart. Extras are handed to the driver as they are and win over our own.
struct PortSpec {
  PortKind kind = PortKind::null;
  std::string target;    ///< pair name, socket path, interface, input file or PCI address; empty for null
  std::string pcap_out;  ///< pcap only: the file for what we send; may be empty
  MemifRole role = MemifRole::client;  ///< memif only
  std::vector<std::pair<std::string, std::string>> extras;

  /// Any text in; a spec, or an Error of kind usage that lists the words.
  [[nodiscard]] static Expected<PortSpec> parse(std::string_view text);
  /// The text that parse() turns into this spec again.
  [[nodiscard]] std::string to_string() const;
  /// The value of an extra, or nullptr.
  [[nodiscard]] const std::string* extra(std::string_view key) const;

  friend bool operator==(const PortSpec&, const PortSpec&) = default;
};

/// "tap", "memif", ...
[[nodiscard]] std::string_view word(PortKind kind);

/// One line for each word and what follows it, for help texts and errors.
[[nodiscard]] std::string_view port_words();

}  // namespace handfast::dpdk
