// SPDX-License-Identifier: BSD-3-Clause
// Frames by hand, sockets' places, children. Layer: tests.
#include "support.hpp"

#include <rte_ip.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>

namespace handfast::dpdk::test {

namespace {

void put16(std::byte* at, unsigned value) {
  at[0] = static_cast<std::byte>(value >> 8);
  at[1] = static_cast<std::byte>(value);
}

void put32(std::byte* at, std::uint32_t value) {
  put16(at, value >> 16);
  put16(at + 2, value & 0xffff);
}

}  // namespace

TemporaryDirectory::TemporaryDirectory() {
  path_ = std::filesystem::temp_directory_path().string() + "/hf-test-XXXXXX";
  if (mkdtemp(path_.data()) == nullptr) path_ = "/nowhere";
}

TemporaryDirectory::~TemporaryDirectory() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

Port make_port(const std::string& text, PortOptions options) {
  auto spec = PortSpec::parse(text);
  auto port = spec ? Port::create(*spec, options) : tl::unexpected(spec.error());
  if (!port) {
    ADD_FAILURE() << text << ": " << port.error().what << " -> " << port.error().remedy;
    std::exit(1);
  }
  return std::move(*port);
}

Error port_error(const std::string& text, PortOptions options) {
  const auto spec = PortSpec::parse(text);
  if (!spec) return spec.error();
  const auto port = Port::create(*spec, options);
  if (port) {
    ADD_FAILURE() << text << " came up";
    return {};
  }
  EXPECT_FALSE(port.error().what.empty());
  EXPECT_FALSE(port.error().remedy.empty());
  return port.error();
}

std::vector<std::byte> TcpFrame::bytes() const {
  std::vector<std::byte> out(std::size_t{54} + payload);
  std::byte* const at = out.data();
  std::memcpy(at, to.bytes.data(), 6);
  std::memcpy(at + 6, from.bytes.data(), 6);
  put16(at + 12, 0x0800);
  std::byte* const ip = at + 14;
  ip[0] = std::byte{0x45};
  put16(ip + 2, 40u + payload);
  ip[8] = std::byte{64};
  ip[9] = std::byte{6};
  put32(ip + 12, source.address.value);
  put32(ip + 16, destination.address.value);
  std::byte* const tcp = ip + 20;
  put16(tcp, source.port);
  put16(tcp + 2, destination.port);
  put32(tcp + 4, sequence);
  tcp[12] = std::byte{0x50};
  tcp[13] = std::byte{flags};
  put16(tcp + 14, 65535);
  for (std::size_t i = 0; i < payload; ++i) tcp[20 + i] = static_cast<std::byte>(i);
  if (sums) {
    auto* const header = reinterpret_cast<rte_ipv4_hdr*>(ip);
    header->hdr_checksum = rte_ipv4_cksum(header);
    const auto sum = rte_ipv4_udptcp_cksum(header, tcp);
    std::memcpy(tcp + 16, &sum, sizeof sum);
  } else {
    put16(ip + 10, 0xdead);
    put16(tcp + 16, 0xbeef);
  }
  return out;
}

bool sums_are_right(std::span<const std::byte> frame) {
  std::vector<std::byte> copy(frame.begin(), frame.end());
  auto* const header = reinterpret_cast<rte_ipv4_hdr*>(copy.data() + 14);
  const std::uint16_t ip_sum = header->hdr_checksum;
  header->hdr_checksum = 0;
  if (rte_ipv4_cksum(header) != ip_sum) return false;
  std::byte* const field = copy.data() + 14 + 20 + 16;
  std::uint16_t tcp_sum = 0;
  std::memcpy(&tcp_sum, field, sizeof tcp_sum);
  std::memset(field, 0, sizeof tcp_sum);
  return rte_ipv4_udptcp_cksum(header, copy.data() + 34) == tcp_sum;
}

wire::TxFrame frame_of(DpdkIo& io, std::span<const std::byte> bytes, std::uint8_t offload) {
  wire::TxFrame frame;
  EXPECT_TRUE(io.allocate(frame));
  EXPECT_LE(bytes.size(), frame.capacity);
  std::memcpy(frame.data, bytes.data(), bytes.size());
  frame.length = static_cast<std::uint32_t>(bytes.size());
  frame.offload = offload;
  frame.tcp_header_length = 20;
  return frame;
}

void send_one(DpdkIo& io, wire::TxFrame frame) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds{1};
  while (io.transmit({&frame, 1}) == 0) {
    ASSERT_LT(std::chrono::steady_clock::now(), deadline) << "the port never took the frame";
  }
}

std::vector<Received> receive_frames(DpdkIo& io, std::size_t count, std::chrono::milliseconds limit) {
  std::vector<Received> out;
  const auto deadline = std::chrono::steady_clock::now() + limit;
  std::array<wire::RxFrame, DpdkIo::max_burst> burst;
  while (out.size() < count && std::chrono::steady_clock::now() < deadline) {
    const auto got = io.receive(burst);
    for (std::size_t i = 0; i < got; ++i) {
      const auto bytes = burst[i].bytes();
      out.push_back({{bytes.begin(), bytes.end()}, burst[i].ip_checksum, burst[i].tcp_checksum});
      void* const handle = burst[i].handle;
      io.release({&handle, 1});
    }
  }
  return out;
}

Outcome run_command(const std::string& command) {
  Outcome outcome;
  std::FILE* const pipe = popen((command + " 2>&1").c_str(), "r");
  if (pipe == nullptr) return outcome;
  char chunk[512];
  while (std::fgets(chunk, sizeof chunk, pipe) != nullptr) outcome.output += chunk;
  const int status = pclose(pipe);
  outcome.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return outcome;
}

std::string self_path() { return std::filesystem::read_symlink("/proc/self/exe").string(); }

}  // namespace handfast::dpdk::test
