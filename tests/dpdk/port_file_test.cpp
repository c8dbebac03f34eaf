// SPDX-License-Identifier: BSD-3-Clause
// Ports without a peer: null, and captures read from and written to files.
#include <gtest/gtest.h>

#include <cstring>
#include <fstream>

#include "support.hpp"

namespace handfast::dpdk {
namespace {

using test::TcpFrame;

constexpr std::uint32_t pcap_magic = 0xa1b2c3d4;

struct PcapHeader {
  std::uint32_t magic = pcap_magic;
  std::uint16_t major = 2, minor = 4;
  std::uint32_t zone = 0, accuracy = 0, snap_length = 65535, link_type = 1;
};
struct PcapRecord {
  std::uint32_t seconds = 1, microseconds = 2, captured = 0, original = 0;
};

void write_capture(const std::string& path, const std::vector<std::vector<std::byte>>& frames) {
  std::ofstream out(path, std::ios::binary);
  const PcapHeader header;
  out.write(reinterpret_cast<const char*>(&header), sizeof header);
  for (const auto& frame : frames) {
    PcapRecord record;
    record.captured = record.original = static_cast<std::uint32_t>(frame.size());
    out.write(reinterpret_cast<const char*>(&record), sizeof record);
    out.write(reinterpret_cast<const char*>(frame.data()), static_cast<std::streamsize>(frame.size()));
  }
}

std::vector<std::vector<std::byte>> read_capture(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  PcapHeader header;
  in.read(reinterpret_cast<char*>(&header), sizeof header);
  std::vector<std::vector<std::byte>> frames;
  PcapRecord record;
  while (in.read(reinterpret_cast<char*>(&record), sizeof record) && record.captured < 65536) {
    std::vector<std::byte> frame(record.captured);
    in.read(reinterpret_cast<char*>(frame.data()), static_cast<std::streamsize>(frame.size()));
    frames.push_back(frame);
  }
  return frames;
}

PortOptions small() { return {.descriptors = 512, .buffers_per_queue = 2048}; }

TEST(pcap_port, input_file__is_received_frame_by_frame) {
  const test::TemporaryDirectory directory;
  const auto in = directory.file("in.pcap");
  const std::vector frames{TcpFrame{.payload = 1}.bytes(), TcpFrame{.payload = 1400}.bytes(),
                           TcpFrame{}.bytes()};
  write_capture(in, frames);
  auto port = test::make_port("pcap:" + in + "," + directory.file("out.pcap"), small());
  const auto pool = port.pool();
  {
    DpdkIo io(port, 0);
    const auto got = test::receive_frames(io, 4, std::chrono::milliseconds{100});
    ASSERT_EQ(got.size(), 3u);
    for (std::size_t i = 0; i < 3; ++i) EXPECT_EQ(got[i].bytes, frames[i]);
    EXPECT_EQ(got[0].tcp, wire::ChecksumState::unknown);
  }
  EXPECT_EQ(pool->in_use(), 0u);
}

TEST(pcap_port, frames_sent__are_in_the_output_file_once_it_is_closed) {
  const test::TemporaryDirectory directory;
  const auto out = directory.file("out.pcap");
  const std::vector frames{TcpFrame{.payload = 9}.bytes(), TcpFrame{.payload = 1000}.bytes()};
  std::shared_ptr<PacketPool> pool;
  {
    auto port = test::make_port("pcap:," + out, small());
    pool = port.pool();
    DpdkIo io(port, 0);
    for (const auto& frame : frames) test::send_one(io, test::frame_of(io, frame));
  }
  EXPECT_EQ(pool->in_use(), 0u);
  EXPECT_EQ(read_capture(out), frames);
}

TEST(pcap_port, input_that_is_no_capture__is_an_error_about_it) {
  const test::TemporaryDirectory directory;
  const auto in = directory.file("in.pcap");
  std::ofstream(in) << "this is no capture at all, but long enough to be read as a header";
  const auto error = test::port_error("pcap:" + in, small());
  EXPECT_EQ(error.kind, ErrorKind::environment);
  EXPECT_NE(error.what.find(in), std::string::npos);
  EXPECT_NE(error.remedy.find("pcap file"), std::string::npos);
}

TEST(null_port, sending__swallows_and_receiving_never_ends) {
  auto port = test::make_port("null", small());
  const auto pool = port.pool();
  {
    DpdkIo io(port, 0);
    for (int i = 0; i < 100; ++i) test::send_one(io, test::frame_of(io, TcpFrame{}.bytes()));
    EXPECT_EQ(io.stats().tx_frames.get(), 100u);
    const auto got = test::receive_frames(io, 10);
    ASSERT_GE(got.size(), 10u);
    EXPECT_EQ(got[0].bytes.size(), 64u) << "frames without end, of whatever the buffer held";
    EXPECT_FALSE(port.rss()) << "the device says that it hashes, and does not";
  }
  port.stop();
  EXPECT_EQ(pool->in_use(), 0u);
}

TEST(null_port, extras__reach_the_driver) {
  auto port = test::make_port("null,size=100", small());
  DpdkIo io(port, 0);
  const auto got = test::receive_frames(io, 1);
  ASSERT_GE(got.size(), 1u);
  EXPECT_EQ(got[0].bytes.size(), 100u);
}

TEST(null_port, mac_given__is_ours) {
  const MacAddress mine{{2, 1, 2, 3, 4, 5}};
  auto options = small();
  options.mac = mine;
  EXPECT_EQ(test::make_port("null", options).mac(), mine);
}

}  // namespace
}  // namespace handfast::dpdk
