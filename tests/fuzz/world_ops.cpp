// SPDX-License-Identifier: BSD-3-Clause
// What each op of a program does; see program.hpp. Layer: fuzz.
#include <algorithm>
#include <array>
#include <cstring>
#include <limits>

#include "fuzz/reading.hpp"
#include "fuzz/world.hpp"
#include "wire/arp.hpp"
#include "wire/ethernet.hpp"
#include "wire/icmpv4.hpp"
#include "wire/ipv4.hpp"

namespace handfast::fuzz {
namespace {

constexpr MacAddress stack_mac{{0x02, 0x68, 0x66, 0, 0, 1}}, peer_mac{{0x02, 0, 0, 0, 0, 2}};
constexpr std::uint32_t most_payload = 1460;

/// From a microsecond to half an hour, and all between.
Duration duration_of(std::uint16_t value) { return 1us * (std::int64_t{value & 0xffu} << (value >> 8) % 24); }

std::uint32_t offset(std::int16_t n) { return static_cast<std::uint32_t>(std::int32_t{n}); }

}  // namespace

void World::run(const Op& op) {
  Peer& peer = peers_[op.peer & 3];
  switch (op.kind) {
    case OpKind::segment: segment(peer, op); break;
    case OpKind::orderly: orderly(peer, op, test::ACK); break;
    case OpKind::handshake: handshake(peer, op); break;
    case OpKind::finish: orderly(peer, op, test::ACK | test::FIN); break;
    case OpKind::time: advance(duration_of(op.value)); break;
    case OpKind::deadline:
      if (const auto next = stack_->next_deadline()) now_ = std::max(now_, std::min(*next, now_ + 1h));
      break;
    case OpKind::jump: jump(op); break;
    case OpKind::write:
    case OpKind::read:
    case OpKind::close:
    case OpKind::shut:
    case OpKind::abort:
    case OpKind::settings: with_conn(peer, op); break;
    case OpKind::connect: connect(peer, op); break;
    case OpKind::listen: listen(op); break;
    case OpKind::no_buffers: stack_->limit_buffers((op.extra & 1) != 0 ? op.value % 8 : std::numeric_limits<std::size_t>::max()); break;
    case OpKind::full_ring: stack_->limit_transmit((op.extra & 1) != 0 ? op.value % 8 : std::numeric_limits<std::size_t>::max()); break;
    case OpKind::icmp: icmp(peer, op); break;
    case OpKind::raw: raw(op); break;
    case OpKind::hoard: hoard(op); break;
    case OpKind::manners: app_.manners = op.extra; break;
    case OpKind::arp: arp(peer, op); break;
    case OpKind::count_: break;
  }
  if ((op.peer & 0x80) == 0) poll();
  look_at_all(op);
}

// --- what peers send -------------------------------------------------------------------------------------------

void World::send(Peer& peer, test::Packet& packet, const Op& op, std::uint32_t length) {
  packet.source = peer.self;
  packet.destination = peer.stack;
  packet.source_mac = peer_mac;
  packet.destination_mac = stack_mac;
  packet.tos = op.extra & 3;
  if (packet.has(test::SYN)) peer.iss = packet.seq;
  const auto bytes = content(packet.seq + (packet.has(test::SYN) ? 1u : 0u), std::min(length, most_payload));
  packet.payload.assign(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  auto frame = test::build(packet);
  if ((op.extra & 0xf0) == 0xf0) test::break_tcp_checksum(frame);
  inject(frame);
}

void World::segment(Peer& peer, const Op& op) {
  const Live live = look(peer);
  const std::uint32_t seqs[16] = {live.rcv_nxt,      live.rcv_nxt,      live.rcv_nxt,     live.rcv_nxt - 1,
                                  live.rcv_adv,      live.rcv_adv - 1,  live.irs,         live.irs + 1,
                                  live.beyond,       live.beyond + 1,   live.rcv_nxt + 1460, live.rcv_nxt + 2920,
                                  live.rcv_nxt + 64, live.rcv_nxt - 536, live.rcv_nxt + (1u << 31), std::uint32_t{op.value} << 16};
  const std::uint32_t acks[16] = {live.snd_nxt,     live.snd_nxt,     live.snd_nxt, live.snd_una,
                                  live.snd_una,     live.snd_una - 1, live.middle,  live.middle,
                                  live.snd_nxt + 1, live.iss,         live.iss + 1, live.snd_una + 1460,
                                  live.snd_una + 1, live.snd_una - 65536, live.snd_nxt + (1u << 31), std::uint32_t{op.value} << 16};
  test::Packet packet;
  packet.flags = op.flags;
  packet.seq = seqs[op.bases >> 4] + offset(op.seq);
  if (packet.has(test::ACK)) packet.ack = acks[op.bases & 15] + offset(op.ack);
  packet.window = op.window;
  packet.urgent = packet.has(test::URG) ? op.value : std::uint16_t{0};
  if ((op.options & 0x40) != 0 && (op.options & 0x80) != 0) {
    static constexpr std::uint8_t odd[] = {2, 4, 0, 0, 8, 10, 5, 3, 1, 0, 19, 18, 254, 5, 10, 4};
    packet.raw_options.assign(odd + op.value % 12, odd + op.value % 12 + 4);
  } else {
    add_options(peer, live, packet, op);
  }
  send(peer, packet, op, op.length % (most_payload + 1));
}

void World::add_options(Peer& peer, const Live& live, test::Packet& packet, const Op& op) {
  const auto ms = static_cast<std::uint32_t>(now_.time_since_epoch() / 1ms);
  const bool stamps = (op.options & 1) != 0 || (live.timestamps && (op.options & 2) == 0);
  if (stamps) packet.ts = {ms - ((op.options & 4) != 0 ? std::uint32_t{op.value} : 0u), packet.has(test::ACK) ? peer.ts - (op.value & 7u) : 0u};
  if (packet.has(test::SYN)) {
    if ((op.options & 8) != 0) packet.mss = static_cast<std::uint16_t>((op.options & 0x20) != 0 ? op.value % 1500 : 1460);
    if ((op.options & 0x10) != 0) packet.wscale = static_cast<std::uint8_t>(op.extra >> 2 & 15);
    packet.sack_permitted = (op.options & 8) != 0;
    if ((op.options & 0x40) != 0) packet.cookie = std::string(reinterpret_cast<const char*>(peer.cookie.data()), peer.cookie_length);
    if ((op.options & 0x80) != 0) packet.user_timeout = static_cast<std::uint16_t>(op.value | 1);
    return;
  }
  if ((op.options & 0x38) == 0) return;
  // Up to three blocks of what is in flight, in steps of a segment or of anything.
  const std::uint32_t step = (op.options & 0x40) != 0 ? op.value % 2000u + 1 : most_payload - (stamps ? 12u : 0u);
  std::uint32_t left = live.snd_una + (op.extra >> 2 & 7u) * step;
  for (unsigned n = op.options >> 3 & 3; n != 0; --n) {
    packet.sack.emplace_back(left, left + step * (1 + (op.value >> 12 & 1u)));
    left += 3 * step;
  }
  // What has arrived already: a D-SACK in front (rfc2883).
  if ((op.options & 0x20) != 0 && packet.sack.size() < 3) packet.sack.insert(packet.sack.begin(), {live.snd_una - step, live.snd_una});
}

void World::orderly(Peer& peer, const Op& op, std::uint8_t flags) {
  const Live live = look(peer);
  test::Packet packet;
  packet.flags = flags;
  packet.seq = live.rcv_nxt;
  // All, or up to the end of the first segment.
  packet.ack = (op.extra & 4) != 0 ? live.middle : live.snd_nxt;
  packet.window = op.window == 0 && (op.extra & 8) == 0 ? std::uint16_t{65535} : op.window;
  Op plain = op;
  plain.options = 0;
  plain.extra &= 3;
  add_options(peer, live, packet, plain);
  send(peer, packet, plain, op.length % (most_payload + 1));
}

void World::handshake(Peer& peer, const Op& op) {
  Op full = op;
  full.options = (op.extra & 0x80) != 0 ? op.options : std::uint8_t{0x19};
  full.extra = static_cast<std::uint8_t>(op.extra & 0x1f);
  const State state = look(peer).state;
  if (state == State::closed || state == State::time_wait || state == State::syn_sent) {
    test::Packet syn;
    syn.flags = state == State::syn_sent ? std::uint8_t{test::SYN | test::ACK} : std::uint8_t{test::SYN};
    if (config_.tcp.ecn) syn.flags |= state == State::syn_sent ? 0x40 : 0xc0;
    syn.seq = peer.iss + (state == State::time_wait ? 1u << 20 : 0u);
    if (state == State::syn_sent) syn.ack = peer.sent;
    syn.window = 65535;
    add_options(peer, look(peer), syn, full);
    send(peer, syn, full, 0);
    poll();
    if (state == State::syn_sent) return;
  }
  Op answer = op;
  answer.extra = 0;
  // A cookie's timestamp brings its options back.
  if (look(peer).state == State::closed) {
    test::Packet ack;
    ack.flags = test::ACK;
    ack.seq = peer.iss + 1;
    ack.ack = peer.irs + 1;
    ack.window = 65535;
    if ((full.options & 1) != 0 && config_.tcp.timestamps) ack.ts = {static_cast<std::uint32_t>(now_.time_since_epoch() / 1ms), peer.ts};
    send(peer, ack, answer, op.length % (most_payload + 1));
  } else {
    orderly(peer, answer, test::ACK);
  }
}

void World::icmp(Peer& peer, const Op& op) {
  const Live live = look(peer);
  std::array<std::byte, 14 + 20 + 8 + 28> frame{};
  static constexpr std::uint8_t types[] = {3, 3, 3, 11, 12, 4, 5, 8};
  wire::write_ethernet(frame.data(), stack_mac, peer_mac, wire::ether_type_ipv4);
  wire::write_ipv4(frame.data() + 14, {.source = Ipv4Address{10, 0, 0, static_cast<std::uint8_t>(op.extra & 0x80 ? 254 : 2)},
                                       .destination = peer.stack.address,
                                       .protocol = wire::protocol_icmp,
                                       .payload_length = 36});
  const auto message = std::span{frame}.subspan(34);
  message[0] = static_cast<std::byte>(types[op.extra & 7]);
  message[1] = static_cast<std::byte>((op.extra & 3) == 0 ? 4 : op.flags % 16);
  put(message, 6, op.value % 1600);
  wire::write_ipv4(message.data() + 8, {.source = peer.stack.address,
                                        .destination = peer.self.address,
                                        .protocol = wire::protocol_tcp,
                                        .payload_length = static_cast<std::uint16_t>(20 + op.length % 1461)});
  put(message, 28, peer.stack.port);
  put(message, 30, peer.self.port);
  const std::uint32_t seq = ((op.bases & 1) != 0 ? live.snd_nxt : live.snd_una) + offset(op.seq);
  put(message, 32, seq >> 16);
  put(message, 34, seq & 0xffff);
  put(message, 2, plain_sum(message) ^ 0xffff);
  inject(frame);
}

void World::raw(const Op& op) {
  std::array<std::byte, 96> frame{};
  Rng bytes{std::uint64_t{op.value} << 16 | op.length};
  for (std::byte& b : frame) b = static_cast<std::byte>(bytes.next());
  wire::write_ethernet(frame.data(), stack_mac, peer_mac, (op.extra & 1) != 0 ? wire::ether_type_arp : wire::ether_type_ipv4);
  if ((op.extra & 2) != 0)
    wire::write_ipv4(frame.data() + 14, {.source = peers_[0].self.address, .destination = peers_[0].stack.address, .protocol = (op.extra & 4) != 0 ? wire::protocol_icmp : wire::protocol_tcp, .payload_length = 62});
  inject(std::span{frame}.first(op.flags % (frame.size() + 1)));
}

void World::arp(Peer& peer, const Op& op) {
  if ((op.extra & 2) != 0) answers_arp_ = (op.extra & 1) != 0;
  std::array<std::byte, 42> frame{};
  const MacAddress mac{{0x02, 0, 0, 0, 0, static_cast<std::uint8_t>(op.extra & 4 ? op.value : 2)}};
  wire::write_ethernet(frame.data(), stack_mac, mac, wire::ether_type_arp);
  wire::write_arp(frame.data() + 14, {(op.extra & 8) != 0 ? wire::ArpOperation::reply : wire::ArpOperation::request, mac,
                                      peer.self.address, stack_mac, peer.stack.address});
  inject(frame);
}

// --- what the application does ---------------------------------------------------------------------------------

void World::listen(const Op& op) {
  if ((op.extra & 0x80) != 0 && op.kind == OpKind::listen) return misuse(op);
  Core& core = stack_->core();
  if (listening_ && (op.extra & 3) == 0) {
    core.close(listener_);
    listening_ = false;
  } else if (listening_) {
    (op.extra & 3) == 1 ? core.pause(listener_) : core.resume(listener_);
  } else {
    ListenOptions options;
    options.backlog = op.value % 8 + 1;
    if (op.kind != OpKind::listen) options.backlog = 8;
    options.paused = (op.extra & 4) != 0;
    options.fast_open = 2;
    options.dscp = op.extra >> 3 & 1;
    const auto id = core.listen_with({any, 80}, handler_, options);
    listening_ = id.has_value();  // four places: those of listeners whose queues are not empty yet may all be taken
    if (id) listener_ = *id;
  }
}

void World::connect(Peer& peer, const Op& op) {
  ConnectOptions options;
  // From the service's port, or one that is chosen; to the peer, or to a listener of its own, over no link.
  const bool chosen = (op.value & 0x8000) != 0, itself = (op.value & 0x4000) != 0;
  const Endpoint own{config_.link.address.address, 80};
  if (!chosen && !itself) options.local = peer.stack;
  options.fast_open = (op.extra & 1) != 0;
  if ((op.extra & 2) != 0) options.dscp = op.extra >> 2;
  options.congestion_control = static_cast<CongestionControl>(op.value % congestion_control_count);
  const auto id = stack_->core().connect(itself ? own : peer.self, handler_, options);
  if (id && !itself) peer.stack = stack_->core().find(*id)->local();
}

void World::with_conn(Peer& peer, const Op& op) {
  const std::uint32_t slot = slot_of(peer);
  if (slot == tcp::npos || tcp::FlowSlot::kind(slot) != tcp::FlowKind::connection) return;
  const tcp::Context& cx = stack_->core().shard().tcp();
  const std::uint32_t index = tcp::FlowSlot::index(slot);
  auto c = stack_->core().find({index, cx.tcbs.generation(index)});
  if (!c) return;
  auto& state = c->user<Application::State>();
  if (op.kind == OpKind::write) app_.write(*c, state, op.value % 20000u, op.extra);
  else if (op.kind == OpKind::read) app_.read(*c, state, op.value);
  else if (op.kind == OpKind::shut) app_.shut(*c, state);
  else if (op.kind == OpKind::settings) settings(*c, op);
  else app_.leave(*c, state, op.kind == OpKind::abort);
  static_cast<void>(c->stats());
}

void World::settings(Conn& c, const Op& op) {
  switch (op.extra % 14) {
    case 0: c.set_nodelay((op.value & 1) != 0); break;
    case 1: c.cork(); break;
    case 2: c.uncork(); break;
    case 3: c.set_keepalive((op.value & 1) != 0); break;
    case 4: c.set_keepalive(KeepAlive{1s * (op.value % 8), 1s * (op.value >> 4 & 7), static_cast<std::uint8_t>(op.value >> 8 & 3)}); break;
    case 5: c.set_user_timeout((op.value & 1) != 0 ? Duration::max() : 100ms * (op.value % 100)); break;
    case 6: c.set_congestion_control(static_cast<CongestionControl>(op.value % congestion_control_count)); break;
    case 7: c.pause_rx(); break;
    case 8: c.resume_rx(); break;
    case 9: c.arm(duration_of(op.value)); break;
    case 10: c.disarm(); break;
    case 11: core_task(op); break;
    case 12: FUZZ_CHECK(c.local() == c.core().find(c.id())->local() && c.unacked() + c.writable() >= c.writable() && c.urgent_ahead() <= 1u << 30); break;
    default: FUZZ_CHECK(c.set_dscp(static_cast<std::uint8_t>(op.value)) == (op.value % 256 < 64)); break;
  }
}

/// A timer of the core's own, or a task from elsewhere: done once, the timer not early; refused only when all places are taken.
void World::core_task(const Op& op) {
  const auto slot = static_cast<std::size_t>(std::ranges::find(tasks_, Time{}) - tasks_.begin());
  if (slot == tasks_.size()) return;
  Core& core = stack_->core();
  const Duration delay = 1ms * (op.value % 4096);
  tasks_[slot] = core.now() + ((op.value & 1) != 0 ? delay : Duration{0});
  const auto run = [](void* task) {
    auto& [world, number] = *static_cast<Task*>(task);
    FUZZ_CHECK(world->tasks_[number] != Time{} && world->stack_->core().now() >= world->tasks_[number]);
    world->tasks_[number] = Time{};
  };
  task_of_[slot] = {this, slot};
  FUZZ_CHECK((op.value & 1) != 0 ? core.arm(delay, run, &task_of_[slot]) : core.post(run, &task_of_[slot]));
}

void World::hoard(const Op& op) {
  if ((op.extra & 1) != 0) return hoard_.clear();
  for (unsigned n = op.value % 128; n != 0 && hoard_.size() < hoard_.capacity(); --n) {
    TxBuf buffer = stack_->core().allocate();
    if (!buffer) return;
    hoard_.push_back(std::move(buffer));
  }
}

/// 25 days are more than half of what timestamps in milliseconds can tell apart. A step back is to be ignored.
void World::jump(const Op& op) {
  const Time before = now_;
  switch (op.extra & 3) {
    case 0: now_ -= duration_of(op.value); poll(); now_ = before; break;
    case 1: now_ += 24h * 25; break;
    default: now_ += duration_of(op.value); break;  // no poll on the way: a stall of the loop
  }
}

}  // namespace handfast::fuzz
