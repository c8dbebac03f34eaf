// SPDX-License-Identifier: BSD-3-Clause
// Pools that are empty, or nearly: somebody else has taken what was left, and gives it back later. Layer:
// simulator. No hook is in the stack for it: its own pools are asked, as anybody could.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "handfast/core.hpp"
#include "support/invariants.hpp"

namespace handfast::tcp {
struct Chunk;
struct Extent;
struct ReceiveBuffer;
struct Flight;
}  // namespace handfast::tcp

namespace handfast::sim {

enum class Pool : std::uint8_t {
  connections,
  half_open,
  chunks,
  extents,
  receive_buffers,
  flights,
  path_searches,
  frames
};
inline constexpr unsigned pool_count = 8;
[[nodiscard]] std::string_view name(Pool pool);

class Drought {
 public:
  Drought() = default;
  Drought(const Drought&) = delete;
  ~Drought() { end(); }

  /// Leaves at most `keep` free places. A second one of the same pool takes more of it. (Pool::frames is the
  /// port's.)
  void begin(Core& core, Pool pool, std::uint32_t keep);
  /// Gives all back; before the core is told to end anything, and before it goes.
  void end();
  [[nodiscard]] const test::Withheld& withheld() const { return withheld_; }

 private:
  Core* core_ = nullptr;
  test::Withheld withheld_;
  std::vector<std::uint32_t> connections_, half_open_, searches_;
  std::vector<tcp::Chunk*> chunks_;
  std::vector<tcp::Extent*> extents_;
  std::vector<tcp::ReceiveBuffer*> receive_buffers_;
  std::vector<tcp::Flight*> flights_;
};

}  // namespace handfast::sim
