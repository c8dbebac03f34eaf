// SPDX-License-Identifier: BSD-3-Clause
// What one direction of an emulated link does to frames, and what it has counted. Layer: emulator, beside the
// stack: no folder of src/ may include it, and it must not know what speaks over it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <span>

#include "handfast/time.hpp"

namespace handfast::emulator {

/// Loss in bursts (Gilbert, Elliott): a chain of two states that moves once a frame, before the frame is
/// judged. Mean loss is (bad_loss * p + good_loss * r) / (p + r); a stay in the bad state lasts 1 / r frames.
struct Bursts {
  double p = 0;          ///< good to bad; 0..1
  double r = 1;          ///< bad to good; 0..1
  double good_loss = 0;  ///< chance that a frame is lost in the good state
  double bad_loss = 1;
};

/// Chances are 0..1 and independent by frame. A frame meets the rules in the order in which they stand here;
/// what is lost takes no room in the queue.
struct Rules {
  /// Largest IP datagram; bytes; 0: any. A larger frame is dropped and shown to `too_big` (where a router
  /// would answer).
  std::size_t mtu = 0;
  std::function<void(Time now, std::span<const std::byte> frame)> too_big{};
  /// True: this frame is lost. `n` counts the frames of this direction from 0.
  std::function<bool(std::size_t n, std::span<const std::byte> frame)> lose{};
  double loss = 0;
  std::optional<Bursts> bursts{};
  double duplicate = 0;  ///< the copy follows right behind, with a jitter of its own
  double corrupt = 0;    ///< one bit of the IP datagram is inverted

  std::uint64_t bits_per_second = 0;  ///< of Ethernet frames as they are pushed; 0: no limit, hence no queue
  /// Room before the transmitter, the frame in transmission included; drop-tail.
  std::size_t queue_bytes = std::numeric_limits<std::size_t>::max();
  /// A frame that finds more than this in the queue leaves with CE, if it is IPv4 and ECN-capable (rfc3168
  /// 5).
  std::size_t mark_above_bytes = std::numeric_limits<std::size_t>::max();

  Duration delay{};
  Duration jitter{};      ///< uniformly up to this much more, frame by frame: they overtake each other
  double reorder = 0;     ///< chance of a frame to be held back
  Duration reorder_by{};  ///< by this much more
};

struct Counts {
  std::uint64_t pushed = 0, pushed_bytes = 0;
  std::uint64_t lost = 0, too_big = 0, queue_full = 0, too_many = 0;  ///< that will not arrive, by reason
  std::uint64_t duplicated = 0, corrupted = 0, marked = 0, held_back = 0;
  std::uint64_t delivered = 0, delivered_bytes = 0;
  std::size_t most_queued_bytes = 0;
};

}  // namespace handfast::emulator
