// SPDX-License-Identifier: BSD-3-Clause
// The kernel as one end of a path; see kernel_host.hpp. Layer: bench.
#include "kernel_host.hpp"

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

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <exception>
#include <fstream>
#include <stdexcept>
#include <thread>

namespace handfast::paths {
namespace {

constexpr char device[] = "hf0";
constexpr int device_queue = 10000;  // frames that wait for us: bursts of a whole window must fit
constexpr int frames_at_once = 256;
constexpr std::size_t chunk = 256 * 1024;

[[noreturn]] void fail(const std::string& what) {
  throw std::runtime_error(what + ": " + std::strerror(errno));
}
int must(int result, const char* what) {
  if (result < 0) fail(what);
  return result;
}

/// Runs f on a thread of its own, so that the caller's namespace stays what it is.
template <class F>
void elsewhere(F&& f) {
  std::exception_ptr error;
  std::thread{[&] {
    try {
      f();
    } catch (...) {
      error = std::current_exception();
    }
  }}.join();
  if (error) std::rethrow_exception(error);
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

}  // namespace

Fd::~Fd() {
  if (fd_ >= 0) ::close(fd_);
}

std::optional<std::string> why_no_kernel_host() {
  try {
    KernelHost probe{Ipv4Address{10, 0, 0, 1}, MacAddress{{2, 0, 0, 0, 0, 1}}, {}};
    return std::nullopt;
  } catch (const std::exception& e) {
    return e.what();
  }
}

KernelHost::KernelHost(Ipv4Address address, MacAddress mac, KernelOptions options)
    : Host(address, mac), options_(std::move(options)) {
  elsewhere([this] {
    must(::unshare(CLONE_NEWNET), "making a network namespace (needs root)");
    namespace_ = Fd{must(::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC), "opening the namespace")};
    tap_ = Fd{must(::open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC), "opening /dev/net/tun")};
    ifreq r = request();
    r.ifr_flags = IFF_TAP | IFF_NO_PI;
    must(::ioctl(tap_.get(), TUNSETIFF, &r), "making a TAP device");
    configure_device();
    for (const auto& [name, value] : options_.sysctls) {
      std::ofstream file("/proc/sys/" + name);  // of this thread's namespace
      if (!(file << value << std::flush)) fail("writing " + value + " to " + name);
    }
  });
  (void)non_blocking_socket();  // says at once if the congestion control is not there
}

KernelHost::~KernelHost() {
  // RST instead of FIN: nothing of it is to outlive the cell.
  const linger now{1, 0};
  for (const Fd& fd : sockets_) (void)::setsockopt(fd.get(), SOL_SOCKET, SO_LINGER, &now, sizeof now);
}

void KernelHost::configure_device() {
  const Fd control{must(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), "opening a socket")};
  ifreq r = request();
  r.ifr_hwaddr.sa_family = ARPHRD_ETHER;
  std::memcpy(r.ifr_hwaddr.sa_data, mac().bytes.data(), 6);
  must(::ioctl(control.get(), SIOCSIFHWADDR, &r), "setting the TAP's MAC address");
  r = request();
  r.ifr_qlen = device_queue;
  (void)::ioctl(control.get(), SIOCSIFTXQLEN, &r);  // not granted in a user namespace: then drops are counted
  r = request();
  const sockaddr_in self = socket_address(address(), 0),
                    mask = socket_address(Ipv4Address{255, 255, 255, 0}, 0);
  std::memcpy(&r.ifr_addr, &self, sizeof self);
  must(::ioctl(control.get(), SIOCSIFADDR, &r), "setting the TAP's address");
  r = request();
  std::memcpy(&r.ifr_netmask, &mask, sizeof mask);
  must(::ioctl(control.get(), SIOCSIFNETMASK, &r), "setting the TAP's netmask");
  r = request();
  r.ifr_flags = IFF_UP | IFF_RUNNING;
  must(::ioctl(control.get(), SIOCSIFFLAGS, &r), "starting the TAP");
}

Fd KernelHost::socket() const {
  Fd fd;
  elsewhere([&] {
    must(::setns(namespace_.get(), CLONE_NEWNET), "entering the namespace");
    fd = Fd{must(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "opening a socket")};
  });
  must(::setsockopt(fd.get(), IPPROTO_TCP, TCP_CONGESTION, options_.congestion.data(),
                    static_cast<socklen_t>(options_.congestion.size())),
       "choosing the kernel's congestion control");
  return fd;
}

Fd KernelHost::non_blocking_socket() const {
  Fd fd = socket();
  must(::fcntl(fd.get(), F_SETFL, O_NONBLOCK), "fcntl");
  return fd;
}

void KernelHost::sink(Port port, Received& received) {
  Fd fd = non_blocking_socket();
  const sockaddr_in self = socket_address(address(), port);
  must(::bind(fd.get(), reinterpret_cast<const sockaddr*>(&self), sizeof self), "bind");
  must(::listen(fd.get(), 16), "listen");
  listeners_[fd.get()] = &received;
  sockets_.push_back(std::move(fd));
}

void KernelHost::echo(Port) { throw std::logic_error("a kernel's echo has a thread of its own"); }

void KernelHost::source(Endpoint to) {
  Fd fd = non_blocking_socket();
  const sockaddr_in remote = socket_address(to.address, to.port);
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&remote), sizeof remote) < 0 &&
      errno != EINPROGRESS)
    fail("connect");
  sources_.push_back(fd.get());
  sockets_.push_back(std::move(fd));
}

std::uint64_t KernelHost::retransmits() {
  std::uint64_t sum = 0;
  for (const int fd : sources_) {
    tcp_info info{};
    socklen_t size = sizeof info;
    if (::getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) == 0) sum += info.tcpi_total_retrans;
  }
  return sum;
}

void KernelHost::receive(std::span<const std::byte> frame) {
  if (::write(tap_.get(), frame.data(), frame.size()) < 0) ++writes_refused_;
}

void KernelHost::watch(std::vector<pollfd>& fds) const {
  fds.push_back({tap_.get(), POLLIN, 0});
  for (const auto& [fd, received] : listeners_)
    if (!received->open) fds.push_back({fd, POLLIN, 0});
  for (const auto& [fd, received] : sinks_) fds.push_back({fd, POLLIN, 0});
  for (const int fd : sources_) fds.push_back({fd, POLLOUT, 0});
}

void KernelHost::ready(const pollfd& fd) {
  if (fd.fd == tap_.get()) return read_frames();
  if (listeners_.contains(fd.fd)) return accept_one(fd.fd);
  if (const auto at = sinks_.find(fd.fd); at != sinks_.end()) return drain(fd.fd, *at->second);
  fill(fd.fd);
}

void KernelHost::read_frames() {
  std::array<std::byte, 2048> frame;
  for (int i = 0; i < frames_at_once; ++i) {
    const ssize_t n = ::read(tap_.get(), frame.data(), frame.size());
    if (n <= 0) return;
    out(std::span{frame}.first(static_cast<std::size_t>(n)));
  }
}

void KernelHost::accept_one(int listener) {
  Fd fd{::accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC)};
  if (fd.get() < 0) return;
  Received* received = listeners_[listener];
  received->open = true;
  sinks_[fd.get()] = received;
  sockets_.push_back(std::move(fd));
}

void KernelHost::drain(int fd, Received& received) {
  static thread_local std::vector<std::byte> room(chunk);
  const ssize_t n = ::recv(fd, room.data(), room.size(), MSG_DONTWAIT);
  if (n > 0)
    received.bytes += static_cast<std::uint64_t>(n);
  else if (n == 0 || errno != EAGAIN)
    sinks_.erase(fd);  // it ended; what was counted stays
}

void KernelHost::fill(int fd) {
  static thread_local const std::vector<std::byte> zeros(chunk);
  if (::send(fd, zeros.data(), zeros.size(), MSG_DONTWAIT | MSG_NOSIGNAL) < 0 && errno != EAGAIN &&
      errno != ENOTCONN)
    std::erase(sources_, fd);
}

std::uint64_t KernelHost::device_drops() const {
  std::uint64_t drops = 0;
  elsewhere([&] {
    must(::setns(namespace_.get(), CLONE_NEWNET), "entering the namespace");
    std::ifstream in("/proc/thread-self/net/dev");
    for (std::string line; std::getline(in, line);) {
      const auto colon = line.find(':');
      if (colon == std::string::npos || line.find(device) > colon) continue;
      // bytes packets errs drop fifo frame compressed multicast | bytes packets errs drop ...
      std::uint64_t fields[12] = {};
      const char* at = line.c_str() + colon + 1;
      for (std::uint64_t& field : fields) {
        char* end = nullptr;
        field = std::strtoull(at, &end, 10);
        at = end;
      }
      drops = fields[11];
    }
  });
  return drops + writes_refused_;
}

}  // namespace handfast::paths
