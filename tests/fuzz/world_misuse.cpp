// SPDX-License-Identifier: BSD-3-Clause
// Calls that must be refused: each with an error that says what was wrong and what to do, and with nothing
// left behind. Layer: fuzz. Knows what the public headers ask of their callers.
#include <array>
#include <vector>

#include "fuzz/world.hpp"

namespace handfast::fuzz {
namespace {

template <class Result>
void check_refused(const Result& result, ErrorKind kind) {
  FUZZ_CHECK(!result && result.error().kind == kind && !result.error().what.empty() &&
             !result.error().remedy.empty());
}

constexpr Ipv4Address elsewhere{192, 0, 2, 1};
constexpr HandlerRef nobody{0x7fff};
constexpr std::uint8_t no_dscp = 64;

/// One thing that no stack can be made with.
void check_config(unsigned what) {
  CoreConfig c = config_of(0);
  FUZZ_CHECK(!validate(c));
  LinkConfig& l = c.link;
  switch (what % 20) {
    case 0:
      l.mtu = 575;
      break;
    case 1:
      l.mtu = 9217;
      break;
    case 2:
      l.address.length = 0;
      break;
    case 3:
      l.address_count = 0;
      break;
    case 4:
      l.address_count = 255;
      break;  // the last one would be the broadcast address
    case 5:
      l.address_count = 300;
      break;
    case 6:
      l.address.address = any;
      break;
    case 7:
      l.address.address = {127, 0, 0, 1};
      break;
    case 8:
      l.address.address = {224, 0, 0, 1};
      break;
    case 9:
      l.address.address = {240, 0, 0, 1};
      break;
    case 10:
      l.gateway = elsewhere;
      break;
    case 11:
      l.mac = MacAddress{};
      break;
    case 12:
      l.mac.bytes[0] = 3;
      break;
    case 13:
      c.tcp.mss = 87;
      break;
    case 14:
      c.tcp.rto_min = 2h;
      break;
    case 15:
      c.tcp.user_timeout_option = true, c.tcp.user_timeout_least = 1s;
      break;
    case 16:
      c.limits.connections = 0;
      break;
    case 17:
      c.limits.buffer_memory = 1;
      break;
    case 18:
      c.shard_count = 0;
      break;
    default:
      c.shard = c.shard_count;
      break;
  }
  const auto error = validate(c);
  FUZZ_CHECK(error && error->kind == ErrorKind::usage && !error->what.empty() && !error->remedy.empty());
  const auto stack = FrameStack::create(
      c, Time{1h}, [](void*, std::span<const std::byte>) {}, nullptr);
  FUZZ_CHECK(!stack && stack.error().what == error->what);
}

}  // namespace

void World::misuse(const Op& op) {
  Core& core = stack_->core();
  const auto flows = core.shard().tcp().flows.size();
  const auto chunks = core.shard().tcp().chunks.in_use();
  const Endpoint peer = peers_[0].self;
  const Ipv4Address own = config_.link.address.address;
  // Nobody can be there: this network, loopback, groups, what is reserved, our broadcast address.
  static constexpr std::array<Ipv4Address, 5> no_peers{Ipv4Address{0, 0, 0, 9}, Ipv4Address{127, 0, 0, 1},
                                                       Ipv4Address{224, 0, 0, 1}, Ipv4Address{240, 0, 0, 1},
                                                       Ipv4Address{10, 0, 0, 255}};
  switch (op.value % 13) {
    case 0:
      check_refused(core.listen_with({any, 81}, nobody, {}), ErrorKind::usage);
      break;
    case 1:
      check_refused(core.listen_with({any, 0}, handler_, {}), ErrorKind::usage);
      break;
    case 2:
      check_refused(core.listen_with({elsewhere, 81}, handler_, {}), ErrorKind::usage);
      break;
    case 3:
      check_refused(core.listen_with({any, 81}, handler_, {.dscp = no_dscp}), ErrorKind::usage);
      break;
    case 4:
      if (listening_) check_refused(core.listen_with({any, 80}, handler_, {}), ErrorKind::address_in_use);
      break;
    case 5:
      check_refused(core.connect(peer, nobody, {}), ErrorKind::usage);
      break;
    case 6:
      check_refused(core.connect({peer.address, 0}, handler_, {}), ErrorKind::usage);
      break;
    case 7:
      check_refused(core.connect({no_peers[op.extra % no_peers.size()], 80}, handler_, {}), ErrorKind::usage);
      break;
    case 8:
      check_refused(core.connect(peer, handler_, {.local = {elsewhere, 0}}), ErrorKind::usage);
      break;
    case 9:
      check_refused(core.connect(peer, handler_, {.dscp = no_dscp}), ErrorKind::usage);
      break;
    case 10: {
      // More than any send buffer here holds; or the table is full.
      static const std::vector<std::byte> much(128 << 10);
      check_refused(core.connect(peer, handler_, {.data = much}), ErrorKind::exhausted);
      break;
    }
    case 11:
      check_config(op.extra);
      break;
    default: {
      // One for each place: those that are listened on at their own address are found before `any`.
      std::array<ListenerId, 8> opened;
      std::size_t n = 0;
      for (Port port = 90; n < opened.size(); ++port) {
        const auto id =
            core.listen_with({(port & 1) != 0 ? own : any, static_cast<Port>(90 + port / 2)}, handler_, {});
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
