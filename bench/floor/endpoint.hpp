// SPDX-License-Identifier: BSD-3-Clause
// One end of the yardstick: the least that a TCP endpoint has to do for a connection of six packets, with real
// state transitions, checked numbers and sums, and nothing else: no timer, option, loss or TIME-WAIT. Layer: bench.
#pragma once

#include <rte_ethdev.h>
#include <rte_mbuf.h>

#include <array>
#include <cstdint>
#include <span>

#include "packet.hpp"
#include "table.hpp"

namespace floor_bench {

enum class Role : std::uint8_t { client, server };

struct EndpointOptions {
  Role role = Role::client;
  std::uint16_t port = 0;
  std::uint32_t idle = 0;  ///< connections that are there and do nothing
  bool verify = true;      ///< received checksums
  unsigned receive_burst = 32;
  std::uint64_t seed = 1;
};

/// Pseudo-random numbers for tuples; not for secrets.
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed * 0x9e3779b97f4a7c15 + 1) {}
  std::uint64_t next() {
    state_ ^= state_ >> 12;
    state_ ^= state_ << 25;
    state_ ^= state_ >> 27;
    return state_ * 0x2545f4914f6cdd1d;
  }

 private:
  std::uint64_t state_;
};

/// The `n`-th of the idle connections as the client sees it: a permutation's worth of addresses and ports, so that
/// neighbours in time are none in the table, and the same at both ends.
[[nodiscard]] Tuple idle_tuple(std::uint32_t n);

class Endpoint {
 public:
  Endpoint(const EndpointOptions& options, rte_mempool* pool);
  Endpoint(const Endpoint&) = delete;
  Endpoint& operator=(const Endpoint&) = delete;

  /// Sends `n` SYNs, each from a tuple drawn at random. At most a burst at a time.
  void open(unsigned n);
  /// Receives at most one burst and sends what answers it. Returns packets in.
  unsigned poll();

  [[nodiscard]] std::uint64_t opened() const { return opened_; }
  [[nodiscard]] std::uint64_t done() const { return done_; }
  [[nodiscard]] std::uint64_t received() const { return received_; }
  [[nodiscard]] std::uint64_t sent() const { return sent_; }
  /// Packets that were not what they had to be, or found no room: a run is valid with none.
  [[nodiscard]] std::uint64_t bad() const { return bad_; }

 private:
  static constexpr unsigned max_burst = 64, send_burst = 32;
  static constexpr std::uint32_t most_in_flight = 200'000;

  void handle(rte_mbuf* m, std::uint32_t hash);
  [[nodiscard]] bool advance(Connection& c, rte_mbuf* m, const Packet& p);
  void send(rte_mbuf* m, Connection& c, std::uint8_t flags, std::uint16_t payload);
  void give_back(rte_mbuf* m) { spent_[spent_count_++] = m; }
  void flush();

  EndpointOptions options_;
  rte_mempool* pool_;
  Table table_;
  Random random_;
  Packet template_{};
  std::array<std::uint8_t, payload_bytes> payload_;
  std::uint64_t payload_sum_;
  std::uint32_t initial_sequence_ = 0;
  std::uint16_t identification_ = 0;
  std::array<rte_mbuf*, max_burst> out_{}, spent_{};
  unsigned out_count_ = 0, spent_count_ = 0;
  std::uint64_t opened_ = 0, done_ = 0, received_ = 0, sent_ = 0, bad_ = 0;
};

}  // namespace floor_bench
