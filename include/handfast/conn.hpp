// SPDX-License-Identifier: BSD-3-Clause
// A connection as the application sees it: what to store (ConnId), what to call (Conn), what comes in (RxView).
// Layer: public. Knows nothing of how a connection is kept.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <utility>

#include "handfast/address.hpp"
#include "handfast/config.hpp"
#include "handfast/time.hpp"

namespace handfast {

namespace tcp {
struct Tcb;
}
namespace shard {
class Shard;
}
class Core;

/// RFC 9293 section 3.3.2. LISTEN and CLOSED are no states of a Conn, but they are of this type.
enum class State : std::uint8_t {
  closed, listen, syn_sent, syn_received, established, fin_wait_1, fin_wait_2, close_wait, closing, last_ack, time_wait,
};
inline constexpr std::size_t state_count = 11;
[[nodiscard]] std::string_view name(State state);  ///< the RFC's: "SYN-SENT"

/// Why a connection ended (MUST-12). Every connection, a failed connect included, ends with exactly one.
enum class CloseReason : std::uint8_t {
  finished,            ///< both sides sent FIN and all of it was acknowledged (TIME-WAIT may go on without you)
  reset_by_peer,       ///< RST after the connection was established
  refused,             ///< RST in answer to our SYN
  connect_timed_out,   ///< no answer to our SYN within connect_timeout
  timed_out,           ///< no acknowledgement within R2, the user timeout or the orphan's bound
  keepalive_timed_out, ///< no answer to keep-alive probes
  fin_wait_2_timed_out,///< the peer never sent its FIN after our close()
  unreachable,         ///< while connecting: no neighbour, a hard ICMP error, or no answer after a soft one
  aborted,             ///< abort(), RST was sent
  unread_data,         ///< close() with data unread, or data arrived after it: RST was sent (RFC 9293 3.6.1)
  no_memory,           ///< a table or pool sized at start was full
  stopped,             ///< the core was stopped
  count_,
};
[[nodiscard]] std::string_view name(CloseReason reason);  ///< "reset_by_peer"

/// What an ICMP error said of a segment in flight (RFC 792, RFC 1122 section 3.2.2). None ends a connection that is open:
/// such messages are easily forged, and what they tell of may pass (RFC 9293 section 3.9.2.2, RFC 5927).
enum class IcmpError : std::uint8_t {
  none,
  network_unreachable,   ///< destination unreachable, code 0, 6, 8 or 11
  host_unreachable,      ///< code 1, 7 or 12
  protocol_unreachable,  ///< code 2
  port_unreachable,      ///< code 3
  source_route_failed,   ///< code 5
  prohibited,            ///< code 9, 10, 13, 14 or 15: a filter
  time_exceeded,         ///< hop limit (a loop, most likely) or reassembly
  parameter_problem,
  count_,
};
[[nodiscard]] std::string_view name(IcmpError error);  ///< "host_unreachable"

/// What may be stored of a connection: eight bytes; a stale one is found out (Core::find returns nothing).
struct ConnId {
  std::uint32_t slot = 0xffffffff;
  std::uint32_t generation = 0;
  friend auto operator<=>(const ConnId&, const ConnId&) = default;
};

/// STATUS (RFC 9293 section 3.10.6) and more; a copy.
struct ConnStats {
  State state = State::closed;
  Endpoint local, peer;
  std::uint32_t send_window = 0;          ///< bytes the peer takes beyond SND.UNA
  std::uint32_t receive_window = 0;       ///< bytes offered beyond RCV.NXT
  std::uint32_t congestion_window = 0;    ///< bytes
  std::uint32_t slow_start_threshold = 0; ///< bytes
  std::uint32_t mss = 0;                  ///< payload bytes of a full segment we send
  std::uint32_t path_mtu = 0;             ///< bytes of the largest datagram we send now, headers included
  IcmpError last_icmp_error = IcmpError::none;  ///< the last there was, however long ago (SHLD-25)
  std::uint32_t flight = 0;               ///< bytes sent and not acknowledged
  std::uint32_t sacked = 0;               ///< bytes of it that the peer says to have beyond a gap (RFC 2018)
  std::uint32_t lost = 0;                 ///< bytes of it that are taken for lost, sent again or not
  std::uint32_t queued = 0;               ///< bytes in the send queue, flight included
  std::uint32_t unread = 0;               ///< bytes received in order and not consumed
  std::uint32_t out_of_order = 0;         ///< bytes received beyond a gap
  Duration srtt{}, rttvar{}, rto{};       ///< zero srtt: no sample yet
  std::uint32_t retransmits = 0;          ///< segments sent again, SYN and FIN included
  std::uint32_t duplicate_acks = 0;       ///< in a row, now
  std::uint64_t bytes_sent = 0;           ///< acknowledged by the peer
  std::uint64_t bytes_received = 0;       ///< in order
  bool timestamps = false, sack = false, window_scale = false, ecn = false;
  std::uint8_t dscp = 0;                  ///< of what we send; 0..63
  std::uint32_t urgent_ahead = 0;         ///< bytes of urgent data not taken yet
  Duration user_timeout{};                ///< R2 of this connection; Duration::max(): never
  Duration peer_user_timeout{};           ///< the last that the peer advertised (RFC 5482); zero: none
  CongestionControl congestion_control = CongestionControl::cubic;
};

/// A received buffer that the application took over with RxView::take(): move-only, given back when destroyed.
/// Must be destroyed (or sent) on the core that received it, before that core is.
class RxBuf {
 public:
  RxBuf() = default;
  RxBuf(RxBuf&& other) noexcept { swap(other); }
  RxBuf& operator=(RxBuf&& other) noexcept {
    RxBuf tmp(std::move(other));
    swap(tmp);
    return *this;
  }
  ~RxBuf();
  [[nodiscard]] std::span<const std::byte> bytes() const { return bytes_; }
  [[nodiscard]] bool empty() const { return bytes_.empty(); }

 private:
  friend class Conn;
  friend class RxView;
  friend class shard::Shard;
  void swap(RxBuf& other) noexcept {
    std::swap(bytes_, other.bytes_);
    std::swap(handle_, other.handle_);
    std::swap(chunk_, other.chunk_);
    std::swap(shard_, other.shard_);
  }
  std::span<const std::byte> bytes_;
  void* handle_ = nullptr;  // of the port, or
  void* chunk_ = nullptr;   // of the shard's own pool
  shard::Shard* shard_ = nullptr;
};

/// A buffer of up to 2 KiB to write into and send without a further copy: Core::allocate(), Conn::send(TxBuf&&).
class TxBuf {
 public:
  TxBuf() = default;
  TxBuf(TxBuf&& other) noexcept { swap(other); }
  TxBuf& operator=(TxBuf&& other) noexcept {
    TxBuf tmp(std::move(other));
    swap(tmp);
    return *this;
  }
  ~TxBuf();
  /// Room to write into; say with resize() how much was written.
  [[nodiscard]] std::span<std::byte> room() const { return room_; }
  void resize(std::size_t written) { size_ = written < room_.size() ? written : room_.size(); }
  [[nodiscard]] std::size_t size() const { return size_; }
  explicit operator bool() const { return !room_.empty(); }

 private:
  friend class Conn;
  friend class Core;
  void swap(TxBuf& other) noexcept {
    std::swap(room_, other.room_);
    std::swap(size_, other.size_);
    std::swap(chunk_, other.chunk_);
    std::swap(shard_, other.shard_);
  }
  std::span<std::byte> room_;
  std::size_t size_ = 0;
  void* chunk_ = nullptr;
  shard::Shard* shard_ = nullptr;
};

/// Received bytes, in order; valid during the callback.
class RxView {
 public:
  [[nodiscard]] std::span<const std::byte> bytes() const { return bytes_; }
  [[nodiscard]] std::string_view text() const {
    return {reinterpret_cast<const char*>(bytes_.data()), bytes_.size()};
  }
  [[nodiscard]] std::size_t size() const { return bytes_.size(); }
  [[nodiscard]] const std::byte* data() const { return bytes_.data(); }
  /// Takes the buffer over, so that it outlives the callback (or is sent on with no copy). The callback must
  /// then consume all of the view. Once by view; a second take() is empty, and one that cannot be granted
  /// (buffer shared, pinned limit reached) is empty too: copy then.
  [[nodiscard]] RxBuf take() const;

 private:
  friend class shard::Shard;
  std::span<const std::byte> bytes_;
  mutable void* handle_ = nullptr;
  shard::Shard* shard_ = nullptr;
};

/// When and how often a silent peer is asked whether it is there; zero: as TcpConfig says. Whole seconds, up to 65535;
/// anything below a second is one.
struct KeepAlive {
  Duration idle{};
  Duration interval{};
  std::uint8_t probes = 0;
};

/// One connection; exists inside callbacks (and as the result of Core::find) and must not be stored.
/// Every call is allowed in every callback. None blocks, none calls back before it returns; what is queued
/// leaves at the end of the burst, in the same segment as the ACK that is due. After close() or abort() the
/// calls do nothing and say so (0, false).
class Conn {
 public:
  Conn(shard::Shard& shard, tcp::Tcb& tcb) : shard_(&shard), tcb_(&tcb) {}

  [[nodiscard]] ConnId id() const;
  [[nodiscard]] Core& core() const;

  /// Queues a copy. Returns how many bytes were taken: all, or fewer when the send buffer or the shard's memory
  /// is full; then on_writable follows once there is room. 0 after shutdown_write, close or abort.
  std::size_t send(std::span<const std::byte> bytes);
  std::size_t send(std::string_view text) { return send(std::as_bytes(std::span{text.data(), text.size()})); }
  /// Queues a reference to bytes that stay valid and unchanged for as long as the core lives.
  std::size_t send_static(std::span<const std::byte> bytes);
  std::size_t send_static(std::string_view text) { return send_static(std::as_bytes(std::span{text.data(), text.size()})); }
  /// Queues a reference; `release(ctx, bytes)` is called exactly once when the peer has acknowledged the last of
  /// it, or the connection ended. All or nothing: false means nothing was queued and release will not be called.
  using Release = void (*)(void* ctx, std::span<const std::byte> bytes);
  bool send_ref(std::span<const std::byte> bytes, void* ctx, Release release);
  /// Queues the buffer itself. On false the buffer is untouched and still the caller's.
  bool send(TxBuf&& buffer);
  bool send(RxBuf&& buffer);

  /// send(), and the last byte taken becomes the end of urgent data (RFC 9293 section 3.8.5): the peer is told at once, even
  /// past a closed window. The bytes stay in the stream, in their order. New protocols should not use it (RFC 6093).
  std::size_t send_urgent(std::span<const std::byte> bytes);
  std::size_t send_urgent(std::string_view text) { return send_urgent(std::as_bytes(std::span{text.data(), text.size()})); }
  /// Bytes up to the end of the peer's urgent data that were not taken yet, those that have not come included; in on_data
  /// counted from the first byte shown. 0: none.
  [[nodiscard]] std::size_t urgent_ahead() const;

  /// Holds back segments that are not full until uncork(), at most override_timeout once all that was sent is acknowledged.
  void cork();
  void uncork();
  /// Bytes that send() takes now.
  [[nodiscard]] std::size_t writable() const;
  /// Bytes queued and not acknowledged.
  [[nodiscard]] std::size_t unacked() const;

  /// Receives no more data callbacks until resume_rx(); the window closes as the buffer fills.
  void pause_rx();
  void resume_rx();
  /// Drops up to n bytes of what is held unread (on_data left them); returns how many. Opens the window.
  std::size_t consume(std::size_t n);

  /// Sends FIN after what is queued; receiving goes on (half-close). RFC 9293 section 3.6, case 1.
  void shutdown_write();
  /// Sends what is queued, then FIN; no further data comes. With data unread a RST is sent instead.
  /// on_closed follows when the exchange is over.
  void close();
  /// Sends RST, drops everything queued. on_closed(aborted) follows after this callback.
  void abort();

  void set_nodelay(bool on);
  /// Changes the algorithm at once, data in flight or not; the window stays and the new one begins from it.
  void set_congestion_control(CongestionControl algorithm);
  void set_keepalive(bool on);
  /// The differentiated services code point of segments described from now on, retransmissions included; 0..63, or
  /// nothing changes and it says false. RFC 9293 SHLD-21; an application seldom has a reason to (SHLD-23).
  bool set_dscp(std::uint8_t dscp);
  /// Switches it on with times of its own (MUST-27).
  void set_keepalive(const KeepAlive& times);
  /// Ends the connection (timed_out) when data stays unacknowledged for longer: R2 of this connection (MUST-21). Up to
  /// 6553 s in steps of 100 ms, or Duration::max(): never; 0: R2 of TcpConfig. With TcpConfig::user_timeout_option it is
  /// advertised, and the peer's wish no longer counts (RFC 5482). It binds a peer that answers probes and keeps its window
  /// shut, too, which R2 of TcpConfig does not.
  void set_user_timeout(Duration limit);

  /// The handler's on_timer is called once after `delay`; one timer a connection, arming again replaces it.
  void arm(Duration delay);
  void disarm();

  [[nodiscard]] ConnStats stats() const;
  [[nodiscard]] Endpoint local() const;
  [[nodiscard]] Endpoint peer() const;
  [[nodiscard]] State state() const;
  /// The handler's State of this connection; S must be that type.
  template <class S>
  [[nodiscard]] S& user() const {
    return *static_cast<S*>(user_bytes());
  }

 private:
  [[nodiscard]] void* user_bytes() const;
  shard::Shard* shard_;
  tcp::Tcb* tcb_;
};

}  // namespace handfast
