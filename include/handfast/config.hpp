// SPDX-License-Identifier: BSD-3-Clause
// Every default that an RFC names, and every limit, with unit, range and source.
// Layer: public values. Knows nothing of DPDK; StackConfig (stack.hpp) adds ports and cores.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "handfast/address.hpp"
#include "handfast/error.hpp"
#include "handfast/time.hpp"

namespace handfast {

/// How the congestion window moves. Chosen per stack, listener or connection.
enum class CongestionControl : std::uint8_t {
  new_reno,  ///< RFC 5681, RFC 6582
  cubic,     ///< RFC 9438, with HyStart++ (RFC 9406)
  dctcp,     ///< RFC 8257: for networks of one owner whose switches mark; without ECN the same as new_reno
  bbr,       ///< draft-ietf-ccwg-bbr, version 3: by a model of the path, paced
};
inline constexpr std::size_t congestion_control_count = 4;
[[nodiscard]] std::string_view name(CongestionControl algorithm);  ///< "new_reno", "cubic", "dctcp", "bbr"
/// The one of that name; nothing if there is none.
[[nodiscard]] std::optional<CongestionControl> parse_congestion_control(std::string_view text);

/// How the size of segments follows the narrowest link on the way. All but `off` believe routers as far as RFC 5927
/// section 7 allows.
enum class PathMtuDiscovery : std::uint8_t {
  off,         ///< our MTU and the peer's MSS alone. DF is set all the same: they must hold all the way
  icmp,        ///< RFC 1191: "fragmentation needed" makes segments smaller; ten minutes later the full size is tried
  black_hole,  ///< and, where routers are silent, time-outs of full segments do; probes find a larger size (RFC 4821)
  always,      ///< starts with 1400 bytes at most and probes upward from there, on each path that is not known
};

/// The protocol's parameters. A field's comment: meaning; unit; range; default's source.
struct TcpConfig {
  /// Largest payload that we offer to receive in one segment; bytes; 0 (from the MTU: MTU - 40) or 88..65495.
  /// RFC 9293 section 3.7.1, RFC 6691.
  std::uint16_t mss = 0;
  /// Initial congestion window; segments of SMSS; 1..64. RFC 6928.
  std::uint32_t initial_window = 10;
  /// Smallest segment size that a peer's MSS option can force on us; bytes; 48..536. Against CVE-2019-11479;
  /// the value is Linux's tcp_min_snd_mss raised to what the smallest IPv4 host must accept after our options.
  std::uint16_t min_send_mss = 216;

  /// How the path's MTU is found out; RFC 1191, RFC 4821, RFC 5927.
  PathMtuDiscovery path_mtu_discovery = PathMtuDiscovery::black_hole;
  /// Datagrams that are sent when full segments were lost `r1_retries` times in a row and nobody said why; bytes; 296..1500.
  /// Two time-outs later it is 576. RFC 4821 section 7.2.
  std::uint16_t base_path_mtu = 1024;

  /// Retransmission time-out before the first RTT sample; 200 ms..60 s. RFC 6298 (2.1).
  Duration rto_initial = 1s;
  /// Least RTO; 1 ms..rto_max. RFC 6298 (2.4) says 1 s as a SHOULD; 200 ms is what Linux and others use
  /// (deviates: docs/rfc-exceptions.md).
  Duration rto_min = 200ms;
  /// Largest RTO; 60 s or more by RFC 6298 (2.5).
  Duration rto_max = 60s;
  /// How long a SYN is retransmitted before connect fails (R2 of a SYN); at least 3 min by MUST-23.
  Duration connect_timeout = 180s;
  /// How often a SYN-ACK is retransmitted before the half-open connection is dropped; 0..10. Two bounds what a
  /// spoofed SYN can reflect (the peer's own SYN retransmission starts it over).
  std::uint8_t syn_ack_retries = 2;
  /// Retransmissions of one segment (a SYN too) after which the connection is in doubt (R1): its neighbour is asked for
  /// again and on_unresponsive called; 1..255, 3 or more by SHLD-10.
  std::uint8_t r1_retries = 3;
  /// How long unacknowledged data (or a FIN) is retransmitted before the connection is given up (R2);
  /// 100 s or more by SHLD-11. Zero-window probes that are answered do not count.
  Duration r2_timeout = 300s;

  /// User timeout option (RFC 5482): sent and, where the application has not set a limit of its own, obeyed.
  bool user_timeout_option = false;
  /// What is advertised as long as the application has not said otherwise (ADV_UTO); 1 s..6553 s.
  Duration user_timeout = 300s;
  /// Bounds on what a peer's option makes of our user timeout (L_LIMIT, U_LIMIT); rto_max < least <= most <= 6553 s.
  Duration user_timeout_least = 100s;
  Duration user_timeout_most = 3600s;

  /// Longest delay of an ACK; 0..200 ms (less than 500 ms by MUST-40). Every second full segment is acknowledged at once.
  Duration delayed_ack = 40ms;
  /// Nagle's algorithm; SHLD-7. Off with Conn::set_nodelay as well (MUST-17).
  bool nagle = true;
  /// Bound on what sender-side SWS avoidance and Nagle hold back; 100 ms..1 s. RFC 9293 section 3.8.6.2.1.
  Duration override_timeout = 200ms;

  /// Offered in the SYN; RFC 7323.
  bool timestamps = true;
  bool window_scale = true;
  /// Offered in the SYN; RFC 2018.
  bool sack = true;
  /// Header prediction: ordinary segments take a short way through the code. What is seen from outside is the same with it
  /// and without; a test compares the two.
  bool header_prediction = true;
  /// Explicit congestion notification, asked for and agreed to; RFC 3168. DCTCP has it in any case.
  bool ecn = false;
  CongestionControl congestion_control = CongestionControl::cubic;
  /// Spreads a window over its round trip, instead of sending as much at once as ACKs or the application allow.
  /// bbr always does, and so does a window that was not used lately (RFC 7661 section 4.4.2).
  bool pacing = false;

  /// Most bytes that are held for one connection's receiver, unread and out of order together; 2 KiB..1 GiB; 6 MiB is
  /// what kernels let one connection have. Nothing is held while a connection is idle. The window scale follows from it.
  std::uint32_t receive_buffer = 6 * 1024 * 1024;
  /// What a connection offers at first, if receive_buffer is not less; 2 KiB..1 GiB. It grows up to receive_buffer with
  /// what the application takes in a round trip (four times that), and stops growing while half of
  /// Limits::buffer_memory is held. A SYN can offer 65535 at most (RFC 7323 section 2.2).
  std::uint32_t receive_buffer_initial = 64 * 1024;
  /// Most bytes queued by send() and not acknowledged yet, by connection; 2 KiB..1 GiB.
  std::uint32_t send_buffer = 256 * 1024;

  /// Keep-alive; off by default (MUST-25). idle is at least 2 h by default (MUST-28).
  bool keepalive = false;
  Duration keepalive_idle = 2h;
  Duration keepalive_interval = 75s;
  std::uint8_t keepalive_probes = 9;
  /// Probes carry one garbage byte, for peers that answer nothing else; MAY-6.
  bool keepalive_garbage = false;

  /// Maximum segment lifetime; TIME-WAIT lasts twice this; 1 ms..4 min. RFC 9293 says 2 min; 30 s is what
  /// the field uses (TIME-WAIT of 60 s).
  Duration msl = 30s;
  /// How long FIN-WAIT-2 lasts after close() (an orphan). A half-closed connection may stay. 1 s..1 h.
  Duration fin_wait_2_timeout = 60s;
  /// Retransmissions of an orphan (after close) without any answer before it is given up; 1..15.
  std::uint8_t orphan_retries = 8;
  /// TIME-WAIT ignores RST; RFC 1337 fix 1.
  bool rfc1337 = true;
  /// A SYN over the half-open limit is answered by a cookie instead of being dropped; RFC 4987.
  bool syn_cookies = true;
  /// Challenge ACKs by connection and second; 1..1000. RFC 5961 section 7.
  std::uint8_t challenge_acks_per_second = 2;
  /// RSTs by shard and second to segments that belong to no connection; 0 is none. A source address has a sixteenth of it.
  std::uint32_t resets_per_second = 1000;

  /// Local ports of active opens, both ends included; RFC 6056 section 3.2 (1024..65535).
  Port first_ephemeral_port = 1024;
  Port last_ephemeral_port = 65535;
};

/// What is sized at start; nothing is allocated later. Numbers are by shard (one core).
struct Limits {
  /// Connections with a control block (256 bytes each); 1..2^28.
  std::uint32_t connections = 65536;
  /// Half-open passive connections (128 bytes each); beyond it SYN cookies answer.
  std::uint32_t half_open = 16384;
  /// TIME-WAIT entries (64 bytes each); when full the oldest goes, counted.
  std::uint32_t time_wait = 65536;
  /// Buffers of 2 KiB for what send() copies and what waits to be read; bytes in all; 64 KiB..4 TiB. An eighth of them
  /// and 16 more are never taken by what waits to be read.
  std::uint64_t buffer_memory = 64ull << 20;
  /// Descriptors of queued data (64 bytes each): one for each send_static, send_ref or 2 KiB copied.
  std::uint32_t send_extents = 65536;
  std::uint32_t listeners = 64;
  /// Handlers registered, those of listeners included.
  std::uint32_t handlers = 256;
  /// Connections whose reassembly or loss bookkeeping is in use at a time (about 1 KiB each).
  std::uint32_t recovery_blocks = 4096;
  std::uint32_t neighbours = 1024;
  /// Destinations whose path is known to be narrower than our link (13 bytes each); 0: not remembered.
  std::uint32_t paths = 4096;
  /// Connections whose path MTU is in doubt or looked for at a time (36 bytes each); 0..2^28. Beyond it those have to do
  /// with what a time-out teaches.
  std::uint32_t path_searches = 1024;
  /// Frames held while a neighbour is being resolved, in all.
  std::uint32_t held_frames = 1024;
  /// Servers whose Fast Open cookie is kept for the next connect (48 bytes each); 0..65536.
  std::uint32_t fast_open_servers = 256;
  /// Largest State of a handler; bytes; a multiple of 8 up to 4096.
  std::uint32_t state_bytes = 64;
  /// Largest backlog of a listener, as Linux's net.core.somaxconn.
  std::uint32_t somaxconn = 4096;
  /// Tasks waiting in post().
  std::uint32_t posts = 1024;
  /// Core timers (Core::arm).
  std::uint32_t timers = 1024;
  /// The tables' memory is taken from the system at start, not page by page when first used. Starting takes longer (up to
  /// two seconds a GiB on a virtual machine whose host has to find it first), and all of it is resident from then on; in
  /// return no poll waits for the kernel. Without it the first bursts touch the whole of a large flow table, for entries
  /// are spread over it: with tables for 10 M connections a poll took 367 ms. docs/performance.md, Tuning.
  bool prefault = false;
};

/// The interface below IP.
struct LinkConfig {
  Ipv4Prefix address{Ipv4Address{10, 0, 0, 2}, 24};
  /// How many addresses are ours, counted up from `address`: a load tester opens more than 64 k connections
  /// to one target from several. 1..65536, all inside the prefix.
  std::uint32_t address_count = 1;
  std::optional<Ipv4Address> gateway;
  MacAddress mac{{0x02, 0x68, 0x66, 0x00, 0x00, 0x01}};
  std::uint16_t mtu = 1500;  ///< bytes of IP datagram; 576..9216
  std::uint8_t ttl = 64;
  Duration neighbour_lifetime = 60s;   ///< a resolved entry is confirmed again after this (RFC 1122 2.3.2.1)
  Duration neighbour_retry = 1s;       ///< between ARP requests for one address (RFC 1122: at most 1/s)
  std::uint8_t neighbour_attempts = 3;
};

/// Everything one core needs.
struct CoreConfig {
  LinkConfig link;
  TcpConfig tcp;
  Limits limits;
  /// Secrets and every random choice follow from it. Stack draws it from the operating system; a test fixes it.
  std::uint64_t seed = 0;
  std::uint16_t shard = 0;         ///< which of
  std::uint16_t shard_count = 1;   ///< how many shards this is; 1..64
};

/// The first field that is out of its range, as a sentence; nothing if all is well.
[[nodiscard]] std::optional<Error> validate(const CoreConfig& config);

}  // namespace handfast
