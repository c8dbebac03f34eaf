// SPDX-License-Identifier: BSD-3-Clause
// The yardstick's connections: 64 bytes each, from a free list, found through open addressing with eight bytes
// a place (hash and index) at a load of at most a half. Layer: bench. Fixed size, no state machine.
#pragma once

#include <rte_hash_crc.h>
#include <rte_prefetch.h>

#include <bit>
#include <cstdint>

#include "ds/mapping.hpp"
#include "packet.hpp"

namespace floor_bench {

enum class Stage : std::uint8_t { syn_sent, syn_received, request_sent, response_sent, fin_sent };

struct alignas(64) Connection {
  Tuple tuple;
  std::uint32_t snd_nxt, snd_una, rcv_nxt;
  std::uint32_t tuple_sum;  // of the pseudo header
  std::uint32_t place;      // in the table
  std::uint32_t next_free;
  Stage stage;
};
static_assert(sizeof(Connection) == 64);

[[nodiscard]] inline std::uint32_t hash_of(const Tuple& t) {
  const std::uint64_t addresses = std::uint64_t{t.local} << 32 | t.remote;
  const std::uint32_t ports = std::uint32_t{t.local_port} << 16 | t.remote_port;
  return rte_hash_crc_4byte(ports, rte_hash_crc_8byte(addresses, 0));
}

class Table {
 public:
  explicit Table(std::uint32_t capacity)
      : mask_(std::bit_ceil(capacity * 2) - 1),
        place_memory_((std::size_t{mask_} + 1) * sizeof(std::uint64_t)),
        connection_memory_(std::size_t{capacity} * sizeof(Connection)),
        places_(static_cast<std::uint64_t*>(place_memory_.data())),
        connections_(static_cast<Connection*>(connection_memory_.data())) {
    // Touched now, so that no page fault is measured.
    for (std::uint32_t i = 0; i < capacity; ++i) connections_[i].next_free = i + 1;
    for (std::uint32_t i = 0; i <= mask_; i += 512) places_[i] = 0;
  }

  void prefetch_place(std::uint32_t hash) const { rte_prefetch0(&places_[hash & mask_]); }
  void prefetch_connection(std::uint32_t hash) const {
    if (const std::uint64_t found = places_[hash & mask_]; found != 0) rte_prefetch0(&connections_[index(found)]);
  }

  [[nodiscard]] Connection* find(std::uint32_t hash, const Tuple& tuple) const {
    for (std::uint32_t at = hash & mask_; places_[at] != 0; at = (at + 1) & mask_) {
      if (places_[at] >> 32 != hash) continue;
      Connection& c = connections_[index(places_[at])];
      if (c.tuple == tuple) return &c;
    }
    return nullptr;
  }

  /// The tuple is known to be absent, and there is room.
  Connection& insert(std::uint32_t hash, const Tuple& tuple) {
    const std::uint32_t chosen = free_;
    Connection& c = connections_[chosen];
    free_ = c.next_free;
    std::uint32_t at = hash & mask_;
    while (places_[at] != 0) at = (at + 1) & mask_;
    places_[at] = std::uint64_t{hash} << 32 | (chosen + 1);
    c.tuple = tuple;
    c.place = at;
    c.tuple_sum = sum_of(tuple);
    return c;
  }

  /// Those behind it that can come nearer to their home move up, so that no grave is left.
  void erase(Connection& gone) {
    std::uint32_t hole = gone.place;
    for (std::uint32_t at = (hole + 1) & mask_; places_[at] != 0; at = (at + 1) & mask_) {
      const std::uint32_t home = static_cast<std::uint32_t>(places_[at] >> 32) & mask_;
      if (((at - home) & mask_) < ((at - hole) & mask_)) continue;
      places_[hole] = places_[at];
      connections_[index(places_[at])].place = hole;
      hole = at;
    }
    places_[hole] = 0;
    gone.next_free = free_;
    free_ = static_cast<std::uint32_t>(&gone - connections_);
  }

 private:
  static std::uint32_t index(std::uint64_t place) { return static_cast<std::uint32_t>(place) - 1; }

  std::uint32_t mask_;
  handfast::ds::Mapping place_memory_, connection_memory_;
  std::uint64_t* places_;  // 0: empty; else hash, and index + 1
  Connection* connections_;
  std::uint32_t free_ = 0;
};

}  // namespace floor_bench
