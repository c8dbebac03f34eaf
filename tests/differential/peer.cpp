// SPDX-License-Identifier: BSD-3-Clause
// The scripted peer and its eye for replies; see peer.hpp. Layer: differential test.
#include "peer.hpp"

#include <algorithm>

namespace handfast::differential {

using test::ACK, test::FIN, test::Packet, test::PSH, test::RST, test::SYN;

namespace {
constexpr std::uint8_t peer_scale = 7;
constexpr std::uint32_t full = 1460;

std::int64_t distance(std::uint32_t from, std::uint32_t to) { return static_cast<std::int32_t>(to - from); }
}  // namespace

std::string text(const Step& s) {
  std::string t = s.replied ? "reply" : "silence";
  if (s.reset) t += " RST(" + *s.reset + ")";
  if (s.syns != 0) t += s.syns == 1 ? " SYN" : " SYN-ACK";
  t += " edge=" + std::to_string(s.edge) + (s.fin ? " FIN" : "") + " missing=" + std::to_string(s.missing);
  if (s.window_zero) t += " win=0";
  for (const auto& [l, r] : s.sack) t += " sack=" + std::to_string(l) + ".." + std::to_string(r);
  if (s.application) t += " app:" + *s.application;
  return t;
}

Packet ScriptedPeer::packet(std::uint8_t flags) const {
  Packet p;
  p.flags = flags;
  p.seq = program_.iss + static_cast<std::uint32_t>(next_);
  if ((flags & ACK) != 0) p.ack = irs_ + static_cast<std::uint32_t>(got_);
  p.window = static_cast<std::uint16_t>(window_);
  if (ts_on_ && (flags & (SYN | RST)) == 0) p.ts = {ts_clock_, ts_recent_};
  return p;
}

void ScriptedPeer::offer(Packet& syn) const {
  syn.mss = static_cast<std::uint16_t>(full);
  if (program_.wscale) syn.wscale = peer_scale;
  if (program_.ts) syn.ts = {ts_clock_, ts_recent_};
  syn.sack_permitted = program_.sack;
}

void ScriptedPeer::open(const Emit& emit) {
  Packet p = packet(static_cast<std::uint8_t>(program_.active ? SYN | ACK : SYN));
  offer(p);
  next_ = std::max<std::int64_t>(next_, 1);
  una_ = got_;
  emit(std::move(p));
}

void ScriptedPeer::finish_open(const Emit& emit) {
  una_ = got_;
  emit(packet(ACK));
}

void ScriptedPeer::act(const Op& op, const Emit& emit) {
  if (op.kind == Op::Kind::fill) {
    // All that was offered, in full segments, several at a time at most as a window goes.
    const std::int64_t right = acked_ + offered_;
    while (next_ < right) {
      Packet p = packet(PSH | ACK);
      p.payload.assign(static_cast<std::size_t>(std::min<std::int64_t>(full - 12, right - next_)), 'f');
      next_ += static_cast<std::int64_t>(p.payload.size());
      emit(std::move(p));
    }
    return;
  }
  if (op.window >= 0) window_ = static_cast<std::uint32_t>(op.window);
  Packet p = packet(op.flags);
  const std::int64_t base = op.seq_from == From::acked   ? acked_
                            : op.seq_from == From::right ? acked_ + offered_
                                                         : next_;
  p.seq = program_.iss + static_cast<std::uint32_t>(base + op.seq);
  if (p.has(ACK))
    p.ack = irs_ + static_cast<std::uint32_t>((op.ack_from == From::una ? una_ : got_) + op.ack);
  p.payload.assign(op.length, 'd');
  if (p.has(SYN) && base + op.seq == 0) offer(p);
  if (p.ts && op.ts_back != 0) p.ts->first -= static_cast<std::uint32_t>(op.ts_back);
  if (op.no_ts) p.ts.reset();
  for (const auto& [l, r] : op.sack)
    p.sack.emplace_back(irs_ + static_cast<std::uint32_t>(got_ + l),
                        irs_ + static_cast<std::uint32_t>(got_ + r));
  if (base + op.seq == next_ && !p.has(RST)) next_ += p.length();
  if (p.has(ACK) && op.ack == 0 && op.ack_from == From::got) una_ = got_;
  emit(std::move(p));
}

Step ScriptedPeer::observe(const std::vector<Packet>& packets) {
  Step step;
  for (const Packet& p : packets) take(p, step);
  step.edge = edge_;
  step.fin = fin_;
  step.missing = next_ - acked_;
  step.window_zero = window_zero_;
  if (step.replied) step.sack = sack_;
  return step;
}

void ScriptedPeer::take(const Packet& p, Step& step) {
  if (p.has(SYN) && !p.has(RST) && (!irs_known_ || p.seq != irs_)) {  // the first, or a new connection's
    irs_ = p.seq;
    irs_known_ = true;
    got_ = una_ = edge_ = 0;
    fin_ = false;
    if (p.wscale && program_.wscale) {
      scaled_ = true;
      scale_ = *p.wscale;
    }
    ts_on_ = program_.ts && p.ts.has_value();
  }
  if (p.has(RST)) {
    // A segment that belongs to nothing is answered in its own numbers.
    step.replied = true;
    step.reset = std::string(p.has(ACK) ? "RA" : "R") + " seq=" +
                 (p.seq == 0   ? "0"
                  : irs_known_ ? std::to_string(distance(irs_, p.seq))
                               : "its") +
                 (p.has(ACK) ? " ack=" + std::to_string(distance(program_.iss, p.ack)) : "");
    return;
  }
  const std::int64_t left = distance(irs_, p.seq);
  const std::int64_t right = left + p.length();
  const bool again = p.length() != 0 && right <= edge_;
  const bool probe = p.length() == 0 && left < una_;  // rfc9293 3.8.6.1: an old number, to be acknowledged
  if (p.has(ACK)) {
    acked_ = std::max(acked_, distance(program_.iss, p.ack));
    offered_ = std::uint32_t{p.window} << (scaled_ && !p.has(SYN) ? scale_ : 0);
    window_zero_ = offered_ == 0;
    sack_.clear();
    for (const auto& [l, r] : p.sack)
      sack_.emplace_back(distance(program_.iss, l), distance(program_.iss, r));
  }
  if (p.ts) ts_recent_ = p.ts->first;
  if (p.has(SYN) && !again) step.syns = p.has(ACK) ? 2 : 1;
  if (!again && !probe) step.replied = true;
  edge_ = std::max(edge_, right);
  if (p.has(FIN)) fin_ = true;
  if (left <= got_) got_ = std::max(got_, right);
}

}  // namespace handfast::differential
