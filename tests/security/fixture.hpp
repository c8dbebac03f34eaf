// SPDX-License-Identifier: BSD-3-Clause
// The world of an attack: a stack, the peer that is attacked or attacks, and an innocent connection beside it. At its end
// it checks what no attack may change. Layer: tests of security, through frames; what the tables hold is looked up inside.
#pragma once

#include <cstdint>
#include <string>

#include "support/peer.hpp"
#include "support/usage.hpp"

namespace handfast::test {

/// True for the long runs (HANDFAST_LONG is set): the full numbers. Else what a second can bear.
[[nodiscard]] bool is_long_run();
[[nodiscard]] inline std::uint64_t scaled(std::uint64_t full, std::uint64_t otherwise) { return is_long_run() ? full : otherwise; }

/// What must be as before once all connections are gone.
struct Holdings {
  Usage usage;
  std::size_t frames = 0;           ///< buffers of the port
  std::size_t table_entries = 0;    ///< of the flow table
  std::size_t timers = 0;           ///< armed, of connections and half-open entries
  std::uint32_t of_listeners = 0;   ///< half-open and waiting connections that listeners count
  friend bool operator==(const Holdings&, const Holdings&) = default;
};
[[nodiscard]] Holdings holdings_of(Trace& t);
std::ostream& operator<<(std::ostream& out, const Holdings& h);

/// Whether a counter says why something that arrived went no further. The others say that an answer was withheld
/// (tcp_challenge_limited, tcp_rst_rate_limited) or that a frame of ours was lost on its way out.
[[nodiscard]] bool is_about_arrivals(Drop reason);

/// Checks by itself, after each frame that goes in through `t` or a Peer: at most `most_out_per_in` frames leave for each that
/// arrived (a burst counts as a whole), and no more drops are counted than frames came. In its destructor, or in verify():
/// the innocent connection still moves 100 bytes both ways; then everything is torn down, and the holdings are those of the
/// beginning. The rest (no sanitizer report, the grammar of callbacks, well-formed frames) is checked by Trace and App.
class SecurityWorld {
 public:
  /// The innocent one is open when this returns, at no cost of virtual time. `listens`: on port 80, for `t.app`.
  explicit SecurityWorld(CoreConfig config = small_config(), bool listens = true, std::uint32_t below_wrap = 0);
  ~SecurityWorld();
  SecurityWorld(const SecurityWorld&) = delete;

  /// The five post-conditions; at most once, by the destructor if not before. Peers of the test's own may be gone by then.
  void verify();

  /// Opens the connection of `t.peer` passively; `exchange`: 100 bytes each way, all acknowledged.
  void establish(Handshake h = {}, bool exchange = true);
  /// Brings a connection of `p` (from no connection) into the state, with 100 bytes exchanged where there is one that is open.
  /// All but SYN-SENT are passive; SYN-RECEIVED is a half-open entry; the stack's half is closed by shutdown_write().
  /// LISTEN and CLOSED do nothing. Returns its id where it has one.
  ConnId bring(Peer& p, State state, Handshake h = {});
  /// By the flow table, half-open and TIME-WAIT entries included; CLOSED: there is none.
  [[nodiscard]] State state(const Peer& p);
  /// The connection that was opened last, by what the application sees.
  [[nodiscard]] State state() { return t.state(); }

  /// Counted since the beginning.
  [[nodiscard]] std::uint64_t drops(Drop reason);
  /// Frames that left since the beginning, the innocent one's included.
  [[nodiscard]] std::uint64_t frames_out();
  /// `attack` makes `times` arrivals be dropped for this reason, and for no other.
  template <class F>
  void expect_dropped(Drop reason, F&& attack, std::uint64_t times = 1) {
    const auto before = t.stats().drops;
    attack();
    check_dropped(before, reason, times);
  }
  /// Takes what has come for `p` and for nobody; how many segments that were for `p`.
  std::size_t discard(Peer& p);
  std::size_t discard() { return discard(t.peer); }
  /// The innocent connection moves 100 bytes in each direction now.
  void expect_innocent_moves();

  double most_out_per_in = 1;
  bool has_innocent = true;  ///< false: the attack, or the test, ends all connections
  static constexpr Port innocent_port = 7007;

  App innocent_app;
  Trace t;
  Peer& peer;
  Peer innocent;

 private:
  void note(bool is_over);
  void check_dropped(const std::array<std::uint64_t, drop_count>& before, Drop reason, std::uint64_t times);
  void close_all();

  Holdings baseline_;
  std::uint64_t frames_in_before_ = 0, frames_out_before_ = 0, drops_before_ = 0;
  std::array<std::uint64_t, drop_count> first_drops_{};
  std::uint64_t first_frames_out_ = 0;
  ConnId innocent_id_;
  std::uint64_t innocent_bytes_ = 0;
  bool verified_ = false;
};

}  // namespace handfast::test
