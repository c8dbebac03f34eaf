// SPDX-License-Identifier: BSD-3-Clause
// The reader of the rows: facts of a segment, and what the rows that apply come to. Layer: tests; see
// oracle.hpp.
#include "conformance/oracle.hpp"

#include <algorithm>

namespace handfast::conformance {
namespace {

constexpr std::uint8_t bit_fin = 0x01, bit_syn = 0x02, bit_rst = 0x04, bit_ack = 0x10, bit_urg = 0x20;

/// rfc9293 3.4: comparisons in sequence space.
std::int32_t off(std::uint32_t number, std::uint32_t from) {
  return static_cast<std::int32_t>(number - from);
}
bool within(std::uint32_t number, std::uint32_t first, std::uint32_t count) { return number - first < count; }

/// Table 6.
bool is_acceptable(const Variables& v, const Arriving& s) {
  const std::uint32_t length = s.length();
  if (length == 0 && v.rcv_wnd == 0) return s.seq == v.rcv_nxt;
  if (length == 0) return within(s.seq, v.rcv_nxt, v.rcv_wnd);
  if (v.rcv_wnd == 0) return false;
  return within(s.seq, v.rcv_nxt, v.rcv_wnd) || within(s.seq + length - 1, v.rcv_nxt, v.rcv_wnd);
}

/// What is left of the text after cutting off what lies outside of the window.
struct Cut {
  std::uint32_t first = 0, count = 0;
  bool fin_fits = false;
  std::uint32_t fin_at = 0;
};
Cut cut(const Variables& v, const Arriving& s) {
  const std::uint32_t begin = s.seq + (s.has(bit_syn) ? 1u : 0u);
  const std::int32_t left = std::max(off(begin, v.rcv_nxt), 0);
  const std::int32_t right = std::min(off(begin + s.text, v.rcv_nxt), static_cast<std::int32_t>(v.rcv_wnd));
  Cut c;
  if (right > left) {
    c.first = v.rcv_nxt + static_cast<std::uint32_t>(left);
    c.count = static_cast<std::uint32_t>(right - left);
  }
  c.fin_at = begin + s.text;
  c.fin_fits = s.has(bit_fin) && within(c.fin_at, v.rcv_nxt, v.rcv_wnd);
  return c;
}

Facts facts_of_flags(const Arriving& s) {
  const auto when = [&s](std::uint8_t bits, Facts f) { return s.has(bits) ? f : 0u; };
  return when(bit_rst, rst) | when(bit_syn, syn) | when(bit_ack, ack) | when(bit_fin, fin) |
         when(bit_urg, urg);
}

Emission emission(Answer answer, const Outcome& o, const Arriving& s) {
  const Variables& v = o.after;
  switch (answer) {
    case Answer::none:
    case Answer::ack:
      break;
    case Answer::ack_soon:
      return {bit_ack, v.snd_nxt, v.rcv_nxt, false, true};
    case Answer::rst_at_ack:
      return {bit_rst, s.ack, 0};
    case Answer::rst_to_segment:
      return {bit_rst | bit_ack, 0, s.seq + s.length()};
    case Answer::rst_of_ours:
      return {bit_rst | bit_ack, v.snd_nxt, v.rcv_nxt};
    case Answer::syn_ack:
      return {bit_syn | bit_ack, v.iss, v.rcv_nxt};
    case Answer::syn_ack_fresh:
      return {bit_syn | bit_ack, 0, v.rcv_nxt, true};
  }
  return {bit_ack, v.snd_nxt, v.rcv_nxt};
}

void take_the_text(const Cut& c, Outcome& o) {
  o.delivered = c.count;
  o.after.rcv_nxt += c.count;
  o.after.rcv_wnd -= c.count;
  o.told.push_back("data:" + std::to_string(c.count));
}

void apply(const Row& row, const Arriving& s, const Cut& c, Outcome& o) {
  Variables& v = o.after;
  if ((row.deeds & take_syn) != 0) {
    v.irs = s.seq;
    v.rcv_nxt = s.seq + 1;
    v.timestamps = s.has_ts;  // this side offers them
    v.ts_recent = s.ts_val;
  }
  if ((row.deeds & take_ack) != 0) v.snd_una = s.ack;
  if ((row.deeds & take_text) != 0) take_the_text(c, o);
  if ((row.deeds & hold_text) != 0) o.held_text = c.count;
  if ((row.deeds & take_fin) != 0) ++v.rcv_nxt;
  if ((row.deeds & hold_fin) != 0) o.held_fin = true;
  if ((row.deeds & restart_2msl) != 0) o.restarted_2msl = true;
  if (row.to != State::listen) v.state = row.to;
  if (*row.told != '\0') o.told.emplace_back(row.told);
  if (row.drop != Drop::none) o.drop = row.drop;
}

/// MUST-58: one ACK for all of the segment; what is due now takes along what is due soon, and a reset all of
/// it.
Answer together(Answer had, Answer more) {
  if (more == Answer::none || (had == Answer::ack && more == Answer::ack_soon)) return had;
  return more;
}

}  // namespace

std::uint32_t Arriving::length() const { return text + (has(bit_syn) ? 1u : 0u) + (has(bit_fin) ? 1u : 0u); }

Facts facts_of(const Variables& v, const Arriving& s) {
  Facts f = facts_of_flags(s);
  const auto when = [&f](bool is, Facts fact) { f |= is ? fact : 0u; };
  when(s.text != 0, text);
  when(v.passive, passive);
  when(v.listener, listener);
  when(v.orphan, orphan);
  when(s.seq == v.irs, is_irs);
  when(s.seq == v.rcv_nxt, seq_exact);
  when(within(s.seq, v.rcv_nxt, v.rcv_wnd) || s.seq == v.rcv_nxt, seq_inside);
  when(off(s.seq, v.rcv_nxt) < 0, seq_old);
  when(is_acceptable(v, s), acceptable);
  when(v.rcv_wnd == 0 && s.seq == v.rcv_nxt && s.length() != 0, shut);
  if (s.has(bit_ack)) {
    const std::int32_t to_nxt = off(s.ack, v.snd_nxt), to_una = off(s.ack, v.snd_una);
    when(to_una > 0 && to_nxt <= 0, ack_new);
    when(to_nxt <= 0 && to_una >= -static_cast<std::int32_t>(v.max_snd_wnd), ack_fits);
    when(to_nxt > 0, ack_unsent);
    when(v.fin_sent && to_nxt == 0, acks_fin);
  }
  const Cut c = cut(v, s);
  const bool starts_at_once = c.count != 0 && c.first == v.rcv_nxt;
  when(starts_at_once, text_next);
  when(c.count != 0 && !starts_at_once, text_beyond);
  const bool follows = c.fin_at == v.rcv_nxt || (starts_at_once && c.fin_at == c.first + c.count);
  when(c.fin_fits && follows, fin_next);
  when(c.fin_fits && !follows, fin_beyond);
  when(s.has(bit_fin) && s.seq + s.length() == v.rcv_nxt, fin_again);
  when(s.has(bit_urg) && off(s.seq + s.urgent, v.rcv_nxt) > 0, up_ahead);
  if (!v.timestamps) return f;
  constexpr std::int32_t tolerated_ticks = 16;  // docs/rfc-exceptions.md
  when(s.has_ts, ts_both);
  when(!s.has_ts, ts_lacks);
  when(s.has_ts && off(s.ts_val + tolerated_ticks, v.ts_recent) < 0, ts_older);
  when(s.has_ts && off(s.ts_val, v.ts_recent) < 0, ts_before);
  when(s.has_ts && off(s.ts_val, v.ts_recent) > 0, ts_newer);
  return f;
}

Outcome judge(const Variables& v, const Arriving& segment) {
  Outcome o;
  o.after = v;
  const Facts facts = facts_of(v, segment);
  const Cut c = cut(v, segment);
  Answer answer = Answer::none;
  std::uint16_t number = 0;
  for (const Row& row : rows()) {
    ++number;
    const bool applies = (row.in >> static_cast<unsigned>(o.after.state) & 1) != 0 &&
                         (facts & row.all) == row.all && (facts & row.none) == 0;
    if (!applies) continue;
    o.path.push_back(number);
    apply(row, segment, c, o);
    answer = together(answer, row.answer);
    if ((row.deeds & nothing_more) != 0) break;
  }
  if (answer != Answer::none) o.emitted.push_back(emission(answer, o, segment));
  return o;
}

std::string cite(const Outcome& outcome) {
  std::string s;
  for (const std::uint16_t number : outcome.path)
    s += "\n    row " + std::to_string(number) + ": " + rows()[number - 1u].source;
  return s;
}

}  // namespace handfast::conformance
