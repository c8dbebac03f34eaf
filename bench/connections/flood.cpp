// SPDX-License-Identifier: BSD-3-Clause
// A generator of spoofed SYNs at one end of a ring pair, a whole shard at the other; see flood.hpp. Layer: bench.
// What is told is processor time in the shard's polls, 64 SYNs each. Options as Linux sends them.
#include "flood.hpp"

#include <array>
#include <cinttypes>
#include <cstdio>

#include "base/rng.hpp"
#include "common/cpu_time.hpp"
#include "common/process_memory.hpp"
#include "dpdk/eal.hpp"
#include "dpdk/worker.hpp"
#include "wire/arp.hpp"
#include "wire/tcp_writer.hpp"
#include "workload.hpp"

namespace handfast::bench {
namespace {

constexpr Ipv4Address gateway{10, 0, 0, 2};
constexpr MacAddress generator_mac{{0x02, 0, 0, 0, 0, 0x99}};
constexpr std::size_t burst = 64;

CoreConfig victim(const Options& options) {
  CoreConfig config = side(options, true, 1).core;
  config.link.address = {server_address, 24};
  config.link.gateway = gateway;
  config.link.neighbour_lifetime = 1h;
  config.limits.half_open = 0;  // used up: as it is while a flood lasts
  config.limits.time_wait = 1024;
  config.seed = 1;
  return config;
}

class Generator {
 public:
  Generator(const dpdk::Port& port, MacAddress to) : io_(port, 0), to_(to) {
    options_length_ = wire::write_options(options_.data(), {.has_mss = true,
                                                            .has_window_scale = true,
                                                            .sack_permitted = true,
                                                            .has_timestamps = true,
                                                            .window_scale = 7,
                                                            .mss = 1460,
                                                            .ts_val = 1});
  }

  void answer_arp() {
    wire::TxFrame frame;
    if (!io_.allocate(frame)) return;
    wire::write_ethernet(frame.data, to_, generator_mac, wire::ether_type_arp);
    wire::write_arp(frame.data + wire::ethernet_header_length,
                    {wire::ArpOperation::reply, generator_mac, gateway, to_, server_address});
    frame.length = wire::ethernet_header_length + wire::arp_length;
    send({&frame, 1});
  }

  void send_syns() {
    std::array<wire::TxFrame, burst> frames{};
    for (wire::TxFrame& frame : frames) {
      if (!io_.allocate(frame)) std::exit(3);
      const std::uint64_t drawn = rng_();
      const std::uint32_t source = 0xc6120000u | (static_cast<std::uint32_t>(drawn) & 0x1ffff);  // 198.18.0.0/15
      const auto port = static_cast<std::uint32_t>(1024 + (drawn >> 17) % 64'000);
      wire::TcpHeaderFields fields;
      fields.flow = FlowKey::make(source, server_address.value, port << 16 | short_port);
      fields.source_mac = generator_mac;
      fields.destination_mac = to_;
      fields.seq = Seq{static_cast<std::uint32_t>(drawn >> 32)};
      fields.window = 64'240;
      fields.flags = wire::syn;
      frame.length = wire::write_tcp_frame(frame.data, fields, std::span{options_}.first(options_length_), 0, 0, 0);
    }
    send(frames);
  }

  std::size_t take_answers() {
    std::array<wire::RxFrame, burst> in;
    std::size_t total = 0;
    for (std::size_t n; (n = io_.receive(in)) != 0; total += n) {
      std::array<void*, burst> handles;
      for (std::size_t i = 0; i < n; ++i) handles[i] = in[i].handle;
      io_.release(std::span{handles}.first(n));
    }
    return total;
  }

 private:
  void send(std::span<wire::TxFrame> frames) {
    if (io_.transmit(frames) != frames.size()) std::exit(3);
  }

  dpdk::DpdkIo io_;
  MacAddress to_;
  Rng rng_{7};
  std::array<std::byte, 40> options_{};
  std::uint8_t options_length_ = 0;
};

}  // namespace

int run_flood(const Options& options) {
  const dpdk::Eal eal = or_exit(dpdk::Eal::start({}));
  auto ports = or_exit(dpdk::make_ring_pair({}));
  const dpdk::TscClock clock;
  CoreConfig config = victim(options);
  config.link.mac = ports.first.mac();
  dpdk::Worker shard{config, ports.first, 0, clock, nullptr};
  Generator generator{ports.second, config.link.mac};
  listen(shard.core());
  while (!shard.core().resolve(gateway)) {
    shard.poll();
    generator.take_answers();
    generator.answer_arp();
    shard.poll();
  }
  const auto flood = [&](double seconds, Duration& spent) {
    std::uint64_t sent = 0;
    const Time end = clock.now() + std::chrono::duration_cast<Duration>(std::chrono::duration<double>(seconds));
    for (Time now = clock.now(); now < end;) {
      generator.send_syns();
      sent += burst;
      const Time before = clock.now();
      shard.poll();
      now = clock.now();
      spent += now - before;
      generator.take_answers();
    }
    return sent;
  };
  Duration spent{};
  (void)flood(options.seconds / 4, spent);
  spent = {};
  const double cpu_start = thread_cpu_seconds();
  const Time start = clock.now();
  const std::uint64_t cookies = shard.core().stats().syn_cookies_sent, resident = resident_bytes();
  const std::uint64_t sent = flood(options.seconds, spent);
  const double cpu = thread_cpu_seconds() - cpu_start;
  const double share = static_cast<double>(spent.count()) / static_cast<double>((clock.now() - start).count());
  const CoreStats after = shard.core().stats();
  const double ns = cpu * 1e9 * share / static_cast<double>(sent),
               bytes = (static_cast<double>(resident_bytes()) - static_cast<double>(resident)) / static_cast<double>(sent);
  const std::uint64_t answered = after.syn_cookies_sent - cookies, held = after.half_open + after.connections;
  std::printf(options.json ? "{\"bench\": \"flood\", \"syns\": %" PRIu64 ", \"cookies\": %" PRIu64
                             ", \"ns\": %.2f, \"bytes\": %.3f, \"held\": %" PRIu64 "}\n"
                           : "%" PRIu64 " spoofed SYNs, %" PRIu64
                             " cookies: %.1f ns and %.3f bytes each, %" PRIu64 " entries held\n",
              sent, answered, ns, bytes, held);
  return answered == sent && held == 0 ? 0 : 1;
}

}  // namespace handfast::bench
