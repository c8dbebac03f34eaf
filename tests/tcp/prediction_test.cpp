// SPDX-License-Identifier: BSD-3-Clause
// Header prediction decides nothing: whatever happens to a connection, every frame that leaves is the same, bit for bit and at
// the same time, with it and without. Layer: tests of tcp, through frames.
#include <gtest/gtest.h>

#include <vector>

#include "support/app.hpp"
#include "support/pair.hpp"
#include "support/peer.hpp"

namespace handfast::test {
namespace {

/// Everything that one run shows: frames with their times, and what the applications were told.
struct Seen {
  std::uint64_t hash = 0xcbf29ce484222325u;
  std::size_t frames = 0;
  std::uint64_t told = 0;
  void add(std::uint64_t word) { hash = (hash ^ word) * 0x100000001b3u; }
};

/// Answers what it is asked, in a way that depends on the bytes: at once or later, in pieces, with and without close.
struct Talker {
  Seen* seen;
  bool server;
  bool impatient = false;  // has a user timeout

  void note(std::uint64_t what) {
    ++seen->told;
    seen->add(what);
  }
  void on_accept(Conn& c) {
    note(1);
    if (impatient) c.set_user_timeout(3s);
  }
  void on_connect(Conn& c) {
    note(2);
    if (impatient) c.set_user_timeout(3s);
    speak(c, seen->told);
  }
  std::size_t on_data(Conn& c, const RxView& in) {
    note(3 + in.size());
    if (!server) return seen->told % 7 == 0 ? in.size() / 2 : in.size();
    speak(c, std::to_integer<std::uint64_t>(in.bytes().front()) + seen->told);
    if (seen->told % 3 == 0) c.close();
    if (seen->told % 11 == 0) c.arm(30ms);
    return in.size();
  }
  void on_timer(Conn& c) {
    note(4);
    speak(c, 5);
    c.close();
  }
  void on_peer_fin(Conn& c) {
    note(5);
    c.close();
  }
  void on_closed(ConnId, CloseReason reason) { note(100 + static_cast<std::uint64_t>(reason)); }

 private:
  static void speak(Conn& c, std::uint64_t salt) {
    static const std::vector<std::byte> text(20000, std::byte{'x'});
    constexpr std::size_t lengths[] = {1, 53, 62, 700, 1448, 1449, 5000, 20000};
    const std::size_t n = lengths[salt % 8];
    if (salt % 2 == 0)
      c.send(std::span{text}.first(n));
    else
      c.send_static(std::span{text}.first(n));
    if (salt % 5 == 0) c.send(std::span{text}.first(7));
    if (salt % 13 == 0) c.shutdown_write();
  }
};

Seen run(std::uint64_t seed, bool prediction) {
  Seen seen;
  Rng choice{seed};
  const auto pick = [&](std::uint64_t n) { return choice.next() % n; };
  LinkRules rules;
  rules.delay = std::chrono::microseconds{20 + pick(30000)};
  rules.jitter = pick(2) == 0 ? Duration{} : rules.delay / 2;
  rules.loss = pick(2) == 0 ? 0.0 : 0.01 * static_cast<double>(pick(12));
  rules.duplicate = pick(3) == 0 ? 0.02 : 0.0;
  rules.lose = [&seen](int from, std::size_t n, std::span<const std::byte> frame) {
    ++seen.frames;
    seen.add(static_cast<std::uint64_t>(from) << 32 | n);
    for (const std::byte b : frame) seen.add(std::to_integer<std::uint64_t>(b));
    return false;
  };
  const std::uint64_t options = pick(16);
  Pair pair{seed, rules, [&](CoreConfig& c) {
              c.tcp.header_prediction = prediction;
              c.tcp.timestamps = options != 1;
              c.tcp.sack = options != 2;
              c.tcp.window_scale = options != 3;
              c.tcp.nagle = options != 4;
              c.tcp.ecn = options == 5;
              c.tcp.keepalive = options == 6;
              c.tcp.user_timeout_option = options == 7;
              c.tcp.receive_buffer = options >= 8 && options <= 10 ? 4096 : c.tcp.receive_buffer;
              c.tcp.receive_buffer_initial = options >= 8 && options <= 10 ? 4096 : c.tcp.receive_buffer_initial;
            }};
  EXPECT_TRUE(pair.core(1).listen({any, 80}, Talker{&seen, true, options >= 9}));
  const HandlerRef client = *pair.core(0).add_handler(Talker{&seen, false, options >= 9});
  for (int i = 0; i < 12; ++i) {
    EXPECT_TRUE(pair.core(0).connect({Pair::address(1), 80}, client));
    if (pick(2) == 0) pair.run_for(std::chrono::microseconds{pick(40000)});
  }
  pair.run_idle(200s);
  pair.core(0).abort_all();
  pair.core(1).abort_all();
  pair.run_idle(300s);
  seen.add(static_cast<std::uint64_t>(pair.now().time_since_epoch().count()));
  return seen;
}

TEST(Prediction, changes_nothing__same_seed_with_and_without__same_frames_at_the_same_time) {
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    const Seen with = run(seed, true), without = run(seed, false);
    ASSERT_GT(with.frames, 60u) << seed;
    ASSERT_EQ(with.frames, without.frames) << seed;
    ASSERT_EQ(with.told, without.told) << seed;
    ASSERT_EQ(with.hash, without.hash) << seed;
  }
}

TEST(Prediction, window_shuts_with_data_in_flight__user_timeout_counts_from_the_last_ack_still) {
  for (const bool prediction : {true, false}) {
    CoreConfig config = small_config();
    config.tcp.header_prediction = prediction;
    Trace t{config};
    t.listen();
    t.peer.open();
    t.with([](Conn& c) {
      c.set_user_timeout(3s);
      c.send("in flight");
    });
    t.peer.expect().data("in flight");
    t.advance(150ms);
    t.peer.ack().ack(1).window(0).data("not acknowledging");
    t.advance(2880ms);
    EXPECT_TRUE(t.app.reason()) << (prediction ? "with" : "without");
    while (t.peer.poll()) {
    }
  }
}

}  // namespace
}  // namespace handfast::test
