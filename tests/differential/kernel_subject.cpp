// SPDX-License-Identifier: BSD-3-Clause
// The kernel as the endpoint of programs; see kernel_subject.hpp. Layer: differential test.
#include "kernel_subject.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <stdexcept>

namespace handfast::differential {

namespace {

constexpr char device[] = "hf0";
constexpr Port peer_port = 40000;

[[noreturn]] void fail(const std::string& what) {
  throw std::runtime_error(what + ": " + std::strerror(errno));
}
int must(int result, const char* what) {
  if (result < 0) fail(what);
  return result;
}

sockaddr_in socket_address(Ipv4Address address, Port port) {
  sockaddr_in sa{};
  sa.sin_family = AF_INET;
  sa.sin_port = htons(port);
  sa.sin_addr.s_addr = htonl(address.value);
  return sa;
}

ifreq request() {
  ifreq r{};
  std::strncpy(r.ifr_name, device, IFNAMSIZ - 1);
  return r;
}

/// What is about rates and timers, not about what is right: out of the way, where the kernel has it. Its clock is the real
/// one, and on a busy machine steps are far apart: what it sends again meanwhile would cut its window, and the rest would
/// follow from that. No timer of data in flight is to expire within a program.
void set_up_tcp() {
  static constexpr std::array<std::pair<const char*, const char*>, 8> values{
      {{"tcp_invalid_ratelimit", "0"},
       {"tcp_challenge_ack_limit", "1000000"},
       {"tcp_rfc1337", "1"},
       {"tcp_comp_sack_nr", "0"},
       {"tcp_syncookies", "0"},
       {"tcp_tw_reuse", "0"},
       {"tcp_early_retrans", "0"},
       {"tcp_rto_min_us", "30000000"}}};
  for (const auto& [name, value] : values)
    std::ofstream{std::string("/proc/sys/net/ipv4/") + name} << value << std::flush;
}

void set_up_device() {
  const Fd control{must(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), "opening a socket")};
  ifreq r = request();
  r.ifr_hwaddr.sa_family = ARPHRD_ETHER;
  std::memcpy(r.ifr_hwaddr.sa_data, Wire::kernel_mac.bytes.data(), 6);
  must(::ioctl(control.get(), SIOCSIFHWADDR, &r), "setting the TAP's MAC address");
  r = request();
  const sockaddr_in self = socket_address(Wire::kernel, 0),
                    mask = socket_address(Ipv4Address{255, 255, 255, 0}, 0);
  std::memcpy(&r.ifr_addr, &self, sizeof self);
  must(::ioctl(control.get(), SIOCSIFADDR, &r), "setting the TAP's address");
  r = request();
  std::memcpy(&r.ifr_netmask, &mask, sizeof mask);
  must(::ioctl(control.get(), SIOCSIFNETMASK, &r), "setting the TAP's netmask");
  r = request();
  r.ifr_flags = IFF_UP | IFF_RUNNING;
  must(::ioctl(control.get(), SIOCSIFFLAGS, &r), "starting the TAP");
  arpreq neighbour{};
  const sockaddr_in peer = socket_address(Wire::peer, 0);
  std::memcpy(&neighbour.arp_pa, &peer, sizeof peer);
  neighbour.arp_ha.sa_family = ARPHRD_ETHER;
  std::memcpy(neighbour.arp_ha.sa_data, Wire::peer_mac.bytes.data(), 6);
  neighbour.arp_flags = ATF_PERM | ATF_COM;
  std::strncpy(neighbour.arp_dev, device, sizeof neighbour.arp_dev - 1);
  must(::ioctl(control.get(), SIOCSARP, &neighbour), "telling the kernel of its neighbour");
}

}  // namespace

void Fd::reset(int fd) {
  if (fd_ >= 0) ::close(fd_);
  fd_ = fd;
}

Wire::Wire() {
  must(::unshare(::geteuid() == 0 ? CLONE_NEWNET : CLONE_NEWUSER | CLONE_NEWNET),
       "making a network namespace");
  tap_ = Fd{must(::open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC), "opening /dev/net/tun")};
  ifreq r = request();
  r.ifr_flags = IFF_TAP | IFF_NO_PI;
  must(::ioctl(tap_.get(), TUNSETIFF, &r), "making a TAP device");
  set_up_device();
  set_up_tcp();
}

void Wire::write(const test::Packet& packet) {
  const auto frame = test::build(packet);
  if (::write(tap_.get(), frame.data(), frame.size()) < 0) fail("writing to the TAP");
}

void Wire::read(std::map<Port, std::vector<test::Packet>>& by_port) {
  std::array<std::byte, 2048> frame;
  for (;;) {
    const ssize_t n = ::read(tap_.get(), frame.data(), frame.size());
    if (n <= 0) return;
    const auto bytes = std::span{frame}.first(static_cast<std::size_t>(n));
    if (n < 34 || bytes[12] != std::byte{0x08} || bytes[13] != std::byte{0} || bytes[23] != std::byte{6})
      continue;
    std::string why;
    if (auto packet = test::parse_strictly(bytes, why))
      by_port[packet->source.port].push_back(std::move(*packet));
    else
      malformed_.push_back(why);
  }
}

KernelSubject::~KernelSubject() {
  const linger now{1, 0};  // RST instead of FIN: nothing of it is to outlive the program
  if (connection_.get() >= 0) (void)::setsockopt(connection_.get(), SOL_SOCKET, SO_LINGER, &now, sizeof now);
}

void KernelSubject::start(const Program& program) {
  Fd fd{must(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), "opening a socket")};
  const int on = 1;
  (void)::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  const sockaddr_in self = socket_address(Wire::kernel, port_), peer = socket_address(Wire::peer, peer_port);
  must(::bind(fd.get(), reinterpret_cast<const sockaddr*>(&self), sizeof self), "bind");
  if (program.active) {
    if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&peer), sizeof peer) < 0 &&
        errno != EINPROGRESS)
      fail("connect");
    connection_ = std::move(fd);
  } else {
    must(::listen(fd.get(), 16), "listen");
    listener_ = std::move(fd);
  }
}

void KernelSubject::send(test::Packet packet) {
  packet.source = {Wire::peer, peer_port};
  packet.destination = {Wire::kernel, port_};
  packet.source_mac = Wire::peer_mac;
  packet.destination_mac = Wire::kernel_mac;
  wire_.write(packet);
}

void KernelSubject::accept_all() {
  if (listener_.get() < 0) return;
  for (;;) {
    const int fd = ::accept4(listener_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) return;
    connection_.reset(fd);
    const int on = 1;
    (void)::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  }
}

std::optional<std::string> KernelSubject::call(const Op& op) {
  using enum Op::Kind;
  accept_all();
  const int fd = connection_.get();
  if (fd < 0) return std::nullopt;
  if (op.kind == write) {
    const std::string bytes(op.bytes, 'w');
    (void)::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
  } else if (op.kind == read) {
    static std::array<char, 1 << 16> room;
    std::size_t sum = 0;
    for (;;) {
      const ssize_t n = ::recv(fd, room.data(), room.size(), 0);
      if (n > 0) {
        sum += static_cast<std::size_t>(n);
        continue;
      }
      if (n < 0 && errno != EAGAIN) return std::nullopt;  // it has ended
      return std::to_string(sum) + (n == 0 ? " eof" : "");
    }
  } else if (op.kind == shutdown) {
    (void)::shutdown(fd, SHUT_WR);
  } else if (op.kind == close) {
    connection_.reset();
  } else if (op.kind == abort) {
    const linger now{1, 0};
    (void)::setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    connection_.reset();
  }
  return std::nullopt;
}

void KernelSubject::acknowledge() {
  accept_all();
  const int on = 1;
  if (connection_.get() >= 0)
    (void)::setsockopt(connection_.get(), IPPROTO_TCP, TCP_QUICKACK, &on, sizeof on);
}

}  // namespace handfast::differential
