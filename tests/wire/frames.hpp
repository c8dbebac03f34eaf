// SPDX-License-Identifier: BSD-3-Clause
// What the tests of wire/ share: exact-size heap blocks, a checksum written the slow way, frames put together
// byte by byte without any of the code under test.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <memory>
#include <span>
#include <vector>

#include "wire/frame.hpp"

namespace handfast::wire::test {

using Bytes = std::vector<std::byte>;

inline Bytes bytes_of(std::initializer_list<int> values) {
  Bytes bytes;
  for (const int value : values) bytes.push_back(static_cast<std::byte>(value));
  return bytes;
}

/// A copy in a block of exactly its size: reading one byte further is an error under ASan.
class ExactBlock {
 public:
  explicit ExactBlock(std::span<const std::byte> bytes) : size_(bytes.size()), block_(new std::byte[size_]) {
    if (size_ != 0) std::memcpy(block_.get(), bytes.data(), size_);
  }
  [[nodiscard]] std::span<std::byte> bytes() const { return {block_.get(), size_}; }
  [[nodiscard]] RxFrame frame(ChecksumState ip = ChecksumState::unknown,
                              ChecksumState tcp = ChecksumState::unknown) const {
    return {block_.get(), static_cast<std::uint32_t>(size_), ip, tcp, nullptr};
  }

 private:
  std::size_t size_;
  std::unique_ptr<std::byte[]> block_;
};

inline std::uint8_t u8(const Bytes& bytes, std::size_t at) {
  return std::to_integer<std::uint8_t>(bytes.at(at));
}
inline std::uint16_t u16(const Bytes& bytes, std::size_t at) {
  return static_cast<std::uint16_t>(u8(bytes, at) << 8 | u8(bytes, at + 1));
}
inline std::uint32_t u32(const Bytes& bytes, std::size_t at) {
  return std::uint32_t{u16(bytes, at)} << 16 | u16(bytes, at + 2);
}
inline void put8(Bytes& bytes, std::size_t at, unsigned value) {
  bytes.at(at) = static_cast<std::byte>(value);
}
inline void put16(Bytes& bytes, std::size_t at, unsigned value) {
  put8(bytes, at, value >> 8);
  put8(bytes, at + 1, value & 0xff);
}
inline void put32(Bytes& bytes, std::size_t at, std::uint32_t value) {
  put16(bytes, at, value >> 16);
  put16(bytes, at + 2, value & 0xffff);
}

/// RFC 1071's definition, one 16-bit big-endian word after the other: the sum, not complemented.
inline std::uint16_t naive_sum(std::span<const std::byte> bytes, std::uint32_t start = 0) {
  std::uint32_t sum = start;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    const unsigned byte = std::to_integer<unsigned>(bytes[i]);
    sum += i % 2 == 0 ? byte << 8 : byte;
    sum = (sum & 0xffff) + (sum >> 16);
  }
  return static_cast<std::uint16_t>(sum);
}

/// Of the frame's IPv4 header; 0xffff where it is right.
inline std::uint16_t naive_ip_sum(const Bytes& frame, std::size_t ip = 14) {
  const std::size_t header = std::size_t{u8(frame, ip) & 0xfu} * 4;
  return naive_sum(std::span(frame).subspan(ip, header));
}

/// Of the frame's TCP segment with its pseudo header; 0xffff where it is right.
inline std::uint16_t naive_tcp_sum(const Bytes& frame, std::size_t ip = 14) {
  const std::size_t header = std::size_t{u8(frame, ip) & 0xfu} * 4;
  const std::size_t length = u16(frame, ip + 2) - header;
  const auto pseudo =
      static_cast<std::uint32_t>(naive_sum(std::span(frame).subspan(ip + 12, 8)) + 6 + length);
  return naive_sum(std::span(frame).subspan(ip + header, length), pseudo);
}

inline std::uint16_t complement(std::uint16_t value) { return static_cast<std::uint16_t>(~value); }

/// Writes the checksums that belong there, for frames whose lengths are true.
inline void fix_checksums(Bytes& frame, std::size_t ip = 14) {
  const std::size_t tcp = ip + std::size_t{u8(frame, ip) & 0xfu} * 4;
  put16(frame, ip + 10, 0);
  put16(frame, ip + 10, complement(naive_ip_sum(frame, ip)));
  put16(frame, tcp + 16, 0);
  put16(frame, tcp + 16, complement(naive_tcp_sum(frame, ip)));
}

struct FrameShape {
  Bytes ip_options = {};   ///< a multiple of 4
  Bytes tcp_options = {};  ///< a multiple of 4
  std::size_t payload = 0;
  std::size_t padding = 0;
  bool tagged = false;
};

/// An ACK from 10.0.0.2:40000 to 10.0.0.1:80 with true lengths and checksums; payload bytes 0, 1, 2 ...,
/// padding 0xaa.
inline Bytes make_frame(const FrameShape& shape) {
  const std::size_t ip = shape.tagged ? 18 : 14;
  const std::size_t tcp = ip + 20 + shape.ip_options.size();
  const std::size_t data = tcp + 20 + shape.tcp_options.size();
  Bytes frame(data + shape.payload + shape.padding, std::byte{0xaa});
  const Bytes macs = bytes_of({2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2});
  std::copy(macs.begin(), macs.end(), frame.begin());
  if (shape.tagged) put32(frame, 12, 0x81006123);
  put16(frame, ip - 2, 0x0800);
  put8(frame, ip, static_cast<unsigned>(0x40 | (tcp - ip) / 4));
  put8(frame, ip + 1, 0x02);
  put16(frame, ip + 2, static_cast<unsigned>(data + shape.payload - ip));
  put32(frame, ip + 4, 0x00004000);
  put16(frame, ip + 8, 0x4006);
  put32(frame, ip + 12, 0x0a000002);
  put32(frame, ip + 16, 0x0a000001);
  std::copy(shape.ip_options.begin(), shape.ip_options.end(), frame.begin() + static_cast<long>(ip + 20));
  put16(frame, tcp, 40000);
  put16(frame, tcp + 2, 80);
  put32(frame, tcp + 4, 0x11223344);
  put32(frame, tcp + 8, 0x55667788);
  put8(frame, tcp + 12, static_cast<unsigned>((data - tcp) / 4 << 4));
  put8(frame, tcp + 13, 0x10);
  put16(frame, tcp + 14, 0x1234);
  put16(frame, tcp + 18, 0x0506);
  std::copy(shape.tcp_options.begin(), shape.tcp_options.end(), frame.begin() + static_cast<long>(tcp + 20));
  for (std::size_t i = 0; i < shape.payload; ++i) put8(frame, data + i, i & 0xff);
  fix_checksums(frame, ip);
  return frame;
}

}  // namespace handfast::wire::test
