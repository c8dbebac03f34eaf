// SPDX-License-Identifier: BSD-3-Clause
// What the two ends do: short exchanges one after the other, requests on kept connections, and connections that
// just stay. Layer: bench. Knows no port and no clock; what drives it polls.
#pragma once

#include <cinttypes>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "options.hpp"

namespace handfast::bench {

inline constexpr std::string_view request = "GET / HTTP/1.1\r\nHost: 10.0.0.1\r\nConnection: close\r\n\r\n";
inline constexpr std::string_view response = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello";
inline constexpr std::string_view message = "sixty-four bytes, there and back again: what is asked and said..";
static_assert(message.size() == 64);
inline constexpr Port short_port = 80, idle_port = 81, kept_port = 82;

struct Server {
  std::size_t on_data(Conn& c, const RxView& in) {
    c.send_static(response);
    c.close();
    return in.size();
  }
};
struct Sitter {  // an end of a connection that stays
  void on_peer_fin(Conn& c) { c.close(); }
};
struct KeptServer {
  std::size_t on_data(Conn& c, const RxView& in) {
    c.send_static(message);
    return in.size();
  }
  void on_peer_fin(Conn& c) { c.close(); }
};

struct Counts {
  std::uint64_t done = 0;  // short connections, or answers to requests
  std::uint64_t failed = 0, open = 0;
  std::uint64_t sitting = 0, not_sitting = 0;  // idle ones that were opened; that ended all the same
};

/// Closed loop: each connection that ends is followed by the next.
struct Client {
  Core* core;
  Counts* counts;
  HandlerRef* self;
  const bool* stopping;

  void start() {
    if (core->connect({server_address, short_port}, *self))
      ++counts->open;
    else
      ++counts->failed;
  }
  void on_connect(Conn& c) { c.send_static(request); }
  void on_peer_fin(Conn& c) { c.close(); }
  void on_closed(ConnId, CloseReason reason) {
    --counts->open;
    ++(reason == CloseReason::finished ? counts->done : counts->failed);
    if (!*stopping) start();
  }
};

struct IdleClient {
  Counts* counts;
  void on_connect(Conn&) { ++counts->sitting; }
  void on_closed(ConnId, CloseReason) { ++counts->not_sitting; }
};

struct KeptClient {
  Counts* counts;
  void on_connect(Conn& c) {
    ++counts->open;
    c.send_static(message);
  }
  std::size_t on_data(Conn& c, const RxView& in) {
    ++counts->done;
    c.send_static(message);
    return in.size();
  }
  void on_closed(ConnId, CloseReason) {
    --counts->open;
    ++counts->failed;
  }
};

template <class T>
T or_exit(Expected<T> value) {
  if (!value) std::exit(report(value.error()));
  return std::move(*value);
}

inline void listen(Core& core) {
  const ListenOptions wide{.backlog = 65'536};
  (void)or_exit(core.listen({any, short_port}, Server{}, wide));
  (void)or_exit(core.listen({any, idle_port}, Sitter{}, wide));
  (void)or_exit(core.listen({any, kept_port}, KeptServer{}, wide));
}

/// As many are opened at once as the port's buffers can answer, and so many may be on their way.
inline constexpr std::uint32_t opened_at_once = 64, most_opening = 1024;

/// The connecting end. `poll` runs whatever has to run until something has come.
class Requester {
 public:
  explicit Requester(Core& core)
      : core_(core),
        self_(or_exit(core.add_handler(Client{&core, &counts_, &self_, &stopping_}))),
        idle_(or_exit(core.add_handler(IdleClient{&counts_}))),
        kept_(or_exit(core.add_handler(KeptClient{&counts_}))) {}
  Requester(const Requester&) = delete;
  Requester& operator=(const Requester&) = delete;

  template <class Poll>
  void open_idle(std::uint32_t n, Poll&& poll) {
    std::uint64_t opened = 0;
    while (counts_.sitting < n) {
      for (std::uint32_t i = 0; i < opened_at_once && opened < n && opened - counts_.sitting < most_opening; ++i, ++opened)
        (void)or_exit(core_.connect({server_address, idle_port}, idle_));
      poll();
      if (counts_.not_sitting == 0) continue;
      std::fprintf(stderr, "connections-bench: an idle connection ended after %" PRIu64 " of %" PRIu32 " had been opened\n",
                   counts_.sitting, n);
      std::exit(3);
    }
  }
  /// Either `keep` kept connections, all of them open afterwards, or `window` short ones.
  template <class Poll>
  void start(std::uint32_t keep, std::uint32_t window, Poll&& poll) {
    for (std::uint32_t i = 0; i < keep; ++i) {
      (void)or_exit(core_.connect({server_address, kept_port}, kept_));
      if (i % opened_at_once == opened_at_once - 1) poll();
      while (counts_.open + most_opening <= i && counts_.failed == 0) poll();
    }
    while (counts_.open < keep && counts_.failed == 0) poll();
    if (keep != 0) return;
    for (std::uint32_t i = 0; i < window; ++i) {
      Client{&core_, &counts_, &self_, &stopping_}.start();
      if (i % opened_at_once == opened_at_once - 1) poll();
    }
  }
  void stop() { stopping_ = true; }
  [[nodiscard]] const Counts& counts() const { return counts_; }

 private:
  Core& core_;
  Counts counts_;
  bool stopping_ = false;
  HandlerRef self_, idle_, kept_;
};

}  // namespace handfast::bench
