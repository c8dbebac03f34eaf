// SPDX-License-Identifier: BSD-3-Clause
// A shard whose memory for sending is used up by some connections while others want to answer: those wait until there is
// some, and are not asked again and again. Layer: tests of overload, in virtual time.
#include <gtest/gtest.h>

#include "endurance/traffic.hpp"
#include "support/pair.hpp"

namespace handfast::test {
namespace {

/// An echo that sees whether it is called without end, and breaks that off.
struct WaryEcho : EchoBack {
  Pair* pair = nullptr;
  Time last{};
  int calls = 0, most_calls = 0;
  void on_writable(Conn& c) {
    if (pair->now() != last) calls = 0;
    last = pair->now();
    most_calls = std::max(most_calls, ++calls);
    if (calls > 1000) return c.abort();
    c.resume_rx();
  }
};

TEST(Starved, echo_on_a_shard_without_send_memory__waits_for_it_and_finishes) {
  for (const std::uint32_t extents : {1u, 3u}) {
    SCOPED_TRACE(extents);
    WaryEcho server;
    Traffic client;
    Pair pair{test_seed(), {}, [&, made = 0](CoreConfig& c) mutable {
                if (made++ == 1) c.limits.send_extents = extents;
              }};
    server.pair = &pair;
    ASSERT_TRUE(pair.core(1).listen_with({any, 80}, *pair.core(1).add_handler_ref(server)));
    const HandlerRef self = *pair.core(0).add_handler_ref(client);
    for (int i = 0; i < 12; ++i)
      EXPECT_TRUE(client.open(pair.core(0), self, {Pair::address(1), 80}, {.bytes = 20'000}));
    EXPECT_TRUE(pair.run_idle(5min));
    EXPECT_EQ(client.finished, 12u);
    EXPECT_EQ(client.wrong_bytes, 0u);
    EXPECT_LT(server.most_calls, 200) << "of on_writable, in one moment";
  }
}

}  // namespace
}  // namespace handfast::test
