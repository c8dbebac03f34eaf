// SPDX-License-Identifier: BSD-3-Clause
// What a bulk transfer loses where recovery does too much: time-outs and reductions that nothing was lost
// for. Found by bench/paths. Layer: tests of the protocol, through frames alone.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "congestion_bench.hpp"
#include "support/peer.hpp"

namespace handfast::test {
namespace {

constexpr std::uint32_t mss = 1460;
std::uint32_t nth(std::uint32_t i) { return 1 + i * mss; }

std::vector<std::uint32_t> sent(Trace& t) {
  std::vector<std::uint32_t> seqs;
  while (auto p = t.peer.poll()) seqs.push_back(p->seq - t.peer.irs);
  return seqs;
}
using Seqs = std::vector<std::uint32_t>;

// rfc6298 5: no sooner than one RTO after its previous transmission, however that came about. 200 ms here.
TEST(Rto, sent_again_by_fast_recovery__has_a_whole_rto_from_then) {
  Trace t;
  t.listen();
  t.peer.open(with_sack);
  t.with([](Conn& c) { c.send(std::string(10 * mss, 'f')); });
  ASSERT_EQ(sent(t).size(), 10u);
  t.advance(150ms);
  ASSERT_EQ(sent(t), Seqs{nth(9)}) << "the tail probe, at 10 ms";
  t.peer.ack().ack(1).sack({{nth(1), nth(5)}});
  ASSERT_EQ(sent(t), Seqs{1});
  t.advance(199ms);
  EXPECT_EQ(t.stats().timeouts, 0u);
  EXPECT_TRUE(t.peer.quiet());
  t.advance(1ms);
  EXPECT_EQ(t.stats().timeouts, 1u);
  EXPECT_EQ(sent(t), Seqs{1});
}

// rfc7661 4.2, 4.4: pipeACK is what a round trip acknowledges: in slow start half of the window.
TEST(WindowValidation, slow_start_that_uses_all_of_its_window__stays_validated) {
  for (const tcp::CongestionOps* ops : {&tcp::new_reno, &tcp::cubic}) {
    Bench b(*ops);
    b.start();
    b.fill();
    for (int i = 0; i < 6; ++i) {
      b.round(50ms);
      EXPECT_FALSE(b.flight.unvalidated) << i;
    }
    EXPECT_GT(b.tcb.cwnd, 200 * Bench::mss);
    const std::uint32_t used = b.tcb.cwnd;
    b.lose();
    EXPECT_GE(b.tcb.ssthresh, used / 2 - 2 * Bench::mss)
        << "of what was in flight, not of what was acknowledged";
    EXPECT_FALSE(b.flight.loss_unvalidated);
  }
}

}  // namespace
}  // namespace handfast::test
