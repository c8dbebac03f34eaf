// SPDX-License-Identifier: BSD-3-Clause
// Two hosts of one or several shards each, on a wire in virtual time; all buffers stand ready from the start.
// Layer: tests of the shard. A frame arrives on the shard that `delivery` says, whoever owns its connection.
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "base/rng.hpp"
#include "ds/spsc_ring.hpp"
#include "shard/loop.hpp"
#include "shard/shard.hpp"

namespace handfast::test {

struct Buffer {
  std::uint32_t length = 0;
  std::array<std::byte, 1600> bytes;
};

/// Never grows, never asks the heap for more.
class BufferPool {
 public:
  explicit BufferPool(std::size_t n);
  [[nodiscard]] Buffer* take();
  void give(void* handle);
  [[nodiscard]] std::size_t in_use() const { return buffers_.size() - free_.size(); }

 private:
  std::vector<Buffer> buffers_;
  std::vector<Buffer*> free_;
};

class Net;

/// One shard's port: shard::Io.
class NetPort {
 public:
  NetPort(Net& net, int host) : net_(net), host_(host) {}
  std::size_t receive(std::span<wire::RxFrame> out);
  void release(std::span<void* const> handles);
  bool allocate(wire::TxFrame& frame);
  void discard(wire::TxFrame& frame);
  std::size_t transmit(std::span<wire::TxFrame> frames);
  [[nodiscard]] static std::uint8_t tx_offloads() { return 0; }

  ds::SpscRing<Buffer*> queue{1u << 15};

 private:
  Net& net_;
  int host_;
};
static_assert(shard::Io<NetPort>);

struct Member {
  Member(Net& net, int host, const CoreConfig& config, Time start, shard::Mesh* mesh)
      : port(net, host), shard(config, start, mesh), loop(shard, port) {}
  NetPort port;
  shard::Shard shard;
  shard::Loop<NetPort> loop;
};

struct HostSetup {
  std::uint16_t shards = 1;
  std::optional<shard::RssTable> rss;  ///< steering by this table instead of the keyed hash
};

class Net {
 public:
  enum class Delivery : std::uint8_t { random, as_the_port_hashes };

  Net(std::uint64_t seed, HostSetup first, HostSetup second,
      const std::function<void(CoreConfig&)>& adjust = {});
  /// Stops everything and checks that every buffer came back.
  ~Net();
  Net(const Net&) = delete;

  static constexpr Ipv4Address address(int host) { return {10, 0, 0, static_cast<std::uint8_t>(host + 1)}; }
  static constexpr MacAddress mac(int host) { return {{2, 0, 0, 0, 0, static_cast<std::uint8_t>(host + 1)}}; }
  [[nodiscard]] std::uint16_t shards(int host) const {
    return static_cast<std::uint16_t>(hosts_[host].members.size());
  }
  [[nodiscard]] Member& member(int host, std::uint16_t shard = 0) { return *hosts_[host].members[shard]; }
  [[nodiscard]] Core& core(int host, std::uint16_t shard = 0) { return member(host, shard).shard.core(); }
  [[nodiscard]] CoreStats stats(int host) const;
  [[nodiscard]] const shard::Steering& steering(int host) const { return hosts_[host].mesh->steering(); }
  [[nodiscard]] shard::Mesh& mesh(int host) { return *hosts_[host].mesh; }
  [[nodiscard]] Time now() const { return now_; }
  [[nodiscard]] BufferPool& pool() { return pool_; }
  [[nodiscard]] Rng& rng() { return rng_; }

  /// A frame onto one shard's queue.
  void inject(int host, std::uint16_t shard, std::span<const std::byte> frame);
  /// All shards once.
  std::size_t poll();
  void run_for(Duration d);
  template <class Done>
  bool run_until(Done&& done, Duration limit) {
    const Time end = now_ + limit;
    while (!done()) {
      if (now_ >= end) return false;
      step(end);
    }
    return true;
  }

  /// Takes the buffer.
  void carry(int from, Buffer* frame);

  Delivery delivery = Delivery::random;
  double loss = 0;
  bool unplugged = false;  ///< nothing arrives
  bool jammed = false;     ///< the first host's port takes no frame
  std::uint64_t frames = 0, lost = 0;
  std::function<void(int from, std::span<const std::byte>)> watch;

 private:
  struct Host {
    std::unique_ptr<shard::Mesh> mesh;
    std::vector<std::unique_ptr<Member>> members;
  };
  void step(Time end);
  [[nodiscard]] std::uint16_t queue_of(const Host& host, std::span<const std::byte> frame);

  Rng rng_;
  Time now_;
  BufferPool pool_;
  Host hosts_[2];
};

/// What a frame with an IPv4 header without options belongs to, seen by its receiver; nothing for others.
[[nodiscard]] std::optional<FlowKey> flow_of(std::span<const std::byte> frame);

}  // namespace handfast::test
