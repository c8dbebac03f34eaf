// SPDX-License-Identifier: BSD-3-Clause
// TAP and veth against this kernel. The tests run again as children in a network namespace of their own
// (`unshare -Urn`), where an ordinary user may make interfaces; what they make is gone with it.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "dpdk/machine.hpp"
#include "support.hpp"

namespace handfast::dpdk {
namespace {

using test::TcpFrame;
using wire::ChecksumState;

bool in_namespace() { return std::getenv("HANDFAST_TEST_NAMESPACE") != nullptr; }

/// Runs the tests of one suite in a namespace; a skip with the reason where that cannot be.
void run_in_namespace(const std::string& suite) {
  if (in_namespace()) GTEST_SKIP() << "already inside";
  const auto facts = probe_machine();
  if (!facts.user_namespaces) GTEST_SKIP() << "this process may not make user namespaces";
  if (!facts.tun_usable) GTEST_SKIP() << "/dev/net/tun cannot be opened";
  if (test::run_command("ip -V").exit_code != 0) GTEST_SKIP() << "iproute2 is not installed";
  const auto child = test::run_command("HANDFAST_TEST_NAMESPACE=1 unshare -Urn " + test::self_path() +
                                       " --gtest_also_run_disabled_tests --gtest_filter='" + suite + ".*'");
  EXPECT_EQ(child.exit_code, 0) << child.output;
  EXPECT_NE(child.output.find("[  PASSED  ]"), std::string::npos) << child.output;
  EXPECT_EQ(child.output.find("[  SKIPPED ]"), std::string::npos) << child.output;
}

TEST(namespaces, tap__works_for_an_ordinary_user) { run_in_namespace("DISABLED_tap_inside"); }
TEST(namespaces, veth__works_for_an_ordinary_user) { run_in_namespace("DISABLED_veth_inside"); }

PortOptions small() { return {.descriptors = 512, .buffers_per_queue = 2048}; }

void shell(const std::string& command) {
  const auto outcome = test::run_command(command);
  ASSERT_EQ(outcome.exit_code, 0) << command << ": " << outcome.output;
}

MacAddress mac_of(const std::string& interface) {
  MacAddress mac;
  ifreq request{};
  std::memcpy(request.ifr_name, interface.data(), std::min<std::size_t>(interface.size(), IFNAMSIZ - 1));
  const int fd = socket(AF_INET, SOCK_DGRAM, 0);  // sysfs would show the namespace outside
  if (ioctl(fd, SIOCGIFHWADDR, &request) == 0) {
    std::memcpy(mac.bytes.data(), static_cast<const void*>(request.ifr_hwaddr.sa_data), mac.bytes.size());
  }
  close(fd);
  return mac;
}

/// Drops what is not TCP over IPv4, such as the kernel's IPv6 greetings.
std::vector<test::Received> receive_tcp(DpdkIo& io,
                                        std::chrono::milliseconds limit = std::chrono::seconds{3}) {
  const auto deadline = std::chrono::steady_clock::now() + limit;
  while (std::chrono::steady_clock::now() < deadline) {
    for (auto& frame : test::receive_frames(io, 1, std::chrono::milliseconds{50})) {
      if (frame.bytes.size() >= 54 && frame.bytes[12] == std::byte{8} && frame.bytes[13] == std::byte{0} &&
          frame.bytes[23] == std::byte{6}) {
        return {frame};
      }
    }
  }
  return {};
}

/// A TCP connect that nobody waits for.
int start_connect(const char* address, std::uint16_t port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(port);
  inet_pton(AF_INET, address, &to.sin_addr);
  static_cast<void>(connect(fd, reinterpret_cast<const sockaddr*>(&to), sizeof to));
  return fd;
}

void introduce(const Port& port, const std::string& interface) {
  shell("ip addr add 10.9.0.1/24 dev " + interface);
  shell("ip neigh replace 10.9.0.2 lladdr " + port.mac().to_string() + " dev " + interface);
}

TEST(DISABLED_tap_inside, our_address__is_not_that_of_the_kernels_end) {
  auto port = test::make_port("tap:hft0", small());
  EXPECT_FALSE(mac_of("hft0").is_zero());
  EXPECT_NE(port.mac(), mac_of("hft0"));
  EXPECT_EQ(port.mac().bytes[0] & 3, 2);
}

TEST(DISABLED_tap_inside, kernels_syn__arrives_with_good_sums) {
  auto port = test::make_port("tap:hft1", small());
  introduce(port, "hft1");
  DpdkIo io(port, 0);
  const int fd = start_connect("10.9.0.2", 80);
  const auto got = receive_tcp(io);
  close(fd);
  ASSERT_EQ(got.size(), 1u);
  EXPECT_EQ(std::memcmp(got[0].bytes.data(), port.mac().bytes.data(), 6), 0);
  EXPECT_EQ(got[0].tcp, ChecksumState::good);
  EXPECT_EQ(got[0].ip, ChecksumState::good);
}

TEST(DISABLED_tap_inside, sums_left_to_the_port__are_believed_by_the_kernel) {
  auto port = test::make_port("tap:hft2", small());
  introduce(port, "hft2");
  DpdkIo io(port, 0);
  ASSERT_EQ(port.traits().tx_offloads, wire::tx_ip_checksum | wire::tx_tcp_checksum);
  TcpFrame syn{.from = port.mac(), .to = mac_of("hft2"), .sums = false};
  syn.destination.port =
      12345;  // closed: the kernel answers a correct SYN, and only a correct one, by a reset
  test::send_one(io, test::frame_of(io, syn.bytes(), port.traits().tx_offloads));
  const auto reset = receive_tcp(io);
  ASSERT_EQ(reset.size(), 1u);
  EXPECT_EQ(reset[0].bytes[47] & std::byte{0x04}, std::byte{0x04});
}

TEST(DISABLED_tap_inside, wrong_sums__are_told) {
  auto port = test::make_port("tap:hft3", small());
  introduce(port, "hft3");
  DpdkIo io(port, 0);
  const TcpFrame syn{.from = port.mac(), .to = mac_of("hft3"), .sums = false};
  test::send_one(io, test::frame_of(io, syn.bytes()));
  EXPECT_TRUE(receive_tcp(io, std::chrono::milliseconds{200}).empty()) << "the kernel must drop it";
}

TEST(DISABLED_tap_inside, name_that_is_taken__is_an_error_about_it) {
  auto port = test::make_port("tap:hft4", small());
  const auto error = test::port_error("tap:hft4", small());
  EXPECT_EQ(error.what, "the interface hft4 exists already");
}

TEST(DISABLED_veth_inside, frames__cross_both_ways) {
  shell("ip link add hfv0 type veth peer name hfv1");
  shell("ip link set hfv0 up");
  shell("ip link set hfv1 up");
  auto left = test::make_port("veth:hfv0", small());
  auto right = test::make_port("veth:hfv1", small());
  EXPECT_EQ(left.mac(), mac_of("hfv0")) << "on a wire that knows the device its own address is ours";
  DpdkIo a(left, 0);
  DpdkIo b(right, 0);
  const TcpFrame frame{.from = left.mac(), .to = right.mac(), .payload = 700};
  test::send_one(a, test::frame_of(a, frame.bytes()));
  const auto got = receive_tcp(b);
  ASSERT_EQ(got.size(), 1u);
  EXPECT_EQ(got[0].bytes, frame.bytes());
  EXPECT_EQ(got[0].tcp, ChecksumState::unknown);
}

}  // namespace
}  // namespace handfast::dpdk
