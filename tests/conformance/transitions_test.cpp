// SPDX-License-Identifier: BSD-3-Clause
// The state changes that one segment, one call or one time-out makes, over a run through all states: those of
// RFC 9293 figure 5 and section 3.10, each seen, and no other. Layer: tests of the protocol, through frames
// alone.
#include <gtest/gtest.h>

#include <map>

#include "conformance/stand.hpp"

namespace handfast::conformance {
namespace {

using Change = std::pair<State, State>;

const std::map<Change, const char*> legal = {
    {{State::closed, State::syn_sent}, "figure 5: active OPEN"},
    {{State::listen, State::syn_received}, "figure 5: SYN"},
    {{State::syn_sent, State::syn_received}, "figure 5: SYN, simultaneous open"},
    {{State::syn_sent, State::established}, "figure 5: SYN,ACK"},
    {{State::syn_sent, State::closed}, "3.10.7.3 second: RST"},
    {{State::syn_received, State::established}, "figure 5: ACK of SYN"},
    {{State::syn_received, State::close_wait},
     "3.10.7.4 fifth and eighth: ACK of SYN and FIN in one segment"},
    {{State::syn_received, State::listen}, "figure 5, note 1: RST"},
    {{State::syn_received, State::closed}, "3.10.7.4 second: RST after an active OPEN"},
    {{State::established, State::fin_wait_1}, "figure 5: CLOSE"},
    {{State::established, State::close_wait}, "figure 5: FIN"},
    {{State::established, State::closed}, "3.10.7.4 second: RST"},
    {{State::fin_wait_1, State::fin_wait_2}, "figure 5: ACK of FIN"},
    {{State::fin_wait_1, State::closing}, "figure 5: FIN"},
    {{State::fin_wait_1, State::time_wait}, "figure 5, note 2: FIN and ACK of FIN in one segment"},
    {{State::fin_wait_1, State::closed}, "3.10.7.4 second: RST; 3.6.1: data after CLOSE"},
    {{State::fin_wait_2, State::time_wait}, "figure 5: FIN"},
    {{State::fin_wait_2, State::closed}, "3.10.7.4 second: RST; 3.6.1: data after CLOSE"},
    {{State::close_wait, State::last_ack}, "figure 5: CLOSE"},
    {{State::close_wait, State::closed}, "3.10.7.4 second: RST"},
    {{State::closing, State::time_wait}, "figure 5: ACK of FIN"},
    {{State::closing, State::closed}, "3.10.7.4 second: RST"},
    {{State::last_ack, State::closed}, "figure 5: ACK of FIN"},
    {{State::time_wait, State::closed}, "figure 5: 2 MSL"},
    {{State::time_wait, State::syn_received}, "3.6.1: a newer SYN opens a new connection"},
};

/// What is gone is CLOSED, but a passive one that was never open, which is LISTEN again.
Change as_in_the_figure(Change c) {
  if (c.second == State::listen && c.first != State::syn_received) c.second = State::closed;
  return c;
}

TEST(Transitions, of_a_run_through_all_states__are_those_of_figure_5_and_no_other) {
  constexpr std::uint8_t kinds[] = {test::SYN, test::SYN | test::ACK, test::ACK, test::FIN | test::ACK,
                                    test::RST, test::RST | test::ACK, 0,         test::URG | test::ACK,
                                    test::FIN, test::SYN | test::FIN};
  std::map<Change, int> seen;
  for (std::size_t i = 0; i < setup_count; ++i) {
    Stand stand{static_cast<conformance::Setup>(i)};
    for (const std::uint8_t flags : kinds)
      for (const Position p : {Position::before, Position::exact, Position::next, Position::beyond})
        for (std::size_t a = 0; a < static_cast<std::size_t>(AckPosition::count_); ++a)
          for (const std::uint32_t text : {0u, 10u})
            EXPECT_EQ(
                stand.run({.flags = flags, .position = p, .ack = static_cast<AckPosition>(a), .text = text}),
                "");
    for (const Change& c : stand.transitions())
      if (c.first != c.second && !(c.first == State::listen && c.second == State::closed))
        ++seen[as_in_the_figure(c)];
  }
  for (const auto& [change, source] : legal)
    EXPECT_TRUE(seen.contains(change)) << "never seen: " << handfast::name(change.first) << " -> "
                                       << handfast::name(change.second) << ", " << source;
  for (const auto& [change, count] : seen)
    EXPECT_TRUE(legal.contains(change))
        << "not legal: " << handfast::name(change.first) << " -> " << handfast::name(change.second);
}

}  // namespace
}  // namespace handfast::conformance
