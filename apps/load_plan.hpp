// SPDX-License-Identifier: BSD-3-Clause
// What a load test is to do, in all or on one core. Layer: apps. Values only; knows nothing of command lines.
#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <string_view>

#include "handfast/address.hpp"
#include "handfast/time.hpp"

namespace handfast::apps {

struct LoadPlan {
  static constexpr std::uint64_t unlimited = std::numeric_limits<std::uint64_t>::max();

  Endpoint target;

  /// The bytes of each request but a connection's last one, and of the last one; static while the test runs.
  std::string_view request;
  std::string_view last_request;
  bool http = true;  ///< the answer ends where HTTP says; else after answer_bytes
  std::uint64_t answer_bytes = 0;
  std::uint32_t requests = 1;  ///< by connection, one after the other; at least 1

  bool server_closes = false;  ///< the client waits for the server's FIN, and closes then
  bool reset = false;          ///< the client ends with RST instead of FIN

  std::uint64_t rate = 0;           ///< open loop: starts per second; 0: closed loop
  std::uint64_t concurrency = 256;  ///< closed loop: connections that are kept going
  std::uint64_t count = unlimited;  ///< connections to start at most
  Duration duration = 10s;          ///< how long connections are started; zero: until `count` is reached
  Duration first_start{};           ///< open loop: so much later, that the cores do not start all at once

  [[nodiscard]] bool open_loop() const { return rate != 0; }

  /// The part of core `index` of `cores`. The parts add up to the whole; a core that has nothing to do has
  /// count 0.
  [[nodiscard]] LoadPlan share(std::uint16_t index, std::uint16_t cores) const;
};

/// "GET /path" with what HTTP/1.1 wants besides.
[[nodiscard]] std::string http_request_text(std::string_view path, const Endpoint& host, bool keep_alive);

}  // namespace handfast::apps
