// SPDX-License-Identifier: BSD-3-Clause
// Several shards behind one port that hands every frame to a random one: no connection may be lost to
// steering. Layer: tests of the shard. All in one thread and in virtual time.
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "support/peer.hpp"
#include "support/recorder.hpp"
#include "support/usage.hpp"
#include "test_port.hpp"

namespace handfast::test {
namespace {

struct Server {
  int served = 0;
  std::size_t on_data(Conn& c, const RxView& in) {
    ++served;
    EXPECT_EQ(c.send(in.text()), in.size());
    c.close();
    return in.size();
  }
};

struct Client {
  int connected = 0, finished = 0, other = 0;
  std::string got;
  void on_connect(Conn& c) {
    ++connected;
    c.send_static("hello");
  }
  std::size_t on_data(Conn&, const RxView& in) {
    got += in.text();
    return in.size();
  }
  void on_closed(ConnId, CloseReason why) { ++(why == CloseReason::finished ? finished : other); }
};

/// n shards of one stack on a port of n queues, and one ordinary stack on the other end of the wire.
class Cluster {
 public:
  explicit Cluster(std::uint16_t n, std::uint64_t seed)
      : rng_(seed),
        mesh_(shard::Steering{seed, n}),
        port_(
            n, 8192,
            [](void* self, std::span<const std::byte> f) { static_cast<Cluster*>(self)->far_->receive(f); },
            this) {
    CoreConfig config = small_config();
    config.link.address = {Ipv4Address{10, 0, 0, 1}, 24};
    config.seed = seed;
    config.shard_count = n;
    for (std::uint16_t i = 0; i < n; ++i) {
      config.shard = i;
      shards_.push_back(std::make_unique<TestShard>(config, now_, port_, i, &mesh_));
    }
    CoreConfig far = small_config();
    far.link.address = {Ipv4Address{10, 0, 0, 2}, 24};
    far.link.mac = Trace::peer_mac;
    far.seed = seed + 1;
    far.limits.connections = 2048;
    far_ = std::move(*FrameStack::create(
        far, now_,
        [](void* self, std::span<const std::byte> f) {
          auto& c = *static_cast<Cluster*>(self);
          EXPECT_TRUE(c.port_.deliver(c.rng_.below(static_cast<std::uint32_t>(c.shards_.size())), f));
        },
        this));
  }
  ~Cluster() { EXPECT_EQ(stop(), 0u) << "buffers of the port"; }

  [[nodiscard]] Core& core(std::size_t i) { return shards_[i]->shard.core(); }
  [[nodiscard]] Core& far() { return far_->core(); }
  [[nodiscard]] std::size_t size() const { return shards_.size(); }
  void run(Duration d) {
    for (const Time end = now_ + d; now_ < end; now_ += 500us) {
      far_->poll(now_);
      for (auto& s : shards_) s->loop.poll(now_);
    }
  }
  [[nodiscard]] CoreStats sum() {
    CoreStats total;
    for (auto& s : shards_) total.add(s->shard.stats());
    return total;
  }

 private:
  std::size_t stop() {
    run(10ms);
    for (auto& s : shards_) s->loop.stop();
    return port_.in_use();
  }

  Time now_{1000s};
  Rng rng_;
  shard::Mesh mesh_;
  std::unique_ptr<FrameStack> far_;
  TestPort port_;
  std::vector<std::unique_ptr<TestShard>> shards_;
};

class Shards : public testing::TestWithParam<std::uint16_t> {};
INSTANTIATE_TEST_SUITE_P(Mesh, Shards,
                         testing::Values(std::uint16_t{1}, std::uint16_t{2}, std::uint16_t{3},
                                         std::uint16_t{8}));

TEST_P(Shards, passive_opens__frames_on_random_shards__none_is_lost) {
  Server server;
  Client client;
  Cluster c{GetParam(), test_seed()};
  for (std::size_t i = 0; i < c.size(); ++i)
    ASSERT_TRUE(c.core(i).listen_with({any, 80}, *c.core(i).add_handler_ref(server)));
  const HandlerRef ref = *c.far().add_handler_ref(client);
  constexpr int n = 300;
  for (int i = 0; i < n; ++i) {
    ASSERT_TRUE(c.far().connect({{10, 0, 0, 1}, 80}, ref));
    if (i % 20 == 0) c.run(1ms);
  }
  c.run(100ms);
  EXPECT_EQ(client.finished, n) << "without a single retransmission";
  EXPECT_EQ(client.got.size(), n * 5u);
  EXPECT_EQ(server.served, n);
  const CoreStats s = c.sum();
  EXPECT_EQ(s.retransmits, 0u);
  EXPECT_EQ(s.resets_out, 0u);
  EXPECT_EQ(s.drops[static_cast<std::size_t>(Drop::steering_ring_full)], 0u);
  if (c.size() == 1) return;
  EXPECT_GT(s.handed_over, 0u);
  for (std::size_t i = 0; i < c.size(); ++i)
    EXPECT_GT(c.core(i).stats().accepted, 10u) << "every shard has its part";
}

TEST_P(Shards, active_opens__answers_on_random_shards__come_to_who_asked) {
  Server server;
  std::vector<Client> clients(GetParam());
  Cluster c{GetParam(), test_seed()};
  ASSERT_TRUE(c.far().listen_with({any, 80}, *c.far().add_handler_ref(server)));
  constexpr int n = 60;
  std::vector<HandlerRef> refs;
  for (std::size_t i = 0; i < c.size(); ++i) refs.push_back(*c.core(i).add_handler_ref(clients[i]));
  for (int k = 0; k < n; ++k) {
    for (std::size_t i = 0; i < c.size(); ++i) ASSERT_TRUE(c.core(i).connect({{10, 0, 0, 2}, 80}, refs[i]));
    c.run(1ms);
  }
  c.run(100ms);
  for (std::size_t i = 0; i < c.size(); ++i) {
    EXPECT_EQ(clients[i].connected, n);
    EXPECT_EQ(clients[i].finished, n);
  }
  EXPECT_EQ(c.sum().retransmits, 0u);
}

TEST(Steering, toeplitz__the_published_vectors) {
  // The verification suite of the RSS specification: destination, source.
  constexpr std::array<std::uint8_t, 40> key{0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67,
                                             0x25, 0x3d, 0x43, 0xa3, 0x8f, 0xb0, 0xd0, 0xca, 0x2b, 0xcb,
                                             0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3, 0x80, 0x30,
                                             0xf2, 0x0c, 0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa};
  const auto hash = [&](Endpoint destination, Endpoint source) {
    return shard::Steering::toeplitz(key, {destination, source});
  };
  EXPECT_EQ(hash({{161, 142, 100, 80}, 1766}, {{66, 9, 149, 187}, 2794}), 0x51ccc178u);
  EXPECT_EQ(hash({{65, 69, 140, 83}, 4739}, {{199, 92, 111, 2}, 14230}), 0xc626b0eau);
  EXPECT_EQ(hash({{12, 22, 207, 184}, 38024}, {{24, 19, 198, 95}, 12898}), 0x5c2b394au);
  EXPECT_EQ(hash({{209, 142, 163, 6}, 2217}, {{38, 27, 205, 30}, 48228}), 0xafc7327fu);
  EXPECT_EQ(hash({{202, 188, 127, 2}, 1303}, {{153, 39, 163, 191}, 44251}), 0x10e828a2u);
}

TEST(Steering, keyed_hash__spreads_evenly) {
  const shard::Steering steering{test_seed(), 8};
  std::array<int, 8> count{};
  for (std::uint32_t i = 0; i < 16000; ++i)
    ++count[steering.owner(
        {{{10, 0, 0, 1}, 80}, {Ipv4Address{0x0a000000u + i / 1000}, static_cast<Port>(1024 + i % 1000)}})];
  for (const int n : count) {
    EXPECT_GT(n, 1700);
    EXPECT_LT(n, 2300);
  }
}

}  // namespace
}  // namespace handfast::test
