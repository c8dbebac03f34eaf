// SPDX-License-Identifier: BSD-3-Clause
// F1: Ethernet, VLAN, IPv4 and TCP. The layered parsers, the fast one and a reading of the RFCs' own (below) say the
// same of any bytes; what is written of an accepted segment is its canonical form; every prefix is safe.
// Layer: fuzz. Input: one byte that says what the port has checked and which sums are put right, then the
// frame; neighbours of it are judged as well.
#include <algorithm>

#include "base/rng.hpp"
#include "fuzz/fuzz.hpp"
#include "fuzz/reading.hpp"
#include "wire/ethernet.hpp"
#include "wire/fast_parse.hpp"
#include "wire/ipv4.hpp"
#include "wire/tcp_writer.hpp"

namespace handfast::fuzz {
namespace {

constexpr std::size_t most_frame = 1536;

// --- the reading that shares nothing with src/wire ------------------------------------------------------------

/// Where the pieces of a frame stand, as far as they can be made out.
struct Anatomy {
  std::size_t ip = 0, ip_header = 0, total = 0;
  bool has_ip = false;  ///< an IPv4 header that is wholly there, with a datagram that is
};

Anatomy dissect(Bytes frame) {
  Anatomy a;
  if (frame.size() < 14) return a;
  a.ip = 14;
  std::uint32_t type = get(frame, 12, 2);
  if (type == 0x8100) {
    if (frame.size() < 18) return a;
    type = get(frame, 16, 2);
    a.ip = 18;
  }
  if (type != 0x0800 || frame.size() < a.ip + 20 || get(frame, a.ip, 1) >> 4 != 4) return a;
  a.ip_header = (get(frame, a.ip, 1) & 15) * 4;
  a.total = get(frame, a.ip + 2, 2);
  a.has_ip = a.ip_header >= 20 && a.total >= a.ip_header && a.ip + a.total <= frame.size();
  return a;
}

/// rfc791 3.1: an option of one byte, or of a type, a length and the rest; LSRR is 131, SSRR 137.
bool has_source_route(Bytes options) {
  std::size_t at = 0;
  while (at < options.size()) {
    const std::uint32_t type = get(options, at, 1);
    if (type == 0) return false;
    if (type == 131 || type == 137) return true;
    if (type == 1) {
      ++at;
      continue;
    }
    if (at + 1 >= options.size()) return false;
    const std::uint32_t length = get(options, at + 1, 1);
    if (length == 0) return false;
    at += length;
  }
  return false;
}

std::uint32_t tcp_sum(Bytes frame, const Anatomy& a) {
  const auto tcp = frame.subspan(a.ip + a.ip_header, a.total - a.ip_header);
  const std::uint32_t pseudo = plain_sum(frame.subspan(a.ip + 12, 8), 6 + static_cast<std::uint32_t>(tcp.size()));
  return plain_sum(tcp, pseudo);
}

/// Whether a TCP segment is in it that may be looked at further.
bool is_acceptable(Bytes frame, wire::ChecksumState ip_state, wire::ChecksumState tcp_state) {
  const Anatomy a = dissect(frame);
  if (!a.has_ip) return false;
  const auto header = frame.subspan(a.ip, a.ip_header);
  if (ip_state == wire::ChecksumState::bad) return false;
  if (ip_state == wire::ChecksumState::unknown && plain_sum(header) != 0xffff) return false;
  if ((get(header, 6, 2) & 0x3fff) != 0) return false;  // more fragments, or an offset
  if (has_source_route(header.subspan(20))) return false;
  const std::uint32_t first = get(header, 12, 1);
  if (first == 0 || first == 127 || first >= 224) return false;  // rfc1122 3.2.1.3
  if (get(header, 9, 1) != 6 || a.total < a.ip_header + 20) return false;
  const auto tcp = frame.subspan(a.ip + a.ip_header, a.total - a.ip_header);
  const std::size_t offset = (get(tcp, 12, 1) >> 4) * 4;
  if (offset < 20 || offset > tcp.size()) return false;
  if (tcp_state == wire::ChecksumState::bad) return false;
  if (tcp_state == wire::ChecksumState::unknown && tcp_sum(frame, a) != 0xffff) return false;
  return get(tcp, 0, 2) != 0 && get(tcp, 2, 2) != 0;
}

/// Fixes the sums that `control` names, where there is a place for them.
void repair(std::span<std::byte> frame, unsigned control) {
  const Anatomy a = dissect(frame);
  if (!a.has_ip) return;
  if ((control & 1) != 0) {
    put(frame, a.ip + 10, 0);
    put(frame, a.ip + 10, plain_sum(frame.subspan(a.ip, a.ip_header)) ^ 0xffff);
  }
  if ((control & 2) != 0 && a.total >= a.ip_header + 20) {
    put(frame, a.ip + a.ip_header + 16, 0);
    put(frame, a.ip + a.ip_header + 16, tcp_sum(frame, a) ^ 0xffff);
  }
}

// --- the parsers under test ------------------------------------------------------------------------------------

struct Layered {
  Drop drop = Drop::none;
  bool is_tcp = false;
  wire::EthernetFrame ethernet;
  wire::Ipv4Packet packet;
  wire::Segment segment;
};

Layered parse(const wire::RxFrame& frame) {
  Layered l;
  l.drop = wire::parse_ethernet(frame.bytes(), l.ethernet);
  if (l.drop != Drop::none || l.ethernet.type != wire::ether_type_ipv4) return l;
  l.drop = wire::parse_ipv4(l.ethernet.payload, frame.ip_checksum, l.packet);
  if (l.drop != Drop::none || l.packet.protocol != wire::protocol_tcp) return l;
  l.drop = wire::parse_tcp_packet(l.packet, frame.tcp_checksum, l.segment);
  l.is_tcp = l.drop == Drop::none;
  return l;
}

void check_fast_agrees(const wire::RxFrame& frame, const Layered& l) {
  wire::Segment s;
  const wire::FastVerdict fast = wire::parse_tcp_frame(frame, s);
  if (!fast.common_shape) {
    // It must not leave the common shape to the others.
    FUZZ_CHECK(!l.is_tcp || l.ethernet.tagged || l.segment.options != frame.data + 54);
    return;
  }
  FUZZ_CHECK(fast.drop == l.drop && l.is_tcp == (fast.drop == Drop::none));
  if (!l.is_tcp) return;
  const wire::Segment& t = l.segment;
  FUZZ_CHECK(s.flow == t.flow && s.seq == t.seq && s.ack == t.ack && s.window == t.window);
  FUZZ_CHECK(s.urgent_pointer == t.urgent_pointer && s.flags == t.flags && s.ecn == t.ecn);
  FUZZ_CHECK(s.header_length == t.header_length && s.options == t.options && s.payload == t.payload);
  FUZZ_CHECK(s.payload_length == t.payload_length);
}

void check_fields(const wire::RxFrame& frame, const Layered& l) {
  const Bytes b = frame.bytes();
  const Anatomy a = dissect(b);
  const std::size_t tcp = a.ip + a.ip_header;
  const wire::Segment& s = l.segment;
  FUZZ_CHECK(s.flow.remote_address == get(b, a.ip + 12, 4) && s.flow.local_address == get(b, a.ip + 16, 4));
  FUZZ_CHECK(s.flow.remote().port == get(b, tcp, 2) && s.flow.local().port == get(b, tcp + 2, 2));
  FUZZ_CHECK(s.seq.raw() == get(b, tcp + 4, 4) && s.ack.raw() == get(b, tcp + 8, 4));
  FUZZ_CHECK(s.header_length == (get(b, tcp + 12, 1) >> 4) * 4 && s.flags == get(b, tcp + 13, 1));
  FUZZ_CHECK(s.window == get(b, tcp + 14, 2) && s.urgent_pointer == get(b, tcp + 18, 2));
  FUZZ_CHECK(s.ecn == (get(b, a.ip + 1, 1) & 3) && s.options == b.data() + tcp + 20);
  FUZZ_CHECK(s.payload == b.data() + tcp + s.header_length);
  FUZZ_CHECK(s.payload_length == a.total - a.ip_header - s.header_length);
}

/// What a segment looks like that we send: no tag, no IP options, no identification, DF, no reserved bits, no padding.
std::span<std::byte> canonical(const wire::RxFrame& frame, std::span<std::byte> room) {
  const Bytes b = frame.bytes();
  const Anatomy a = dissect(b);
  const std::size_t tcp_length = a.total - a.ip_header;
  const auto out = room.first(34 + tcp_length);
  std::copy_n(b.begin(), 12, out.begin());
  put(out, 12, 0x0800);
  std::copy_n(b.begin() + static_cast<std::ptrdiff_t>(a.ip), 20, out.begin() + 14);
  out[14] = std::byte{0x45};
  put(out, 16, static_cast<std::uint32_t>(20 + tcp_length));
  put(out, 18, 0);
  put(out, 20, 0x4000);
  std::copy_n(b.begin() + static_cast<std::ptrdiff_t>(a.ip + a.ip_header), tcp_length, out.begin() + 34);
  out[46] &= std::byte{0xf0};
  repair(out, 3);
  return out;
}

void check_written(const wire::RxFrame& frame, const Layered& l) {
  static std::byte expected[most_frame + 64], written[most_frame + 64];
  const auto wanted = canonical(frame, expected);
  const wire::Segment& s = l.segment;
  wire::TcpHeaderFields fields;
  fields.flow = FlowKey{s.flow.remote(), s.flow.local()};
  fields.source_mac = l.ethernet.source;
  fields.destination_mac = l.ethernet.destination;
  fields.seq = s.seq;
  fields.ack = s.ack;
  fields.window = s.window;
  fields.urgent = s.urgent_pointer;
  fields.flags = s.flags;
  fields.tos = l.packet.tos;
  fields.ttl = l.packet.ttl;
  const auto options = s.option_bytes();
  const std::uint64_t sum = wire::copy_and_sum(written + wire::tcp_frame_header_length + options.size(),
                                               {s.payload, s.payload_length});
  const std::uint32_t length = wire::write_tcp_frame(written, fields, options, s.payload_length, sum, 0);
  FUZZ_CHECK(length == wanted.size());
  FUZZ_CHECK(std::memcmp(written, wanted.data(), length) == 0);
  wire::Segment again;
  const wire::RxFrame reread{written, length};
  const wire::FastVerdict verdict = wire::parse_tcp_frame(reread, again);
  FUZZ_CHECK(verdict.common_shape && verdict.drop == Drop::none);
  // What is left to a port comes out the same once it has done its part.
  static std::byte left[most_frame + 64];
  std::copy_n(written, length, left);
  constexpr std::uint8_t offload = wire::tx_ip_checksum | wire::tx_tcp_checksum;
  FUZZ_CHECK(wire::write_tcp_frame(left, fields, options, s.payload_length, 0, offload) == length && get(left, 24, 2) == 0);
  const std::span<std::byte> done{left, length};
  put(done, 24, plain_sum(done.subspan(14, 20)) ^ 0xffff);
  put(done, 50, plain_sum(done.subspan(34)) ^ 0xffff);
  FUZZ_CHECK(std::memcmp(left, wanted.data(), length) == 0);
  // rfc1624 3: the sum follows a field that changes.
  const auto at = [&](std::size_t offset) { return wire::load_native<std::uint16_t>(written + offset); };
  const std::uint16_t before = at(48), after = static_cast<std::uint16_t>(before * 7 + s.seq.raw());
  wire::store_native(written + 48, after);
  wire::store_native(written + 50, wire::adjust(at(50), before, after));
  const wire::RxFrame changed{written, length};
  FUZZ_CHECK(wire::parse_tcp_frame(changed, again).drop == Drop::none && wire::load16(written + 48) == again.window);
}

void check_all(const wire::RxFrame& frame) {
  const Layered l = parse(frame);
  FUZZ_CHECK(l.is_tcp == is_acceptable(frame.bytes(), frame.ip_checksum, frame.tcp_checksum));
  check_fast_agrees(frame, l);
  if (!l.is_tcp) return;
  check_fields(frame, l);
  check_written(frame, l);
}

/// Nothing is read past the end of a prefix, and it is accepted only if the whole datagram is in it.
void check_prefix(std::span<const std::byte> whole, wire::RxFrame frame, std::size_t length) {
  static ExactBlock<most_frame> block;
  const auto bytes = block.place(whole.first(length));
  frame.data = bytes.data();
  frame.length = static_cast<std::uint32_t>(length);
  const Layered l = parse(frame);
  const Anatomy a = dissect(whole);
  FUZZ_CHECK(!l.is_tcp || length >= a.ip + a.total);
  check_fast_agrees(frame, l);
}

wire::RxFrame frame_of(Bytes bytes, unsigned control) {
  constexpr wire::ChecksumState states[] = {wire::ChecksumState::unknown, wire::ChecksumState::unknown,
                                            wire::ChecksumState::good, wire::ChecksumState::bad};
  wire::RxFrame frame{bytes.data(), static_cast<std::uint32_t>(bytes.size())};
  frame.ip_checksum = states[control >> 2 & 3];
  frame.tcp_checksum = states[control >> 4 & 3];
  return frame;
}

void judge(std::span<std::byte> bytes, unsigned control) {
  repair(bytes, control);
  check_all(frame_of(bytes, control));
}

}  // namespace
}  // namespace handfast::fuzz

using namespace handfast;
using namespace handfast::fuzz;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static Tally tally{"frames"};
  static ExactBlock<most_frame> block;
  static std::uint64_t executions = 0;
  Reader in{data, size};
  const unsigned control = in.u8();
  const auto bytes = block.place(in.bytes(most_frame));
  judge(bytes, control);
  tally.add();
  if (bytes.empty()) return 0;
  // What the fuzzer does between two inputs takes longer than judging one: so neighbours of each are judged, too, most of
  // them with another byte in their headers.
  Rng rng{digest(bytes.first(std::min<std::size_t>(bytes.size(), 64))) + control};
  constexpr int neighbours = 11;
  const auto headers = bytes.first(std::min<std::size_t>(bytes.size(), 96));
  for (int i = 0; i < neighbours; ++i) {
    const std::uint64_t random = rng.next();
    std::byte& changed = headers[(random & 0xff) * headers.size() >> 8];
    const std::byte before = changed;
    const auto bit = static_cast<std::byte>(1u << (random >> 16 & 7));
    changed = (random & 0x100) != 0 ? changed ^ bit : static_cast<std::byte>(random >> 24);
    judge(bytes, (random & 0x600) != 0 ? control | 3u : static_cast<unsigned>(random >> 32));
    if ((random & 0x1800) != 0) changed = before;
  }
  tally.add(neighbours);
  // One prefix each time, all of them now and then.
  check_prefix(bytes, frame_of(bytes, control), rng.below(static_cast<std::uint32_t>(bytes.size())));
  if (executions++ % 1024 == 0)
    for (std::size_t n = 0; n < bytes.size(); ++n) check_prefix(bytes, frame_of(bytes, control), n);
  return 0;
}
