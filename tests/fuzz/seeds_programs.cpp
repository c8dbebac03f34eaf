// SPDX-License-Identifier: BSD-3-Clause
// Seeds for the targets that take programs or text: a way into each state, and out of it. Layer: fuzz.
#include <algorithm>

#include "fuzz/program.hpp"
#include "fuzz/seeds.hpp"

namespace handfast::fuzz {
namespace {

Op op(OpKind kind, std::uint16_t value = 0, std::uint8_t extra = 0) {
  Op o;
  o.kind = kind;
  o.value = value;
  o.extra = extra;
  o.window = 65535;
  return o;
}
Op data(std::uint16_t length, std::int16_t seq = 0) {
  Op o = op(OpKind::segment);
  o.flags = 0x18;
  o.length = length;
  o.seq = seq;
  return o;
}
Op flags(std::uint8_t bits, std::uint8_t bases = 0) {
  Op o = op(OpKind::segment);
  o.flags = bits;
  o.bases = bases;
  return o;
}

/// With the zero bytes that are in it.
template <std::size_t N>
std::string_view text(const char (&literal)[N]) {
  return {literal, N - 1};
}

struct Way {
  const char* name;
  std::vector<Op> ops;
};

std::vector<Way> ways() {
  using enum OpKind;
  const Op open = op(handshake), call = op(connect), ack = op(orderly), fin = op(finish), later = op(time, 0x0fff);
  return {
      {"established", {open, data(100), ack}},
      {"syn_received", {flags(0x02), op(deadline), op(deadline)}},
      {"simultaneous_open", {call, flags(0x02), flags(0x12), ack}},
      {"connect", {call, open, op(write, 3000), ack, fin, op(close), ack}},
      {"refused", {call, flags(0x14)}},
      {"fin_wait_2", {open, op(shut), ack, data(10), fin, later}},
      {"orphan", {open, op(close), ack, later, later}},
      {"closing", {open, op(close), flags(0x11, 0x04), ack, later}},
      {"close_wait", {open, fin, op(write, 500), ack, op(close), ack}},
      {"time_wait_reopen", {open, op(close), ack, fin, open, data(5)}},
      {"gap", {open, data(100, 100), data(100, 300), data(100), data(100, 200)}},
      {"loss", {open, op(write, 16000), ack, op(write, 16000), flags(0x10, 0x03), flags(0x10, 0x03), op(deadline), op(deadline), ack}},
      {"zero_window", {open, op(write, 9000), flags(0x10), op(deadline), op(deadline), ack}},
      {"unread", {op(manners, 0, 2), open, data(1000), data(1000), op(read, 1500), op(close)}},
      {"reset", {open, data(10), flags(0x04)}},
      {"challenge", {open, flags(0x02), flags(0x04, 0xb0), flags(0x10, 0xe0)}},
      {"unreachable", {open, op(write, 5000), op(icmp, 600), op(icmp, 0, 1), later}},
      {"fast_open", {flags(0x02), open, data(50), fin, op(close), ack}},
      {"shortage", {open, op(hoard, 127), op(write, 9000), data(1000, 5), op(no_buffers, 2, 1), ack, op(full_ring, 0, 1), ack}},
      {"clock", {open, op(write, 100), op(jump, 0, 1), ack, op(jump, 300, 0), data(3)}},
      {"shut_while_connecting", {call, op(write, 10), op(shut), open, ack, fin}},
  };
}

}  // namespace

void add_program_seeds(Seeds& seeds) {
  const auto bytes_of = [](const std::vector<std::uint8_t>& v) { return std::as_bytes(std::span{v}); };
  std::uint8_t variant = 0;
  for (const Way& way : ways()) {
    const auto program = write_program({static_cast<std::uint8_t>(variant++ % 18), 0, 0, 0}, way.ops);
    seeds.add("connection", way.name, bytes_of(program));
  }
  // Step: end and kind, then a value. 10 connects, 9 delivers all, 12 writes, 14 shuts (4) or closes, 5 loses, 7 waits.
  const auto schedule = [&](const char* name, std::vector<std::uint8_t> steps) {
    steps.insert(steps.begin(), {0, 16, 16, 1});
    seeds.add("pair", name, bytes_of(steps));
  };
  const auto all = std::uint8_t{9 << 1}, wait = std::uint8_t{7 << 1}, lose = std::uint8_t{5 << 1};
  schedule("exchange", {10 << 1, 0, all, 0, all, 0, 12 << 1, 100, all, 0, 25, 200, all, 0, 14 << 1, 0, all, 0, all, 0});
  schedule("loss", {10 << 1, 0, all, 0, all, 0, 12 << 1, 255, lose, 1, all, 0, wait, 0, all, 0, lose, 0, wait, 0, all, 0});
  schedule("half_close", {10 << 1, 1, all, 0, all, 0, 14 << 1, 4, all, 0, 25, 100, all, 0, 29, 0, all, 0});
  seeds.add("http", "request", text("\0\1GET /a?b HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\nHEAD / HTTP/1.0\r\n\r\n"));
  seeds.add("http", "body", text("\0\2GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhelloGET http://h/p HTTP/1.1\r\nHost: h\r\n\r\n"));
  seeds.add("http", "response", text("\1\1HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcHTTP/1.1 304 X\r\n\r\n"));
  seeds.add("http", "chunked", text("\1\3HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x\r\nabc\r\n0\r\nT: 1\r\n\r\n"));
  seeds.add("words", "line", text("\0--dev tap:hf0 --address 10.0.0.2/24 --mtu 1500 load --target 10.0.0.1:80 --rate 100k --duration 10s"));
  seeds.add("words", "file", text("\1dev = \"tap:hf0\"\naddress = \"10.0.0.2/24\"\n[load]\ntarget = \"10.0.0.1:80\"\nrate = \"500\"\n"));
  seeds.add("words", "address", text("\00210.0.0.255"));
  seeds.add("words", "prefix", text("\00310.0.0.2/24"));
  seeds.add("words", "endpoint", text("\00410.0.0.1:80"));
  seeds.add("words", "mac", text("\00502:00:00:00:00:aF"));
  seeds.add("words", "memif", text("\006memif:/run/a.sock,role=server,bsize=2048"));
  seeds.add("words", "pcap", text("\006pcap:in.pcap,out.pcap"));
  seeds.add("words", "pci", text("\006pci:0000:03:00.0"));
  seeds.add("words", "duration", text("\011250ms"));
  seeds.add("words", "size", text("\01316KiB"));
  seeds.add("words", "rate", text("\013100k/s"));
}

}  // namespace handfast::fuzz
