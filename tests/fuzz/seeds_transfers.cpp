// SPDX-License-Identifier: BSD-3-Clause
// Seeds of long transfers for F6: what a sender learns of a path takes a hundred round trips, and a
// receiver's window some. Layer: fuzz. Knows how pair.cpp writes its steps; not what an algorithm makes of
// them.
#include <array>
#include <string>
#include <vector>

#include "fuzz/seeds.hpp"

namespace handfast::fuzz {
namespace {

using Steps = std::vector<std::uint8_t>;
enum Kind : std::uint8_t {
  deliver = 0,
  overtake = 3,
  twice = 4,
  lose = 5,
  wait = 7,
  pass = 8,
  deliver_all = 9,
  connect = 10,
  write = 12
};

class Schedule {
 public:
  explicit Schedule(std::uint8_t variant, std::uint8_t narrower = 0)
      : steps_{variant, 16, 16, static_cast<std::uint8_t>(1 | narrower << 1)} {
    open(0);
  }
  void open(std::uint8_t talk) {
    step(connect, 0, talk);
    all();
    all();
  }
  void step(Kind kind, unsigned end, std::uint8_t value) {
    if (steps_.size() + 2 <= most) {
      steps_.push_back(static_cast<std::uint8_t>(kind << 1 | end));
      steps_.push_back(value);
    }
  }
  void all() { step(deliver_all, 0, 0); }
  [[nodiscard]] std::size_t left() const { return (most - steps_.size()) / 2; }
  [[nodiscard]] const Steps& steps() const { return steps_; }

 private:
  static constexpr std::size_t most = 804;
  Steps steps_;
};

/// Bytes in, a delay, all that is out arrives; the delay as pair.cpp reads it. `odd` rounds lose, double or
/// reorder a frame.
void transfer(Schedule& s, std::uint8_t bytes, std::array<std::uint8_t, 3> delays, unsigned odd, Kind what) {
  for (unsigned round = 1; s.left() >= 4; ++round) {
    s.step(write, 0, bytes);
    if (bytes > 200) s.step(write, 0, bytes);
    const std::size_t part = delays.size() - 1 - s.left() * delays.size() / 420;
    s.step(pass, 0, delays[part]);
    if (odd != 0 && round % odd == 0) s.step(what, 0, what == overtake ? 3 : 0);
    s.all();
  }
}

/// A path with a rate: so many frames a tick, and more waits than that. `odd` ticks lose a frame, `idle` ones
/// say nothing.
Schedule bottleneck(std::uint8_t variant, std::uint8_t frames, std::uint8_t tick, unsigned odd,
                    unsigned idle) {
  Schedule s{variant};
  for (int i = 0; i < 8; ++i) s.step(write, 0, 240);
  for (unsigned round = 1; s.left() >= 4; ++round) {
    if (round % 3 == 0 && (idle == 0 || round % 64 < idle)) s.step(write, 0, 240);
    if (odd != 0 && round % odd == 0) s.step(lose, 0, 1);
    s.step(deliver_all, 0, frames);
    s.step(wait, 0, tick);
  }
  return s;
}

}  // namespace

void add_transfer_seeds(Seeds& seeds) {
  const auto add = [&](const std::string& name, const Schedule& s) {
    seeds.add("pair", name, std::as_bytes(std::span{s.steps()}));
  };
  // A round trip of 1, 5 and 98 ms; one that rises; one that is short and then long.
  constexpr std::array<std::uint8_t, 3> quick{0x85, 0x85, 0x85}, usual{0xa5, 0xa5, 0xa5},
      slow{0xf3, 0xf3, 0xf3}, rising{0x9f, 0xcf, 0xf2}, falling{0xf3, 0xa5, 0x85};
  constexpr std::array<std::array<std::uint8_t, 3>, 5> delays{quick, usual, slow, rising, falling};
  // One of each algorithm; then without timestamps, without SACK, with nothing, with ECN, paced.
  for (const std::uint8_t variant : std::array<std::uint8_t, 11>{0, 1, 2, 3, 4, 5, 7, 8, 12, 13, 18}) {
    for (const std::uint8_t narrower : std::array<std::uint8_t, 3>{1, 4, 7}) {
      Schedule narrow{variant, narrower};
      transfer(narrow, 240, slow, 0, lose);
      add("narrow_" + std::to_string(variant) + "_" + std::to_string(narrower), narrow);
    }
    for (std::size_t i = 0; i < delays.size(); ++i) {
      Schedule plain{variant};
      transfer(plain, 240, delays[i], 0, lose);
      add("transfer_" + std::to_string(variant) + "_" + std::to_string(i), plain);
    }
    add("rate_" + std::to_string(variant) + "_quick", bottleneck(variant, 3, 0x85, 0, 0));
    add("rate_" + std::to_string(variant) + "_slow", bottleneck(variant, 3, 0xf3, 0, 0));
    add("rate_" + std::to_string(variant) + "_lossy", bottleneck(variant, 3, 0xc3, 23, 0));
    add("rate_" + std::to_string(variant) + "_very_lossy", bottleneck(variant, 4, 0xf1, 7, 0));
    add("rate_" + std::to_string(variant) + "_idle", bottleneck(variant, 5, 0xf2, 0, 40));
    Schedule lossy{variant}, doubled{variant}, reordered{variant}, small{variant};
    transfer(lossy, 240, usual, 19, lose);
    transfer(doubled, 240, usual, 7, twice);
    transfer(reordered, 200, rising, 5, overtake);
    transfer(small, 20, slow, 31, lose);
    const std::string end = "_" + std::to_string(variant);
    add("lossy" + end, lossy);
    add("doubled" + end, doubled);
    add("reordered" + end, reordered);
    add("small" + end, small);
  }
}

}  // namespace handfast::fuzz
