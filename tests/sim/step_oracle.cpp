// SPDX-License-Identifier: BSD-3-Clause
// The rules; see step_oracle.hpp. Layer: simulator. It looks into control blocks and changes nothing.
#include "sim/step_oracle.hpp"

#include <algorithm>

#include "shard/shard.hpp"

namespace handfast::sim {
namespace {

/// Documented in docs/rfc-exceptions.md: a segment may be that many ticks older than TS.Recent.
constexpr std::uint32_t paws_tolerance = 16;
constexpr std::uint32_t ts_recent_age_ms = 24u * 24 * 3600 * 1000;

bool less(std::uint32_t a, std::uint32_t b) { return static_cast<std::int32_t>(a - b) < 0; }
bool less_eq(std::uint32_t a, std::uint32_t b) { return static_cast<std::int32_t>(a - b) <= 0; }

bool is_synchronised(State s) {
  return s == State::established || s == State::fin_wait_1 || s == State::fin_wait_2 ||
         s == State::close_wait || s == State::closing || s == State::last_ack;
}

std::uint64_t closed(Core& core, CloseReason reason) {
  return core.shard().tcp().stats.closed[static_cast<std::size_t>(reason)];
}

std::uint64_t dropped(Core& core, Drop reason) {
  return core.shard().tcp().stats.drops[static_cast<std::size_t>(reason)];
}

/// What was said and did not leave.
std::uint64_t unsaid(Core& core) {
  return dropped(core, Drop::neighbour_unreachable) + dropped(core, Drop::neighbour_queue_full) +
         dropped(core, Drop::tx_no_buffer);
}

}  // namespace

bool StepOracle::answers_may_stay(const Plan& plan) const {
  const bool to_itself = packet_->source.address == packet_->destination.address;  // no frame shows that
  return to_itself || held_ || plan.has(Fault::ring) || plan.has(Fault::buffers) || plan.has(Fault::memory);
}

void StepOracle::fail(Ledger& ledger, const std::string& what) const {
  ledger.fail(what + ": " + packet_->text());
}

void StepOracle::arrives(Core& core, std::span<const std::byte> frame,
                         const std::optional<test::Packet>& packet, const std::string& why) {
  if (arrivals_++ != 0) return;
  packet_ = packet;
  broken_ = !packet_ && (why == "TCP checksum" || why == "IP checksum");
  answers_.clear();
  before_ = {};
  if (broken_) {  // whatever it says of itself
    packet_ = test::Packet{};
    const auto get = [&](std::size_t at, unsigned n) {
      std::uint32_t v = 0;
      for (unsigned i = 0; i < n; ++i) v = v << 8 | std::to_integer<std::uint32_t>(frame[at + i]);
      return v;
    };
    packet_->source = {Ipv4Address{get(26, 4)}, static_cast<Port>(get(34, 2))};
    packet_->destination = {Ipv4Address{get(30, 4)}, static_cast<Port>(get(36, 2))};
  }
  if (packet_) look(core);
}

void StepOracle::look(Core& core) {
  tcp::Context& cx = core.shard().tcp();
  before_.frames_in = core.shard().tcp().stats.frames_in;
  held_ = !core.shard().held().empty() || !core.shard().ready().empty();
  before_.unsaid = unsaid(core);
  before_.reused = core.shard().tcp().stats.time_wait_reused;
  before_.expired = core.shard().tcp().stats.half_open_expired;
  before_.undone = core.shard().tcp().stats.recoveries_undone;
  before_.resets = closed(core, CloseReason::reset_by_peer);
  before_.refusals = closed(core, CloseReason::refused);
  before_.no_memory = dropped(core, Drop::tcp_no_memory);
  const FlowKey key{packet_->destination, packet_->source};
  const std::uint32_t slot = cx.flows.find(cx.hasher(key), key);
  if (slot == tcp::npos) return;
  before_.index = tcp::FlowSlot::index(slot);
  if (tcp::FlowSlot::kind(slot) == tcp::FlowKind::half_open) {
    const tcp::HalfOpen& half = cx.half_opens[before_.index];
    before_.kind = Kind::half_open;
    before_.generation = half.generation;
    before_.iss = half.handshake.iss.raw();
    before_.irs = half.handshake.irs.raw();
    before_.ts_recent = half.handshake.ts_recent;
    before_.flags = tcp::flag_if(half.handshake.timestamps, tcp::ts_enabled);
    before_.rcv_nxt = before_.irs + 1;
    before_.rcv_adv = before_.rcv_nxt + half.handshake.rcv_wnd;
    return;
  }
  if (tcp::FlowSlot::kind(slot) == tcp::FlowKind::time_wait) {
    const tcp::TimeWait& entry = cx.time_waits[before_.index];
    before_.kind = Kind::time_wait;
    before_.generation = entry.generation;
    before_.rcv_nxt = entry.rcv_nxt.raw();
    before_.snd_nxt = entry.snd_nxt.raw();
    before_.ts_recent = entry.ts_recent;
    before_.flags = tcp::flag_if(entry.timestamps, tcp::ts_enabled);
    return;
  }
  const tcp::Tcb& tcb = cx.tcbs[before_.index];
  before_.kind = Kind::connection;
  before_.generation = tcb.generation;
  before_.flags = tcb.flags;
  before_.state = tcb.state;
  before_.iss = tcb.iss.raw();
  before_.irs = tcb.irs.raw();
  before_.snd_una = tcb.snd_una.raw();
  before_.snd_nxt = tcb.snd_nxt.raw();
  before_.snd_wnd = tcb.snd_wnd;
  before_.max_snd_wnd = tcb.max_snd_wnd;
  before_.wl1 = tcb.snd_wl1.raw();
  before_.wl2 = tcb.snd_wl2.raw();
  before_.rcv_nxt = tcb.rcv_nxt.raw();
  before_.rcv_adv = tcb.rcv_adv.raw();
  before_.ts_recent = tcb.ts_recent;
  before_.last_ack_sent = tcb.last_ack_sent.raw();
  before_.heard_ms = tcb.heard_ms;
  before_.srtt_us = tcb.srtt_us;
  before_.snd_wscale = tcb.snd_wscale;
  before_.dup_acks = tcb.dup_acks;
  before_.backoff = tcb.backoff;
  before_.recovery = static_cast<std::uint8_t>(tcb.recovery);
  if (tcb.flight == nullptr) return;
  std::uint32_t left = before_.snd_una;
  for (std::uint32_t n = tcb.flight->sent.front_number(); n != tcb.flight->sent.back_number(); ++n) {
    const tcp::Sent& record = tcb.flight->sent[n];
    before_.pieces.push_back({left, record.right.raw(), (record.flags & tcp::sent_sacked) != 0});
    left = record.right.raw();
  }
}

void StepOracle::leaves(const test::Packet& packet) {
  if (arrivals_ == 1 && packet_ && packet.destination == packet_->source &&
      packet.source == packet_->destination)
    answers_.push_back(packet);
}

void StepOracle::polled(Core& core, const Plan& plan, Ledger& ledger) {
  // What waits for a neighbour, or has waited for one, is no answer.
  held_ = held_ || !core.shard().held().empty() || unsaid(core) != before_.unsaid;
  const bool one = arrivals_ == 1 && packet_ && core.shard().tcp().stats.frames_in == before_.frames_in + 1;
  arrivals_ = 0;
  if (one) judge(core, plan, ledger);
  packet_.reset();
  answers_.clear();
}

void StepOracle::judge(Core& core, const Plan& plan, Ledger& ledger) {
  tcp::Context& cx = core.shard().tcp();
  switch (before_.kind) {
    case Kind::none:
      // 3.10.7.1: a reset is never answered, least of all by one.
      if (packet_->has(test::RST) && !answers_may_stay(plan) &&
          std::ranges::any_of(answers_, [](const test::Packet& a) { return a.has(test::RST); }))
        fail(ledger, "I27 an RST to an RST");
      return;
    case Kind::half_open:
      return judge_half_open(cx, plan, ledger);
    case Kind::time_wait:
      return judge_time_wait(cx, plan, ledger);
    case Kind::connection:
      break;
  }
  const tcp::Tcb& tcb = cx.tcbs[before_.index];
  const bool lives = tcb.generation == before_.generation && has(tcb, tcp::in_table) && !has(tcb, tcp::ended);
  const tcp::Tcb* after = lives ? &tcb : nullptr;
  if (packet_->has(test::RST) && !broken_) return judge_reset(after, core, ledger);
  if (after == nullptr) return;
  if (broken_) return judge_ignored(*after, "its checksum is wrong (MUST-3)", ledger);
  if (dropped(core, Drop::tcp_no_memory) != before_.no_memory) return;
  if (is_synchronised(before_.state)) judge_connection(cx, after, plan, ledger);
}

/// rfc5961 3.2, and RFC 9293's second step.
void StepOracle::judge_reset(const tcp::Tcb* after, Core& core, Ledger& ledger) {
  const test::Packet& p = *packet_;
  const bool was_reset = closed(core, CloseReason::reset_by_peer) != before_.resets ||
                         closed(core, CloseReason::refused) != before_.refusals;
  if (before_.state == State::syn_sent) {
    const bool known = p.has(test::ACK) && less(before_.iss, p.ack) && less_eq(p.ack, before_.snd_nxt);
    if (was_reset && !known) fail(ledger, "3.10.7.3 refused by an RST that acknowledges nothing of ours");
    return;
  }
  if (p.seq != before_.rcv_nxt && was_reset) fail(ledger, "RFC 5961 ended by an RST that is not at RCV.NXT");
  const bool fast = before_.state == State::syn_received;
  if (p.seq == before_.rcv_nxt && after != nullptr && !fast)
    fail(ledger, "3.10.7.4 second: an RST at RCV.NXT is ignored");
}

void StepOracle::judge_ignored(const tcp::Tcb& after, const char* why, Ledger& ledger) {
  if (after.rcv_nxt.raw() != before_.rcv_nxt) fail(ledger, std::string{"RCV.NXT moved, though "} + why);
  if (after.snd_una.raw() != before_.snd_una) fail(ledger, std::string{"SND.UNA moved, though "} + why);
  if (after.snd_wnd != before_.snd_wnd) fail(ledger, std::string{"SND.WND changed, though "} + why);
  if (after.ts_recent != before_.ts_recent && is_synchronised(before_.state))
    fail(ledger, std::string{"TS.Recent changed, though "} + why);
}

void StepOracle::judge_connection(tcp::Context& cx, const tcp::Tcb* tcb, const Plan& plan, Ledger& ledger) {
  const test::Packet& p = *packet_;
  const tcp::Tcb& after = *tcb;
  const std::uint32_t window = before_.rcv_adv - before_.rcv_nxt;
  const bool compares = flag(tcp::ts_enabled) && p.ts && cx.now_ms - before_.heard_ms < ts_recent_age_ms;
  if (compares && less(p.ts->first + paws_tolerance, before_.ts_recent)) {
    judge_ignored(after, "it is old (rfc7323 5.3 R1)", ledger);
    return judge_answer(after, plan, ledger);
  }
  if (flag(tcp::ts_enabled) && !p.ts && !p.has(test::SYN))
    return judge_ignored(after, "it has no timestamp (rfc7323 3.2)", ledger);
  // First: the four cases of the table.
  const auto inside = [&](std::uint32_t seq) { return seq - before_.rcv_nxt < window; };
  const std::uint32_t length = p.length();
  const bool acceptable = length == 0 ? (window == 0 ? p.seq == before_.rcv_nxt : inside(p.seq))
                                      : window != 0 && (inside(p.seq) || inside(p.seq + length - 1));
  if (!acceptable) {
    if (p.seq == before_.rcv_nxt && window == 0) return;  // MUST-66: its ACK counts
    judge_ignored(after, "it is not acceptable (first)", ledger);
    return judge_answer(after, plan, ledger);
  }
  if (p.has(test::SYN)) return judge_ignored(after, "there is a SYN in the window (rfc5961 4.2)", ledger);
  if (!p.has(test::ACK)) return judge_ignored(after, "it has no ACK (fifth)", ledger);
  if (less(before_.snd_nxt, p.ack)) return judge_ignored(after, "it acknowledges what was not sent", ledger);
  if (before_.snd_una - p.ack > before_.max_snd_wnd && less(p.ack, before_.snd_una))
    return judge_ignored(after, "it acknowledges what is long past (rfc5961 5.2)", ledger);
  judge_ack(after, ledger);
  judge_timestamp(cx, after, ledger);
  judge_text(cx, after, plan, ledger);
  judge_sacks(after, ledger);
  judge_recovery(cx, after, ledger);
  judge_samples(after, ledger);
}

void StepOracle::judge_ack(const tcp::Tcb& after, Ledger& ledger) {
  const test::Packet& p = *packet_;
  const bool is_news = less(before_.snd_una, p.ack);
  const std::uint32_t una = is_news ? p.ack : before_.snd_una;
  if (after.snd_una.raw() != una)
    fail(ledger, "3.10.7.4 fifth: SND.UNA is " + std::to_string(after.snd_una.raw()) + " and not " +
                     std::to_string(una));
  judge_window(after, is_news, ledger);
}

void StepOracle::judge_window(const tcp::Tcb& after, bool is_news, Ledger& ledger) {
  const test::Packet& p = *packet_;
  const bool by_text = !less(p.ack, before_.snd_una) &&
                       (less(before_.wl1, p.seq) || (before_.wl1 == p.seq && less_eq(before_.wl2, p.ack)));
  const std::uint32_t said = std::uint32_t{p.window} << before_.snd_wscale;
  if (by_text && after.snd_wnd != said)
    fail(ledger,
         "3.10.7.4 fifth: SND.WND is " + std::to_string(after.snd_wnd) + " and not " + std::to_string(said));
  // An older segment with a newer ACK: the stack takes its window, the text does not say so.
  if (!by_text && !is_news && after.snd_wnd != before_.snd_wnd)
    fail(ledger, "3.10.7.4 fifth: SND.WND from an old segment");
}

/// rfc7323 4.3 (2)
void StepOracle::judge_timestamp(const tcp::Context& cx, const tcp::Tcb& after, Ledger& ledger) {
  const test::Packet& p = *packet_;
  if (!flag(tcp::ts_enabled) || !p.ts) return;
  const bool aged = cx.now_ms - before_.heard_ms >= ts_recent_age_ms;
  const bool taken = less_eq(p.seq, before_.last_ack_sent) && (aged || !less(p.ts->first, before_.ts_recent));
  const std::uint32_t expected = taken ? p.ts->first : before_.ts_recent;
  if (after.ts_recent != expected)
    fail(ledger, "RFC 7323 4.3: TS.Recent is " + std::to_string(after.ts_recent) + " and not " +
                     std::to_string(expected));
}

/// Seventh and eighth.
void StepOracle::judge_text(const tcp::Context& cx, const tcp::Tcb& after, const Plan& plan, Ledger& ledger) {
  static_cast<void>(cx);
  const test::Packet& p = *packet_;
  const bool takes = before_.state == State::established || before_.state == State::fin_wait_1 ||
                     before_.state == State::fin_wait_2;
  if (!takes) {
    if (after.rcv_nxt.raw() != before_.rcv_nxt) fail(ledger, "3.10.7.4 seventh: text after the peer's FIN");
    return;
  }
  if (p.length() == 0) {
    if (after.rcv_nxt.raw() != before_.rcv_nxt) fail(ledger, "RCV.NXT moved by an empty segment");
    return;
  }
  // First: what lies beyond the edge is cut off, a FIN too.
  if (less(before_.rcv_adv, after.rcv_nxt.raw()))
    fail(ledger, "3.10.7.4 first: RCV.NXT is beyond the window");
  const std::uint32_t end = p.seq + static_cast<std::uint32_t>(p.payload.size());
  if (less(before_.rcv_nxt, p.seq)) {
    if (after.rcv_nxt.raw() != before_.rcv_nxt) fail(ledger, "RCV.NXT moved by a segment beyond a gap");
    return judge_answer(after, plan, ledger);  // rfc5681 4.2
  }
  if (has(after, tcp::orphan) || plan.has(Fault::memory)) return;
  const std::uint32_t text = less(end, before_.rcv_adv) ? end : before_.rcv_adv;
  const std::uint32_t expected = p.has(test::FIN) && less(end, before_.rcv_adv) ? end + 1 : text;
  if (less(after.rcv_nxt.raw(), expected))
    fail(ledger, "3.10.7.4 seventh: RCV.NXT is " + std::to_string(after.rcv_nxt.raw()) +
                     " and not at least " + std::to_string(expected));
}

/// RFC 2018: a segment counts as SACKed when all of it is in a block, and not before.
void StepOracle::judge_sacks(const tcp::Tcb& after, Ledger& ledger) {
  const test::Packet& p = *packet_;
  if (after.flight == nullptr || before_.pieces.empty() || after.backoff != before_.backoff) return;
  std::uint32_t left = after.snd_una.raw();
  auto old = before_.pieces.begin();
  for (std::uint32_t n = after.flight->sent.front_number(); n != after.flight->sent.back_number(); ++n) {
    const tcp::Sent& record = after.flight->sent[n];
    const std::uint32_t begin = left, right = record.right.raw();
    left = right;
    while (old != before_.pieces.end() && less(old->right, right)) ++old;
    if (old == before_.pieces.end()) return;  // sent since
    if (old->right != right) return;          // cut anew
    const bool is_sacked = (record.flags & tcp::sent_sacked) != 0;
    const auto covers = [&](const test::Block& b) {
      return less_eq(b.first, begin) && less_eq(right, b.second);
    };
    const bool covered = std::ranges::any_of(p.sack, covers);
    if (is_sacked && !old->sacked && !covered) fail(ledger, "RFC 2018: SACKed, and in no block of the ACK");
    // The first block may tell of a duplicate; the others do not (rfc2883 4).
    const bool told = p.sack.size() > 1 && flag(tcp::sack_enabled) && !less(p.ack, before_.snd_una) &&
                      std::any_of(p.sack.begin() + 1, p.sack.end(), [&](const test::Block& b) {
                        return covers(b) && less_eq(b.second, before_.snd_nxt) && less(p.ack, b.first) &&
                               less(b.first, b.second);
                      });
    if (told && !is_sacked) fail(ledger, "RFC 2018: in a block of the ACK, and not SACKed");
  }
}

/// What is lost is known in time.
void StepOracle::judge_recovery(const tcp::Context& cx, const tcp::Tcb& after, Ledger& ledger) {
  const test::Packet& p = *packet_;
  if (after.flight == nullptr || after.flight->sent.empty() || before_.pieces.empty()) return;
  if (after.backoff != before_.backoff || cx.stats.recoveries_undone != before_.undone) return;
  const tcp::Flight& flight = *after.flight;
  // rfc5681 3.2 (2): the third duplicate.
  const bool duplicate = p.ack == before_.snd_una && p.length() == 0 && before_.snd_wnd != 0 &&
                         std::uint32_t{p.window} << before_.snd_wscale == before_.snd_wnd;
  const bool limited =
      !less(flight.recover.raw(), before_.snd_una) || (flight.sent.front().flags & tcp::sent_lost) != 0;
  if (!flag(tcp::sack_enabled) && duplicate && before_.dup_acks >= 2 &&
      after.recovery == tcp::Recovery::open && !limited)
    fail(ledger, "RFC 5681 3.2: the third duplicate ACK starts no fast retransmit");
  // rfc8985 6.2: three segments SACKed and no reordering seen leave no time to wait.
  std::uint32_t sacked_now = 0;
  for (std::uint32_t n = flight.sent.front_number(); n != flight.sent.back_number(); ++n)
    sacked_now += (flight.sent[n].flags & tcp::sent_sacked) != 0 ? 1 : 0;
  const auto sacked_before = std::ranges::count_if(before_.pieces, [&](const Piece& piece) {
    return piece.sacked && less(after.snd_una.raw(), piece.right);
  });
  if (flag(tcp::sack_enabled) && sacked_now > sacked_before && sacked_now >= 3 && flight.rack_valid &&
      !flight.reordering_seen)
    for (std::uint32_t n = flight.sent.front_number(); n != flight.sent.back_number(); ++n) {
      const tcp::Sent& record = flight.sent[n];
      const bool judged = (record.flags & (tcp::sent_sacked | tcp::sent_lost)) != 0;
      if (!judged && (record.flags & tcp::sent_twice) != 0)
        break;  // out of the order of sending: they wait for it
      if (!judged && less(record.sent_us, flight.rack_us) && cx.now_us - record.sent_us >= flight.rack_rtt_us)
        return fail(ledger, "RFC 8985 6.2: lost, and not taken for it");
    }
}

/// Karn: no round trip from what was sent twice (RFC 6298 section 3), unless timestamps tell which copy it
/// was.
void StepOracle::judge_samples(const tcp::Tcb& after, Ledger& ledger) {
  const bool is_news = less(before_.snd_una, packet_->ack);
  const bool alone = before_.pieces.empty() && after.flight == nullptr;
  if (is_news && alone && !flag(tcp::ts_enabled) && !flag(tcp::rtt_timing) &&
      after.srtt_us != before_.srtt_us)
    fail(ledger, "RFC 6298 3: a round trip was measured by what was sent twice");
}

/// What cannot be accepted, or lies beyond a gap, is answered at once; a duplicate with its place (rfc2883
/// 4).
void StepOracle::judge_answer(const tcp::Tcb& after, const Plan& plan, Ledger& ledger) {
  const test::Packet& p = *packet_;
  if (answers_may_stay(plan) || (p.payload.empty() && !p.has(test::FIN)) || p.has(test::SYN)) return;
  const auto is_answer = [&](const test::Packet& a) {
    return a.has(test::ACK) && a.ack == after.rcv_nxt.raw();
  };
  const auto answer = std::ranges::find_if(answers_, is_answer);
  if (answer == answers_.end()) return fail(ledger, "3.10.7.4 first: no ACK in answer");
  const std::uint32_t end = p.seq + static_cast<std::uint32_t>(p.payload.size());
  const bool old = !p.payload.empty() && less_eq(end, before_.rcv_nxt) && less(before_.irs, p.seq) &&
                   p.seq - before_.irs < 1u << 30;
  if (!old || !flag(tcp::sack_enabled)) return;
  const test::Block duplicate{p.seq, end};
  if (std::ranges::none_of(
          answers_, [&](const test::Packet& a) { return !a.sack.empty() && a.sack.front() == duplicate; }))
    fail(ledger, "RFC 2883 4: the duplicate is not reported");
}

void StepOracle::judge_half_open(tcp::Context& cx, const Plan& plan, Ledger& ledger) {
  const test::Packet& p = *packet_;
  const tcp::HalfOpen& half = cx.half_opens[before_.index];
  const bool stays = half.generation == before_.generation;
  const FlowKey key{p.destination, p.source};
  const std::uint32_t slot = cx.flows.find(cx.hasher(key), key);
  const bool opened = slot != tcp::npos && tcp::FlowSlot::kind(slot) == tcp::FlowKind::connection;
  if (broken_) {
    if (opened) fail(ledger, "MUST-3: opened by a segment whose checksum is wrong");
    return;
  }
  if (p.has(test::RST)) {
    const bool excused = cx.stats.half_open_expired != before_.expired || plan.has(Fault::listener);
    if (p.seq != before_.rcv_nxt && slot == tcp::npos && !excused)
      fail(ledger, "RFC 5961: a handshake ended by an RST that is not at RCV.NXT");
    if (p.seq == before_.rcv_nxt && stays) fail(ledger, "3.10.7.4 second: an RST does not end the handshake");
    return;
  }
  if (opened && (p.has(test::SYN) || !p.has(test::ACK) || p.ack != before_.iss + 1))
    fail(ledger, "3.10.7.4 fifth: opened by a segment that does not acknowledge our SYN");
  if (!stays || answers_may_stay(plan)) return;
  if (p.has(test::SYN) && !p.has(test::ACK) && p.seq == before_.irs &&
      std::ranges::none_of(answers_,
                           [](const test::Packet& a) { return a.has(test::SYN) && a.has(test::ACK); }))
    fail(ledger, "3.8.1: a SYN that comes again is not answered");
}

void StepOracle::judge_time_wait(tcp::Context& cx, const Plan& plan, Ledger& ledger) {
  const test::Packet& p = *packet_;
  const tcp::TimeWait& entry = cx.time_waits[before_.index];
  const bool stays = entry.generation == before_.generation;
  // rfc6191 2, MAY-2: only a SYN that is certainly newer makes room for itself.
  const bool times = flag(tcp::ts_enabled) && p.ts;
  const bool later_seq = !less(p.seq, before_.rcv_nxt);
  const bool newer =
      !times ? later_seq
             : less(before_.ts_recent, p.ts->first) || (p.ts->first == before_.ts_recent && later_seq);
  if (cx.stats.time_wait_reused != before_.reused && (broken_ || !p.has(test::SYN) || !newer))
    fail(ledger, "RFC 6191: an old segment opens a new incarnation");
  if (!stays) return;  // how long it was there is another oracle's
  if (answers_may_stay(plan) || broken_ || p.has(test::RST) || p.has(test::SYN)) return;
  if (flag(tcp::ts_enabled) && !p.ts) return;
  // Not one that an earlier step drops, with an answer as often as there may be one.
  if (!p.has(test::ACK) || less(before_.snd_nxt, p.ack)) return;
  if (flag(tcp::ts_enabled) && less(p.ts->first + paws_tolerance, before_.ts_recent)) return;
  if (p.has(test::FIN) && p.seq + p.length() == before_.rcv_nxt && answers_.empty())
    fail(ledger, "3.10.7.4 eighth: in TIME-WAIT the peer's FIN is not acknowledged again");
}

void check_agreement(Core& core, Core& other, Ledger& ledger) {
  tcp::Context& a = core.shard().tcp();
  tcp::Context& b = other.shard().tcp();
  for (std::uint32_t i = 0; i < a.tcbs.high_water(); ++i) {
    const tcp::Tcb& from = a.tcbs[i];
    if ((from.generation & 1) == 0 || !has(from, tcp::in_table) || !is_synchronised(from.state)) continue;
    if (from.key.remote_address != b.config.link.address.address.value) continue;
    const FlowKey key{from.key.remote(), from.key.local()};
    const std::uint32_t slot = b.flows.find(b.hasher(key), key);
    if (slot == tcp::npos || tcp::FlowSlot::kind(slot) != tcp::FlowKind::connection) continue;
    const tcp::Tcb& to = b.tcbs[tcp::FlowSlot::index(slot)];
    if (!is_synchronised(to.state) || to.irs != from.iss || to.iss != from.irs) continue;
    constexpr std::uint64_t agreed = tcp::ts_enabled | tcp::sack_enabled | tcp::wscale_enabled;
    const std::string who = ": " + from.key.local().to_string() + " > " + from.key.remote().to_string();
    if ((from.flags & agreed) != (to.flags & agreed))
      ledger.fail("I9 the ends do not agree on options" + who);
    if (from.snd_wscale != to.rcv_wscale)
      ledger.fail("I9 the ends do not agree on the scale of windows" + who);
    if (from.mss_limit > std::max<std::uint32_t>(b.local_mss, a.config.tcp.min_send_mss))
      ledger.fail("I9 segments may be larger than the peer's MSS" + who);
  }
}

}  // namespace handfast::sim
