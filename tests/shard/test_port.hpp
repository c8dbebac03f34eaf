// SPDX-License-Identifier: BSD-3-Clause
// A port made of arrays: buffers that exist from the start, one receive queue by shard, one place where
// frames go. Layer: test support of tests/shard. Nothing in it allocates after construction.
#pragma once

#include <array>
#include <cstring>
#include <memory>
#include <span>
#include <vector>

#include "shard/loop.hpp"
#include "wire/frame.hpp"

namespace handfast::test {

struct PortBuffer {
  std::array<std::byte, 2048> bytes;
};

/// What all queues of one port share.
class TestPort {
 public:
  using Out = void (*)(void* ctx, std::span<const std::byte> frame);
  TestPort(std::size_t queues, std::size_t buffers, Out out, void* ctx)
      : buffers_(buffers), queues_(queues), out_(out), ctx_(ctx) {
    free_.reserve(buffers);
    for (PortBuffer& b : buffers_) free_.push_back(&b);
    for (auto& queue : queues_) queue.reserve(buffers);
  }

  /// False when there is no buffer left: the frame is lost, as on a port.
  bool deliver(std::size_t queue, std::span<const std::byte> frame) {
    PortBuffer* b = take();
    if (b == nullptr) return false;
    std::memcpy(b->bytes.data(), frame.data(), frame.size());
    wire::RxFrame in;
    in.data = b->bytes.data();
    in.length = static_cast<std::uint32_t>(frame.size());
    in.handle = b;
    queues_[queue].push_back(in);
    return true;
  }
  [[nodiscard]] bool has_frames() const {
    for (const auto& queue : queues_)
      if (!queue.empty()) return true;
    return false;
  }
  [[nodiscard]] std::size_t in_use() const { return buffers_.size() - free_.size(); }

 private:
  friend class TestIo;
  PortBuffer* take() {
    if (free_.empty()) return nullptr;
    PortBuffer* b = free_.back();
    free_.pop_back();
    return b;
  }
  void give(void* handle) { free_.push_back(static_cast<PortBuffer*>(handle)); }

  std::vector<PortBuffer> buffers_;
  std::vector<PortBuffer*> free_;
  std::vector<std::vector<wire::RxFrame>> queues_;
  Out out_;
  void* ctx_;
};

/// One queue of it.
class TestIo {
 public:
  TestIo(TestPort& port, std::size_t queue) : port_(port), queue_(queue) {}

  std::size_t receive(std::span<wire::RxFrame> out) {
    auto& queue = port_.queues_[queue_];
    const std::size_t n = std::min(out.size(), queue.size());
    std::copy_n(queue.begin(), n, out.begin());
    queue.erase(queue.begin(), queue.begin() + static_cast<std::ptrdiff_t>(n));
    return n;
  }
  void release(std::span<void* const> handles) {
    for (void* handle : handles) port_.give(handle);
  }
  bool allocate(wire::TxFrame& frame) {
    PortBuffer* b = port_.take();
    if (b == nullptr) return false;
    frame = {};
    frame.data = b->bytes.data();
    frame.capacity = static_cast<std::uint32_t>(b->bytes.size());
    frame.handle = b;
    return true;
  }
  void discard(wire::TxFrame& frame) { port_.give(frame.handle); }
  std::size_t transmit(std::span<wire::TxFrame> frames) {
    for (wire::TxFrame& frame : frames) {
      port_.out_(port_.ctx_, {frame.data, frame.length});
      port_.give(frame.handle);
    }
    return frames.size();
  }
  [[nodiscard]] static std::uint8_t tx_offloads() { return 0; }

 private:
  TestPort& port_;
  std::size_t queue_;
};
static_assert(shard::Io<TestIo>);

/// One shard with its loop.
struct TestShard {
  TestShard(const CoreConfig& config, Time start, TestPort& port, std::size_t queue, shard::Mesh* mesh)
      : io(port, queue), shard(config, start, mesh), loop(shard, io) {}
  ~TestShard() { loop.stop(); }
  TestIo io;
  shard::Shard shard;
  shard::Loop<TestIo> loop;
};

}  // namespace handfast::test
