// SPDX-License-Identifier: BSD-3-Clause
// A frame as the stack sees it: bytes, what the port already checked, and a handle that means nothing here.
// Layer: wire. Knows nothing of mbufs; the I/O side alone can open the handle.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace handfast::wire {

/// What the port says of a checksum of a received frame.
/// `good` also stands for DPDK's NONE on ports that are known to deliver intact data without a sum in it
/// (vhost).
enum class ChecksumState : std::uint8_t { unknown, good, bad };

/// One received frame, contiguous, from the first byte of the Ethernet header. A VLAN tag was stripped or is
/// still inside.
struct RxFrame {
  const std::byte* data = nullptr;
  std::uint32_t length = 0;
  ChecksumState ip_checksum = ChecksumState::unknown;
  ChecksumState tcp_checksum = ChecksumState::unknown;
  void* handle = nullptr;     ///< of the I/O side
  bool for_learning = false;  ///< a copy that another shard answers: learn from it, no more
  bool looped_back = false;   ///< this stack sent it to itself: our own address as its source is no lie

  [[nodiscard]] std::span<const std::byte> bytes() const { return {data, length}; }
};

/// What the port is to do for a frame that leaves. `tx_whole` asks nothing of it: the other end takes TCP segments as
/// large as a buffer, whatever the MTU.
enum TxOffload : std::uint8_t { tx_ip_checksum = 1, tx_tcp_checksum = 2, tx_tcp_segmentation = 4, tx_whole = 8 };

/// One frame being written: `data` has room for `capacity` bytes; `length` is what was written.
struct TxFrame {
  std::byte* data = nullptr;
  std::uint32_t capacity = 0;
  std::uint32_t length = 0;
  std::uint16_t segment_size = 0;  ///< payload bytes of each segment, where tx_tcp_segmentation is set
  std::uint8_t offload = 0;        ///< TxOffload bits; the port's part is set up by the I/O side from these
  std::uint8_t tcp_header_length = 0;
  void* handle = nullptr;
};

}  // namespace handfast::wire
