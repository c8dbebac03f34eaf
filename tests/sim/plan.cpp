// SPDX-License-Identifier: BSD-3-Clause
// Drawing a plan from a seed; see plan.hpp. Layer: simulator.
#include "sim/plan.hpp"

#include <algorithm>
#include <array>

#include "tcp/secrets.hpp"

namespace handfast::sim {
namespace {

constexpr std::array<std::string_view, fault_count> fault_names{
    "loss",    "bursts", "targeted", "reorder", "duplicate", "replay",   "delay", "rate",    "partition",
    "corrupt", "mtu",    "ring",     "buffers", "nic",       "outage",   "stall", "memory",  "drought",
    "clock",   "crash",  "attacker", "abort",   "rude",      "listener", "drain", "severed", "garble"};

template <class T, std::size_t N>
T one_of(Rng& rng, const T (&choices)[N]) {
  return choices[rng.below(static_cast<std::uint32_t>(N))];
}

Duration up_to(Rng& rng, Duration most) {
  return Duration{static_cast<Duration::rep>(rng.next() % static_cast<std::uint64_t>(most.count() + 1))};
}

std::uint32_t draw_faults(Rng rng) {
  const std::uint32_t kind = rng.below(8);
  if (kind == 0) return 0;
  if (kind == 1) return 1u << rng.below(fault_count);
  std::uint32_t faults = 0;
  for (unsigned f = 0; f < fault_count; ++f)
    if (rng.below(5) < 2) faults |= 1u << f;
  // What takes an oracle's eyesight is rarer.
  if (rng.below(4) != 0) faults &= ~mask(Fault::garble);
  if (rng.below(2) != 0) faults &= ~mask(Fault::severed);
  return kind < 5 ? faults & orderly_faults : faults;
}

/// Near a wrap of the 32-bit microseconds (every 71 minutes) or milliseconds (every 49 days), or anywhere.
Time draw_start(Rng& rng) {
  constexpr auto microseconds = std::chrono::microseconds{1ull << 32},
                 milliseconds = std::chrono::microseconds{(1ull << 32) * 1000};
  switch (rng.below(4)) {
    case 0: {
      const Duration before = up_to(rng, 10s);  // drawn first: the order of operands is the compiler's
      return Time{microseconds * (1 + rng.below(3)) - before};
    }
    case 1:
      return Time{milliseconds - up_to(rng, 10s)};
    case 2:
      return Time{up_to(rng, 1h)};
    default:
      return Time{up_to(rng, 2400h)};
  }
}

void draw_tcp(TcpConfig& tcp, Rng& rng, bool orderly) {
  const auto coin = [&rng](std::uint32_t one_in = 2) { return rng.below(one_in) == 0; };
  tcp.timestamps = !coin(3);
  tcp.sack = !coin(3);
  tcp.window_scale = !coin(3);
  tcp.nagle = !coin(3);
  tcp.pacing = coin(4);
  tcp.congestion_control = static_cast<CongestionControl>(rng.below(congestion_control_count));
  tcp.path_mtu_discovery = static_cast<PathMtuDiscovery>(rng.below(4));
  tcp.initial_window = one_of(rng, {1u, 2u, 4u, 10u, 10u, 10u, 64u});
  tcp.min_send_mss =
      one_of(rng, {std::uint16_t{48}, std::uint16_t{216}, std::uint16_t{216}, std::uint16_t{536}});
  tcp.rto_min = one_of(rng, {Duration{5ms}, Duration{50ms}, Duration{200ms}, Duration{200ms}, Duration{1s}});
  tcp.rto_initial =
      std::max(tcp.rto_min, one_of(rng, {Duration{200ms}, Duration{1s}, Duration{1s}, Duration{3s}}));
  tcp.rto_max = one_of(rng, {Duration{3s}, Duration{10s}, Duration{60s}});
  tcp.delayed_ack = one_of(rng, {Duration{0}, Duration{5ms}, Duration{40ms}, Duration{200ms}});
  tcp.override_timeout = one_of(rng, {Duration{100ms}, Duration{200ms}, Duration{1s}});
  tcp.receive_buffer = 2048u << rng.below(12);
  tcp.receive_buffer_initial = 2048u << rng.below(8);
  tcp.send_buffer = 2048u << rng.below(10);
  tcp.rfc1337 = !coin(4);
  tcp.syn_cookies = !coin(4);
  tcp.user_timeout_option = coin(6);
  tcp.keepalive = !orderly || coin(4);
  tcp.keepalive_idle = one_of(rng, {Duration{500ms}, Duration{5s}, Duration{30s}});
  tcp.keepalive_interval = one_of(rng, {Duration{500ms}, Duration{2s}, Duration{10s}});
  tcp.keepalive_garbage = coin(4);
  tcp.fin_wait_2_timeout = one_of(rng, {Duration{5s}, Duration{60s}});
  tcp.r1_retries = one_of(rng, {std::uint8_t{1}, std::uint8_t{3}, std::uint8_t{10}});
  tcp.syn_ack_retries = one_of(rng, {std::uint8_t{0}, std::uint8_t{2}, std::uint8_t{5}});
  tcp.r2_timeout = one_of(rng, {Duration{20s}, Duration{100s}, Duration{300s}});
  tcp.connect_timeout = one_of(rng, {Duration{5s}, Duration{180s}});
  if (!orderly) return;
  // Bad weather is no reason to give up here.
  tcp.syn_ack_retries = 10;
  tcp.orphan_retries = 15;
  tcp.rto_max = std::max<Duration>(tcp.rto_max, 10s);  // so that these last longer than any chaos
  tcp.r2_timeout = tcp.connect_timeout = 1h;
  tcp.user_timeout = tcp.user_timeout_most = 6500s;
  tcp.user_timeout_least = 3600s;
  tcp.fin_wait_2_timeout = 1h;
  tcp.keepalive_probes = 255;
}

CoreConfig draw_end(const Plan& plan, unsigned i, Rng& rng, std::uint16_t mtu) {
  CoreConfig config;
  config.link.address = {address_of(i), 24};
  config.link.mac = mac_of(i);
  config.link.mtu = mtu;
  config.link.neighbour_attempts = plan.orderly ? 255 : 3;
  config.seed = rng.next();
  draw_tcp(config.tcp, rng, plan.orderly);
  config.tcp.ecn = rng.below(2) == 0;
  if (validate(config)) config.tcp.ecn = false;  // where it is not built
  if (rng.below(6) == 0) config.tcp.mss = static_cast<std::uint16_t>(88 + rng.below(mtu - 40u - 88u + 1));
  Limits& limits = config.limits;
  limits.connections = 64;
  limits.half_open = 32;
  limits.time_wait = 64;
  limits.buffer_memory = plan.orderly ? 32 << 20 : 8 << 20;
  limits.send_extents = plan.orderly ? 65536 : 4096;  // nobody is to be shed for those
  limits.recovery_blocks = 64;
  limits.neighbours = 16;
  limits.listeners = 4;
  limits.handlers = 4;
  limits.posts = 16;
  limits.timers = 16;
  limits.held_frames = 64;
  limits.paths = 8;
  limits.path_searches = 16;
  if (plan.has(Fault::drought)) {  // so that little must be taken
    limits.buffer_memory = 1 << 20;
    limits.send_extents = 512;
  }
  if (!plan.has(Fault::memory)) return config;
  limits.connections = 1 + rng.below(12);
  limits.half_open = rng.below(4);
  limits.time_wait = rng.below(4);
  limits.buffer_memory = std::uint64_t{64 << 10} << rng.below(5);
  limits.send_extents = 16u << rng.below(5);
  limits.recovery_blocks = 1 + rng.below(4);
  limits.held_frames = 1 + rng.below(8);
  limits.paths = rng.below(3);
  limits.path_searches = rng.below(3);
  return config;
}

Habits draw_habits(const Plan& plan, Rng& rng) {
  Habits h;
  static constexpr std::uint32_t sizes[] = {0, 1, 500, 5000, 20000, 60000, 250000};
  h.bytes = rng.below(one_of(rng, sizes) + 1);
  h.chunk = one_of(rng, {1u, 100u, 1460u, 5000u, 20000u, 1000000u});
  if (h.chunk == 1) h.bytes = std::min(h.bytes, 2000u);
  const std::uint32_t reading = rng.below(12);
  h.read = reading < 5 ? Habits::Read::all : static_cast<Habits::Read>(rng.below(6));
  const bool never = rng.below(8) == 0;
  if (plan.has(Fault::rude) && never) h.read = Habits::Read::never;
  h.nodelay = rng.below(2) == 0;
  h.corks = rng.below(8) == 0;
  h.urgent = rng.below(8) == 0;
  h.mixed_sends = rng.below(2) == 0;
  h.takes_buffers = rng.below(6) == 0;
  if (rng.below(6) == 0) h.change_to = static_cast<CongestionControl>(rng.below(congestion_control_count));
  const std::uint32_t ending = rng.below(3), at = rng.below(one_of(rng, {3u, 10u, 100u}));
  if (plan.has(Fault::rude) && ending == 0) h.close = Habits::Close::at_once;
  if (plan.has(Fault::abort) && ending == 1) {
    h.close = rng.below(2) == 0 ? Habits::Close::abort_at : Habits::Close::close_at;
    h.at = at;
  }
  return h;
}

Exchange draw_exchange(const Plan& plan, Rng rng) {
  Exchange x;
  const auto ends = static_cast<std::uint32_t>(plan.ends.size());
  x.client = rng.below(ends);
  x.server = (x.client + 1 + rng.below(ends - 1)) % ends;
  x.at = up_to(rng, plan.chaos / 2);
  if (rng.below(3) != 0) x.at = up_to(rng, 100ms);
  if (rng.below(5) == 0) x.local_port = static_cast<Port>(5000 + rng.below(3));
  // Where cookies are all that an end remembers, an old connection's last segment could open the next one's
  // twin.
  const bool twins = (plan.faults & (mask(Fault::memory) | mask(Fault::listener) | mask(Fault::crash) |
                                     mask(Fault::drought) | mask(Fault::drain))) != 0;
  if (twins || plan.forced) x.local_port = 0;
  // A cookie serves the connections after the one that brought it.
  x.fast_open = plan.seed % 4 == 0 ? rng.below(3) != 0 : rng.below(10) == 0;
  if (rng.below(2) == 0) x.congestion = static_cast<CongestionControl>(rng.below(congestion_control_count));
  for (Habits& habits : x.habits) habits = draw_habits(plan, rng);
  // One that waits for the other's end before its own: never both.
  const std::uint32_t waits = rng.below(6);
  if (waits < 2 && x.habits[waits].close == Habits::Close::after_both)
    x.habits[waits].close = Habits::Close::after_peer;
  if (rng.below(4) == 0) {
    x.turns = true;
    x.request = 1 + rng.below(1000);
    x.response = 1 + rng.below(one_of(rng, {1000u, 10000u, 50000u}));
    const std::uint32_t rounds = 1 + rng.below(8);
    x.habits[0].bytes = rounds * x.request;
    x.habits[1].bytes = rounds * x.response;
    // Who reads only at the end, or waits for the other's, never answers.
    for (Habits& habits : x.habits) {
      if (habits.read == Habits::Read::not_before_the_end || habits.read == Habits::Read::never)
        habits.read = Habits::Read::pauses;
      if (habits.chunk == 1) habits.chunk = 100;
    }
  }
  const std::uint32_t again = rng.below(12);
  if (again < 3) {
    x.reopen = 1 + again % 2;
    x.reopen_inside = again == 1;
  }
  const std::uint32_t kind = rng.below(20);
  if (kind == 0) {  // to its own listener
    x.server = x.client;
    x.fast_open = false;
  }
  if (kind == 1 && !plan.orderly) {
    x.server = x.client;
    x.with_itself = true;
    x.turns = x.fast_open = false;
    x.local_port = static_cast<Port>(7000 + rng.below(4));
  }
  if (kind > 1 && !plan.orderly && rng.below(12) == 0) {
    x.simultaneous = true;
    x.turns = x.fast_open = false;
    x.local_port = static_cast<Port>(6000 + rng.below(4));
  }
  if (x.simultaneous || x.with_itself || twins || plan.forced) x.reopen = 0;
  for (unsigned i = 0; i < 2; ++i) {
    if (x.turns && x.habits[i].read == Habits::Read::one_by_one) x.habits[i].read = Habits::Read::sips;
    if (x.habits[i].read != Habits::Read::one_by_one) continue;
    Habits& writer = x.habits[x.with_itself ? i : 1 - i];
    writer.bytes = std::min(writer.bytes, 400u);
  }
  // Nobody else will end it.
  if (x.with_itself && x.habits[0].close == Habits::Close::after_peer)
    x.habits[0].close = Habits::Close::after_both;
  return x;
}

}  // namespace

std::string_view name(Fault fault) { return fault_names[static_cast<std::size_t>(fault)]; }

std::optional<Fault> parse_fault(std::string_view text) {
  const auto* found = std::ranges::find(fault_names, text);
  if (found == fault_names.end()) return std::nullopt;
  return static_cast<Fault>(found - fault_names.begin());
}

Rng aspect(std::uint64_t seed, std::uint32_t number) {
  return Rng{Rng{seed}.next() ^ Rng{(std::uint64_t{number} << 32) | 0x73696dull}.next()};
}

Plan draw_plan(std::uint64_t seed, const Choice& choice) {
  Plan plan;
  plan.seed = seed;
  const std::uint32_t drawn = choice.force.value_or(draw_faults(aspect(seed, 0)));
  // By the seed, not by what was taken away: the rest stays as it is.
  plan.forced = choice.force.has_value();
  plan.orderly = choice.force || (drawn & ~orderly_faults) == 0;
  plan.faults = drawn & ~choice.without & choice.only.value_or(~0u);
  Rng rng = aspect(seed, 1);
  plan.start = draw_start(rng);
  plan.chaos = one_of(rng, {Duration{500ms}, Duration{3s}, Duration{10s}, Duration{30s}});
  const unsigned ends = rng.below(3) == 0 ? 3 + rng.below(6) : 2;
  const auto mtu = one_of(rng, {std::uint16_t{576}, std::uint16_t{1500}, std::uint16_t{1500},
                                std::uint16_t{1500}, std::uint16_t{9000}});
  const bool mixed = rng.below(5) == 0;
  const std::uint32_t exchanges = 1 + rng.below(one_of(rng, {1u, 3u, 8u, 16u}));
  if (choice.chaos) plan.chaos = std::min(plan.chaos, *choice.chaos);
  const bool several = rng.below(4) == 0;
  plan.wraps = rng.below(5) == 0;
  for (unsigned i = 0; i < ends; ++i) {
    Rng of_end = aspect(seed, 100 + i);
    const auto shards = static_cast<std::uint16_t>(1 + aspect(seed, 200 + i).below(4));
    plan.shards.push_back(several && !choice.single ? shards : std::uint16_t{1});
    plan.ends.push_back(
        draw_end(plan, i, of_end, mixed ? static_cast<std::uint16_t>(576 + of_end.below(4000)) : mtu));
  }
  // A probe's garbage that looks like the third segment of a handshake, to an end that forgot all but its
  // cookies, would be data: nothing that an oracle could tell from a fault.
  const bool cookies =
      std::ranges::any_of(plan.ends, [](const CoreConfig& end) { return end.tcp.syn_cookies; });
  for (CoreConfig& end : plan.ends) end.tcp.keepalive_garbage = end.tcp.keepalive_garbage && !cookies;
  for (std::uint32_t i = 0; i < exchanges; ++i)
    if ((choice.connections >> i & 1) != 0)
      plan.exchanges.push_back(draw_exchange(plan, aspect(seed, 1000 + i)));
  return plan;
}

Duration offset_to_wrap(const Plan& plan, unsigned end) {
  constexpr auto tick = 4us;  // of the clock of initial sequence numbers (rfc9293 3.4.1)
  for (const Exchange& x : plan.exchanges) {
    if (x.local_port == 0 || (x.client != end && x.server != end) || x.client == x.server) continue;
    const Endpoint client{address_of(x.client), x.local_port},
        server{address_of(x.server), x.simultaneous ? static_cast<Port>(x.local_port + 100) : served_port};
    const FlowKey key = x.client == end ? FlowKey{client, server} : FlowKey{server, client};
    Rng rng{plan.ends[end].seed};
    const tcp::Secrets secrets{rng, plan.ends[end].seed};
    const Seq iss = tcp::initial_numbers(secrets, key, plan.start + x.at).iss;
    // The end of the ring less some kilobytes, so that handshake or data cross it.
    return tick * static_cast<std::int64_t>(0u - iss.raw() - static_cast<std::uint32_t>(plan.seed % 9000));
  }
  return {};
}

emulator::Rules draw_weather(const Plan& plan, Rng& rng) {
  emulator::Rules rules;
  // Every draw is made whatever the faults are: fewer faults are the same weather with less in it.
  const auto fraction = [&rng](double most) {
    return most * static_cast<double>(rng.below(1u << 20)) / (1u << 20);
  };
  rules.delay = up_to(rng, one_of(rng, {Duration{50us}, Duration{1ms}, Duration{20ms}}));
  const Duration delay = up_to(rng, 500ms),
                 jitter = up_to(rng, one_of(rng, {Duration{1ms}, Duration{30ms}, Duration{500ms}}));
  if (plan.has(Fault::delay)) {
    if (rng.below(2) == 0) rules.delay = delay;
    if (rng.below(2) == 0) rules.jitter = jitter;
  }
  const double loss = fraction(one_of(rng, {0.01, 0.05, 0.3}));
  if (plan.has(Fault::loss)) rules.loss = loss;
  const emulator::Bursts bursts{
      .p = fraction(0.05), .r = 0.01 + fraction(0.5), .good_loss = 0, .bad_loss = 0.5 + fraction(0.5)};
  if (plan.has(Fault::bursts)) rules.bursts = bursts;
  const double duplicate = fraction(0.5), reorder = fraction(0.3), corrupt = fraction(0.05);
  if (plan.has(Fault::duplicate)) rules.duplicate = duplicate;
  const Duration by = up_to(rng, 50ms);
  if (plan.has(Fault::reorder)) {
    rules.reorder = reorder;
    rules.reorder_by = by;
  }
  if (plan.has(Fault::corrupt)) rules.corrupt = corrupt;
  const std::uint64_t rate = one_of(rng, {std::uint64_t{200'000}, std::uint64_t{2'000'000},
                                          std::uint64_t{20'000'000}, std::uint64_t{1'000'000'000}});
  const std::size_t queue = 2 + rng.below(one_of(rng, {4u, 30u, 200u}));
  if (plan.has(Fault::rate)) {
    rules.bits_per_second = rate;
    rules.queue_bytes = std::min<std::size_t>(queue * 1514, rate / 4 + 20000);
    if (queue % 2 == 0) rules.mark_above_bytes = rules.queue_bytes / 3;
  }
  const bool dead = rng.below(5) == 0;
  if (plan.has(Fault::partition) && dead) rules.loss = 1;
  // Where nothing may fail, no segment of the least size that an end ever sends is too large.
  const std::size_t least = plan.orderly ? 640 : 300,
                    mtu = least + rng.below(static_cast<std::uint32_t>(1500 - least));
  const bool narrow = rng.below(3) == 0;
  if (plan.has(Fault::mtu) && narrow) rules.mtu = mtu;
  return rules;
}

std::string Plan::text() const {
  std::string s = orderly ? "orderly," : "anything,";
  s += " " + std::to_string(ends.size()) + " ends of";
  for (const std::uint16_t n : shards) s += " " + std::to_string(n);
  s += " shards, " + std::to_string(exchanges.size()) + " connections, chaos " + std::to_string(chaos / 1ms) +
       " ms, faults:";
  for (unsigned f = 0; f < fault_count; ++f)
    if ((faults >> f & 1) != 0) s += " " + std::string{fault_names[f]};
  return s;
}

}  // namespace handfast::sim
