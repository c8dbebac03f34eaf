// SPDX-License-Identifier: BSD-3-Clause
// One shard's TCP: configuration, tables, pools, the time of this burst. What every verb of the protocol works on.
// Layer: tcp. Knows nothing of listeners' handlers, of frames or of who calls.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <new>
#include <vector>

#include "base/rng.hpp"
#include "ds/flow_hash.hpp"
#include "ds/flow_table.hpp"
#include "ds/mapping.hpp"
#include "ds/slab.hpp"
#include "ds/timer_wheel.hpp"
#include "handfast/config.hpp"
#include "handfast/core.hpp"
#include "tcp/fast_open_cache.hpp"
#include "tcp/flight.hpp"
#include "tcp/half_open.hpp"
#include "tcp/path_cache.hpp"
#include "tcp/path_search.hpp"
#include "tcp/receive_buffer.hpp"
#include "tcp/secrets.hpp"
#include "tcp/tcb.hpp"
#include "tcp/time_wait.hpp"
#include "tcp/tx_segment.hpp"

namespace handfast::tcp {

inline constexpr std::uint32_t npos = 0xffffffff;
/// Shares that TcpConfig::resets_per_second is divided into. A source has one of them, by a keyed hash, so that what is spent
/// on it tells others nothing of its connections.
inline constexpr std::uint32_t reset_shares = 16;

/// A listener as the protocol sees it; the shard keeps the application's side.
struct Listener {
  Endpoint local;
  std::uint32_t backlog = 0;       // min(backlog, somaxconn)
  std::uint32_t half_open = 0;     // entries in SYN-RECEIVED; <= backlog
  std::uint32_t waiting = 0;       // established and not accepted; <= backlog
  std::uint32_t half_open_head = npos;
  std::uint32_t accept_head = npos, accept_tail = npos;  // Tcb::next_free links
  std::uint16_t handler = 0xffff;
  std::uint16_t next_same_port = 0xffff;
  CongestionControl congestion = CongestionControl::cubic;  // of what it accepts
  bool open = false;
  bool paused = false;
  std::uint8_t dscp = 0;           // of its connections; 0..63
  std::uint32_t fast_open = 0;          // limit of fast_open_pending + fast_open_resets; 0: off (RFC 7413 section 4.2)
  std::uint32_t fast_open_pending = 0;  // connections in SYN-RECEIVED with data delivered
  std::uint32_t fast_open_resets = 0;   // of these, reset lately
  Time fast_open_resets_until = Time::min();
};

struct Context;

/// Finds the key of a flow table's slot, whatever its kind.
struct KeyOf {
  const Context* context;
  const FlowKey& operator()(std::uint32_t slot) const;
};

/// Connections with something to say, in the order in which they came to it; some have ended since.
class DirtyList {
 public:
  explicit DirtyList(std::size_t room) : all_(room) {}
  [[gnu::always_inline]] inline void push(Tcb& tcb) {
    if (size_ == all_.size()) [[unlikely]] grow();
    all_[size_++] = &tcb;
  }
  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] bool empty() const { return size_ == 0; }
  [[nodiscard]] Tcb& operator[](std::size_t i) const { return *all_[i]; }
  void drop_front(std::size_t n) {
    std::copy(all_.begin() + static_cast<std::ptrdiff_t>(n), all_.begin() + static_cast<std::ptrdiff_t>(size_), all_.begin());
    size_ -= n;
  }

 private:
  [[gnu::noinline]] void grow() { all_.resize(2 * all_.size() + 1); }
  std::vector<Tcb*> all_;
  std::size_t size_ = 0;
};

struct Context {
  Context(const CoreConfig& config, Time start);
  Context(const Context&) = delete;

  /// Called once for each burst.
  void set_now(Time t) {
    now = t;
    const auto ns = static_cast<std::uint64_t>(t.time_since_epoch().count());
    now_us = static_cast<std::uint32_t>(ns / 1000);
    now_ms = static_cast<std::uint32_t>(ns / 1000000);
  }

  [[nodiscard]] FlowKey& key(std::uint32_t slot) {
    const std::uint32_t index = FlowSlot::index(slot);
    switch (FlowSlot::kind(slot)) {
      case FlowKind::connection: return tcbs[index].key;
      case FlowKind::half_open: return half_opens[index].key;
      case FlowKind::time_wait: break;
    }
    return time_waits[index].key;
  }

  /// Of all tables but the rarer half of connections, that most never have.
  void prefault();

  const CoreConfig config;
  const std::uint16_t local_mss;        // what we offer in our SYNs
  const std::uint8_t rcv_wscale;        // that we offer
  const std::uint32_t first_receive_limit;  // what a connection may hold before anything is measured
  const std::uint32_t rto_min_us, rto_max_us;  // of the configuration
  const bool offers_all;                   // our SYNs have timestamps, SACK and window scale, and no other option
  const std::uint64_t predicted_needs;  // flags that header prediction asks for (prediction.hpp); one that nobody has: it is off
  const std::uint64_t predicted_mask;   // and those, with all that it does not bear
  Rng rng;
  const Secrets secrets;
  Time now;
  std::uint32_t now_us = 0, now_ms = 0;

  ds::FlowHasher hasher;
  ds::Slab<Tcb> tcbs;
  ds::Slab<HalfOpen> half_opens;
  TimeWaitList time_waits;
  ds::FlowTable<KeyOf> flows;
  std::vector<Listener> listeners;
  FastOpenCache fast_open_cache;

  ChunkPool chunks;
  ReceiveChunks receive_chunks;         // what receive_buffers stand in
  ds::ObjectPool<Extent> extents;
  ds::ObjectPool<ReceiveBuffer> receive_buffers;
  ds::ObjectPool<Flight> flights;
  IdleFlights idle_flights;             // nothing in flight; given back after a while, oldest first
  ds::Slab<PathSearch> path_searches;
  PathCache paths;

  ds::Mapping rare_memory;              // a Rare for each control block; touched by those alone that need it

  ds::TimerWheel tcb_wheel;
  ds::TimerWheel half_open_wheel;

  const Tcb fresh_tcb;                  // what new_tcb copies
  TxQueue out;
  DirtyList dirty;                      // to flush after this burst (MUST-58, MUST-59)
  std::vector<std::uint32_t> finished;  // connections with `ended` set outside of their own delivery
  std::vector<std::uint32_t> starving;  // connections with `starved` set, and some that have ended since
  std::vector<Extent*> released;        // port buffers and callbacks to be given back by the shard

  CoreStats stats;
  Time last_cookie = Time::min();       // when a cookie was last sent
  std::uint32_t reset_second = 0;
  std::array<std::uint32_t, reset_shares> resets_in_second{};  // by share of the limit
};

inline const FlowKey& KeyOf::operator()(std::uint32_t slot) const { return const_cast<Context*>(context)->key(slot); }

/// Layer-wide helpers on one connection.
[[nodiscard]] inline std::uint32_t ts_now(const Context& cx, const Tcb& tcb) { return cx.now_ms + tcb.ts_offset; }
[[nodiscard]] inline bool has(const Tcb& tcb, std::uint64_t flag) { return (tcb.flags & flag) != 0; }
inline void set(Tcb& tcb, std::uint64_t flag) { tcb.flags |= flag; }
inline void clear(Tcb& tcb, std::uint64_t flag) { tcb.flags &= ~flag; }
inline void count(Context& cx, Drop reason) { ++cx.stats.drops[static_cast<std::size_t>(reason)]; }

/// The TOS byte of what leaves, without ECN. SHLD-22: the code point is passed on as it was set.
[[nodiscard]] inline std::uint8_t tos_of(std::uint8_t dscp) { return static_cast<std::uint8_t>(dscp << 2); }
[[nodiscard]] inline std::uint8_t tos_of(const Tcb& tcb) { return has(tcb, marked) ? tos_of(tcb.dscp) : std::uint8_t{0}; }
inline void set_dscp(Tcb& tcb, std::uint8_t dscp) {
  tcb.dscp = dscp;
  dscp != 0 ? set(tcb, marked) : clear(tcb, marked);
}

/// One past the last byte received in order; the peer's FIN, if it has come, is there.
[[nodiscard]] inline Seq text_end(const Tcb& tcb) { return has(tcb, fin_received) ? tcb.rcv_nxt - 1 : tcb.rcv_nxt; }
/// Bytes received in order that the application has not taken.
[[nodiscard]] inline std::uint32_t unread_bytes(const Tcb& tcb) {
  return tcb.receive != nullptr ? distance(tcb.receive->unread, text_end(tcb)) : 0;
}

/// To read of; and to write to.
[[nodiscard]] inline const Rare& rare(const Tcb& tcb) { return tcb.rare != nullptr ? *tcb.rare : no_rare; }
[[nodiscard]] inline Rare& take_rare(const Context& cx, Tcb& tcb) {
  if (tcb.rare == nullptr) {
    auto* all = static_cast<Rare*>(cx.rare_memory.data());
    tcb.rare = ::new (static_cast<void*>(all + cx.tcbs.index_of(tcb))) Rare;
  }
  return *tcb.rare;
}

/// A sequence space has been gone through once more. The count in the block does not return to 0, which says "never".
inline void count_wrap(const Context& cx, Tcb& tcb, std::uint8_t& wraps, std::uint32_t Rare::*carried) {
  if (++wraps != 0) [[likely]] return;
  wraps = 128;
  ++(take_rare(cx, tcb).*carried);
}
[[nodiscard]] inline std::uint64_t bytes_of_wraps(std::uint8_t wraps, std::uint32_t carried) {
  return (std::uint64_t{wraps} + std::uint64_t{carried} * 128) << 32;
}

/// Output is due for this connection at the end of the burst.
[[gnu::always_inline]] inline void mark_dirty(Context& cx, Tcb& tcb) {
  if (has(tcb, dirty)) return;
  set(tcb, dirty);
  cx.dirty.push(tcb);
}

/// Sets a deadline and moves the connection's timer forward if need be; later ones are found when it fires.
inline void arm_for(Context& cx, Tcb& tcb, Time deadline) {
  if (!tcb.timer.armed() || deadline < tcb.timer.deadline) cx.tcb_wheel.arm(tcb.timer, deadline);
}

}  // namespace handfast::tcp
