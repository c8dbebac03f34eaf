// SPDX-License-Identifier: BSD-3-Clause
// SYN cookies and the order of ports. Layer: tcp.
#include "tcp/secrets.hpp"

#include <algorithm>

namespace handfast::tcp {
namespace {

// A cookie: six bits of the time slot, two of the MSS class, 24 of a MAC over both, the tuple and the peer's ISN.
// Of 2^32 answers eight are right at a time: a chance of 2^-29 (sec A16).
std::uint32_t cookie_slot_number(Time now) {
  return static_cast<std::uint32_t>(now.time_since_epoch() / cookie_slot);
}

std::uint32_t cookie_mac(const Secrets& secrets, const FlowKey& key, Seq irs, std::uint32_t slot, std::uint32_t mss_class) {
  const std::uint64_t rest = std::uint64_t{slot} << 2 | mss_class;
  const std::uint64_t ports_and_irs = std::uint64_t{key.ports} << 32 | irs.raw();
  return static_cast<std::uint32_t>(siphash24(secrets.cookie, address_word(key), ports_and_irs, rest)) & 0xffffff;
}

Seq cookie_in_slot(const Secrets& secrets, const FlowKey& key, Seq irs, std::uint32_t slot, std::uint32_t mss_class) {
  return Seq{(slot & 0x3f) << 26 | mss_class << 24 | cookie_mac(secrets, key, irs, slot, mss_class)};
}

}  // namespace

Seq make_cookie(const Secrets& secrets, const FlowKey& key, Seq irs, std::uint16_t mss, Time now) {
  // The largest class that the peer can take; below the smallest there is only the smallest.
  std::uint32_t mss_class = 0;
  for (std::uint32_t i = 0; i < cookie_mss.size(); ++i)
    if (cookie_mss[i] <= mss) mss_class = i;
  return cookie_in_slot(secrets, key, irs, cookie_slot_number(now), mss_class);
}

std::optional<std::uint16_t> check_cookie(const Secrets& secrets, const FlowKey& key, Seq irs, Seq cookie, Time now) {
  const std::uint32_t current = cookie_slot_number(now);
  const std::uint32_t mss_class = cookie.raw() >> 24 & 3;
  for (const std::uint32_t slot : {current, current - 1})
    if (cookie_in_slot(secrets, key, irs, slot, mss_class) == cookie) return cookie_mss[mss_class];
  return std::nullopt;
}

std::uint16_t nth_port(const Secrets& secrets, std::uint64_t destination, std::uint32_t n, std::uint16_t first,
                       std::uint16_t last) {
  const std::uint32_t range = std::uint32_t{last} - first + 1;
  std::uint32_t value = n % range;
  const std::uint64_t tweak = destination * 0x9e3779b97f4a7c15u + secrets.port.k0;
  // A Feistel network over 16 bits; a value past the range walks its cycle until it is inside (at most once a
  // step on average, since the range is at least half of 2^16 by default; short ranges walk longer, never for ever).
  do {
    std::uint32_t left = value >> 8, right = value & 0xff;
    for (std::uint32_t round = 0; round < 4; ++round) {
      // Two multiplications with shifts between: one alone is so nearly linear that ports follow each other.
      std::uint64_t mixed = tweak ^ (secrets.port.k1 + (right | round << 8));
      mixed = (mixed ^ mixed >> 31) * 0x9fb21c651e98df25u;
      mixed = (mixed ^ mixed >> 28) * 0xd6e8feb86659fd93u;
      const std::uint32_t f = static_cast<std::uint32_t>(mixed >> 48) & 0xff;
      const std::uint32_t next = left ^ f;
      left = right;
      right = next;
    }
    value = left << 8 | right;
  } while (value >= range);
  return static_cast<std::uint16_t>(first + value);
}

}  // namespace handfast::tcp
