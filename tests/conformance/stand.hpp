// SPDX-License-Identifier: BSD-3-Clause
// A real stack brought into each of the states through frames, one segment sent to it, and all that can be
// seen of what follows set beside what the oracle says. Layer: tests. What it knows of RCV.NXT, SND.NXT and
// the window it has read off the wire.
#pragma once

#include <array>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "conformance/oracle.hpp"
#include "support/peer.hpp"

namespace handfast::conformance {

/// The eleven states, and the ways to be in one that make a difference.
enum class Setup : std::uint8_t {
  closed,
  listen,
  syn_sent,
  syn_received,
  established,
  fin_wait_1,
  fin_wait_2,
  close_wait,
  closing,
  last_ack,
  time_wait,
  // variants
  syn_received_active,  ///< by a simultaneous open
  time_wait_active,     ///< nobody listens on the port
  established_shut,     ///< the receive window is zero
  fin_wait_1_orphan,
  fin_wait_2_orphan,
  closing_orphan,  ///< close(), not a half-close
  count_,
};
inline constexpr std::size_t setup_count = static_cast<std::size_t>(Setup::count_);
[[nodiscard]] std::string_view name(Setup setup);
[[nodiscard]] State state_of(Setup setup);

/// Where the segment begins, or what its ACK says, seen from the window or from what was sent.
enum class Position : std::uint8_t { before, straddling, exact, next, last, beyond, count_ };
enum class AckPosition : std::uint8_t { all, all_but_one, una, old, oldest, too_old, unsent, count_ };
/// SEG.TSval beside TS.Recent; `late` is older, but within what docs/rfc-exceptions.md tolerates.
enum class Stamp : std::uint8_t { none, current, newer, late, older, count_ };

struct Case {
  std::uint8_t flags = 0;
  Position position = Position::exact;
  AckPosition ack = AckPosition::all;
  std::uint32_t text = 0;
  Stamp stamp = Stamp::none;
  bool fills = false;  ///< `text` is beside what fills the window
};

class Stand {
 public:
  /// `timestamps`: the two ends agree on them, where they get as far.
  explicit Stand(Setup setup, bool timestamps = false);
  /// Brings a new connection into the state, sends the segment, compares, and ends it. Says what differs;
  /// empty: nothing.
  std::string run(const Case& c);
  [[nodiscard]] std::size_t cases() const { return cases_; }
  /// State before and after a segment, call or time-out, of all cases.
  [[nodiscard]] const std::set<std::pair<State, State>>& transitions() const { return transitions_; }

 private:
  void begin();
  void bring();
  void open_passive();
  void open_active();
  void exchange();
  void fill_window();
  void user(void (*call)(Conn&));
  void peer_sends(std::uint8_t flags, const std::string& text = {});
  void drain();
  void into(State state);
  Arriving arriving(const Case& c) const;
  void send(const Arriving& segment);
  std::string text_at(std::uint32_t seq, std::uint32_t count) const;

  [[nodiscard]] State listed();
  std::string compare(const Outcome& expected, const Variables& before);
  std::string compare_emissions(const Outcome& expected);
  std::string compare_drops(const Outcome& expected, const CoreStats& before);
  std::string compare_user(const Outcome& expected, const Variables& before);
  std::string compare_resources(State state);
  std::string probe(const Outcome& expected);
  std::string fill_gap(const Outcome& expected);
  std::string check_2msl(const Outcome& expected);
  void finish();

  Setup setup_;
  bool timestamps_;
  test::Trace trace_;
  Variables v_;
  std::uint32_t right_edge_ = 0, peer_nxt_ = 0, ts_last_ = 0, ts_peer_ = 0;
  std::vector<test::Packet> sent_;  ///< by the stack, since it was last looked at
  Time time_wait_since_{};
  std::uint32_t gap_ = 0;  ///< octets between RCV.NXT and the segment
  std::size_t cases_ = 0;
  std::set<std::pair<State, State>> transitions_;
};

}  // namespace handfast::conformance
