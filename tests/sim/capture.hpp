// SPDX-License-Identifier: BSD-3-Clause
// The last frames that left an end, to be written as a pcap when something is wrong. Layer: simulator.
#pragma once

#include <cstdint>
#include <cstdio>
#include <span>
#include <vector>

#include "handfast/time.hpp"

namespace handfast::sim {

class Capture {
 public:
  explicit Capture(std::size_t most) : kept_(most) {}

  void note(Time at, std::span<const std::byte> frame) {
    if (kept_.empty()) return;
    Kept& place = kept_[count_++ % kept_.size()];
    place.at = at;
    place.bytes.assign(frame.begin(), frame.end());
  }

  /// Oldest first, in the classic format: magic, version 2.4, zone, accuracy, snapshot length, Ethernet;
  /// nanoseconds.
  bool write(const char* path) const {
    std::FILE* out = std::fopen(path, "wb");
    if (out == nullptr) return false;
    const auto put = [out](std::uint32_t value) { std::fwrite(&value, sizeof value, 1, out); };
    for (const std::uint32_t word : {0xa1b23c4du, 0x00040002u, 0u, 0u, 65535u, 1u}) put(word);
    const std::uint64_t first = count_ > kept_.size() ? count_ - kept_.size() : 0;
    for (std::uint64_t i = first; i < count_; ++i) {
      const Kept& frame = kept_[i % kept_.size()];
      const auto ns = static_cast<std::uint64_t>(frame.at.time_since_epoch().count());
      put(static_cast<std::uint32_t>(ns / 1'000'000'000));
      put(static_cast<std::uint32_t>(ns % 1'000'000'000));
      put(static_cast<std::uint32_t>(frame.bytes.size()));
      put(static_cast<std::uint32_t>(frame.bytes.size()));
      std::fwrite(frame.bytes.data(), 1, frame.bytes.size(), out);
    }
    return std::fclose(out) == 0;
  }

 private:
  struct Kept {
    Time at;
    std::vector<std::byte> bytes;
  };
  std::vector<Kept> kept_;
  std::uint64_t count_ = 0;
};

}  // namespace handfast::sim
