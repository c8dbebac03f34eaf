// SPDX-License-Identifier: BSD-3-Clause
// What ICMP errors do to connections (RFC 9293 section 3.9.2.2, RFC 5461, RFC 5927), and what a flood of them does not.
// Layer: tests of the shard, through frames.
#include <gtest/gtest.h>

#include "support/icmp.hpp"
#include "support/peer.hpp"
#include "support/usage.hpp"

namespace handfast::test {
namespace {

struct Said {
  std::uint8_t type, code;
  IcmpError meant;
};
constexpr Said soft[] = {
    {3, 0, IcmpError::network_unreachable}, {3, 1, IcmpError::host_unreachable}, {3, 5, IcmpError::source_route_failed},
    {3, 6, IcmpError::network_unreachable}, {3, 7, IcmpError::host_unreachable}, {3, 8, IcmpError::network_unreachable},
    {3, 9, IcmpError::prohibited},          {3, 10, IcmpError::prohibited},      {3, 11, IcmpError::network_unreachable},
    {3, 12, IcmpError::host_unreachable},   {3, 13, IcmpError::prohibited},      {3, 14, IcmpError::prohibited},
    {3, 15, IcmpError::prohibited},         {11, 0, IcmpError::time_exceeded},   {11, 1, IcmpError::time_exceeded},
    {12, 0, IcmpError::parameter_problem},  {12, 1, IcmpError::parameter_problem}};
constexpr Said hard[] = {{3, 2, IcmpError::protocol_unreachable}, {3, 3, IcmpError::port_unreachable}};

// MUST-54, MUST-56, SHLD-25: to the connection that it is about; it goes on, and the application can know
TEST(IcmpError, opening__soft_error__goes_on_and_is_told) {
  for (const Said& said : soft) {
    SCOPED_TRACE(int{said.type} * 100 + said.code);
    Trace t;
    const ConnId id = t.connect();
    const Packet syn = t.peer.expect().syn().packet();
    EXPECT_EQ(t.core().find(id)->stats().last_icmp_error, IcmpError::none);
    t.inject(icmp_about(syn, said.type, said.code));
    EXPECT_TRUE(t.app.events.empty());
    EXPECT_EQ(t.core().find(id)->stats().last_icmp_error, said.meant);
    t.advance_to_frame(5s);
    t.peer.answer_open();
    EXPECT_EQ(t.app.count("connect"), 1);
  }
}

// MUST-56, SHLD-25
TEST(IcmpError, synchronised__soft_error__goes_on_and_is_told) {
  for (const Said& said : soft) {
    SCOPED_TRACE(int{said.type} * 100 + said.code);
    Trace t;
    t.listen();
    t.peer.open();
    t.with([](Conn& c) { c.send("in flight"); });
    const Packet sent = t.peer.expect().packet();
    t.inject(icmp_about(sent, said.type, said.code));
    EXPECT_EQ(t.conn().stats().last_icmp_error, said.meant);
    t.peer.ack();
    t.with([](Conn& c) { c.send("more"); });
    t.peer.expect().data("more");
  }
}

// SHLD-26
TEST(IcmpError, opening__hard_error__ends_it_at_once) {
  for (const Said& said : hard) {
    Trace t;
    t.connect();
    t.inject(icmp_about(t.peer.expect().syn().packet(), said.type, said.code));
    EXPECT_EQ(t.app.events, std::vector<std::string>{"closed:unreachable"});
    EXPECT_EQ(usage_of(t.core()).connections, 0u);
    t.expect_nothing_until(10s);
  }
}

// deviates from SHLD-26 (rfc5927 5.2, rfc5461 3.2)
TEST(IcmpError, synchronised__hard_error__is_remembered_and_no_more) {
  for (const Said& said : hard) {
    for (const bool closing : {false, true}) {
      Trace t;
      t.listen();
      t.peer.open();
      t.with([closing](Conn& c) {
        c.send("in flight");
        if (closing) c.shutdown_write();
      });
      const Packet sent = t.peer.expect().packet();
      t.inject(icmp_about(sent, said.type, said.code));
      EXPECT_EQ(t.conn().stats().last_icmp_error, said.meant);
      EXPECT_FALSE(t.app.reason());
      t.advance_to_frame(2s);
      t.peer.expect().data("in flight");
      t.peer.ack();
      EXPECT_EQ(t.state(), closing ? State::fin_wait_2 : State::established);
    }
  }
}

// In SYN-RECEIVED too, whichever way it was reached
TEST(IcmpError, half_open__hard_error__handshake_goes_on) {
  Trace t;
  t.listen();
  t.peer.syn().mss(1460);
  const Packet syn_ack = t.peer.expect().syn_ack().packet();
  for (const Said& said : hard) t.inject(icmp_about(syn_ack, said.type, said.code));
  EXPECT_EQ(t.drops(Drop::icmp_no_connection), 2u);
  t.peer.ack();
  EXPECT_EQ(t.state(), State::established);
}

// rfc5461 4.1, SHLD-25: the reason of a connect that nobody answered
TEST(IcmpError, opening__soft_error_and_no_answer_until_the_end__unreachable) {
  for (const bool told : {false, true}) {
    Trace t;
    t.connect();
    const Packet syn = t.peer.expect().syn().packet();
    if (told) t.inject(icmp_about(syn, 3, 1));
    t.advance(200s);
    while (t.peer.poll()) {
    }
    EXPECT_EQ(t.app.events, std::vector<std::string>{told ? "closed:unreachable" : "closed:connect_timed_out"});
  }
}

TEST(IcmpError, open_connection_gives_up__timed_out_whatever_was_said) {
  Trace t;
  t.listen();
  t.peer.open();
  t.with([](Conn& c) { c.send("in flight"); });
  t.inject(icmp_about(t.peer.expect().packet(), 3, 1));
  t.advance(400s);
  while (t.peer.poll()) {
  }
  EXPECT_EQ(t.app.reason(), CloseReason::timed_out);
}

// MUST-55, RFC 6633
TEST(IcmpError, source_quench__is_discarded) {
  Trace t;
  t.listen();
  t.peer.open();
  t.with([](Conn& c) { c.send(std::string(5 * 1460, 'q')); });
  const ConnStats before = t.conn().stats();
  const Packet sent = t.peer.expect().packet();
  t.inject(icmp_about(sent, wire::icmp::source_quench, 0));
  const ConnStats after = t.conn().stats();
  EXPECT_EQ(after.congestion_window, before.congestion_window);
  EXPECT_EQ(after.slow_start_threshold, before.slow_start_threshold);
  EXPECT_EQ(after.last_icmp_error, IcmpError::none);
  EXPECT_EQ(t.drops(Drop::icmp_unknown), 1u);
  while (t.peer.poll()) {
  }
}

TEST(IcmpError, redirect_and_codes_that_are_not_assigned__are_dropped) {
  Trace t;
  const ConnId id = t.connect();
  const Packet syn = t.peer.expect().syn().packet();
  t.inject(icmp_about(syn, wire::icmp::redirect, 1, router.value));
  for (unsigned code = 16; code < 256; ++code) t.inject(icmp_about(syn, 3, static_cast<std::uint8_t>(code)));
  EXPECT_EQ(t.drops(Drop::icmp_unknown), 1u + 240u);
  EXPECT_EQ(t.core().find(id)->stats().last_icmp_error, IcmpError::none);
}

// rfc5927 4.1, sec A13: the number that is quoted must be in flight
TEST(IcmpError, about_what_is_not_in_flight__is_dropped_and_counted) {
  Trace t;
  t.connect();
  Packet syn = t.peer.expect().syn().packet();
  const std::uint32_t seq = syn.seq;
  std::uint64_t drops = 0;
  for (const std::uint32_t wrong : {seq - 1, seq + 1, seq + 0x80000000u}) {
    syn.seq = wrong;
    for (const Said& said : hard) {
      t.inject(icmp_about(syn, said.type, said.code));
      EXPECT_EQ(t.drops(Drop::icmp_out_of_window), ++drops);
    }
  }
  EXPECT_TRUE(t.app.events.empty());
  // Everything is acknowledged: nothing can be about this connection.
  t.peer.irs = seq;
  t.peer.irs_known = true;
  t.peer.syn_ack().mss(1460);
  t.peer.expect().pure_ack();
  syn.seq = seq;
  t.inject(icmp_about(syn, 3, 1));
  EXPECT_EQ(t.drops(Drop::icmp_out_of_window), ++drops);
  EXPECT_EQ(t.conn().stats().last_icmp_error, IcmpError::none);
}

TEST(IcmpError, about_a_connection_that_is_not__is_dropped_and_counted) {
  Trace t;
  t.connect();
  Packet syn = t.peer.expect().syn().packet();
  syn.destination.port = static_cast<Port>(syn.destination.port + 1);
  t.inject(icmp_about(syn, 3, 3));
  EXPECT_EQ(t.drops(Drop::icmp_no_connection), 1u);
  EXPECT_TRUE(t.app.events.empty());
}

TEST(IcmpError, in_time_wait__nothing) {
  Trace t;
  t.listen();
  t.peer.open();
  t.with([](Conn& c) { c.close(); });
  const Packet fin = t.peer.expect().fin().packet();
  t.peer.fin();
  t.peer.expect().pure_ack();
  t.inject(icmp_about(fin, 3, 3));
  EXPECT_EQ(t.drops(Drop::icmp_no_connection), 1u);
  EXPECT_EQ(usage_of(t.core()).time_wait, 1u);
}

TEST(IcmpError, flood__is_looked_into_up_to_a_limit_by_second) {
  Trace t;
  t.connect();
  Packet syn = t.peer.expect().syn().packet();
  t.advance(1s - t.now().time_since_epoch() % 1s);
  while (t.peer.poll()) {
  }
  syn.seq += 1;
  for (int i = 0; i < 10500; ++i) t.inject(icmp_about(syn, 3, 3));
  EXPECT_EQ(t.drops(Drop::icmp_out_of_window), 10000u);
  EXPECT_EQ(t.drops(Drop::icmp_rate_limited), 500u);
  syn.seq -= 1;
  t.advance(1s);
  while (t.peer.poll()) {
  }
  t.inject(icmp_about(syn, 3, 3));
  EXPECT_EQ(t.app.events, std::vector<std::string>{"closed:unreachable"});
}

TEST(IcmpError, names__each_has_its_own) {
  EXPECT_EQ(name(IcmpError::none), "none");
  EXPECT_EQ(name(IcmpError::host_unreachable), "host_unreachable");
  EXPECT_EQ(name(IcmpError::parameter_problem), "parameter_problem");
}

}  // namespace
}  // namespace handfast::test
