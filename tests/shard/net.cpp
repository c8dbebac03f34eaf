// SPDX-License-Identifier: BSD-3-Clause
// Hosts of several shards on a wire; see net.hpp. Layer: tests of the shard.
#include "net.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>

#include "support/recorder.hpp"
#include "wire/bytes.hpp"

namespace handfast::test {

BufferPool::BufferPool(std::size_t n) : buffers_(n) {
  free_.reserve(n);
  for (Buffer& buffer : buffers_) free_.push_back(&buffer);
}
Buffer* BufferPool::take() {
  if (free_.empty()) return nullptr;
  Buffer* buffer = free_.back();
  free_.pop_back();
  return buffer;
}
void BufferPool::give(void* handle) {
  ASSERT_LT(free_.size(), buffers_.size()) << "a buffer was given back twice";
  free_.push_back(static_cast<Buffer*>(handle));
}

std::size_t NetPort::receive(std::span<wire::RxFrame> out) {
  std::size_t n = 0;
  Buffer* buffer = nullptr;
  for (; n < out.size() && queue.pop(buffer); ++n) {
    out[n] = {};
    out[n].data = buffer->bytes.data();
    out[n].length = buffer->length;
    out[n].handle = buffer;
  }
  return n;
}
void NetPort::release(std::span<void* const> handles) {
  for (void* handle : handles) net_.pool().give(handle);
}
bool NetPort::allocate(wire::TxFrame& frame) {
  Buffer* buffer = net_.pool().take();
  if (buffer == nullptr) return false;
  frame = {};
  frame.data = buffer->bytes.data();
  frame.capacity = static_cast<std::uint32_t>(buffer->bytes.size());
  frame.handle = buffer;
  return true;
}
void NetPort::discard(wire::TxFrame& frame) { net_.pool().give(frame.handle); }
std::size_t NetPort::transmit(std::span<wire::TxFrame> frames) {
  if (net_.jammed && host_ == 0) return 0;
  for (wire::TxFrame& frame : frames) {
    auto* buffer = static_cast<Buffer*>(frame.handle);
    buffer->length = frame.length;
    net_.carry(host_, buffer);
  }
  return frames.size();
}

Net::Net(std::uint64_t seed, HostSetup first, HostSetup second,
         const std::function<void(CoreConfig&)>& adjust)
    : rng_(seed), now_(Time{std::chrono::microseconds{rng_.below(1u << 31)}}), pool_(1u << 15) {
  const HostSetup setups[2] = {std::move(first), std::move(second)};
  for (int h = 0; h < 2; ++h) {
    const HostSetup& setup = setups[h];
    CoreConfig config;
    config.link.address = {address(h), 16};
    config.link.mac = mac(h);
    config.seed = rng_.next();
    config.limits.connections = 8192;
    config.limits.half_open = 4096;
    config.limits.time_wait = 4096;
    config.limits.buffer_memory = 16ull << 20;
    config.limits.send_extents = 16384;
    config.limits.recovery_blocks = 1024;
    config.shard_count = setup.shards;
    if (adjust) adjust(config);
    Host& host = hosts_[h];
    if (setup.shards > 1)
      host.mesh = std::make_unique<shard::Mesh>(setup.rss ? shard::Steering{*setup.rss, setup.shards}
                                                          : shard::Steering{rng_.next(), setup.shards});
    for (std::uint16_t s = 0; s < setup.shards; ++s) {
      config.shard = s;
      host.members.push_back(std::make_unique<Member>(*this, h, config, now_, host.mesh.get()));
    }
  }
}

Net::~Net() {
  for (Host& host : hosts_)
    for (auto& member : host.members) member->loop.stop();
  for (Host& host : hosts_)
    for (auto& member : host.members)
      for (Buffer* buffer = nullptr; member->port.queue.pop(buffer);) pool_.give(buffer);
  EXPECT_EQ(pool_.in_use(), 0u) << "buffers were lost";
}

CoreStats Net::stats(int host) const {
  CoreStats sum;
  for (const auto& member : hosts_[host].members) sum.add(member->shard.stats());
  return sum;
}

void Net::inject(int host, std::uint16_t shard, std::span<const std::byte> frame) {
  Buffer* buffer = pool_.take();
  if (buffer == nullptr || frame.size() > buffer->bytes.size()) std::abort();
  std::memcpy(buffer->bytes.data(), frame.data(), frame.size());
  buffer->length = static_cast<std::uint32_t>(frame.size());
  if (!member(host, shard).port.queue.push(buffer)) pool_.give(buffer);
}

std::optional<FlowKey> flow_of(std::span<const std::byte> frame) {
  if (frame.size() < 54 || wire::load16(frame.data() + 12) != 0x0800 || frame[14] != std::byte{0x45})
    return std::nullopt;
  const std::byte* ip = frame.data() + 14;
  return FlowKey{{Ipv4Address{wire::load32(ip + 16)}, wire::load16(ip + 22)},
                 {Ipv4Address{wire::load32(ip + 12)}, wire::load16(ip + 20)}};
}

std::uint16_t Net::queue_of(const Host& host, std::span<const std::byte> frame) {
  const auto n = static_cast<std::uint32_t>(host.members.size());
  if (delivery == Delivery::random) return static_cast<std::uint16_t>(rng_.below(n));
  const auto flow = flow_of(frame);
  return flow && host.mesh ? host.mesh->steering().owner(*flow) : std::uint16_t{0};
}

void Net::carry(int from, Buffer* frame) {
  ++frames;
  const std::span<const std::byte> bytes{frame->bytes.data(), frame->length};
  if (watch) watch(from, bytes);
  Host& to = hosts_[1 - from];
  if (unplugged || (loss > 0 && rng_.below(1u << 20) < loss * (1u << 20))) {
    ++lost;
    return pool_.give(frame);
  }
  if (!to.members[queue_of(to, bytes)]->port.queue.push(frame)) {
    ++lost;
    pool_.give(frame);
  }
}

std::size_t Net::poll() {
  std::size_t work = 0;
  for (Host& host : hosts_)
    for (auto& member : host.members) work += member->loop.poll(now_);
  return work;
}

void Net::step(Time end) {
  if (poll() != 0) {
    now_ = std::min(end, now_ + 10us);
    return;
  }
  Time next = Time::max();
  for (Host& host : hosts_)
    for (auto& member : host.members) next = std::min(next, member->shard.next_deadline());
  now_ = std::clamp(next, std::min(end, now_ + 1us), end);
}

void Net::run_for(Duration d) {
  const Time end = now_ + d;
  while (now_ < end) step(end);
  poll();
}

}  // namespace handfast::test
