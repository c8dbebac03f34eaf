// SPDX-License-Identifier: BSD-3-Clause
// The scripted peer; see peer.hpp. Layer: test support.
#include "support/peer.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <stdexcept>

#include "support/usage.hpp"
#include "tcp/secrets.hpp"
#include "wire/arp.hpp"
#include "wire/ethernet.hpp"

namespace handfast::test {
namespace {

constexpr Port stack_port = 80, peer_port = 40000;

/// A time at which the stack's first ISN of the tuple lies a little below 2^32: a pure function of both (RFC
/// 6528).
Time time_before_wrap(const CoreConfig& config, std::uint32_t below) {
  Rng rng{config.seed + 0x9e3779b97f4a7c15u * config.shard};
  const tcp::Secrets secrets{rng};
  const FlowKey key{{Trace::stack_address, stack_port}, {Trace::peer_address, peer_port}};
  const std::uint32_t at_zero = tcp::initial_numbers(secrets, key, Time{}).iss.raw();
  return Time{std::chrono::microseconds{std::uint64_t{0u - below - at_zero} * 4}};
}

}  // namespace

// --- Send
// ------------------------------------------------------------------------------------------------------

Send::Send(Peer& peer, std::uint8_t flags) : peer_(peer) {
  packet_.source = peer.self;
  packet_.destination = peer.stack;
  packet_.source_mac = Trace::peer_mac;
  packet_.destination_mac = Trace::stack_mac;
  packet_.flags = flags;
  packet_.seq = peer.iss + peer.snd_nxt;
  if ((flags & ACK) != 0) packet_.ack = peer.irs + peer.rcv_nxt;
  packet_.window = static_cast<std::uint16_t>(peer.window);
  if (peer.ts_on && (flags & SYN) == 0) packet_.ts = {peer.ts_now(), peer.ts_recent};
}

Send::~Send() {
  if (own_seq_) peer_.snd_nxt += packet_.length();
  auto frame = build(packet_);
  if (broken_) break_tcp_checksum(frame);
  peer_.trace.inject(frame, poll_);
}

Send& Send::seq(std::uint32_t relative) {
  packet_.seq = peer_.iss + relative;
  own_seq_ = false;
  return *this;
}
Send& Send::ack(std::uint32_t relative) {
  packet_.ack = peer_.irs + relative;
  packet_.flags |= ACK;
  return *this;
}
Send& Send::no_ack() {
  packet_.ack = 0;
  packet_.flags &= static_cast<std::uint8_t>(~ACK);
  return *this;
}
Send& Send::window(std::uint32_t field) {
  packet_.window = static_cast<std::uint16_t>(field);
  peer_.window = field;
  return *this;
}
Send& Send::data(std::string bytes) {
  packet_.payload = std::move(bytes);
  if (!packet_.has(SYN)) packet_.flags |= PSH;
  return *this;
}
Send& Send::fin() {
  packet_.flags |= FIN;
  return *this;
}
Send& Send::mss(std::uint16_t value) {
  packet_.mss = value;
  return *this;
}
Send& Send::wscale(std::uint8_t shift) {
  packet_.wscale = shift;
  return *this;
}
Send& Send::sack_ok() {
  packet_.sack_permitted = true;
  return *this;
}
Send& Send::ts(std::uint32_t value, std::uint32_t echo) {
  packet_.ts = {value, echo};
  return *this;
}
Send& Send::sack(std::vector<Block> relative) {
  for (const Block& b : relative) packet_.sack.emplace_back(peer_.irs + b.first, peer_.irs + b.second);
  return *this;
}
Send& Send::user_timeout(std::uint16_t field) {
  packet_.user_timeout = field;
  return *this;
}
Send& Send::cookie(std::string bytes) {
  packet_.cookie = std::move(bytes);
  return *this;
}
Send& Send::options(std::vector<std::uint8_t> raw) {
  packet_.raw_options = std::move(raw);
  return *this;
}
Send& Send::urgent(std::uint16_t pointer) {
  packet_.flags |= URG;
  packet_.urgent = pointer;
  return *this;
}
Send& Send::flags(std::uint8_t all) {
  packet_.flags = all;
  return *this;
}
Send& Send::no_poll() {
  poll_ = false;
  return *this;
}
Send& Send::broken_checksum() {
  broken_ = true;
  return *this;
}

// --- Expect
// ----------------------------------------------------------------------------------------------------

const Expect& Expect::flags(std::uint8_t wanted) const {
  if (!packet_) return *this;
  EXPECT_EQ(packet_->flags & ~PSH, wanted) << packet_->text();
  return *this;
}
const Expect& Expect::seq(std::uint32_t relative) const {
  if (!packet_) return *this;
  EXPECT_EQ(packet_->seq - peer_.irs, relative) << packet_->text();
  return *this;
}
const Expect& Expect::ack(std::uint32_t relative) const {
  if (!packet_) return *this;
  EXPECT_TRUE(packet_->has(ACK)) << packet_->text();
  EXPECT_EQ(packet_->ack - peer_.iss, relative) << packet_->text();
  return *this;
}
const Expect& Expect::raw_seq(std::uint32_t absolute) const {
  if (!packet_) return *this;
  EXPECT_EQ(packet_->seq, absolute) << packet_->text();
  return *this;
}
const Expect& Expect::data(const std::string& bytes) const {
  if (!packet_) return *this;
  EXPECT_EQ(packet_->payload, bytes) << packet_->text();
  return *this;
}
const Expect& Expect::length(std::size_t payload) const {
  if (!packet_) return *this;
  EXPECT_EQ(packet_->payload.size(), payload) << packet_->text();
  return *this;
}
const Expect& Expect::window(std::uint32_t field) const {
  if (!packet_) return *this;
  EXPECT_EQ(packet_->window, field) << packet_->text();
  return *this;
}
const Expect& Expect::sack(const std::vector<Block>& relative) const {
  if (!packet_) return *this;
  std::vector<Block> got;
  for (const Block& b : packet_->sack) got.emplace_back(b.first - peer_.iss, b.second - peer_.iss);
  EXPECT_EQ(got, relative) << packet_->text();
  return *this;
}
const Expect& Expect::at(Duration since_start) const {
  if (!packet_) return *this;
  EXPECT_EQ(packet_->at - (peer_.trace.now() - peer_.trace.elapsed()), since_start) << packet_->text();
  return *this;
}

// --- Peer
// ------------------------------------------------------------------------------------------------------

Peer::Peer(Trace& t, Endpoint own, Endpoint other)
    : trace(t),
      self(own),
      stack(other),
      iss(0u - 1 - t.rng().below(300)),
      ts_base(static_cast<std::uint32_t>(t.rng().next())) {
  trace.peers_.push_back(this);
}

Peer::~Peer() { std::erase(trace.peers_, this); }

std::uint32_t Peer::ts_now() const { return ts_base + static_cast<std::uint32_t>(trace.elapsed() / 1ms); }

std::optional<Packet> Peer::poll() {
  if (in.empty()) return std::nullopt;
  Packet packet = std::move(in.front());
  in.pop_front();
  if (packet.has(SYN)) {
    if (!irs_known || packet.seq != irs) rcv_nxt = 0;
    irs = packet.seq;
    irs_known = true;
  }
  if (packet.ts) ts_recent = packet.ts->first;
  // Segments that arrive in order, or overlap what is expected next, move it.
  const std::uint32_t begin = packet.seq - irs, end = begin + packet.length();
  if (static_cast<std::int32_t>(begin - rcv_nxt) <= 0 && static_cast<std::int32_t>(end - rcv_nxt) > 0)
    rcv_nxt = end;
  return packet;
}

Expect Peer::expect() {
  auto packet = poll();
  EXPECT_TRUE(packet) << "the stack has sent nothing to " << self.to_string() << " at "
                      << trace.elapsed() / 1us << " us";
  return Expect{*this, std::move(packet)};
}

void Peer::offer(Send& out, const Handshake& h) const {
  if (h.mss) out.mss(*h.mss);
  if (h.wscale) out.wscale(*h.wscale);
  if (h.sack) out.sack_ok();
  if (h.ts) out.ts(ts_now(), ts_recent);
}

void Peer::open(Handshake h) {
  {
    Send out = syn();
    offer(out, h);
  }
  expect().syn_ack().seq(0).ack(1);
  ts_on = h.ts;
  ack();
}

void Peer::answer_open(Handshake h) {
  expect().syn().seq(0);
  {
    Send out = syn_ack();
    offer(out, h);
  }
  ts_on = h.ts;
  expect().pure_ack().seq(1).ack(1);
}

void Peer::finish_after_fin() {
  expect().fin();
  fin();
  expect().pure_ack();
}

// --- Trace
// -----------------------------------------------------------------------------------------------------

CoreConfig small_config() {
  CoreConfig config;
  config.link.address = {Trace::stack_address, 24};
  config.link.mac = Trace::stack_mac;
  config.limits.connections = 512;
  config.limits.half_open = 256;
  config.limits.time_wait = 256;
  config.limits.buffer_memory = 8ull << 20;
  config.limits.send_extents = 8192;
  config.limits.recovery_blocks = 256;
  config.limits.neighbours = 64;
  config.tcp.congestion_control = CongestionControl::new_reno;  // RFC 5681's numbers are the ones to compare with
  return config;
}

namespace {
CoreConfig with_seed(CoreConfig config, Rng& rng) {
  if (config.seed == 0) config.seed = rng.next();
  return config;
}
}  // namespace

Trace::Trace(CoreConfig config, std::uint32_t below_wrap)
    : rng_(test_seed()),
      config_(with_seed(std::move(config), rng_)),
      start_(time_before_wrap(config_, below_wrap != 0 ? below_wrap : 1 + rng_.below(300))),
      now_(start_),
      peer(*this, {peer_address, peer_port}, {stack_address, stack_port}) {
  auto made = FrameStack::create(
      config_, start_,
      [](void* self, std::span<const std::byte> frame) { static_cast<Trace*>(self)->on_frame(frame); }, this);
  if (!made) throw std::runtime_error(made.error().what);
  stack_ = std::move(*made);
  handler = *core().add_handler_ref(app);
}

Trace::~Trace() {
  check_that_all_is_gone();
  recorder_.write_on_failure();
}

void Trace::check_that_all_is_gone() {
  app.data = nullptr;
  app.closed = nullptr;
  answer_arp = true;
  core().abort_all();
  for (int i = 0; i < 40 && (usage_of(core()).connections != 0 || i < 3); ++i) {
    now_ += 1ms;
    stack_->poll(now_);
  }
  // Frames that wait for a neighbour, and the released ones.
  for (int i = 0; i < 8; ++i) {
    now_ += 1s;
    stack_->poll(now_);
  }
  EXPECT_EQ(stack_->buffers_in_use(), 0u);
  expect_nothing_held(core());
  for (const auto& [id, r] : app.records) EXPECT_TRUE(r.closed) << "a connection without an end";
  stack_.reset();
  EXPECT_EQ(App::State::living, 0);
  App::State::living = 0;
}

ListenerId Trace::listen(Port port, ListenOptions options) {
  const auto id = core().listen_with({any, port}, handler, options);
  EXPECT_TRUE(id);
  return *id;
}

ConnId Trace::connect() {
  const auto id = core().connect(peer.self, handler, {.local = peer.stack});
  EXPECT_TRUE(id);
  poll();
  return *id;
}

ConnId Trace::open_active(Handshake h) {
  const ConnId id = connect();
  peer.answer_open(h);
  return id;
}

Conn Trace::conn() {
  auto c = core().find(app.last());
  if (!c) throw std::runtime_error("there is no connection");
  return *c;
}

State Trace::state() {
  const auto c = core().find(app.last());
  return c ? c->state() : State::closed;
}

void Trace::poll() { stack_->poll(now_); }

void Trace::advance(Duration d) {
  const Time end = now_ + d;
  for (int guard = 0; guard < 1000000; ++guard) {
    const auto next = stack_->next_deadline();
    if (!next || *next > end) break;
    now_ = std::max(now_, *next);
    stack_->poll(now_);
  }
  now_ = end;
  stack_->poll(now_);
}

Duration Trace::advance_to_frame(Duration limit) {
  const Time begin = now_;
  const std::size_t before = frames_out_;
  while (frames_out_ == before) {
    const auto next = stack_->next_deadline();
    if (!next || *next > begin + limit) {
      ADD_FAILURE() << "nothing was sent within " << limit / 1ms << " ms";
      now_ = begin + limit;
      break;
    }
    now_ = std::max(now_, *next);
    stack_->poll(now_);
  }
  return now_ - begin;
}

bool Trace::quiet() const {
  return other_frames.empty() && std::ranges::all_of(peers_, [](const Peer* p) { return p->quiet(); });
}

void Trace::expect_nothing_until(Duration d) {
  const auto check = [this] {
    if (quiet()) return true;
    for (const Peer* p : peers_)
      if (!p->quiet())
        ADD_FAILURE() << "unexpected at " << elapsed() / 1us << " us: " << p->in.front().text();
    if (!other_frames.empty()) ADD_FAILURE() << "an unexpected frame that is not TCP";
    return false;
  };
  if (!check()) return;
  advance(d);
  check();
}

std::unique_ptr<Peer> Trace::another_peer(Port port, Ipv4Address address) {
  return std::make_unique<Peer>(*this, Endpoint{address, port}, Endpoint{stack_address, stack_port});
}

void Trace::inject(std::span<const std::byte> frame, bool poll_now) {
  recorder_.note(now_, frame);
  if (around_inject) around_inject(false);
  EXPECT_TRUE(stack_->receive(frame));
  if (poll_now) poll();
  if (around_inject) around_inject(true);
}

/// ARP requests for any address of the network but the stack's own.
bool Trace::answer_as_peer(std::span<const std::byte> frame) {
  wire::EthernetFrame ethernet;
  wire::ArpPacket request;
  if (!answer_arp || wire::parse_ethernet(frame, ethernet) != Drop::none ||
      ethernet.type != wire::ether_type_arp)
    return false;
  if (wire::parse_arp(ethernet.payload, request) != Drop::none ||
      request.operation != wire::ArpOperation::request)
    return false;
  std::vector<std::byte> reply(60);
  wire::write_ethernet(reply.data(), request.sender_mac, peer_mac, wire::ether_type_arp);
  wire::write_arp(reply.data() + 14, {wire::ArpOperation::reply, peer_mac, request.target_address,
                                      request.sender_mac, request.sender_address});
  stack_->receive(reply);
  return true;
}

void Trace::on_frame(std::span<const std::byte> frame) {
  recorder_.note(now_, frame);
  if (answer_as_peer(frame)) return;
  ++frames_out_;
  const bool ipv4_tcp = frame.size() > 34 && frame[12] == std::byte{8} && frame[13] == std::byte{0} &&
                        frame[23] == std::byte{6};
  if (!ipv4_tcp) {
    other_frames.emplace_back(frame.begin(), frame.end());
    return;
  }
  std::string why;
  auto packet = parse_strictly(frame, why);
  if (!packet) {
    ADD_FAILURE() << "the stack sent a bad frame: " << why;
    return;
  }
  EXPECT_EQ(packet->source_mac, stack_mac);
  packet->at = now_;
  for (Peer* p : peers_) {
    if (p->self == packet->destination && p->stack == packet->source) {
      p->take(*packet);
      return;
    }
  }
  other_frames.emplace_back(frame.begin(), frame.end());
}

}  // namespace handfast::test
