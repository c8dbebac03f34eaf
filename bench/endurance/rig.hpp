// SPDX-License-Identifier: BSD-3-Clause
// What the endurance run sees of the process and does to its frames: loss on the way, buffers out, resident
// memory. Layer: bench, beside DPDK. Knows no connection.
#pragma once

#include <cstddef>
#include <cstdint>

namespace handfast::endurance {

/// Drops frames between the two ends of a ring pair, whatever is received on any port, by a chance of `share` each.
/// Must be made after the ports and destroyed before them.
class Loss {
 public:
  Loss(double share, std::uint64_t seed);
  ~Loss();
  Loss(const Loss&) = delete;
  Loss& operator=(const Loss&) = delete;
  [[nodiscard]] std::uint64_t frames() const { return frames_; }
  [[nodiscard]] std::uint64_t lost() const { return lost_; }
  /// For DPDK: keeps what survives in front, returns how many.
  std::uint16_t filter(void** packets, std::uint16_t count);

 private:
  static constexpr std::uint16_t most_ports = 8;
  struct Hook {
    std::uint16_t port = 0;
    const void* callback = nullptr;
  };
  Hook hooks_[most_ports];
  std::uint16_t hook_count_ = 0;
  std::uint64_t below_, state_;
  std::uint64_t frames_ = 0, lost_ = 0;
};

/// Packet buffers that no pool and no core's pool cache holds; those that ports keep warm for themselves are counted.
[[nodiscard]] std::size_t buffers_out();

/// What an idle end keeps warm at most (dpdk::DpdkIo::cache_limit), for two ends.
[[nodiscard]] std::size_t buffers_kept_warm();

/// VmRSS.
[[nodiscard]] std::size_t resident_kib();

/// Pages of 4 KiB from here on: resident memory then moves by what is touched and not by 2 MiB.
void use_small_pages();

}  // namespace handfast::endurance
