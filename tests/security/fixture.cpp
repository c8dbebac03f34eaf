// SPDX-License-Identifier: BSD-3-Clause
// The world of an attack; see fixture.hpp. Layer: tests of security.
#include "fixture.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <ostream>

#include "shard/shard.hpp"

namespace handfast::test {
namespace {

constexpr std::size_t exchanged = 100;

const CoreStats& live_stats(Trace& t) { return t.core().shard().tcp().stats; }

std::uint64_t arrivals_dropped(const std::array<std::uint64_t, drop_count>& drops) {
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < drop_count; ++i)
    if (is_about_arrivals(static_cast<Drop>(i))) sum += drops[i];
  return sum;
}

}  // namespace

bool is_long_run() {
  static const bool is_long = std::getenv("HANDFAST_LONG") != nullptr;
  return is_long;
}

Holdings holdings_of(Trace& t) {
  const tcp::Context& cx = t.core().shard().tcp();
  Holdings h;
  h.usage = usage_of(t.core());
  h.frames = t.stack().buffers_in_use();
  h.table_entries = cx.flows.size();
  h.timers = cx.tcb_wheel.size() + cx.half_open_wheel.size();
  for (const tcp::Listener& listener : cx.listeners) h.of_listeners += listener.half_open + listener.waiting;
  return h;
}

std::ostream& operator<<(std::ostream& out, const Holdings& h) {
  const Usage& u = h.usage;
  return out << "connections " << u.connections << ", half-open " << u.half_open << ", TIME-WAIT " << u.time_wait << ", extents "
             << u.extents << ", chunks " << u.chunks << ", receive buffers " << u.receive_buffers << ", flights " << u.flights
             << ", path searches " << u.path_searches << ", frames " << h.frames << ", table entries " << h.table_entries
             << ", timers " << h.timers << ", counted by listeners " << h.of_listeners;
}

bool is_about_arrivals(Drop reason) {
  return reason != Drop::tcp_challenge_limited && reason != Drop::tcp_rst_rate_limited && reason != Drop::neighbour_queue_full &&
         reason != Drop::neighbour_unreachable && reason != Drop::tx_no_buffer;
}

SecurityWorld::SecurityWorld(CoreConfig config, bool listens, std::uint32_t below_wrap)
    : t(std::move(config), below_wrap),
      peer(t.peer),
      innocent(t, {Ipv4Address{10, 0, 0, 3}, 50000}, {Trace::stack_address, innocent_port}) {
  const auto listener = t.core().listen_with({any, innocent_port}, *t.core().add_handler_ref(innocent_app));
  EXPECT_TRUE(listener);
  if (listens) t.listen();
  baseline_ = holdings_of(t);
  innocent.open(modern);
  innocent_id_ = innocent_app.last();
  first_drops_ = t.stats().drops;
  first_frames_out_ = t.stats().frames_out;
  t.around_inject = [this](bool is_over) { note(is_over); };
}

SecurityWorld::~SecurityWorld() { verify(); }

void SecurityWorld::note(bool is_over) {
  const CoreStats& now = live_stats(t);
  if (!is_over) {
    frames_in_before_ = now.frames_in;
    frames_out_before_ = now.frames_out;
    drops_before_ = arrivals_dropped(now.drops);
    return;
  }
  const std::uint64_t in = now.frames_in - frames_in_before_, out = now.frames_out - frames_out_before_;
  EXPECT_LE(static_cast<double>(out), most_out_per_in * static_cast<double>(in)) << "frames that left for those that came";
  EXPECT_LE(arrivals_dropped(now.drops) - drops_before_, in) << "a frame was dropped for more than one reason";
}

void SecurityWorld::establish(Handshake h, bool exchange) {
  peer.open(h);
  if (!exchange) return;
  peer.ack().data(std::string(exchanged, 'p'));
  EXPECT_EQ(t.app.received(), std::string(exchanged, 'p'));
  t.with([](Conn& c) { EXPECT_EQ(c.send(std::string(exchanged, 's')), exchanged); });
  peer.expect().length(exchanged);
  peer.ack();
}

ConnId SecurityWorld::bring(Peer& p, State state, Handshake h) {
  if (state == State::closed || state == State::listen) return {};
  if (state == State::syn_sent) {
    const auto id = t.core().connect(p.self, t.handler, {.local = p.stack});
    EXPECT_TRUE(id);
    t.poll();
    p.expect().syn();
    return id ? *id : ConnId{};
  }
  if (state == State::syn_received) {
    {
      Send syn = p.syn();
      p.offer(syn, h);
    }
    p.expect().syn_ack();
    p.ts_on = h.ts;
    return {};
  }
  p.open(h);
  const ConnId id = t.app.last();
  p.ack().data(std::string(exchanged, 'p'));
  t.with([](Conn& c) { c.send(std::string(exchanged, 's')); });
  p.expect().length(exchanged);
  p.ack();
  const auto shut = [&] {
    t.with([](Conn& c) { c.shutdown_write(); });
    p.expect().fin();
  };
  const auto take_fin = [&] {
    p.fin();
    p.expect().pure_ack();
  };
  if (state == State::fin_wait_1 || state == State::fin_wait_2 || state == State::closing || state == State::time_wait) shut();
  if (state == State::fin_wait_2 || state == State::time_wait) p.ack();
  if (state == State::closing) p.fin().ack(p.rcv_nxt - 1);
  if (state == State::closing) p.expect().pure_ack();
  if (state == State::close_wait || state == State::last_ack || state == State::time_wait) take_fin();
  if (state == State::last_ack) shut();
  EXPECT_EQ(this->state(p), state);
  return id;
}

State SecurityWorld::state(const Peer& p) {
  tcp::Context& cx = t.core().shard().tcp();
  const FlowKey key{p.stack, p.self};
  const std::uint32_t slot = cx.flows.find(cx.hasher(key), key);
  if (slot == tcp::npos) return State::closed;
  switch (tcp::FlowSlot::kind(slot)) {
    case tcp::FlowKind::connection: return cx.tcbs[tcp::FlowSlot::index(slot)].state;
    case tcp::FlowKind::half_open: return State::syn_received;
    case tcp::FlowKind::time_wait: break;
  }
  return State::time_wait;
}

std::uint64_t SecurityWorld::drops(Drop reason) {
  const auto i = static_cast<std::size_t>(reason);
  return live_stats(t).drops[i] - first_drops_[i];
}

std::uint64_t SecurityWorld::frames_out() { return live_stats(t).frames_out - first_frames_out_; }

void SecurityWorld::check_dropped(const std::array<std::uint64_t, drop_count>& before, Drop reason, std::uint64_t times) {
  const auto& now = live_stats(t).drops;
  for (std::size_t i = 0; i < drop_count; ++i) {
    const auto one = static_cast<Drop>(i);
    if (!is_about_arrivals(one)) continue;
    EXPECT_EQ(now[i] - before[i], one == reason ? times : 0u) << name(one);
  }
}

std::size_t SecurityWorld::discard(Peer& p) {
  std::size_t n = 0;
  while (p.poll()) ++n;
  t.other_frames.clear();
  return n;
}

void SecurityWorld::expect_innocent_moves() {
  const auto found = t.core().find(innocent_id_);
  ASSERT_TRUE(found) << "the innocent connection is gone";
  while (innocent.poll()) {
  }
  innocent.ack().data(std::string(exchanged, 'i'));
  innocent_bytes_ += exchanged;
  EXPECT_EQ(innocent_app.records[innocent_id_].received.size(), innocent_bytes_) << "what the innocent one sent";
  Conn c = *found;
  EXPECT_EQ(c.send(std::string(exchanged, 'o')), exchanged);
  t.poll();
  std::string got;
  // Its neighbour may have to be asked for anew.
  for (int second = 0; second < 5; ++second) {
    while (const auto packet = innocent.poll()) got += packet->payload;
    if (got.size() >= exchanged) break;
    t.advance(1s);
  }
  EXPECT_EQ(got, std::string(exchanged, 'o')) << "what the innocent one was sent";
  innocent.ack();
}

void SecurityWorld::close_all() {
  t.app.data = nullptr;
  t.app.closed = nullptr;
  t.core().abort_all();
  // Ended connections, TIME-WAIT, half-open entries and held frames: all by their own timers.
  const CoreConfig& config = t.core().config();
  t.advance(2 * config.tcp.msl + 1s);
  t.advance(10s);
  for (Peer* p : {&peer, &innocent}) discard(*p);
}

void SecurityWorld::verify() {
  if (verified_) return;
  verified_ = true;
  t.around_inject = nullptr;
  t.answer_arp = true;
  t.stack().limit_transmit(std::numeric_limits<std::size_t>::max());
  t.stack().limit_buffers(std::numeric_limits<std::size_t>::max());
  if (has_innocent) expect_innocent_moves();
  close_all();
  EXPECT_EQ(holdings_of(t), baseline_) << "something was left behind";
  for (const auto& [id, r] : innocent_app.records) EXPECT_TRUE(r.closed) << "the innocent one has no end";
}

}  // namespace handfast::test
