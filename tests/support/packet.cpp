// SPDX-License-Identifier: BSD-3-Clause
// The strict parser and the builder of test segments; see packet.hpp. Layer: test support.
#include "support/packet.hpp"

#include <array>
#include <cstring>
#include <tuple>

#include "wire/tcp_writer.hpp"

namespace handfast::test {
namespace {

std::uint32_t get(std::span<const std::byte> bytes, std::size_t at, std::size_t n) {
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < n; ++i) value = value << 8 | std::to_integer<std::uint32_t>(bytes[at + i]);
  return value;
}

MacAddress get_mac(std::span<const std::byte> bytes, std::size_t at) {
  MacAddress mac;
  for (std::size_t i = 0; i < 6; ++i) mac.bytes[i] = std::to_integer<std::uint8_t>(bytes[at + i]);
  return mac;
}

bool read_option(std::span<const std::byte> option, Packet& packet, std::string& why) {
  const std::uint32_t kind = get(option, 0, 1);
  const auto is = [&](std::size_t length) { return option.size() == length; };
  switch (kind) {
    case 2:
      if (!is(4) || !packet.has(SYN)) return why = "MSS option", false;
      packet.mss = static_cast<std::uint16_t>(get(option, 2, 2));
      return true;
    case 3:
      if (!is(3) || !packet.has(SYN)) return why = "window scale option", false;
      packet.wscale = static_cast<std::uint8_t>(get(option, 2, 1));
      return true;
    case 4:
      if (!is(2) || !packet.has(SYN)) return why = "SACK-permitted option", false;
      packet.sack_permitted = true;
      return true;
    case 5:
      if (option.size() < 10 || (option.size() - 2) % 8 != 0) return why = "SACK option", false;
      for (std::size_t at = 2; at < option.size(); at += 8)
        packet.sack.emplace_back(get(option, at, 4), get(option, at + 4, 4));
      return true;
    case 8:
      if (!is(10)) return why = "timestamps option", false;
      packet.ts = {get(option, 2, 4), get(option, 6, 4)};
      return true;
    case 28:
      if (!is(4) || (get(option, 2, 2) & 0x7fff) == 0) return why = "user timeout option", false;
      packet.user_timeout = static_cast<std::uint16_t>(get(option, 2, 2));
      return true;
    case 34:
      if (!packet.has(SYN) || option.size() % 2 != 0 || option.size() == 4 || option.size() > 18)
        return why = "Fast Open option", false;
      packet.cookie = std::string(reinterpret_cast<const char*>(option.data()) + 2, option.size() - 2);
      return true;
    default:
      return why = "an option that nobody should send", false;
  }
}

bool read_options(std::span<const std::byte> options, Packet& packet, std::string& why) {
  for (std::size_t at = 0; at < options.size();) {
    const std::uint32_t kind = get(options, at, 1);
    if (kind == 0) {
      for (; at < options.size(); ++at)
        if (get(options, at, 1) != 0) return why = "bytes after the end of the options (MUST-69)", false;
      return true;
    }
    if (kind == 1) {
      ++at;
      continue;
    }
    if (at + 2 > options.size()) return why = "option cut off", false;
    const std::size_t length = get(options, at + 1, 1);
    if (length < 2 || at + length > options.size()) return why = "option length", false;
    if (!read_option(options.subspan(at, length), packet, why)) return false;
    at += length;
  }
  return true;
}

bool read_ip(std::span<const std::byte> ip, Packet& packet, std::string& why) {
  if (ip.size() < 40) return why = "shorter than two headers", false;
  if (get(ip, 0, 1) != 0x45) return why = "IP version or header length", false;
  if (get(ip, 2, 2) != ip.size()) return why = "IP total length is not the frame's", false;
  if (get(ip, 6, 2) != 0x4000) return why = "not DF, or a fragment", false;
  packet.tos = static_cast<std::uint8_t>(get(ip, 1, 1));
  packet.ttl = static_cast<std::uint8_t>(get(ip, 8, 1));
  if (packet.ttl == 0) return why = "TTL 0", false;
  if (get(ip, 9, 1) != 6) return why = "not TCP", false;
  if (plain_sum(ip.first(20)) != 0xffff) return why = "IP checksum", false;
  packet.source.address = Ipv4Address{get(ip, 12, 4)};
  packet.destination.address = Ipv4Address{get(ip, 16, 4)};
  return true;
}

}  // namespace

std::uint16_t plain_sum(std::span<const std::byte> bytes, std::uint32_t start) {
  std::uint64_t sum = start;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    const std::uint32_t value = std::to_integer<std::uint32_t>(bytes[i]);
    sum += i % 2 == 0 ? value << 8 : value;
  }
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(sum);
}

std::optional<Packet> parse_strictly(std::span<const std::byte> frame, std::string& why) {
  Packet packet;
  if (frame.size() < 14 || get(frame, 12, 2) != 0x0800) return why = "no IPv4 frame", std::nullopt;
  packet.destination_mac = get_mac(frame, 0);
  packet.source_mac = get_mac(frame, 6);
  const auto ip = frame.subspan(14);
  if (!read_ip(ip, packet, why)) return std::nullopt;
  const auto tcp = ip.subspan(20);
  const std::size_t header = (get(tcp, 12, 1) >> 4) * 4;
  if (header < 20 || header > tcp.size()) return why = "data offset", std::nullopt;
  if ((get(tcp, 12, 1) & 0x0f) != 0) return why = "reserved bits (MUST)", std::nullopt;
  const std::uint32_t pseudo = get(ip, 12, 2) + get(ip, 14, 2) + get(ip, 16, 2) + get(ip, 18, 2) + 6 +
                               static_cast<std::uint32_t>(tcp.size());
  if (plain_sum(tcp, pseudo) != 0xffff) return why = "TCP checksum", std::nullopt;
  packet.source.port = static_cast<Port>(get(tcp, 0, 2));
  packet.destination.port = static_cast<Port>(get(tcp, 2, 2));
  packet.seq = get(tcp, 4, 4);
  packet.ack = get(tcp, 8, 4);
  packet.flags = static_cast<std::uint8_t>(get(tcp, 13, 1));
  packet.window = static_cast<std::uint16_t>(get(tcp, 14, 2));
  packet.urgent = static_cast<std::uint16_t>(get(tcp, 18, 2));
  if (!packet.has(ACK) && packet.ack != 0) return why = "an acknowledgment number without ACK", std::nullopt;
  if (!packet.has(URG) && packet.urgent != 0) return why = "an urgent pointer without URG", std::nullopt;
  if (!read_options(tcp.subspan(20, header - 20), packet, why)) return std::nullopt;
  const auto payload = tcp.subspan(header);
  packet.payload.assign(reinterpret_cast<const char*>(payload.data()), payload.size());
  return packet;
}

std::vector<std::byte> build(const Packet& packet) {
  std::array<std::byte, wire::max_tcp_options_length> options{};
  std::size_t options_length = 0;
  if (!packet.raw_options.empty()) {
    options_length = packet.raw_options.size();
    std::memcpy(options.data(), packet.raw_options.data(), options_length);
  } else {
    wire::TcpOptions o;
    o.has_mss = packet.mss.has_value();
    o.mss = packet.mss.value_or(0);
    o.has_window_scale = packet.wscale.has_value();
    o.window_scale = packet.wscale.value_or(0);
    o.sack_permitted = packet.sack_permitted;
    o.has_timestamps = packet.ts.has_value();
    if (packet.ts) std::tie(o.ts_val, o.ts_ecr) = *packet.ts;
    o.user_timeout = packet.user_timeout.value_or(0);
    if (packet.cookie) {
      o.has_fast_open = true;
      o.fast_open_length = static_cast<std::uint8_t>(packet.cookie->size());
      o.fast_open_cookie = reinterpret_cast<const std::byte*>(packet.cookie->data());
    }
    for (const Block& b : packet.sack) o.sack[o.sack_count++] = {Seq{b.first}, Seq{b.second}};
    options_length = wire::write_options(options.data(), o);
  }
  wire::TcpHeaderFields fields;
  fields.flow = FlowKey{packet.source, packet.destination};
  fields.source_mac = packet.source_mac;
  fields.destination_mac = packet.destination_mac;
  fields.seq = Seq{packet.seq};
  fields.ack = Seq{packet.ack};
  fields.window = packet.window;
  fields.urgent = packet.urgent;
  fields.flags = packet.flags;
  fields.tos = packet.tos;
  fields.ttl = packet.ttl;
  std::vector<std::byte> frame(wire::tcp_frame_header_length + options_length + packet.payload.size());
  std::byte* payload = frame.data() + wire::tcp_frame_header_length + options_length;
  const std::uint64_t sum =
      wire::copy_and_sum(payload, std::as_bytes(std::span{packet.payload.data(), packet.payload.size()}));
  wire::write_tcp_frame(frame.data(), fields, {options.data(), options_length},
                        static_cast<std::uint32_t>(packet.payload.size()), sum, 0);
  constexpr std::size_t least_frame = 60;
  if (frame.size() < least_frame) frame.resize(least_frame, std::byte{0xaa});
  return frame;
}

void break_tcp_checksum(std::vector<std::byte>& frame) { frame[14 + 20 + 16] ^= std::byte{0x40}; }

std::string Packet::text() const {
  std::string s = source.to_string() + " > " + destination.to_string() + " [";
  for (const auto& [bit, letter] :
       {std::pair{SYN, 'S'}, {FIN, 'F'}, {RST, 'R'}, {PSH, 'P'}, {ACK, '.'}, {URG, 'U'}})
    if (has(bit)) s += letter;
  s += "] seq " + std::to_string(seq) + " len " + std::to_string(payload.size());
  if (has(ACK)) s += " ack " + std::to_string(ack);
  s += " win " + std::to_string(window);
  if (mss) s += " mss " + std::to_string(*mss);
  if (wscale) s += " ws " + std::to_string(*wscale);
  if (sack_permitted) s += " sackOK";
  if (ts) s += " ts " + std::to_string(ts->first) + "/" + std::to_string(ts->second);
  for (const Block& b : sack) s += " {" + std::to_string(b.first) + ":" + std::to_string(b.second) + "}";
  return s;
}

}  // namespace handfast::test
