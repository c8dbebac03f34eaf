// SPDX-License-Identifier: BSD-3-Clause
// One end of the measured path: a Handfast stack or a kernel in a namespace, with bulk senders and sinks on
// it. Layer: bench. It must not know the link nor whether time is virtual.
#pragma once

#include <poll.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "handfast/address.hpp"
#include "handfast/time.hpp"

namespace handfast::paths {

/// What a sink has seen of its connection.
struct Received {
  bool open = false;
  std::uint64_t bytes = 0;
};

class Host {
 public:
  Host(Ipv4Address address, MacAddress mac) : address_(address), mac_(mac) {}
  virtual ~Host() = default;
  Host(const Host&) = delete;

  [[nodiscard]] Ipv4Address address() const { return address_; }
  [[nodiscard]] const MacAddress& mac() const { return mac_; }
  /// Where frames of this host go; set by the world before anything else is called.
  std::function<void(std::span<const std::byte>)> out;

  /// Accepts a connection and drops what it brings, counting it. `received` outlives the host.
  virtual void sink(Port port, Received& received) = 0;
  /// Accepts connections and sends back what they bring.
  virtual void echo(Port port) = 0;
  /// Connects and sends for as long as the host lives.
  virtual void source(Endpoint to) = 0;
  /// Segments that were sent again.
  [[nodiscard]] virtual std::uint64_t retransmits() = 0;

  /// A frame from the link.
  virtual void receive(std::span<const std::byte> frame) = 0;
  virtual void poll(Time now) = 0;
  [[nodiscard]] virtual std::optional<Time> next_deadline() const { return std::nullopt; }
  /// What to wait for, and what came of it.
  virtual void watch(std::vector<pollfd>&) const {}
  virtual void ready(const pollfd&) {}

 private:
  Ipv4Address address_;
  MacAddress mac_;
};

}  // namespace handfast::paths
