// SPDX-License-Identifier: BSD-3-Clause
// Driver arguments from port words, and the checks before a driver is asked.
#include "dpdk/vdev.hpp"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <fstream>

#include "support.hpp"

namespace handfast::dpdk {
namespace {

Vdev vdev_of(const std::string& text, unsigned queues = 1) {
  return vdev_for(*PortSpec::parse(text), queues, 7);
}

Expected<void> checked(const std::string& text, const MachineFacts& facts = {}, unsigned queues = 1) {
  return preflight(*PortSpec::parse(text), queues, facts);
}

TEST(vdev, arguments__are_those_that_the_drivers_know) {
  EXPECT_EQ(vdev_of("vhost:/s", 4).name, "net_vhost7");
  EXPECT_EQ(vdev_of("vhost:/s", 4).arguments, "iface=/s,queues=4");
  EXPECT_EQ(vdev_of("virtio:/s", 2).arguments, "path=/s,queues=2,queue_size=1024");
  EXPECT_EQ(vdev_of("memif:/s,server").arguments, "role=server,id=0,socket=/s,socket-abstract=no");
  EXPECT_EQ(vdev_of("tap:hf0").arguments, "iface=hf0");
  EXPECT_EQ(vdev_of("veth:va", 2).arguments, "iface=va,qpairs=2");
  EXPECT_EQ(vdev_of("xdp:va", 2).arguments, "iface=va,start_queue=0,queue_count=2");
  EXPECT_EQ(vdev_of("pcap:a,b").arguments, "rx_pcap=a,tx_pcap=b");
  EXPECT_EQ(vdev_of("pcap:,b").arguments, "tx_pcap=b");
  EXPECT_EQ(vdev_of("null").arguments, "");
}

TEST(vdev, extras__replace_ours_or_follow) {
  EXPECT_EQ(vdev_of("virtio:/s,queue_size=256,packed_vq=1").arguments,
            "path=/s,queues=1,queue_size=256,packed_vq=1");
  EXPECT_EQ(vdev_of("null,size=80").arguments, "size=80");
}

TEST(preflight, tap_without_rights__says_how_to_get_them) {
  const auto missing = checked("tap:hf0");
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().what, "/dev/net/tun is missing");

  MachineFacts facts;
  facts.tun_present = facts.tun_usable = true;
  const auto denied = checked("tap:hf0", facts);
  ASSERT_FALSE(denied);
  EXPECT_EQ(denied.error().what, "no permission to create a TAP device");
  EXPECT_EQ(denied.error().remedy, "run as root or inside `unshare -Urn`");

  facts.cap_net_admin = true;
  EXPECT_TRUE(checked("tap:hf0", facts));
}

TEST(preflight, interface_names__have_fifteen_characters_at_most) {
  MachineFacts able;
  able.tun_present = able.tun_usable = able.cap_net_admin = true;
  EXPECT_TRUE(checked("tap:abcdefghijklmno", able));
  const auto longer = checked("tap:abcdefghijklmnop", able);
  ASSERT_FALSE(longer);
  EXPECT_EQ(longer.error().kind, ErrorKind::usage);
  EXPECT_NE(longer.error().remedy.find("15"), std::string::npos);
  EXPECT_FALSE(checked("tap:a/b", able));
}

TEST(preflight, veth_missing__says_how_to_make_it) {
  const auto missing = checked("veth:hfnothere");
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().what, "there is no interface hfnothere");
  EXPECT_NE(missing.error().remedy.find("ip link add hfnothere type veth"), std::string::npos);
}

TEST(preflight, veth_without_rights__names_the_capability) {
  const auto denied = checked("veth:lo");
  ASSERT_FALSE(denied);
  EXPECT_NE(denied.error().what.find("CAP_NET_RAW"), std::string::npos);
  MachineFacts able;
  able.cap_net_raw = true;
  EXPECT_TRUE(checked("veth:lo", able));
}

TEST(preflight, socket_path__must_fit_and_its_directory_exist) {
  EXPECT_FALSE(checked("vhost:/" + std::string(107, 'x')));
  EXPECT_FALSE(checked("virtio:/" + std::string(107, 'x')));
  EXPECT_TRUE(checked("virtio:/" + std::string(106, 'x')));
  const auto nowhere = checked("vhost:/no/such/directory/s");
  ASSERT_FALSE(nowhere);
  EXPECT_EQ(nowhere.error().kind, ErrorKind::environment);
  EXPECT_NE(nowhere.error().what.find("/no/such/directory"), std::string::npos);
}

/// A bound socket; listening only where asked to.
int bind_socket(const std::string& path, bool listening) {
  const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.data(), path.size());
  EXPECT_EQ(bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  EXPECT_TRUE(!listening || listen(fd, 1) == 0);
  return fd;
}

TEST(preflight, socket_of_a_dead_process__is_removed) {
  const test::TemporaryDirectory directory;
  const auto path = directory.file("s");
  close(bind_socket(path, false));
  ASSERT_EQ(access(path.c_str(), F_OK), 0);
  EXPECT_TRUE(checked("vhost:" + path));
  EXPECT_NE(access(path.c_str(), F_OK), 0);
}

TEST(preflight, socket_of_a_living_process__is_left_alone) {
  const test::TemporaryDirectory directory;
  const auto path = directory.file("s");
  const int fd = bind_socket(path, true);
  const auto taken = checked("memif:" + path + ",server");
  close(fd);
  ASSERT_FALSE(taken);
  EXPECT_NE(taken.error().what.find("another process"), std::string::npos);
  EXPECT_EQ(access(path.c_str(), F_OK), 0);
}

TEST(preflight, file_in_place_of_the_socket__is_left_alone) {
  const test::TemporaryDirectory directory;
  const auto path = directory.file("s");
  std::ofstream(path) << "mine";
  EXPECT_FALSE(checked("vhost:" + path));
  EXPECT_EQ(access(path.c_str(), F_OK), 0);
}

TEST(preflight, pcap__needs_a_readable_input_and_one_queue) {
  const test::TemporaryDirectory directory;
  EXPECT_FALSE(checked("pcap:" + directory.file("none")));
  EXPECT_FALSE(checked("pcap:,/no/such/directory/out"));
  EXPECT_TRUE(checked("pcap:," + directory.file("out")));
  EXPECT_FALSE(checked("pcap:," + directory.file("out"), {}, 2));
}

TEST(preflight, pci_device_missing__names_it) {
  const auto missing = checked("pci:ff:1f.7");
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().what, "there is no PCI device 0000:ff:1f.7");
}

}  // namespace
}  // namespace handfast::dpdk
