// SPDX-License-Identifier: BSD-3-Clause
// What a limit tells of a connection that is not the asker's (row A6). Layer: tests of security, through frames.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "fixture.hpp"
#include "forged.hpp"
#include "shard/frames.hpp"
#include "support/icmp.hpp"

namespace handfast::test {
namespace {

/// Everything that came for `p`, with its time, in one string.
std::string all_of(SecurityWorld& w, Peer& p) {
  std::string s;
  while (const auto packet = p.poll()) s += std::to_string(w.t.elapsed() / 1us) + " " + packet->text() + "\n";
  return s;
}

CoreConfig of_one_seed() {
  CoreConfig config = small_config();
  config.seed = 0xa6;
  config.limits.neighbours = 512;
  return config;
}

// CVE-2016-5696: the attacker counts the challenges of a connection of its own
TEST(SecurityA, sec_A6__challenges__what_hits_another_connection_does_not_show_in_ones_own) {
  struct Guess {
    std::uint8_t flags;
    std::uint32_t hit, miss;
  };
  for (const Guess& guess :
       {Guess{RST, 7, 1u << 30}, Guess{SYN, 7, 1u << 30}, Guess{ACK, 7, 1u << 30}, Guess{RST | ACK, 9, 0u - 1}}) {
    SCOPED_TRACE(int{guess.flags});
    std::vector<std::string> seen;
    for (const std::uint32_t offset : {guess.hit, guess.miss}) {
      SecurityWorld w{of_one_seed()};
      w.establish();
      auto own = w.t.another_peer(43000, Ipv4Address{10, 0, 0, 66});
      own->open();
      for (int i = 0; i < 500; ++i) w.t.inject(as_if_from(w.peer, guess.flags, w.peer.snd_nxt + offset));
      for (int i = 0; i < 200; ++i) {
        own->rst().seq(own->snd_nxt + 1);
        if (i % 20 == 0) w.t.advance(50ms);
      }
      seen.push_back(all_of(w, *own));
      w.discard();
    }
    EXPECT_EQ(seen[0], seen[1]);
    EXPECT_NE(seen[0], "");
  }
}

// The limit on resets: it is spent by guesses that meet no connection, and not by those that do.
TEST(SecurityA, sec_A6__resets__spent_by_one_source_they_are_not_missed_by_another) {
  constexpr int strangers = 64;
  int told = 0;
  std::vector<std::string> seen[2];
  for (const int hit : {0, 1}) {
    SecurityWorld w{of_one_seed()};
    w.establish();
    for (int i = 0; i < strangers; ++i) {
      w.t.advance(1s);
      // As if from the victim's address: from its port, or from the next one, which has no connection.
      Packet guess = as_if_from(w.peer, ACK, w.peer.snd_nxt + (1u << 30));
      if (hit == 0) ++guess.source.port;
      for (int k = 0; k < 1200; ++k) w.t.inject(guess);
      Peer stranger{w.t, {Ipv4Address{0x0a000064u + static_cast<std::uint32_t>(i)}, 1234}, {Trace::stack_address, 9}};
      for (int k = 0; k < 200; ++k) stranger.segment(ACK).seq(1);
      seen[hit].push_back(all_of(w, stranger));
      w.discard();
    }
  }
  for (int i = 0; i < strangers; ++i) told += seen[0][i] != seen[1][i];
  EXPECT_LE(told, strangers / 8) << "only who shares the victim's share of the limit: one of sixteen";
}

// Nothing that answers a ping depends on connections.
TEST(SecurityA, sec_A6__icmp__what_is_quoted_does_not_show_in_the_answers_to_pings) {
  std::vector<std::size_t> seen;
  for (const std::uint32_t offset : {0u, 1u << 30}) {
    SecurityWorld w{of_one_seed()};
    w.establish();
    w.t.with([](Conn& c) { c.send("in flight"); });
    Packet sent = w.peer.expect().packet();
    sent.seq += offset;
    for (int i = 0; i < 500; ++i) w.t.inject(icmp_about(sent, 3, 1));
    const Bytes ping =
        icmp_frame({Trace::peer_mac, Trace::stack_mac, Ipv4Address{10, 0, 0, 66}, Trace::stack_address}, 8, 0, 1, Bytes(8));
    for (int i = 0; i < 1200; ++i) w.t.inject(ping);
    seen.push_back(w.t.other_frames.size());
    w.discard();
  }
  EXPECT_EQ(seen[0], seen[1]);
}

}  // namespace
}  // namespace handfast::test
