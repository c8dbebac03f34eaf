// SPDX-License-Identifier: BSD-3-Clause
// What is done to a TCP endpoint: segments by a peer, numbered from live edges, and calls by its application.
// Layer: differential test. Knows nothing of who the endpoint is.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace handfast::differential {

/// What a number of the peer's counts from.
enum class From : std::uint8_t {
  next,   ///< sequence: the peer's next byte
  acked,  ///< sequence: what the endpoint has acknowledged
  right,  ///< sequence: the right edge of the window that it offered
  got,    ///< acknowledgement: all that came in order
  una,    ///< acknowledgement: the last that was sent
};

struct Op {
  enum class Kind : std::uint8_t {
    segment,
    fill,
    write,
    read,
    shutdown,
    close,
    abort,
    wait
  } kind = Kind::wait;
  // A segment.
  std::uint8_t flags = 0;
  From seq_from = From::next, ack_from = From::got;
  std::int64_t seq = 0, ack = 0;
  std::uint32_t length = 0;
  std::int32_t window = -1;                                 ///< the field; -1: as before
  std::int32_t ts_back = 0;                                 ///< TSval so many ticks ago
  bool no_ts = false;                                       ///< without timestamps though they were agreed on
  std::vector<std::pair<std::int32_t, std::int32_t>> sack;  ///< from `got`
  // write: how many bytes.
  std::uint32_t bytes = 0;
};

struct Program {
  std::string name;
  bool active = false;  ///< the endpoint connects
  bool opened = true;   ///< the handshake is done before the first op
  bool ts = false, sack = false, wscale = false;
  std::uint32_t iss = 0;  ///< the peer's
  std::vector<Op> ops;
};

[[nodiscard]] std::string text(const Op& op);
[[nodiscard]] std::string text(const Program& program);

/// By seed, the same each time.
[[nodiscard]] Program generate(std::uint64_t seed);
/// One for each row of the protocol that is worth a look of its own.
[[nodiscard]] std::vector<Program> hand_picked();

}  // namespace handfast::differential
