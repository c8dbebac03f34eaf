// SPDX-License-Identifier: BSD-3-Clause
// Dividing a load test among cores. Layer: apps.
#include "load_plan.hpp"

#include <algorithm>

namespace handfast::apps {

LoadPlan LoadPlan::share(std::uint16_t index, std::uint16_t cores) const {
  LoadPlan part = *this;
  const std::uint64_t most = std::min(open_loop() ? rate : concurrency, count);
  const std::uint64_t busy = std::min<std::uint64_t>(cores, most);
  if (index >= busy) {
    part.count = 0;
    return part;
  }
  const auto divide = [&](std::uint64_t whole) { return whole / busy + (index < whole % busy ? 1 : 0); };
  if (open_loop()) {
    part.rate = divide(rate);
    part.first_start = Duration{static_cast<std::int64_t>(1'000'000'000ull * index / rate)};
  } else {
    part.concurrency = divide(concurrency);
  }
  if (count != unlimited) part.count = divide(count);
  return part;
}

std::string http_request_text(std::string_view path, const Endpoint& host, bool keep_alive) {
  std::string text = "GET ";
  text += path;
  text += " HTTP/1.1\r\nHost: " + host.to_string() + "\r\nUser-Agent: handfast\r\n";
  if (!keep_alive) text += "Connection: close\r\n";
  text += "\r\n";
  return text;
}

}  // namespace handfast::apps
