// SPDX-License-Identifier: BSD-3-Clause
// What servers told us for the next connection: Fast Open cookies, and which of them not to ask (RFC 7413
// section 4.1.3). Layer: tcp. Bounded; sized at start; where a set is full the oldest entry goes.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "base/flow_key.hpp"
#include "base/siphash.hpp"
#include "handfast/time.hpp"
#include "wire/tcp_option_kinds.hpp"

namespace handfast::tcp {

class FastOpenCache {
 public:
  struct Entry {
    std::uint32_t local_address = 0, remote_address = 0;
    Port remote_port = 0;     // 0: the place is free
    std::uint16_t mss = 0;    // that the server announced
    std::uint8_t length = 0;  // of the cookie; 0: none
    std::array<std::byte, wire::option_length::most_fast_open_cookie> cookie{};
    Time since = Time::min();        // last written
    Time avoid_until = Time::min();  // no Fast Open before, not even a request
  };

  FastOpenCache(std::uint32_t capacity, SipKey key);

  /// For the pair of addresses and the server's port; null if nothing is known.
  [[nodiscard]] const Entry* find(const FlowKey& key) const;
  /// A cookie came: what spoke against the server is forgotten.
  void learn(const FlowKey& key, std::span<const std::byte> cookie, std::uint16_t mss, Time now);
  /// It took data with its SYN.
  void approve(const FlowKey& key);
  /// It did not answer, or not well.
  void avoid(const FlowKey& key, Time now, Time until);

 private:
  static constexpr std::size_t ways = 4;
  [[nodiscard]] std::span<Entry> set_of(const FlowKey& key);
  Entry* claim(const FlowKey& key);

  SipKey key_;
  std::vector<Entry> entries_;
};

}  // namespace handfast::tcp
