// SPDX-License-Identifier: BSD-3-Clause
// Programs: as text, and from a seed; see program.hpp. Layer: differential test.
#include "program.hpp"

#include <array>

#include "base/rng.hpp"
#include "support/packet.hpp"

namespace handfast::differential {

using test::ACK, test::FIN, test::PSH, test::RST, test::SYN, test::URG;

namespace {

std::string flags_text(std::uint8_t flags) {
  std::string s;
  constexpr std::array<std::pair<std::uint8_t, char>, 6> all{
      {{SYN, 'S'}, {FIN, 'F'}, {RST, 'R'}, {PSH, 'P'}, {ACK, 'A'}, {URG, 'U'}}};
  for (const auto& [bit, letter] : all)
    if ((flags & bit) != 0) s += letter;
  return s.empty() ? "-" : s;
}

std::string edge(From from, std::int64_t delta) {
  static constexpr std::array<const char*, 5> names{"next", "acked", "right", "got", "una"};
  std::string s = names[static_cast<std::size_t>(from)];
  if (delta != 0) s += (delta > 0 ? "+" : "") + std::to_string(delta);
  return s;
}

}  // namespace

std::string text(const Op& op) {
  using enum Op::Kind;
  switch (op.kind) {
    case segment: {
      std::string s = flags_text(op.flags) + " seq=" + edge(op.seq_from, op.seq);
      if ((op.flags & ACK) != 0) s += " ack=" + edge(op.ack_from, op.ack);
      if (op.length != 0) s += " len=" + std::to_string(op.length);
      if (op.window >= 0) s += " win=" + std::to_string(op.window);
      if (op.ts_back != 0) s += " ts-" + std::to_string(op.ts_back);
      if (op.no_ts) s += " no-ts";
      for (const auto& [l, r] : op.sack) s += " sack=" + std::to_string(l) + ".." + std::to_string(r);
      return s;
    }
    case fill:
      return "fill the window";
    case write:
      return "write " + std::to_string(op.bytes);
    case read:
      return "read";
    case shutdown:
      return "shutdown";
    case close:
      return "close";
    case abort:
      return "abort";
    case wait:
      return "wait";
  }
  return "?";
}

std::string text(const Program& p) {
  std::string s = p.name + (p.active ? ": active" : ": passive") + (p.opened ? ", open" : ", from the start");
  if (p.ts) s += ", timestamps";
  if (p.sack) s += ", SACK";
  if (p.wscale) s += ", scale";
  for (std::size_t i = 0; i < p.ops.size(); ++i) s += "\n    " + std::to_string(i) + ": " + text(p.ops[i]);
  return s;
}

namespace {

class Generator {
 public:
  explicit Generator(std::uint64_t seed) : rng_(seed * 0x9e3779b97f4a7c15u + 1) {}

  Program program() {
    Program p;
    p.active = rng_.below(3) == 0;
    p.opened = rng_.below(6) != 0;
    p.ts = rng_.below(2) == 0;
    p.sack = rng_.below(2) == 0;
    p.wscale = rng_.below(2) == 0;
    p.iss = 0u - rng_.below(4000);
    const std::uint32_t count = 4 + rng_.below(8);
    // What is sent is acknowledged before a retransmission timer runs out: the two differ in those, and may.
    std::uint32_t since_ack = 0;
    for (std::uint32_t i = 0; i < count; ++i) {
      p.ops.push_back(since_ack >= 1 ? segment(ACK) : op(p, i));
      const Op& o = p.ops.back();
      const bool acks = (o.flags & ACK) != 0 && o.seq_from == From::next && o.seq == 0 &&
                        o.ack_from == From::got && o.ack == 0;
      since_ack = acks || (since_ack == 0 && o.kind == Op::Kind::segment) ? 0 : since_ack + 1;
    }
    return p;
  }

 private:
  template <std::size_t n>
  std::int64_t one_of(const std::int64_t (&values)[n]) {
    return values[rng_.below(n)];
  }

  Op op(const Program& p, std::uint32_t i) {
    if (!p.opened && i == 0) return segment(static_cast<std::uint8_t>(p.active ? SYN | ACK : SYN));
    const std::uint32_t kind = rng_.below(100);
    if (kind < 20) return data();
    if (kind < 28) return segment(ACK);
    if (kind < 33) return segment(FIN | ACK);
    if (kind < 40) return beyond_a_gap();
    if (kind < 62) return odd();
    return call(kind);
  }
  static Op segment(std::uint8_t flags) {
    Op o;
    o.kind = Op::Kind::segment;
    o.flags = flags;
    return o;
  }
  Op data() {
    Op o = segment(PSH | ACK);
    o.length = 1 + rng_.below(1400);
    return o;
  }
  Op beyond_a_gap() {
    Op o = data();
    o.seq_from = From::acked;
    o.seq = 100 + rng_.below(3000);
    return o;
  }
  Op odd() {
    static constexpr std::array<std::uint8_t, 10> flags{RST, RST | ACK, SYN, SYN | ACK, FIN | ACK,
                                                        ACK, ACK,       0,   FIN,       PSH | ACK};
    Op o = segment(flags[rng_.below(flags.size())]);
    o.seq_from = static_cast<From>(rng_.below(3));
    o.seq = one_of({0, 0, 0, -1, 1, -500, 500, -100000, 100000, 0x7fffffff});
    o.ack_from = rng_.below(4) == 0 ? From::una : From::got;
    o.ack = one_of({0, 0, 0, 0, -1, 1, 1000, -100000, 100000});
    if (rng_.below(3) == 0) o.length = 1 + rng_.below(1000);
    if (rng_.below(4) == 0) o.window = static_cast<std::int32_t>(one_of({0, 100, 1000, 65535}));
    if (rng_.below(8) == 0) o.ts_back = static_cast<std::int32_t>(one_of({1000, 100000, 0x7fffff00}));
    return o;
  }
  Op call(std::uint32_t kind) {
    Op o;
    if (kind < 78) {
      o.kind = Op::Kind::write;
      o.bytes = 1 + rng_.below(3000);
    } else if (kind < 87) {
      o.kind = Op::Kind::read;
    } else if (kind < 91) {
      o.kind = Op::Kind::shutdown;
    } else if (kind < 95) {
      o.kind = Op::Kind::close;
    } else if (kind < 97) {
      o.kind = Op::Kind::abort;
    }
    return o;
  }

  Rng rng_;
};

}  // namespace

Program generate(std::uint64_t seed) {
  Program p = Generator{seed}.program();
  p.name = "seed " + std::to_string(seed);
  return p;
}

}  // namespace handfast::differential
