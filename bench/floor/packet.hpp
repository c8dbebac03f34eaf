// SPDX-License-Identifier: BSD-3-Clause
// The yardstick's frames: Ethernet, IPv4 and TCP without options, their sums computed from a partial one and
// verified in 64-bit words. Layer: bench. Knows nothing of Handfast: it must not get better or worse with it.
#pragma once

#include <rte_byteorder.h>
#include <rte_ether.h>
#include <rte_ip.h>
#include <rte_tcp.h>

#include <array>
#include <cstdint>
#include <cstring>

namespace floor_bench {

struct Packet {
  rte_ether_hdr ethernet;
  rte_ipv4_hdr ip;
  rte_tcp_hdr tcp;
};
static_assert(sizeof(Packet) == 54);

inline constexpr std::uint16_t payload_bytes = 64;  // of a request, and of a response
inline constexpr std::uint16_t header_bytes = 40;   // IPv4 and TCP

/// One end's view of a connection's name, in network order.
struct Tuple {
  std::uint32_t local, remote;
  std::uint16_t local_port, remote_port;
  friend bool operator==(const Tuple&, const Tuple&) = default;
  [[nodiscard]] Tuple mirrored() const { return {remote, local, remote_port, local_port}; }
};

/// A ones' complement sum, folded to 16 bits; the byte order of memory throughout.
[[nodiscard]] inline std::uint16_t fold(std::uint64_t sum) {
  sum = (sum & 0xffffffff) + (sum >> 32);
  sum = (sum & 0xffff) + (sum >> 16);
  sum = (sum & 0xffff) + (sum >> 16);
  sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(sum);
}

template <class Word>
[[nodiscard]] Word load(const void* at) {
  Word word;
  std::memcpy(&word, at, sizeof word);
  return word;
}

/// Of a multiple of four bytes.
[[nodiscard]] inline std::uint64_t sum_words(const void* at, std::size_t bytes) {
  const auto* from = static_cast<const std::uint8_t*>(at);
  std::uint64_t sum = 0;
  for (; bytes >= 8; bytes -= 8, from += 8) {
    const auto word = load<std::uint64_t>(from);
    sum += (word & 0xffffffff) + (word >> 32);
  }
  return bytes == 4 ? sum + load<std::uint32_t>(from) : sum;
}

/// What of the pseudo header stays the same for a connection's life.
[[nodiscard]] inline std::uint32_t sum_of(const Tuple& t) {
  return fold(std::uint64_t{t.local} + t.remote + t.local_port + t.remote_port + RTE_BE16(IPPROTO_TCP));
}

/// Both sums of a received packet, whose length is what its IP header says; our payloads are 0 or 64 bytes.
[[nodiscard]] inline bool sums_are_right(const Packet& p) {
  std::array<std::uint32_t, 10> words;  // at an odd place in the frame: copied to be read
  std::memcpy(words.data(), &p.ip, sizeof words);
  const std::uint64_t addresses = std::uint64_t{words[3]} + words[4];
  const std::uint64_t ip = addresses + words[0] + words[1] + words[2];
  if (fold(ip) != 0xffff) return false;
  const auto payload = static_cast<std::uint16_t>(rte_be_to_cpu_16(p.ip.total_length) - header_bytes);
  std::uint64_t tcp = addresses + words[5] + words[6] + words[7] + words[8] + words[9] + RTE_BE16(IPPROTO_TCP) +
                      rte_cpu_to_be_16(static_cast<std::uint16_t>(sizeof(rte_tcp_hdr) + payload));
  if (payload != 0) tcp += sum_words(&p + 1, payload);
  return fold(tcp) == 0xffff;
}

}  // namespace floor_bench
