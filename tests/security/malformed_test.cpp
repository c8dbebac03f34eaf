// SPDX-License-Identifier: BSD-3-Clause
// Headers that lie: options, data offset, IP lengths, checksums, urgent pointers (rows B1 to B5).
// Layer: tests of security, through frames of exact size, so that a sanitizer sees each byte that is read past an end.
#include <gtest/gtest.h>

#include <deque>
#include <string>
#include <vector>

#include "fixture.hpp"
#include "shard/frames.hpp"
#include "shard/loop.hpp"
#include "wire/bytes.hpp"

namespace handfast::test {
namespace {

constexpr std::size_t ip_at = 14, tcp_at = 34;

Packet from_peer(const Peer& p, std::uint8_t flags) {
  Packet packet;
  packet.source = p.self;
  packet.destination = p.stack;
  packet.source_mac = Trace::peer_mac;
  packet.destination_mac = Trace::stack_mac;
  packet.flags = flags;
  packet.seq = p.iss + p.snd_nxt;
  if ((flags & ACK) != 0) packet.ack = p.irs + p.rcv_nxt;
  packet.window = 65535;
  return packet;
}

/// build() without the padding of short frames.
Bytes exact(const Packet& packet) {
  Bytes frame = build(packet);
  frame.resize(ip_at + wire::load16(frame.data() + ip_at + 2));
  return frame;
}

void fix_tcp_checksum(Bytes& frame) {
  const std::size_t length = frame.size() - tcp_at;
  wire::store16(frame.data() + tcp_at + 16, 0);
  const std::uint32_t pseudo = wire::load16(frame.data() + 26) + wire::load16(frame.data() + 28) +
                               wire::load16(frame.data() + 30) + wire::load16(frame.data() + 32) + 6 +
                               static_cast<std::uint32_t>(length);
  wire::store16(frame.data() + tcp_at + 16,
                static_cast<std::uint16_t>(~plain_sum(std::span{frame}.subspan(tcp_at), pseudo)));
}

/// Whether RFC 9293 section 3.1 and the documents of the options that we know allow this list.
bool is_well_formed(const std::vector<std::uint8_t>& options) {
  for (std::size_t at = 0; at < options.size();) {
    const std::uint8_t kind = options[at];
    if (kind == 0) return true;
    if (kind == 1) {
      ++at;
      continue;
    }
    if (at + 1 == options.size()) return false;
    const std::size_t length = options[at + 1];
    if (length < 2 || at + length > options.size()) return false;
    if (kind == 2 && length != 4) return false;
    if (kind == 3 && length != 3) return false;
    if (kind == 4 && length != 2) return false;
    if (kind == 5 && (length < 10 || length % 8 != 2)) return false;
    if (kind == 8 && length != 10) return false;
    at += length;
  }
  return true;
}

/// An option of that kind and length at the head of the list, and then what `filler` says.
std::vector<std::uint8_t> list_of(unsigned kind, unsigned length, std::size_t size, std::uint8_t filler) {
  std::vector<std::uint8_t> options(size, filler);
  if (size > 0) options[0] = static_cast<std::uint8_t>(kind);
  if (size > 1 && kind > 1) options[1] = static_cast<std::uint8_t>(length);
  return options;
}

/// Calls f(options) for all 256 kinds, lengths 0 to 40 and data offsets 5 to 15.
template <class F>
void for_each_list(std::uint8_t filler, F&& f) {
  for (unsigned kind = 0; kind < 256; ++kind)
    for (unsigned length = 0; length <= 40; ++length)
      for (std::size_t size = 0; size <= 40; size += 4) f(list_of(kind, length, size, filler));
}

// rfc9293 3.1, MUST-7; CVE-2020-24337, CVE-2020-13988, CVE-2019-12258, CVE-2021-31889
TEST(SecurityB, sec_B1__every_kind_length_and_offset_in_established__taken_or_dropped_and_never_reset) {
  for (const std::uint8_t filler : {std::uint8_t{1}, std::uint8_t{0xaa}, std::uint8_t{0}}) {
    SecurityWorld w;
    w.establish();
    std::uint64_t good = 0, bad = 0;
    w.t.app.events.reserve(1u << 17);
    for_each_list(filler, [&](const std::vector<std::uint8_t>& options) {
      Packet p = from_peer(w.peer, ACK | PSH);
      p.raw_options = options;
      p.payload = "x";
      w.t.inject(exact(p));
      is_well_formed(options) ? ++good : ++bad;
      w.peer.snd_nxt = 101 + static_cast<std::uint32_t>(good);
      if ((good + bad) % 256 == 0) w.discard();
    });
    EXPECT_EQ(good + bad, 256u * 41 * 11);
    EXPECT_EQ(w.t.app.received().size(), 100 + good) << "one byte of each good one";
    EXPECT_EQ(w.drops(Drop::tcp_malformed_option), bad);
    EXPECT_EQ(w.state(), State::established);
    w.discard();
  }
}

TEST(SecurityB, sec_B1__every_kind_length_and_offset_on_a_syn__answered_or_dropped) {
  SecurityWorld w;
  std::uint64_t wrong = 0, answered = 0;
  for_each_list(0xaa, [&](const std::vector<std::uint8_t>& options) {
    Packet p = from_peer(w.peer, SYN);
    p.raw_options = options;
    w.t.inject(exact(p));
    // Signed segments are not for us (RFC 2385, RFC 5925), wherever they are well formed.
    const bool is_signed = !options.empty() && (options[0] == 19 || options[0] == 29);
    const bool came = w.peer.poll().has_value();
    wrong += came != (is_well_formed(options) && !is_signed);
    answered += came;
    if (came) w.peer.rst().seq(1);
  });
  EXPECT_EQ(wrong, 0u);
  EXPECT_GT(answered, 1000u);
  EXPECT_EQ(usage_of(w.t.core()).half_open, 0u);
}

// MUST-69 binds the sender; the receiver does not look
TEST(SecurityB, sec_B1__anything_after_the_end_of_the_list__opens_a_connection) {
  for (unsigned junk = 1; junk < 256; ++junk) {
    SecurityWorld w;
    Packet p = from_peer(w.peer, SYN);
    p.raw_options = {2, 4, 5, 0xb4, 0, static_cast<std::uint8_t>(junk), 0xff, static_cast<std::uint8_t>(junk)};
    w.t.inject(exact(p));
    w.peer.snd_nxt = 1;
    w.peer.expect().syn_ack().ack(1);
    w.peer.ack();
    EXPECT_EQ(w.t.conn().stats().mss, 1460u);
  }
}

/// By the fast parser and, with a tag, by the layered ones.
void expect_dropped_both_ways(SecurityWorld& w, Drop reason, const Bytes& frame) {
  w.expect_dropped(reason, [&] { w.t.inject(frame); });
  w.expect_dropped(reason, [&] { w.t.inject(tagged(frame)); });
}

TEST(SecurityB, sec_B2__data_offset_below_five_or_past_the_end__dropped) {
  SecurityWorld w;
  w.establish();
  for (const std::size_t payload : {0u, 1u, 12u, 39u}) {
    for (unsigned offset = 0; offset < 16; ++offset) {
      if (offset >= 5 && offset * 4 <= 20 + payload) continue;
      SCOPED_TRACE(std::to_string(offset) + " with " + std::to_string(payload));
      Packet p = from_peer(w.peer, ACK);
      p.payload = std::string(payload, 'x');
      Bytes frame = exact(p);
      frame[tcp_at + 12] = static_cast<std::byte>(offset << 4);
      fix_tcp_checksum(frame);
      expect_dropped_both_ways(w, Drop::tcp_data_offset, frame);
    }
  }
  EXPECT_TRUE(w.peer.quiet());
  EXPECT_EQ(w.t.app.received().size(), 100u);
}

// CVE-2021-31401, CVE-2021-31890, CVE-2020-24341, CVE-2026-31472
TEST(SecurityB, sec_B3__total_length_and_header_length_that_lie__dropped_for_one_reason) {
  SecurityWorld w;
  w.establish();
  Packet p = from_peer(w.peer, ACK | PSH);
  p.payload = "0123456789";
  const Bytes honest = exact(p);
  const unsigned whole = static_cast<unsigned>(honest.size() - ip_at);
  for (const unsigned total : {0u, 1u, 19u, 20u, 39u, 40u, whole - 1, whole, whole + 1, 65535u}) {
    for (unsigned words = 0; words < 16; ++words) {
      if (total == whole && words == 5) continue;
      SCOPED_TRACE(std::to_string(total) + " of " + std::to_string(whole) + ", " + std::to_string(words) + " words");
      Bytes frame = honest;
      frame[ip_at] = static_cast<std::byte>(0x40 | words);
      wire::store16(frame.data() + ip_at + 2, static_cast<std::uint16_t>(total));
      // A right sum over what the header says it is, where that lies in the frame.
      if (words >= 5 && ip_at + words * 4 <= frame.size()) fix_ip_checksum(frame);
      for (const Bytes& way : {frame, tagged(frame)}) {
        const std::uint64_t in = w.t.app.received().size();
        std::uint64_t before = 0, after = 0;
        for (std::size_t i = 0; i < drop_count; ++i) before += w.t.stats().drops[i];
        w.t.inject(way);
        for (std::size_t i = 0; i < drop_count; ++i) after += w.t.stats().drops[i];
        EXPECT_EQ(after - before, 1u);
        EXPECT_EQ(w.t.app.received().size(), in);
      }
    }
  }
  EXPECT_TRUE(w.peer.quiet());
  w.t.inject(honest);
  EXPECT_TRUE(w.t.app.received().ends_with("0123456789"));
}

TEST(SecurityB, sec_B3__frames_cut_at_every_length__nothing_of_them_is_taken) {
  SecurityWorld w;
  w.establish();
  Packet p = from_peer(w.peer, ACK | PSH);
  p.payload = "0123456789";
  const Bytes whole = exact(p);
  for (std::size_t n = 0; n < whole.size(); ++n) w.t.inject(std::span{whole}.first(n));
  EXPECT_EQ(w.t.app.received().size(), 100u);
  EXPECT_TRUE(w.peer.quiet());
}

// CVE-2013-1059's like: padding is no data
TEST(SecurityB, sec_B3__padding_of_short_frames__is_not_data) {
  SecurityWorld w;
  w.establish();
  for (std::size_t n = 1; n <= 6; ++n) {
    Packet p = from_peer(w.peer, ACK | PSH);
    p.payload = std::string(n, 'd');
    Bytes frame = exact(p);
    frame.resize(60, std::byte{0xaa});
    w.t.inject(frame);
    w.peer.snd_nxt += static_cast<std::uint32_t>(n);
    EXPECT_EQ(w.t.app.received(), std::string(100, 'p') + std::string(n * (n + 1) / 2, 'd'));
    w.discard();
  }
  w.peer.ack();  // none at all
  EXPECT_EQ(w.t.app.received().size(), 121u);
}

/// A port that says of its frames' checksums what the test wants.
class FlagPort {
 public:
  std::size_t receive(std::span<wire::RxFrame> out) {
    if (!waiting_ || out.empty()) return 0;
    waiting_ = false;
    out[0] = {};
    out[0].data = frame_.data();
    out[0].length = static_cast<std::uint32_t>(frame_.size());
    out[0].ip_checksum = ip_;
    out[0].tcp_checksum = tcp_;
    out[0].handle = this;
    ++in_use;
    return 1;
  }
  void release(std::span<void* const> handles) { in_use -= static_cast<int>(handles.size()); }
  bool allocate(wire::TxFrame& frame) {
    auto* room = new std::array<std::byte, 1600>;
    frame = {};
    frame.data = room->data();
    frame.capacity = static_cast<std::uint32_t>(room->size());
    frame.handle = room;
    return true;
  }
  void discard(wire::TxFrame& frame) { delete static_cast<std::array<std::byte, 1600>*>(frame.handle); }
  std::size_t transmit(std::span<wire::TxFrame> frames) {
    for (wire::TxFrame& frame : frames) {
      sent.emplace_back(frame.data, frame.data + frame.length);
      discard(frame);
    }
    return frames.size();
  }
  [[nodiscard]] static std::uint8_t tx_offloads() { return 0; }
  void put(Bytes frame, wire::ChecksumState ip, wire::ChecksumState tcp) {
    frame_ = std::move(frame);
    ip_ = ip;
    tcp_ = tcp;
    waiting_ = true;
  }

  int in_use = 0;
  std::vector<Bytes> sent;

 private:
  Bytes frame_;
  wire::ChecksumState ip_{}, tcp_{};
  bool waiting_ = false;
};
static_assert(shard::Io<FlagPort>);

/// A port's word counts only where it says BAD, or GOOD of what it checked. (What DPDK's flags mean on which port is decided
/// in src/dpdk and tested there: NONE is GOOD on ports that are known to mean it, and else UNKNOWN.)
TEST(SecurityB, sec_B4__what_the_port_says_of_checksums__bad_is_dropped_and_unknown_is_verified) {
  using wire::ChecksumState;
  SecurityWorld w;
  CoreConfig config = small_config();
  config.seed = 1;
  Time now{1s};
  FlagPort port;
  shard::Shard shard{config, now};
  shard::Loop<FlagPort> loop{shard, port};
  App app;
  ASSERT_TRUE(shard.core().listen_with({any, 80}, *shard.core().add_handler_ref(app)));
  port.put(arp_request(Trace::peer_mac, Trace::peer_address, Trace::stack_address), ChecksumState::unknown, ChecksumState::unknown);
  loop.poll(now);
  constexpr std::array states{ChecksumState::unknown, ChecksumState::good, ChecksumState::bad};
  for (const bool has_tag : {false, true}) {
    for (const ChecksumState ip : states) {
      for (const ChecksumState tcp : states) {
        for (const int damage : {0, 1, 2, 3}) {  // bit 0: of the IP header, bit 1: of the segment
          SCOPED_TRACE(std::to_string(static_cast<int>(ip)) + std::to_string(static_cast<int>(tcp)) + std::to_string(damage));
          Packet p = from_peer(w.peer, SYN);
          p.source.port = static_cast<Port>(50000 + port.sent.size());
          Bytes frame = exact(p);
          if ((damage & 1) != 0) frame[ip_at + 8] ^= std::byte{1};  // the TTL: harmless but for the sum
          if ((damage & 2) != 0) break_tcp_checksum(frame);
          const bool ip_good = ip == ChecksumState::good || (ip == ChecksumState::unknown && (damage & 1) == 0);
          const bool tcp_good = tcp == ChecksumState::good || (tcp == ChecksumState::unknown && (damage & 2) == 0);
          const std::size_t before = port.sent.size();
          const auto drops = shard.stats().drops;
          port.put(has_tag ? tagged(frame) : frame, ip, tcp);
          loop.poll(now);
          EXPECT_EQ(port.sent.size() - before, ip_good && tcp_good ? 1u : 0u);
          const Drop reason = !ip_good ? Drop::ip_checksum : !tcp_good ? Drop::tcp_checksum : Drop::none;
          for (std::size_t i = 1; i < drop_count; ++i)
            EXPECT_EQ(shard.stats().drops[i] - drops[i], i == static_cast<std::size_t>(reason) ? 1u : 0u);
        }
      }
    }
  }
  // Without offload on the way out each sum is ours, and right by another's arithmetic.
  std::size_t segments = 0;
  for (const Bytes& frame : port.sent) {
    if (frame[12] != std::byte{8} || frame[13] != std::byte{0}) continue;
    std::string why;
    EXPECT_TRUE(parse_strictly(frame, why)) << why;
    ++segments;
  }
  EXPECT_EQ(segments, 2u * 9);
  shard.core().abort_all();
  loop.poll(now);
  loop.stop();
  EXPECT_EQ(port.in_use, 0);
}

// rfc6093 3; CVE-2019-12255, CVE-2019-12261, CVE-2021-31400
TEST(SecurityB, sec_B5__any_urgent_pointer_near_the_wrap__the_stream_is_in_band_and_exact) {
  const std::string text(700, 'u');
  for (const std::uint32_t before_wrap : {1u, 2u, 101u, 102u, 400u, 801u, 802u, 65536u, 65635u}) {
    SecurityWorld w;
    w.peer.iss = 0u - before_wrap;
    w.establish();
    std::string wanted(100, 'p');
    std::size_t most = 0;
    w.t.app.data = [&](Conn& c, const RxView& in) {
      most = std::max(most, c.urgent_ahead());
      return in.size();
    };
    const auto length = static_cast<std::uint16_t>(text.size());
    for (const std::uint16_t pointer : {std::uint16_t{0}, std::uint16_t{1}, length, static_cast<std::uint16_t>(length + 1), std::uint16_t{65535}}) {
      w.peer.ack().urgent(pointer);  // nothing but the pointer
      w.peer.segment(SYN | ACK).seq(w.peer.snd_nxt).urgent(pointer);
      w.peer.ack().data(text).urgent(pointer);
      wanted += text;
      // Urgent data that is older than what has been received, and that is beyond the window.
      w.peer.segment(ACK).seq(w.peer.snd_nxt - 50).urgent(pointer).data(std::string(50, 'u'));
      w.peer.segment(ACK).seq(w.peer.snd_nxt + (1u << 30)).urgent(pointer).data("far");
      w.discard();
      w.t.advance(1s);
    }
    EXPECT_EQ(w.t.app.received(), wanted);
    EXPECT_LE(most, 65535u + text.size());
    w.peer.fin().data("the end").urgent(65535);
    EXPECT_EQ(w.t.app.received(), wanted + "the end");
    EXPECT_EQ(w.t.app.count("fin"), 1);
    EXPECT_LE(w.t.conn().urgent_ahead(), 65535u);
    w.discard();
  }
}

TEST(SecurityB, sec_B5__urgent_pointer_on_the_handshake__no_harm) {
  for (const std::uint16_t pointer : std::initializer_list<std::uint16_t>{0, 1, 2, 65535}) {
    SecurityWorld w;
    w.peer.syn().mss(1460).urgent(pointer);
    w.peer.expect().syn_ack().ack(1);
    w.peer.ack().urgent(pointer);
    EXPECT_EQ(w.state(), State::established);
    w.peer.ack().data("in the stream");
    EXPECT_EQ(w.t.app.received(), "in the stream");
    w.discard();
  }
}

}  // namespace
}  // namespace handfast::test
