// SPDX-License-Identifier: BSD-3-Clause
// Steps of a trace that concern time and segments; calls and expectations are in user_steps.cpp. Layer:
// tests.
#include "traces/runner.hpp"

#include <cstdio>

namespace handfast::traces {
namespace {

using test::ACK;
using test::FIN;
using test::Packet;
using test::PSH;
using test::RST;
using test::SYN;
using test::URG;

constexpr std::uint8_t ece = 0x40, cwr = 0x80;

std::string decimal(Duration d) {
  char out[40];
  std::snprintf(out, sizeof out, "%.6f", static_cast<double>(d.count()) / 1e9);
  return out;
}

std::string stream(std::int64_t begin, std::int64_t end) {
  std::string bytes;
  for (std::int64_t at = begin; at < end; ++at) bytes += stream_byte(at);
  return bytes;
}

std::int64_t relative(std::uint32_t number, std::uint32_t base) {
  return static_cast<std::int32_t>(number - base);
}

}  // namespace

char stream_byte(std::int64_t at) { return static_cast<char>(33 + (at * 7 + at / 89 + at / 1021) % 90); }

Runner::Runner(const Script& script) : script_(script) {
  const Settings settings = settings_of(script);
  trace_ = std::make_unique<test::Trace>(settings.config, settings.below_wrap);
  if (settings.peer_below_wrap != 0) trace_->peer.iss = 0u - settings.peer_below_wrap;
}

void Runner::run() {
  for (const Step& step : script_.steps) take(step);
  if (script_.steps.empty()) throw ScriptError(1, "a script without a step");
  Step end = script_.steps.back();
  end.text = "(end of script)";
  check_quiet(end);
  const auto& records = trace_->app.records;
  const auto found = records.find(active_ ? *active_ : trace_->app.last());
  if (found == records.end() || consumed_by_hand_ != 0) return;
  const std::string& received = found->second.received;
  if (received != stream(1, 1 + static_cast<std::int64_t>(received.size())))
    fail(end, "the application received other bytes than the peer sent");
}

void Runner::take(const Step& step) {
  switch (step.action) {
    case Action::open:
      return open(step);
    case Action::peer_sends:
    case Action::peer_queues:
      return peer_sends(step);
    case Action::stack_sends:
      for (std::int64_t i = 0; i < step.segment.times; ++i) stack_sends(step);
      return;
    case Action::nothing:
      return nothing(step);
    case Action::call:
      return call(step);
    case Action::on:
      return on(step);
    case Action::expect:
      return expect(step);
  }
}

void Runner::fail(const Step& step, const std::string& what) const {
  throw ScriptError(step.line,
                    what + "\n  at " + decimal(trace_->elapsed()) + " s, in the step\n    " + step.text);
}

void Runner::pass(Duration d) {
  if (d > Duration{0}) trace_->advance(d);
}

/// The next segment that the stack sends, if it does so within `limit` from now.
std::optional<Packet> Runner::next_frame(Duration limit) {
  const Time end = trace_->now() + limit;
  while (trace_->peer.quiet() && trace_->now() < end) {
    const auto next = trace_->stack().next_deadline();
    if (!next || *next > end) {
      pass(end - trace_->now());
      break;
    }
    trace_->advance(std::max(*next - trace_->now(), Duration{0}));
  }
  auto packet = trace_->peer.poll();
  if (packet) learn(*packet);
  return packet;
}

/// Everything that the stack has sent was expected.
void Runner::check_quiet(const Step& step) {
  if (auto packet = trace_->peer.poll()) {
    learn(*packet);
    fail(step, "the stack sent what no step before this one expects:\n    " + text(*packet, true));
  }
  if (!trace_->quiet()) fail(step, "the stack sent a frame that is not TCP, or not to this peer");
}

void Runner::nothing(const Step& step) {
  check_quiet(step);
  if (auto packet = next_frame(step.after))
    fail(step, "expected nothing, and the stack sent\n    " + text(*packet, true));
}

// --- from the peer
// ------------------------------------------------------------------------------------------

void Runner::peer_sends(const Step& step) {
  pass(step.after);
  check_quiet(step);
  for (std::int64_t i = 0; i < step.segment.times; ++i) peer_sends_once(step);
}

void Runner::peer_sends_once(const Step& step) {
  const SegmentText& s = step.segment;
  test::Peer& peer = trace_->peer;
  Packet p;
  p.source = peer.self;
  p.destination = peer.stack;
  p.source_mac = test::Trace::peer_mac;
  p.destination_mac = test::Trace::stack_mac;
  p.flags = s.flags;
  p.seq = peer.iss + static_cast<std::uint32_t>(s.begin.value_or(peer.snd_nxt));
  if (s.begin) p.payload = stream(*s.begin, *s.end);
  const bool bare = p.has(SYN | RST) && !s.ack;
  if (!s.no_ack && !bare) {
    p.flags |= ACK;
    p.ack = peer.irs + static_cast<std::uint32_t>(s.ack.value_or(peer.rcv_nxt));
  }
  if (s.psh.value_or(!p.payload.empty())) p.flags |= PSH;
  if (s.ecn) p.tos = static_cast<std::uint8_t>(*s.ecn);
  if (s.urgent) p.urgent = static_cast<std::uint16_t>(*s.urgent);
  peer_window_ = s.window.value_or(peer_window_);
  const int shift = p.has(SYN) || !stack_shift_ ? 0 : peer_shift_.value_or(0);
  if (s.window && *s.window % (std::int64_t{1} << shift) != 0)
    fail(step, "the window is no multiple of its scale");
  p.window = static_cast<std::uint16_t>(peer_window_ >> shift);
  if (s.mss) p.mss = static_cast<std::uint16_t>(*s.mss);
  if (s.wscale) p.wscale = static_cast<std::uint8_t>(*s.wscale);
  p.sack_permitted = s.sack_ok;
  for (const auto& [first, last] : s.sack)
    p.sack.emplace_back(peer.irs + static_cast<std::uint32_t>(first),
                        peer.irs + static_cast<std::uint32_t>(last));
  if (s.ts || s.ts_val || (ts_both_ && !p.has(SYN | RST) && !s.no_ts)) {
    p.ts = {peer.ts_base + static_cast<std::uint32_t>(s.ts_val.value_or(ms())),
            s.ts_ecr ? stack_ts_base_ + static_cast<std::uint32_t>(*s.ts_ecr) : peer.ts_recent};
  }
  p.at = trace_->now();
  if (p.has(SYN)) note_syn(p, false);
  const std::uint32_t end = p.seq + p.length() - peer.iss;
  if (static_cast<std::int32_t>(end - peer.snd_nxt) > 0) peer.snd_nxt = end;
  log(p, false);
  auto frame = test::build(p);
  if (s.bad_sum) test::break_tcp_checksum(frame);
  trace_->inject(frame, step.action == Action::peer_sends);
}

void Runner::note_syn(const Packet& p, bool from_stack) {
  (from_stack ? stack_ts_ : peer_ts_) = p.ts.has_value();
  (from_stack ? stack_shift_ : peer_shift_) = p.wscale ? std::optional<int>{*p.wscale} : std::nullopt;
  ts_both_ = stack_ts_ && peer_ts_;
  if (from_stack && p.ts) stack_ts_base_ = p.ts->first - static_cast<std::uint32_t>(ms());
}

// --- from the stack
// -----------------------------------------------------------------------------------------

void Runner::learn(const Packet& packet) {
  if (packet.has(SYN)) note_syn(packet, true);
  log(packet, true);
}

void Runner::stack_sends(const Step& step) {
  const Time wanted = trace_->now() + step.after;
  const auto packet = next_frame(step.after + step.tolerance);
  if (!packet) fail(step, "expected this segment, and the stack sent nothing");
  const Duration early = wanted - packet->at;
  if (early > step.tolerance || early < -step.tolerance) {
    fail(step, "the segment is " + decimal(early > Duration{0} ? early : -early) + " s too " +
                   (early > Duration{0} ? "early" : "late") + ": the stack sent\n    " + text(*packet, true));
  }
  check_segment(step, *packet);
  test::Peer& peer = trace_->peer;
  seq_end_ = std::max(seq_end_, relative(packet->seq + packet->length(), peer.irs));
  if (packet->has(ACK) && !packet->has(RST)) last_ack_ = relative(packet->ack, peer.iss);
}

void Runner::check_segment(const Step& step, const Packet& p) {
  const SegmentText& s = step.segment;
  const test::Peer& peer = trace_->peer;
  const auto wrong = [&](const std::string& what) {
    fail(step, "another " + what + " than expected: the stack sent\n    " + text(p, true));
  };
  const auto as = [&](std::int64_t number, std::uint32_t base) {
    return base + static_cast<std::uint32_t>(number);
  };
  if ((p.flags & (SYN | FIN | RST | URG | ece | cwr)) != s.flags) wrong("set of flags");
  const bool bare = s.no_ack || ((s.flags & (SYN | RST)) != 0 && !s.ack);
  if (p.has(ACK) == bare) wrong("ACK flag");
  // A reset in answer to a segment of no connection takes its number from there.
  const bool numbered = s.begin || (s.flags & (SYN | RST)) == 0;
  if (numbered && p.seq != as(s.begin.value_or(seq_end_), peer.irs_known ? peer.irs : p.seq))
    wrong("sequence number");
  const std::int64_t length = s.begin ? *s.end - *s.begin : 0;
  if (std::int64_t(p.payload.size()) != length) wrong("length");
  if (!bare && !(s.flags & RST && !s.ack) && p.ack != as(s.ack.value_or(last_ack_), peer.iss))
    wrong("acknowledgment number");
  if (s.psh && p.has(PSH) != *s.psh) wrong("PSH flag");
  const int shift = p.has(SYN) || !peer_shift_ ? 0 : stack_shift_.value_or(0);
  if (s.window && *s.window != std::int64_t{p.window} << shift) wrong("window");
  if (s.ecn && (p.tos & 3) != *s.ecn) wrong("ECN code point");
  if (length != 0 && p.payload != stream(*s.begin, *s.end)) wrong("payload");
  check_options(step, p);
}

void Runner::check_options(const Step& step, const Packet& p) {
  const SegmentText& s = step.segment;
  const test::Peer& peer = trace_->peer;
  const auto wrong = [&](const std::string& what) {
    fail(step, "another " + what + " than expected: the stack sent\n    " + text(p, true));
  };
  if (s.mss && p.mss != *s.mss) wrong("MSS option");
  if (s.wscale && p.wscale != *s.wscale) wrong("window scale");
  if (s.sack_ok && !p.sack_permitted) wrong("SACK-permitted option");
  // rfc7323 3.2: once agreed, in every segment but a reset, where it SHOULD be.
  const bool wants_ts = s.ts || s.ts_val || s.ts_ecr || (ts_both_ && !p.has(SYN | RST));
  if (wants_ts && !p.ts) wrong("timestamps option");
  if ((s.no_ts || (!p.has(SYN) && !ts_both_)) && p.ts) wrong("timestamps option");
  if (s.ts_val && p.ts->first != stack_ts_base_ + static_cast<std::uint32_t>(*s.ts_val)) wrong("TSval");
  if (s.ts_ecr && p.ts->second != peer.ts_base + static_cast<std::uint32_t>(*s.ts_ecr)) wrong("TSecr");
  if (s.any_sack) return;
  std::vector<test::Block> blocks;
  for (const auto& [first, last] : s.sack)
    blocks.emplace_back(peer.iss + static_cast<std::uint32_t>(first),
                        peer.iss + static_cast<std::uint32_t>(last));
  if (p.sack != blocks) wrong("list of SACK blocks");
}

std::string Runner::text(const Packet& p, bool from_stack) const {
  const test::Peer& peer = trace_->peer;
  const std::uint32_t own = from_stack ? peer.irs : peer.iss, other = from_stack ? peer.iss : peer.irs;
  std::string s = decimal(trace_->elapsed() - (trace_->now() - p.at)) + (from_stack ? " >" : " <");
  for (const auto& [bit, name] :
       {std::pair{SYN, " syn"}, {FIN, " fin"}, {RST, " rst"}, {URG, " urg"}, {ece, " ece"}, {cwr, " cwr"}})
    if (p.has(bit)) s += name;
  s += " " + std::to_string(relative(p.seq, own));
  if (!p.payload.empty()) s += ":" + std::to_string(relative(p.seq, own) + std::int64_t(p.payload.size()));
  for (const auto& [bits, name] : {std::pair{1, " ect1"}, {2, " ect0"}, {3, " ce"}})
    if ((p.tos & 3) == bits) s += name;
  if (p.has(ACK)) s += " ack " + std::to_string(relative(p.ack, other));
  const auto& scale = from_stack ? stack_shift_ : peer_shift_;
  const bool scaled = !p.has(SYN) && stack_shift_ && peer_shift_;
  s += " win " + std::to_string(std::int64_t{p.window} << (scaled ? *scale : 0));
  if (p.mss) s += " mss " + std::to_string(*p.mss);
  if (p.wscale) s += " wscale " + std::to_string(*p.wscale);
  if (p.sack_permitted) s += " sackok";
  if (p.ts) {
    const std::uint32_t own_ts = from_stack ? stack_ts_base_ : peer.ts_base,
                        other_ts = from_stack ? peer.ts_base : stack_ts_base_;
    s += " tsval " + std::to_string(relative(p.ts->first, own_ts)) + " tsecr " +
         std::to_string(relative(p.ts->second, other_ts));
  }
  if (!p.sack.empty()) s += " sack";
  for (const auto& [first, last] : p.sack)
    s += " " + std::to_string(relative(first, other)) + ":" + std::to_string(relative(last, other));
  return s;
}

void Runner::log(const Packet& p, bool from_stack) { history_ += "    " + text(p, from_stack) + "\n"; }

}  // namespace handfast::traces
