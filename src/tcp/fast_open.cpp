// SPDX-License-Identifier: BSD-3-Clause
// TCP Fast Open. Layer: tcp; see fast_open.hpp.
#include "tcp/fast_open.hpp"

#include <algorithm>

#include "tcp/lifetime.hpp"
#include "tcp/output.hpp"
#include "tcp/timeouts.hpp"
#include "wire/bytes.hpp"

namespace handfast::tcp {
namespace {

std::uint64_t period_number(Time now) {
  return static_cast<std::uint64_t>(now.time_since_epoch() / fast_open_period);
}

FastOpenCookie cookie_of_period(const Secrets& secrets, const FlowKey& key, std::uint64_t period) {
  // Section 4.1.2: of the client's address, and of time; of nothing that changes from one connection to the
  // next.
  const std::uint64_t mac = siphash24(secrets.fast_open, key.remote_address, period);
  FastOpenCookie cookie;
  wire::store32(cookie.data(), static_cast<std::uint32_t>(mac >> 32));
  wire::store32(cookie.data() + 4, static_cast<std::uint32_t>(mac));
  return cookie;
}

}  // namespace

FastOpenCookie make_fast_open_cookie(const Secrets& secrets, const FlowKey& key, Time now) {
  return cookie_of_period(secrets, key, period_number(now));
}

FastOpenCheck check_fast_open_cookie(const Secrets& secrets, const FlowKey& key,
                                     std::span<const std::byte> cookie, Time now) {
  const auto is = [&](std::uint64_t period) {
    return std::ranges::equal(cookie, cookie_of_period(secrets, key, period));
  };
  const std::uint64_t current = period_number(now);
  if (is(current)) return FastOpenCheck::good;
  return is(current - 1) ? FastOpenCheck::ageing : FastOpenCheck::bad;
}

bool has_fast_open_room(const Context& cx, Listener& listener) {
  if (cx.now >= listener.fast_open_resets_until) listener.fast_open_resets = 0;
  return listener.fast_open_pending + listener.fast_open_resets < listener.fast_open;
}

void leave_fast_open(Context& cx, Tcb& tcb, bool was_reset) {
  Listener& listener = cx.listeners[tcb.listener];
  --listener.fast_open_pending;
  if (!was_reset) return;
  // Section 5.1: a spoofed client's RST must not make room for the next spoofed SYN.
  ++listener.fast_open_resets;
  listener.fast_open_resets_until = cx.now + fast_open_reset_memory;
}

void fast_open_timeout(Context& cx, Tcb& tcb) {
  if (tcb.backoff >= cx.config.tcp.syn_ack_retries) {
    ++cx.stats.half_open_expired;
    end_connection(cx, tcb, CloseReason::timed_out);
    return;
  }
  ++tcb.backoff;
  set(tcb, syn_retransmitted);
  clear(tcb, rtt_timing);
  ++cx.stats.retransmits;
  if (tcb.retransmits != 0xffff) ++tcb.retransmits;
  start_retransmission_timer(cx, tcb);
  send_syn(cx, tcb);
}

void offer_fast_open(Context& cx, Tcb& tcb, wire::TcpOptions& options) {
  const FastOpenCache::Entry* entry = cx.fast_open_cache.find(tcb.key);
  if (entry != nullptr && cx.now < entry->avoid_until) {
    clear(tcb, fast_open);
    return;
  }
  options.has_fast_open = true;
  if (entry == nullptr || entry->length == 0) return;  // section 4.2.1: a request
  options.fast_open_length = entry->length;
  options.fast_open_cookie = entry->cookie.data();
  if (entry->length > 12)
    options.user_timeout = 0;  // forty bytes are all there are; it comes with the next segment
}

void put_syn_data(Context& cx, Tcb& tcb, TxSegment& segment) {
  const FastOpenCache::Entry* entry = cx.fast_open_cache.find(tcb.key);
  if (entry == nullptr || entry->length == 0 || tcb.send_queued == 0) return;
  const std::uint32_t mss =
      entry->mss != 0 ? std::min<std::uint32_t>(entry->mss, fast_open_largest_mss) : fast_open_default_mss;
  const std::uint32_t path = cx.config.link.mtu - 40u;
  const std::uint32_t limit = std::min(mss, path);
  if (limit <= segment.options_length) return;
  std::uint32_t room = limit - segment.options_length;
  std::uint32_t taken = 0;
  for (const Extent* extent = tcb.send_head; extent != nullptr && room != 0 && segment.pieces < max_pieces;
       extent = extent->next) {
    const std::uint32_t n = std::min(extent->length, room);
    segment.piece[segment.pieces++] = {extent->data, n};
    taken += n;
    room -= n;
  }
  segment.payload_length = taken;
  tcb.snd_nxt = tcb.iss + 1 + taken;
  ++cx.stats.fast_open_sent;
}

void fast_open_answered(Context& cx, Tcb& tcb, const wire::Segment& segment,
                        const wire::TcpOptions& options) {
  if (!has(tcb, fast_open)) return;
  const bool sent = tcb.snd_nxt != tcb.iss + 1;
  const bool taken = sent && segment.ack == tcb.snd_nxt;
  if (taken) ++cx.stats.fast_open_taken;
  if (options.has_fast_open && options.fast_open_length != 0) {
    const std::uint16_t mss = options.has_mss ? options.mss : std::uint16_t{0};
    cx.fast_open_cache.learn(tcb.key, {options.fast_open_cookie, options.fast_open_length}, mss, cx.now);
  } else if (taken) {
    cx.fast_open_cache.approve(tcb.key);  // the first SYN came through after all
  } else if (sent) {
    cx.fast_open_cache.avoid(tcb.key, cx.now, cx.now + fast_open_avoidance);
  }
}

void fast_open_failed(Context& cx, Tcb& tcb) {
  if (!has(tcb, fast_open) || has(tcb, syn_retransmitted)) return;
  cx.fast_open_cache.avoid(tcb.key, cx.now, cx.now + fast_open_avoidance);
}

void take_back_syn_data(Tcb& tcb) {
  tcb.snd_nxt = tcb.snd_una;
  tcb.rtx_deadline = never;
}

}  // namespace handfast::tcp
