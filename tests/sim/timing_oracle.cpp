// SPDX-License-Identifier: BSD-3-Clause
// The rules; see timing_oracle.hpp. Layer: simulator.
#include "sim/timing_oracle.hpp"

#include <algorithm>

#include "shard/shard.hpp"

namespace handfast::sim {
namespace {

bool less(std::uint32_t a, std::uint32_t b) { return static_cast<std::int32_t>(a - b) < 0; }

bool is_synchronised(const tcp::Tcb& tcb) {
  return has(tcb, tcp::in_table) && !has(tcb, tcp::ended) && tcb.state != State::syn_sent &&
         tcb.state != State::syn_received;
}

std::string name_of(const tcp::Tcb& tcb) {
  return ": " + tcb.key.local().to_string() + " > " + tcb.key.remote().to_string();
}

/// What may hold frames back, or lose them inside the end: times on the wire are not those of decisions.
bool wire_is_late(const Plan& plan) {
  return plan.has(Fault::clock) || plan.has(Fault::stall) || plan.has(Fault::ring) ||
         plan.has(Fault::buffers) || plan.has(Fault::memory);
}

constexpr Duration slack = 20ms;
/// Documented in docs/rfc-exceptions.md: a segment may be that many ticks older than TS.Recent.
constexpr std::uint32_t paws_tolerance = 16;

const tcp::Tcb* find(Core& core, Endpoint local, Endpoint remote) {
  tcp::Context& cx = core.shard().tcp();
  const FlowKey key{local, remote};
  const std::uint32_t slot = cx.flows.find(cx.hasher(key), key);
  if (slot == tcp::npos || tcp::FlowSlot::kind(slot) != tcp::FlowKind::connection) return nullptr;
  return &cx.tcbs[tcp::FlowSlot::index(slot)];
}

}  // namespace

void TimingOracle::arrives(Core& core, Time now, const test::Packet* packet) {
  if (packet == nullptr) {
    silences_.clear();  // what was held for an answer of ARP leaves when that suits
    return;
  }
  silences_.erase({packet->destination, packet->source});
  // 3.10.7.4 eighth, TIME-WAIT: the peer's FIN again restarts 2MSL.
  tcp::Context& cx = core.shard().tcp();
  const FlowKey key{packet->destination, packet->source};
  const std::uint32_t slot = cx.flows.find(cx.hasher(key), key);
  if (slot == tcp::npos || tcp::FlowSlot::kind(slot) != tcp::FlowKind::time_wait) return;
  const tcp::TimeWait& entry = cx.time_waits[tcp::FlowSlot::index(slot)];
  if (packet->has(test::SYN | test::RST) || !packet->has(test::FIN) || (entry.timestamps && !packet->ts))
    return;
  if (packet->seq + packet->length() != entry.rcv_nxt.raw()) return;
  // Not one that an earlier step drops: without ACK, of what was never sent, too old.
  if (!packet->has(test::ACK) || less(entry.snd_nxt.raw(), packet->ack)) return;
  if (entry.timestamps && less(packet->ts->first + paws_tolerance, entry.ts_recent)) return;
  const std::uint32_t index = tcp::FlowSlot::index(slot);
  if (index < waiting_.size() && waiting_[index].generation == entry.generation) waiting_[index].since = now;
}

void TimingOracle::leaves(Core& core, const Plan& plan, Time now, const test::Packet& packet,
                          Ledger& ledger) {
  if (packet.has(test::RST)) return;
  if (!plan.has(Fault::ring)) check_keepalives(core, packet, ledger);  // else old ones may leave late
  if (wire_is_late(plan)) return;
  check_pace(core, plan, now, packet, ledger);
  check_small(core, plan, now, packet, ledger);
  check_edge(core, packet, ledger);
}

/// MUST-39: the offered edge moves by what is worth it, or by what the window's scale rounds.
void TimingOracle::check_edge(Core& core, const test::Packet& p, Ledger& ledger) {
  const tcp::Tcb* tcb = find(core, p.source, p.destination);
  Sending& sending = sendings_[{p.source, p.destination}];
  if (tcb == nullptr || !is_synchronised(*tcb) || p.has(test::SYN)) {
    sending.edge_known = false;
    return;
  }
  const std::uint32_t granule = 1u << (has(*tcb, tcp::wscale_enabled) ? tcb->rcv_wscale : 0);
  const std::uint32_t edge = p.ack + p.window * granule, step = edge - sending.edge;
  const std::uint32_t worth =
      std::min<std::uint32_t>(core.shard().tcp().first_receive_limit / 2, sending.rcv_mss);
  if (sending.edge_known && p.window != 65535 &&
      static_cast<std::int32_t>(step) >= static_cast<std::int32_t>(2 * granule) && step + granule < worth &&
      !has(*tcb, tcp::fin_received))
    ledger.fail("MUST-39 the window opens by " + std::to_string(step) + " bytes: " + p.text());
  // Segments leave when their burst is over: what it brought was not known to those that were written early
  // in it.
  const std::uint32_t index = core.shard().tcp().tcbs.index_of(*tcb);
  const bool known = index < seen_.size() && seen_[index].generation == tcb->generation;
  sending.rcv_mss = known ? seen_[index].rcv_mss : 0;
  if (!sending.edge_known || !less(edge, sending.edge)) sending.edge = edge;
  sending.edge_known = true;
}

/// MUST-29: not for ever, where nobody answers.
void TimingOracle::check_keepalives(Core& core, const test::Packet& p, Ledger& ledger) {
  const tcp::Tcb* tcb = find(core, p.source, p.destination);
  if (tcb == nullptr || !is_synchronised(*tcb) || tcb->snd_una != tcb->snd_nxt ||
      p.has(test::FIN | test::SYN))
    return;
  if (p.seq != tcb->snd_nxt.raw() - 1 || p.payload.size() > 1) return;
  if (++silences_[{p.source, p.destination}].keepalives > core.config().tcp.keepalive_probes)
    ledger.fail("MUST-29 more keep-alive probes than there may be: " + p.text());
}

/// RFC 6298 (5.5), rfc9293 SHLD-30: in silence each wait is longer than the one before.
void TimingOracle::check_pace(const Core& core, const Plan& plan, Time now, const test::Packet& p,
                              Ledger& ledger) {
  const TcpConfig& config = core.config().tcp;
  Silence& silence = silences_[{p.source, p.destination}];
  if (p.length() == 0 || config.user_timeout_option || config.keepalive_garbage || plan.has(Fault::mtu))
    return;
  if (silence.times != 0 && less(silence.seq, p.seq)) return;
  if (silence.times == 0 || p.seq != silence.seq || p.length() != silence.length) {
    silence = {p.seq, p.length(), 1, silence.keepalives, now, {}};
    return;
  }
  const Duration gap = now - silence.last;
  // The first wait may be a tail loss probe's, the second is an RTO.
  if (++silence.times > 3 && 2 * gap < 3 * silence.gap && 10 * gap < 9 * config.rto_max)
    ledger.fail("RFC 6298 5.5 sent again after " + std::to_string(gap / 1us) + " us, after " +
                std::to_string(silence.gap / 1us) + " us before: " + p.text());
  silence.last = now;
  silence.gap = gap;
}

/// MUST-38, SHLD-7: nothing small while something is out, unless Nagle is off, or the override's time has
/// come.
void TimingOracle::check_small(Core& core, const Plan& plan, Time now, const test::Packet& p,
                               Ledger& ledger) {
  if (p.payload.empty() || p.has(test::SYN)) return;
  const tcp::Tcb* tcb = find(core, p.source, p.destination);
  if (tcb == nullptr || !is_synchronised(*tcb)) return;
  Sending& sending = sendings_[{p.source, p.destination}];
  const std::uint32_t size = static_cast<std::uint32_t>(p.payload.size());
  const std::uint32_t end = p.seq + size;
  const bool is_new = end == tcb->snd_nxt.raw();
  const Time before = sending.last_new;
  if (is_new) sending.last_new = now;
  if (!is_new || p.has(test::FIN | test::URG) || has(*tcb, tcp::fin_queued | tcp::probe_out | tcp::dressed))
    return;
  if (before != Time::min() && now - before + slack >= core.config().tcp.override_timeout) return;
  if (before == Time::min() || plan.has(Fault::mtu)) return;
  if (tcb->flight != nullptr && (tcb->flight->tlp_out || tcb->recovery != tcp::Recovery::open)) return;
  if (2 * size >= tcb->snd_mss || !less(tcb->snd_una.raw(), p.seq)) return;
  const bool nagle = core.config().tcp.nagle && !has(*tcb, tcp::nodelay);
  const bool last = p.has(test::PSH);
  if (last && nagle) ledger.fail("SHLD-7 a small segment, with others on their way: " + p.text());
}

void TimingOracle::polled(Core& core, const Plan& plan, Ledger& ledger) {
  tcp::Context& cx = core.shard().tcp();
  seen_.resize(std::max<std::size_t>(seen_.size(), cx.tcbs.high_water()));
  const bool jumps = plan.has(Fault::clock);
  std::uint64_t told = 0;
  for (std::uint32_t i = 0; i < cx.tcbs.high_water(); ++i) {
    const tcp::Tcb& tcb = cx.tcbs[i];
    Seen& seen = seen_[i];
    const bool is_live = (tcb.generation & 1) != 0 && !has(tcb, tcp::ended);
    if (seen.generation != 0 && (seen.generation != tcb.generation || !is_live)) {
      const bool reused = tcb.generation != seen.generation && tcb.generation != seen.generation + 1;
      if (!jumps && !reused) check_end(cx, tcb, seen, ledger);
      const bool cut =
          tcb.close_reason == CloseReason::aborted || tcb.close_reason == CloseReason::unread_data;
      const bool open = seen.state == State::established || seen.state == State::close_wait;
      // Nothing is said where both FINs are acknowledged: with itself an end comes as far as that in one
      // poll.
      const bool is_over =
          has(tcb, tcp::fin_sent) && has(tcb, tcp::fin_received) && tcb.snd_una == tcb.snd_nxt;
      told += cut && !reused && seen.synchronised && open && !is_over ? 1 : 0;
      seen = {};
    }
    if (!is_live) continue;
    if (seen.generation == 0) {
      seen.generation = tcb.generation;
      seen.opened = last_poll_;  // connect() is called between polls, by the time of the last
      seen.progress = seen.in_state = cx.now;
    }
    check_block(cx, tcb, seen, plan, ledger);
  }
  check_fast_opens(cx, ledger);
  if (!jumps) check_time_wait(cx, ledger);
  if (cx.stats.resets_out - resets_out_ < told)
    ledger.fail("3.10.5 an end that the peer is not told of by an RST");
  resets_out_ = cx.stats.resets_out;
  last_poll_ = cx.now;
}

/// I24, of RFC 7413 section 4.2.
void TimingOracle::check_fast_opens(tcp::Context& cx, Ledger& ledger) {
  std::uint32_t counted = 0, there = 0;
  for (const tcp::Listener& listener : cx.listeners) counted += listener.fast_open_pending;
  for (std::uint32_t i = 0; i < cx.tcbs.high_water(); ++i) {
    const tcp::Tcb& tcb = cx.tcbs[i];
    const bool waits = (tcb.generation & 1) != 0 && !has(tcb, tcp::ended | tcp::active_open) &&
                       tcb.state == State::syn_received;
    there += waits ? 1 : 0;
  }
  if (counted != there)
    ledger.fail("I24 opened fast: " + std::to_string(there) + ", counted " + std::to_string(counted));
}

void TimingOracle::check_block(tcp::Context& cx, const tcp::Tcb& tcb, Seen& seen, const Plan& plan,
                               Ledger& ledger) {
  if (tcb.snd_una.raw() != seen.snd_una || tcb.snd_una == tcb.snd_nxt) seen.progress = cx.now;
  if (tcb.state != seen.state || has(tcb, tcp::orphan) != ((seen.flags & tcp::orphan) != 0))
    seen.in_state = cx.now;
  const bool before = seen.synchronised;
  seen.synchronised = is_synchronised(tcb);
  if (seen.synchronised && before) {
    if (!plan.has(Fault::clock)) check_acks(cx, tcb, seen, ledger);
    check_windows(cx, tcb, seen, plan, ledger);
    // I18
    if (has(tcb, tcp::keepalive_on) && tcb.idle_deadline == tcp::never)
      ledger.fail("I18 no keep-alive timer" + name_of(tcb));
  }
  // I25: what is read is given back: no more is held than lies between the first unread byte and the offered
  // edge.
  if (tcb.receive != nullptr) {
    const std::uint32_t span = distance(tcb.receive->unread, tcb.rcv_adv);
    if (tcb.receive->chunks > span / tcp::chunk_bytes + 2)
      ledger.fail("I25 " + std::to_string(tcb.receive->chunks) + " chunks for a window of " +
                  std::to_string(span) + name_of(tcb));
  }
  seen.state = tcb.state;
  seen.flags = tcb.flags;
  seen.snd_una = tcb.snd_una.raw();
  seen.rcv_mss = tcb.rcv_mss;
}

/// MUST-58, SHLD-18, SHLD-19
void TimingOracle::check_acks(tcp::Context& cx, const tcp::Tcb& tcb, Seen& seen, Ledger& ledger) {
  const bool owes = tcb.last_ack_sent != tcb.rcv_nxt && !has(tcb, tcp::dirty);
  if (!owes || !seen.owes || seen.last_ack_sent != tcb.last_ack_sent.raw()) seen.owed = cx.now;
  seen.owes = owes;
  seen.last_ack_sent = tcb.last_ack_sent.raw();
  if (!owes) return;
  if (cx.now - seen.owed > cx.config.tcp.delayed_ack + 1ms)
    ledger.fail("SHLD-18 an ACK is late" + name_of(tcb));
  if (distance(tcb.last_ack_sent, tcb.rcv_nxt) >= 2u * tcb.rcv_mss)
    ledger.fail("SHLD-19 two full segments and no ACK" + name_of(tcb));
}

/// MUST-39's other side: the window opens again when all is read.
void TimingOracle::check_windows(tcp::Context& cx, const tcp::Tcb& tcb, Seen& seen, const Plan& plan,
                                 Ledger& ledger) {
  const std::uint32_t granule = 1u << (has(tcb, tcp::wscale_enabled) ? tcb.rcv_wscale : 0);
  const std::uint32_t worth = std::min<std::uint32_t>(cx.first_receive_limit / 2, tcb.rcv_mss);
  const std::uint32_t offered = distance(tcb.rcv_nxt, tcb.rcv_adv);
  const bool shut = offered + 2 * granule < worth && tcp::unread_bytes(tcb) == 0 &&
                    !has(tcb, tcp::fin_received | tcp::dirty) && !has(tcb, tcp::orphan);
  // An edge that has moved since was said, though more text has come by now.
  if (!shut || !seen.is_shut || seen.rcv_adv != tcb.rcv_adv.raw()) seen.shut = cx.now;
  seen.is_shut = shut;
  seen.rcv_adv = tcb.rcv_adv.raw();
  if (shut && cx.now - seen.shut > 500ms && !plan.has(Fault::clock))
    ledger.fail("MUST-39 all is read, and the window stays shut" + name_of(tcb) + ": " +
                std::to_string(offered) + " bytes, for " + std::to_string((cx.now - seen.shut) / 1ms) +
                " ms");
}

/// MUST-20, MUST-23, MUST-29: nobody is given up before the time.
void TimingOracle::check_end(tcp::Context& cx, const tcp::Tcb& tcb, const Seen& seen, Ledger& ledger) {
  const TcpConfig& config = cx.config.tcp;
  const auto too_early = [&](Time since, Duration least, const char* what) {
    if (cx.now - since + slack < least)
      ledger.fail(std::string{"MUST-20 given up by "} + what + " after " +
                  std::to_string((cx.now - since) / 1ms) + " ms" + name_of(tcb));
  };
  const CloseReason why = tcb.close_reason;
  if (why == CloseReason::timed_out && (seen.flags & tcp::orphan) == 0 && tcb.user_timeout_ds == 0 &&
      seen.synchronised)
    too_early(seen.progress, config.r2_timeout, "R2");
  if (why == CloseReason::connect_timed_out)
    too_early(seen.opened, config.connect_timeout, "the connect timeout");
  if (why == CloseReason::fin_wait_2_timed_out)
    too_early(seen.in_state, config.fin_wait_2_timeout, "FIN-WAIT-2");
  if (why == CloseReason::keepalive_timed_out)
    too_early(cx.now - std::chrono::milliseconds{cx.now_ms - tcb.heard_ms},
              config.keepalive_idle + (config.keepalive_probes - 1) * config.keepalive_interval,
              "keep-alive");
}

/// I16
void TimingOracle::check_time_wait(tcp::Context& cx, Ledger& ledger) {
  const CoreStats& stats = cx.stats;
  const bool excused = stats.time_wait_cut_short != cut_ || stats.time_wait_reused != reused_ ||
                       (stats.resets_in != resets_ && !cx.config.tcp.rfc1337);
  cut_ = stats.time_wait_cut_short;
  reused_ = stats.time_wait_reused;
  resets_ = stats.resets_in;
  waiting_.resize(cx.time_waits.capacity());
  for (std::uint32_t i = 0; i < waiting_.size(); ++i) {
    const tcp::TimeWait& entry = cx.time_waits[i];
    Waiting& waiting = waiting_[i];
    if (waiting.generation != 0 && waiting.generation != entry.generation && !excused &&
        cx.now - waiting.since < 2 * cx.config.tcp.msl)
      ledger.fail("I16 TIME-WAIT lasted " + std::to_string((cx.now - waiting.since) / 1ms) + " ms");
    if ((entry.generation & 1) == 0) {
      waiting = {};
    } else if (waiting.generation != entry.generation) {
      waiting = {entry.generation, cx.now};
    }
  }
}

}  // namespace handfast::sim
