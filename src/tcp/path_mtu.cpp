// SPDX-License-Identifier: BSD-3-Clause
// How large segments may be, and what makes them smaller. Layer: tcp; see path_mtu.hpp.
#include "tcp/path_mtu.hpp"

#include <algorithm>
#include <array>

#include "tcp/path_probe.hpp"
#include "tcp/recovery.hpp"

namespace handfast::tcp {
namespace {

/// Where a connection begins that is to find out upward what its path takes (rfc4821 7.2 calls it a good
/// compromise).
constexpr std::uint32_t cautious_mtu = 1400;
/// Second answer to a black hole: what each IPv4 host must take (RFC 791).
constexpr std::uint32_t least_black_hole_mtu = 576;
/// Time-outs from the first cut on suspicion to the second.
constexpr std::uint32_t time_outs_between_cuts = 2;
/// ICMP errors that one connection believes at once; a path has no more hops that are each narrower than the
/// last.
constexpr std::uint8_t most_cuts = 8;
/// IP and TCP headers with all options there can be.
constexpr std::uint32_t most_headers = 20 + 60;

/// rfc1191 7, table 7-1: what to guess where an old router does not name its MTU.
constexpr std::array<std::uint16_t, 10> plateaus{32000, 17914, 8166, 4352, 2002, 1492, 1006, 508, 296, 68};

std::uint32_t plateau_below(std::uint32_t size) {
  const auto* plateau = std::ranges::find_if(plateaus, [size](std::uint16_t p) { return p < size; });
  return plateau != plateaus.end() ? *plateau : 0;
}

std::uint32_t least_path_mtu(const Context& cx) { return cx.config.tcp.min_send_mss + 40u; }

constexpr unsigned tick_shift = 13;  // 8.2 s: two bytes of these reach three days

std::uint16_t path_tick(const Context& cx) { return static_cast<std::uint16_t>(cx.now_ms >> tick_shift); }

void lower_mss(Context& cx, Tcb& tcb, std::uint32_t mtu) {
  tcb.snd_mss = static_cast<std::uint16_t>(mtu - full_headers(tcb));
  set(tcb, mss_unsettled);
  try_larger_later(cx, tcb);
  on_mss_reduced(cx, tcb);
}

/// A router's word is taken. What is larger was tried and refused: no search before the path may have
/// changed.
void believe(Context& cx, Tcb& tcb, PathSearch& search, std::uint32_t mtu) {
  search.claimed = search.probe_size = search.high = 0;
  search.black_hole = false;
  search.proof = tcb.snd_una;
  search.proven = false;
  ++cx.stats.path_mtu_reduced;
  lower_mss(cx, tcb, mtu);
  remember_path(cx, tcb);
}

bool is_in_flight(const Tcb& tcb, Seq seq) { return !before(seq, tcb.snd_una) && before(seq, tcb.snd_nxt); }

/// rfc4821 7.7, rfc2923 2.1: the same large segment lost again and again, and nobody says why. The connection
/// may as well be cut off, so the old size is what is probed first once something arrives.
void suspect_black_hole(Context& cx, Tcb& tcb) {
  const TcpConfig& config = cx.config.tcp;
  if (config.path_mtu_discovery < PathMtuDiscovery::black_hole) return;
  const std::uint32_t time_outs = tcb.backoff + 1u;
  const std::uint32_t first = std::max<std::uint32_t>(config.r1_retries, 2);
  if (time_outs < first) return;
  std::uint32_t target = std::max<std::uint32_t>(config.base_path_mtu, least_path_mtu(cx));
  if (time_outs >= first + time_outs_between_cuts)
    target = std::clamp(least_black_hole_mtu, least_path_mtu(cx), target);
  const std::uint32_t lost =
      std::min<std::uint32_t>(tcb.snd_mss, distance(tcb.snd_una, tcb.snd_nxt)) + full_headers(tcb);
  if (lost <= target) return;
  const std::uint32_t old = path_mtu(tcb);
  const bool proven = is_proven(cx, tcb);
  ++cx.stats.path_black_holes;
  if (PathSearch* search = make_path_search(cx, tcb)) {
    if (!search->black_hole) {
      search->high_untried = proven;
      search->high = static_cast<std::uint16_t>(proven ? old : old - 1);
    }
    search->black_hole = true;
    search->probe_size = 0;
    search->proof = tcb.snd_una;
    search->proven = false;
  }
  lower_mss(cx, tcb, target);
}

}  // namespace

bool is_proven(Context& cx, const Tcb& tcb) {
  const PathSearch* search = path_search_of(cx, tcb);
  if (search == nullptr)
    return tcb.send_wraps != 0 || (has(tcb, syn_acked) && distance(tcb.iss + 1, tcb.snd_una) >= tcb.snd_mss);
  return search->proven || !before(tcb.snd_una, search->proof + tcb.snd_mss);
}

void try_larger_later(const Context& cx, Tcb& tcb) {
  constexpr std::uint32_t ticks =
      (path_lifetime_ms >> tick_shift) + 2;  // two are cut off: the division's, and this one
  take_rare(cx, tcb).larger_after = static_cast<std::uint16_t>(path_tick(cx) + ticks);
}

bool may_try_larger(const Context& cx, const Tcb& tcb) {
  return static_cast<std::int16_t>(path_tick(cx) - rare(tcb).larger_after) >= 0;
}

void raise_mss(Tcb& tcb, std::uint32_t mtu) {
  tcb.snd_mss = static_cast<std::uint16_t>(std::min(mtu, most_path_mtu(tcb)) - full_headers(tcb));
  // Both are bytes, with least values in segments (RFC 5681 section 3.1).
  tcb.cwnd = std::max<std::uint32_t>(tcb.cwnd, tcb.snd_mss);
  tcb.ssthresh = std::max<std::uint32_t>(tcb.ssthresh, 2u * tcb.snd_mss);
}

PathSearch* make_path_search(Context& cx, Tcb& tcb) {
  if (PathSearch* search = path_search_of(cx, tcb)) return search;
  const bool proven = is_proven(cx, tcb);
  const std::uint32_t index = cx.path_searches.allocate();
  if (index == npos) return nullptr;
  PathSearch& search = cx.path_searches[index];
  const std::uint32_t generation = search.generation;
  search = PathSearch{};
  search.generation = generation;
  search.proof = tcb.iss + 1;
  search.proven = proven;
  take_rare(cx, tcb).path_search = index;
  set(tcb, mss_unsettled);
  return &search;
}

void judge_black_hole(Context& cx, const Tcb& tcb, PathSearch& search) {
  search.proven = is_proven(cx, tcb);
  if (!search.black_hole || !search.proven) return;
  search.black_hole = false;
  if (!search.high_untried) remember_path(cx, tcb);  // the old size has never arrived, the new one has
}

void release_path_search(Context& cx, Tcb& tcb) {
  if (rare(tcb).path_search == npos) return;
  judge_black_hole(cx, tcb, cx.path_searches[rare(tcb).path_search]);
  cx.path_searches.free(rare(tcb).path_search);
  take_rare(cx, tcb).path_search = npos;
}

void remember_path(Context& cx, const Tcb& tcb) {
  const Ipv4Address destination{tcb.key.remote_address};
  // Where the peer's MSS is the limit, the path may be wider than what is sent.
  if (path_mtu(tcb) >= most_path_mtu(tcb))
    cx.paths.forget(destination);
  else if (cx.paths.store(destination, static_cast<std::uint16_t>(path_mtu(tcb)), cx.now_ms))
    ++cx.stats.paths_pushed_out;
}

void set_send_mss(Context& cx, Tcb& tcb, std::uint16_t peer_mss) {
  // MUST-16: the lesser of what the peer takes and what our path does, less options that every segment has
  // (MUST-67).
  const TcpConfig& config = cx.config.tcp;
  tcb.mss_limit = static_cast<std::uint16_t>(
      std::min<std::uint32_t>(std::max(peer_mss, config.min_send_mss), cx.config.link.mtu - 40u));
  std::uint32_t mtu = most_path_mtu(tcb);
  if (!cx.paths.empty() || config.path_mtu_discovery == PathMtuDiscovery::always) [[unlikely]] {
    const std::uint32_t known = cx.paths.find(Ipv4Address{tcb.key.remote_address}, cx.now_ms);
    const std::uint32_t first =
        known != 0 || config.path_mtu_discovery != PathMtuDiscovery::always ? known : cautious_mtu;
    if (first != 0 && first < mtu) {
      mtu = first;
      set(tcb, mss_unsettled);
      try_larger_later(cx, tcb);
      if (known == 0) take_rare(cx, tcb).larger_after = path_tick(cx);
    }
  }
  tcb.snd_mss = static_cast<std::uint16_t>(mtu - full_headers(tcb));
}

Drop packet_too_big(Context& cx, Tcb& tcb, const wire::IcmpQuote& quote) {
  if (cx.config.tcp.path_mtu_discovery == PathMtuDiscovery::off) return Drop::none;
  const PathSearch* search = path_search_of(cx, tcb);
  const bool about_probe = search != nullptr && search->probe_size != 0 && quote.seq == search->probe;
  const std::uint32_t largest = about_probe ? search->probe_size : path_mtu(tcb);
  // rfc1191 5: some routers quote a length that is too long by the header; what was sent is known better.
  const std::uint32_t size = quote.datagram_length;
  const std::uint32_t mtu =
      quote.next_hop_mtu != 0 ? quote.next_hop_mtu : plateau_below(std::min(size, largest));
  // rfc5927 7.2: not about anything that was sent, or no reason to drop it. A path narrower than the least
  // MTU would need fragments, which we do not send.
  const bool was_sent = distance(quote.seq, tcb.snd_nxt) + most_headers >= size;
  if (!was_sent || mtu >= size || mtu < least_path_mtu(cx)) return Drop::icmp_implausible_mtu;
  // rfc1191 6.4: one flight draws many of these; those after the first change nothing, and none ever raises
  // the size.
  if (mtu >= largest) return Drop::none;
  if (about_probe && mtu >= path_mtu(tcb)) {
    probe_was_refused(cx, tcb, mtu);
    return Drop::none;
  }
  PathSearch* doubt = make_path_search(cx, tcb);
  if (doubt == nullptr) return Drop::tcp_no_memory;
  if (!is_proven(cx, tcb) && doubt->cuts < most_cuts) {
    // rfc5927 7.2, initial path MTU discovery: nothing of this size has ever arrived.
    ++doubt->cuts;
    believe(cx, tcb, *doubt, mtu);
    return Drop::none;
  }
  // Path MTU update: this size did arrive. Only a time-out of what is quoted makes it true; of two, the
  // lesser evil.
  const bool other_waits = doubt->claimed != 0 && is_in_flight(tcb, doubt->doubted);
  if (other_waits && doubt->claimed >= mtu) return Drop::none;
  doubt->claimed = static_cast<std::uint16_t>(mtu);
  doubt->doubted = quote.seq;
  return Drop::none;
}

bool on_path_timeout(Context& cx, Tcb& tcb) {
  if (PathSearch* search = path_search_of(cx, tcb)) {
    const std::uint16_t claimed = search->claimed;
    search->claimed = 0;
    if (claimed != 0 && is_in_flight(tcb, search->doubted) && claimed < path_mtu(tcb)) {
      believe(cx, tcb, *search, claimed);
      search->proven = true;  // rfc5927 7.2: maxsizeacked is the claim, a lower one has to wait again
      return true;
    }
    probe_timed_out(cx, tcb);
  }
  suspect_black_hole(cx, tcb);
  return false;
}

void on_mss_reduced(Context& cx, Tcb& tcb) {
  // A SYN whose data was too large leaves again without it, by its own timer (rfc7413 4.1.3).
  if (tcb.snd_una == tcb.snd_nxt || !has(tcb, syn_acked)) return;
  clear(tcb, rtt_timing);
  resend_flight(cx, tcb);
  mark_dirty(cx, tcb);
}

}  // namespace handfast::tcp
