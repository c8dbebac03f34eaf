// SPDX-License-Identifier: BSD-3-Clause
// What both ends of every connection said and heard: the truth that the stacks are measured by.
// Layer: simulator. Knows nothing of frames and nothing of how the stack works.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "base/rng.hpp"
#include "handfast/conn.hpp"
#include "sim/plan.hpp"

namespace handfast::sim {

/// One end of a connection, as its application knows it.
struct Side {
  Habits habits;
  Rng rng{0};
  bool opened = false;    ///< on_connect or on_accept
  bool eof = false;       ///< on_peer_fin
  bool shut = false;      ///< no more will be sent: shutdown_write or close
  bool left = false;      ///< close or abort: nothing but on_closed follows
  bool ended = false;     ///< on_closed
  bool vanished = false;  ///< its stack crashed
  CloseReason reason = CloseReason::finished;
  std::uint64_t written = 0;  ///< bytes that send() took
  std::uint64_t received = 0;
  std::uint32_t callbacks = 0, ticks = 0;
  ConnId id;
  std::uint16_t shard = 0;
};

/// One connection that was really opened, or a second one that the server believed in (a replayed cookie).
struct Talk {
  const Exchange* plan = nullptr;
  unsigned end[2] = {0, 1};  ///< client's, server's
  Endpoint client, server;
  std::uint32_t iss = 0;               ///< of the client's SYN
  std::uint32_t earlier = no_earlier;  ///< the talk before it between these endpoints
  static constexpr std::uint32_t no_earlier = 0xffffffff;
  std::uint64_t salt = 0;
  bool ghost = false;  ///< accepted again for what one client opened once
  bool haunted =
      false;  ///< there is such a second one: it may have said the rest of what the first had to say
  bool started = false;  ///< connect() said yes
  bool drained = false;  ///< an end of it was told to stop, and closed for its application
  std::uint32_t again =
      0;  ///< how often the same two endpoints had opened one before, as Exchange::reopen asks
  Side side[2];
  /// Who wrote what this side reads.
  [[nodiscard]] unsigned other(unsigned number) const { return plan->with_itself ? number : 1 - number; }
};

/// Keeps the talks, and the first thing that was wrong.
class Ledger {
 public:
  explicit Ledger(std::uint64_t seed) : hash_(seed) {}
  std::vector<Talk> talks;

  /// The latest talk between these two endpoints; null if there was none.
  [[nodiscard]] Talk* find(Endpoint client, Endpoint server);
  /// The latest of those that began with this number, and else the latest: a server may hear of one that its client has
  /// given up, and opened anew.
  [[nodiscard]] Talk* find(Endpoint client, Endpoint server, std::uint32_t iss);
  [[nodiscard]] std::uint32_t open(const Exchange& plan, Endpoint client, Endpoint server,
                                   std::uint64_t seed);

  /// Only the first is kept; where frames are garbled past all checksums, what they said proves nothing.
  void fail(std::string what);
  [[nodiscard]] const std::string& failure() const { return failure_; }
  [[nodiscard]] bool failed() const { return !failure_.empty(); }

  /// Everything that can be seen goes in: two runs of a seed must end with the same number.
  void note(std::uint64_t value) { hash_ = (hash_ ^ value) * 0x9e3779b97f4a7c15u, hash_ ^= hash_ >> 29; }
  void note(std::span<const std::byte> bytes);
  [[nodiscard]] std::uint64_t hash() const { return hash_; }

  /// What must hold once everything has ended.
  void check_end(const Plan& plan);
  [[nodiscard]] std::string text(const Talk& talk) const;

  /// What the applications saw, without times: opens, bytes, ends.
  [[nodiscard]] std::string seen() const;

  bool healed = false;
  bool garbled = false;

 private:
  void check_end(const Plan& plan, const Talk& talk);
  std::map<std::pair<Endpoint, Endpoint>, std::uint32_t> latest_;
  std::string failure_;
  std::uint64_t hash_;
};

/// The bytes of a stream: a function of stream and offset alone. At most `n`, fewer at the table's end; valid
/// for ever.
[[nodiscard]] std::span<const std::byte> content(std::uint64_t salt, unsigned side, std::uint64_t offset,
                                                 std::size_t n);
/// The first place where `bytes` is not the stream from `offset` on; bytes.size() if it is.
[[nodiscard]] std::size_t first_wrong(std::uint64_t salt, unsigned side, std::uint64_t offset,
                                      std::span<const std::byte> bytes);

}  // namespace handfast::sim
