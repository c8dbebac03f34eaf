// SPDX-License-Identifier: BSD-3-Clause
// The listing's text. Layer: apps.
#include "listing.hpp"

#include <fmt/format.h>

namespace handfast::apps {

void Listing::print() const {
  const std::vector<ConnInfo> all = stack_.connections();
  std::array<std::size_t, state_count> by_state{};
  for (const ConnInfo& info : all) ++by_state[static_cast<std::size_t>(info.state)];
  fmt::print(stderr, "{} connections", all.size());
  for (std::size_t i = 0; i < state_count; ++i)
    if (by_state[i] != 0) fmt::print(stderr, ", {} {}", by_state[i], name(static_cast<State>(i)));
  fmt::print(stderr, "\n");
  for (std::size_t i = 0; i < std::min(all.size(), most_lines); ++i)
    fmt::print(stderr, "  {:21}  {:21}  {}\n", all[i].local.to_string(), all[i].peer.to_string(), name(all[i].state));
  if (all.size() > most_lines) fmt::print(stderr, "  and {} more\n", all.size() - most_lines);
}

}  // namespace handfast::apps
