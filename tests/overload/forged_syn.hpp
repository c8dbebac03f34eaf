// SPDX-License-Identifier: BSD-3-Clause
// A SYN that nobody has sent, from an address behind the router, to port 80 of a Pair's second end. Layer: tests of
// overload.
#pragma once

#include "base/rng.hpp"
#include "support/packet.hpp"
#include "support/pair.hpp"

namespace handfast::test {

inline Packet forged_syn(Rng& rng) {
  Packet p;
  p.source = {Ipv4Address{192, 168, static_cast<std::uint8_t>(rng.below(256)), static_cast<std::uint8_t>(1 + rng.below(250))},
              static_cast<Port>(1024 + rng.below(60000))};
  p.destination = {Pair::address(1), 80};
  p.source_mac = MacAddress{{2, 0, 0, 0, 0, 77}};
  p.destination_mac = MacAddress{{2, 0, 0, 0, 0, 2}};
  p.seq = static_cast<std::uint32_t>(rng.next());
  p.flags = SYN;
  p.window = 65535;
  p.mss = 1460;
  if (rng.below(2) == 0) {
    p.wscale = 7;
    p.sack_permitted = true;
    p.ts = {static_cast<std::uint32_t>(rng.next()), 0};
  }
  return p;
}

}  // namespace handfast::test
