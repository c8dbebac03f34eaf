// SPDX-License-Identifier: BSD-3-Clause
// The configurations of the stateful targets: small tables, and one thing that is different in each. Layer: fuzz.
#include "fuzz/world.hpp"

namespace handfast::fuzz {

CoreConfig config_of(unsigned variant) {
  CoreConfig config;
  config.seed = 0x68616e64 + variant;
  config.link.address = {Ipv4Address{10, 0, 0, 1}, 24};
  config.link.mac = {{0x02, 0x68, 0x66, 0, 0, 1}};
  Limits& l = config.limits;
  l.connections = 16;
  l.half_open = 8;
  l.time_wait = 8;
  l.buffer_memory = 256 << 10;
  l.send_extents = 64;
  l.listeners = 4;
  l.handlers = 2;
  l.recovery_blocks = 8;
  l.neighbours = 16;
  l.paths = l.path_searches = l.held_frames = l.fast_open_servers = l.posts = l.timers = 8;
  TcpConfig& t = config.tcp;
  t.msl = 1s;
  t.fin_wait_2_timeout = 5s;
  t.receive_buffer = 32 << 10;
  t.receive_buffer_initial = 8 << 10;
  t.send_buffer = 32 << 10;
  switch (variant) {
    case 1: t.congestion_control = CongestionControl::new_reno; break;
    case 2: t.congestion_control = CongestionControl::bbr; break;
    case 3: t.congestion_control = CongestionControl::dctcp; break;
    case 4: t.timestamps = false; break;
    case 5: t.sack = false; break;
    case 6: t.window_scale = false; break;
    case 7: t.timestamps = t.sack = t.window_scale = false; break;
    case 8: t.ecn = true; break;
    case 9: l.half_open = 0; break;
    case 10: l.half_open = 1, t.syn_cookies = false; break;
    case 11: t.keepalive = true, t.keepalive_idle = 1s, t.keepalive_interval = 1s, t.keepalive_garbage = true; break;
    case 12: t.pacing = true; break;
    case 13: t.path_mtu_discovery = PathMtuDiscovery::always, t.base_path_mtu = 296; break;
    case 14: t.user_timeout_option = true, t.rto_max = 2s, t.user_timeout_least = 4s; break;
    case 15: l.connections = 2, l.send_extents = 4, l.recovery_blocks = 1, l.time_wait = 1, l.buffer_memory = 64 << 10, t.nagle = false; break;
    case 16: t.receive_buffer = t.receive_buffer_initial = 2048, t.send_buffer = 2048, t.delayed_ack = Duration{0}; break;
    case 17: l.half_open = 2, l.time_wait = 0, t.rfc1337 = false, t.path_mtu_discovery = PathMtuDiscovery::off; break;
    // More to send than may be out: only then does a rate say something of the path.
    case 18: t.congestion_control = CongestionControl::bbr, t.send_buffer = t.receive_buffer = 96 << 10, t.receive_buffer_initial = 64 << 10; break;
    case 19: t.path_mtu_discovery = PathMtuDiscovery::icmp; break;
    default: break;
  }
  return config;
}

}  // namespace handfast::fuzz
