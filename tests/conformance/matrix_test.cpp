// SPDX-License-Identifier: BSD-3-Clause
// Every state against every segment: kinds and positions (352 cases), all 256 flag bytes at all positions
// with every kind of ACK, and the same kinds with timestamps. The oracle is rows.cpp. Layer: tests of the
// protocol, through frames alone.
#include <gtest/gtest.h>

#include <algorithm>

#include "conformance/stand.hpp"

namespace handfast::conformance {
namespace {

constexpr std::uint8_t FIN = 0x01, SYN = 0x02, RST = 0x04, PSH = 0x08, ACK = 0x10, URG = 0x20;
constexpr std::size_t most_told = 24;

template <class E, class F>
void each(F&& f) {
  for (std::size_t i = 0; i < static_cast<std::size_t>(E::count_); ++i) f(static_cast<E>(i));
}

/// One message for each kind of difference, where many cases differ alike.
class Failures {
 public:
  void note(const std::string& wrong) {
    if (wrong.empty()) return;
    ++count_;
    std::string kind =
        wrong.substr(wrong.find('\n'));  // what differs and by which rows, without the case's numbers
    std::erase_if(kind, [](char c) { return c >= '0' && c <= '9'; });
    if (kinds_.size() < most_told && kinds_.insert(kind).second) ADD_FAILURE() << wrong;
  }
  ~Failures() {
    if (count_ != 0) ADD_FAILURE() << count_ << " cases differ";
  }

 private:
  std::size_t count_ = 0;
  std::set<std::string> kinds_;
};

class Matrix : public testing::TestWithParam<Setup> {};

struct Kind {
  std::uint8_t flags;
  std::uint32_t text;
};
constexpr Kind kinds[] = {{SYN, 0},       {SYN | ACK, 0}, {ACK, 0},       {ACK | PSH, 10},
                          {FIN | ACK, 0}, {RST, 0},       {RST | ACK, 0}, {ACK | URG, 10}};

// The eight kinds at six positions (before, straddling, exact, inside, at the last octet, beyond).
TEST_P(Matrix, kinds_of_segment__at_each_position__as_rfc_9293_3_10_7) {
  Stand stand{GetParam()};
  Failures failures;
  for (const Kind& k : kinds)
    each<Position>(
        [&](Position p) { failures.note(stand.run({.flags = k.flags, .position = p, .text = k.text})); });
}

// With ACKs that are good, partial, duplicate, old, too old and of what was never sent; with and without
// text.
TEST_P(Matrix, all_256_flag_bytes__at_each_position_and_ack__as_rfc_9293_3_10_7) {
  Stand stand{GetParam()};
  Failures failures;
  for (unsigned flags = 0; flags < 256; ++flags) {
    each<Position>([&](Position p) {
      for (const std::uint32_t text : {0u, 10u}) {
        const std::size_t acks = (flags & ACK) != 0 ? static_cast<std::size_t>(AckPosition::count_) : 1;
        for (std::size_t a = 0; a < acks; ++a)
          failures.note(stand.run({.flags = static_cast<std::uint8_t>(flags),
                                   .position = p,
                                   .ack = static_cast<AckPosition>(a),
                                   .text = text}));
      }
    });
  }
}

// Text that ends with the window, and text that goes beyond it, with and without FIN.
TEST_P(Matrix, text_up_to_the_right_edge_and_beyond__as_rfc_9293_3_10_7) {
  Stand stand{GetParam()};
  Failures failures;
  for (const std::uint8_t flags :
       {std::uint8_t{ACK}, std::uint8_t{ACK | FIN}, std::uint8_t{FIN}, std::uint8_t{RST}}) {
    for (const Position p : {Position::straddling, Position::exact, Position::next}) {
      for (std::uint32_t more = 0; more < 4; ++more)
        failures.note(stand.run({.flags = flags, .position = p, .text = more, .fills = true}));
      failures.note(stand.run({.flags = flags, .position = p, .text = 0u - 1, .fills = true}));
    }
  }
}

// The same eight kinds where timestamps were agreed on.
TEST_P(Matrix, kinds_of_segment__with_each_timestamp__as_rfc_7323_and_rfc_6191) {
  Stand stand{GetParam(), true};
  Failures failures;
  for (const Kind& k : kinds) {
    each<Position>([&](Position p) {
      each<AckPosition>([&](AckPosition a) {
        if ((k.flags & ACK) == 0 && a != AckPosition::all) return;
        each<Stamp>([&](Stamp stamp) {
          failures.note(
              stand.run({.flags = k.flags, .position = p, .ack = a, .text = k.text, .stamp = stamp}));
        });
      });
    });
  }
}

std::vector<Setup> all_setups() {
  std::vector<Setup> all;
  each<Setup>([&](Setup s) { all.push_back(s); });
  return all;
}

INSTANTIATE_TEST_SUITE_P(States, Matrix, testing::ValuesIn(all_setups()), [](const auto& i) {
  std::string s{name(i.param)};
  std::erase_if(s, [](char c) { return c == ','; });
  std::ranges::replace_if(
      s, [](char c) { return c == ' ' || c == '-'; }, '_');
  return s;
});

}  // namespace
}  // namespace handfast::conformance
