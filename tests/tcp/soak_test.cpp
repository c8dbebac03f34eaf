// SPDX-License-Identifier: BSD-3-Clause
// Two stacks on a bad link, many seeds, an application that does anything that it may: streams must be
// byte-exact, every connection must end, nothing may be left. Layer: tests of the protocol.
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "support/pair.hpp"
#include "support/usage.hpp"

namespace handfast::test {
namespace {

char byte_at(std::uint64_t salt, std::uint64_t i) {
  return static_cast<char>((i * 2654435761u + salt * 40503u) >> 13);
}

/// One end of every connection of a run: sends so many bytes, reads at its own pace, closes in one of several
/// ways. The salt of a stream is the opener's port, plus one for the answer.
class Wild {
 public:
  struct State {
    std::uint32_t sent = 0, to_send = 0, received = 0, salt = 0;
    bool eof = false, closing = false;
    std::uint8_t habit = 0;
  };
  struct Ended {
    CloseReason reason;
    std::uint32_t received;
    bool eof;
  };
  Wild(Rng& rng, bool client, std::uint32_t most, bool orderly)
      : rng_(rng), client_(client), most_(most), orderly_(orderly) {}

  void on_accept(Conn& c, State& s) { start(c, s); }
  void on_connect(Conn& c, State& s) { start(c, s); }
  void on_writable(Conn& c, State& s) { feed(c, s); }
  std::size_t on_data(Conn& c, State& s, const RxView& in) {
    std::size_t take = in.size();
    if (s.habit == 1) take = rng_.below(static_cast<std::uint32_t>(take) + 1);
    for (std::size_t i = 0; i < take; ++i) {
      if (std::to_integer<char>(in.bytes()[i]) == byte_at(s.salt + (client_ ? 1u : 0u), s.received + i))
        continue;
      ADD_FAILURE() << "a wrong byte at " << s.received + i << " of stream " << s.salt;
      c.abort();
      return take;
    }
    s.received += static_cast<std::uint32_t>(take);
    if (s.habit == 2 && rng_.below(3) == 0) {
      c.pause_rx();
      c.arm(std::chrono::milliseconds{1 + rng_.below(300)});
    }
    if (s.habit == 1) c.arm(std::chrono::milliseconds{5 + rng_.below(30)});
    if (!orderly_ && rng_.below(400) == 0) c.abort();
    return take;
  }
  void on_peer_fin(Conn& c, State& s) {
    EXPECT_FALSE(s.eof) << "twice";
    s.eof = true;
    if (s.sent == s.to_send) c.close();
  }
  void on_timer(Conn& c, State& s) {
    c.resume_rx();
    // What was left is offered again only with new bytes: a reader by hand consumes it itself.
    if (s.habit == 1) {
      s.habit = 2;
      c.pause_rx();
      c.resume_rx();
    }
    feed(c, s);
  }
  void on_closed(ConnId, State& s, CloseReason why) { ended[{s.salt, client_}] = {why, s.received, s.eof}; }

  std::map<std::pair<std::uint32_t, bool>, Ended> ended;
  std::map<std::uint32_t, std::uint32_t> lengths;  ///< by salt, of what this side sends

 private:
  void start(Conn& c, State& s) {
    s.salt = (client_ ? c.local().port : c.peer().port) * 2u;
    s.to_send = rng_.below(4) == 0 ? 0 : rng_.below(most_);
    s.habit = static_cast<std::uint8_t>(rng_.below(3));
    lengths[s.salt] = s.to_send;
    if (rng_.below(2) == 0) c.set_nodelay(true);
    feed(c, s);
  }
  void feed(Conn& c, State& s) {
    while (s.sent < s.to_send) {
      const std::uint32_t n = std::min(s.to_send - s.sent, 1 + rng_.below(5000));
      std::string piece(n, '\0');
      for (std::uint32_t i = 0; i < n; ++i) piece[i] = byte_at(s.salt + (client_ ? 0u : 1u), s.sent + i);
      const auto taken = static_cast<std::uint32_t>(c.send(piece));
      s.sent += taken;
      if (taken < n) {
        if (taken == 0 && c.writable() != 0) c.arm(20ms);  // the shard's memory, not the buffer
        return;
      }
    }
    if (s.closing) return;
    s.closing = true;
    c.shutdown_write();
    if (s.eof) c.close();
  }

  Rng& rng_;
  bool client_;
  std::uint32_t most_;
  bool orderly_;
};

struct Weather {
  const char* name;
  double loss, duplicate;
  Duration jitter;
  std::uint32_t most;
  int seeds;
  bool orderly;
};

class Soak : public testing::TestWithParam<Weather> {};
INSTANTIATE_TEST_SUITE_P(Link, Soak,
                         testing::Values(Weather{"calm", 0, 0, 0ms, 200000, 40, true},
                                         Weather{"reordering", 0, 0.05, 8ms, 100000, 60, true},
                                         Weather{"five_percent", 0.05, 0.02, 3ms, 60000, 80, true},
                                         Weather{"twenty_percent", 0.2, 0.1, 5ms, 12000, 150, true},
                                         Weather{"aborting", 0.1, 0.1, 5ms, 30000, 150, false}),
                         [](const auto& weather) { return weather.param.name; });

TEST_P(Soak, any_behaviour__streams_are_exact_and_everything_ends) {
  const Weather& w = GetParam();
  const std::uint64_t first = test_seed();
  for (int run = 0; run < w.seeds && !HasFailure(); ++run) {
    const std::uint64_t seed = first + static_cast<std::uint64_t>(run);
    SCOPED_TRACE("seed " + std::to_string(seed));
    LinkRules rules;
    rules.delay = 5ms;
    rules.jitter = w.jitter;
    rules.loss = w.loss;
    rules.duplicate = w.duplicate;
    Rng behaviour{seed ^ 0x77696c64};
    Wild server{behaviour, false, w.most, w.orderly}, client{behaviour, true, w.most, w.orderly};
    Pair pair{seed, rules, [&](CoreConfig& c) {
                c.tcp.receive_buffer = 4096u << behaviour.below(6);
                c.tcp.send_buffer = 4096u << behaviour.below(6);
                c.tcp.timestamps = behaviour.below(2) == 0;
                c.tcp.sack = behaviour.below(2) == 0;
                c.tcp.window_scale = behaviour.below(2) == 0;
                c.tcp.r2_timeout = 1h;  // bad weather is no reason to give up here
                c.tcp.connect_timeout = 1h;
                c.tcp.syn_ack_retries = 10;
                c.tcp.orphan_retries = 15;
                c.tcp.rto_max = 3s;
                // A RST may be lost, and a half-closed connection would wait for ever.
                c.tcp.keepalive = !w.orderly;
                c.tcp.keepalive_idle = 20s;
                c.tcp.keepalive_interval = 2s;
                if (behaviour.below(3) == 0) c.limits.buffer_memory = 512 << 10;
              }};
    ASSERT_TRUE(pair.core(1).listen_with({any, 80}, *pair.core(1).add_handler_ref(server)));
    const HandlerRef ref = *pair.core(0).add_handler_ref(client);
    for (int i = 0; i < 6; ++i) {
      ASSERT_TRUE(pair.core(0).connect({Pair::address(1), 80}, ref));
      pair.run_for(std::chrono::milliseconds{behaviour.below(50)});
    }
    EXPECT_TRUE(pair.run_idle(30min)) << "something never ends";
    if (w.orderly) {
      for (auto* side : {&client, &server}) {
        const auto& other = side == &client ? server : client;
        EXPECT_EQ(side->ended.size(), 6u);
        for (const auto& [key, e] : side->ended) {
          EXPECT_EQ(e.reason, CloseReason::finished) << name(e.reason);
          const auto length = other.lengths.find(key.first);
          ASSERT_NE(length, other.lengths.end());
          EXPECT_EQ(e.received, length->second);
          EXPECT_TRUE(e.eof);
        }
      }
    }
    pair.run_for(2min);  // TIME-WAIT
    EXPECT_EQ(usage_of(pair.core(0)), Usage{});
    EXPECT_EQ(usage_of(pair.core(1)), Usage{});
  }
}

TEST(PairLink, nth_frame_lost__each_of_the_first_ten_in_turn__exchange_completes) {
  // The short exchange, each of its frames lost once, from either end.
  for (int end = 0; end < 2; ++end)
    for (std::size_t n = 0; n < 10; ++n) {
      LinkRules rules;
      rules.lose = [=](int from, std::size_t i, std::span<const std::byte>) { return from == end && i == n; };
      struct Server {
        std::size_t on_data(Conn& c, const RxView& in) {
          c.send_static("response");
          c.close();
          return in.size();
        }
      };
      struct Client {
        std::string got;
        std::optional<CloseReason> why;
        void on_connect(Conn& c) { c.send_static("request"); }
        std::size_t on_data(Conn&, const RxView& in) {
          got += in.text();
          return in.size();
        }
        void on_closed(ConnId, CloseReason r) { why = r; }
      } client;
      Pair pair{test_seed() + n, rules};
      ASSERT_TRUE(pair.core(1).listen({any, 80}, Server{}));
      ASSERT_TRUE(pair.core(0).connect({Pair::address(1), 80}, *pair.core(0).add_handler_ref(client)));
      EXPECT_TRUE(pair.run_idle(5min)) << end << ' ' << n;
      EXPECT_EQ(client.got, "response") << end << ' ' << n;
      EXPECT_EQ(client.why, CloseReason::finished) << end << ' ' << n;
    }
}

TEST(PairLink, same_seed__same_run) {
  std::vector<std::size_t> frames;
  for (int i = 0; i < 2; ++i) {
    LinkRules rules;
    rules.loss = 0.1;
    rules.jitter = 3ms;
    Rng behaviour{99};
    Wild server{behaviour, false, 50000, true}, client{behaviour, true, 50000, true};
    Pair pair{4711, rules};
    ASSERT_TRUE(pair.core(1).listen_with({any, 80}, *pair.core(1).add_handler_ref(server)));
    ASSERT_TRUE(pair.core(0).connect({Pair::address(1), 80}, *pair.core(0).add_handler_ref(client)));
    EXPECT_TRUE(pair.run_idle(10min));
    frames.push_back(pair.frames(0) * 100000 + pair.frames(1));
  }
  EXPECT_EQ(frames[0], frames[1]);
}

}  // namespace
}  // namespace handfast::test
