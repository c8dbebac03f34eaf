// SPDX-License-Identifier: BSD-3-Clause
// The world of F5: time, what leaves the stack and is judged; see world.hpp. Layer: fuzz.
#include "fuzz/world.hpp"

#include <algorithm>
#include <cstdlib>
#include <limits>
#include <string>

#include "fuzz/reading.hpp"
#include "wire/arp.hpp"
#include "wire/ethernet.hpp"

namespace handfast::fuzz {
namespace {

constexpr Ipv4Address stack_address{10, 0, 0, 1}, peer_address{10, 0, 0, 2};
constexpr MacAddress stack_mac{{0x02, 0x68, 0x66, 0, 0, 1}}, peer_mac{{0x02, 0, 0, 0, 0, 2}};
constexpr std::size_t unlimited = std::numeric_limits<std::size_t>::max();
/// Between two programs: longer than anything that a stack remembers of a peer.
constexpr Duration long_enough = 20min;
constexpr int most_polls = 64;  // of one op
constexpr std::uint32_t first_port = 1024, ports = 60000;

/// Transitions by what caused them, for libFuzzer: a state is news only with its cause. Not where a corpus is to be small.
__attribute__((section("__libfuzzer_extra_counters"))) std::uint8_t transitions_seen[8192];

void note(State from, const Op& op, unsigned position, State to) {
  static const bool edges_only = std::getenv("HANDFAST_FUZZ_EDGES") != nullptr;
  if (edges_only) return;
  const std::uint32_t event = static_cast<std::uint32_t>(from) | static_cast<std::uint32_t>(op.kind) << 4 |
                              (op.flags & 0x17u) << 9 | position << 14 | static_cast<std::uint32_t>(to) << 17;
  std::uint8_t& counter = transitions_seen[event * 2654435761u >> 19];
  if (counter != 255) ++counter;
}

}  // namespace

World::World(unsigned variant) : config_(config_of(variant)), now_(Time{1h}) {
  auto made = FrameStack::create(
      config_, now_, [](void* self, std::span<const std::byte> frame) { static_cast<World*>(self)->on_frame(frame); }, this);
  FUZZ_CHECK(made.has_value());
  stack_ = std::move(*made);
  handler_ = *stack_->core().add_handler_ref(app_);
  hoard_.reserve(256);
  for (Peer& peer : peers_) peer.stack = {stack_address, 80};
}

bool World::is_worn() const { return now_ > Time{Duration{std::int64_t{1} << 60}}; }

void World::begin(const Program& program) {
  now_ += long_enough;
  rng_ = Rng{std::uint64_t{program.spare} << 8 | program.setup};
  app_.manners = program.manners;
  drains_ = (program.spare & 1) != 0;
  for (Peer& peer : peers_) {
    peer = Peer{};
    // What is remembered for good of a server (Fast Open's cookies) is not to be of one that an earlier program played.
    peer.self = {peer_address, static_cast<Port>(first_port + next_port_++ % ports)};
    peer.stack = {stack_address, 80};
    peer.iss = 0xffffff00u + static_cast<std::uint32_t>(rng_.below(512));
  }
  answers_arp_ = (program.setup & 1) == 0;
  if ((program.setup & 2) == 0) listen({});
  poll();
  if ((program.setup & 4) == 0) {
    Op known;
    known.kind = OpKind::arp;
    arp(peers_[0], known);
    poll();
  }
}

void World::finish() {
  app_.manners = 0;
  app_.drop_buffers();
  hoard_.clear();
  answers_arp_ = true;
  stack_->limit_buffers(unlimited);
  stack_->limit_transmit(unlimited);
  Core& core = stack_->core();
  // What is listed is what there is.
  FUZZ_CHECK(core.connections().size() == core.shard().tcp().flows.size());
  for (int i = 0; drains_ && i < 3; ++i) {
    const bool empty = core.drain();
    FUZZ_CHECK(empty == (core.shard().tcp().tcbs.size() == 0 && core.shard().tcp().half_opens.size() == 0));
    listening_ = false;
    advance(1s);
  }
  if (listening_) core.close(listener_);
  listening_ = false;
  core.abort_all();
  poll();
  // TIME-WAIT, questions to neighbours, frames that wait for them, flights that rest.
  for (int i = 0; i < 5; ++i) advance(1s);
  Inside::check_nothing_held(core);
  FUZZ_CHECK(std::ranges::all_of(tasks_, [](Time t) { return t == Time{}; }));
  FUZZ_CHECK(stack_->buffers_in_use() == 0 && app_.references == 0 && Application::State::living == 0);
}

void World::drop() {
  app_.manners = 0;
  app_.drop_buffers();
  hoard_.clear();
  stack_ = nullptr;
  FUZZ_CHECK(app_.references == 0 && Application::State::living == 0);
}

void World::poll() { stack_->poll(now_); }

void World::advance(Duration d) {
  const Time end = now_ + d;
  for (int i = 0; i < most_polls; ++i) {
    const auto next = stack_->next_deadline();
    if (!next || *next > end) break;
    now_ = std::max(now_, *next);
    poll();
  }
  now_ = end;
  poll();
}

std::uint32_t World::slot_of(const Peer& peer) {
  tcp::Context& cx = stack_->core().shard().tcp();
  const FlowKey key{peer.stack, peer.self};
  return cx.flows.find(cx.hasher(key), key);
}

World::Live World::look(const Peer& peer) {
  tcp::Context& cx = stack_->core().shard().tcp();
  const std::uint32_t slot = slot_of(peer);
  // Without a block: what the wire has shown (a SYN cookie, a connection that is gone).
  Live live;
  live.rcv_nxt = live.beyond = peer.iss + 1;
  live.rcv_adv = live.rcv_nxt + 4096;
  live.irs = peer.iss;
  live.iss = peer.irs;
  live.snd_una = live.snd_nxt = live.middle = peer.sent;
  live.state = state_of(stack_->core(), slot);
  if (slot == tcp::npos) return live;
  const std::uint32_t index = tcp::FlowSlot::index(slot);
  if (tcp::FlowSlot::kind(slot) == tcp::FlowKind::half_open) {
    const tcp::Handshake& h = cx.half_opens[index].handshake;
    live.rcv_nxt = live.beyond = h.irs.raw() + 1;
    live.rcv_adv = live.rcv_nxt + h.rcv_wnd;
    live.snd_una = h.iss.raw();
    live.snd_nxt = live.middle = h.iss.raw() + 1;
    live.timestamps = h.timestamps;
  } else if (tcp::FlowSlot::kind(slot) == tcp::FlowKind::time_wait) {
    const tcp::TimeWait& t = cx.time_waits[index];
    live.rcv_nxt = live.beyond = t.rcv_nxt.raw();
    live.rcv_adv = live.rcv_nxt + t.window;
    live.snd_una = live.snd_nxt = live.middle = t.snd_nxt.raw();
    live.timestamps = t.timestamps;
  } else {
    const tcp::Tcb& tcb = cx.tcbs[index];
    live.rcv_nxt = live.beyond = tcb.rcv_nxt.raw();
    live.rcv_adv = tcb.rcv_adv.raw();
    live.snd_una = tcb.snd_una.raw();
    live.snd_nxt = tcb.snd_nxt.raw();
    live.middle = live.snd_una + (live.snd_nxt - live.snd_una) / 2;
    if (tcb.flight != nullptr && !tcb.flight->sent.empty()) live.middle = tcb.flight->sent.front().right.raw();
    if (tcb.receive != nullptr && !tcb.receive->beyond.empty()) live.beyond = tcb.receive->beyond.back().right.raw();
    live.timestamps = has(tcb, tcp::ts_enabled);
  }
  return live;
}

void World::look_at_all(const Op& op) {
  inside_.check(stack_->core());
  for (Peer& peer : peers_) {
    const State now = state_of(stack_->core(), slot_of(peer));
    if (now != peer.before || &peer == &peers_[op.peer & 3]) note(peer.before, op, op.bases >> 4 & 7, now);
    peer.before = now;
  }
}

void World::on_frame(std::span<const std::byte> frame) {
  FUZZ_CHECK(frame.size() >= 42 && frame.size() <= 14u + config_.link.mtu);
  const std::uint32_t type = get(frame, 12, 2);
  if (type == wire::ether_type_arp) return answer_arp(frame);
  FUZZ_CHECK(type == wire::ether_type_ipv4);
  if (get(frame, 23, 1) != wire::protocol_tcp) return;  // an echo reply
  std::string why;
  const auto packet = test::parse_strictly(frame, why);
  if (!packet) finding(why.c_str(), __FILE__, __LINE__);
  on_segment(*packet);
}

void World::on_segment(const test::Packet& packet) {
  FUZZ_CHECK(!packet.has(test::RST) || (packet.payload.empty() && !packet.has(test::SYN) && !packet.has(test::FIN)));
  // What leaves is what the application wrote, at its place; keep-alive's garbage octet is before all of it.
  const std::uint32_t first = packet.seq + (packet.has(test::SYN) ? 1u : 0u);
  const bool garbage = config_.tcp.keepalive_garbage && packet.payload.size() == 1;
  const auto bytes = std::as_bytes(std::span{packet.payload.data(), packet.payload.size()});
  FUZZ_CHECK(garbage || is_content(first, bytes));
  for (Peer& peer : peers_) {
    if (peer.self != packet.destination || peer.stack != packet.source) continue;
    const std::uint32_t end = packet.seq + packet.length();
    if (packet.has(test::SYN)) {
      peer.irs = packet.seq;
      peer.sent = end;
    }
    if (!packet.has(test::RST) && static_cast<std::int32_t>(end - peer.sent) > 0) peer.sent = end;
    if (packet.ts) peer.ts = packet.ts->first;
    if (packet.cookie && packet.cookie->size() <= peer.cookie.size() && !packet.cookie->empty()) {
      peer.cookie_length = static_cast<std::uint8_t>(packet.cookie->size());
      std::memcpy(peer.cookie.data(), packet.cookie->data(), packet.cookie->size());
    }
  }
}

void World::answer_arp(std::span<const std::byte> frame) {
  wire::ArpPacket request;
  FUZZ_CHECK(wire::parse_arp(frame.subspan(14), request) == Drop::none);
  if (!answers_arp_ || request.operation != wire::ArpOperation::request) return;
  std::array<std::byte, 42> reply{};
  wire::write_ethernet(reply.data(), stack_mac, peer_mac, wire::ether_type_arp);
  wire::write_arp(reply.data() + 14, {wire::ArpOperation::reply, peer_mac, request.target_address, stack_mac, stack_address});
  inject(reply);
}

}  // namespace handfast::fuzz
