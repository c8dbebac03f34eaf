// SPDX-License-Identifier: BSD-3-Clause
// The switch between the ends; see network.hpp. Layer: simulator.
#include "sim/network.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "support/packet.hpp"
#include "wire/bytes.hpp"
#include "wire/ethernet.hpp"
#include "wire/icmpv4.hpp"
#include "wire/ipv4.hpp"

namespace handfast::sim {
namespace {

constexpr Duration longest_replay = 29s;  // below every MSL of a plan (rfc9293 3.4.1: that is what an MSL is)
constexpr MacAddress router_mac{{2, 0, 0, 0, 1, 1}};
constexpr Ipv4Address router{10, 0, 0, 254};

/// The flags and the payload's size of a frame that holds TCP; 0 for others.
struct Look {
  std::uint8_t flags = 0;
  bool is_tcp = false, bare = false;
};
Look look_at(std::span<const std::byte> frame) {
  if (frame.size() < 54 || frame[12] != std::byte{8} || frame[13] != std::byte{0} ||
      frame[23] != std::byte{6})
    return {};
  const auto flags = std::to_integer<std::uint8_t>(frame[47]);
  const std::size_t header = 34u + (std::to_integer<std::size_t>(frame[46]) >> 4) * 4;
  return {flags, true, frame.size() <= header};
}

}  // namespace

Network::Network(const Plan& plan)
    : plan_(plan),
      ends_(static_cast<unsigned>(plan.ends.size())),
      weather_(aspect(plan.seed, 2)),
      replays_(aspect(plan.seed, 3)),
      garbling_(aspect(plan.seed, 10)),
      cards_(ends_),
      down_until_(ends_, Time::min()) {
  Rng seeds = aspect(plan.seed, 4);
  for (unsigned i = 0; i < ends_ * ends_; ++i)
    ways_.push_back(std::make_unique<emulator::Direction>(seeds.next()));
  for (unsigned i = 0; i < ends_; ++i) {
    late_.push_back(std::make_unique<emulator::Direction>(seeds.next()));
    late_.back()->rules.delay = 1ms;
  }
  change_weather();
}

void Network::change_weather() {
  if (healed_) return;
  for (unsigned from = 0; from < ends_; ++from)
    for (unsigned to = 0; to < ends_; ++to) {
      emulator::Rules rules = draw_weather(plan_, weather_);
      choose_targets(rules);
      if (rules.mtu != 0 && weather_.below(2) == 0)
        rules.too_big = [this, from, mtu = rules.mtu](Time now, std::span<const std::byte> frame) {
          say_too_big(now, from, mtu, frame);
        };
      way(from, to).rules = std::move(rules);
    }
}

void Network::choose_targets(emulator::Rules& rules) {
  const std::uint32_t kind = weather_.below(8), n = 2 + weather_.below(20);
  if (!plan_.has(Fault::targeted)) return;
  using test::ACK, test::FIN, test::SYN;
  switch (kind) {
    case 0:
      rules.lose = [](std::size_t, auto frame) {
        return (look_at(frame).flags & (SYN | ACK)) == (SYN | ACK);
      };
      return;
    case 1:
      rules.lose = [](std::size_t, auto frame) { return (look_at(frame).flags & FIN) != 0; };
      return;
    case 2:
      rules.lose = [](std::size_t, auto frame) { return look_at(frame).is_tcp && look_at(frame).bare; };
      return;
    case 3:
      rules.lose = [n](std::size_t i, auto) { return i % n == 0; };
      return;
    case 4:
      rules.lose = [](std::size_t, auto frame) { return look_at(frame).is_tcp && !look_at(frame).bare; };
      return;
    default:
      return;
  }
}

void Network::heal() {
  healed_ = true;
  std::ranges::fill(down_until_, Time::min());
  no_arp_until_ = Time::min();
  for (auto& direction : ways_) {
    direction->rules = {};
    direction->rules.delay = 1ms;
  }
}

void Network::push(Time now, unsigned from, std::span<const std::byte> frame) {
  ++frames_;
  if (frame.size() < 14) return;
  if (frame[0] == std::byte{0xff}) {
    for (unsigned to = 0; to < ends_; ++to)
      if (to != from) send_to(now, from, to, frame);
    return;
  }
  const unsigned to = std::to_integer<unsigned>(frame[5]) - 1;
  if (to < ends_ && frame[4] == std::byte{0} && frame[3] == std::byte{cards_[to]})
    send_to(now, from, to, frame);
}

/// Words change places, bytes change, the end is cut off or grows; half of the time with sums that are right.
void Network::garble(std::vector<std::byte>& frame) {
  const std::uint32_t kind = garbling_.below(5), n = 1 + garbling_.below(4);
  if (frame.size() < 40) return;
  const auto place = [&] { return 14 + garbling_.below(static_cast<std::uint32_t>(frame.size() - 14)); };
  if (kind == 0) {
    frame.resize(14 + garbling_.below(static_cast<std::uint32_t>(frame.size() - 14)));
    return;
  }
  if (kind == 1) frame.resize(frame.size() + garbling_.below(64), std::byte{0x5a});
  for (std::uint32_t i = 0; i < n; ++i) {
    const std::size_t a = place() & ~std::size_t{1}, b = place() & ~std::size_t{1};
    if (kind == 2 && a + 1 < frame.size() && b + 1 < frame.size()) {  // a sum does not see it
      std::swap(frame[a], frame[b]);
      std::swap(frame[a + 1], frame[b + 1]);
    } else if (kind >= 3) {
      frame[a] = static_cast<std::byte>(garbling_.next() >> 56);
    }
  }
  if (garbling_.below(2) != 0 || !look_at(frame).is_tcp || frame[14] != std::byte{0x45}) return;
  const auto length = std::to_integer<std::size_t>(frame[16]) << 8 | std::to_integer<std::size_t>(frame[17]);
  if (length < 40 || 14 + length > frame.size()) return;
  const std::span<std::byte> ip = std::span{frame}.subspan(14, length), tcp = ip.subspan(20);
  wire::store16(ip.data() + 10, 0);
  wire::store16(ip.data() + 10, static_cast<std::uint16_t>(~test::plain_sum(ip.first(20))));
  wire::store16(tcp.data() + 16, 0);
  const std::uint32_t pseudo =
      test::plain_sum(ip.subspan(12, 8)) + 6u + static_cast<std::uint32_t>(tcp.size());
  wire::store16(tcp.data() + 16, static_cast<std::uint16_t>(~test::plain_sum(tcp, pseudo)));
}

void Network::send_to(Time now, unsigned from, unsigned to, std::span<const std::byte> frame) {
  if (severed_ == from * ends_ + to || now < down_until_[from] || now < down_until_[to]) return;
  const bool is_arp = frame.size() > 13 && frame[12] == std::byte{8} && frame[13] == std::byte{6};
  if (is_arp && now < no_arp_until_) return;
  emulator::Direction& direction = way(from, to);
  if (!healed_ && plan_.has(Fault::garble) && !is_arp && garbling_.below(20) == 0) {
    std::vector<std::byte> other(frame.begin(), frame.end());
    garble(other);
    return direction.push(now, other);
  }
  const double corrupt = direction.rules.corrupt;
  if (frame[12] != std::byte{8} || frame[13] != std::byte{0})
    direction.rules.corrupt = 0;  // only Ethernet's own sum guards ARP
  direction.push(now, frame);
  direction.rules.corrupt = corrupt;
  if (healed_ || !plan_.has(Fault::replay) || replays_.below(40) != 0) return;
  emulator::Direction& late = *late_[to];
  late.rules.jitter = replays_.below(2) == 0 ? 100ms : longest_replay;
  late.push(now, frame);
  late.rules.jitter = {};
}

/// "Fragmentation needed" (RFC 1191 section 4), with the first 28 bytes of what did not fit.
void Network::say_too_big(Time now, unsigned from, std::size_t mtu, std::span<const std::byte> frame) {
  constexpr std::size_t quoted = 28, message_length = 8 + quoted;
  if (frame.size() < 14 + quoted) return;
  std::vector<std::byte> answer(14 + 20 + message_length);
  wire::write_ethernet(answer.data(), mac(from), router_mac, wire::ether_type_ipv4);
  wire::write_ipv4(answer.data() + 14, {.source = router,
                                        .destination = address_of(from),
                                        .protocol = wire::protocol_icmp,
                                        .payload_length = static_cast<std::uint16_t>(message_length)});
  std::byte* const message = answer.data() + 34;
  wire::store8(message, wire::icmp::destination_unreachable);
  wire::store8(message + 1, wire::icmp::code_fragmentation_needed);
  wire::store32(message + 4, static_cast<std::uint32_t>(mtu));
  std::memcpy(message + 8, frame.data() + 14, quoted);
  wire::store16(message + 2, static_cast<std::uint16_t>(~test::plain_sum({message, message_length})));
  inject(now, from, answer);
}

std::optional<Time> Network::next() const {
  std::optional<Time> first;
  const auto consider = [&first](const emulator::Direction& direction) {
    const auto due = direction.next();
    if (due && (!first || *due < *first)) first = due;
  };
  for (const auto& direction : ways_) consider(*direction);
  for (const auto& direction : late_) consider(*direction);
  return first;
}

void Network::deliver(Time now, const Arrive& arrive) {
  for (unsigned i = 0; i < ways_.size(); ++i)
    ways_[i]->deliver(now, [&](Time, std::span<const std::byte> frame) { arrive(i % ends_, frame); });
  for (unsigned to = 0; to < ends_; ++to)
    late_[to]->deliver(now, [&](Time, std::span<const std::byte> frame) { arrive(to, frame); });
}

}  // namespace handfast::sim
