// SPDX-License-Identifier: BSD-3-Clause
// Who has which Ethernet address: the ARP cache (RFC 826, RFC 1122 section 2.3.2), bounded, ageing, hard to poison.
// Layer: shard. It decides what to ask and what to believe; it sends nothing.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "handfast/config.hpp"
#include "wire/arp.hpp"

namespace handfast::shard {

/// How long an answer stands against a different one (sec A18).
inline constexpr Duration neighbour_lock = 30s;

class Neighbours {
 public:
  Neighbours(const LinkConfig& link, std::uint32_t capacity);

  /// What to do with a frame for `next_hop`.
  enum class Lookup : std::uint8_t { known, wait, ask_and_wait, unreachable };
  struct Result {
    Lookup what;
    MacAddress mac;          ///< if known
    bool refresh = false;    ///< known, but old: ask again meanwhile
  };
  /// The hot path: fresh answers are kept in a small table of their own, by the address's low bits.
  [[nodiscard]] Result find(Ipv4Address next_hop, Time now) {
    const MacAddress* mac = fresh(next_hop, now);
    return mac != nullptr ? Result{Lookup::known, *mac} : find_slow(next_hop, now);
  }
  [[nodiscard]] const MacAddress* fresh(Ipv4Address next_hop, Time now) const {
    const Fresh& place = fresh_[next_hop.value % fresh_.size()];
    return place.address == next_hop && now < place.until ? &place.mac : nullptr;
  }
  /// The same as a word (wire::mac_word); zero: none.
  [[nodiscard]] std::uint64_t fresh_word(Ipv4Address next_hop, Time now) const {
    const Fresh& place = fresh_[next_hop.value % fresh_.size()];
    return place.address == next_hop && now < place.until ? place.word : 0;
  }

  /// Its address if there is an answer, however old; asks nothing.
  [[nodiscard]] const MacAddress* answer_of(Ipv4Address address) {
    const Entry* entry = lookup(address);
    return entry != nullptr && entry->state == State::reachable ? &entry->mac : nullptr;
  }
  /// Whether a question for it is open.
  [[nodiscard]] bool is_asked(Ipv4Address address) {
    const Entry* entry = lookup(address);
    return entry != nullptr && entry->state == State::incomplete;
  }
  /// Whether a question was pushed out, since the last call, by an entry that needed its place: nobody will be told how
  /// it ended.
  [[nodiscard]] bool take_lost_question() { return std::exchange(lost_question_, false); }

  /// What an ARP packet teaches. `ours`: its target is one of our addresses.
  [[nodiscard]] Drop learn(const wire::ArpPacket& packet, bool ours, Time now);

  /// A connection gets no answer through this neighbour (RFC 1122 section 2.3.2.1): it is asked for again with the next
  /// frame, and forgotten if it does not answer. Not more often than neighbour_retry.
  void suspect(Ipv4Address next_hop, Time now);

  /// Requests that are due again, at most one a call; nothing when there is none. An entry whose attempts are used up
  /// becomes unreachable, and `failed` is told.
  struct Due {
    Ipv4Address ask;
    bool failed = false;
  };
  [[nodiscard]] std::optional<Due> next_due(Time now);
  /// When next_due may have something; Time::max() if nothing is being resolved.
  [[nodiscard]] Time next_deadline() const { return next_deadline_; }

  [[nodiscard]] std::uint32_t size() const { return used_; }

 private:
  enum class State : std::uint8_t { free, incomplete, reachable, failed };
  struct Entry {
    Ipv4Address address;
    MacAddress mac;
    State state = State::free;
    std::uint8_t attempts = 0;
    Time since{};      // reachable: when it was confirmed; incomplete: when it was asked; failed: when it was given up
  };

  Result find_slow(Ipv4Address next_hop, Time now);
  Entry* lookup(Ipv4Address address);
  Entry* add(Ipv4Address address);
  void forget_fresh(Ipv4Address address) { fresh_[address.value % fresh_.size()] = {}; }
  void note_deadline(Time t) {
    if (t < next_deadline_) next_deadline_ = t;
  }

  const LinkConfig link_;
  std::vector<Entry> entries_;  // searched linearly from a hash, a few steps; never grown
  std::uint32_t used_ = 0;
  bool lost_question_ = false;
  struct Fresh {
    Ipv4Address address;
    MacAddress mac;
    Time until = Time::min();
    std::uint64_t word = 0;
  };
  std::array<Fresh, 64> fresh_{};
  Time next_deadline_ = Time::max();
};

}  // namespace handfast::shard
