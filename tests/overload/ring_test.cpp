// SPDX-License-Identifier: BSD-3-Clause
// Two ends on rings that are full: each may be waiting for the other to take a frame. They must not wait for ever.
// Layer: tests of overload, in virtual time; the loop with a port of its own, as short of room as a ring of a real one.
#include <gtest/gtest.h>

#include <array>
#include <deque>
#include <memory>
#include <vector>

#include "endurance/traffic.hpp"
#include "shard/loop.hpp"
#include "support/recorder.hpp"

namespace handfast::test {
namespace {

struct Buffer {
  std::uint32_t length = 0;
  std::array<std::byte, 1600> bytes;
};

/// One pool for both ends, as a ring pair has it.
struct Pool {
  explicit Pool(std::size_t n) : buffers(n) {
    for (Buffer& b : buffers) free.push_back(&b);
  }
  std::vector<Buffer> buffers;
  std::vector<Buffer*> free;
};

using Ring = std::deque<Buffer*>;

/// shard::Io between two rings of `room` places.
class RingIo {
 public:
  RingIo(Pool& pool, Ring& in, Ring& out, std::size_t room) : pool_(pool), in_(in), out_(out), room_(room) {}
  std::size_t receive(std::span<wire::RxFrame> frames) {
    std::size_t n = 0;
    for (; n < frames.size() && !in_.empty(); ++n) {
      frames[n] = {};
      frames[n].data = in_.front()->bytes.data();
      frames[n].length = in_.front()->length;
      frames[n].handle = in_.front();
      in_.pop_front();
    }
    return n;
  }
  void release(std::span<void* const> handles) {
    for (void* handle : handles) pool_.free.push_back(static_cast<Buffer*>(handle));
  }
  bool allocate(wire::TxFrame& frame) {
    if (pool_.free.empty()) return false;
    Buffer* b = pool_.free.back();
    pool_.free.pop_back();
    frame = {};
    frame.data = b->bytes.data();
    frame.capacity = static_cast<std::uint32_t>(b->bytes.size());
    frame.handle = b;
    return true;
  }
  void discard(wire::TxFrame& frame) { pool_.free.push_back(static_cast<Buffer*>(frame.handle)); }
  std::size_t transmit(std::span<wire::TxFrame> frames) {
    std::size_t n = 0;
    for (; n < frames.size() && out_.size() < room_; ++n) {
      auto* b = static_cast<Buffer*>(frames[n].handle);
      b->length = frames[n].length;
      out_.push_back(b);
    }
    return n;
  }
  [[nodiscard]] static std::uint8_t tx_offloads() { return 0; }

 private:
  Pool& pool_;
  Ring &in_, &out_;
  std::size_t room_;
};
static_assert(shard::Io<RingIo>);

struct Ends {
  static constexpr Time start{1h};
  explicit Ends(std::size_t buffers) : pool(buffers) {
    for (unsigned i = 0; i < 2; ++i) {
      CoreConfig config;
      config.link.address = {Ipv4Address{10, 0, 0, static_cast<std::uint8_t>(1 + i)}, 24};
      config.link.mac = MacAddress{{2, 0, 0, 0, 0, static_cast<std::uint8_t>(1 + i)}};
      config.seed = test_seed() + i;
      io[i] = std::make_unique<RingIo>(pool, ring[1 - i], ring[i], 1024);
      shard[i] = std::make_unique<shard::Shard>(config, start, nullptr);
      loop[i] = std::make_unique<shard::Loop<RingIo>>(*shard[i], *io[i]);
    }
    EXPECT_TRUE(shard[1]->core().listen_with({any, 80}, *shard[1]->core().add_handler_ref(server), {.backlog = 65536}));
    self = *shard[0]->core().add_handler_ref(client);
    while (!shard[0]->core().resolve({10, 0, 0, 2})) poll();
  }
  ~Ends() {
    for (auto& l : loop) l->stop();
    for (Ring& r : ring)
      for (Buffer* b : r) pool.free.push_back(b);
    EXPECT_EQ(pool.free.size(), pool.buffers.size()) << "buffers were lost";
  }
  void poll() {
    for (auto& l : loop) l->poll(now);
    now += 10us;
  }
  Pool pool;
  Ring ring[2];
  std::unique_ptr<RingIo> io[2];
  std::unique_ptr<shard::Shard> shard[2];
  std::unique_ptr<shard::Loop<RingIo>> loop[2];
  EchoBack server;
  Traffic client;
  HandlerRef self;
  Time now = start;
};

TEST(FullRings, many_opened_at_once__both_ends_go_on) {
  // The second: the backlog of one end holds every buffer that there is.
  for (const std::size_t buffers : {65536u, 12000u}) {
    SCOPED_TRACE(buffers);
    Ends ends{buffers};
    for (int i = 0; i < 16000; ++i)
      ASSERT_TRUE(ends.client.open(ends.shard[0]->core(), ends.self, {{10, 0, 0, 2}, 80}, {.bytes = 100}));
    const Time limit = ends.now + 30s;
    while (ends.now < limit && ends.client.finished < ends.client.opened) ends.poll();
    EXPECT_EQ(ends.client.finished, ends.client.opened);
    EXPECT_EQ(ends.client.wrong_bytes, 0u);
    EXPECT_LT(ends.now, limit) << "they wait for each other";
  }
}

}  // namespace
}  // namespace handfast::test
