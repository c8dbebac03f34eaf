// SPDX-License-Identifier: BSD-3-Clause
// Calls that must be refused: each with an error that says what was wrong and what to do, and with nothing left behind.
// Layer: fuzz. Knows what the public headers ask of their callers.
#include <array>
#include <vector>

#include "fuzz/world.hpp"

namespace handfast::fuzz {
namespace {

template <class Result>
void check_refused(const Result& result, ErrorKind kind) {
  FUZZ_CHECK(!result && result.error().kind == kind && !result.error().what.empty() && !result.error().remedy.empty());
}

constexpr Ipv4Address elsewhere{192, 0, 2, 1};
constexpr HandlerRef nobody{0x7fff};
constexpr std::uint8_t no_dscp = 64;

}  // namespace

void World::misuse(const Op& op) {
  Core& core = stack_->core();
  const auto flows = core.shard().tcp().flows.size();
  const auto chunks = core.shard().tcp().chunks.in_use();
  const Endpoint peer = peers_[0].self;
  const Ipv4Address own = config_.link.address.address;
  // Nobody can be there: this network, loopback, groups, what is reserved, our broadcast address.
  static constexpr std::array<Ipv4Address, 5> no_peers{Ipv4Address{0, 0, 0, 9}, Ipv4Address{127, 0, 0, 1}, Ipv4Address{224, 0, 0, 1},
                                                       Ipv4Address{240, 0, 0, 1}, Ipv4Address{10, 0, 0, 255}};
  switch (op.value % 12) {
    case 0: check_refused(core.listen_with({any, 81}, nobody, {}), ErrorKind::usage); break;
    case 1: check_refused(core.listen_with({any, 0}, handler_, {}), ErrorKind::usage); break;
    case 2: check_refused(core.listen_with({elsewhere, 81}, handler_, {}), ErrorKind::usage); break;
    case 3: check_refused(core.listen_with({any, 81}, handler_, {.dscp = no_dscp}), ErrorKind::usage); break;
    case 4:
      if (listening_) check_refused(core.listen_with({any, 80}, handler_, {}), ErrorKind::address_in_use);
      break;
    case 5: check_refused(core.connect(peer, nobody, {}), ErrorKind::usage); break;
    case 6: check_refused(core.connect({peer.address, 0}, handler_, {}), ErrorKind::usage); break;
    case 7: check_refused(core.connect({no_peers[op.extra % no_peers.size()], 80}, handler_, {}), ErrorKind::usage); break;
    case 8: check_refused(core.connect(peer, handler_, {.local = {elsewhere, 0}}), ErrorKind::usage); break;
    case 9: check_refused(core.connect(peer, handler_, {.dscp = no_dscp}), ErrorKind::usage); break;
    case 10: {
      // More than any send buffer here holds; or the table is full.
      static const std::vector<std::byte> much(128 << 10);
      check_refused(core.connect(peer, handler_, {.data = much}), ErrorKind::exhausted);
      break;
    }
    default: {
      // One for each place: those that are listened on at their own address are found before `any`.
      std::array<ListenerId, 8> opened;
      std::size_t n = 0;
      for (Port port = 90; n < opened.size(); ++port) {
        const auto id = core.listen_with({(port & 1) != 0 ? own : any, static_cast<Port>(90 + port / 2)}, handler_, {});
        if (!id) {
          check_refused(id, ErrorKind::exhausted);
          break;
        }
        opened[n++] = *id;
      }
      FUZZ_CHECK(n <= config_.limits.listeners);
      while (n != 0) core.close(opened[--n]);
    }
  }
  FUZZ_CHECK(core.shard().tcp().flows.size() == flows && core.shard().tcp().chunks.in_use() == chunks);
}

}  // namespace handfast::fuzz
