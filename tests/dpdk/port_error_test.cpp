// SPDX-License-Identifier: BSD-3-Clause
// Ports that cannot be: each failure is a sentence, comes in time, and leaves nothing behind.
#include <gtest/gtest.h>
#include <rte_ethdev.h>

#include <chrono>
#include <thread>

#include "support.hpp"

namespace handfast::dpdk {
namespace {

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

PortOptions small() { return {.descriptors = 512, .buffers_per_queue = 2048}; }

struct PortError : testing::Test {
  std::uint16_t ports_before = rte_eth_dev_count_avail();
  void TearDown() override {
    EXPECT_EQ(rte_eth_dev_count_avail(), ports_before) << "a device was left behind";
  }
  test::TemporaryDirectory directory;
};

TEST_F(PortError, virtio_without_vhost__waits_and_says_what_to_start) {
  auto options = small();
  options.peer_wait = std::chrono::milliseconds{120};
  const auto start = std::chrono::steady_clock::now();
  const auto error = test::port_error("virtio:" + directory.file("s"), options);
  const auto waited = std::chrono::steady_clock::now() - start;
  EXPECT_GE(waited, options.peer_wait);
  EXPECT_LT(waited, std::chrono::seconds{2});
  EXPECT_EQ(error.kind, ErrorKind::environment);
  EXPECT_TRUE(contains(error.what, "120 ms")) << error.what;
  EXPECT_TRUE(contains(error.remedy, "vhost:" + directory.file("s"))) << error.remedy;
}

TEST_F(PortError, memif_client_without_server__waits_and_says_what_to_start) {
  auto options = small();
  options.peer_wait = std::chrono::milliseconds{120};
  const auto error = test::port_error("memif:" + directory.file("s"), options);
  EXPECT_TRUE(contains(error.remedy, "role=server")) << error.remedy;
}

TEST_F(PortError, wait_for_the_peer__ends_when_told_to) {
  std::atomic<bool> stop{false};
  auto options = small();
  options.peer_wait = std::chrono::seconds{30};
  options.stop = &stop;
  std::thread later([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds{60});
    stop = true;
  });
  const auto start = std::chrono::steady_clock::now();
  static_cast<void>(test::port_error("virtio:" + directory.file("s"), options));
  later.join();
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds{5});
}

TEST_F(PortError, virtio_that_starts_first__finds_vhost_when_it_comes) {
  const auto path = directory.file("s");
  // The second port is made on another thread while this one waits; devices are plugged in one at a time
  // inside.
  std::optional<Port> server;
  std::thread later([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds{150});
    server = test::make_port("vhost:" + path, small());
  });
  auto client = test::make_port("virtio:" + path, small());
  later.join();
  ASSERT_TRUE(server);
  EXPECT_TRUE(client.link_up());
  std::vector<Port> ports;
  ports.push_back(std::move(*server));
  ports.push_back(std::move(client));
  close_in_order(ports);
}

TEST_F(PortError, socket_that_nobody_serves__is_not_the_end_of_the_process) {
  auto options = small();
  options.peer_wait = std::chrono::milliseconds{60};
  const auto path = directory.file("file");
  ASSERT_EQ(test::run_command("touch " + path).exit_code, 0);
  const auto error = test::port_error("virtio:" + path, options);
  EXPECT_TRUE(contains(error.remedy, "same path")) << error.remedy;
}

TEST_F(PortError, more_queues_than_the_port_has__says_how_many) {
  auto options = small();
  options.queues = 17;
  EXPECT_TRUE(contains(test::port_error("ring:many", options).remedy, "1 to 16"));
  options.queues = 2;
  const auto error = test::port_error("pcap:," + directory.file("out"), options);
  EXPECT_TRUE(contains(error.what, "one queue")) << error.what;
}

TEST_F(PortError, mtu_out_of_range__says_the_range) {
  auto options = small();
  options.mtu = 9000;
  const auto path = directory.file("s");
  const auto error = test::port_error("memif:" + path + ",server", options);
  EXPECT_EQ(error.kind, ErrorKind::usage);
  EXPECT_TRUE(contains(error.what, "9000")) << error.what;
}

TEST_F(PortError, no_memory_for_the_pool__says_how_much_was_asked_for) {
  auto options = small();
  options.buffers_per_queue = 1u << 20;
  const auto error = test::port_error("null", options);
  EXPECT_EQ(error.kind, ErrorKind::environment);
  EXPECT_TRUE(contains(error.what, "1048576 packet buffers")) << error.what;
  EXPECT_TRUE(contains(error.remedy, "memory")) << error.remedy;
}

TEST_F(PortError, senseless_options__are_refused) {
  EXPECT_EQ(test::port_error("null", {.queues = 0}).kind, ErrorKind::usage);
  EXPECT_EQ(test::port_error("null", {.descriptors = 1024, .buffers_per_queue = 1024}).kind,
            ErrorKind::usage);
}

TEST_F(PortError, unknown_extra__names_the_port) {
  const auto error = test::port_error("null,nonsense=1", small());
  EXPECT_TRUE(contains(error.what, "null,nonsense=1")) << error.what;
}

}  // namespace
}  // namespace handfast::dpdk
