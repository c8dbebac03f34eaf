// SPDX-License-Identifier: BSD-3-Clause
// F3: ARP, ICMP and the cache of neighbours. The parsers against a reading of their own; the cache against what its
// header promises: bounded, no entry that nobody asked for or sent to us, no change of a fresh answer, questions a second
// apart; a stack's replies: at most one to a frame, and only to what deserves one. Layer: fuzz.
// Input: one byte for what is done, then a packet, or ops of four bytes on a cache.
#include <algorithm>
#include <array>
#include <optional>

#include "fuzz/fuzz.hpp"
#include "fuzz/reading.hpp"
#include "handfast/frame_port.hpp"
#include "shard/neighbours.hpp"
#include "wire/ethernet.hpp"
#include "wire/icmpv4.hpp"

namespace handfast::fuzz {
namespace {

constexpr Ipv4Address here{10, 0, 0, 1};
constexpr MacAddress our_mac{{0x02, 0x68, 0x66, 0, 0, 1}};

MacAddress mac_of(std::uint8_t n) { return {{0x02, 0, 0, 0, 1, n}}; }

// --- parsers ---------------------------------------------------------------------------------------------------

/// rfc826, and that no answer could reach a sender with a group or zero MAC, or with such an address.
bool is_arp(Bytes b) {
  if (b.size() < 28 || get(b, 0, 4) != 0x00010800 || get(b, 4, 2) != 0x0604) return false;
  const std::uint32_t operation = get(b, 6, 2), first = get(b, 14, 1);
  const bool zero = get(b, 8, 4) == 0 && get(b, 12, 2) == 0;
  return (operation == 1 || operation == 2) && (get(b, 8, 1) & 1) == 0 && !zero && first != 127 && first < 224;
}

void check_arp(Bytes b) {
  wire::ArpPacket packet;
  const bool good = wire::parse_arp(b, packet) == Drop::none;
  FUZZ_CHECK(good == is_arp(b));
  if (!good) return;
  static ExactBlock<28> room;
  const auto written = room.room(28);
  wire::write_arp(written.data(), packet);
  FUZZ_CHECK(std::memcmp(written.data(), b.data(), 28) == 0);
}

/// rfc792: an error quotes a header and eight bytes; ours has version 4, no options, TCP, and is whole.
bool quotes_us(std::uint32_t type, Bytes quote) {
  if (type != 3 && type != 4 && type != 5 && type != 11 && type != 12) return false;
  return quote.size() >= 28 && get(quote, 0, 1) == 0x45 && get(quote, 9, 1) == 6 && (get(quote, 6, 2) & 0x1fff) == 0 &&
         get(quote, 2, 2) >= 40;
}

void check_echo(const wire::IcmpMessage& message) {
  const wire::Ipv4Packet request{Ipv4Address{10, 0, 0, 2}, here, wire::protocol_icmp, 64, 0, {}};
  static ExactBlock<1514> room;
  const std::size_t length = 42 + message.payload.size();
  FUZZ_CHECK(wire::write_icmp_echo_reply(room.room(length - 1), our_mac, our_mac, request, message) == 0);
  const auto out = room.room(length);
  FUZZ_CHECK(wire::write_icmp_echo_reply(out, our_mac, our_mac, request, message) == length);
  const Bytes reply = out.subspan(34);
  FUZZ_CHECK(plain_sum(out.subspan(14, 20)) == 0xffff && plain_sum(reply) == 0xffff && get(reply, 0, 2) == 0);
  FUZZ_CHECK(get(reply, 4, 4) == message.rest && get(out, 30, 4) == request.source.value && get(out, 16, 2) == length - 14);
  FUZZ_CHECK(message.payload.empty() || std::memcmp(reply.data() + 8, message.payload.data(), message.payload.size()) == 0);
}

void check_icmp(std::span<std::byte> b, bool repaired) {
  if (repaired && b.size() >= 8) {
    put(b, 2, 0);
    put(b, 2, plain_sum(b) ^ 0xffff);
  }
  wire::IcmpMessage message;
  const Drop why = wire::parse_icmp(b, message);
  FUZZ_CHECK((why == Drop::none) == (b.size() >= 8 && plain_sum(b) == 0xffff));
  if (why != Drop::none) return;
  FUZZ_CHECK(message.type == get(b, 0, 1) && message.code == get(b, 1, 1) && message.rest == get(b, 4, 4));
  FUZZ_CHECK(message.payload.data() == b.data() + 8 && message.payload.size() == b.size() - 8);
  if (b.size() <= 1400) check_echo(message);
  wire::IcmpQuote quote;
  const bool quoted = wire::parse_icmp_quote(message, quote) == Drop::none;
  const Bytes q = b.subspan(8);
  FUZZ_CHECK(quoted == quotes_us(message.type, q));
  if (!quoted) return;
  FUZZ_CHECK(quote.flow.local_address == get(q, 12, 4) && quote.flow.remote_address == get(q, 16, 4));
  FUZZ_CHECK(quote.flow.ports == get(q, 20, 4) && quote.seq.raw() == get(q, 24, 4) && quote.datagram_length == get(q, 2, 2));
  FUZZ_CHECK(quote.next_hop_mtu == (message.type == 3 && message.code == 4 ? get(b, 6, 2) : 0));
}

// --- the cache ---------------------------------------------------------------------------------------------------

constexpr std::uint32_t places = 16;  // as many as an address may stand in: so one is found wherever it is

/// What is known of an address from outside.
struct Belief {
  bool invited = false;  ///< asked for, or it has asked for us
  bool failed = false;
  MacAddress mac;
  std::optional<Time> confirmed;
  std::optional<Time> asked;
  unsigned unanswered = 0;  ///< questions since it was confirmed
};

class CacheModel {
 public:
  explicit CacheModel(unsigned addresses) : crowded_(addresses > places), cache_(link(), places) {}

  void learn(std::uint8_t n, std::uint8_t mac, bool reply, bool ours) {
    const wire::ArpPacket packet{reply ? wire::ArpOperation::reply : wire::ArpOperation::request, mac_of(mac), address(n), our_mac, here};
    Belief& b = beliefs_[n];
    const MacAddress* const before = cache_.answer_of(address(n));
    const bool known = before != nullptr, asked = cache_.is_asked(address(n));
    const MacAddress old = known ? *before : MacAddress{};
    const Drop why = cache_.learn(packet, ours, now_);
    const MacAddress* const after = cache_.answer_of(address(n));
    if (known && old != packet.sender_mac && !suspected_[n] && now_ < *b.confirmed + shard::neighbour_lock)
      FUZZ_CHECK(why == Drop::arp_locked && after != nullptr && *after == old);
    if (why != Drop::none) return;
    if (after == nullptr) return FUZZ_CHECK(!known && !asked);
    // No entry unasked, but for who asks for us.
    FUZZ_CHECK(known || asked || b.failed || (ours && !reply));
    FUZZ_CHECK(*after == packet.sender_mac);
    b.mac = *after;
    b.confirmed = now_;
    b.unanswered = 0;
    b.invited = true;
    b.failed = false;
    suspected_[n] = false;
  }

  void find(std::uint8_t n) {
    const auto result = cache_.find(address(n), now_);
    Belief& b = beliefs_[n];
    using Lookup = shard::Neighbours::Lookup;
    if (result.what == Lookup::known) {
      FUZZ_CHECK(b.confirmed && result.mac == b.mac);
      if (result.refresh) {
        note_question(n);
        ++b.unanswered;
      }
      FUZZ_CHECK(b.unanswered <= link().neighbour_attempts);
      FUZZ_CHECK(b.unanswered < link().neighbour_attempts || now_ < *b.asked + link().neighbour_retry);
    } else if (result.what == Lookup::ask_and_wait) {
      b.invited = true;
      b.failed = false;
      note_question(n);
    } else if (result.what == Lookup::wait) {
      FUZZ_CHECK(cache_.is_asked(address(n)));
    } else {
      FUZZ_CHECK(b.failed);
    }
    FUZZ_CHECK(cache_.find(address(n), now_).what != Lookup::ask_and_wait);
  }

  void pass(Duration d) {
    now_ += d;
    for (unsigned guard = 0; guard <= places; ++guard) {
      const auto due = cache_.next_due(now_);
      if (!due) break;
      FUZZ_CHECK(guard < places);
      const auto n = static_cast<std::uint8_t>(due->ask.value & 0xff);
      if (due->failed)
        beliefs_[n].failed = true;
      else
        note_question(n);
    }
    FUZZ_CHECK(cache_.next_deadline() > now_);
  }

  void suspect(std::uint8_t n) {
    const bool known = cache_.answer_of(address(n)) != nullptr;
    cache_.suspect(address(n), now_);
    suspected_[n] = suspected_[n] || known;
    FUZZ_CHECK(known == (cache_.answer_of(address(n)) != nullptr));
  }

  void check() {
    FUZZ_CHECK(cache_.size() <= places);
    const bool lost = cache_.take_lost_question();
    FUZZ_CHECK(!lost || crowded_);
    for (unsigned n = 0; n < beliefs_.size(); ++n) {
      const MacAddress* const mac = cache_.answer_of(address(static_cast<std::uint8_t>(n)));
      if (mac != nullptr) FUZZ_CHECK(beliefs_[n].invited && *mac == beliefs_[n].mac);
      const MacAddress* const fresh = cache_.fresh(address(static_cast<std::uint8_t>(n)), now_);
      if (fresh != nullptr) FUZZ_CHECK(mac != nullptr && *fresh == *mac);
    }
  }

 private:
  static LinkConfig link() {
    LinkConfig link;
    link.address = {here, 24};
    link.gateway = Ipv4Address{10, 0, 0, 3};
    return link;
  }
  static Ipv4Address address(std::uint8_t n) { return Ipv4Address{0x0a000000u + n}; }
  /// rfc1122 2.3.2.1: at most one a second to an address, as long as the cache need not forget.
  void note_question(std::uint8_t n) {
    Belief& b = beliefs_[n];
    if (b.asked && !crowded_) FUZZ_CHECK(now_ >= *b.asked + link().neighbour_retry);
    b.asked = now_;
  }

  bool crowded_;
  Time now_{1h};
  shard::Neighbours cache_;
  std::array<Belief, 32> beliefs_{};
  std::array<bool, 32> suspected_{};
};

void run_cache(Reader& in) {
  const unsigned addresses = (in.u8() & 1) != 0 ? 32 : 12;
  CacheModel model{addresses};
  for (int ops = 0; in.left() != 0 && ops < 64; ++ops) {
    const unsigned what = in.u8();
    const auto n = static_cast<std::uint8_t>(in.u8() % addresses);
    const std::uint16_t value = in.u16();
    switch (what % 8) {
      case 0: model.suspect(n); break;
      case 1:
      case 2: model.find(n); break;
      case 3: model.pass(1ms * value); break;
      case 4: model.pass(Duration{value}); break;
      default: model.learn(n, static_cast<std::uint8_t>(value % 3), (value & 0x100) != 0, (value & 0x200) != 0); break;
    }
    model.check();
  }
}

// --- a stack's replies -----------------------------------------------------------------------------------------

struct Stack {
  Stack() {
    CoreConfig config;
    config.seed = 3;
    config.link.address = {here, 24};
    config.link.mac = our_mac;
    config.limits.connections = config.limits.half_open = config.limits.time_wait = 16;
    config.limits.buffer_memory = 64 << 10;
    config.limits.send_extents = config.limits.recovery_blocks = config.limits.neighbours = 16;
    auto made = FrameStack::create(config, now, [](void* self, std::span<const std::byte> frame) { static_cast<Stack*>(self)->take(frame); }, this);
    FUZZ_CHECK(made.has_value());
    stack = std::move(*made);
  }
  void take(std::span<const std::byte> frame) {
    FUZZ_CHECK(frame.size() >= 42);
    const bool arp = get(frame, 12, 2) == 0x0806;
    // Who asks for an echo and is not known is asked for: a question, and no answer yet.
    const bool question = arp && get(frame, 20, 2) == 1;
    FUZZ_CHECK(question || arp == answers_arp);
    sent += question ? 0 : 1;
  }
  Time now{1h};
  unsigned sent = 0;
  bool answers_arp = false;
  std::unique_ptr<FrameStack> stack;
};

/// A frame with this payload: how many leave for it, and of what type.
void check_replies(Reader& in, Bytes payload, bool arp) {
  static Stack world;
  static std::array<std::byte, 14 + 20 + 1500> room;
  const bool unicast = (in.u8() & 1) == 0;
  const std::size_t header = arp ? 14 : 34;
  wire::write_ethernet(room.data(), unicast ? our_mac : broadcast_mac, mac_of(2), arp ? wire::ether_type_arp : wire::ether_type_ipv4);
  if (!arp)
    wire::write_ipv4(room.data() + 14, {.source = Ipv4Address{10, 0, 0, 2}, .destination = here, .protocol = wire::protocol_icmp, .payload_length = static_cast<std::uint16_t>(payload.size())});
  if (!payload.empty()) std::memcpy(room.data() + header, payload.data(), payload.size());
  world.now += 2s;
  world.sent = 0;
  world.answers_arp = arp;
  FUZZ_CHECK(world.stack->receive(std::span{room}.first(header + payload.size())));
  world.stack->poll(world.now);
  bool deserves = false;
  if (arp && is_arp(payload)) {
    const Ipv4Address sender{get(payload, 14, 4)}, target{get(payload, 24, 4)};
    const bool neighbour = (sender.value >> 8 == here.value >> 8 && (sender.value & 0xff) != 255 && sender != here) || sender.is_any();
    const bool ours = get(payload, 8, 4) == 0x02686600 && get(payload, 12, 2) == 1;
    deserves = neighbour && !ours && get(payload, 6, 2) == 1 && target == here;
  } else if (!arp) {
    deserves = unicast && payload.size() >= 8 && plain_sum(payload) == 0xffff && get(payload, 0, 2) == 0x0800;
  }
  FUZZ_CHECK(world.sent <= (deserves ? 1u : 0u));
  // A locked neighbour's question is not answered differently: ARP that deserves a reply gets it.
  if (arp && deserves) FUZZ_CHECK(world.sent == 1);
}

}  // namespace
}  // namespace handfast::fuzz

using namespace handfast;
using namespace handfast::fuzz;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static Tally tally{"inputs"};
  static ExactBlock<1500> block;
  Reader in{data, size};
  const unsigned what = in.u8();
  tally.add();
  if ((what & 7) >= 4) return run_cache(in), 0;
  Reader copy = in;
  const auto bytes = block.place(in.bytes(1480));
  if ((what & 7) == 0) check_arp(bytes);
  if ((what & 7) == 1) check_icmp(bytes, (what & 8) != 0);
  if ((what & 7) == 2) check_replies(copy, bytes, true);
  if ((what & 7) == 3) {
    check_icmp(bytes, true);
    check_replies(copy, bytes, false);
  }
  return 0;
}
