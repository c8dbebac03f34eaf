// SPDX-License-Identifier: BSD-3-Clause
// One program for each row of the protocol that is worth a look of its own. Layer: differential test.
#include "program.hpp"
#include "support/packet.hpp"

namespace handfast::differential {

using test::ACK, test::FIN, test::PSH, test::RST, test::SYN;

namespace {

Op seg(std::uint8_t flags, std::uint32_t length = 0) {
  Op o;
  o.kind = Op::Kind::segment;
  o.flags = flags;
  o.length = length;
  return o;
}
Op call(Op::Kind kind) {
  Op o;
  o.kind = kind;
  return o;
}
Op write(std::uint32_t bytes) {
  Op o = call(Op::Kind::write);
  o.bytes = bytes;
  return o;
}
Op at(Op o, From from, std::int64_t delta) {
  o.seq_from = from;
  o.seq = delta;
  return o;
}
Op acking(Op o, std::int64_t delta, From from = From::got) {
  o.ack_from = from;
  o.ack = delta;
  return o;
}
Op window(Op o, std::int32_t field) {
  o.window = field;
  return o;
}
Op old(Op o, std::int32_t ticks) {
  o.ts_back = ticks;
  return o;
}
Op without_ts(Op o) {
  o.no_ts = true;
  return o;
}
Op sack(Op o, std::int32_t left, std::int32_t right) {
  o.sack.emplace_back(left, right);
  return o;
}
Op data(std::uint32_t n) { return seg(PSH | ACK, n); }
Op ack() { return seg(ACK); }
Op fin() { return seg(FIN | ACK); }
Op read() { return call(Op::Kind::read); }
Op shutdown() { return call(Op::Kind::shutdown); }
Op close() { return call(Op::Kind::close); }
Op abort() { return call(Op::Kind::abort); }
Op fill() { return call(Op::Kind::fill); }
Op wait() { return call(Op::Kind::wait); }

struct List {
  std::vector<Program> all;
  Program& add(const char* name, std::vector<Op> ops) {
    Program p;
    p.name = name;
    p.iss = 0xfffffff0u - static_cast<std::uint32_t>(all.size());
    p.ops = std::move(ops);
    all.push_back(std::move(p));
    return all.back();
  }
  Program& active(const char* name, std::vector<Op> ops) {
    Program& p = add(name, std::move(ops));
    p.active = true;
    return p;
  }
};

void handshakes(List& l) {
  l.add("nothing but the handshake", {wait()});
  l.active("nothing but the handshake, active", {wait()});
  l.add("LISTEN: RST", {seg(RST)}).opened = false;
  l.add("LISTEN: ACK", {seg(ACK)}).opened = false;
  l.add("LISTEN: SYN-ACK", {seg(SYN | ACK)}).opened = false;
  l.add("LISTEN: FIN", {seg(FIN)}).opened = false;
  l.add("LISTEN: no flag", {seg(0)}).opened = false;
  l.add("LISTEN: SYN with FIN", {seg(SYN | FIN)}).opened = false;
  l.add("SYN-RECEIVED: the SYN again", {seg(SYN), at(seg(SYN), From::next, -1)}).opened = false;
  l.add("SYN-RECEIVED: a bad ACK", {seg(SYN), acking(ack(), 1), ack()}).opened = false;
  l.add("SYN-RECEIVED: an ACK that is too old", {seg(SYN), acking(ack(), -1), ack()}).opened = false;
  l.add("SYN-RECEIVED: RST, then the ACK", {seg(SYN), seg(RST), ack()}).opened = false;
  l.add("SYN-RECEIVED: RST in the window", {seg(SYN), at(seg(RST), From::next, 5), ack()}).opened = false;
  l.add("SYN-RECEIVED: RST outside", {seg(SYN), at(seg(RST), From::next, -5), ack()}).opened = false;
  l.add("SYN-RECEIVED: data with the ACK", {seg(SYN), data(100), read()}).opened = false;
  l.add("SYN-RECEIVED: FIN with the ACK", {seg(SYN), fin(), read(), close(), ack()}).opened = false;
  l.add("SYN-RECEIVED: data beyond the window", {seg(SYN), at(data(10), From::right, 1000), ack()}).opened =
      false;
  l.active("SYN-SENT: a bad ACK", {acking(ack(), 5), seg(SYN | ACK)}).opened = false;
  l.active("SYN-SENT: a good ACK without SYN", {ack(), seg(SYN | ACK)}).opened = false;
  l.active("SYN-SENT: SYN-ACK with a bad ACK", {acking(seg(SYN | ACK), 7), wait()}).opened = false;
  l.active("SYN-SENT: RST", {seg(RST), seg(SYN | ACK)}).opened = false;
  l.active("SYN-SENT: RST with a good ACK", {seg(RST | ACK), wait(), seg(SYN | ACK)}).opened = false;
  l.active("SYN-SENT: RST with a bad ACK", {acking(seg(RST | ACK), 1), seg(SYN | ACK)}).opened = false;
  l.active("SYN-SENT: FIN", {seg(FIN), seg(SYN | ACK)}).opened = false;
  l.active("SYN-SENT: data in the SYN-ACK", {seg(SYN | ACK, 50), read()}).opened = false;
  l.active("simultaneous open", {seg(SYN), ack(), data(10), read()}).opened = false;
  l.active("simultaneous open, by SYN-ACK", {seg(SYN), at(seg(SYN | ACK), From::next, -1), data(10), read()})
      .opened = false;
  l.active("closed while connecting", {close(), seg(SYN | ACK)}).opened = false;
}

void teardowns(List& l) {
  l.add("close, orderly", {close(), ack(), fin(), wait()});
  l.add("close, FIN with the ACK of FIN", {close(), fin(), fin()});
  l.add("peer closes first", {fin(), read(), close(), ack(), wait()});
  l.add("both close at once", {close(), acking(fin(), -1), ack(), wait()});
  l.add("half-close, data goes on",
        {shutdown(), ack(), data(100), read(), data(1000), fin(), read(), close()});
  l.add("peer's half-close, data goes on", {fin(), write(1000), ack(), write(10), ack(), close(), ack()});
  l.add("close with data unread", {data(100), close()});
  l.add("data after close", {close(), ack(), data(10)});
  l.add("data after close, FIN not acknowledged", {close(), acking(data(10), -1)});
  l.add("data beyond FIN", {fin(), data(10), ack()});
  l.add("FIN beyond a gap", {at(fin(), From::acked, 100), data(100), read()});
  l.add("FIN with data", {seg(FIN | PSH | ACK, 200), read(), close(), ack()});
  l.add("FIN again in CLOSE-WAIT", {fin(), at(fin(), From::next, -1), close(), ack()});
  l.add("FIN again in TIME-WAIT", {close(), ack(), fin(), at(fin(), From::next, -1)});
  l.add("FIN again in LAST-ACK", {fin(), close(), acking(at(fin(), From::next, -1), -1), ack()});
  l.add("SYN in TIME-WAIT, higher", {close(), ack(), fin(), at(seg(SYN), From::next, 100000), wait()});
  l.add("SYN in TIME-WAIT, lower", {close(), ack(), fin(), at(seg(SYN), From::next, -100000), wait()});
  l.add("RST in TIME-WAIT", {close(), ack(), fin(), seg(RST), at(fin(), From::next, -1)});
  l.add("ACK in TIME-WAIT that is too new", {close(), ack(), fin(), acking(ack(), 100)});
  l.add("data in TIME-WAIT", {close(), ack(), fin(), data(10)});
  l.add("write and close", {write(5000), close(), ack(), fin()});
  l.add("FIN-WAIT-2 without its FIN", {shutdown(), ack(), ack(), data(5), read(), fin()});
  l.add("closed: anything", {abort(), ack(), data(10), fin(), seg(SYN | ACK), seg(RST), seg(0)});
}

void resets(List& l) {
  l.add("RST exactly at RCV.NXT", {seg(RST), ack()});
  l.add("RST in the window", {at(seg(RST), From::next, 1), data(10), read()});
  l.add("RST at the last byte of the window", {at(seg(RST), From::right, -1), data(10)});
  l.add("RST beyond the window", {at(seg(RST), From::right, 0), data(10)});
  l.add("RST below the window", {at(seg(RST), From::next, -1), data(10)});
  l.add("RST with an ACK of nothing sent", {acking(seg(RST | ACK), 1000), ack()});
  l.add("RST after the application's FIN", {close(), seg(RST), ack()});
  l.add("RST in CLOSE-WAIT", {fin(), at(seg(RST), From::next, 0), ack()});
  l.add("RST in CLOSE-WAIT, off by one", {fin(), at(seg(RST), From::next, 1), ack()});
  l.add("RST beyond a gap", {at(data(100), From::acked, 100), at(seg(RST), From::acked, 200), ack()}).sack =
      true;
  l.add("RST with data", {seg(RST, 10), ack()});
  l.add("SYN in the window", {at(seg(SYN), From::next, 10), data(10), read()});
  l.add("SYN at RCV.NXT", {seg(SYN), data(10)});
  l.add("SYN outside of the window", {at(seg(SYN), From::next, -1000), data(10)});
  l.add("SYN-ACK again", {seg(SYN | ACK), data(10)});
  l.active("the SYN-ACK again, active", {at(seg(SYN | ACK), From::next, -1), data(10), read()});
  l.add("abort", {abort(), ack()});
  l.add("abort with data unread and unsent", {data(100), window(ack(), 0), write(100), abort()});
}

void acks(List& l) {
  l.add("ACK of what was not sent", {acking(ack(), 1), write(100), ack()});
  l.add("ACK of far more than was sent", {acking(ack(), 100000), write(100), ack()});
  l.add("data with an ACK of what was not sent", {acking(data(10), 1), read()});
  l.add("ACK a little too old", {write(100), ack(), write(100), acking(ack(), -150), ack()});
  l.add("ACK far too old", {acking(ack(), -100000), data(10), read()});
  l.add("data with an ACK far too old", {acking(data(10), -2000000), read()});
  l.add("segment without ACK", {seg(PSH, 10), seg(FIN), data(5), read()});
  l.add("segment without any flag", {seg(0, 10), data(5), read()});
  l.add("old data", {data(100), at(data(100), From::next, -100), read()});
  l.add("old and new data in one",
        {data(100), at(data(150), From::acked, -100), at(data(10), From::acked, 0), read()});
  l.add("data beyond the right edge", {at(data(10), From::right, 0), at(data(10), From::right, 100), read()});
  l.add("data across the right edge", {at(data(100), From::right, -50), read()});
  l.add("a byte below the window", {at(seg(ACK, 1), From::next, -1), data(10), read()});
  l.add("keep-alive probe", {at(ack(), From::next, -1), data(10), read()});
  l.add("keep-alive probe with a byte", {data(10), at(seg(ACK, 1), From::next, -1), read()});
}

void windows(List& l) {
  l.add("peer's window is zero", {window(ack(), 0), write(100), window(ack(), 1000), ack()});
  l.add("peer's window is small",
        {window(ack(), 100), write(1000), ack(), ack(), window(ack(), 65535), ack()});
  l.add("peer's window shrinks",
        {window(ack(), 2000), write(500), window(acking(ack(), -500), 100), window(ack(), 5000)});
  l.add("our window is filled and opened again",
        {fill(), fill(), fill(), fill(), fill(), fill(), read(), data(10), read()});
  l.add("beyond a window of zero",
        {fill(), fill(), fill(), fill(), fill(), fill(), data(1), at(seg(RST), From::next, 0), ack()});
}

void sacks(List& l) {
  l.add("a gap, then filled", {at(data(100), From::acked, 100), at(data(100), From::acked, 0), read()}).sack =
      true;
  l.add("two gaps", {at(data(100), From::acked, 100), at(data(100), From::acked, 300), data(100),
                     at(data(100), From::acked, 0), read()})
      .sack = true;
  l.add("a duplicate beyond a gap",
        {at(data(100), From::acked, 100), at(data(100), From::acked, 100), data(100), read()})
      .sack = true;
  l.add("a gap without SACK", {at(data(100), From::acked, 100), data(100), read()});
  l.add("a duplicate in order", {data(100), at(data(100), From::next, -100), read()}).sack = true;
  l.add("SACK of what was sent", {write(4000), sack(acking(ack(), 0, From::una), -1460, 0), ack()}).sack =
      true;
  l.add("SACK of what was not sent",
        {write(100), sack(acking(ack(), 0, From::una), 1000, 2000), ack(), write(10)})
      .sack = true;
}

void timestamps(List& l) {
  l.add("PAWS: old data", {data(10), old(data(10), 100000), data(10), read()}).ts = true;
  l.add("PAWS: an old ACK", {data(10), write(100), old(ack(), 100000), ack()}).ts = true;
  l.add("PAWS: half the circle", {data(10), old(data(10), 0x7fffff00), read()}).ts = true;
  l.add("PAWS: RST without timestamps", {data(10), old(seg(RST), 100000), ack()}).ts = true;
  l.add("data without timestamps", {without_ts(data(10)), data(10), read()}).ts = true;
  l.add("FIN without timestamps", {without_ts(fin()), read()}).ts = true;
  l.add("PAWS: old FIN", {data(10), old(fin(), 100000), read()}).ts = true;
  l.add("PAWS in TIME-WAIT",
        {data(10), read(), close(), ack(), fin(), old(at(fin(), From::next, -1), 100000)})
      .ts = true;
  l.add("SYN in TIME-WAIT, newer timestamp",
        {close(), ack(), fin(), at(seg(SYN), From::next, -100000), wait()})
      .ts = true;
}

}  // namespace

std::vector<Program> hand_picked() {
  List l;
  handshakes(l);
  teardowns(l);
  resets(l);
  acks(l);
  windows(l);
  sacks(l);
  timestamps(l);
  return std::move(l.all);
}

}  // namespace handfast::differential
