// SPDX-License-Identifier: BSD-3-Clause
// Shards on threads of their own that hand frames to each other, beside posts and listings from outside.
// Layer: test of threads; to be run under ThreadSanitizer as well. The wires are rings of two threads each,
// and buffers come from the heap: no lock orders what the stack itself does not.
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstring>
#include <memory>
#include <thread>
#include <vector>

#include "handfast/frame_port.hpp"
#include "shard/loop.hpp"
#include "support/peer.hpp"

namespace handfast::test {
namespace {

struct Buffer {
  std::uint32_t length = 0;
  std::array<std::byte, 1600> bytes;
};

Time real_now() { return Time{std::chrono::steady_clock::now().time_since_epoch()}; }

/// One shard's port: a ring from the wire and one to it. What is in the rings at the end is freed by who made
/// them.
class WirePort {
 public:
  std::size_t receive(std::span<wire::RxFrame> frames) {
    std::size_t n = 0;
    for (Buffer* b = nullptr; n < frames.size() && in.pop(b); ++n) {
      frames[n] = {};
      frames[n].data = b->bytes.data();
      frames[n].length = b->length;
      frames[n].handle = b;
    }
    return n;
  }
  void release(std::span<void* const> handles) {
    for (void* handle : handles) delete static_cast<Buffer*>(handle);
  }
  bool allocate(wire::TxFrame& frame) {
    auto* b = new Buffer;
    frame = {};
    frame.data = b->bytes.data();
    frame.capacity = static_cast<std::uint32_t>(b->bytes.size());
    frame.handle = b;
    return true;
  }
  void discard(wire::TxFrame& frame) { delete static_cast<Buffer*>(frame.handle); }
  std::size_t transmit(std::span<wire::TxFrame> frames) {
    for (std::size_t i = 0; i < frames.size(); ++i) {
      auto* b = static_cast<Buffer*>(frames[i].handle);
      b->length = frames[i].length;
      if (!out.push(b)) return i;
    }
    return frames.size();
  }
  [[nodiscard]] static std::uint8_t tx_offloads() { return 0; }

  ds::SpscRing<Buffer*> in{4096}, out{4096};
};
static_assert(shard::Io<WirePort>);

struct Echo {
  std::size_t on_data(Conn& c, const RxView& in) {
    EXPECT_EQ(c.send(in.text()), in.size());
    c.close();
    return in.size();
  }
};

struct Client {
  int finished = 0, other = 0;
  std::size_t bytes = 0;
  void on_connect(Conn& c) { c.send_static("hello"); }
  std::size_t on_data(Conn&, const RxView& in) {
    bytes += in.size();
    return in.size();
  }
  void on_peer_fin(Conn& c) { c.close(); }
  void on_closed(ConnId, CloseReason why) { ++(why == CloseReason::finished ? finished : other); }
};

/// The server's shards, each on a thread; their port deals frames out at random.
class Server {
 public:
  Server(std::uint16_t shards, std::uint64_t seed) : mesh_(shard::Steering{seed, shards}) {
    CoreConfig config = small_config();
    config.link.address = {Ipv4Address{10, 0, 0, 1}, 24};
    config.seed = seed;
    config.shard_count = shards;
    for (std::uint16_t i = 0; i < shards; ++i) {
      config.shard = i;
      members_.push_back(std::make_unique<Member>(config, &mesh_));
      Core& core = members_.back()->shard.core();
      EXPECT_TRUE(core.listen_with({any, 80}, *core.add_handler_ref(members_.back()->echo)));
    }
    for (auto& m : members_)
      threads_.emplace_back([this, member = m.get()] {
        while (!stop_.load(std::memory_order_relaxed))
          if (member->loop.poll(real_now()) == 0) std::this_thread::yield();
      });
  }
  ~Server() { stop(); }
  void stop() {
    stop_ = true;
    for (std::thread& t : threads_) t.join();
    threads_.clear();
    for (auto& m : members_) m->loop.stop();
    for (auto& m : members_) {
      for (Buffer* b = nullptr; m->port.in.pop(b);) delete b;
      for (Buffer* b = nullptr; m->port.out.pop(b);) delete b;
    }
  }
  [[nodiscard]] std::size_t size() const { return members_.size(); }
  [[nodiscard]] Core& core(std::size_t i) { return members_[i]->shard.core(); }
  [[nodiscard]] WirePort& port(std::size_t i) { return members_[i]->port; }

 private:
  struct Member {
    Member(const CoreConfig& config, shard::Mesh* mesh)
        : shard(config, real_now(), mesh), loop(shard, port) {}
    WirePort port;
    shard::Shard shard;
    shard::Loop<WirePort> loop;
    Echo echo;
  };
  shard::Mesh mesh_;
  std::vector<std::unique_ptr<Member>> members_;
  std::atomic<bool> stop_{false};
  std::vector<std::thread> threads_;
};

TEST(MeshThreads, shards_on_two_threads_and_a_port_that_guesses__every_exchange_ends_well) {
  const std::uint64_t seed = test_seed();
  Server server{2, seed};
  struct Far {
    Server& server;
    Rng rng;
    int lost = 0;
    static void out(void* self, std::span<const std::byte> frame) {
      auto& far = *static_cast<Far*>(self);
      auto* b = new Buffer;
      b->length = static_cast<std::uint32_t>(frame.size());
      std::memcpy(b->bytes.data(), frame.data(), frame.size());
      if (far.server.port(far.rng.below(static_cast<std::uint32_t>(far.server.size()))).in.push(b)) return;
      delete b;
      ++far.lost;
    }
  } far{server, Rng{seed}};
  CoreConfig config = small_config();
  config.link.address = {Ipv4Address{10, 0, 0, 2}, 24};
  config.link.mac = Trace::peer_mac;
  config.seed = seed + 1;
  auto stack = std::move(*FrameStack::create(config, real_now(), Far::out, &far));
  Client client;
  const HandlerRef ref = *stack->core().add_handler_ref(client);

  // From outside: a task and a listing now and then.
  std::atomic<bool> stop{false};
  std::atomic<std::uint64_t> ran{0};
  std::uint64_t posted = 0, lines = 0;
  std::thread outside{[&] {
    while (!stop.load(std::memory_order_relaxed)) {
      for (std::size_t i = 0; i < server.size(); ++i) {
        posted += server.core(i).post([](void* n) { ++*static_cast<std::atomic<std::uint64_t>*>(n); }, &ran);
        for (const ConnInfo& line : server.core(i).connections()) {
          ++lines;
          EXPECT_EQ(line.local, (Endpoint{{10, 0, 0, 1}, 80}));
          EXPECT_EQ(line.peer.address, (Ipv4Address{10, 0, 0, 2}));
        }
      }
      std::this_thread::yield();
    }
  }};

  constexpr int wanted = 400, at_once = 32;
  int opened = 0;
  const Time limit = real_now() + 60s;
  while (client.finished + client.other < wanted && real_now() < limit) {
    while (opened < wanted && opened - client.finished - client.other < at_once) {
      ASSERT_TRUE(stack->core().connect({{10, 0, 0, 1}, 80}, ref));
      ++opened;
    }
    for (std::size_t i = 0; i < server.size(); ++i)
      for (Buffer* b = nullptr; server.port(i).out.pop(b);) {
        EXPECT_TRUE(stack->receive({b->bytes.data(), b->length}));
        delete b;
      }
    if (stack->poll(real_now()) == 0) std::this_thread::yield();
  }
  stop = true;
  outside.join();
  server.stop();
  EXPECT_EQ(client.finished, wanted);
  EXPECT_EQ(client.bytes, wanted * 5u);
  EXPECT_EQ(far.lost, 0);
  EXPECT_GT(ran, 0u);
  EXPECT_LE(ran, posted);
  CoreStats sum;
  for (std::size_t i = 0; i < server.size(); ++i) sum.add(server.core(i).stats());
  EXPECT_GT(sum.handed_over, static_cast<std::uint64_t>(wanted));
  EXPECT_EQ(sum.drops[static_cast<std::size_t>(Drop::steering_ring_full)], 0u);
}

}  // namespace
}  // namespace handfast::test
