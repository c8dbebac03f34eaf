// SPDX-License-Identifier: BSD-3-Clause
// The port of two functions. Layer: api. Every received frame stands in a heap block of just its size, so that a
// sanitizer sees each byte that is read past its end.
#include "handfast/frame_port.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <deque>
#include <limits>
#include <new>
#include <vector>

#include "shard/loop.hpp"

namespace handfast {
namespace {

struct Buffer {
  std::unique_ptr<std::byte[]> bytes;
  std::uint32_t size = 0;
};

class FrameIo {
 public:
  FrameIo(std::uint16_t mtu, FrameStack::Out out, void* ctx)
      : room_(static_cast<std::uint32_t>(wire::ethernet_header_length + mtu)), out_(out), ctx_(ctx) {}
  ~FrameIo() {
    for (Buffer* buffer : queue_) delete buffer;
    for (Buffer* buffer : spare_) delete buffer;
  }

  bool push(std::span<const std::byte> frame) {
    if (queue_.size() >= FrameStack::max_queued) return false;
    auto* buffer = new Buffer{std::make_unique_for_overwrite<std::byte[]>(frame.size()), static_cast<std::uint32_t>(frame.size())};
    if (!frame.empty()) std::memcpy(buffer->bytes.get(), frame.data(), frame.size());
    queue_.push_back(buffer);
    return true;
  }

  std::size_t receive(std::span<wire::RxFrame> out) {
    std::size_t n = 0;
    for (; n < out.size() && !queue_.empty(); ++n) {
      Buffer* buffer = queue_.front();
      queue_.pop_front();
      out[n] = {};
      out[n].data = buffer->bytes.get();
      out[n].length = buffer->size;
      out[n].handle = buffer;
      ++in_use_;
    }
    return n;
  }

  void release(std::span<void* const> handles) {
    for (void* handle : handles) recycle(static_cast<Buffer*>(handle));
  }

  bool allocate(wire::TxFrame& frame) {
    if (buffers_left_ == 0) return false;
    if (buffers_left_ != unlimited) --buffers_left_;
    Buffer* buffer = nullptr;
    if (spare_.empty()) {
      buffer = new Buffer{std::make_unique_for_overwrite<std::byte[]>(room_), room_};
    } else {
      buffer = spare_.back();
      spare_.pop_back();
    }
    ++in_use_;
    frame = {};
    frame.data = buffer->bytes.get();
    frame.capacity = room_;
    frame.handle = buffer;
    return true;
  }

  void discard(wire::TxFrame& frame) {
    recycle(static_cast<Buffer*>(frame.handle));
    if (buffers_left_ != unlimited) ++buffers_left_;
  }

  std::size_t transmit(std::span<wire::TxFrame> frames) {
    const std::size_t n = std::min(frames.size(), transmit_left_);
    if (transmit_left_ != unlimited) transmit_left_ -= n;
    for (wire::TxFrame& frame : frames.first(n)) {
      out_(ctx_, {frame.data, frame.length});
      recycle(static_cast<Buffer*>(frame.handle));
    }
    return n;
  }

  [[nodiscard]] static std::uint8_t tx_offloads() { return 0; }

  [[nodiscard]] bool has_frames() const { return !queue_.empty(); }
  [[nodiscard]] std::size_t in_use() const { return in_use_; }
  void begin_poll() { transmit_left_ = transmit_limit_; }
  void limit_transmit(std::size_t n) { transmit_limit_ = transmit_left_ = n; }
  void limit_buffers(std::size_t n) { buffers_left_ = n; }

 private:
  static constexpr std::size_t unlimited = std::numeric_limits<std::size_t>::max();

  void recycle(Buffer* buffer) {
    --in_use_;
    if (buffer->size == room_ && spare_.size() < 1024)
      spare_.push_back(buffer);
    else
      delete buffer;
  }

  std::uint32_t room_;
  FrameStack::Out out_;
  void* ctx_;
  std::deque<Buffer*> queue_;
  std::vector<Buffer*> spare_;
  std::size_t in_use_ = 0;
  std::size_t transmit_limit_ = unlimited, transmit_left_ = unlimited, buffers_left_ = unlimited;
};

static_assert(shard::Io<FrameIo>);

constexpr int rounds_per_poll = 64;  // at most, for what the stack sends to itself or could not say at once

}  // namespace

struct FrameStack::Inside {
  Inside(const CoreConfig& config, Time start, Out out, void* ctx)
      : io(config.link.mtu, out, ctx), shard(config, start), loop(shard, io) {}
  ~Inside() { loop.stop(); }
  FrameIo io;
  shard::Shard shard;
  shard::Loop<FrameIo> loop;
};

FrameStack::FrameStack(std::unique_ptr<Inside> inside) : inside_(std::move(inside)) {}
FrameStack::~FrameStack() = default;

Expected<std::unique_ptr<FrameStack>> FrameStack::create(const CoreConfig& config, Time start, Out out, void* ctx) {
  if (auto error = validate(config)) return tl::unexpected(*error);
  if (out == nullptr) return tl::unexpected(Error{ErrorKind::usage, "no function for frames that leave", "pass one as `out`"});
  try {
    return std::unique_ptr<FrameStack>(new FrameStack(std::make_unique<Inside>(config, start, out, ctx)));
  } catch (const std::bad_alloc&) {
    return tl::unexpected(Error{ErrorKind::environment, "there is not enough memory for the tables", "lower the limits"});
  }
}

Core& FrameStack::core() { return inside_->shard.core(); }
bool FrameStack::receive(std::span<const std::byte> frame) { return inside_->io.push(frame); }

std::size_t FrameStack::poll(Time now) {
  std::size_t total = 0;
  inside_->io.begin_poll();
  for (int round = 0; round < rounds_per_poll; ++round) {
    total += inside_->loop.poll(now);
    if (!inside_->io.has_frames() && !inside_->shard.has_work()) break;
  }
  return total;
}

std::optional<Time> FrameStack::next_deadline() const {
  if (inside_->io.has_frames() || inside_->loop.backlog() != 0) return inside_->shard.core().now();
  const Time next = inside_->shard.next_deadline();
  return next == Time::max() ? std::nullopt : std::optional{next};
}

std::size_t FrameStack::buffers_in_use() const { return inside_->io.in_use(); }
void FrameStack::limit_transmit(std::size_t n) { inside_->io.limit_transmit(n); }
void FrameStack::limit_buffers(std::size_t n) { inside_->io.limit_buffers(n); }

}  // namespace handfast
