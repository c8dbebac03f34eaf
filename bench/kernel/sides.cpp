// SPDX-License-Identifier: BSD-3-Clause
// The two loops; see sides.hpp. Each does what a good program would: accepts in batches, tries to read at once,
// asks epoll once a connection. Layer: bench.
#include "sides.hpp"

#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>

namespace handfast::bench {
namespace {

constexpr std::uint16_t port = 8080;
constexpr std::uint32_t server_address = 0x7f000001, first_client_address = 0x7f000101, client_addresses = 32;
constexpr std::size_t message_bytes = 64;
constexpr int most_events = 512, accepts_at_once = 64;
const std::array<char, message_bytes> message{};

sockaddr_in address(std::uint32_t host, std::uint16_t at) {
  sockaddr_in a{};
  a.sin_family = AF_INET;
  a.sin_port = htons(at);
  a.sin_addr.s_addr = htonl(host);
  return a;
}

const sockaddr* plain(const sockaddr_in& a) { return reinterpret_cast<const sockaddr*>(&a); }

void watch(int epoll, int fd, std::uint32_t events, int operation) {
  epoll_event event{};
  event.events = events;
  event.data.fd = fd;
  (void)epoll_ctl(epoll, operation, fd, &event);
}

[[noreturn]] void fail(const char* what) {
  std::perror(what);
  std::_Exit(3);
}

/// Reads what is there and answers a whole request; false: nothing has come yet.
bool answer(int fd) {
  std::array<char, 4096> in;
  const ssize_t n = recv(fd, in.data(), in.size(), 0);
  if (n < 0 && errno == EAGAIN) return false;
  if (n > 0) (void)!send(fd, message.data(), message.size(), MSG_NOSIGNAL);
  close(fd);
  return true;
}

/// A new connection under way.
void open_one(int epoll, Counters& counters) {
  static std::uint32_t turn = 0;
  for (;;) {
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (fd < 0) fail("kernel-bench: socket");
    const int one = 1;
    (void)setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
    const sockaddr_in local = address(first_client_address + turn++ % client_addresses, 0),
                      remote = address(server_address, port);
    if (bind(fd, plain(local), sizeof local) == 0 &&
        (connect(fd, plain(remote), sizeof remote) == 0 || errno == EINPROGRESS)) {
      watch(epoll, fd, EPOLLOUT, EPOLL_CTL_ADD);
      return;
    }
    ++counters.failed;
    close(fd);
  }
}

/// False: the response, or the end of it, is still to come.
bool take_response(int fd, Counters& counters) {
  std::array<char, 4096> in;
  ssize_t n = recv(fd, in.data(), in.size(), 0);
  if (n > 0) n = recv(fd, in.data(), in.size(), 0);
  if (n < 0 && errno == EAGAIN) return false;
  ++(n == 0 ? counters.done : counters.failed);
  close(fd);
  return true;
}

}  // namespace

void serve(Counters& counters) {
  const int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), epoll = epoll_create1(0);
  const sockaddr_in local = address(server_address, port);
  if (listener < 0 || bind(listener, plain(local), sizeof local) != 0 || listen(listener, 65'535) != 0)
    fail("kernel-bench: listen");
  watch(epoll, listener, EPOLLIN, EPOLL_CTL_ADD);
  counters.ready = true;
  std::array<epoll_event, most_events> events;
  for (;;) {
    const int n = epoll_wait(epoll, events.data(), most_events, -1);
    for (int i = 0; i < n; ++i) {
      const int ready = events[static_cast<std::size_t>(i)].data.fd;
      if (ready != listener) {
        answer(ready);
        continue;
      }
      for (int k = 0; k < accepts_at_once; ++k) {
        const int fd = accept4(listener, nullptr, nullptr, SOCK_NONBLOCK);
        if (fd < 0) break;
        if (!answer(fd)) watch(epoll, fd, EPOLLIN, EPOLL_CTL_ADD);
      }
    }
  }
}

void request(Counters& counters, unsigned window) {
  const int epoll = epoll_create1(0);
  for (unsigned i = 0; i < window; ++i) open_one(epoll, counters);
  std::array<epoll_event, most_events> events;
  for (;;) {
    const int n = epoll_wait(epoll, events.data(), most_events, -1);
    for (int i = 0; i < n; ++i) {
      const epoll_event& event = events[static_cast<std::size_t>(i)];
      const int fd = event.data.fd;
      if ((event.events & EPOLLOUT) != 0) {
        if (send(fd, message.data(), message.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(message.size())) {
          watch(epoll, fd, EPOLLIN, EPOLL_CTL_MOD);
          continue;
        }
        ++counters.failed;
        close(fd);
      } else if (!take_response(fd, counters)) {
        continue;
      }
      open_one(epoll, counters);
    }
  }
}

}  // namespace handfast::bench
