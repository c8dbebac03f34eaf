// SPDX-License-Identifier: BSD-3-Clause
// A bounded set of sequence numbers, as sorted, disjoint, half-open ranges: what arrived out of order, or
// what the peer has reported by SACK. Layer: ds. All of it lies within less than 2^31.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <type_traits>

#include "base/assert.hpp"
#include "base/seq.hpp"

namespace handfast::ds {

struct Range {
  Seq left;   ///< the first number in it
  Seq right;  ///< the first number after it

  [[nodiscard]] constexpr std::uint32_t size() const { return distance(left, right); }
  friend constexpr bool operator==(const Range&, const Range&) = default;
};

enum class Insert : std::uint8_t {
  added,      ///< something of it was new
  duplicate,  ///< all of it was there, or it was empty
  full,       ///< it would have taken one range more than there is room for; nothing changed
};

template <unsigned Max>
class RangeSet {
  static_assert(Max >= 1 && Max <= 4096);

 public:
  static constexpr unsigned max_ranges = Max;

  /// [left, right), merged with every range that it overlaps or touches.
  Insert insert(Seq left, Seq right) {
    HF_DEBUG_ASSERT(before_eq(left, right));
    if (left == right) return Insert::duplicate;
    const unsigned first = first_reaching(left);
    unsigned end = first;  // ranges [first, end) overlap or touch
    while (end < count_ && before_eq(ranges_[end].left, right)) ++end;
    if (first == end) return insert_at(first, {left, right});

    Range& target = ranges_[first];
    stamps_[first] = ++clock_;
    if (before_eq(target.left, left) && before_eq(right, target.right)) return Insert::duplicate;
    target.left = min(target.left, left);
    target.right = max(ranges_[end - 1].right, right);
    std::copy(ranges_.begin() + end, ranges_.begin() + count_, ranges_.begin() + first + 1);
    std::copy(stamps_.begin() + end, stamps_.begin() + count_, stamps_.begin() + first + 1);
    count_ -= end - first - 1;
    return Insert::added;
  }

  /// Forgets everything before `seq`.
  void trim_below(Seq seq) {
    unsigned gone = 0;
    while (gone < count_ && before_eq(ranges_[gone].right, seq)) ++gone;
    if (gone != 0) {
      std::copy(ranges_.begin() + gone, ranges_.begin() + count_, ranges_.begin());
      std::copy(stamps_.begin() + gone, stamps_.begin() + count_, stamps_.begin());
      count_ -= gone;
    }
    if (count_ != 0) ranges_[0].left = max(ranges_[0].left, seq);
  }

  void clear() { count_ = 0; }

  /// Whether all of [left, right) is in the set; of an empty one: yes.
  [[nodiscard]] bool covers(Seq left, Seq right) const {
    if (left == right) return true;
    const unsigned i = first_after(left);
    return i < count_ && before_eq(ranges_[i].left, left) && before_eq(right, ranges_[i].right);
  }
  [[nodiscard]] bool contains(Seq seq) const { return covers(seq, seq + 1); }

  /// How many numbers are in the set.
  [[nodiscard]] std::uint32_t bytes() const {
    std::uint32_t sum = 0;
    for (const Range& range : *this) sum += range.size();
    return sum;
  }
  [[nodiscard]] bool empty() const { return count_ == 0; }
  /// How many ranges.
  [[nodiscard]] unsigned size() const { return count_; }
  [[nodiscard]] const Range& operator[](unsigned i) const {
    HF_DEBUG_ASSERT(i < count_);
    return ranges_[i];
  }
  [[nodiscard]] const Range* begin() const { return ranges_.data(); }
  [[nodiscard]] const Range* end() const { return ranges_.data() + count_; }

  /// The first stretch of [from, limit) that is not in the set.
  [[nodiscard]] std::optional<Range> next_gap(Seq from, Seq limit) const {
    unsigned i = first_after(from);
    if (i < count_ && before_eq(ranges_[i].left, from)) from = ranges_[i++].right;
    if (!before(from, limit)) return std::nullopt;
    return Range{from, i < count_ ? min(ranges_[i].left, limit) : limit};
  }

  /// visit(Range) for each stretch of [left, right) that is not in the set, in order.
  template <class F>
  void for_each_gap(Seq left, Seq right, F&& visit) const {
    while (const std::optional<Range> gap = next_gap(left, right)) {
      visit(*gap);
      left = gap->right;
    }
  }

  /// The ranges to report by SACK: first the one with the segment that was inserted last, then the others,
  /// most recently reported to first (rfc2018 section 4). Returns how many were written.
  unsigned recent(std::span<Range> out, Seq last_inserted) const {
    // 0 for the one with the segment, and no two alike: so each pass takes the youngest above the one before.
    const auto age = [&](unsigned i) -> std::uint32_t {
      const bool named = before_eq(ranges_[i].left, last_inserted) && before(last_inserted, ranges_[i].right);
      return named ? 0 : clock_ - stamps_[i] + 1;
    };
    const auto wanted = static_cast<unsigned>(std::min<std::size_t>(out.size(), count_));
    std::uint32_t least = 0;
    for (unsigned written = 0; written < wanted; ++written) {
      unsigned youngest = count_;
      for (unsigned i = 0; i < count_; ++i) {
        if (age(i) >= least && (youngest == count_ || age(i) < age(youngest))) youngest = i;
      }
      out[written] = ranges_[youngest];
      least = age(youngest) + 1;
    }
    return wanted;
  }

 private:
  // The first range that ends at `seq` or after it: the first that [seq, ...) can merge with.
  [[nodiscard]] unsigned first_reaching(Seq seq) const {
    const Range* found =
        std::partition_point(begin(), end(), [&](const Range& r) { return before(r.right, seq); });
    return static_cast<unsigned>(found - begin());
  }
  // The first range that ends after `seq`: the only one that can hold it.
  [[nodiscard]] unsigned first_after(Seq seq) const {
    const Range* found =
        std::partition_point(begin(), end(), [&](const Range& r) { return before_eq(r.right, seq); });
    return static_cast<unsigned>(found - begin());
  }

  Insert insert_at(unsigned i, Range range) {
    if (count_ == Max) return Insert::full;
    std::copy_backward(ranges_.begin() + i, ranges_.begin() + count_, ranges_.begin() + count_ + 1);
    std::copy_backward(stamps_.begin() + i, stamps_.begin() + count_, stamps_.begin() + count_ + 1);
    ranges_[i] = range;
    stamps_[i] = ++clock_;
    ++count_;
    HF_DEBUG_ASSERT(before(ranges_[0].left, ranges_[count_ - 1].right));  // within less than 2^31
    return Insert::added;
  }

  std::array<Range, Max> ranges_{};
  std::array<std::uint32_t, Max> stamps_{};  // the clock when something was last inserted into the range
  std::uint32_t clock_ = 0;
  unsigned count_ = 0;
};
static_assert(std::is_trivially_copyable_v<RangeSet<4>> && std::is_trivially_destructible_v<RangeSet<4>>);

}  // namespace handfast::ds
