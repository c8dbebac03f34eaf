// SPDX-License-Identifier: BSD-3-Clause
// Bringing the stack into a state, and the segment that is sent to it there. Layer: tests; see stand.hpp. The
// comparison is in compare.cpp.
#include "conformance/stand.hpp"

#include <algorithm>
#include <stdexcept>

namespace handfast::conformance {
namespace {

using test::ACK;
using test::FIN;
using test::RST;
using test::SYN;
using test::URG;

constexpr std::uint32_t peer_window = 200, receive_buffer = 4096;

CoreConfig config_of_stand() {
  CoreConfig config = test::small_config();
  config.link.mtu = 9216;  // a segment may be larger than the window
  config.limits.connections = config.limits.half_open = config.limits.time_wait = 8;
  config.limits.buffer_memory = 1ull << 20;
  config.limits.send_extents = 64;
  config.limits.recovery_blocks = 16;
  config.tcp.rto_min = 1s;  // nothing is sent again while a delayed ACK may be due
  config.tcp.receive_buffer = config.tcp.receive_buffer_initial = receive_buffer;
  config.tcp.challenge_acks_per_second = 200;
  return config;
}

bool has_listener(Setup s) {
  return s != Setup::closed && s != Setup::syn_sent && s != Setup::syn_received_active &&
         s != Setup::time_wait_active;
}

}  // namespace

std::string_view name(Setup setup) {
  static constexpr std::array<std::string_view, setup_count> names = {"CLOSED",
                                                                      "LISTEN",
                                                                      "SYN-SENT",
                                                                      "SYN-RECEIVED",
                                                                      "ESTABLISHED",
                                                                      "FIN-WAIT-1",
                                                                      "FIN-WAIT-2",
                                                                      "CLOSE-WAIT",
                                                                      "CLOSING",
                                                                      "LAST-ACK",
                                                                      "TIME-WAIT",
                                                                      "SYN-RECEIVED, simultaneous open",
                                                                      "TIME-WAIT, no listener",
                                                                      "ESTABLISHED, window shut",
                                                                      "FIN-WAIT-1, closed",
                                                                      "FIN-WAIT-2, closed",
                                                                      "CLOSING, closed"};
  return names[static_cast<std::size_t>(setup)];
}

State state_of(Setup setup) {
  switch (setup) {
    case Setup::closed:
      return State::closed;
    case Setup::listen:
      return State::listen;
    case Setup::syn_sent:
      return State::syn_sent;
    case Setup::syn_received:
    case Setup::syn_received_active:
      return State::syn_received;
    case Setup::established:
    case Setup::established_shut:
      return State::established;
    case Setup::fin_wait_1:
    case Setup::fin_wait_1_orphan:
      return State::fin_wait_1;
    case Setup::fin_wait_2:
    case Setup::fin_wait_2_orphan:
      return State::fin_wait_2;
    case Setup::close_wait:
      return State::close_wait;
    case Setup::closing:
    case Setup::closing_orphan:
      return State::closing;
    case Setup::last_ack:
      return State::last_ack;
    case Setup::time_wait:
    case Setup::time_wait_active:
      return State::time_wait;
    case Setup::count_:
      break;
  }
  throw std::logic_error("no such setup");
}

Stand::Stand(Setup setup, bool timestamps)
    : setup_(setup), timestamps_(timestamps), trace_(config_of_stand()) {}

/// The initial number of the tuple goes round once in 2^32 ticks of 4 us, so each case begins close below the
/// wrap.
void Stand::begin() {
  constexpr Duration round = std::chrono::microseconds{4} * (std::uint64_t{1} << 32);
  if (cases_++ != 0) trace_.advance(round - trace_.elapsed() % round);
  if (has_listener(setup_)) trace_.listen();  // the end of the case before closed it
  trace_.app.events.clear();
  trace_.app.records.clear();
  trace_.app.opened.clear();
  trace_.peer.in.clear();
  sent_.clear();
  v_ = {};
  v_.listener = has_listener(setup_);
  v_.state = v_.listener ? State::listen : State::closed;
  v_.irs = 0u - 1 - trace_.rng().below(80);
  peer_nxt_ = v_.irs;
  ts_peer_ = 0u - trace_.rng().below(1000);
}

/// What the stack has sent, and what the wire tells by it.
void Stand::drain() {
  for (; !trace_.peer.in.empty(); trace_.peer.in.pop_front()) {
    const test::Packet& p = trace_.peer.in.front();
    if (p.has(SYN)) {
      v_.iss = p.seq;
      v_.snd_una = p.seq;
      v_.snd_nxt = p.seq + 1;
      right_edge_ = p.ack + p.window;
      v_.timestamps = p.has(ACK) && p.ts.has_value();
    }
    const std::uint32_t end = p.seq + p.length();
    if (static_cast<std::int32_t>(end - v_.snd_nxt) > 0) v_.snd_nxt = end;
    if (p.has(FIN)) v_.fin_sent = true;
    if (p.has(ACK) && !p.has(RST)) {
      v_.rcv_nxt = p.ack;
      if (static_cast<std::int32_t>(p.ack + p.window - right_edge_) > 0) right_edge_ = p.ack + p.window;
      v_.rcv_wnd = right_edge_ - p.ack;
    }
    if (p.ts) ts_last_ = p.ts->first;
    sent_.push_back(p);
  }
}

State Stand::listed() {
  const auto list = trace_.core().connections();
  if (list.size() > 1) throw std::runtime_error("more than one connection");
  if (list.empty()) return v_.listener ? State::listen : State::closed;
  return list.front().state;
}

/// The stack is where the way there should have led.
void Stand::into(State state) {
  drain();
  const State is = listed();
  if (is != state)
    throw std::runtime_error("the stack is in " + std::string{name(is)} + " instead of " +
                             std::string{name(state)});
  transitions_.emplace(v_.state, is);
  v_.state = is;
}

void Stand::user(void (*call)(Conn&)) {
  Conn conn = trace_.conn();
  call(conn);
  trace_.poll();
  drain();
}

/// In order, acknowledging what SND.UNA says.
void Stand::peer_sends(std::uint8_t flags, const std::string& text) {
  Arriving s;
  s.flags = flags;
  s.seq = peer_nxt_;
  s.ack = (flags & ACK) != 0 ? v_.snd_una : 0;
  s.text = static_cast<std::uint32_t>(text.size());
  s.has_ts = timestamps_;
  s.ts_val = ++ts_peer_;
  peer_nxt_ += s.length();
  send(s);
  v_.ts_recent = ts_peer_;
  drain();
}

std::string Stand::text_at(std::uint32_t seq, std::uint32_t count) const {
  std::string text(count, ' ');
  for (std::uint32_t i = 0; i < count; ++i) text[i] = static_cast<char>('a' + (seq + i - v_.irs) % 23);
  return text;
}

void Stand::send(const Arriving& s) {
  test::Packet p;
  p.source = trace_.peer.self;
  p.destination = trace_.peer.stack;
  p.source_mac = test::Trace::peer_mac;
  p.destination_mac = test::Trace::stack_mac;
  p.flags = s.flags;
  p.seq = s.seq;
  p.ack = s.ack;
  p.window = peer_window;
  p.urgent = s.urgent;
  p.payload = text_at(s.seq + (s.has(SYN) ? 1u : 0u), s.text);
  if (s.has_ts) p.ts = {s.ts_val, s.has(ACK) ? ts_last_ : 0};
  trace_.inject(p);
}

void Stand::open_passive() {
  v_.passive = true;
  peer_sends(SYN);
  into(State::syn_received);
  if (state_of(setup_) == State::syn_received) return;
  trace_.advance(100ms);
  v_.snd_una = v_.iss + 1;
  peer_sends(ACK);
  into(State::established);
}

void Stand::open_active() {
  trace_.connect();
  into(State::syn_sent);
  if (setup_ == Setup::syn_sent) return;
  trace_.advance(100ms);
  if (setup_ == Setup::syn_received_active) {
    peer_sends(SYN);
    into(State::syn_received);
    return;
  }
  v_.snd_una = v_.iss + 1;
  peer_sends(SYN | ACK);
  v_.timestamps = timestamps_;
  v_.snd_una = v_.iss + 1;
  into(State::established);
}

/// Enough in both directions that there are old numbers on both sides, and 20 bytes that are not
/// acknowledged.
void Stand::exchange() {
  v_.max_snd_wnd = peer_window;
  for (int i = 0; i < 2; ++i) {
    user([](Conn& c) { c.send(std::string(150, 'x')); });
    trace_.advance(100ms);
    v_.snd_una = v_.snd_nxt;
    peer_sends(ACK);
  }
  peer_sends(ACK, text_at(peer_nxt_, 50));
  trace_.advance(50ms);
  user([](Conn& c) { c.send(std::string(20, 'y')); });
}

void Stand::fill_window() {
  user([](Conn& c) { c.pause_rx(); });
  while (v_.rcv_wnd != 0) {
    peer_sends(ACK, text_at(peer_nxt_, std::min<std::uint32_t>(v_.rcv_wnd, 1400)));
    trace_.advance(50ms);
    drain();
  }
}

void Stand::bring() {
  const State goal = state_of(setup_);
  if (goal == State::closed || goal == State::listen) return;
  const bool active =
      setup_ == Setup::syn_sent || setup_ == Setup::syn_received_active || setup_ == Setup::time_wait_active;
  active ? open_active() : open_passive();
  v_.max_snd_wnd = peer_window;
  if (goal == State::syn_sent || goal == State::syn_received) return;
  exchange();
  if (setup_ == Setup::established_shut) fill_window();
  if (goal == State::established) return;
  if (goal == State::close_wait || goal == State::last_ack) {
    peer_sends(FIN | ACK);
    into(State::close_wait);
    if (goal == State::close_wait) return;
    user([](Conn& c) { c.shutdown_write(); });
    return into(State::last_ack);
  }
  v_.orphan = setup_ == Setup::fin_wait_1_orphan || setup_ == Setup::fin_wait_2_orphan ||
              setup_ == Setup::closing_orphan;
  v_.orphan ? user([](Conn& c) { c.close(); }) : user([](Conn& c) { c.shutdown_write(); });
  into(State::fin_wait_1);
  if (goal == State::fin_wait_1) return;
  if (goal == State::closing) {
    peer_sends(FIN | ACK);
    return into(State::closing);
  }
  trace_.advance(100ms);
  v_.snd_una = v_.snd_nxt;
  peer_sends(ACK);
  into(State::fin_wait_2);
  if (goal == State::fin_wait_2) return;
  peer_sends(FIN | ACK);
  into(State::time_wait);
  time_wait_since_ = trace_.now();
  trace_.advance(10s);
}

Arriving Stand::arriving(const Case& c) const {
  Arriving s;
  s.flags = c.flags;
  s.text = c.text;
  if (c.fills) s.text += std::max(v_.rcv_wnd, 1u);
  if (s.has(URG)) s.urgent = 5;
  const std::uint32_t length = s.length();
  const std::uint32_t known =
      v_.state == State::closed || v_.state == State::listen || v_.state == State::syn_sent ? v_.irs
                                                                                            : v_.rcv_nxt;
  switch (c.position) {
    case Position::before:
      s.seq = known - std::max(length, 1u);
      break;
    case Position::straddling:
      s.seq = known - 1;
      break;
    case Position::exact:
      s.seq = known;
      break;
    case Position::next:
      s.seq = known + 1;
      break;
    case Position::last:
      s.seq = known + v_.rcv_wnd - 1;
      break;
    case Position::beyond:
      s.seq = known + v_.rcv_wnd;
      break;
    case Position::count_:
      break;
  }
  if (s.has(ACK)) {
    switch (c.ack) {
      case AckPosition::all:
        s.ack = v_.snd_nxt;
        break;
      case AckPosition::all_but_one:
        s.ack = v_.snd_nxt - 1;
        break;
      case AckPosition::una:
        s.ack = v_.snd_una;
        break;
      case AckPosition::old:
        s.ack = v_.snd_una - 1;
        break;
      case AckPosition::oldest:
        s.ack = v_.snd_una - v_.max_snd_wnd;
        break;
      case AckPosition::too_old:
        s.ack = v_.snd_una - v_.max_snd_wnd - 1;
        break;
      case AckPosition::unsent:
        s.ack = v_.snd_nxt + 1;
        break;
      case AckPosition::count_:
        break;
    }
  }
  s.has_ts = c.stamp != Stamp::none;
  s.ts_val = v_.ts_recent;
  if (c.stamp == Stamp::newer) s.ts_val += 1;
  if (c.stamp == Stamp::late) s.ts_val -= 16;
  if (c.stamp == Stamp::older) s.ts_val -= 17;
  return s;
}

}  // namespace handfast::conformance
