// SPDX-License-Identifier: BSD-3-Clause
// What the tests of src/dpdk share: frames by hand, a place for sockets, and a way to run this binary again.
// Layer: tests.
#pragma once

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "dpdk/dpdk_io.hpp"
#include "dpdk/port.hpp"
#include "handfast/address.hpp"

namespace handfast::dpdk::test {

/// A directory of its own, gone at the end of the scope.
class TemporaryDirectory {
 public:
  TemporaryDirectory();
  ~TemporaryDirectory();
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  [[nodiscard]] std::string file(std::string_view name) const { return path_ + "/" + std::string(name); }

 private:
  std::string path_;
};

/// The port, or a failed test with the error's words and an exit of the whole binary.
[[nodiscard]] Port make_port(const std::string& text, PortOptions options = {});

/// What the port's words lead to when they must fail.
[[nodiscard]] Error port_error(const std::string& text, PortOptions options = {});

struct TcpFrame {
  MacAddress from{{2, 0, 0, 0, 0, 1}};
  MacAddress to{{2, 0, 0, 0, 0, 2}};
  Endpoint source{Ipv4Address{10, 9, 0, 2}, 40000};
  Endpoint destination{Ipv4Address{10, 9, 0, 1}, 9};
  std::uint8_t flags = 2;  ///< SYN
  std::uint32_t sequence = 1000;
  std::uint16_t payload = 0;
  bool sums = true;  ///< false: both checksum fields hold rubbish

  /// The frame's bytes, 54 and the payload, which counts 0, 1, 2...
  [[nodiscard]] std::vector<std::byte> bytes() const;
};

/// True where both sums of an IPv4 TCP frame are right.
[[nodiscard]] bool sums_are_right(std::span<const std::byte> frame);

/// One frame, in a buffer of the I/O object's.
[[nodiscard]] wire::TxFrame frame_of(DpdkIo& io, std::span<const std::byte> bytes, std::uint8_t offload = 0);

/// Sends one frame and insists that it is taken within a second.
void send_one(DpdkIo& io, wire::TxFrame frame);

struct Received {
  std::vector<std::byte> bytes;
  wire::ChecksumState ip, tcp;
};

/// Polls until `count` frames came or `limit` is over; the buffers are released.
[[nodiscard]] std::vector<Received> receive_frames(DpdkIo& io, std::size_t count,
                                                   std::chrono::milliseconds limit = std::chrono::seconds{2});

struct Outcome {
  int exit_code = -1;
  std::string output;  ///< standard and error output together
};

/// Runs a shell command; `self` in it stands for this very binary.
[[nodiscard]] Outcome run_command(const std::string& command);
[[nodiscard]] std::string self_path();

}  // namespace handfast::dpdk::test
