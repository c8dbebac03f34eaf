// SPDX-License-Identifier: BSD-3-Clause
// Seeds for the targets that take frames: one of each shape that the parsers tell apart. Layer: fuzz.
#include <algorithm>
#include <cstring>
#include <initializer_list>

#include "fuzz/seeds.hpp"
#include "support/packet.hpp"
#include "wire/arp.hpp"
#include "wire/ethernet.hpp"
#include "wire/icmpv4.hpp"

namespace handfast::fuzz {
namespace {

using Frame = std::vector<std::byte>;

constexpr Ipv4Address here{10, 0, 0, 1}, there{10, 0, 0, 2};
constexpr MacAddress our_mac{{0x02, 0x68, 0x66, 0, 0, 1}}, peer_mac{{0x02, 0, 0, 0, 0, 2}};

test::Packet segment(std::uint8_t flags, std::string payload = {}) {
  test::Packet p;
  p.source = {there, 40000};
  p.destination = {here, 80};
  p.source_mac = peer_mac;
  p.destination_mac = our_mac;
  p.flags = flags;
  p.seq = 0xfffffff0;
  p.ack = (flags & test::ACK) != 0 ? 0x12345678u : 0u;
  p.window = 65535;
  p.payload = std::move(payload);
  return p;
}

Frame with_control(std::uint8_t control, const Frame& frame) {
  Frame out(1 + frame.size());
  out[0] = std::byte{control};
  std::copy(frame.begin(), frame.end(), out.begin() + 1);
  return out;
}

Frame tagged(const Frame& frame) {
  Frame out(frame.begin(), frame.begin() + 12);
  for (const int b : {0x81, 0, 0, 5}) out.push_back(static_cast<std::byte>(b));
  out.insert(out.end(), frame.begin() + 12, frame.end());
  return out;
}

/// With IP options put in; the header's length and the total length follow.
Frame with_ip_options(const Frame& frame, std::vector<int> options) {
  Frame out(frame.begin(), frame.begin() + 34);
  for (const int b : options) out.push_back(static_cast<std::byte>(b));
  out.insert(out.end(), frame.begin() + 34, frame.end());
  out[14] = static_cast<std::byte>(0x45 + options.size() / 4);
  const auto total = static_cast<unsigned>(out.size() - 14);
  out[16] = static_cast<std::byte>(total >> 8);
  out[17] = static_cast<std::byte>(total);
  return out;
}

Frame datagram(std::uint8_t protocol, std::span<const std::byte> payload) {
  Frame out(34 + payload.size());
  wire::write_ethernet(out.data(), our_mac, peer_mac, wire::ether_type_ipv4);
  wire::write_ipv4(out.data() + 14, {.source = there,
                                     .destination = here,
                                     .protocol = protocol,
                                     .payload_length = static_cast<std::uint16_t>(payload.size())});
  std::memcpy(out.data() + 34, payload.data(), payload.size());
  return out;
}

std::vector<std::pair<std::string, Frame>> segments() {
  std::vector<std::pair<std::string, Frame>> all;
  const auto add = [&all](const char* name, const test::Packet& p) { all.emplace_back(name, test::build(p)); };
  add("ack", segment(test::ACK));
  add("data", segment(test::ACK | test::PSH, std::string(100, 'x')));
  add("full", segment(test::ACK, std::string(1460, 'y')));
  add("fin", segment(test::FIN | test::ACK));
  add("reset", segment(test::RST));
  test::Packet syn = segment(test::SYN);
  syn.mss = 1460;
  syn.wscale = 7;
  syn.sack_permitted = true;
  syn.ts = {1, 0};
  add("syn", syn);
  syn.cookie = std::string(8, 'c');
  syn.payload = "GET /";
  add("fast_open", syn);
  test::Packet ts = segment(test::ACK, "hello");
  ts.ts = {100, 200};
  add("timestamps", ts);
  ts.sack = {{1000, 2000}, {3000, 4000}, {5000, 6000}};
  add("sack", ts);
  test::Packet urgent = segment(test::ACK | test::URG, "!!");
  urgent.urgent = 2;
  urgent.tos = 3;
  urgent.user_timeout = 0x8005;
  add("urgent", urgent);
  return all;
}

/// One that is right, then with each field wrong by itself; for the parsers (`what` 0 and 9), and for a stack (2 and 3).
void one_wrong(Seeds& seeds, const std::string& name, Frame frame, std::initializer_list<int> places, std::uint8_t parser, std::uint8_t stack) {
  seeds.add("neighbours", name, with_control(parser, frame));
  seeds.add("neighbours", name + "_stack", with_control(stack, frame));
  for (const int at : places) {
    Frame wrong = frame;
    wrong[static_cast<std::size_t>(at)] ^= std::byte{0x81};
    seeds.add("neighbours", name + "_" + std::to_string(at), with_control(parser, wrong));
  }
}

void add_neighbour_seeds(Seeds& seeds, const Frame& request) {
  one_wrong(seeds, "arp", request, {0, 3, 4, 5, 7, 8, 14}, 0, 2);
  Frame sender = request;
  sender[14] = std::byte{127};
  seeds.add("neighbours", "arp_loopback", with_control(0, sender));
  sender[14] = std::byte{240};
  seeds.add("neighbours", "arp_reserved", with_control(0, sender));
  Frame echo(40);
  echo[0] = std::byte{8};
  one_wrong(seeds, "echo", echo, {0, 1}, 9, 3);
  // An error about a segment of ours: type, code, MTU, then the quoted header and eight bytes.
  Frame error(36);
  const int quote[] = {0x45, 0, 0, 60, 0, 0, 0x40, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2, 0, 80, 0x9c, 0x40, 0, 0, 0, 1};
  for (std::size_t i = 0; i < std::size(quote); ++i) error[8 + i] = static_cast<std::byte>(quote[i]);
  error[6] = std::byte{2};
  error[7] = std::byte{88};
  for (const int type : {3, 4, 5, 11, 12}) {
    error[0] = static_cast<std::byte>(type);
    error[1] = static_cast<std::byte>(type == 3 ? 4 : 0);
    one_wrong(seeds, "error_" + std::to_string(type), error, {1, 8, 10, 14, 15, 17}, 9, 3);
  }
  Frame small = error;
  small[11] = std::byte{39};  // no room for both headers
  seeds.add("neighbours", "error_small", with_control(9, small));
  small.pop_back();
  seeds.add("neighbours", "error_cut", with_control(9, small));
}

}  // namespace

void add_frame_seeds(Seeds& seeds) {
  for (const auto& [name, frame] : segments()) {
    seeds.add("frames", name, with_control(3, frame));
    seeds.add("frames", name + "_tagged", with_control(3, tagged(frame)));
    seeds.add("frames", name + "_ip_options", with_control(3, with_ip_options(frame, {7, 7, 4, 0, 0, 0, 0, 0})));
    seeds.add("frames", name + "_checked", with_control(0x28, frame));
    const std::size_t header = (std::to_integer<std::size_t>(frame[46]) >> 4) * 4;
    seeds.add("options", name, with_control(0, Frame(frame.begin() + 54, frame.begin() + 34 + static_cast<std::ptrdiff_t>(header))));
  }
  const Frame plain = segments()[1].second;
  seeds.add("frames", "source_route", with_control(3, with_ip_options(plain, {131, 7, 4, 10, 0, 0, 9, 0})));
  seeds.add("frames", "strict_source_route", with_control(3, with_ip_options(plain, {137, 7, 4, 10, 0, 0, 9, 0})));
  seeds.add("frames", "bad_ip_option", with_control(3, with_ip_options(plain, {1, 68, 0, 0})));
  Frame fragment = plain;
  fragment[20] = std::byte{0x20};
  seeds.add("frames", "fragment", with_control(3, fragment));
  Frame udp = datagram(17, Frame(8));
  seeds.add("frames", "udp", with_control(3, udp));
  Frame arp(42);
  wire::write_ethernet(arp.data(), broadcast_mac, peer_mac, wire::ether_type_arp);
  wire::write_arp(arp.data() + 14, {wire::ArpOperation::request, peer_mac, there, {}, here});
  seeds.add("frames", "arp", with_control(3, arp));
  add_neighbour_seeds(seeds, Frame(arp.begin() + 14, arp.end()));
  Frame known;  // every kind by its right length and by a wrong one
  for (const int b : {19, 18, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 29, 4, 1, 2, 254, 4, 0, 0, 34, 3, 9, 28, 3, 1, 1, 0})
    known.push_back(static_cast<std::byte>(b));
  seeds.add("options", "others", with_control(1, known));
  known.assign({std::byte{2}, std::byte{3}, std::byte{1}});
  seeds.add("options", "wrong_length", with_control(2, known));
}

}  // namespace handfast::fuzz
