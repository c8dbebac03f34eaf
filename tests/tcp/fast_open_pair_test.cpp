// SPDX-License-Identifier: BSD-3-Clause
// TCP Fast Open between two stacks, RFC 7413: what it saves, and that losses change no byte.
// Layer: tests of the protocol, through frames alone.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "support/pair.hpp"

namespace handfast::test {
namespace {

struct Exchange {
  struct Answering {
    std::size_t on_data(Conn& c, const RxView& in) {
      c.send(in.text());
      return in.size();
    }
    void on_peer_fin(Conn& c) { c.close(); }
  };
  struct Asking {
    std::string* received;
    std::vector<Time>* answered;
    std::size_t on_data(Conn& c, const RxView& in) {
      *received += in.text();
      answered->push_back(c.core().now());
      return in.size();
    }
    void on_connect(Conn& c) { c.shutdown_write(); }
  };
  explicit Exchange(std::uint64_t seed, LinkRules rules = {}) : pair(seed, std::move(rules)) {
    EXPECT_TRUE(pair.core(1).listen({any, 80}, Answering{}, {.fast_open = 64}));
    asking = *pair.core(0).add_handler(Asking{&received, &answered});
  }
  void ask(const std::string& data) {
    EXPECT_TRUE(pair.core(0).connect(
        {Pair::address(1), 80}, asking,
        {.fast_open = true, .data = std::as_bytes(std::span{data.data(), data.size()})}));
  }
  Pair pair;
  HandlerRef asking;
  std::string received;
  std::vector<Time> answered;
};

// The purpose of it all: the answer after one round trip instead of two.
TEST(FastOpen, between_two_stacks__the_answer_takes_one_round_trip) {
  LinkRules rules;
  rules.delay = 10ms;
  Exchange x{3, rules};
  x.ask("first");
  EXPECT_TRUE(x.pair.run_idle(1min));
  const Time begin = x.pair.now();
  x.ask("second");
  EXPECT_TRUE(x.pair.run_idle(1min));
  EXPECT_EQ(x.received, "firstsecond");
  ASSERT_EQ(x.answered.size(), 2u);
  EXPECT_EQ(x.answered[1] - begin, 20ms);
  EXPECT_EQ(x.pair.core(1).stats().fast_open_accepted, 1u);
  EXPECT_EQ(x.pair.core(0).stats().fast_open_taken, 1u);
}

// Whatever is lost, doubled or overtaken: every answer is exact, and comes once.
TEST(FastOpen, between_two_stacks_with_loss__every_exchange_is_exact) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    LinkRules rules;
    rules.delay = 5ms;
    rules.jitter = 5ms;
    rules.loss = 0.1;
    rules.duplicate = 0.1;
    Exchange x{seed, rules};
    std::string wanted;
    for (int i = 0; i < 30; ++i) {
      const std::string data(1 + x.pair.rng().below(4000), static_cast<char>('a' + i % 26));
      wanted += data;
      x.ask(data);
      EXPECT_TRUE(x.pair.run_idle(10min));
    }
    EXPECT_EQ(x.received, wanted) << seed;
    if (testing::Test::HasFailure()) return;
  }
}

}  // namespace
}  // namespace handfast::test
