// SPDX-License-Identifier: BSD-3-Clause
// One case from end to end, and what of it is not as the oracle says. Layer: tests; see stand.hpp.
#include <algorithm>
#include <numeric>

#include "conformance/stand.hpp"
#include "support/usage.hpp"

namespace handfast::conformance {
namespace {

using test::ACK;
using test::SYN;

/// Longer than a delayed ACK, shorter than any retransmission.
constexpr Duration soon = 45ms;

std::string flags_text(std::uint8_t flags) {
  std::string s;
  for (const auto& [bit, letter] : {std::pair{0x80, 'C'},
                                    {0x40, 'E'},
                                    {0x20, 'U'},
                                    {0x10, 'A'},
                                    {0x08, 'P'},
                                    {0x04, 'R'},
                                    {0x02, 'S'},
                                    {0x01, 'F'}})
    if ((flags & bit) != 0) s += letter;
  return s.empty() ? "-" : s;
}

std::string difference(const std::string& what, const std::string& wanted, const std::string& got) {
  return wanted == got ? std::string{} : "\n  " + what + ": " + got + " instead of " + wanted;
}
std::string difference(const std::string& what, std::uint64_t wanted, std::uint64_t got) {
  return difference(what, std::to_string(wanted), std::to_string(got));
}

std::string joined(const std::vector<std::string>& words) {
  return std::accumulate(
      words.begin(), words.end(), std::string{},
      [](const std::string& a, const std::string& b) { return a.empty() ? b : a + ' ' + b; });
}

std::string text_of(const Case& c) {
  static constexpr std::string_view positions[] = {"before the window", "straddling RCV.NXT",
                                                   "at RCV.NXT",        "at RCV.NXT+1",
                                                   "at the last octet", "beyond the window"};
  static constexpr std::string_view acks[] = {"SND.NXT",   "SND.NXT-1",           "SND.UNA",
                                              "SND.UNA-1", "SND.UNA-MAX.SND.WND", "SND.UNA-MAX.SND.WND-1",
                                              "SND.NXT+1"};
  static constexpr std::string_view stamps[] = {"", ", timestamp", ", newer timestamp", ", late timestamp",
                                                ", old timestamp"};
  std::string s = flags_text(c.flags) + " " + std::string{positions[static_cast<std::size_t>(c.position)]};
  if ((c.flags & ACK) != 0) s += ", ACK " + std::string{acks[static_cast<std::size_t>(c.ack)]};
  return s + ", " + std::to_string(static_cast<std::int32_t>(c.text)) +
         (c.fills ? " bytes beside the window" : " bytes") +
         std::string{stamps[static_cast<std::size_t>(c.stamp)]};
}

bool is_gone(State s) { return s == State::closed || s == State::listen; }
bool is_open(State s) {
  return !is_gone(s) && s != State::syn_sent && s != State::syn_received && s != State::time_wait;
}

}  // namespace

std::string Stand::run(const Case& c) {
  begin();
  bring();
  const Variables before = v_;
  const Arriving segment = arriving(c);
  gap_ = segment.seq - before.rcv_nxt;
  const Outcome expected = judge(before, segment);
  const CoreStats stats = trace_.stats();
  trace_.app.events.clear();
  if (!trace_.app.opened.empty()) trace_.app.record().sent = 0;
  sent_.clear();

  send(segment);
  drain();
  std::string wrong = compare_emissions(expected);
  const State after = listed();
  const State wanted =
      expected.after.state == State::closed && before.listener ? State::listen : expected.after.state;
  transitions_.emplace(before.state, after);
  wrong += difference("state", std::string{handfast::name(wanted)}, std::string{handfast::name(after)});
  wrong += compare_drops(expected, stats) + compare_user(expected, before) + compare_resources(after);
  if (wrong.empty()) {
    const std::uint32_t iss = v_.iss, snd_nxt = v_.snd_nxt;
    const bool fresh = !expected.emitted.empty() && expected.emitted.front().any_seq;
    if (before.state == State::time_wait && fresh && static_cast<std::int32_t>(iss - before.snd_nxt) <= 0)
      wrong += "\n  the new ISS is not larger than the old SND.NXT (rfc1122 4.2.2.13)";
    v_ = expected.after;
    if (fresh) {
      v_.iss = v_.snd_una = iss;
      v_.snd_nxt = snd_nxt;
    }
    wrong += probe(expected);
    if (before.state == State::time_wait && after == State::time_wait) wrong += check_2msl(expected);
  }
  finish();
  if (std::ranges::any_of(trace_.app.records, [](const auto& r) { return !r.second.closed; }))
    wrong += "\n  a connection without an end";
  const test::Usage left = test::usage_of(trace_.core());
  if (left.connections + left.half_open + left.extents + left.chunks + left.receive_buffers + left.flights !=
      0)
    wrong += "\n  something is still held at the end";
  if (wrong.empty()) return {};
  return std::string{name(setup_)} + ": " + text_of(c) + wrong + "\n  by" + cite(expected);
}

/// Whatever leaves at once and while a delayed ACK may be due.
std::string Stand::compare_emissions(const Outcome& expected) {
  const std::size_t at_once = sent_.size();
  trace_.advance(soon);
  drain();
  const auto text = [](std::uint8_t flags, std::uint32_t seq, std::uint32_t ack) {
    return flags_text(flags) + " " + std::to_string(seq) + " ack " + std::to_string(ack);
  };
  std::string wanted, got;
  const bool any_seq = !expected.emitted.empty() && expected.emitted.front().any_seq;
  for (const Emission& e : expected.emitted) wanted += text(e.flags, e.seq, e.ack) + "; ";
  for (const test::Packet& p : sent_)
    got += text(p.flags, any_seq ? 0 : p.seq, p.ack) + (p.payload.empty() ? "" : " with data") + "; ";
  const bool agreed = expected.after.timestamps;
  const bool stamped = std::ranges::all_of(
      sent_, [agreed](const test::Packet& p) { return p.has(test::RST) || p.ts.has_value() == agreed; });
  std::string wrong = stamped ? "" : "\n  sent without timestamps, or with";
  wrong += difference("sent", wanted.empty() ? "nothing" : wanted, got.empty() ? "nothing" : got);
  const bool may_be_late = !expected.emitted.empty() && expected.emitted.front().late;
  if (wrong.empty() && !may_be_late && at_once != expected.emitted.size()) wrong = "\n  sent late";
  return wrong;
}

std::string Stand::compare_drops(const Outcome& expected, const CoreStats& before) {
  const CoreStats now = trace_.stats();
  std::string got;
  for (std::size_t i = 0; i < drop_count; ++i)
    for (std::uint64_t n = before.drops[i]; n < now.drops[i]; ++n)
      got += std::string{handfast::name(static_cast<Drop>(i))} + " ";
  const std::string wanted =
      expected.drop == Drop::none ? "" : std::string{handfast::name(expected.drop)} + " ";
  return difference("dropped", wanted, got);
}

std::string Stand::compare_user(const Outcome& expected, const Variables& before) {
  std::string wrong = difference("told", joined(expected.told), joined(trace_.app.events));
  if (!wrong.empty()) return wrong;
  if (expected.delivered != 0) {
    const std::string& received = trace_.app.received();
    if (received.size() < expected.delivered ||
        received.substr(received.size() - expected.delivered) != text_at(before.rcv_nxt, expected.delivered))
      wrong += "\n  the delivered bytes are not those that were sent";
  }
  const State state = expected.after.state;
  if (!is_open(state)) return wrong;
  // SYN and FIN take up numbers and are no bytes of the user's.
  std::uint32_t bytes = expected.after.snd_una - before.snd_una;
  if (before.state == State::syn_sent || before.state == State::syn_received) --bytes;
  const bool fin =
      before.fin_sent && before.snd_una != before.snd_nxt && expected.after.snd_una == before.snd_nxt;
  if (fin) --bytes;
  if (!before.orphan) wrong += difference("bytes told to be acknowledged", bytes, trace_.app.record().sent);
  const ConnStats s = trace_.conn().stats();
  wrong += difference("SND.NXT - SND.UNA", expected.after.snd_nxt - expected.after.snd_una, s.flight);
  return wrong + difference("bytes held beyond a gap", expected.held_text, s.out_of_order);
}

std::string Stand::compare_resources(State state) {
  const test::Usage u = test::usage_of(trace_.core());
  const bool half = state == State::syn_received && u.half_open == 1;
  const std::uint64_t wanted = is_gone(state) || state == State::time_wait || half ? 0 : 1;
  std::string wrong = difference("connection blocks", wanted, u.connections);
  wrong += difference("half-open entries", half ? 1 : 0, u.half_open);
  wrong += difference("TIME-WAIT entries", state == State::time_wait ? 1 : 0, u.time_wait);
  if (wanted == 0) wrong += difference("buffers", 0, u.extents + u.chunks + u.receive_buffers + u.flights);
  return wrong;
}

/// RCV.NXT and SND.NXT are what they should be: by the answer to an ACK below the window. In SYN-SENT: it
/// still opens.
std::string Stand::probe(const Outcome& expected) {
  const State state = v_.state;
  if (is_gone(state)) return {};
  Arriving s;
  s.flags = ACK;
  s.ack = v_.snd_una;
  s.seq = v_.rcv_nxt - 1;
  s.has_ts = v_.timestamps;
  s.ts_val = v_.ts_recent;
  if (state == State::syn_sent) {
    s.flags |= SYN;
    s.seq = v_.rcv_nxt = v_.irs + 1000;
    s.ack = v_.snd_nxt;
    ++v_.rcv_nxt;
  }
  const Variables v = v_;
  sent_.clear();
  send(s);
  drain();
  if (sent_.size() != 1 || sent_[0].flags != ACK)
    return "\n  an ACK below the window is not answered by one ACK";
  std::string wrong =
      difference("RCV.NXT", v.rcv_nxt, sent_[0].ack) + difference("SND.NXT", v.snd_nxt, sent_[0].seq);
  if (state == State::syn_sent)
    return wrong + difference("a good SYN-ACK leads to", std::string{handfast::name(State::established)},
                              std::string{handfast::name(listed())});
  v_ = v;
  return wrong + fill_gap(expected);
}

/// What was held is there once the octet before it has come.
std::string Stand::fill_gap(const Outcome& expected) {
  constexpr std::uint32_t gap = 1;
  const Variables v = v_;
  const bool held = expected.held_text > gap || (expected.held_fin && expected.held_text == 0);
  if (!held || v.orphan || v.rcv_wnd < 100 || gap_ != gap) return {};
  Arriving s;
  s.flags = ACK;
  s.seq = v.rcv_nxt;
  s.ack = v.snd_una;
  s.text = gap;
  s.has_ts = v.timestamps;
  s.ts_val = v.ts_recent;
  sent_.clear();
  trace_.app.events.clear();
  send(s);
  trace_.advance(soon);
  drain();
  if (sent_.empty()) return "\n  what fills the gap is not acknowledged";
  std::string wrong =
      difference("RCV.NXT with the gap filled",
                 v.rcv_nxt + gap + expected.held_text + (expected.held_fin ? 1 : 0), sent_.back().ack);
  if (expected.held_fin)
    wrong += difference("end of file", 1, static_cast<std::uint64_t>(trace_.app.count("fin")));
  return wrong;
}

std::string Stand::check_2msl(const Outcome& expected) {
  trace_.advance(time_wait_since_ + 60s + 500ms - trace_.now());
  const bool there = listed() == State::time_wait;
  if (!there) transitions_.emplace(State::time_wait, listed());
  return difference("2 MSL restarted", expected.restarted_2msl ? "yes" : "no", there ? "yes" : "no");
}

void Stand::finish() {
  trace_.core().abort_all();
  trace_.poll();
}

}  // namespace handfast::conformance
