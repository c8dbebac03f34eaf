// SPDX-License-Identifier: BSD-3-Clause
// The host and its port; see stack.hpp. Layer: simulator. Every received frame stands in a heap block of just
// its size, and a buffer that was given back is overwritten: who looks into it afterwards is found out.
#include "sim/stack.hpp"

#include <algorithm>
#include <cstring>

#include "support/packet.hpp"

namespace handfast::sim {
namespace {

constexpr int rounds_per_poll = 64;
constexpr std::size_t most_spare = 256;

/// What a frame belongs to, seen by its receiver; nothing for what is no TCP in plain IPv4.
std::optional<FlowKey> flow_of(std::span<const std::byte> frame) {
  if (frame.size() < 54 || frame[12] != std::byte{8} || frame[13] != std::byte{0} ||
      frame[14] != std::byte{0x45} || frame[23] != std::byte{6})
    return std::nullopt;
  const auto get = [frame](std::size_t at, std::size_t n) {
    std::uint32_t value = 0;
    for (std::size_t i = 0; i < n; ++i) value = value << 8 | std::to_integer<std::uint32_t>(frame[at + i]);
    return value;
  };
  return FlowKey{{Ipv4Address{get(30, 4)}, static_cast<Port>(get(36, 2))},
                 {Ipv4Address{get(26, 4)}, static_cast<Port>(get(34, 2))}};
}

}  // namespace

std::size_t Queue::receive(std::span<wire::RxFrame> out) {
  if (closed_) return 0;
  std::size_t most = out.size();
  if (host_.faults.bursts != 0) {
    most = std::min<std::size_t>(most, host_.rng_.below(host_.faults.bursts + 1));
    closed_ = true;
  }
  std::size_t n = 0;
  for (; n < most && !frames_.empty(); ++n) {
    auto* buffer = static_cast<HostStack::Buffer*>(frames_.front());
    frames_.pop_front();
    out[n] = {};
    out[n].data = buffer->bytes.get();
    out[n].length = buffer->size;
    out[n].ip_checksum = out[n].tcp_checksum = buffer->sums;
    out[n].handle = buffer;
    ++host_.in_use_;
  }
  return n;
}

void Queue::release(std::span<void* const> handles) {
  for (void* handle : handles) host_.recycle(static_cast<HostStack::Buffer*>(handle));
}

bool Queue::allocate(wire::TxFrame& frame) {
  if (host_.faults.buffers_left == 0) return false;
  if (host_.faults.buffers_left != PortFaults::no_limit) --host_.faults.buffers_left;
  HostStack::Buffer* buffer = nullptr;
  if (host_.spare_.empty()) {
    buffer = new HostStack::Buffer{std::make_unique_for_overwrite<std::byte[]>(host_.room_), host_.room_};
  } else {
    buffer = host_.spare_.back();
    host_.spare_.pop_back();
  }
  ++host_.in_use_;
  frame = {};
  frame.data = buffer->bytes.get();
  frame.capacity = host_.room_;
  frame.handle = buffer;
  return true;
}

void Queue::discard(wire::TxFrame& frame) { host_.recycle(static_cast<HostStack::Buffer*>(frame.handle)); }

std::size_t Queue::transmit(std::span<wire::TxFrame> frames) {
  const std::size_t n = std::min(frames.size(), transmit_left_);
  if (transmit_left_ != PortFaults::no_limit) transmit_left_ -= n;
  for (wire::TxFrame& frame : frames.first(n)) {
    host_.out_(host_.ctx_, {frame.data, frame.length});
    auto* buffer = static_cast<HostStack::Buffer*>(frame.handle);
    if (host_.faults.completion == Duration{})
      host_.recycle(buffer);
    else
      host_.completing_.push_back({host_.now_ + host_.faults.completion, buffer});
  }
  return n;
}

HostStack::HostStack(const CoreConfig& config, std::uint16_t shards, Time start, std::uint64_t seed, Out out,
                     void* ctx)
    : out_(out),
      ctx_(ctx),
      rng_(seed),
      now_(start),
      room_(static_cast<std::uint32_t>(wire::ethernet_header_length + config.link.mtu)) {
  if (shards > 1) mesh_ = std::make_unique<shard::Mesh>(shard::Steering{config.seed, shards});
  for (std::uint16_t i = 0; i < shards; ++i) {
    CoreConfig own = config;
    own.shard = i;
    own.shard_count = shards;
    members_.push_back(std::make_unique<Member>(*this, own, start, mesh_.get()));
  }
}

HostStack::~HostStack() {
  for (auto& member : members_) member->loop.stop();
  for (auto& member : members_)
    for (void* frame : member->queue.frames_) delete static_cast<Buffer*>(frame);
  for (const Completing& done : completing_) recycle(done.buffer);
  for (Buffer* buffer : spare_) delete buffer;
}

std::uint16_t HostStack::queue_of(std::span<const std::byte> frame) {
  if (members_.size() == 1) return 0;
  const auto any = static_cast<std::uint16_t>(rng_.below(static_cast<std::uint32_t>(members_.size())));
  const auto flow = flow_of(frame);
  if (!flow || (faults.strays != 0 && rng_.below(faults.strays) == 0)) return any;
  return mesh_->steering().owner(*flow);
}

wire::ChecksumState HostStack::judge(std::span<const std::byte> frame) {
  if (!faults.judges_sums) return wire::ChecksumState::unknown;
  if (faults.lies != 0 && rng_.below(faults.lies) == 0) return wire::ChecksumState::bad;
  std::string why;
  const auto end =
      frame.size() < 18
          ? 0u
          : 14u + (std::to_integer<std::size_t>(frame[16]) << 8 | std::to_integer<std::size_t>(frame[17]));
  if (end > frame.size()) return wire::ChecksumState::unknown;
  return test::parse_strictly(frame.first(end), why) ? wire::ChecksumState::good
                                                     : wire::ChecksumState::unknown;
}

bool HostStack::receive(std::span<const std::byte> frame) {
  auto& queue = members_[queue_of(frame)]->queue.frames_;
  if (queue.size() >= max_queued) return false;
  auto* buffer = new Buffer{std::make_unique_for_overwrite<std::byte[]>(frame.size()),
                            static_cast<std::uint32_t>(frame.size()), judge(frame)};
  if (!frame.empty()) std::memcpy(buffer->bytes.get(), frame.data(), frame.size());
  queue.push_back(buffer);
  return true;
}

bool HostStack::must_go_on(std::size_t work) const {
  // What is handed over makes work for another shard; with one shard the question is cheaper.
  if (members_.size() > 1 && work != 0) return true;
  for (const auto& member : members_)
    if (member->stalled_until <= now_ &&
        ((!member->queue.frames_.empty() && !member->queue.closed_) || member->shard.has_work()))
      return true;
  return false;
}

void HostStack::poll(Time now) {
  now_ = std::max(now_, now);
  complete();
  for (auto& member : members_) {
    member->queue.transmit_left_ = faults.transmit_limit;
    member->queue.closed_ = false;
  }
  // Which core comes first is nobody's promise.
  if (members_.size() > 1)
    first_ = static_cast<std::uint16_t>(rng_.below(static_cast<std::uint32_t>(members_.size())));
  for (int round = 0; round < rounds_per_poll; ++round) {
    std::size_t work = 0;
    for (std::size_t i = 0; i < members_.size(); ++i) {
      Member& member = *members_[(first_ + i) % members_.size()];
      if (member.stalled_until <= now_) work += member.loop.poll(now);
    }
    if (!must_go_on(work)) break;
  }
}

std::optional<Time> HostStack::next_deadline() const {
  Time next = Time::max();
  for (const auto& member : members_) {
    const bool has_frames = !member->queue.frames_.empty() || member->loop.backlog() != 0;
    Time due = has_frames ? now_ : member->shard.next_deadline();
    // Whoever sleeps may have been handed something that only its waking shows.
    if (member->stalled_until > now_) due = member->stalled_until;
    next = std::min(next, due);
  }
  if (!completing_.empty()) next = std::min(next, completing_.front().at);
  return next == Time::max() ? std::nullopt : std::optional{next};
}

void HostStack::complete() {
  while (!completing_.empty() && completing_.front().at <= now_) {
    recycle(completing_.front().buffer);
    completing_.pop_front();
  }
}

CoreStats HostStack::stats() {
  CoreStats sum;
  for (auto& member : members_) sum.add(member->shard.core().stats());
  return sum;
}

void HostStack::recycle(Buffer* buffer) {
  --in_use_;
  if (buffer->size == room_ && spare_.size() < most_spare) {
    std::memset(buffer->bytes.get(), 0xdd, std::min<std::size_t>(buffer->size, 128));
    spare_.push_back(buffer);
  } else {
    delete buffer;
  }
}

}  // namespace handfast::sim
