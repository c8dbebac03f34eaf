// SPDX-License-Identifier: BSD-3-Clause
// Ports that meet over a socket: vhost and virtio, both ends of a memif; in one process.
#include <gtest/gtest.h>

#include <cstring>

#include "support.hpp"

namespace handfast::dpdk {
namespace {

using test::TcpFrame;
using wire::ChecksumState;

PortOptions small(std::uint16_t queues = 1) {
  return {.queues = queues, .descriptors = 512, .buffers_per_queue = 2048};
}

/// Sends 100 frames each way on each queue and insists that they come as they were sent.
void exchange(const Port& one, const Port& two) {
  for (std::uint16_t queue = 0; queue < one.queues(); ++queue) {
    DpdkIo a(one, queue);
    DpdkIo b(two, queue);
    // A memif client offers its buffers for the other direction when it first looks for frames.
    for (auto* io : {&a, &b}) ASSERT_TRUE(test::receive_frames(*io, 1, std::chrono::milliseconds{1}).empty());
    const auto bytes = TcpFrame{.payload = 333}.bytes();
    for (auto [from, to] : {std::pair{&a, &b}, std::pair{&b, &a}}) {
      for (int i = 0; i < 100; ++i) {
        ASSERT_NO_FATAL_FAILURE(test::send_one(*from, test::frame_of(*from, bytes))) << "frame " << i;
      }
      const auto got = test::receive_frames(*to, 100);
      ASSERT_EQ(got.size(), 100u) << "queue " << queue;
      for (const auto& frame : got) ASSERT_EQ(frame.bytes, bytes);
    }
  }
}

class SocketPair : public testing::Test {
 protected:
  void make(const std::string& first, const std::string& second, const PortOptions& options) {
    ports.push_back(test::make_port(first, options));
    ports.push_back(test::make_port(second, options));
    for (const auto& port : ports) ASSERT_TRUE(port.wait_link(std::chrono::seconds{5}));
  }
  /// Both pools are whole again once the ports are closed.
  void close_and_count() {
    std::vector<std::shared_ptr<PacketPool>> pools;
    for (const auto& port : ports) pools.push_back(port.pool());
    close_in_order(ports);
    for (const auto& pool : pools) EXPECT_EQ(pool->in_use(), 0u);
  }
  test::TemporaryDirectory directory;
  std::string path = directory.file("s");
  std::vector<Port> ports;
};

TEST_F(SocketPair, vhost_and_virtio__pass_frames_both_ways) {
  make("vhost:" + path, "virtio:" + path, small());
  exchange(ports[0], ports[1]);
  close_and_count();
}

TEST_F(SocketPair, vhost_and_virtio_with_four_queues__each_passes_frames) {
  make("vhost:" + path, "virtio:" + path, small(4));
  exchange(ports[0], ports[1]);
  close_and_count();
}

TEST_F(SocketPair, vhost_and_virtio_packed_and_in_order__pass_frames) {
  make("vhost:" + path, "virtio:" + path + ",packed_vq=1,in_order=1,mrg_rxbuf=0,vectorized=1", small());
  exchange(ports[0], ports[1]);
  close_and_count();
}

TEST_F(SocketPair, checksum_left_to_virtio__arrives_as_good_whatever_the_field_holds) {
  make("vhost:" + path, "virtio:" + path, small());
  for (int direction = 0; direction < 2; ++direction) {
    const Port& from = ports[direction == 0 ? 0 : 1];
    const Port& to = ports[direction == 0 ? 1 : 0];
    ASSERT_EQ(from.traits().tx_offloads, wire::tx_tcp_checksum) << "neither end does the IP header's sum";
    ASSERT_TRUE(to.traits().rx_tcp_checksum);
    ASSERT_FALSE(to.traits().rx_ip_checksum);
    DpdkIo a(from, 0);
    DpdkIo b(to, 0);
    test::send_one(a,
                   test::frame_of(a, TcpFrame{.payload = 100, .sums = false}.bytes(), wire::tx_tcp_checksum));
    const auto got = test::receive_frames(b, 1);
    ASSERT_EQ(got.size(), 1u);
    EXPECT_EQ(got[0].tcp, ChecksumState::good);
    EXPECT_EQ(got[0].ip, ChecksumState::unknown);
  }
  close_and_count();
}

TEST_F(SocketPair, offloads_refused__nothing_is_offered_and_nothing_believed) {
  auto options = small();
  options.offloads = false;
  make("vhost:" + path, "virtio:" + path, options);
  for (const auto& port : ports) {
    EXPECT_EQ(port.traits().tx_offloads, 0);
    EXPECT_FALSE(port.traits().rx_tcp_checksum);
  }
  exchange(ports[0], ports[1]);
  close_and_count();
}

TEST_F(SocketPair, segmentation_over_virtio__large_frame_crosses_whole) {
  auto options = small();
  options.segmentation = true;
  options.buffer_bytes = 16384;
  options.buffers_per_queue = 1024;
  ports.push_back(test::make_port("vhost:" + path + ",tso=1", options));
  ports.push_back(test::make_port("virtio:" + path, options));
  ASSERT_NE(ports[1].traits().tx_offloads & wire::tx_tcp_segmentation, 0);
  {
    DpdkIo b(ports[1], 0);
    DpdkIo a(ports[0], 0);
    const auto bytes = TcpFrame{.flags = 0x10, .payload = 8000, .sums = false}.bytes();
    auto frame = test::frame_of(b, bytes, wire::tx_tcp_checksum | wire::tx_tcp_segmentation);
    frame.segment_size = 1460;
    test::send_one(b, frame);
    const auto got = test::receive_frames(a, 1);
    ASSERT_EQ(got.size(), 1u);
    EXPECT_EQ(got[0].bytes.size(), bytes.size());
    EXPECT_EQ(got[0].tcp, ChecksumState::good);
    EXPECT_EQ(std::memcmp(got[0].bytes.data() + 54, bytes.data() + 54, 8000), 0);
  }
  close_and_count();
}

TEST_F(SocketPair, memif__passes_frames_both_ways) {
  make("memif:" + path + ",role=server", "memif:" + path + ",role=client", small());
  exchange(ports[0], ports[1]);
  close_and_count();
}

TEST_F(SocketPair, memif_with_two_queues__each_passes_frames) {
  make("memif:" + path + ",server", "memif:" + path + ",client", small(2));
  exchange(ports[0], ports[1]);
  close_and_count();
}

TEST_F(SocketPair, memif_without_a_peer__takes_nothing_and_loses_nothing) {
  auto server = test::make_port("memif:" + path + ",server", small());
  EXPECT_FALSE(server.link_up());
  const auto pool = server.pool();
  {
    DpdkIo io(server, 0);
    auto frame = test::frame_of(io, TcpFrame{}.bytes());
    EXPECT_EQ(io.transmit({&frame, 1}), 0u);
    io.discard(frame);
  }
  EXPECT_EQ(pool->in_use(), 0u);
}

TEST_F(SocketPair, path_of_a_closed_port__can_be_used_again) {
  make("vhost:" + path, "virtio:" + path, small());
  close_and_count();
  make("vhost:" + path, "virtio:" + path, small());
  exchange(ports[0], ports[1]);
  close_and_count();
}

}  // namespace
}  // namespace handfast::dpdk
