// SPDX-License-Identifier: BSD-3-Clause
// F4: fragments. There is no reassembly: each fragment is counted as one and dropped, nothing is held and nothing is
// answered, whatever stands in it and in which order they come. Layer: fuzz.
// Input: per datagram eight bytes (flags and offset, identification, length, protocol, header length, what is broken).
#include <array>

#include "fuzz/fuzz.hpp"
#include "fuzz/reading.hpp"
#include "handfast/frame_port.hpp"
#include "shard/shard.hpp"
#include "wire/ethernet.hpp"
#include "wire/ipv4.hpp"

namespace handfast::fuzz {
namespace {

constexpr Ipv4Address here{10, 0, 0, 1}, there{10, 0, 0, 2};
constexpr MacAddress our_mac{{0x02, 0x68, 0x66, 0, 0, 1}}, peer_mac{{0x02, 0, 0, 0, 0, 2}};
constexpr std::size_t most_datagrams = 32;

struct Stack {
  Stack() {
    CoreConfig config;
    config.seed = 4;
    config.link.address = {here, 24};
    config.link.mac = our_mac;
    config.limits.connections = config.limits.half_open = config.limits.time_wait = 16;
    config.limits.buffer_memory = 64 << 10;
    config.limits.send_extents = config.limits.recovery_blocks = config.limits.neighbours = 16;
    auto made = FrameStack::create(config, now, [](void* self, std::span<const std::byte>) { ++static_cast<Stack*>(self)->sent; }, this);
    FUZZ_CHECK(made.has_value());
    stack = std::move(*made);
  }
  [[nodiscard]] std::uint64_t fragments() const { return stack->core().shard().tcp().stats.drops[static_cast<std::size_t>(Drop::ip_fragment)]; }
  Time now{1h};
  std::uint64_t sent = 0;
  std::unique_ptr<FrameStack> stack;
};

/// The rule, by RFC 791: a fragment has the more-fragments bit or an offset; a datagram that is no IPv4, cut off or with
/// a broken sum is none that anybody could put together.
bool is_fragment(Bytes frame) {
  const auto ip = frame.subspan(14);
  const std::size_t header = (get(ip, 0, 1) & 15) * 4;
  if (get(ip, 0, 1) >> 4 != 4 || header < 20 || header > ip.size()) return false;
  if (get(ip, 2, 2) < header || get(ip, 2, 2) > ip.size() || plain_sum(ip.first(header)) != 0xffff) return false;
  return (get(ip, 6, 2) & 0x2000) != 0 || (get(ip, 6, 2) & 0x1fff) != 0;
}

std::span<std::byte> datagram(Reader& in) {
  static std::array<std::byte, 14 + 60 + 256> room;
  room.fill(std::byte{0});
  const std::uint32_t place = in.u16(), id = in.u16();
  const std::size_t length = in.u8();
  const std::uint32_t protocol = in.u8(), header_words = in.u8(), broken = in.u8();
  wire::write_ethernet(room.data(), our_mac, peer_mac, wire::ether_type_ipv4);
  wire::write_ipv4(room.data() + 14, {.source = there, .destination = here, .protocol = static_cast<std::uint8_t>((protocol & 3) == 0 ? 6 : protocol), .payload_length = 0});
  const std::uint32_t words = (header_words & 3) == 0 ? 5 + header_words % 11 : 5;
  const std::size_t header = words * 4;
  const auto ip = std::span{room}.subspan(14);
  ip[0] = static_cast<std::byte>(0x40 | words);
  for (std::size_t i = 20; i < header; ++i) ip[i] = std::byte{1};
  put(ip, 2, static_cast<std::uint32_t>(header + length + ((broken & 7) == 1 ? 1 : 0)));
  put(ip, 4, id);
  put(ip, 6, place);
  put(ip, 10, 0);
  put(ip, 10, (plain_sum(ip.first(header)) ^ 0xffff) + ((broken & 7) == 2 ? 1 : 0));
  for (std::size_t i = 0; i < length; ++i) ip[header + i] = static_cast<std::byte>(i * 7 + id);
  return std::span{room}.first(14 + header + length);
}

}  // namespace
}  // namespace handfast::fuzz

using namespace handfast;
using namespace handfast::fuzz;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static Stack world;
  static Tally tally{"datagrams"};
  Reader in{data, size};
  world.now += 1s;
  const std::uint64_t before = world.fragments();
  std::uint64_t expected = 0;
  for (std::size_t n = 0; n < most_datagrams && in.left() != 0; ++n) {
    const auto frame = datagram(in);
    const bool fragment = is_fragment(frame);
    expected += fragment ? 1 : 0;
    const std::uint64_t sent = world.sent;
    FUZZ_CHECK(world.stack->receive(frame));
    world.stack->poll(world.now);
    FUZZ_CHECK(world.fragments() - before == expected);
    if (fragment) FUZZ_CHECK(world.sent == sent);
    tally.add();
  }
  // A whole segment may be answered (a question to the neighbour, with the answer waiting); a fragment holds nothing.
  const tcp::Context& cx = world.stack->core().shard().tcp();
  FUZZ_CHECK(cx.chunks.in_use() == 0 && cx.receive_buffers.in_use() == 0 && cx.flows.size() == 0);
  for (int i = 0; i < 5; ++i) {
    world.now += 1s;
    world.stack->poll(world.now);
  }
  FUZZ_CHECK(world.stack->buffers_in_use() == 0);
  return 0;
}
