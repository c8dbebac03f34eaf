// SPDX-License-Identifier: BSD-3-Clause
// Seeds for F5 that lead into what random ops do not find by themselves: recovery, path MTU, ECN, Fast Open,
// urgent data, keep-alive, cookies, the algorithms of congestion control, header prediction. Layer: fuzz.
#include "fuzz/program.hpp"
#include "fuzz/seeds.hpp"

namespace handfast::fuzz {
namespace {

using enum OpKind;

Op op(OpKind kind, std::uint16_t value = 0, std::uint8_t extra = 0) {
  Op o;
  o.kind = kind;
  o.value = value;
  o.extra = extra;
  o.window = 65535;
  return o;
}
Op segment_of(std::uint8_t flags, std::uint8_t bases = 0, std::uint16_t length = 0,
              std::uint8_t options = 0) {
  Op o = op(segment);
  o.flags = flags;
  o.bases = bases;
  o.length = length;
  o.options = options;
  return o;
}
Op data(std::uint16_t length) { return segment_of(0x18, 0, length); }
/// Nothing new; one block, from the nth segment on; with `again`, the D-SACK of what arrived twice.
Op sack(unsigned nth, bool again = false) {
  Op o = segment_of(0x10, 0x03, 0, static_cast<std::uint8_t>(0x08 | (again ? 0x20 : 0)));
  o.extra = static_cast<std::uint8_t>(nth << 2);
  return o;
}
Op joined(Op o) {  // into the burst of the next
  o.peer |= 0x80;
  return o;
}
Op too_big(std::uint16_t mtu) {
  Op o = op(icmp, mtu);
  o.length = 1460;
  return o;
}
Op marked(Op o) {
  o.extra |= 3;
  return o;
}

using Ops = std::vector<Op>;
Ops operator+(Ops a, const Ops& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}
Ops times(unsigned n, const Ops& ops) {
  Ops all;
  for (; n != 0; --n) all = all + ops;
  return all;
}

constexpr std::uint16_t quarter_second = 0x0aff, two_seconds = 0x0dff, eighteen_minutes = 0x16ff;

struct Way {
  const char* name;
  std::uint8_t variant;
  Ops ops;
};

/// Half a dozen round trips, then two losses of which one is repaired by the timer.
Ops transfer_with_loss() {
  const Ops round{op(write, 16000, 1), op(time, 0x04ff), op(orderly)};
  return Ops{op(handshake)} + times(6, round) +
         Ops{op(write, 16000), sack(1), sack(2), sack(3), op(time, 0x06ff), op(orderly)} + times(2, round) +
         Ops{op(write, 16000), op(deadline), sack(5),       sack(4),
             op(deadline),     op(deadline), sack(1, true), op(orderly)} +
         times(3, round);
}

Ops each_configuration() {
  Ops all;
  for (int i = 0; i < 20; ++i) all.push_back(op(listen, 11, static_cast<std::uint8_t>(0x80 + 12 + i)));
  return all;
}

std::vector<Way> ways() {
  const Op open = op(handshake), ack = op(orderly), fin = op(finish), due = op(deadline), call = op(connect);
  const Ops exchange{data(100), op(write, 300), ack};
  const Ops cookie{segment_of(0x02, 0, 0, 0x59), ack, segment_of(0x04)};
  return {
      {"recovery_cubic", 0, transfer_with_loss()},
      {"recovery_new_reno", 1, transfer_with_loss()},
      {"recovery_bbr", 2, transfer_with_loss()},
      {"recovery_dctcp", 3, transfer_with_loss()},
      {"recovery_without_sack", 5,
       Ops{open, op(write, 16000), ack, op(write, 16000)} + times(5, {segment_of(0x10, 0x03)}) +
           Ops{segment_of(0x10, 0x06), ack}},
      {"recovery_paced", 12, transfer_with_loss()},
      {"reneging", 0, {open, op(write, 16000), sack(0), sack(1), due, due, due, ack}},
      {"spurious_timeout",
       4,
       {open, op(write, 8000), due, due, segment_of(0x10, 0x06), op(write, 3000), segment_of(0x10, 0x06),
        ack}},
      {"path_too_big",
       0,
       {open, op(write, 16000), too_big(900), too_big(600), ack, op(write, 9000), ack,
        op(time, eighteen_minutes), op(write, 9000), ack, ack}},
      {"path_too_big_in_doubt",
       0,
       {open, op(write, 9000), ack, op(write, 16000), too_big(700), due, due, ack, op(write, 9000), ack}},
      {"path_search", 13,
       Ops{open} + times(8, {op(write, 16000), op(time, 0x04ff), ack, ack}) +
           Ops{op(write, 16000), sack(1), sack(2), ack}},
      {"path_black_hole", 0,
       Ops{open, op(write, 16000)} + times(14, {due}) + Ops{ack, op(write, 16000), ack}},
      {"ecn", 8,
       Ops{open, op(write, 16000), ack, op(write, 16000), segment_of(0x50, 0x06), ack, marked(data(100)),
           data(100), segment_of(0x98, 0, 10), marked(data(9))}},
      {"ecn_dctcp", 3,
       Ops{segment_of(0xc2, 0, 0, 0x19), ack} +
           times(5, {op(write, 9000), segment_of(0x50, 0x06), segment_of(0x50), marked(data(50)), data(50)})},
      {"fast_open_server", 0,
       cookie + Ops{segment_of(0x02, 0, 300, 0x59), op(write, 500), due, ack, data(10), fin, op(close), ack}},
      {"fast_open_client", 0,
       cookie + Ops{op(connect, 0, 1), segment_of(0x12, 0, 0, 0x59), data(5), segment_of(0x04),
                    joined(op(connect, 0, 1)), op(write, 5000), segment_of(0x12, 0, 0, 0x59), ack, ack}},
      {"fast_open_unanswered", 0,
       cookie + Ops{op(connect, 0, 1), segment_of(0x12, 0, 0, 0x59), segment_of(0x04),
                    joined(op(connect, 0, 1)), op(write, 700), due, due, due, open, ack}},
      {"urgent",
       0,
       {open, op(write, 200, 3), op(write, 100), ack, segment_of(0x38, 0, 50), segment_of(0x30),
        op(write, 10, 3), due, ack}},
      {"keep_alive", 11,
       Ops{open, data(10)} + times(3, {op(time, two_seconds)}) + Ops{ack} +
           times(12, {op(time, two_seconds)})},
      {"cookies", 9, Ops{open} + exchange + Ops{fin, op(close), ack}},
      {"cookies_one_place", 10, {segment_of(0x02, 0, 0, 0x19), open, data(10), op(close), ack, fin}},
      {"predicted", 0, Ops{open} + times(6, exchange) + Ops{fin, op(close), ack}},
      {"predicted_active", 0,
       Ops{call, open} + times(4, {op(write, 100), data(900)}) +
           Ops{op(close), ack, segment_of(0x19, 0, 40)}},
      {"predicted_close", 0, Ops{open, data(60), joined(op(write, 1000)), op(close), ack, fin}},
      {"idle_restart", 0,
       Ops{open} + times(3, {op(write, 16000), ack}) +
           Ops{op(time, two_seconds), op(write, 16000), ack, op(time, eighteen_minutes), op(write, 50), ack}},
      {"change_of_algorithm", 2,
       Ops{call, op(settings, 0, 6), open, op(write, 9000), op(settings, 2, 6), ack, op(write, 9000),
           op(settings, 3, 6), sack(1), op(settings, 1, 6), ack}},
      {"refused_calls", 0,
       Ops{op(listen, 0, 0x80), op(listen, 1, 0x80), op(listen, 2, 0x80), op(listen, 3, 0x80), op(listen, 4, 0x80), op(listen, 5, 0x80), op(listen, 6, 0x80),
           op(listen, 7, 0x80), op(listen, 7, 0x81), op(listen, 7, 0x82), op(listen, 7, 0x83), op(listen, 7, 0x84), op(listen, 8, 0x80), op(listen, 9, 0x80),
           op(listen, 10, 0x80), op(listen, 12, 0x80), open, data(10), op(listen, 4, 0x80), op(listen, 12, 0x80)}},
      {"refused_configurations", 0, each_configuration()},
      {"connect_chosen_port", 0, Ops{op(connect, 0x8000), open, op(write, 3000), ack, data(500), op(close), ack, fin}},
      {"connect_itself", 0, Ops{op(connect, 0x4000), ack, op(manners, 0, 4), op(connect, 0x4000), ack, op(time, two_seconds)}},
      {"beyond_many_gaps", 0,
       Ops{open} + times(12, {segment_of(0x18, 0x90, 20), segment_of(0x18, 0x81, 20)}) +
           Ops{segment_of(0x11, 0x90), op(time, quarter_second), data(1460), data(1460)}},
  };
}

}  // namespace

void add_connection_seeds(Seeds& seeds) {
  for (const Way& way : ways()) {
    const auto program = write_program({way.variant, 0, 0, 0}, way.ops);
    seeds.add("connection", way.name, std::as_bytes(std::span{program}));
    // The same for a stack that is dropped at the end of it.
    if (way.variant != 0) continue;
    const auto dropped = write_program({way.variant, 4, 0, 30}, way.ops);
    seeds.add("connection", std::string{"dropped_"} + way.name, std::as_bytes(std::span{dropped}));
  }
}

}  // namespace handfast::fuzz
