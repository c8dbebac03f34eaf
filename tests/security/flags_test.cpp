// SPDX-License-Identifier: BSD-3-Clause
// Every combination of the eight flag bits in every state at four places of the sequence space (row B6): 11,264 segments
// without data, held to a table. Layer: tests of security. The table was written from RFC 9293 section 3.10.7, with
// RFC 5961 sections 3 and 4, RFC 1337 and RFC 6191 where they amend it; what is a deviation says so.
#include <gtest/gtest.h>

#include <memory>

#include "fixture.hpp"

namespace handfast::test {
namespace {

/// Where SEG.SEQ lies. `at`: RCV.NXT; `inside`: a few bytes on, in the window; `before`: the number before it; `far`: nowhere.
enum class Place : std::uint8_t { at, inside, before, far };
constexpr std::uint32_t offset_of(Place place) {
  constexpr std::uint32_t offsets[] = {0, 5, 0u - 1, 1u << 30};
  return offsets[static_cast<int>(place)];
}

constexpr std::uint8_t nothing = 0xff;

struct Outcome {
  State state;
  std::uint8_t reply = nothing;  ///< the flags of the one segment that leaves
  bool or_silence = false;       ///< nothing is as good as the reply
};

/// The four cases of section 3.10.7.4's table, with an open window.
bool is_acceptable(Place place, std::uint32_t length) {
  switch (place) {
    case Place::at:
    case Place::inside: return true;
    case Place::before: return length >= 2;  // its last number is RCV.NXT
    case Place::far: return false;
  }
  return false;
}

struct Segment {
  bool fin, syn, rst, ack;
  Place place;
  [[nodiscard]] std::uint32_t length() const { return (fin ? 1u : 0u) + (syn ? 1u : 0u); }
};

// 3.10.7.1, .2
Outcome closed_or_listen(const Segment& s, State state) {
  if (s.rst) return {State::closed};
  if (s.ack) return {State::closed, RST};
  if (state == State::closed) return {State::closed, RST | ACK};
  if (s.syn) return {State::syn_received, SYN | ACK};
  return {State::closed};
}

// 3.10.7.3; the acknowledgment is the right one. A FIN that comes with the SYN is not taken, and so not acknowledged.
Outcome syn_sent(const Segment& s) {
  if (s.rst) return {s.ack ? State::closed : State::syn_sent};
  if (!s.syn) return {State::syn_sent};
  if (s.ack) return {State::established, ACK};
  return {State::syn_received, SYN | ACK};
}

// 3.10.7.4 for a half-open entry, which knows the SYN that made it: at `before`.
Outcome syn_received(const Segment& s) {
  const bool syn_again = s.place == Place::before && s.syn && !s.ack && !s.rst;
  if (syn_again) return {State::syn_received, SYN | ACK};
  if (!is_acceptable(s.place, s.length())) return {State::syn_received, s.rst ? nothing : ACK};
  if (s.rst && s.place == Place::at) return {State::closed};
  // RFC 5961; for the SYN a listed deviation. A RST that begins before the window and reaches into it by its SYN and FIN may
  // be taken for one outside (section 3.2, 1) or inside (3).
  if (s.rst || s.syn) return {State::syn_received, ACK, s.rst && s.place == Place::before};
  if (!s.ack) return {State::syn_received};
  if (!s.fin) return {State::established};
  return {s.place == Place::at ? State::close_wait : State::established, ACK};
}

// 3.10.7.4; all that we sent is acknowledged, our FIN too where there is one.
Outcome synchronised(const Segment& s, State state) {
  if (!is_acceptable(s.place, s.length())) return {state, s.rst ? nothing : ACK};
  if (s.rst) return s.place == Place::at ? Outcome{State::closed} : Outcome{state, ACK, s.place == Place::before};
  if (s.syn) return {state, ACK};
  if (!s.ack) return {state};
  if (state == State::closing) return {State::time_wait};
  if (state == State::last_ack) return {State::closed};
  const State now = state == State::fin_wait_1 ? State::fin_wait_2 : state;
  if (!s.fin) return {now};
  if (now == State::close_wait) return {now};  // a FIN after the FIN
  if (s.place == Place::inside) return {now, ACK};
  return {now == State::established ? State::close_wait : State::time_wait, ACK};
}

// RFC 1337, RFC 6191 without timestamps. An entry keeps no window: all that is not at RCV.NXT counts as out of step and draws
// an ACK, where 3.10.7.4 drops in silence what has no ACK bit. A FIN with a SYN is no opening.
Outcome time_wait(const Segment& s) {
  if (s.rst) return {State::time_wait};
  if (s.syn && !s.ack && !s.fin && s.place != Place::before) return {State::syn_received, SYN | ACK};
  if (s.place == Place::at && s.length() == 0) return {State::time_wait};
  return {State::time_wait, ACK};
}

Outcome expected(const Segment& s, State state) {
  switch (state) {
    case State::closed:
    case State::listen: return closed_or_listen(s, state);
    case State::syn_sent: return syn_sent(s);
    case State::syn_received: return syn_received(s);
    case State::time_wait: return time_wait(s);
    case State::established:
    case State::fin_wait_1:
    case State::fin_wait_2:
    case State::close_wait:
    case State::closing:
    case State::last_ack: break;
  }
  return synchronised(s, state);
}

CoreConfig roomy() {
  CoreConfig config = small_config();
  config.limits.half_open = config.limits.time_wait = 512;
  config.tcp.resets_per_second = 1000000;
  return config;
}

void try_all_flags(State state, Place place) {
  SCOPED_TRACE(std::string{name(state)} + ", place " + std::to_string(static_cast<int>(place)));
  SecurityWorld w{roomy()};
  w.peer.segment(RST).seq(0);
  w.t.core().resolve(w.peer.self.address);
  w.t.poll();
  w.t.advance(1ms);
  for (unsigned bits = 0; bits < 256; ++bits) {
    SCOPED_TRACE("flags " + std::to_string(bits));
    const auto flags = static_cast<std::uint8_t>(bits);
    auto p = w.t.another_peer(static_cast<Port>(41000 + bits));
    if (state == State::closed) p->stack.port = 81;
    w.bring(*p, state);
    const std::uint64_t out = w.frames_out();
    {
      Send s = p->segment(flags);
      s.seq(p->snd_nxt + offset_of(place));
    }
    const Segment s{(flags & FIN) != 0, (flags & SYN) != 0, (flags & RST) != 0, (flags & ACK) != 0, place};
    const Outcome wanted = expected(s, state);
    EXPECT_EQ(name(w.state(*p)), name(wanted.state));
    const auto reply = p->poll();
    if (reply || !wanted.or_silence) {
      EXPECT_EQ(reply ? reply->flags : nothing, wanted.reply) << (reply ? reply->text() : "nothing came");
    }
    EXPECT_EQ(w.frames_out() - out, reply ? 1u : 0u);
    EXPECT_TRUE(!reply || reply->payload.empty());
  }
  w.discard();
}

TEST(SecurityB, sec_B6__all_flags_in_all_states_at_four_places__by_the_book) {
  for (std::size_t state = 0; state < state_count; ++state)
    for (const Place place : {Place::at, Place::inside, Place::before, Place::far}) try_all_flags(static_cast<State>(state), place);
}

}  // namespace
}  // namespace handfast::test
