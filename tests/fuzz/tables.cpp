// SPDX-License-Identifier: BSD-3-Clause
// F8: the timer wheel against a list of deadlines, the flow table against a map, with hashes that collide. Layer: fuzz.
// Input: one byte for which, then ops of four bytes.
#include <algorithm>
#include <array>
#include <optional>

#include "ds/flow_table.hpp"
#include "ds/timer_wheel.hpp"
#include "fuzz/fuzz.hpp"

namespace handfast::fuzz {
namespace {

// --- the wheel -----------------------------------------------------------------------------------------------------

constexpr unsigned timers = 24;

/// A wheel is too large to make for each input. An empty one whose clock stands where all its levels begin is as good as
/// new: every input begins at such a moment.
constexpr Duration round_of_all_levels{std::int64_t{1} << (ds::TimerWheel::tick_bits + ds::TimerWheel::level_bits * ds::TimerWheel::levels)};

class Wheel {
 public:
  void run(Reader& in) {
    begin();
    for (int ops = 0; in.left() != 0 && ops < 128; ++ops) step(in);
    for (auto& node : nodes_) wheel_->cancel(node);
    FUZZ_CHECK(wheel_->size() == 0 && !wheel_->next_deadline());
  }

 private:
  void begin() {
    if (!wheel_ || now_ > Time{Duration{std::int64_t{1} << 61}}) {
      now_ = Time{};
      wheel_.emplace(now_);
    } else {
      now_ = Time{((now_.time_since_epoch() / round_of_all_levels) + 1) * round_of_all_levels};
      wheel_->advance(now_, 1, [](ds::TimerNode&) { FUZZ_CHECK(false); });
    }
    for (unsigned i = 0; i < timers; ++i) {
      nodes_[i] = ds::TimerNode{};
      nodes_[i].kind = static_cast<std::uint16_t>(i);
      due_[i] = std::nullopt;
    }
  }

  /// From nothing to 25 days, and to the edges of buckets of every level.
  static Duration span(unsigned how, std::uint32_t value) {
    const Duration power{std::int64_t{1} << (how % 51)};
    return power + Duration{static_cast<std::int64_t>(value) - 128};
  }

  void arm(unsigned i, Time deadline) {
    wheel_->arm(nodes_[i], deadline);
    due_[i] = deadline;
  }

  void step(Reader& in) {
    const unsigned what = in.u8(), i = in.u8() % timers, how = in.u8(), value = in.u8();
    switch (what % 8) {
      case 0:
      case 1:
      case 2: arm(i, now_ + span(how, value)); break;
      case 3: arm(i, now_ - span(how % 40, value)); break;
      case 4:
        wheel_->cancel(nodes_[i]);
        due_[i] = std::nullopt;
        break;
      case 5: advance(now_ + span(how, value), timers, i, value); break;
      case 6: advance(now_ + span(how % 32, value), value % 4, i, value); break;
      default:
        if (const auto next = wheel_->next_deadline()) advance(std::max(*next, now_), timers, i, value);
    }
    check();
  }

  void advance(Time to, std::size_t limit, unsigned other, unsigned mischief) {
    const Time now = std::max(now_, to);
    std::size_t fired = 0;
    wheel_->advance(to, limit, [&](ds::TimerNode& node) {
      const unsigned i = node.kind;
      FUZZ_CHECK(i < timers && &node == &nodes_[i] && due_[i] && !node.armed());
      FUZZ_CHECK(*due_[i] <= now);  // never early
      due_[i] = std::nullopt;
      ++fired;
      // What a callback may do: arm itself, or another, or cancel one.
      if (mischief % 5 == 1) arm(i, now + Duration{mischief * 1000});
      if (mischief % 5 == 2 && other != i) arm(other, now);
      if (mischief % 5 == 3) {
        wheel_->cancel(nodes_[other]);
        due_[other] = std::nullopt;
      }
    });
    now_ = now;
    FUZZ_CHECK(fired <= limit && wheel_->now() == now_);
    if (limit < timers) return;
    // Nothing late, but for what was armed within the call.
    for (unsigned i = 0; i < timers; ++i) FUZZ_CHECK(!due_[i] || *due_[i] > now_ || mischief % 5 == 2);
  }

  void check() {
    std::size_t armed = 0;
    Time first = Time::max();
    for (unsigned i = 0; i < timers; ++i) {
      FUZZ_CHECK(nodes_[i].armed() == due_[i].has_value());
      if (!due_[i]) continue;
      ++armed;
      FUZZ_CHECK(nodes_[i].deadline == *due_[i]);
      first = std::min(first, *due_[i]);
    }
    FUZZ_CHECK(wheel_->size() == armed);
    const auto next = wheel_->next_deadline();
    FUZZ_CHECK(next.has_value() == (armed != 0));
    if (next) FUZZ_CHECK(*next <= std::max(first, now_));
  }

  Time now_{};
  std::optional<ds::TimerWheel> wheel_;
  std::array<ds::TimerNode, timers> nodes_{};
  std::array<std::optional<Time>, timers> due_{};
};

// --- the flow table --------------------------------------------------------------------------------------------------

constexpr std::uint32_t keys = 256, slots = 192;

struct Keys {
  static inline std::array<FlowKey, slots> of{};
  const FlowKey& operator()(std::uint32_t slot) const { return of[slot]; }
};

class Table {
 public:
  void run(Reader& in) {
    crowding_ = in.u8();
    for (int ops = 0; in.left() != 0 && ops < 512; ++ops) step(in);
    FUZZ_CHECK(table_.invariants([this](std::uint32_t slot) { return hash(key_of_[slot]); }));
    for (std::uint32_t k = 0; k < keys; ++k)
      if (slot_of_[k] != none) erase(k);
    FUZZ_CHECK(table_.size() == 0);
  }

 private:
  static constexpr std::uint32_t none = 0xffffffff;
  using FlowTable = ds::FlowTable<Keys>;

  static FlowKey key(std::uint32_t k) { return FlowKey{{Ipv4Address{1}, static_cast<Port>(k)}, {Ipv4Address{k}, 1}}; }
  /// Few homes, few strides and few tags: paths that meet.
  [[nodiscard]] std::uint64_t hash(std::uint32_t k) const {
    const std::uint64_t home = crowding_ % 4 == 0 ? k : k % (1 + crowding_ % 4);
    const std::uint64_t stride = (crowding_ >> 2) % 4 == 0 ? 0 : k * 7919u & 0xffff;
    const std::uint64_t tag = (crowding_ >> 4) % 4 == 0 ? k & 1 : k * 40503u & 0xffff;
    return tag << 48 | stride << 32 | (home << 24 & 0xffffffff);
  }

  void erase(std::uint32_t k) {
    FUZZ_CHECK(table_.erase(hash(k), slot_of_[k]));
    FUZZ_CHECK(!table_.erase(hash(k), slot_of_[k]));
    used_[slot_of_[k]] = false;
    slot_of_[k] = none;
    --size_;
  }
  [[nodiscard]] std::uint32_t free_slot(std::uint32_t from) const {
    for (std::uint32_t i = 0; i < slots; ++i)
      if (!used_[(from + i) % slots]) return (from + i) % slots;
    return none;
  }
  void take(std::uint32_t slot, std::uint32_t k) {
    used_[slot] = true;
    key_of_[slot] = k;
    Keys::of[slot] = key(k);
    slot_of_[k] = slot;
  }

  void step(Reader& in) {
    const unsigned what = in.u8();
    const std::uint32_t k = in.u8();
    const std::uint32_t slot = free_slot(in.u8());
    if (what % 8 < 4 && slot_of_[k] == none && slot != none) {
      Keys::of[slot] = key(k);
      const bool done = table_.insert(hash(k), slot);
      // With few paths they may all be full before the capacity is reached: never with good hashes.
      FUZZ_CHECK(!done || size_ < table_.capacity());
      FUZZ_CHECK(done || size_ == table_.capacity() || size_ >= ds::FlowBucket::entries);
      if (done) {
        take(slot, k);
        ++size_;
      }
    } else if (what % 8 < 6 && slot_of_[k] != none) {
      erase(k);
    } else if (what % 8 == 6 && slot_of_[k] != none && slot != none) {
      const std::uint32_t old = slot_of_[k];
      Keys::of[slot] = key(k);
      FUZZ_CHECK(table_.replace(hash(k), old, slot));
      used_[old] = false;
      take(slot, k);
    } else if (what % 8 == 7) {
      std::uint32_t seen = 0;
      table_.snapshot([&](std::uint32_t s) {
        FUZZ_CHECK(used_[s]);
        ++seen;
      });
      FUZZ_CHECK(seen == size_);
    }
    FUZZ_CHECK(table_.find(hash(k), key(k)) == slot_of_[k] && table_.size() == size_);
    const auto match = [k](std::uint32_t s) { return Keys::of[s] == key(k); };
    FUZZ_CHECK(table_.find_concurrent(hash(k), match) == slot_of_[k]);
    const std::uint32_t likely = table_.candidate(hash(k));
    FUZZ_CHECK(likely == FlowTable::npos || used_[likely]);
  }

  unsigned crowding_ = 0;
  FlowTable table_{128};
  std::array<std::uint32_t, keys> slot_of_ = filled();
  std::array<std::uint32_t, slots> key_of_{};
  std::array<bool, slots> used_{};
  std::uint32_t size_ = 0;

  static std::array<std::uint32_t, keys> filled() {
    std::array<std::uint32_t, keys> all;
    all.fill(none);
    return all;
  }
};

}  // namespace
}  // namespace handfast::fuzz

using namespace handfast;
using namespace handfast::fuzz;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static Tally tally{"lists of ops"};
  static Wheel wheel;
  static Table table;
  Reader in{data, size};
  const unsigned what = in.u8();
  tally.add();
  (what & 1) != 0 ? wheel.run(in) : table.run(in);
  return 0;
}
