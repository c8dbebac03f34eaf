// SPDX-License-Identifier: BSD-3-Clause
// SEND: segmentation, Nagle and cork, the send buffer and on_writable, references and buffers and when they
// are let go. Layer: tests of the protocol, through frames alone.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "support/peer.hpp"
#include "support/usage.hpp"

namespace handfast::test {
namespace {

std::string pattern(std::size_t n, std::uint32_t from = 0) {
  std::string s(n, '\0');
  for (std::size_t i = 0; i < n; ++i) s[i] = static_cast<char>('a' + (from + i) % 23 + (from + i) / 1000 % 3);
  return s;
}

// MUST-61
TEST(SendCall, two_full_segments_and_a_rest__psh_on_the_last) {
  Trace t;
  t.listen();
  t.peer.open();
  const std::string all = pattern(3000);
  t.with([&](Conn& c) { EXPECT_EQ(c.send(all), 3000u); });
  auto a = t.peer.expect();
  auto b = t.peer.expect();
  a.flags(ACK).seq(1).data(all.substr(0, 1460));
  b.flags(ACK).seq(1461).data(all.substr(1460, 1460));
  EXPECT_FALSE(a.packet().has(PSH));
  EXPECT_TRUE(t.peer.quiet()) << "Nagle: the rest waits for an ACK";
  t.peer.ack();
  auto rest = t.peer.expect();
  rest.seq(2921).data(all.substr(2920));
  EXPECT_TRUE(rest.packet().has(PSH));
  t.peer.ack();
  EXPECT_EQ(t.app.record().sent, 3000u);
  EXPECT_EQ(t.conn().unacked(), 0u);
  EXPECT_EQ(t.conn().stats().bytes_sent, 3000u);
}

// SHLD-27, SHLD-28
TEST(SendCall, from_many_small_pieces__segments_are_full) {
  Trace t;
  t.listen();
  t.peer.open();
  std::string all;
  t.with([&](Conn& c) {
    for (std::uint32_t i = 0; i < 2920 / 20; ++i) {
      all += pattern(20, 20 * i);
      EXPECT_EQ(c.send(pattern(20, 20 * i)), 20u);
    }
  });
  t.peer.expect().data(all.substr(0, 1460));
  t.peer.expect().data(all.substr(1460));
  t.expect_nothing();
}

TEST(SendCall, from_many_static_pieces_of_odd_length__bytes_and_checksum_are_right) {
  Trace t;
  t.listen();
  t.peer.open();
  static constexpr std::string_view pieces[] = {"a", "bcd", "efghi", "j",       "klm", "nopqrst",
                                                "u", "vwx", "yz",    "0123456", "7"};
  std::string all, got;
  t.with([&](Conn& c) {
    c.set_nodelay(true);
    for (const auto piece : pieces) {
      all += piece;
      EXPECT_EQ(c.send_static(piece), piece.size());
    }
  });
  while (auto p = t.peer.poll()) got += p->payload;
  EXPECT_EQ(got, all);
}

// SHLD-7, MAY-16, rfc1122 4.2.3.4
TEST(Nagle, on__a_small_segment_waits_while_another_is_unacknowledged) {
  Trace t;
  t.listen();
  t.peer.open();
  t.with([](Conn& c) { c.send("one"); });
  t.peer.expect().data("one");
  t.with([](Conn& c) { c.send("two"); });
  t.with([](Conn& c) { c.send("three"); });
  t.expect_nothing_until(100ms);
  t.peer.ack();
  t.peer.expect().data("twothree");
}

// MUST-17
TEST(Nagle, off__small_segments_leave_at_once) {
  Trace t;
  t.listen();
  t.peer.open();
  t.with([](Conn& c) {
    c.set_nodelay(true);
    c.send("one");
  });
  t.with([](Conn& c) { c.send("two"); });
  t.peer.expect().data("one");
  t.peer.expect().data("two");
}

// MUST-17
TEST(Nagle, switched_off_while_bytes_wait__they_leave) {
  Trace t;
  t.listen();
  t.peer.open();
  t.with([](Conn& c) { c.send("one"); });
  t.with([](Conn& c) { c.send("two"); });
  t.peer.expect().data("one");
  t.expect_nothing();
  t.with([](Conn& c) { c.set_nodelay(true); });
  t.peer.expect().data("two");
}

TEST(Nagle, config_off__is_off_from_the_start) {
  CoreConfig config = small_config();
  config.tcp.nagle = false;
  Trace t{config};
  t.listen();
  t.peer.open();
  t.with([](Conn& c) { c.send("one"); });
  t.with([](Conn& c) { c.send("two"); });
  t.peer.expect().data("one");
  t.peer.expect().data("two");
}

TEST(Nagle, fin_takes_the_small_rest_along) {
  Trace t;
  t.listen();
  t.peer.open();
  t.with([](Conn& c) { c.send("one"); });
  t.with([](Conn& c) {
    c.send("two");
    c.close();
  });
  t.peer.expect().data("one");
  t.peer.expect().flags(FIN | ACK).data("two");
}

TEST(Cork, holds_small_segments_until_uncork__full_ones_leave) {
  Trace t;
  t.listen();
  t.peer.open();
  t.with([](Conn& c) {
    c.cork();
    c.send(std::string(1500, 'x'));
  });
  t.peer.expect().length(1460);
  t.expect_nothing_until(50ms);
  t.with([](Conn& c) { c.send("y"); });
  t.peer.ack();
  t.expect_nothing_until(10ms);
  t.with([](Conn& c) { c.uncork(); });
  t.peer.expect().data(std::string(40, 'x') + "y");
}

// MUST-60
TEST(Cork, forgotten__override_timeout_sends) {
  Trace t;
  t.listen();
  t.peer.open();
  t.with([](Conn& c) {
    c.cork();
    c.send("small");
  });
  EXPECT_EQ(t.advance_to_frame(2s), 200ms);
  t.peer.expect().data("small");
}

TEST(SendBuffer, full__takes_a_part_and_on_writable_comes_once_there_is_room) {
  CoreConfig config = small_config();
  config.tcp.send_buffer = 4096;
  Trace t{config};
  t.listen();
  t.peer.open();
  t.with([](Conn& c) {
    EXPECT_EQ(c.writable(), 4096u);
    EXPECT_EQ(c.send(std::string(5000, 'x')), 4096u);
    EXPECT_EQ(c.writable(), 0u);
    EXPECT_EQ(c.send("y"), 0u);
    EXPECT_EQ(c.send_static("y"), 0u);
    EXPECT_FALSE(c.send_ref(std::as_bytes(std::span{"y", 1}), nullptr,
                            [](void*, std::span<const std::byte>) { FAIL(); }));
  });
  EXPECT_EQ(t.app.record().writable, 0);
  t.peer.expect().length(1460);
  t.peer.ack();
  EXPECT_EQ(t.app.record().writable, 1);
  while (t.peer.poll()) {
  }
  t.peer.ack();
  EXPECT_EQ(t.app.record().writable, 1) << "once for each refusal";
}

TEST(SendBuffer, send_in_on_writable__a_stream_of_any_length_is_exact) {
  CoreConfig config = small_config();
  config.tcp.send_buffer = 8192;
  Trace t{config};
  const std::string all = pattern(100000);
  std::size_t queued = 0;
  const auto feed = [&](Conn& c) { queued += c.send(std::string_view{all}.substr(queued)); };
  t.app.accepted = feed;
  t.app.writable = feed;
  t.listen();
  t.peer.open();
  std::string got;
  for (int i = 0; i < 1000 && got.size() < all.size(); ++i) {
    while (auto p = t.peer.poll()) got += p->payload;
    t.peer.ack();
  }
  EXPECT_EQ(got, all);
}

TEST(SendBuffer, memory_used_up__a_part_is_taken_and_the_rest_later) {
  CoreConfig config = small_config();
  config.limits.buffer_memory = 64 << 10;
  Trace t{config};
  t.listen();
  t.peer.open();
  std::size_t taken = 0;
  t.with([&](Conn& c) { taken = c.send(std::string(200000, 'm')); });
  EXPECT_GT(taken, 0u);
  EXPECT_LE(taken, 64u << 10);
  for (int i = 0; i < 200; ++i) {
    while (t.peer.poll()) {
    }
    t.peer.ack();
  }
  EXPECT_EQ(t.app.record().sent, taken);
  EXPECT_GE(t.app.record().writable, 1);
}

TEST(SendBuffer, memory_used_up_by_others__on_writable_follows_when_they_give_it_back) {
  CoreConfig config = small_config();
  config.limits.buffer_memory = 256 << 10;
  Trace t{config};
  t.listen();
  t.peer.open();
  t.with([](Conn& c) {
    while (c.send(std::string(2048, 'm')) != 0) {
    }
  });
  auto other = t.another_peer(41000);
  other->open();
  const ConnId poor = t.app.last();
  t.with([](Conn& c) { EXPECT_EQ(c.send("nothing goes"), 0u); });
  EXPECT_EQ(t.app.records[poor].writable, 0);
  t.app.writable = [&](Conn& c) {
    if (c.id() != poor) return;
    EXPECT_EQ(c.send("now it does"), 11u);
  };
  for (int i = 0; i < 200; ++i) {
    while (t.peer.poll()) {
    }
    t.peer.ack();
  }
  EXPECT_EQ(t.app.records[poor].writable, 1) << "it has nothing in flight: no ACK will ever wake it";
  other->expect().data("now it does");
}

struct Released {
  std::vector<std::size_t> sizes;
  static void call(void* self, std::span<const std::byte> bytes) {
    static_cast<Released*>(self)->sizes.push_back(bytes.size());
  }
};

TEST(SendRef, released_when_the_last_byte_is_acknowledged_and_once) {
  Trace t;
  Released r;
  const std::string bytes = pattern(2000);
  t.listen();
  t.peer.open();
  t.with([&](Conn& c) { EXPECT_TRUE(c.send_ref(std::as_bytes(std::span{bytes}), &r, Released::call)); });
  t.peer.expect().data(bytes.substr(0, 1460));
  t.peer.ack();
  EXPECT_TRUE(r.sizes.empty());
  t.peer.expect().data(bytes.substr(1460));
  t.peer.ack();
  EXPECT_EQ(r.sizes, std::vector<std::size_t>{2000});
}

TEST(SendRef, partly_acknowledged_then_aborted__released_once_and_whole) {
  Trace t;
  Released r;
  const std::string bytes = pattern(4000);
  t.listen();
  t.peer.open();
  t.with([&](Conn& c) { EXPECT_TRUE(c.send_ref(std::as_bytes(std::span{bytes}), &r, Released::call)); });
  t.peer.expect();
  t.peer.ack().ack(701);
  t.with([](Conn& c) { c.abort(); });
  EXPECT_EQ(r.sizes, std::vector<std::size_t>{4000});
  while (t.peer.poll()) {
  }
}

TEST(SendRef, reset_by_peer__released_once) {
  Trace t;
  Released r;
  const std::string bytes = pattern(100);
  t.listen();
  t.peer.open();
  t.with([&](Conn& c) {
    for (int i = 0; i < 3; ++i) EXPECT_TRUE(c.send_ref(std::as_bytes(std::span{bytes}), &r, Released::call));
  });
  t.peer.expect();
  t.peer.rst();
  EXPECT_EQ(r.sizes, (std::vector<std::size_t>{100, 100, 100}));
}

TEST(SendRef, stack_destroyed__released_once) {
  Released r;
  const std::string bytes = pattern(100);
  {
    Trace t;
    t.listen();
    t.peer.open();
    t.with([&](Conn& c) { EXPECT_TRUE(c.send_ref(std::as_bytes(std::span{bytes}), &r, Released::call)); });
    t.peer.expect();
  }
  EXPECT_EQ(r.sizes.size(), 1u);
}

TEST(TxBuf, written_and_sent__no_copy_and_given_back_on_ack) {
  Trace t;
  t.listen();
  t.peer.open();
  t.with([](Conn& c) {
    TxBuf buffer = c.core().allocate();
    ASSERT_TRUE(buffer);
    EXPECT_GE(buffer.room().size(), 1460u);
    std::ranges::fill(buffer.room(), std::byte{'t'});
    buffer.resize(1000);
    EXPECT_TRUE(c.send(std::move(buffer)));
    EXPECT_FALSE(buffer);
  });
  EXPECT_EQ(usage_of(t.core()).chunks, 1u);
  t.peer.expect().data(std::string(1000, 't'));
  t.peer.ack();
  EXPECT_EQ(usage_of(t.core()).chunks, 0u);
}

TEST(TxBuf, sent_then_send__what_follows_does_not_overwrite_it) {
  Trace t;
  t.listen();
  t.peer.open();
  t.with([](Conn& c) {
    TxBuf buffer = c.core().allocate();
    std::ranges::fill(buffer.room(), std::byte{'t'});
    buffer.resize(10);
    EXPECT_TRUE(c.send(std::move(buffer)));
    EXPECT_EQ(c.send("after"), 5u);
  });
  t.peer.expect().data(std::string(10, 't') + "after");
}

TEST(TxBuf, dropped_unsent__given_back) {
  Trace t;
  {
    const TxBuf buffer = t.core().allocate();
    EXPECT_EQ(usage_of(t.core()).chunks, 1u);
  }
  EXPECT_EQ(usage_of(t.core()).chunks, 0u);
}

TEST(TxBuf, refused_by_a_closed_connection__still_the_callers) {
  Trace t;
  t.listen();
  t.peer.open();
  t.with([](Conn& c) {
    TxBuf buffer = c.core().allocate();
    buffer.resize(10);
    c.shutdown_write();
    EXPECT_FALSE(c.send(std::move(buffer)));
    EXPECT_TRUE(buffer);
  });
  t.peer.expect().fin();
}

TEST(RxBuf, taken_and_sent_on__the_bytes_go_without_a_copy_and_come_back_on_ack) {
  Trace t;
  t.app.data = [](Conn& c, const RxView& in) {
    RxBuf buffer = in.take();
    EXPECT_FALSE(buffer.empty());
    EXPECT_TRUE(in.take().empty()) << "once by view";
    EXPECT_TRUE(c.send(std::move(buffer)));
    return in.size();
  };
  t.listen();
  t.peer.open();
  t.peer.ack().data("echo me");
  EXPECT_EQ(t.stack().buffers_in_use(), 1u);
  t.peer.expect().data("echo me").ack(8);
  t.peer.ack();
  EXPECT_EQ(t.stack().buffers_in_use(), 0u);
}

TEST(RxBuf, kept_beyond_the_callback__readable_until_destroyed) {
  Trace t;
  RxBuf kept;
  t.app.data = [&](Conn&, const RxView& in) {
    kept = in.take();
    return in.size();
  };
  t.listen();
  t.peer.open();
  t.peer.ack().data("keep me");
  t.app.data = nullptr;
  for (int i = 0; i < 100; ++i) t.peer.ack().data("other bytes");
  EXPECT_EQ(std::string(reinterpret_cast<const char*>(kept.bytes().data()), kept.bytes().size()), "keep me");
  EXPECT_EQ(t.stack().buffers_in_use(), 1u);
  kept = RxBuf{};
  t.poll();
  EXPECT_EQ(t.stack().buffers_in_use(), 0u);
  while (t.peer.poll()) {
  }
}

TEST(RxBuf, sent_and_aborted__given_back) {
  Trace t;
  t.app.data = [](Conn& c, const RxView& in) {
    EXPECT_TRUE(c.send(in.take()));
    return in.size();
  };
  t.listen();
  t.peer.open();
  t.peer.ack().data("echo me");
  t.peer.expect();
  t.with([](Conn& c) { c.abort(); });
  EXPECT_EQ(t.stack().buffers_in_use(), 0u);
  t.peer.expect().rst_ack();
}

}  // namespace
}  // namespace handfast::test
