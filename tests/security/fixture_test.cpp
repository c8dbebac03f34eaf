// SPDX-License-Identifier: BSD-3-Clause
// The world of an attack notices what it is there to notice. Layer: tests of the tests.
#include <gtest/gtest-spi.h>
#include <gtest/gtest.h>

#include "fixture.hpp"

namespace handfast::test {
namespace {

/// What fails in `f`, which does not fail the test.
template <class F>
std::string failures_of(F&& f) {
  ::testing::TestPartResultArray failures;
  {
    using Reporter = ::testing::ScopedFakeTestPartResultReporter;
    Reporter reporter{Reporter::INTERCEPT_ALL_THREADS, &failures};
    f();
  }
  std::string text;
  for (int i = 0; i < failures.size(); ++i) text += failures.GetTestPartResult(i).message();
  return text;
}

TEST(SecurityWorld, nothing_happens__all_post_conditions_hold) { SecurityWorld w; }

TEST(SecurityWorld, every_state__is_reached_and_torn_down) {
  for (std::size_t i = 0; i < state_count; ++i) {
    const auto wanted = static_cast<State>(i);
    SCOPED_TRACE(std::string{name(wanted)});
    SecurityWorld w;
    auto p = w.t.another_peer(41000);
    w.bring(*p, wanted, modern);
    const bool none = wanted == State::listen || wanted == State::closed;
    EXPECT_EQ(w.state(*p), none ? State::closed : wanted);
    w.expect_innocent_moves();
    w.verify();
  }
}

TEST(SecurityWorld, more_out_than_in__is_noticed) {
  const std::string text = failures_of([] {
    SecurityWorld w;
    w.establish();
    w.t.app.data = [](Conn& c, const RxView& in) {
      c.send(std::string(5000, 'x'));
      return in.size();
    };
    w.peer.ack().data("one");
  });
  EXPECT_NE(text.find("frames that left for those that came"), std::string::npos) << text;
}

TEST(SecurityWorld, innocent_connection_reset__is_noticed) {
  const std::string text = failures_of([] {
    SecurityWorld w;
    w.innocent.rst();
  });
  EXPECT_NE(text.find("the innocent connection is gone"), std::string::npos) << text;
}

TEST(SecurityWorld, drop_for_another_reason__is_noticed) {
  const std::string text = failures_of([] {
    SecurityWorld w;
    w.establish();
    w.expect_dropped(Drop::tcp_checksum, [&] { w.peer.segment(ACK).seq(1u << 30); });
  });
  EXPECT_NE(text.find("tcp_checksum"), std::string::npos) << text;
  EXPECT_NE(text.find("tcp_out_of_window"), std::string::npos) << text;
}

TEST(SecurityWorld, connection_that_waits_to_be_accepted__is_counted_and_given_back) {
  const std::string text = failures_of([] {
    SecurityWorld w;
    w.t.listen(8080, {.paused = true});
    auto p = w.t.another_peer(41000);
    p->stack.port = 8080;
    p->open();
    EXPECT_NE(holdings_of(w.t).of_listeners, 0u);
  });
  EXPECT_EQ(text, "");
}

}  // namespace
}  // namespace handfast::test
