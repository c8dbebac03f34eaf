// SPDX-License-Identifier: BSD-3-Clause
// Frames that are written and wait for the port; and buffers that are at hand for the next ones, with the Ethernet header
// that they begin with. Layer: tcp. Knows nothing of where buffers come from; the loop keeps it supplied (shard/loop.hpp).
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "wire/ethernet.hpp"
#include "wire/frame.hpp"

namespace handfast::tcp {

class TxFrames {
 public:
  /// Most frames that wait for a port which takes none.
  static constexpr std::size_t capacity = 16384;
  /// Most buffers at hand.
  static constexpr std::size_t max_prepared = 32;

  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] bool is_full() const { return size_ >= capacity; }
  /// Those that wait, in order.
  [[nodiscard]] std::span<wire::TxFrame> frames() { return {frames_.get(), size_}; }
  /// The place behind the last, not counted before commit(). Only while it is not full.
  [[nodiscard]] wire::TxFrame& next() { return frames_[size_]; }
  void commit() { ++size_; }
  void push(const wire::TxFrame& frame) { frames_[size_++] = frame; }
  void drop_front(std::size_t n) {
    std::copy(frames_.get() + n, frames_.get() + size_, frames_.get());
    size_ -= n;
  }

  /// The next frame to `remote`, if its way is known and a buffer at hand: counted, with its Ethernet header and two bytes of
  /// anything behind it, where the datagram will be.
  [[nodiscard, gnu::always_inline]] inline wire::TxFrame* take(std::uint32_t remote) {
    const Route& route = routes_[remote % routes_.size()];
    if (route.remote != remote || taken_ == prepared_) [[unlikely]]
      return nullptr;
    return take(route.header);
  }

  /// Frames to `remote` go from `source` to `destination` (wire::mac_word) until forget_routes(). Returns the first of them, as
  /// take() would; null without a buffer at hand.
  [[nodiscard]] wire::TxFrame* take_and_remember(std::uint32_t remote, std::uint64_t destination, std::uint64_t source) {
    const Header header{wire::ethernet_head_word(destination, source), wire::ethernet_tail_word(source, wire::ether_type_ipv4)};
    routes_[remote % routes_.size()] = {remote, header};
    return taken_ == prepared_ ? nullptr : take(header);
  }
  /// Ways may have changed, or something has to go first.
  void forget_routes() { routes_ = {}; }

  /// Where buffers for later are put, with `offload` as it will be asked for, while none is at hand; then how many.
  [[nodiscard]] std::span<wire::TxFrame> places() { return at_hand_; }
  void set_prepared(std::size_t n) {
    taken_ = 0;
    prepared_ = n;
  }
  /// Takes one back, the last. Only while there is one.
  [[nodiscard]] wire::TxFrame unprepare() { return at_hand_[--prepared_]; }
  /// The buffers at hand.
  [[nodiscard]] std::span<wire::TxFrame> prepared() { return std::span{at_hand_}.subspan(taken_, prepared_ - taken_); }

 private:
  // An Ethernet header and two bytes: two words are moved faster than fourteen bytes.
  struct Header {
    std::uint64_t first = 0, second = 0;
  };
  struct Route {
    std::uint32_t remote = 0;  // 0 is nobody's address
    Header header;
  };

  // In the order in which they were prepared: what was stored last is not loaded at once.
  [[gnu::always_inline]] inline wire::TxFrame* take(const Header& header) {
    wire::TxFrame& frame = frames_[size_++];
    frame = at_hand_[taken_++];
    wire::store_native(frame.data, header.first);
    wire::store_native(frame.data + 8, header.second);
    return &frame;
  }

  // What is at hand has its place behind what waits.
  std::unique_ptr<wire::TxFrame[]> frames_ = std::make_unique<wire::TxFrame[]>(capacity + max_prepared);
  std::size_t size_ = 0, taken_ = 0, prepared_ = 0;
  std::array<Route, 16> routes_{};
  std::array<wire::TxFrame, max_prepared> at_hand_{};
};

}  // namespace handfast::tcp
