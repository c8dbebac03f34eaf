// SPDX-License-Identifier: BSD-3-Clause
// What nobody outside may guess, and what follows from it: initial sequence numbers (RFC 6528), timestamp offsets
// (RFC 7323 section 5.4), SYN cookies (RFC 4987), the order of local ports (RFC 6056). Layer: tcp.
// All are pure functions of key, tuple and time: one seed replays everything.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "base/flow_key.hpp"
#include "base/rng.hpp"
#include "base/seq.hpp"
#include "base/siphash.hpp"
#include "handfast/time.hpp"

namespace handfast::tcp {

struct Secrets {
  /// `rng` is the shard's; `seed` all shards have in common: a Fast Open cookie comes back to any of them.
  explicit Secrets(Rng& rng, std::uint64_t seed = 0)
      : isn{rng.next(), rng.next()},
        cookie{rng.next(), rng.next()},
        port{rng.next(), rng.next()},
        flow{rng.next(), rng.next(), rng.next(), rng.next()} {
    Rng common{seed ^ 0x6661737420646f6f};
    fast_open = {common.next(), common.next()};
  }
  SipKey isn, cookie, port, fast_open;
  std::array<std::uint64_t, 4> flow;
};

[[nodiscard]] inline std::uint64_t address_word(const FlowKey& key) {
  return std::uint64_t{key.local_address} << 32 | key.remote_address;
}

/// ISN = M + F(tuple, key), M a clock of 4 microseconds (MUST-8, MUST-9, SHLD-1; rfc6528 3a, 3b). The other half of the same hash is the
/// connection's timestamp offset: constant by tuple, so that TSval rises from one incarnation to the next.
struct InitialNumbers {
  Seq iss;
  std::uint32_t ts_offset = 0;
};
[[nodiscard]] inline InitialNumbers initial_numbers(const Secrets& secrets, const FlowKey& key, Time now) {
  const std::uint64_t f = siphash24(secrets.isn, address_word(key), key.ports);
  const auto m = static_cast<std::uint32_t>(now.time_since_epoch().count() / 4000);
  return {Seq{m + static_cast<std::uint32_t>(f)}, static_cast<std::uint32_t>(f >> 32)};
}

/// What a cookie remembers of a SYN besides the tuple: one of four MSS classes.
inline constexpr std::array<std::uint16_t, 4> cookie_mss{536, 1300, 1440, 1460};
/// A cookie is good in the slot in which it was made and in the next.
inline constexpr Duration cookie_slot = 64s;

[[nodiscard]] Seq make_cookie(const Secrets& secrets, const FlowKey& key, Seq irs, std::uint16_t mss, Time now);
/// The MSS that the cookie stands for; nothing if it is not ours, or too old.
[[nodiscard]] std::optional<std::uint16_t> check_cookie(const Secrets& secrets, const FlowKey& key, Seq irs, Seq cookie,
                                                        Time now);

/// The n-th port of a destination's order: a keyed permutation of [first, last], so that it cannot be predicted and
/// none comes again before all others did (the reuse of a tuple is as late as it can be).
[[nodiscard]] std::uint16_t nth_port(const Secrets& secrets, std::uint64_t destination, std::uint32_t n,
                                     std::uint16_t first, std::uint16_t last);

}  // namespace handfast::tcp
