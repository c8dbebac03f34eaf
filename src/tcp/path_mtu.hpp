// SPDX-License-Identifier: BSD-3-Clause
// The size of the segments that we send: the peer's MSS and our MTU (RFC 9293 section 3.7.1), what routers
// say (RFC 1191, with the caution of RFC 5927 section 7), what time-outs say where routers are silent (RFC
// 4821 section 7.7). Layer: tcp. Probing upward is in path_probe.hpp. It orders retransmissions, it sends
// nothing.
#pragma once

#include "tcp/context.hpp"
#include "wire/icmpv4.hpp"

namespace handfast::tcp {

/// IP and TCP headers with the options that every segment has.
[[nodiscard]] inline std::uint32_t full_headers(const Tcb& tcb) { return has(tcb, ts_enabled) ? 52 : 40; }
/// Bytes of the largest datagram that is sent now, probes aside.
[[nodiscard]] inline std::uint32_t path_mtu(const Tcb& tcb) { return tcb.snd_mss + full_headers(tcb); }
/// What peer and link allow.
[[nodiscard]] inline std::uint32_t most_path_mtu(const Tcb& tcb) { return tcb.mss_limit + 40u; }

/// SND.MSS from what the peer announced: its floor, our MTU, what is known of the path, our options.
void set_send_mss(Context& cx, Tcb& tcb, std::uint16_t peer_mss);

/// "Fragmentation needed" about a segment in flight.
[[nodiscard]] Drop packet_too_big(Context& cx, Tcb& tcb, const wire::IcmpQuote& quote);

/// The retransmission timer expired (backoff is not counted yet). True: the size was at fault, as an ICMP
/// error had said before; the flight is ordered again, and it is no sign of congestion. False: loss; the size
/// may have been cut all the same.
[[nodiscard]] bool on_path_timeout(Context& cx, Tcb& tcb);

/// snd_mss has become smaller: what is in flight is sent again in smaller pieces, without a word on
/// congestion.
void on_mss_reduced(Context& cx, Tcb& tcb);

/// The connection is over.
void release_path_search(Context& cx, Tcb& tcb);

// --- shared with path_probe.cpp ---

[[nodiscard]] inline PathSearch* path_search_of(Context& cx, const Tcb& tcb) {
  return rare(tcb).path_search != npos ? &cx.path_searches[rare(tcb).path_search] : nullptr;
}
/// The connection's, made if there is none; null when the pool is empty.
[[nodiscard]] PathSearch* make_path_search(Context& cx, Tcb& tcb);
/// Whether a full segment of the size in use has arrived, as far as acknowledgements tell.
[[nodiscard]] bool is_proven(Context& cx, const Tcb& tcb);
/// Smaller segments arrive, or not yet: what was suspected is known then.
void judge_black_hole(Context& cx, const Tcb& tcb, PathSearch& search);
/// New connections to this destination begin with what this one has.
void remember_path(Context& cx, const Tcb& tcb);
/// Not before ten minutes from now (rfc1191 6.3, rfc4821 7.3).
void try_larger_later(const Context& cx, Tcb& tcb);
[[nodiscard]] bool may_try_larger(const Context& cx, const Tcb& tcb);
void raise_mss(Tcb& tcb, std::uint32_t mtu);

}  // namespace handfast::tcp
