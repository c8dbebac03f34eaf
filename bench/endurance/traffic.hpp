// SPDX-License-Identifier: BSD-3-Clause
// Who speaks in an endurance run: short connections by the thousand, some that stay and exchange now and then, some
// that carry a megabyte. Layer: bench. Knows the public headers alone.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "handfast/handfast.hpp"

namespace handfast::endurance {

inline constexpr Ipv4Address server_address{10, 0, 0, 1};
inline constexpr Port short_port = 80, kept_port = 81, bulk_port = 82;

struct Counts {
  std::uint64_t done = 0, failed = 0, open = 0;  // of short ones
  std::uint64_t kept = 0, exchanges = 0;         // open now; answers to kept ones
  std::uint64_t bulk = 0, bulk_done = 0;         // open now; ended
  std::array<std::uint64_t, static_cast<std::size_t>(CloseReason::count_)> failures{};
  bool stopping = false;

  void fail(CloseReason why) { ++failed, ++failures[static_cast<std::size_t>(why)]; }
};

inline constexpr std::string_view request = "GET / HTTP/1.1\r\nHost: 10.0.0.1\r\nConnection: close\r\n\r\n";
inline constexpr std::string_view response = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello";

struct ShortServer {
  std::size_t on_data(Conn& c, const RxView& in) {
    c.send(response);  // a copy, so that chunks come and go
    c.close();
    return in.size();
  }
};

struct ShortClient {
  Counts* counts;
  void on_connect(Conn& c) { c.send_static(request); }
  void on_peer_fin(Conn& c) { c.close(); }
  void on_closed(ConnId, CloseReason why) {
    --counts->open;
    why == CloseReason::finished ? void(++counts->done) : counts->fail(why);
  }
};

struct KeptServer {
  std::size_t on_data(Conn& c, const RxView& in) {
    c.send(in.bytes());
    return in.size();
  }
  void on_peer_fin(Conn& c) { c.close(); }
};

/// Says 100 bytes, waits for them, is silent for a while; ends when the run does.
struct KeptClient {
  Counts* counts;
  struct State {
    std::uint32_t missing = 0;
  };
  static constexpr std::string_view line =
      "0123456789 0123456789 0123456789 0123456789 0123456789 0123456789 0123456789 0123456789 0123456789 -";
  void say(Conn& c, State& s) {
    s.missing = static_cast<std::uint32_t>(c.send(line));
    c.arm(s.missing == 0 ? 10ms : 60s);  // the shard's memory may be used up for a moment
  }
  void on_connect(Conn& c, State& s) { say(c, s); }
  std::size_t on_data(Conn& c, State& s, const RxView& in) {
    s.missing -= static_cast<std::uint32_t>(in.size());
    if (s.missing == 0) ++counts->exchanges, c.arm(counts->stopping ? 1ms : 50ms);
    return in.size();
  }
  void on_timer(Conn& c, State& s) { counts->stopping ? c.close() : say(c, s); }
  void on_closed(ConnId, CloseReason why) {
    --counts->kept;
    if (why != CloseReason::finished) counts->fail(why);
  }
};

struct BulkServer {
  std::size_t on_data(Conn&, const RxView& in) { return in.size(); }
  void on_peer_fin(Conn& c) { c.close(); }
};

struct BulkClient {
  Counts* counts;
  struct State {
    std::uint32_t left = 1u << 20;
  };
  void pump(Conn& c, State& s) {
    while (s.left != 0) {
      const std::size_t n = c.send(std::string_view{bytes}.substr(0, s.left));
      s.left -= static_cast<std::uint32_t>(n);
      if (n == 0) return;
    }
    c.close();
  }
  void on_connect(Conn& c, State& s) { pump(c, s); }
  void on_writable(Conn& c, State& s) { pump(c, s); }
  void on_closed(ConnId, CloseReason why) {
    --counts->bulk;
    why == CloseReason::finished ? void(++counts->bulk_done) : counts->fail(why);
  }
  inline static const std::string bytes = std::string(16384, 'b');
};

}  // namespace handfast::endurance
