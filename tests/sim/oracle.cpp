// SPDX-License-Identifier: BSD-3-Clause
// The invariants that the simulator adds; see oracle.hpp. Layer: simulator.
#include "sim/oracle.hpp"

#include <algorithm>
#include <cstdio>

#include "shard/shard.hpp"
#include "tcp/congestion.hpp"
#include "tcp/invariants.hpp"

namespace handfast::sim {
namespace {

bool after(std::uint32_t a, std::uint32_t b) { return static_cast<std::int32_t>(a - b) > 0; }

bool is_synchronised(const tcp::Tcb& tcb) {
  return has(tcb, tcp::in_table) && !has(tcb, tcp::ended) && tcb.state != State::syn_sent &&
         tcb.state != State::syn_received;
}

/// I13: figure 5 of RFC 9293, and CLOSED after everything. Within one poll several steps may be taken.
bool may_become(State from, State to) {
  using enum State;
  static const auto reachable = [] {
    std::array<std::array<bool, state_count>, state_count> may{};
    const auto edge = [&may](State a, State b) {
      may[static_cast<std::size_t>(a)][static_cast<std::size_t>(b)] = true;
    };
    for (const auto& [a, b] : {std::pair{syn_sent, established},
                               {syn_sent, syn_received},
                               {syn_received, established},
                               {syn_received, fin_wait_1},
                               {established, fin_wait_1},
                               {established, close_wait},
                               {fin_wait_1, fin_wait_2},
                               {fin_wait_1, closing},
                               {close_wait, last_ack}})
      edge(a, b);
    for (std::size_t i = 0; i < state_count; ++i) may[i][i] = may[i][static_cast<std::size_t>(closed)] = true;
    for (std::size_t k = 0; k < state_count; ++k)
      for (std::size_t i = 0; i < state_count; ++i)
        for (std::size_t j = 0; j < state_count; ++j) may[i][j] = may[i][j] || (may[i][k] && may[k][j]);
    return may;
  }();
  return reachable[static_cast<std::size_t>(from)][static_cast<std::size_t>(to)];
}

/// RFC 6937 section 3: what leaves is bounded by what is delivered while more is out than the threshold, and
/// by the threshold then: a window is never more than was out when the loss was found, or the threshold, and
/// the segment that is sent again whatever the window says. Without SACK a duplicate ACK stands for a full
/// segment (section 2), so that this holds where segments are full. 0: not in fast recovery, or that cannot
/// be said.
std::uint32_t most_in_recovery(const tcp::Tcb& tcb) {
  if (tcb.flight == nullptr || tcb.recovery != tcp::Recovery::fast || tcp::congestion(tcb).models) return 0;
  const std::uint32_t full = (tcb.flight->sent.size() - 1) * tcb.snd_mss;
  if (!has(tcb, tcp::sack_enabled) && distance(tcb.snd_una, tcb.snd_nxt) < full) return 0;
  return std::max(tcb.ssthresh, tcb.flight->recover_flight) + tcb.snd_mss;
}

}  // namespace

std::array<std::array<std::uint64_t, state_count>, state_count>& seen_transitions() {
  static std::array<std::array<std::uint64_t, state_count>, state_count> counts{};
  return counts;
}

void InsideOracle::check(Core& core, const test::Withheld& withheld, Ledger& ledger) {
  tcp::Context& cx = core.shard().tcp();
  if (std::string why = test::broken_invariant(core, withheld, looks_++ % 8 == 0); !why.empty())
    ledger.fail(std::move(why));
  seen_.resize(std::max<std::size_t>(seen_.size(), cx.tcbs.high_water()));
  for (std::uint32_t i = 0; i < cx.tcbs.high_water(); ++i)
    if ((cx.tcbs[i].generation & 1) != 0) check_progress(cx.tcbs[i], seen_[i], ledger);
  check_time_wait(core, ledger);
}

void InsideOracle::check_progress(const tcp::Tcb& tcb, Seen& seen, Ledger& ledger) {
  const tcp::Flight* flight = tcb.flight;
  const std::uint32_t out = distance(tcb.snd_una, tcb.snd_nxt);
  std::uint32_t pipe = flight != nullptr ? out - flight->sacked - flight->lost + flight->resent : out;
  // rfc5681 3.2 (4): without SACK each duplicate ACK says that one more has left the network.
  if (!has(tcb, tcp::sack_enabled)) pipe -= std::min(pipe, std::uint32_t{tcb.dup_acks} * tcb.snd_mss);
  const Seen now{tcb.generation,
                 tcb.rcv_nxt.raw(),
                 tcb.rcv_adv.raw(),
                 tcb.snd_una.raw(),
                 tcb.snd_nxt.raw(),
                 pipe,
                 tcb.cwnd,
                 flight != nullptr ? flight->lost : 0,
                 most_in_recovery(tcb),
                 tcb.state,
                 tcb.congestion};
  if (seen.generation != now.generation || seen.state != now.state) {
    const State before = seen.generation == now.generation ? seen.state : State::closed;
    ++seen_transitions()[static_cast<std::size_t>(before)][static_cast<std::size_t>(now.state)];
    ledger.note(std::uint64_t{now.generation} << 32 | static_cast<std::uint64_t>(now.state));
    if (seen.generation == now.generation && !may_become(before, now.state))
      ledger.fail("I13 from " + std::string{handfast::name(before)} + " to " +
                  std::string{handfast::name(now.state)});
  }
  const bool comparable =
      seen.generation == now.generation && is_synchronised(tcb) && seen.state >= State::established;
  if (comparable) {
    if (after(seen.rcv_nxt, now.rcv_nxt)) ledger.fail("I3 rcv_nxt went back");
    if (after(seen.rcv_adv, now.rcv_adv)) ledger.fail("I4 the offered edge went back");
    if (after(seen.snd_una, now.snd_una) || after(seen.snd_nxt, now.snd_nxt))
      ledger.fail("I1 the send sequence went back");
    // I7: what is new leaves within the window of before or of now, but for probes of the tail and limited
    // transmit. What had been taken for lost, and was not, comes on top; so does a tail loss probe of new
    // data, whatever is out (rfc8985 7.3).
    const bool probes = flight != nullptr && flight->tlp_out && now.snd_nxt - seen.snd_nxt <= tcb.snd_mss;
    const std::uint32_t room = std::max(seen.cwnd, now.cwnd) + 4u * tcb.snd_mss;
    if (after(now.snd_nxt, seen.snd_nxt) && pipe > room + seen.lost && pipe > seen.pipe && !probes &&
        !has(tcb, tcp::probe_out))
      ledger.fail("I7 " + std::to_string(pipe) + " bytes in flight with a window of " + std::to_string(room));
  }
  // The threshold may fall in mid-recovery, and what is out does not follow at once; and what another
  // algorithm has let out before an application changed it has no bound here.
  const bool is_changed = comparable && now.congestion != seen.congestion;
  if (comparable && !is_changed && now.most != 0 && now.cwnd != seen.cwnd &&
      tcb.cwnd > std::max(now.most, seen.most))
    ledger.fail("I7 in recovery a window of " + std::to_string(tcb.cwnd) + " and not at most " +
                std::to_string(std::max(now.most, seen.most)));
  const std::uint32_t most = comparable ? std::max(now.most, seen.most) : now.most;
  seen = now;
  if (tcb.recovery == tcp::Recovery::fast) seen.most = is_changed ? UINT32_MAX : most;
}

/// I16: 2MSL, unless a newer SYN took the entry over, the table was full, or (where it may) a RST ended it.
void InsideOracle::check_time_wait(Core& core, Ledger& ledger) {
  const tcp::Context& cx = core.shard().tcp();
  const CoreStats& stats = cx.stats;
  const std::uint64_t reasons =
      stats.time_wait_reused + stats.time_wait_cut_short + (cx.config.tcp.rfc1337 ? 0 : stats.resets_in);
  std::uint64_t gone = 0;
  if (waiting_.size() < cx.time_waits.capacity()) waiting_.resize(cx.time_waits.capacity());
  for (std::uint32_t i = 0; i < waiting_.size(); ++i)
    if (Waiting& entry = waiting_[i];
        (entry.generation & 1) != 0 && cx.time_waits[i].generation != entry.generation) {
      gone += cx.now < entry.expires ? 1 : 0;
      entry = {};
    }
  for (std::uint32_t i = cx.time_waits.oldest(); i != tcp::TimeWaitList::npos; i = cx.time_waits[i].next) {
    const Waiting now{cx.time_waits[i].generation, cx.time_waits[i].expires};
    const bool begun = waiting_[i].generation != now.generation || waiting_[i].expires != now.expires;
    if (begun && now.expires < cx.now + 2 * cx.config.tcp.msl)
      ledger.fail("I16 TIME-WAIT is shorter than 2MSL");
    waiting_[i] = now;
  }
  if (gone > reasons - reasons_) ledger.fail("I16 TIME-WAIT ended before 2MSL");
  reasons_ = reasons;
}

void check_both(Core& core, Core& other, Ledger& ledger) {
  tcp::Context& a = core.shard().tcp();
  tcp::Context& b = other.shard().tcp();
  for (std::uint32_t i = 0; i < a.tcbs.high_water(); ++i) {
    const tcp::Tcb& from = a.tcbs[i];
    if ((from.generation & 1) == 0 || !is_synchronised(from)) continue;
    if (from.key.remote_address != b.config.link.address.address.value) continue;
    const FlowKey key{from.key.remote(), from.key.local()};
    const std::uint32_t slot = b.flows.find(b.hasher(key), key);
    if (slot == tcp::npos || tcp::FlowSlot::kind(slot) != tcp::FlowKind::connection) continue;
    const tcp::Tcb& to = b.tcbs[tcp::FlowSlot::index(slot)];
    if (!is_synchronised(to) || to.irs != from.iss || to.iss != from.irs) continue;
    // A second connection made of the first one's cookie knows nothing of what the first one took.
    if (from.key.local().port == served_port || to.key.local().port == served_port) {
      const bool from_server = from.key.local().port == served_port;
      const Talk* talk = ledger.find(from_server ? from.key.remote() : from.key.local(),
                                     from_server ? from.key.local() : from.key.remote());
      if (talk == nullptr || talk->ghost) continue;
    }
    if (after(from.snd_una.raw(), to.rcv_nxt.raw()) || after(to.rcv_nxt.raw(), from.snd_nxt.raw()))
      ledger.fail("I9 una " + std::to_string(from.snd_una.raw() - from.iss.raw()) + " <= their rcv_nxt " +
                  std::to_string(to.rcv_nxt.raw() - from.iss.raw()) + " <= nxt " +
                  std::to_string(from.snd_nxt.raw() - from.iss.raw()) +
                  " does not hold: " + from.key.local().to_string() + " > " + from.key.remote().to_string());
  }
}

std::string block_text(Core& core, ConnId id) {
  const tcp::Context& cx = core.shard().tcp();
  tcp::Tcb* const found = core.shard().find(id);
  std::string drops = "{drops";
  for (std::size_t i = 0; i < drop_count; ++i)
    if (cx.stats.drops[i] != 0)
      drops +=
          " " + std::string{handfast::name(static_cast<Drop>(i))} + " " + std::to_string(cx.stats.drops[i]);
  if (found == nullptr) return drops + "}";
  const tcp::Tcb& tcb = *found;
  const auto until = [&cx](Time deadline) {
    return deadline == tcp::never ? std::string{"never"} : std::to_string((deadline - cx.now) / 1us) + " us";
  };
  char flags[32];
  std::snprintf(flags, sizeof flags, "%#llx", static_cast<unsigned long long>(tcb.flags));
  std::string s = "{" + std::string{handfast::name(tcb.state)} + " flags " + flags + " una " +
                  std::to_string(distance(tcb.iss, tcb.snd_una)) + " nxt " +
                  std::to_string(distance(tcb.iss, tcb.snd_nxt)) + " queued " +
                  std::to_string(tcb.send_queued) + " wnd " + std::to_string(tcb.snd_wnd) + " max " +
                  std::to_string(tcb.max_snd_wnd) + " cwnd " + std::to_string(tcb.cwnd) + " mss " +
                  std::to_string(tcb.snd_mss) + " " + std::string{handfast::name(tcb.congestion)} +
                  " recovery " + std::to_string(static_cast<int>(tcb.recovery)) + " backoff " +
                  std::to_string(tcb.backoff) + " rcv_nxt " + std::to_string(distance(tcb.irs, tcb.rcv_nxt)) +
                  " adv " + std::to_string(distance(tcb.irs, tcb.rcv_adv)) + " unread " +
                  std::to_string(tcp::unread_bytes(tcb)) + " rtx " + until(tcb.rtx_deadline) + " ack " +
                  until(tcb.ack_deadline) + " idle " + until(tcb.idle_deadline) + " timer " +
                  (tcb.timer.armed() ? until(tcb.timer.deadline) : "off");
  if (tcb.flight != nullptr)
    s += " flight: records " +
         std::to_string(tcb.flight->sent.back_number() - tcb.flight->sent.front_number()) + " sacked " +
         std::to_string(tcb.flight->sacked) + " lost " + std::to_string(tcb.flight->lost) + " resent " +
         std::to_string(tcb.flight->resent);
  s += "; shard: chunks " + std::to_string(cx.chunks.in_use()) + "/" + std::to_string(cx.chunks.capacity()) +
       " extents " + std::to_string(cx.extents.in_use()) + " flights " + std::to_string(cx.flights.in_use()) +
       "/" + std::to_string(cx.flights.capacity());
  return s + "}";
}

WireOracle::WireOracle(Ledger& ledger, const Plan& plan)
    : ledger_(ledger),
      plan_(plan),
      strict_((plan.faults & (mask(Fault::replay) | mask(Fault::crash) | mask(Fault::attacker) |
                              mask(Fault::memory) | mask(Fault::listener) | mask(Fault::drought) |
                              mask(Fault::drain) | mask(Fault::garble))) == 0 &&
              std::ranges::none_of(plan.exchanges, [](const Exchange& x) { return x.fast_open; })) {}

void WireOracle::check(unsigned from, std::span<const std::byte> frame, Traffic& traffic) {
  if (frame.size() < 24 || frame[12] != std::byte{8} || frame[13] != std::byte{0} ||
      frame[23] != std::byte{6})
    return;  // ARP, ICMP
  ++segments_;
  if (frame.size() > 14u + plan_.ends[from].link.mtu)
    return ledger_.fail("I27 a frame of " + std::to_string(frame.size()) + " bytes on a link of " +
                        std::to_string(plan_.ends[from].link.mtu));
  std::string why;
  const auto packet = test::parse_strictly(frame, why);
  if (!packet) return ledger_.fail("I27 " + why);
  if (packet->payload.empty() && !packet->has(test::SYN) && !packet->has(test::FIN)) ++traffic.bare;
  if (packet->has(test::RST)) ++traffic.resets;
  check_flow(from, *packet, frame.size() - 14 - 40 - packet->payload.size());
}

void WireOracle::check_flow(unsigned from, const test::Packet& p, std::size_t options_length) {
  Flow& flow = flows_[{p.source, p.destination}];
  Flow& back = flows_[{p.destination, p.source}];
  if (p.has(test::RST)) {
    if (!p.payload.empty()) fail("I27 a RST with data", p);
    return;
  }
  if (p.has(test::SYN)) {
    if (!flow.syn || flow.isn != p.seq) flow = {};
    flow.syn = true;
    flow.isn = p.seq;
    flow.scaled = p.wscale.has_value();
    flow.shift = p.wscale.value_or(0);
    flow.mss = p.mss.value_or(536);
    if (!p.has(test::ACK)) return;
  }
  if (!strict_ || !flow.syn) return;
  if (p.ts && !plan_.has(Fault::clock)) {  // a jump by more than 24 days looks like one back
    if (flow.timed && after(flow.tsval, p.ts->first))
      fail("I27 TSval went back from " + std::to_string(flow.tsval), p);
    flow.tsval = p.ts->first;
    flow.timed = true;
  }
  if (p.has(test::ACK)) {
    if (flow.acked && after(flow.ack, p.ack))
      fail("I27 the ACK went back from " + std::to_string(flow.ack), p);
    const std::uint32_t shift = !p.has(test::SYN) && flow.scaled && back.scaled ? flow.shift : 0u;
    const std::uint32_t edge = p.ack + (std::uint32_t{p.window} << shift);
    if (!flow.acked || after(edge, flow.edge)) flow.edge = edge;
    flow.ack = p.ack;
    flow.acked = true;
  }
  if (p.payload.empty() || p.has(test::SYN)) return;
  const std::size_t most = std::max<std::size_t>(back.mss, plan_.ends[from].tcp.min_send_mss);
  if (back.syn && p.payload.size() + options_length > most)
    fail("I27 more than the peer's MSS of " + std::to_string(back.mss), p);
  // I2, but for the one byte of a probe.
  const std::uint32_t right = p.seq + static_cast<std::uint32_t>(p.payload.size());
  if (back.acked && after(right, back.edge) && !(p.payload.size() == 1 && right == back.edge + 1))
    fail("I2 beyond the window's edge " + std::to_string(back.edge), p);
}

}  // namespace handfast::sim
