// SPDX-License-Identifier: BSD-3-Clause
// One host: a stack of one or several shards in one thread, on a port that can be as bad as ports are.
// Layer: simulator. The loop, the shards and the mesh are the production ones; the port knows no protocol.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "base/rng.hpp"
#include "shard/loop.hpp"
#include "shard/mesh.hpp"
#include "shard/shard.hpp"

namespace handfast::sim {

/// What is wrong with a port; all may change at any time.
struct PortFaults {
  static constexpr std::size_t no_limit = ~std::size_t{0};
  std::size_t transmit_limit = no_limit;  ///< frames that a queue takes in one poll
  std::size_t buffers_left = no_limit;    ///< that can be had, all queues together
  Duration completion{};                  ///< a sent frame's buffer comes back so much later
  std::uint32_t bursts = 0;               ///< not 0: a queue gives 0 up to so many frames at a time
  bool judges_sums = false;               ///< it says "good" of good sums
  std::uint32_t lies = 0;                 ///< and one time in so many "bad"; 0: never
  std::uint32_t strays = 0;  ///< one frame in so many arrives on another queue than its flow's; 0: none
};

class HostStack;

/// One queue pair of the port: shard::Io.
class Queue {
 public:
  explicit Queue(HostStack& host) : host_(host) {}
  std::size_t receive(std::span<wire::RxFrame> out);
  void release(std::span<void* const> handles);
  bool allocate(wire::TxFrame& frame);
  void discard(wire::TxFrame& frame);
  std::size_t transmit(std::span<wire::TxFrame> frames);
  [[nodiscard]] static std::uint8_t tx_offloads() { return 0; }

 private:
  friend class HostStack;
  HostStack& host_;
  std::deque<void*> frames_;
  std::size_t transmit_left_ = PortFaults::no_limit;
  bool closed_ = false;  ///< gives nothing more in this poll
};
static_assert(shard::Io<Queue>);

class HostStack {
 public:
  using Out = void (*)(void* ctx, std::span<const std::byte> frame);
  /// `config` holds for each shard, but for its number.
  HostStack(const CoreConfig& config, std::uint16_t shards, Time start, std::uint64_t seed, Out out,
            void* ctx);
  ~HostStack();
  HostStack(const HostStack&) = delete;

  [[nodiscard]] std::uint16_t shards() const { return static_cast<std::uint16_t>(members_.size()); }
  [[nodiscard]] Core& core(std::uint16_t shard) { return members_[shard]->shard.core(); }
  /// The shard that a connection of this host belongs to.
  [[nodiscard]] std::uint16_t owner(const FlowKey& key) const {
    return mesh_ ? mesh_->steering().owner(key) : std::uint16_t{0};
  }

  /// A frame from the wire; false: the queue is full.
  static constexpr std::size_t max_queued = 4096;
  bool receive(std::span<const std::byte> frame);
  /// As FrameStack::poll: until nothing is left to do, or the faults stand in the way.
  void poll(Time now);
  [[nodiscard]] std::optional<Time> next_deadline() const;
  /// This shard does not poll until then.
  void stall(std::uint16_t shard, Time until) { members_[shard]->stalled_until = until; }

  [[nodiscard]] std::size_t buffers_in_use() const { return in_use_; }
  /// Of these: with the port, which gives them back by itself.
  [[nodiscard]] std::size_t buffers_completing() const { return completing_.size(); }
  [[nodiscard]] CoreStats stats();

  PortFaults faults;

 private:
  friend class Queue;
  struct Buffer {
    std::unique_ptr<std::byte[]> bytes;
    std::uint32_t size = 0;
    wire::ChecksumState sums = wire::ChecksumState::unknown;
  };
  struct Member {
    Member(HostStack& host, const CoreConfig& config, Time start, shard::Mesh* mesh)
        : queue(host), shard(config, start, mesh), loop(shard, queue) {}
    Queue queue;
    shard::Shard shard;
    shard::Loop<Queue> loop;
    Time stalled_until = Time::min();
  };
  struct Completing {
    Time at;
    Buffer* buffer;
  };
  [[nodiscard]] std::uint16_t queue_of(std::span<const std::byte> frame);
  [[nodiscard]] wire::ChecksumState judge(std::span<const std::byte> frame);
  [[nodiscard]] bool must_go_on(std::size_t work) const;
  void complete();
  void recycle(Buffer* buffer);

  Out out_;
  void* ctx_;
  Rng rng_;
  Time now_;
  std::uint32_t room_;
  std::unique_ptr<shard::Mesh> mesh_;
  std::vector<std::unique_ptr<Member>> members_;
  std::deque<Completing> completing_;
  std::vector<Buffer*> spare_;
  std::size_t in_use_ = 0;
  std::uint16_t first_ = 0;  ///< shard that is polled first
};

}  // namespace handfast::sim
