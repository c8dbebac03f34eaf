// SPDX-License-Identifier: BSD-3-Clause
// What a dropped frame leaves behind: each reason to drop is provoked as often as a flood would (row A7).
// Layer: tests of security, through frames.
#include <gtest/gtest.h>

#include <functional>
#include <set>
#include <string>
#include <vector>

#include "fixture.hpp"
#include "forged.hpp"
#include "shard/frames.hpp"
#include "support/icmp.hpp"
#include "wire/bytes.hpp"

namespace handfast::test {
namespace {

/// One way to be dropped: always by the same frame.
struct Way {
  Drop reason;
  const char* what;
  std::function<Bytes(SecurityWorld&)> prepare;
  std::function<void(CoreConfig&)> adjust = nullptr;
};

Bytes changed(Bytes frame, std::size_t at, unsigned value) {
  frame[at] = static_cast<std::byte>(value);
  return frame;
}
Bytes ip_changed(Bytes frame, std::size_t at, unsigned value) {
  frame = changed(std::move(frame), at, value);
  fix_ip_checksum(frame);
  return frame;
}
Bytes good(SecurityWorld& w) {
  w.establish(modern);
  return build(as_if_from(w.peer, ACK, w.peer.snd_nxt));
}
Bytes established(SecurityWorld& w, std::uint8_t flags, std::uint32_t offset, const std::string& data = "",
                  bool timestamps = true) {
  w.establish(modern);
  Packet p = as_if_from(w.peer, flags, w.peer.snd_nxt + offset);
  if (!timestamps) p.ts.reset();
  p.payload = data;
  return build(p);
}
Bytes arp(wire::ArpOperation operation, unsigned mac, Ipv4Address sender) {
  return arp_frame(operation, MacAddress{{2, 0, 0, 0, 9, static_cast<std::uint8_t>(mac)}}, sender, Trace::stack_address);
}
Packet syn_from(SecurityWorld& w, Port port) {
  Packet p = as_if_from(w.peer, SYN, 0);
  p.source.port = port;
  p.mss = 1460;
  return p;
}
constexpr IpEnds ends{Trace::peer_mac, Trace::stack_mac, Trace::peer_address, Trace::stack_address};

std::vector<Way> link_and_ip() {
  return {
      {Drop::eth_truncated, "runt", [](auto&) { return Bytes(10); }},
      {Drop::eth_not_for_us, "another's address", [](auto& w) { return changed(good(w), 5, 0x77); }},
      {Drop::eth_unknown_type, "IPv6", [](auto& w) { return changed(changed(good(w), 12, 0x86), 13, 0xdd); }},
      {Drop::arp_truncated, "short ARP",
       [](auto&) {
         auto f = arp(wire::ArpOperation::request, 1, ends.source);
         f.resize(30);
         return f;
       }},
      {Drop::arp_malformed, "RARP", [](auto&) { return changed(arp(wire::ArpOperation::request, 1, ends.source), 21, 3); }},
      {Drop::arp_not_for_us, "answer to no question",
       [](auto&) {
         return arp(wire::ArpOperation::reply, 1, Ipv4Address{10, 0, 0, 99});
       }},
      {Drop::arp_conflict, "our address", [](auto&) { return arp(wire::ArpOperation::request, 1, Trace::stack_address); }},
      {Drop::arp_locked, "another answer",
       [](auto&) {
         return arp(wire::ArpOperation::reply, 1, Ipv4Address{10, 0, 0, 3});
       }},
      {Drop::ip_truncated, "half an IP header",
       [](auto& w) {
         auto f = good(w);
         f.resize(25);
         return f;
       }},
      {Drop::ip_version, "version 6", [](auto& w) { return changed(good(w), 14, 0x65); }},
      {Drop::ip_header_length, "four words", [](auto& w) { return changed(good(w), 14, 0x44); }},
      {Drop::ip_total_length, "longer than the frame", [](auto& w) { return ip_changed(good(w), 16, 0x40); }},
      {Drop::ip_checksum, "damaged header", [](auto& w) { return changed(good(w), 22, 7); }},
      {Drop::ip_fragment, "first fragment", [](auto& w) { return ip_changed(good(w), 20, 0x20); }},
      {Drop::ip_martian_source, "127/8", [](auto& w) { return ip_changed(good(w), 26, 127); }},
      {Drop::ip_not_for_us, "another destination",
       [](auto& w) {
         auto p = syn_from(w, 5);
         p.destination.address = Ipv4Address{10, 0, 0, 77};
         return build(p);
       }},
      {Drop::ip_unknown_protocol, "UDP", [](auto&) { return ip_frame(ends, 17, Bytes(40)); }},
      {Drop::ip_source_route, "loose source route",
       [](auto& w) {
         Bytes f = good(w);
         const Bytes option{std::byte{131}, std::byte{3}, std::byte{4}, std::byte{0}};
         f.insert(f.begin() + 34, option.begin(), option.end());
         wire::store16(f.data() + 16, static_cast<std::uint16_t>(wire::load16(f.data() + 16) + 4));
         return ip_changed(std::move(f), 14, 0x46);
       }},
      {Drop::icmp_truncated, "four bytes", [](auto&) { return ip_frame(ends, 1, Bytes(4)); }},
      {Drop::icmp_checksum, "damaged", [](auto&) { return changed(icmp_frame(ends, 8, 0, 1, Bytes(8)), 42, 1); }},
      {Drop::icmp_unknown, "timestamp request", [](auto&) { return icmp_frame(ends, 13, 0, 1, Bytes(12)); }},
      {Drop::icmp_rate_limited, "ping 1001 of a second",
       [](auto& w) {
         const Bytes ping = icmp_frame(ends, 8, 0, 1, Bytes(8));
         for (int i = 0; i < 1000; ++i) w.t.inject(ping);
         w.t.other_frames.clear();
         return ping;
       }},
      {Drop::icmp_no_connection, "about nobody",
       [](auto& w) {
         w.establish();
         Packet about = as_if_from(w.peer, ACK, 0);
         std::swap(about.source, about.destination);
         about.source_mac = Trace::stack_mac;
         ++about.destination.port;
         return icmp_about(about, 3, 1);
       }},
      {Drop::icmp_out_of_window, "about what was never sent",
       [](auto& w) {
         w.establish();
         w.t.with([](Conn& c) { c.send("in flight"); });
         Packet about = w.peer.expect().packet();
         about.seq += 100;
         return icmp_about(about, 3, 1);
       }},
      {Drop::icmp_implausible_mtu, "MTU 68",
       [](auto& w) {
         w.establish();
         w.t.with([](Conn& c) { c.send("in flight"); });
         return too_big(w.peer.expect().packet(), 68);
       }},
  };
}

std::vector<Way> segments() {
  return {
      {Drop::tcp_truncated, "half a header", [](auto&) { return ip_frame(ends, 6, Bytes(10)); }},
      {Drop::tcp_data_offset, "offset 4", [](auto& w) { return changed(good(w), 46, 0x40); }},
      {Drop::tcp_checksum, "damaged",
       [](auto& w) {
         auto f = good(w);
         break_tcp_checksum(f);
         return f;
       }},
      {Drop::tcp_malformed_option, "length 0",
       [](auto& w) {
         w.establish();
         Packet p = as_if_from(w.peer, ACK, w.peer.snd_nxt);
         p.raw_options = {8, 0, 0, 0};
         return build(p);
       }},
      {Drop::tcp_port_zero, "from port 0", [](auto& w) { return build(syn_from(w, 0)); }},
      {Drop::tcp_no_connection, "RST to a closed port",
       [](auto& w) {
         auto p = syn_from(w, 5);
         p.flags = RST;
         p.mss.reset();
         p.destination.port = 9;
         return build(p);
       }},
      {Drop::tcp_no_connection, "ACK to a closed port",
       [](auto& w) {
         auto p = syn_from(w, 5);
         p.flags = ACK;
         p.mss.reset();
         p.destination.port = 9;
         return build(p);
       }},
      {Drop::tcp_out_of_window, "RST", [](auto& w) { return established(w, RST, 1u << 30); }},
      {Drop::tcp_out_of_window, "data", [](auto& w) { return established(w, ACK, 1u << 30, "far"); }},
      {Drop::tcp_unacceptable_ack, "of the future",
       [](auto& w) {
         w.establish();
         auto p = as_if_from(w.peer, ACK, w.peer.snd_nxt);
         ++p.ack;
         return build(p);
       }},
      {Drop::tcp_no_ack, "data without ACK", [](auto& w) { return established(w, 0, 0, "x"); }},
      {Drop::tcp_old_timestamp, "100 s old",
       [](auto& w) {
         w.establish(modern);
         auto p = as_if_from(w.peer, ACK, w.peer.snd_nxt);
         p.ts->first -= 100000;
         return build(p);
       }},
      {Drop::tcp_no_timestamp, "none", [](auto& w) { return established(w, ACK, 0, "x", false); }},
      {Drop::tcp_rst_not_exact, "in the window", [](auto& w) { return established(w, RST, 7); }},
      {Drop::tcp_syn_in_window, "in the window", [](auto& w) { return established(w, SYN, 7); }},
      {Drop::tcp_duplicate, "what was received", [](auto& w) { return established(w, ACK, 0u - 50, "again"); }},
      {Drop::tcp_duplicate, "keep-alive", [](auto& w) { return established(w, ACK, 0u - 1); }},
      {Drop::tcp_time_wait, "an ACK",
       [](auto& w) {
         w.bring(w.peer, State::time_wait);
         return build(as_if_from(w.peer, ACK, w.peer.snd_nxt));
       }},
      {Drop::tcp_authentication, "signed SYN",
       [](auto& w) {
         Packet p = syn_from(w, 5);
         p.raw_options = std::vector<std::uint8_t>(20, 1);
         p.raw_options[0] = 19;
         p.raw_options[1] = 18;
         return build(p);
       }},
      {Drop::tcp_refused_by_handler, "SYN",
       [](auto& w) {
         w.t.app.syn = [](const SynInfo&) { return false; };
         return build(syn_from(w, 5));
       }},
  };
}

void send_beyond_a_gap(SecurityWorld& w, std::uint32_t count) {
  for (std::uint32_t i = 0; i < count; ++i) w.peer.segment(ACK).seq(w.peer.snd_nxt + 1 + 2 * i).data("x");
  w.discard();
}

std::vector<Way> full_tables() {
  return {
      {Drop::tcp_window_full, "window of nothing",
       [](auto& w) {
         w.establish();
         w.t.with([](Conn& c) { c.pause_rx(); });
         while (w.t.conn().stats().receive_window != 0) {
           w.peer.ack().data(std::string(std::min(1024u, w.t.conn().stats().receive_window), 'x'));
           w.t.advance(50ms);
           w.discard();
         }
         Packet p = as_if_from(w.peer, ACK, w.peer.snd_nxt);
         p.payload = "one more";
         return build(p);
       },
       [](CoreConfig& c) { c.tcp.receive_buffer = c.tcp.receive_buffer_initial = 4096; }},
      {Drop::tcp_out_of_order_full, "range 8193",
       [](auto& w) {
         w.establish({}, true);
         send_beyond_a_gap(w, 8192);
         Packet p = as_if_from(w.peer, ACK, w.peer.snd_nxt + 1 + 2 * 8192);
         p.payload = "x";
         return build(p);
       }},
      {Drop::tcp_no_memory, "memory for what is beyond gaps",
       [](auto& w) {
         w.establish();
         for (std::uint32_t i = 0; w.drops(Drop::tcp_no_memory) == 0 && i < 32; ++i)
           w.peer.segment(ACK).seq(w.peer.snd_nxt + 10 + 2048 * i).data("x");
         w.discard();
         Packet p = as_if_from(w.peer, ACK, w.peer.snd_nxt + 10 + 2048 * 31 + 1);
         p.payload = "x";
         return build(p);
       },
       [](CoreConfig& c) { c.limits.buffer_memory = 65536; }},
      {Drop::tcp_connections_full, "third segment",
       [](auto& w) {
         w.bring(w.peer, State::syn_received);
         return build(as_if_from(w.peer, ACK, 1));
       },
       [](CoreConfig& c) { c.limits.connections = 1; }},
      {Drop::tcp_backlog_full, "SYN",
       [](auto& w) {
         w.t.listen(81, {.backlog = 1, .paused = true});
         w.peer.stack.port = 81;
         w.peer.open();
         return build(syn_from(w, 5));
       }},
      {Drop::tcp_accept_queue_full, "third segment",
       [](auto& w) {
         w.t.listen(81, {.backlog = 1, .paused = true});
         Peer other{w.t, {Trace::peer_address, 5}, {Trace::stack_address, 81}};
         w.peer.stack.port = 81;
         w.peer.syn().mss(1460);
         w.peer.expect().syn_ack();
         other.syn().mss(1460);
         other.expect().syn_ack();  // by a cookie, since the backlog is one
         other.ack();
         return build(as_if_from(w.peer, ACK, 1));
       }},
      {Drop::tcp_half_open_full, "SYN",
       [](auto& w) {
         w.bring(w.peer, State::syn_received);
         return build(syn_from(w, 5));
       },
       [](CoreConfig& c) {
         c.limits.half_open = 1;
         c.tcp.syn_cookies = false;
       }},
      {Drop::tcp_bad_cookie, "any number",
       [](auto& w) {
         Packet p = syn_from(w, 5);
         p.flags = ACK;
         p.mss.reset();
         return build(p);
       },
       [](CoreConfig& c) { c.limits.half_open = 0; }},
  };
}

/// Whether the reason is one that these tests leave out: it is about frames of ours, about answers, or needs several shards.
bool is_elsewhere(Drop reason) {
  return reason == Drop::none || !is_about_arrivals(reason) || reason == Drop::steering_ring_full;
}

// CVE-2026-4247 and its like: each early return gives back what it has
TEST(SecurityA, sec_A7__every_reason_to_drop__a_flood_leaves_nothing_behind_and_is_counted_exactly) {
  // Errors that routers report: not more are looked at in a second.
  constexpr std::uint64_t most_icmp_errors = 10000;
  std::set<Drop> seen;
  for (const auto& group : {link_and_ip(), segments(), full_tables()}) {
    for (const Way& way : group) {
      SCOPED_TRACE(std::string{name(way.reason)} + ": " + way.what);
      CoreConfig config = small_config();
      if (way.adjust) way.adjust(config);
      const bool is_icmp_error = way.reason == Drop::icmp_no_connection || way.reason == Drop::icmp_out_of_window ||
                                 way.reason == Drop::icmp_implausible_mtu;
      const std::uint64_t shots = is_icmp_error ? most_icmp_errors : scaled(100000, 10000);
      SecurityWorld w{config};
      const Bytes frame = way.prepare(w);
      w.discard();
      const Holdings before = holdings_of(w.t);
      w.expect_dropped(
          way.reason,
          [&] {
            for (std::uint64_t i = 0; i < shots; ++i) {
              w.t.inject(frame);
              if (i % 64 == 0) w.discard();
            }
          },
          shots);
      EXPECT_EQ(holdings_of(w.t), before);
      w.discard();
      seen.insert(way.reason);
    }
  }
  for (std::size_t i = 0; i < drop_count; ++i) {
    const auto reason = static_cast<Drop>(i);
    EXPECT_TRUE(is_elsewhere(reason) || seen.contains(reason)) << "nobody provokes " << name(reason);
  }
}

// rfc5961 7
TEST(SecurityA, sec_A7__a_million_challenges_in_a_second__two_leave_and_no_buffer_stays) {
  for (const std::uint8_t flags : {RST, SYN, ACK}) {
    SecurityWorld w;
    w.establish(modern);
    Packet p = as_if_from(w.peer, flags, w.peer.snd_nxt + (flags == ACK ? 1u << 30 : 7u));
    const Bytes frame = build(p);
    const Holdings before = holdings_of(w.t);
    const std::uint64_t shots = scaled(1000000, 200000), out = w.frames_out();
    for (std::uint64_t i = 0; i < shots; ++i) w.t.inject(frame);
    EXPECT_EQ(w.frames_out() - out, 2u);
    EXPECT_EQ(w.drops(Drop::tcp_challenge_limited), shots - 2);
    EXPECT_EQ(holdings_of(w.t), before);
    w.discard();
  }
}

}  // namespace
}  // namespace handfast::test
