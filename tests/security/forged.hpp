// SPDX-License-Identifier: BSD-3-Clause
// A segment as if a peer had sent it, for whoever has learnt its numbers. Layer: tests of security.
#pragma once

#include "support/peer.hpp"

namespace handfast::test {

/// `seq` counts from the peer's initial number; the acknowledgment is what the peer would say.
inline Packet as_if_from(const Peer& p, std::uint8_t flags, std::uint32_t seq) {
  Packet packet;
  packet.source = p.self;
  packet.destination = p.stack;
  packet.source_mac = Trace::peer_mac;
  packet.destination_mac = Trace::stack_mac;
  packet.flags = flags;
  packet.seq = p.iss + seq;
  if ((flags & ACK) != 0) packet.ack = p.irs + p.rcv_nxt;
  packet.window = 65535;
  if (p.ts_on) packet.ts = {p.ts_now(), p.ts_recent};
  return packet;
}

}  // namespace handfast::test
