// SPDX-License-Identifier: BSD-3-Clause
// What several tests of floods need: forged segments, many peers, the time that a piece of work takes.
// Layer: tests of security.
#pragma once

#include <algorithm>
#include <chrono>
#include <memory>
#include <vector>

#include "fixture.hpp"

namespace handfast::test {

/// A segment to the stack's port 80 from a random address of its network (never the peer's, the innocent one's or our own).
inline Packet forged(Rng& rng, std::uint8_t flags) {
  Packet p;
  p.source = {Ipv4Address{10, 0, 0, static_cast<std::uint8_t>(4 + rng.below(240))}, static_cast<Port>(1024 + rng.below(60000))};
  p.destination = {Trace::stack_address, 80};
  p.source_mac = Trace::peer_mac;
  p.destination_mac = Trace::stack_mac;
  p.seq = static_cast<std::uint32_t>(rng.next());
  if ((flags & ACK) != 0) p.ack = static_cast<std::uint32_t>(rng.next());
  p.flags = flags;
  p.window = 65535;
  if ((flags & SYN) != 0) p.mss = 1460;
  return p;
}

using Crowd = std::vector<std::unique_ptr<Peer>>;

inline Crowd crowd_of(SecurityWorld& w, std::size_t n, Port first = 20000) {
  Crowd crowd;
  for (std::size_t i = 0; i < n; ++i) crowd.push_back(w.t.another_peer(static_cast<Port>(first + i)));
  return crowd;
}

/// Of one call, in nanoseconds: the least mean over `batches` batches of `each`. A busy machine makes some of them
/// longer, and hardly all.
template <class F>
double least_mean_ns(int batches, int each, F&& f) {
  double least = 1e18;
  for (int b = 0; b < batches; ++b) {
    const auto begin = std::chrono::steady_clock::now();
    for (int i = 0; i < each; ++i) f();
    const std::chrono::duration<double, std::nano> took = std::chrono::steady_clock::now() - begin;
    least = std::min(least, took.count() / each);
  }
  return least;
}

}  // namespace handfast::test
