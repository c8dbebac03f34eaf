// SPDX-License-Identifier: BSD-3-Clause
// Two ends of a link that keeps what it cannot pass on (rings, memif, virtio): each has more to say than the link takes,
// and neither may wait for the other to listen first. Layer: tests of the shard.
#include <gtest/gtest.h>

#include <array>
#include <memory>

#include "handfast/frame_port.hpp"

namespace handfast::test {
namespace {

constexpr std::size_t no_limit = 1u << 30;

struct Quiet {};

/// A queue of `places` frames each way; what does not fit stays with its sender.
struct RingLink {
  struct End {
    RingLink* link = nullptr;
    int index = 0;
    std::unique_ptr<FrameStack> stack;
    std::uint64_t given = 0;  // frames put into its queue
  };

  explicit RingLink(std::uint32_t n, bool far_asks) : connections(n) {
    for (int i = 0; i < 2; ++i) {
      CoreConfig config;
      config.link.address = {address(i), 24};
      config.link.mac.bytes[5] = static_cast<std::uint8_t>(i + 1);
      config.limits.connections = connections;
      config.limits.half_open = config.limits.somaxconn = 4096;
      config.tcp.keepalive = i == 0 || far_asks;
      config.tcp.keepalive_idle = 10s;
      config.seed = static_cast<std::uint64_t>(i) + 1;
      ends[i].link = this;
      ends[i].index = i;
      auto made = FrameStack::create(config, now, [](void* ctx, std::span<const std::byte> frame) {
            auto& from = *static_cast<End*>(ctx);
            End& to = from.link->ends[1 - from.index];
            ++to.given;
            EXPECT_TRUE(to.stack->receive(frame));
          }, &ends[i]);
      EXPECT_TRUE(made);
      ends[i].stack = std::move(*made);
    }
  }
  static Ipv4Address address(int i) { return {10, 0, 0, static_cast<std::uint8_t>(i + 1)}; }
  [[nodiscard]] std::size_t waiting(int end) const { return ends[end].given - ends[end].stack->core().stats().frames_in; }
  void round() {
    for (int i = 0; i < 2; ++i) {
      const std::size_t there = waiting(1 - i);
      ends[i].stack->limit_transmit(places == no_limit ? no_limit : places - std::min(places, there));
      ends[i].stack->poll(now);
    }
    now += 100us;
  }
  [[nodiscard]] bool at_rest() const {
    return waiting(0) == 0 && waiting(1) == 0 && ends[0].stack->buffers_in_use() == 0 && ends[1].stack->buffers_in_use() == 0;
  }

  /// All connections established, and then nothing for as long as keep-alives wait: all are due at once.
  void open_and_leave() {
    Core &near = ends[0].stack->core(), &far = ends[1].stack->core();
    ASSERT_TRUE(far.listen({any, 80}, Quiet{}, {.backlog = 4096}));
    const auto quiet = near.add_handler(Quiet{});
    ASSERT_TRUE(quiet);
    while (!near.resolve(address(1))) round();
    for (std::uint32_t i = 0; i < connections; ++i) {
      ASSERT_TRUE(near.connect({address(1), 80}, *quiet));
      if (i % 64 == 0) round();
    }
    for (int i = 0; i < 10'000 && far.stats().accepted < connections; ++i) round();
    ASSERT_EQ(far.stats().accepted, connections);
    places = 16;
    now += 11s;
  }

  std::uint32_t connections;
  Time now{1s};
  std::size_t places = no_limit;
  std::array<End, 2> ends;
};

TEST(MutualJam, both_ends_with_more_than_the_link_holds__all_of_it_passes) {
  RingLink link{4000, true};
  link.open_and_leave();
  Core &near = link.ends[0].stack->core(), &far = link.ends[1].stack->core();
  for (int i = 0; i < 20'000 && (i < 100 || !link.at_rest()); ++i) link.round();
  EXPECT_TRUE(link.at_rest()) << link.waiting(0) << " and " << link.waiting(1) << " frames wait, and nobody takes them";
  EXPECT_GE(near.stats().keepalive_probes + far.stats().keepalive_probes, 2 * link.connections);
  EXPECT_EQ(near.stats().connections, link.connections);
  EXPECT_EQ(far.stats().connections, link.connections);
  for (const Core* core : {&near, &far}) EXPECT_EQ(core->stats().drops[static_cast<std::size_t>(Drop::tx_no_buffer)], 0u);
}

// Timers fire faster than the port takes frames: they wait for it, or probes that were never sent count as unanswered.
TEST(MutualJam, more_timers_due_than_frames_can_wait__no_probe_is_dropped) {
  RingLink link{20'000, false};
  link.open_and_leave();
  Core& near = link.ends[0].stack->core();
  for (int i = 0; i < 20'000 && (near.stats().keepalive_probes < link.connections || !link.at_rest()); ++i) link.round();
  EXPECT_EQ(near.stats().keepalive_probes, link.connections);
  EXPECT_EQ(near.stats().drops[static_cast<std::size_t>(Drop::tx_no_buffer)], 0u);
  EXPECT_EQ(near.stats().connections, link.connections);
  EXPECT_TRUE(link.at_rest());
}

}  // namespace
}  // namespace handfast::test
