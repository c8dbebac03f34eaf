// SPDX-License-Identifier: BSD-3-Clause
// The echo service (RFC 862): what comes in goes out again, no faster than the peer takes it.
// Layer: apps. Knows nothing of ports and command lines.
#pragma once

#include <cstdint>

#include "handfast/conn.hpp"

namespace handfast::apps {

class EchoServer {
 public:
  std::size_t on_data(Conn& c, const RxView& in) {
    const std::size_t sent = c.send(in.bytes());
    bytes_ += sent;
    // What does not fit stays unread, so that our window closes and the peer waits.
    if (sent < in.size()) c.pause_rx();
    return sent;
  }
  void on_writable(Conn& c) { c.resume_rx(); }
  /// Comes after the last byte was consumed, which is when it was queued: the FIN follows all of it.
  void on_peer_fin(Conn& c) { c.close(); }

  [[nodiscard]] std::uint64_t bytes() const { return bytes_; }

 private:
  std::uint64_t bytes_ = 0;
};

}  // namespace handfast::apps
