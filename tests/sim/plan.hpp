// SPDX-License-Identifier: BSD-3-Clause
// What one seed stands for, drawn before anything runs: who, what is said, and which faults there are.
// Layer: simulator. Each aspect has a generator of its own, so that taking a fault or a connection away
// leaves the rest of the run as it was as far as can be.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/rng.hpp"
#include "emulator/rules.hpp"
#include "handfast/config.hpp"

namespace handfast::sim {

/// Kinds of trouble; a seed has some of them.
enum class Fault : std::uint8_t {
  loss,      ///< frame by frame, up to 30 %
  bursts,    ///< in bursts
  targeted,  ///< all SYN-ACKs, all FINs, all bare ACKs, every n-th frame
  reorder,
  duplicate,  ///< up to half of them, and copies of copies
  replay,     ///< old frames again, up to an MSL later
  delay,      ///< up to half a second, with jitter
  rate,       ///< a slow link with a short queue
  partition,  ///< one direction or both dead for a while
  corrupt,    ///< a bit inverted: the checksums find each
  mtu,        ///< the path becomes narrower, with or without an ICMP message
  ring,       ///< the port takes few frames, or none
  buffers,    ///< no buffer to write a frame into
  nic,     ///< bursts of any size, late completions, wrong verdicts on sums, frames on another shard's queue
  outage,  ///< an end's link is down for a while, or all ARP is lost
  stall,   ///< a core does not poll for a while
  // What may end a connection early:
  memory,    ///< tables and pools of a few places each
  drought,   ///< pools are empty for a while, or nearly
  clock,     ///< jumps forward, small steps back, coarse ticks
  crash,     ///< an end loses all it knows and comes back under the same address
  attacker,  ///< blind forgeries
  abort,     ///< the application aborts, or ends at some callback
  rude,      ///< it closes without waiting for the peer's end
  listener,  ///< a small backlog, accepting paused, the listener closed and opened again
  drain,     ///< an end is told to stop in the middle of traffic, does, and comes back
  severed,   ///< when all heals, one direction between two ends stays dead for ever
  garble,    ///< what no checksum finds: nothing that is said can be trusted, but nobody may fall or leak
  count_,
};
inline constexpr unsigned fault_count = static_cast<unsigned>(Fault::count_);
[[nodiscard]] std::string_view name(Fault fault);
[[nodiscard]] std::optional<Fault> parse_fault(std::string_view text);
[[nodiscard]] constexpr std::uint32_t mask(Fault fault) { return 1u << static_cast<unsigned>(fault); }
/// Those that leave a connection no right to end otherwise than by FINs.
inline constexpr std::uint32_t orderly_faults = mask(Fault::memory) - 1;

/// The generator of one aspect of a seed.
[[nodiscard]] Rng aspect(std::uint64_t seed, std::uint32_t number);

/// How one end of a connection behaves.
struct Habits {
  enum class Read : std::uint8_t { all, some, pauses, sips, not_before_the_end, one_by_one, never };
  enum class Close : std::uint8_t { after_both, after_peer, at_once, abort_at, close_at };
  std::uint32_t bytes = 0;     ///< that it sends
  std::uint32_t chunk = 1000;  ///< at most by call
  Read read = Read::all;
  Close close = Close::after_both;
  std::uint32_t at = 0;  ///< the callback that ends it, for abort_at and close_at
  bool nodelay = false, corks = false, urgent = false, mixed_sends = false, takes_buffers = false;
  std::optional<CongestionControl> change_to{};  ///< in mid-flight
};

/// One connection.
struct Exchange {
  unsigned client = 0, server = 1;
  Duration at{};               ///< after the start
  bool simultaneous = false;   ///< both connect
  bool with_itself = false;    ///< one connection is both ends: from an endpoint to itself
  std::uint32_t reopen = 0;    ///< so many times again between the same endpoints, as soon as it has ended
  bool reopen_inside = false;  ///< from within on_closed
  bool turns = false;          ///< request and response
  std::uint32_t request = 0, response = 0;
  Port local_port = 0;  ///< 0: chosen by the stack
  bool fast_open = false;
  std::optional<CongestionControl> congestion{};
  Habits habits[2];  ///< client's, server's
};

struct Choice {
  std::uint32_t without = 0;               ///< faults taken away
  std::optional<std::uint32_t> only{};     ///< of the seed's faults these alone
  std::uint32_t connections = 0xffffffff;  ///< bit by bit which of them
  std::optional<Duration> chaos{};         ///< at most so long
  bool single = false;                     ///< one shard each
  std::optional<std::uint32_t> force{};    ///< these faults and no others, and all must end well
};

struct Plan {
  std::uint64_t seed = 0;
  std::uint32_t faults = 0;
  bool orderly = false;  ///< every connection must end well
  bool forced = false;   ///< Choice::force: two such plans of a seed differ in their faults alone
  Time start;
  Duration chaos{};
  std::vector<CoreConfig> ends;
  std::vector<std::uint16_t> shards;  ///< of each end
  bool wraps = false;                 ///< initial sequence numbers shortly before they wrap
  std::vector<Exchange> exchanges;

  [[nodiscard]] bool has(Fault fault) const { return (faults & mask(fault)) != 0; }
  [[nodiscard]] std::string text() const;
};

[[nodiscard]] Plan draw_plan(std::uint64_t seed, const Choice& choice);
/// A clock offset by which the first connection from `end` begins shortly before its sequence numbers wrap.
[[nodiscard]] Duration offset_to_wrap(const Plan& plan, unsigned end);
/// The weather on one direction of a link for a while. `healed`: none.
[[nodiscard]] emulator::Rules draw_weather(const Plan& plan, Rng& rng);

[[nodiscard]] constexpr Ipv4Address address_of(unsigned end) {
  return {10, 0, 0, static_cast<std::uint8_t>(end + 1)};
}
/// `life`: an end that comes back may have another card.
[[nodiscard]] constexpr MacAddress mac_of(unsigned end, unsigned life = 0) {
  return {{2, 0, 0, static_cast<std::uint8_t>(life), 0, static_cast<std::uint8_t>(end + 1)}};
}
inline constexpr Port served_port = 80;

}  // namespace handfast::sim
