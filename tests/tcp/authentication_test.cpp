// SPDX-License-Identifier: BSD-3-Clause
// Peers that sign their segments: TCP MD5 (RFC 2385) and TCP-AO (RFC 5925), which this stack does not do and
// says so by silence. Layer: tests of the protocol, through frames alone.
#include <gtest/gtest.h>

#include <vector>

#include "support/peer.hpp"

namespace handfast::test {
namespace {

const std::vector<std::uint8_t> md5{19, 18, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 1, 1};
const std::vector<std::uint8_t> ao{29, 16, 1, 1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};

// rfc2385 4.1, rfc5925 7.3: an answer that is not signed would be ignored, an RST too
TEST(Authentication, signed_syn__dropped_and_counted) {
  for (const auto& option : {md5, ao}) {
    Trace t;
    t.listen();
    t.peer.syn().options(option);
    t.expect_nothing_until(10s);
    EXPECT_EQ(t.drops(Drop::tcp_authentication), 1u);
    EXPECT_EQ(t.stats().half_open, 0u);
    t.peer.snd_nxt = 0;
    t.peer.open();
    EXPECT_EQ(t.state(), State::established) << "without the option all is well";
  }
}

TEST(Authentication, signed_syn_ack__dropped_and_the_connect_times_out) {
  for (const auto& option : {md5, ao}) {
    Trace t;
    const ConnId id = t.connect();
    t.peer.expect().syn();
    t.peer.syn_ack().options(option);
    t.expect_nothing();
    EXPECT_EQ(t.drops(Drop::tcp_authentication), 1u);
    EXPECT_FALSE(t.app.records[id].opened);
  }
}

// MUST-6: an option that was not agreed on is skipped
TEST(Authentication, signature_on_an_open_connection__is_skipped) {
  Trace t;
  t.listen();
  t.peer.open();
  t.peer.ack().options(md5).data("hello");
  EXPECT_EQ(t.app.received(), "hello");
}

}  // namespace
}  // namespace handfast::test
