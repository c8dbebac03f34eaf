// SPDX-License-Identifier: BSD-3-Clause
// Attacks by form: sizes that make work, shifts out of range, IPv6, fragments, ICMP echo. Rows B7 to B11 of
// docs/security-limits.md. Layer: tests of security, through frames.
#include <gtest/gtest.h>

#include <optional>
#include <string>

#include "fixture.hpp"
#include "shard/link_frames.hpp"
#include "wire/bytes.hpp"

namespace handfast::test {
namespace {

Frame bytes_of(const std::string& s) {
  const auto bytes = std::as_bytes(std::span{s});
  return {bytes.begin(), bytes.end()};
}

/// Acknowledges in order until `bytes` of the answer have come; how many segments that took.
std::size_t receive_answer(SecurityWorld& w, std::size_t bytes) {
  std::size_t segments = 0, got = 0;
  for (int round = 0; round < 20000 && got < bytes; ++round) {
    while (const auto p = w.peer.poll()) {
      ++segments;
      got += p->payload.size();
    }
    w.peer.ack();
    if (w.peer.quiet()) w.t.advance(1ms);
  }
  EXPECT_EQ(got, bytes);
  return segments;
}

// RFC 9293 3.7.1, MUST-15, MUST-16. CVE-2019-11479
TEST(SecurityB, sec_B7__any_mss_in_the_syn__a_megabyte_takes_a_bounded_number_of_segments) {
  struct Row {
    std::optional<std::uint16_t> offered;
    std::size_t used;
  };
  const std::size_t bytes = scaled(1 << 20, 200000);
  for (const bool timestamps : {false, true})
    for (const Row& row : {Row{std::nullopt, 536}, Row{0, 216}, Row{1, 216}, Row{7, 216}, Row{48, 216}, Row{215, 216}, Row{216, 216},
                           Row{536, 536}, Row{1460, 1460}, Row{65535, 1460}}) {
      SCOPED_TRACE("MSS " + (row.offered ? std::to_string(*row.offered) : "absent") + (timestamps ? " with timestamps" : ""));
      CoreConfig config = small_config();
      config.tcp.send_buffer = 2 << 20;
      SecurityWorld w{config};
      w.most_out_per_in = 200;  // an answer is longer than what asks for it
      w.establish({.mss = row.offered, .wscale = std::nullopt, .ts = timestamps}, false);
      w.t.with([&](Conn& c) { ASSERT_EQ(c.send(std::string(bytes, 'x')), bytes); });
      const std::size_t room = row.used - (timestamps ? 12 : 0);
      EXPECT_LE(receive_answer(w, bytes), (bytes + room - 1) / room);
    }
}

// RFC 7323 2.3
TEST(SecurityB, sec_B8__window_scale_of_15_to_255__is_14) {
  for (unsigned shift = 14; shift < 256; ++shift) {
    SecurityWorld w;
    w.establish({.mss = 1460, .wscale = static_cast<std::uint8_t>(shift)}, false);
    EXPECT_EQ(w.t.conn().stats().send_window, 65535u << 14) << shift;
    if (shift > 16 && shift % 32 > 1 && !is_long_run()) ++shift;
  }
}

// RFC 7323 2.2: in a SYN alone
TEST(SecurityB, sec_B8__window_scale_without_syn__is_ignored) {
  SecurityWorld w;
  w.establish({.mss = 1460, .wscale = 3});
  for (unsigned shift = 0; shift < 256; ++shift) w.peer.ack().wscale(static_cast<std::uint8_t>(shift)).window(100);
  EXPECT_EQ(w.t.conn().stats().send_window, 800u);
}

/// An IPv6 packet to anyone, with a chain of extension headers of so many bytes as their length fields say.
Frame ipv6_frame(std::uint8_t first, std::size_t headers, std::uint8_t length_field, std::size_t bytes_each) {
  Frame frame(14 + 40 + headers * bytes_each + 20);
  wire::write_ethernet(frame.data(), Trace::stack_mac, Trace::peer_mac, 0x86dd);
  frame[14] = std::byte{0x60};
  const std::size_t payload = frame.size() - 54;
  frame[18] = static_cast<std::byte>(payload >> 8);
  frame[19] = static_cast<std::byte>(payload & 0xff);
  frame[20] = std::byte{first};
  frame[21] = std::byte{64};
  for (std::size_t i = 0; i < headers; ++i) {
    frame[54 + i * bytes_each] = i + 1 == headers ? std::byte{6} : std::byte{first};
    frame[55 + i * bytes_each] = std::byte{length_field};
  }
  return frame;
}

// RFC 8200 section 4 concerns hosts that have IPv6. This one has not: the type of the frame is as far as it is read.
TEST(SecurityB, sec_B9__ipv6_of_every_shape__dropped_by_its_type) {
  SecurityWorld w;
  std::uint64_t sent = 0;
  w.expect_dropped(
      Drop::eth_unknown_type,
      [&] {
        for (const int first : {0, 6, 43, 44, 50, 51, 58, 59, 60, 135, 255})  // 43: routing, RH0 among them
          for (const int length : {0, 1, 255})
            for (const std::size_t headers : {0u, 1u, 8u, 40u}) {
              const Frame whole = ipv6_frame(static_cast<std::uint8_t>(first), headers, static_cast<std::uint8_t>(length), 8);
              for (const std::size_t cut : {whole.size(), whole.size() / 2, std::size_t{54}, std::size_t{20}}) {
                w.t.inject(std::span{whole}.first(cut));
                ++sent;
              }
            }
        EXPECT_EQ(sent, 11u * 3 * 4 * 4);
      },
      11u * 3 * 4 * 4);
  EXPECT_EQ(w.frames_out(), 0u);
}

Frame with_fragment_field(Frame frame, std::uint16_t field) {
  wire::store16(frame.data() + 20, field);
  wire::store16(frame.data() + 24, 0);
  wire::store16(frame.data() + 24, static_cast<std::uint16_t>(~plain_sum(std::span{frame}.subspan(14, 20))));
  return frame;
}

Frame random_fragment(SecurityWorld& w) {
  Rng& rng = w.t.rng();
  const std::uint32_t offset = rng.below(0x2000), more = rng.below(2);
  const Frame body(8 + rng.below(1400), std::byte{0x55});
  // RFC 791: neither is there a fragment without both.
  const auto field = static_cast<std::uint16_t>((more << 13) | (offset == 0 && more == 0 ? 1 : offset));
  const Ipv4Address from{10, 0, 0, static_cast<std::uint8_t>(2 + rng.below(250))};
  const std::uint8_t protocol = rng.below(2) == 0 ? 6 : 1;
  return with_fragment_field(ipv4_frame(from, Trace::stack_address, protocol, body), field);
}

// Nothing is put together, so there is nothing to overlap or to pin: RFC 1858, RFC 3128, CVE-2018-5391
TEST(SecurityB, sec_B10__fragments_of_every_kind__dropped_and_counted_and_nothing_kept) {
  SecurityWorld w;
  w.establish();
  const Holdings before = holdings_of(w.t);
  const std::uint64_t sent = w.frames_out();
  const std::uint64_t n = scaled(1000000, 50000);
  w.expect_dropped(
      Drop::ip_fragment,
      [&] {
        for (std::uint64_t i = 0; i < n; ++i) w.t.inject(random_fragment(w), i % 64 == 63 || i + 1 == n);
      },
      n);
  EXPECT_EQ(holdings_of(w.t), before);
  EXPECT_EQ(w.frames_out(), sent);
}

TEST(SecurityB, sec_B10__a_flood_of_fragments_beside_a_transfer__not_a_byte_less_arrives) {
  SecurityWorld w;
  w.establish();
  std::string sent(100, 'p');
  for (int i = 0; i < 200; ++i) {
    for (int k = 0; k < 63; ++k) w.t.inject(random_fragment(w), false);
    w.peer.ack().data(std::string(1000, 'q'));
    sent += std::string(1000, 'q');
    w.t.advance(630us);  // 100,000 fragments a second
    w.discard();
  }
  EXPECT_EQ(w.t.app.received(), sent);
  EXPECT_EQ(w.t.stats().duplicates, 0u);
}

// A segment that the attacker has cut in two, at every place (the second one overlapping or not), never arrives in part.
TEST(SecurityB, sec_B10__segment_in_two_fragments__no_byte_is_delivered) {
  SecurityWorld w;
  w.establish();
  Packet data;
  data.source = w.peer.self;
  data.destination = w.peer.stack;
  data.source_mac = Trace::peer_mac;
  data.destination_mac = Trace::stack_mac;
  data.seq = w.peer.iss + w.peer.snd_nxt;
  data.ack = w.peer.irs + w.peer.rcv_nxt;
  data.flags = ACK | PSH;
  data.window = 65535;
  data.payload = std::string(64, 'f');
  const Frame whole = build(data);
  const Frame body(whole.begin() + 34, whole.end());
  for (std::size_t at = 8; at < body.size(); at += 8)
    for (const std::size_t back : {0u, 8u}) {
      const Frame first(body.begin(), body.begin() + static_cast<std::ptrdiff_t>(at));
      const Frame second(body.begin() + static_cast<std::ptrdiff_t>(at - back), body.end());
      w.t.inject(with_fragment_field(ipv4_frame(Trace::peer_address, Trace::stack_address, 6, first), 0x2000));
      w.t.inject(with_fragment_field(ipv4_frame(Trace::peer_address, Trace::stack_address, 6, second),
                                     static_cast<std::uint16_t>((at - back) / 8 == 0 ? 0x2000 : (at - back) / 8)));
    }
  EXPECT_EQ(w.t.app.received(), std::string(100, 'p'));
}

// RFC 1122 3.2.2.6
TEST(SecurityB, sec_B11__echo_whose_lengths_lie__dropped_and_never_answered) {
  SecurityWorld w;
  const Frame echo = icmp_message(8, 0, 0x10001, bytes_of("sixteen bytes ok"));
  const Frame good = ipv4_frame(Trace::peer_address, Trace::stack_address, 1, echo);
  // The datagram says that it is longer than the frame, up to the largest.
  std::uint64_t n = 0;
  for (std::uint32_t total = static_cast<std::uint32_t>(good.size()) - 14 + 1; total < 65536; total += 331, ++n) {
    Frame f = good;
    wire::store16(f.data() + 16, static_cast<std::uint16_t>(total));
    f = with_fragment_field(f, 0x4000);
    w.expect_dropped(Drop::ip_total_length, [&] { w.t.inject(f); });
  }
  // It ends inside of the ICMP header, or cuts the payload off that the checksum covers.
  for (std::uint16_t total = 20; total < good.size() - 14; ++total) {
    Frame f = good;
    wire::store16(f.data() + 16, total);
    f = with_fragment_field(f, 0x4000);
    w.expect_dropped(total < 28 ? Drop::icmp_truncated : Drop::icmp_checksum, [&] { w.t.inject(f); });
  }
  EXPECT_EQ(w.frames_out(), 0u);
}

TEST(SecurityB, sec_B11__echo_to_broadcast_and_multicast__silence) {
  SecurityWorld w;
  const Frame echo = icmp_message(8, 0, 1, bytes_of("smurf"));
  const std::vector<std::pair<Ipv4Address, MacAddress>> where = {
      {{10, 0, 0, 255}, broadcast_mac},      {{10, 0, 0, 255}, Trace::stack_mac},      {{255, 255, 255, 255}, broadcast_mac},
      {{255, 255, 255, 255}, Trace::stack_mac}, {{224, 0, 0, 1}, Trace::stack_mac},    {Trace::stack_address, broadcast_mac}};
  w.expect_dropped(
      Drop::ip_not_for_us,
      [&] {
        for (const auto& [to, mac] : where) w.t.inject(ipv4_frame(Trace::peer_address, to, 1, echo, mac));
      },
      where.size());
  w.expect_dropped(Drop::ip_martian_source,
                   [&] { w.t.inject(ipv4_frame({10, 0, 0, 255}, Trace::stack_address, 1, echo)); });
  EXPECT_EQ(w.frames_out(), 0u);
}

TEST(SecurityB, sec_B11__echo_with_ip_options__answered_without_them_and_no_larger) {
  SecurityWorld w;
  w.establish();  // the neighbour is known
  const Frame echo = icmp_message(8, 0, 7, bytes_of("sixteen bytes ok"));
  Frame f = ipv4_frame(Trace::peer_address, Trace::stack_address, 1, echo);
  const Frame record_route{std::byte{7}, std::byte{39}, std::byte{4}};
  Frame options(40);
  std::ranges::copy(record_route, options.begin());
  f.insert(f.begin() + 34, options.begin(), options.end());
  f[14] = std::byte{0x4f};
  wire::store16(f.data() + 16, static_cast<std::uint16_t>(f.size() - 14));
  wire::store16(f.data() + 24, 0);
  wire::store16(f.data() + 24, static_cast<std::uint16_t>(~plain_sum(std::span{f}.subspan(14, 60))));
  w.t.inject(f);
  ASSERT_EQ(w.t.other_frames.size(), 1u);
  EXPECT_EQ(w.t.other_frames[0][14], std::byte{0x45});
  EXPECT_EQ(w.t.other_frames[0].size(), 34 + echo.size());
  w.t.other_frames.clear();
}

TEST(SecurityB, sec_B11__echo_flood__a_thousand_answers_a_second) {
  SecurityWorld w;
  w.establish();
  const Frame echo = ipv4_frame(Trace::peer_address, Trace::stack_address, 1, icmp_message(8, 0, 1, bytes_of("x")));
  const std::uint64_t before = w.frames_out();
  for (int second = 0; second < 2; ++second) {
    for (int i = 0; i < 20000; ++i) {
      w.t.inject(echo, i % 64 == 63);
      w.t.other_frames.clear();
    }
    w.t.poll();
    w.t.other_frames.clear();
    EXPECT_LE(w.frames_out() - before, 1000u * static_cast<unsigned>(second + 1) + (second == 0 ? 0u : 1000u));
    w.t.advance(1s);
  }
  EXPECT_EQ(w.drops(Drop::icmp_rate_limited) + (w.frames_out() - before), 40000u);
}

}  // namespace
}  // namespace handfast::test
