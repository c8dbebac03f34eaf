// SPDX-License-Identifier: BSD-3-Clause
// Probes for a larger path MTU. Layer: tcp; see path_probe.hpp.
#include "tcp/path_probe.hpp"

#include <algorithm>
#include <array>

#include "tcp/flights.hpp"
#include "tcp/path_mtu.hpp"
#include "tcp/rack.hpp"
#include "tcp/recovery.hpp"
#include "tcp/segment_builder.hpp"

namespace handfast::tcp {
namespace {

/// rfc4821 7.3: MTUs that links and tunnels really have; between them there is little to be found.
constexpr std::array<std::uint16_t, 17> common_sizes{576,  1006, 1280, 1380, 1400, 1420, 1440, 1450, 1460,
                                                     1476, 1480, 1492, 1500, 2002, 4352, 8166, 9000};
/// A range that is not worth a further probe.
constexpr std::uint32_t converged_within = 32;
/// rfc4821 7.4: enough behind the probe for its loss to be seen by acknowledgements.
constexpr std::uint32_t segments_behind_probe = duplicate_threshold;
/// rfc4821 7.6.3: a probe that cost a time-out makes the next one wait five times as long.
constexpr std::uint32_t time_out_factor = 5;

/// The next size above `low`; 0 when the search is over.
std::uint32_t next_size(const PathSearch& search, std::uint32_t low) {
  const std::uint32_t high = search.high;
  if (high <= low) return 0;
  if (search.high_untried) return high;
  const auto* first = std::ranges::upper_bound(common_sizes, low);
  const auto* last = std::ranges::upper_bound(common_sizes, high);
  if (first != last) return first[(last - first) / 2];
  return high - low < converged_within ? 0 : low + (high - low + 1) / 2;
}

Seq probe_end(const Tcb& tcb, const PathSearch& search) {
  return search.probe + (search.probe_size - full_headers(tcb));
}

/// rfc4821 7.6.2: a loss that is not answered must be rarer than those that are: as many round trips as the
/// window has segments.
void wait_after_failure(const Context& cx, const Tcb& tcb, PathSearch& search, std::uint32_t factor) {
  const std::uint64_t round_trips = tcb.cwnd / tcb.snd_mss + 1;
  const std::uint64_t wait_us = std::max<std::uint64_t>(round_trips * tcb.srtt_us, tcb.rto_us) * factor;
  search.probe_after_ms =
      cx.now_ms + static_cast<std::uint32_t>(std::min<std::uint64_t>(wait_us / 1000 + 1, path_lifetime_ms));
}

void probe_failed(Context& cx, Tcb& tcb, PathSearch& search, std::uint32_t factor) {
  search.high = static_cast<std::uint16_t>(search.probe_size - 1);
  search.high_untried = false;
  search.probe_size = 0;
  wait_after_failure(cx, tcb, search, factor);
  ++cx.stats.path_probes_failed;
  remember_path(cx, tcb);
}

void probe_arrived(Context& cx, Tcb& tcb, PathSearch& search) {
  raise_mss(tcb, search.probe_size);
  search.probe_size = 0;
  search.proven = true;
  remember_path(cx, tcb);
}

/// What acknowledgements have said since the last segment left.
void catch_up(Context& cx, Tcb& tcb, PathSearch& search) {
  if (search.claimed != 0 && before(search.doubted, tcb.snd_una))
    search.claimed = 0;  // rfc5927 7.2: it arrived
  if (search.probe_size != 0 && !before(tcb.snd_una, probe_end(tcb, search))) probe_arrived(cx, tcb, search);
  judge_black_hole(cx, tcb, search);
}

/// Nothing more to find for now; what there is to remember is in the control block.
void end_search(Context& cx, Tcb& tcb, PathSearch& search) {
  search.high = 0;
  try_larger_later(cx, tcb);
  if (search.claimed == 0 && search.proven && search.probe_size == 0) release_path_search(cx, tcb);
}

/// rfc1191 6.3: without probes, the next full segment asks the routers again.
void ask_routers_again(Context& cx, Tcb& tcb) {
  PathSearch* search = make_path_search(cx, tcb);
  raise_mss(tcb, most_path_mtu(tcb));
  if (search == nullptr) return;
  search->proof = tcb.snd_nxt;
  search->proven = false;
  search->cuts = 0;
}

/// Ten minutes are over. False: not yet, or no memory to look for anything.
bool begin_search(Context& cx, Tcb& tcb) {
  if (!may_try_larger(cx, tcb)) return false;
  PathSearch* search = make_path_search(cx, tcb);
  if (search == nullptr) {
    count(cx, Drop::tcp_no_memory);
    try_larger_later(cx, tcb);
    return false;
  }
  search->high = static_cast<std::uint16_t>(most_path_mtu(tcb));
  search->high_untried = true;
  search->probe_after_ms = cx.now_ms;
  return true;
}

/// Payload of the probe that may leave now; 0: none.
std::uint32_t probe_room(Context& cx, Tcb& tcb, std::uint32_t unsent, std::uint32_t usable) {
  const std::uint32_t behind = segments_behind_probe * tcb.snd_mss;
  const std::uint32_t most = std::min({unsent, usable, tcb.cwnd});
  if (most <= tcb.snd_mss + behind || tcb.recovery != Recovery::open || sack_blocks_due(tcb) != 0) return 0;
  if (has(tcb, dressed)) return 0;  // nor beside other options: the size is that of a segment without
  PathSearch* search = path_search_of(cx, tcb);
  if (search == nullptr || search->high == 0) {
    if (!begin_search(cx, tcb)) return 0;
    search = path_search_of(cx, tcb);
  }
  if (search->probe_size != 0 || search->black_hole) return 0;
  if (static_cast<std::int32_t>(cx.now_ms - search->probe_after_ms) < 0) return 0;
  const std::uint32_t size = next_size(*search, path_mtu(tcb));
  if (size == 0) {
    end_search(cx, tcb, *search);
    return 0;
  }
  const std::uint32_t payload = size - full_headers(tcb);
  // Where the window has no room for it yet, it waits, and all that is new behind it, for the acknowledgement
  // or two that make room (rfc4821 7.4).
  return payload + behind <= most ? payload : 0;
}

}  // namespace

std::uint32_t next_segment_room(Context& cx, Tcb& tcb, std::uint32_t unsent, std::uint32_t usable) {
  if (PathSearch* search = path_search_of(cx, tcb)) {
    catch_up(cx, tcb, *search);
    const bool idle = search->high == 0 && search->claimed == 0 && search->probe_size == 0;
    if (idle && search->proven) release_path_search(cx, tcb);
  }
  if (path_mtu(tcb) >= most_path_mtu(tcb)) {
    const PathSearch* search = path_search_of(cx, tcb);
    if (search != nullptr && search->claimed == 0 && search->proven && search->probe_size == 0)
      release_path_search(cx, tcb);
    if (rare(tcb).path_search == npos) clear(tcb, mss_unsettled);
    return segment_room(tcb);
  }
  if (cx.config.tcp.path_mtu_discovery < PathMtuDiscovery::black_hole) {
    if (unsent > tcb.snd_mss && may_try_larger(cx, tcb)) ask_routers_again(cx, tcb);
    return segment_room(tcb);
  }
  const std::uint32_t probe = probe_room(cx, tcb, unsent, usable);
  return probe != 0 ? probe : segment_room(tcb);
}

void note_new_segment(Context& cx, Tcb& tcb, Seq at, std::uint32_t length) {
  PathSearch* search = path_search_of(cx, tcb);
  if (search == nullptr || search->probe_size != 0 || length <= tcb.snd_mss) return;
  search->probe = at;
  search->probe_size = static_cast<std::uint16_t>(length + full_headers(tcb));
  ++cx.stats.path_probes;
}

void note_segment_again(Context& cx, Tcb& tcb, Seq at) {
  PathSearch* search = path_search_of(cx, tcb);
  if (search == nullptr) return;
  catch_up(cx, tcb, *search);
  if (search->probe_size == 0) return;
  if (before(at, search->probe) || !before(at, probe_end(tcb, *search))) return;
  // rfc4821 7.6.4: inconclusive. The same size is tried again.
  search->probe_size = 0;
  wait_after_failure(cx, tcb, *search, 1);
}

void note_lost_probe(Context& cx, Tcb& tcb, Flight& flight) {
  PathSearch* search = path_search_of(cx, tcb);
  if (search == nullptr || search->probe_size == 0 || before(search->probe, tcb.snd_una)) return;
  const std::uint32_t n = first_behind(flight, search->probe);
  if (!flight.sent.contains(n) || (flight.sent[n].flags & (sent_lost | sent_again)) != sent_lost) return;
  // rfc4821 7.6.1: alone. With others it was as likely lost for the same reason as they, and says nothing (7.6.4).
  if (flight.lost - flight.forgiven != length_of(tcb, flight, n)) return;
  probe_failed(cx, tcb, *search, 1);
  forgive(tcb, flight, n);
}

void probe_was_refused(Context& cx, Tcb& tcb, std::uint32_t mtu) {
  PathSearch& search = *path_search_of(cx, tcb);
  const Seq from = search.probe;
  probe_failed(cx, tcb, search, 1);
  search.high = static_cast<std::uint16_t>(mtu);
  search.high_untried = true;
  Flight* flight = take_flight(cx, tcb);
  if (flight == nullptr || before(from, tcb.snd_una)) return;
  const std::uint32_t n = first_behind(*flight, from);
  if (!flight->sent.contains(n) || mark_lost(tcb, *flight, n) == 0) return;
  forgive(tcb, *flight, n);
  mark_dirty(cx, tcb);
}

void probe_timed_out(Context& cx, Tcb& tcb) {
  PathSearch* search = path_search_of(cx, tcb);
  if (search == nullptr || search->probe_size == 0) return;
  if (tcb.snd_una == search->probe) return probe_failed(cx, tcb, *search, time_out_factor);
  search->probe_size = 0;
  wait_after_failure(cx, tcb, *search, time_out_factor);
}

}  // namespace handfast::tcp
