// SPDX-License-Identifier: BSD-3-Clause
// The invariants that the simulator adds; see oracle.hpp. Layer: simulator.
#include "sim/oracle.hpp"

#include <algorithm>
#include <cstdio>

#include "shard/shard.hpp"
#include "tcp/invariants.hpp"

namespace handfast::sim {
namespace {

bool after(std::uint32_t a, std::uint32_t b) { return static_cast<std::int32_t>(a - b) > 0; }

bool is_synchronised(const tcp::Tcb& tcb) {
  return has(tcb, tcp::in_table) && !has(tcb, tcp::ended) && tcb.state != State::syn_sent &&
         tcb.state != State::syn_received;
}

}  // namespace

void InsideOracle::check(Core& core, Ledger& ledger) {
  tcp::Context& cx = core.shard().tcp();
  seen_.resize(std::max<std::size_t>(seen_.size(), cx.tcbs.high_water()));
  std::uint32_t in_table = 0, pending = 0;
  for (std::uint32_t i = 0; i < cx.tcbs.high_water(); ++i) {
    const tcp::Tcb& tcb = cx.tcbs[i];
    if ((tcb.generation & 1) == 0) continue;
    tcp::check_invariants(cx, tcb);
    in_table += has(tcb, tcp::in_table) ? 1 : 0;
    pending += has(tcb, tcp::accept_pending) ? 1 : 0;
    Seen& seen = seen_[i];
    const Seen now{tcb.generation, tcb.rcv_nxt.raw(), tcb.rcv_adv.raw(), tcb.snd_una.raw(),
                   tcb.snd_nxt.raw()};
    if (seen.generation == now.generation && is_synchronised(tcb)) {
      if (after(seen.rcv_nxt, now.rcv_nxt)) ledger.fail("I3 rcv_nxt went back");
      if (after(seen.rcv_adv, now.rcv_adv)) ledger.fail("I4 the offered edge went back");
      if (after(seen.snd_una, now.snd_una) || after(seen.snd_nxt, now.snd_nxt))
        ledger.fail("I1 the send sequence went back");
    }
    seen = is_synchronised(tcb) ? now : Seen{};
    // I18: what could be sent, and is not, has something that will send it.
    const bool waits =
        is_synchronised(tcb) && tcb.send_queued != 0 && tcb.snd_una == tcb.snd_nxt && !has(tcb, tcp::dirty);
    const bool paced = tcb.flight != nullptr && tcb.flight->pace_deadline != tcp::never;
    if (waits && tcb.rtx_deadline == tcp::never && !paced)
      ledger.fail("I18 data waits and no timer runs: " + tcb.key.local().to_string() + " > " +
                  tcb.key.remote().to_string() + " " + block_text(core, core.shard().id_of(tcb)));
  }
  if (cx.flows.size() != in_table + cx.half_opens.size() + cx.time_waits.size())
    ledger.fail("I23 the flow table and its blocks do not agree");
  std::uint32_t waiting = 0, half_open = 0;
  for (const tcp::Listener& listener : cx.listeners) {
    waiting += listener.waiting;
    half_open += listener.half_open;
    if (listener.waiting > listener.backlog && listener.open)
      ledger.fail("I25 more wait than the backlog allows");
  }
  if (waiting != pending)
    ledger.fail("I24 connections that wait for accept: " + std::to_string(pending) + ", counted " +
                std::to_string(waiting));
  if (half_open != cx.half_opens.size()) ledger.fail("I24 half-open connections are miscounted");
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
                              mask(Fault::memory) | mask(Fault::listener))) == 0 &&
              std::ranges::none_of(plan.exchanges, [](const Exchange& x) { return x.fast_open; })) {}

void WireOracle::check(unsigned from, std::span<const std::byte> frame) {
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
