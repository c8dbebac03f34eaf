// SPDX-License-Identifier: BSD-3-Clause
// One core's world as the application sees it: listen, connect, time, statistics.
// Layer: public. All of it is called on the owning core; post() alone may be called from any thread.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <type_traits>
#include <vector>

#include "handfast/conn.hpp"
#include "handfast/drop.hpp"
#include "handfast/error.hpp"
#include "handfast/handler.hpp"

namespace handfast {

struct ListenerId {
  std::uint32_t index = 0xffffffff;
  friend bool operator==(ListenerId, ListenerId) = default;
};

/// A handler that lives in the core; what connect() takes.
struct HandlerRef {
  std::uint16_t index = 0xffff;
};

struct ListenOptions {
  /// Half-open connections and, counted apart, established ones that are not accepted yet. min(backlog, somaxconn).
  std::uint32_t backlog = 4096;
  /// Starts paused: connections are established and wait, up to the backlog, until resume().
  bool paused = false;
  /// Differentiated services code point of all its connections' segments, from the SYN-ACK on; 0..63. RFC 2474,
  /// RFC 9293 MUST-48.
  std::uint8_t dscp = 0;
  /// TCP Fast Open (RFC 7413): how many connections may be open to the application before their handshake has ended;
  /// 0: none, and cookies are not given out. A SYN's data may then come twice: only for requests that may be repeated.
  std::uint32_t fast_open = 0;
  /// Of the connections that it accepts; nothing: TcpConfig's.
  std::optional<CongestionControl> congestion_control = std::nullopt;
};

struct ConnectOptions {
  /// Local address and port; zero: chosen (RFC 6056).
  Endpoint local{};
  /// Differentiated services code point of all its segments, from the SYN on; 0..63. RFC 2474, RFC 9293 MUST-48.
  std::uint8_t dscp = 0;
  /// TCP Fast Open (RFC 7413): what is queued before the SYN leaves (at the end of the burst) rides in it, once the server
  /// has given us a cookie; before, the cookie is asked for. What the server does not take is sent after the handshake. The
  /// server may see the data twice: only for requests that may be repeated.
  bool fast_open = false;
  /// Queued as by send(), all of it or connect() fails. A copy is taken.
  std::span<const std::byte> data{};
  /// Nothing: TcpConfig's.
  std::optional<CongestionControl> congestion_control = std::nullopt;
};

/// Counters of one core; all but the gauges only grow. A copy, taken on the core (or from any thread: then each
/// number is whole, but they are not of one instant).
struct CoreStats {
  std::uint64_t frames_in = 0, frames_out = 0, bytes_in = 0, bytes_out = 0;
  std::uint64_t segments_in = 0, segments_out = 0;
  std::uint64_t active_opens = 0, passive_opens = 0;  ///< reached SYN-SENT; reached SYN-RECEIVED from LISTEN
  std::uint64_t established = 0;                      ///< times a connection entered ESTABLISHED
  std::uint64_t accepted = 0;                         ///< passive ones handed to the application
  std::array<std::uint64_t, static_cast<std::size_t>(CloseReason::count_)> closed{};
  std::uint64_t retransmits = 0, fast_retransmits = 0, timeouts = 0;
  std::uint64_t tail_loss_probes = 0;      ///< RFC 8985 section 7
  std::uint64_t recoveries_undone = 0;     ///< reductions taken back: the segments had been late, not lost
  std::uint64_t sack_reneging = 0;         ///< peers that dropped what they had SACKed
  std::uint64_t ecn_marks_in = 0;          ///< data segments that arrived with CE (RFC 3168)
  std::uint64_t ecn_reductions = 0;        ///< windows reduced because the path said so (RFC 3168)
  std::uint64_t flights_exhausted = 0;     ///< sends held back because Limits::recovery_blocks or memory were used up
  std::uint64_t resets_in = 0, resets_out = 0, challenge_acks = 0;
  std::uint64_t syn_cookies_sent = 0, syn_cookies_accepted = 0;
  std::uint64_t time_wait_reused = 0;      ///< entries that a newer SYN took over
  std::uint64_t time_wait_cut_short = 0;   ///< entries removed before 2MSL because the table was full
  std::uint64_t out_of_order = 0, duplicates = 0;
  std::uint64_t dsacks_sent = 0;           ///< ACKs that reported bytes which came again (RFC 2883)
  std::uint64_t receive_windows_grown = 0; ///< times a connection's receive buffer was allowed more
  std::uint64_t receive_windows_held = 0;  ///< times it was not, since the shard's memory is half used up
  std::uint64_t zero_window_probes = 0, keepalive_probes = 0, delayed_acks = 0;
  std::uint64_t half_open_expired = 0;     ///< SYN-ACKs that nobody answered
  std::uint64_t path_mtu_reduced = 0;      ///< segments became smaller because a router said so
  std::uint64_t path_black_holes = 0;      ///< ... because full ones were lost again and again
  std::uint64_t path_probes = 0, path_probes_failed = 0;  ///< larger segments sent to see whether they arrive; those that did not
  std::uint64_t paths_pushed_out = 0;      ///< destinations forgotten early: Limits::paths was reached
  std::uint64_t unresponsive = 0;          ///< times that R1 was reached (RFC 9293 section 3.8.3)
  std::uint64_t fast_open_sent = 0;        ///< SYNs with data
  std::uint64_t fast_open_taken = 0;       ///< of these: the SYN-ACK acknowledged the data
  std::uint64_t fast_open_accepted = 0;    ///< SYNs whose data was delivered
  std::uint64_t fast_open_bad_cookies = 0; ///< SYNs with a cookie that is not ours, or too old
  std::uint64_t fast_open_limited = 0;     ///< SYNs with a good cookie that were over the limit, or found no memory
  std::uint64_t handed_over = 0;           ///< frames given to the shard that owns their connection
  std::uint64_t timer_lag_max_ns = 0;      ///< latest that a timer fired after its deadline
  std::uint64_t connections = 0, half_open = 0, time_wait = 0;  ///< gauges, now
  std::array<std::uint64_t, drop_count> drops{};

  void add(const CoreStats& other);  ///< sums (the maximum for timer_lag_max_ns)
};

/// One line of a connection listing.
struct ConnInfo {
  Endpoint local, peer;
  State state = State::closed;
};

class Core {
 public:
  explicit Core(shard::Shard& shard) : shard_(&shard) {}
  Core(const Core&) = delete;
  Core& operator=(const Core&) = delete;

  /// Keeps the handler for as long as the core lives.
  template <class H>
  Expected<HandlerRef> add_handler(H handler) {
    using Plain = std::remove_cvref_t<H>;
    auto owned = std::make_shared<Plain>(std::move(handler));
    Plain* raw = owned.get();
    return add_handler_erased(handler_ops<Plain>, raw, std::move(owned));
  }
  /// The same for a handler that the caller owns and that outlives the core.
  template <class H>
  Expected<HandlerRef> add_handler_ref(H& handler) {
    return add_handler_erased(handler_ops<H>, &handler, nullptr);
  }

  /// Passive OPEN (RFC 9293 section 3.10.1). `local.address` is `any` or one of ours.
  template <class H>
  Expected<ListenerId> listen(Endpoint local, H handler, ListenOptions options = {}) {
    auto ref = add_handler(std::move(handler));
    if (!ref) return tl::unexpected(ref.error());
    return listen_with(local, *ref, options);
  }
  Expected<ListenerId> listen_with(Endpoint local, HandlerRef handler, ListenOptions options = {});
  /// Stops accepting; half-open and waiting connections are reset, accepted ones stay.
  void close(ListenerId listener);
  /// Accepted connections are no longer handed to the application; they wait, established, up to the backlog.
  void pause(ListenerId listener);
  void resume(ListenerId listener);

  /// Active OPEN. The result is known at once or not at all: an error means that no callback follows; otherwise
  /// on_connect or on_closed does.
  Expected<ConnId> connect(Endpoint remote, HandlerRef handler, ConnectOptions options = {});

  /// The connection, if it still is the one that the id names.
  [[nodiscard]] std::optional<Conn> find(ConnId id);

  /// A buffer to send with Conn::send(TxBuf&&); empty (false) when the shard's memory is used up.
  [[nodiscard]] TxBuf allocate();

  /// Calls `fire(ctx)` on this core once, after `delay`; false when the table of timers is full.
  using Task = void (*)(void* ctx);
  [[nodiscard]] bool arm(Duration delay, Task fire, void* ctx);

  /// From any thread: `task(ctx)` will run on this core at the start of a poll; false when the ring is full.
  [[nodiscard]] bool post(Task task, void* ctx);

  /// Starts resolving the next hop towards `remote`; true when it is known already.
  bool resolve(Ipv4Address remote);

  [[nodiscard]] Time now() const;
  [[nodiscard]] CoreStats stats() const;
  /// Connections at some instant each (not one instant for all); from any thread, never blocks the core.
  [[nodiscard]] std::vector<ConnInfo> connections() const;
  [[nodiscard]] const CoreConfig& config() const;
  [[nodiscard]] std::uint16_t shard_index() const { return config().shard; }

  /// Begins to drain: listeners close, connections get FIN behind what is queued; those that wait for on_writable first
  /// finish what they send. To be called again and again (in each poll, say); true once no connection is left (TIME-WAIT
  /// aside). Whoever has had enough calls abort_all().
  bool drain();
  /// Closes the listeners and aborts every connection (RST), reason stopped; some at each poll.
  void abort_all();

  shard::Shard& shard() { return *shard_; }

 private:
  Expected<HandlerRef> add_handler_erased(const HandlerOps& ops, void* handler, std::shared_ptr<void> owner);
  shard::Shard* shard_;
};

}  // namespace handfast
