// SPDX-License-Identifier: BSD-3-Clause
// The discard service (RFC 863): takes everything, counts it, says nothing.
// Layer: apps. Knows nothing of ports and command lines.
#pragma once

#include <cstdint>

#include "handfast/conn.hpp"

namespace handfast::apps {

class DiscardServer {
 public:
  std::size_t on_data(Conn&, const RxView& in) {
    bytes_ += in.size();
    return in.size();
  }
  void on_peer_fin(Conn& c) { c.close(); }

  [[nodiscard]] std::uint64_t bytes() const { return bytes_; }

 private:
  std::uint64_t bytes_ = 0;
};

}  // namespace handfast::apps
