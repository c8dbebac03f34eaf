// SPDX-License-Identifier: BSD-3-Clause
// Loss recovery. Layer: tcp; see recovery.hpp.
#include "tcp/recovery.hpp"

#include <algorithm>

#include "tcp/congestion.hpp"
#include "tcp/path_probe.hpp"

namespace handfast::tcp {
namespace {

/// RFC 6675 IsLost(): three ranges, or more than two segments' worth of bytes, SACKed above.
Seq sack_edge(const Tcb& tcb) {
  const auto& sacked = tcb.scoreboard->sacked;
  std::uint32_t ranges = 0, bytes = 0;
  for (unsigned i = static_cast<unsigned>(sacked.size()); i-- > 0;) {
    bytes += distance(sacked[i].left, sacked[i].right);
    if (++ranges >= duplicate_threshold || bytes > (duplicate_threshold - 1) * tcb.snd_mss) return sacked[i].left;
  }
  return tcb.snd_una;
}

void enter_fast_recovery(Context& cx, Tcb& tcb) {
  if (has(tcb, mss_unsettled) && only_probe_was_lost(cx, tcb)) return;
  tcb.ssthresh = congestion(tcb).ssthresh_after_loss(tcb);
  tcb.cwnd = tcb.ssthresh;
  tcb.cwnd_acked = 0;
  tcb.recover = tcb.snd_nxt;
  tcb.rtx_nxt = tcb.snd_una;
  tcb.recovery = Recovery::fast;
  clear(tcb, rtt_timing);
  ++cx.stats.fast_retransmits;
}

}  // namespace

Seq lost_edge(const Tcb& tcb) {
  switch (tcb.recovery) {
    case Recovery::open: return tcb.snd_una;
    case Recovery::timeout: return tcb.recover;
    case Recovery::fast: break;
  }
  // The first segment is lost, or recovery would not have begun; of the rest only SACK can tell.
  const Seq first = min(tcb.snd_una + tcb.snd_mss, tcb.recover);
  return tcb.scoreboard == nullptr ? first : max(first, sack_edge(tcb));
}

std::optional<ds::Range> next_lost(const Tcb& tcb) {
  const Seq from = max(tcb.rtx_nxt, tcb.snd_una), edge = lost_edge(tcb);
  if (!before(from, edge)) return std::nullopt;
  if (tcb.scoreboard == nullptr) return ds::Range{from, edge};
  return tcb.scoreboard->sacked.next_gap(from, edge);
}

std::uint32_t lost_bytes(const Tcb& tcb) {
  if (tcb.recovery == Recovery::open) return 0;
  const Seq from = max(tcb.rtx_nxt, tcb.snd_una), edge = lost_edge(tcb);
  if (!before(from, edge)) return 0;
  if (tcb.scoreboard == nullptr) return distance(from, edge);
  std::uint32_t bytes = 0;
  tcb.scoreboard->sacked.for_each_gap(from, edge, [&](const ds::Range& gap) { bytes += distance(gap.left, gap.right); });
  return bytes;
}

bool apply_sack(Context& cx, Tcb& tcb, const wire::TcpOptions& options) {
  bool news = false;
  for (std::size_t i = 0; i < options.sack_count; ++i) {
    const auto [left, right] = options.sack[i];
    // D-SACK (RFC 2883) and nonsense fall out here: nothing at or below snd_una, nothing never sent.
    if (!before(left, right) || !after(left, tcb.snd_una) || after(right, tcb.snd_nxt)) continue;
    if (tcb.scoreboard == nullptr) {
      tcb.scoreboard = cx.scoreboards.allocate();
      if (tcb.scoreboard == nullptr) return false;
      tcb.scoreboard->sacked = {};
    }
    if (tcb.scoreboard->sacked.covers(left, right)) continue;
    news |= tcb.scoreboard->sacked.insert(left, right) == ds::Insert::added;
  }
  return news;
}

void on_new_ack(Context& cx, Tcb& tcb, std::uint32_t acked) {
  tcb.dup_acks = 0;
  tcb.backoff = 0;
  tcb.progress_ms = cx.now_ms;
  if (tcb.scoreboard != nullptr) {
    tcb.scoreboard->sacked.trim_below(tcb.snd_una);
    if (tcb.scoreboard->sacked.empty()) {
      cx.scoreboards.free(tcb.scoreboard);
      tcb.scoreboard = nullptr;
    }
  }
  if (tcb.recovery != Recovery::open && !before(tcb.snd_una, tcb.recover)) {
    if (tcb.recovery == Recovery::fast) tcb.cwnd = tcb.ssthresh;  // rfc6582 3.2 step 3, full acknowledgment
    tcb.recovery = Recovery::open;
    return;
  }
  switch (tcb.recovery) {
    case Recovery::open:
      // Kept close behind: 2 GiB further on, a number left where it was would look like one that is still to come.
      if (after(tcb.snd_una, tcb.recover)) tcb.recover = tcb.snd_una - 1;
      if (has(tcb, cwnd_limited)) congestion(tcb).on_ack(cx, tcb, acked);
      return;
    case Recovery::fast:
      // A partial acknowledgment: what now is first is lost too, unless SACK says where the holes are.
      if (!has(tcb, sack_enabled)) tcb.rtx_nxt = tcb.snd_una;
      return;
    case Recovery::timeout:
      congestion(tcb).on_ack(cx, tcb, acked);
      return;
  }
}

void on_duplicate_ack(Context& cx, Tcb& tcb) {
  if (tcb.dup_acks != 0xff) ++tcb.dup_acks;
  if (tcb.recovery != Recovery::open) return;
  // rfc6582 3.2 step 2: duplicates of the last ACK of a recovery may be echoes of its retransmissions. With SACK there is
  // no such doubt (RFC 6675 section 5).
  if (!has(tcb, sack_enabled) && !after(tcb.snd_una, tcb.recover)) return;
  const bool sack_says_lost = tcb.scoreboard != nullptr && after(sack_edge(tcb), tcb.snd_una);
  if (tcb.dup_acks >= duplicate_threshold || sack_says_lost) enter_fast_recovery(cx, tcb);
}

void resend_flight(Context& cx, Tcb& tcb) {
  tcb.recover = tcb.snd_nxt;
  tcb.rtx_nxt = tcb.snd_una;
  tcb.recovery = Recovery::timeout;
  tcb.dup_acks = 0;
  if (tcb.scoreboard != nullptr) {
    // rfc2018 8: after a time-out the peer may have thrown away what it SACKed.
    cx.scoreboards.free(tcb.scoreboard);
    tcb.scoreboard = nullptr;
  }
}

void on_retransmission_timeout(Context& cx, Tcb& tcb) {
  congestion(tcb).on_timeout(cx, tcb);
  resend_flight(cx, tcb);
  clear(tcb, rtt_timing);
  ++cx.stats.timeouts;
}

}  // namespace handfast::tcp
