// SPDX-License-Identifier: BSD-3-Clause
// Frames that arrived on a shard which does not own their connection: one ring from each shard to each. Layer: shard.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "ds/spsc_ring.hpp"
#include "shard/steering.hpp"
#include "wire/frame.hpp"

namespace handfast::shard {

class Mesh {
 public:
  static constexpr std::size_t ring_size = 4096;

  explicit Mesh(Steering steering) : steering_(std::move(steering)) {
    const std::size_t n = steering_.shards();
    for (std::size_t i = 0; i < n * n; ++i)
      rings_.push_back(i / n == i % n ? nullptr : std::make_unique<Ring>(ring_size));
  }
  using Ring = ds::SpscRing<wire::RxFrame>;

  [[nodiscard]] const Steering& steering() const { return steering_; }
  [[nodiscard]] Ring& ring(std::uint16_t from, std::uint16_t to) { return *rings_[from * steering_.shards() + to]; }

 private:
  Steering steering_;
  std::vector<std::unique_ptr<Ring>> rings_;
};

}  // namespace handfast::shard
