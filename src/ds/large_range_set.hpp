// SPDX-License-Identifier: BSD-3-Clause
// A bounded set of sequence numbers as sorted, disjoint, half-open ranges: a few in the object, more of them in blocks of
// a pool, a tree of two levels. Layer: ds; knows of the pool that it hands out blocks, and of a block its size.
//
// Finding is two binary searches; adding or taking away moves at most one block's bytes and one index's. Neighbours that
// would fit into half a block are merged, so that no order of insertions leaves many blocks nearly empty.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <type_traits>
#include <utility>

#include "base/assert.hpp"
#include "base/seq.hpp"
#include "ds/range_set.hpp"

namespace handfast::ds {

/// `Pool` has allocate(), null when it is empty, and free(). Whoever owns the set calls clear(pool) in the end; all of it
/// lies within less than 2^31.
template <class Pool, unsigned Inline, unsigned Max>
class LargeRangeSet {
  using Block = std::remove_pointer_t<decltype(std::declval<Pool&>().allocate())>;
  struct Leaf {
    Block* block;
    std::uint32_t count;  // 1..leaf_ranges
  };
  static_assert(std::is_trivially_copyable_v<Range> && alignof(Block) >= alignof(Leaf));
  static constexpr unsigned leaf_ranges = sizeof(Block) / sizeof(Range);
  static constexpr unsigned most_leaves = sizeof(Block) / sizeof(Leaf);
  static_assert(Inline >= 1 && Inline <= leaf_ranges / 2 && Inline <= Max);
  // Two neighbours hold more than half a block together.
  static_assert(Max <= most_leaves / 2 * (leaf_ranges / 2), "every pattern of so many ranges has its place");

 public:
  static constexpr unsigned max_ranges = Max;
  /// Blocks that one insert() may take.
  static constexpr unsigned blocks_of_insert = 2;

  /// [left, right), merged with every range that it overlaps or touches. `full`: Max is reached or the pool is empty, and
  /// nothing changed.
  Insert insert(Pool& pool, Seq left, Seq right) {
    HF_DEBUG_ASSERT(before_eq(left, right));
    if (left == right) return Insert::duplicate;
    const Place place = find([&](const Range& r) { return before(r.right, left); });
    if (!is_range(place) || after(at(place).left, right)) return insert_before(pool, place, {left, right});
    Range& target = at(place);
    if (before_eq(target.left, left) && before_eq(right, target.right)) return Insert::duplicate;
    std::uint32_t merged = 0;
    unsigned ranges = 0;
    for (Place p = place; is_range(p) && before_eq(at(p).left, right); p = next(p)) {
      merged += at(p).size();
      right = max(right, at(p).right);
      ++ranges;
    }
    target = {min(target.left, left), right};
    bytes_ += target.size() - merged;
    erase(pool, next(place), ranges - 1);
    return Insert::added;
  }

  /// Forgets everything before `seq`.
  void trim_below(Pool& pool, Seq seq) {
    unsigned gone = 0;
    Place place{0, 0};
    for (; is_range(place) && before_eq(at(place).right, seq); place = next(place)) {
      bytes_ -= at(place).size();
      ++gone;
    }
    if (is_range(place) && before(at(place).left, seq)) {
      bytes_ -= distance(at(place).left, seq);
      at(place).left = seq;
    }
    if (gone != 0) erase(pool, {0, 0}, gone);
  }

  void clear(Pool& pool) {
    if (index_ != nullptr) {
      for (unsigned i = 0; i < leaves_; ++i) pool.free(leaf(i).block);
      pool.free(index_);
      index_ = nullptr;
    }
    leaves_ = count_ = bytes_ = 0;
  }

  /// How many ranges, and how many numbers in them.
  [[nodiscard]] unsigned size() const { return count_; }
  [[nodiscard]] std::uint32_t bytes() const { return bytes_; }
  [[nodiscard]] bool empty() const { return count_ == 0; }
  [[nodiscard]] const Range& front() const {
    HF_DEBUG_ASSERT(count_ != 0);
    return at({0, 0});
  }
  [[nodiscard]] const Range& back() const {
    HF_DEBUG_ASSERT(count_ != 0);
    return at({leaves() - 1, count_of(leaves() - 1) - 1});
  }
  /// Blocks of the pool that are held.
  [[nodiscard]] unsigned blocks() const { return index_ == nullptr ? 0 : leaves_ + 1; }

  /// The range that has `seq`.
  [[nodiscard]] std::optional<Range> find_range(Seq seq) const {
    const Place place = first_after(seq);
    if (!is_range(place) || after(at(place).left, seq)) return std::nullopt;
    return at(place);
  }
  /// The first part of [left, right) that is in the set.
  [[nodiscard]] std::optional<Range> first_overlap(Seq left, Seq right) const {
    const Place place = first_after(left);
    if (left == right || !is_range(place) || !before(at(place).left, right)) return std::nullopt;
    return Range{max(at(place).left, left), min(at(place).right, right)};
  }

  template <class F>
  void for_each(F&& visit) const {
    for (Place place{0, 0}; is_range(place); place = next(place))
      if (!visit(at(place))) return;
  }

  /// visit(Range) for each stretch of [left, right) that is not in the set, in order.
  template <class F>
  void for_each_gap(Seq left, Seq right, F&& visit) const {
    for (Place place = first_after(left); before(left, right); place = next(place)) {
      const Seq end = is_range(place) ? min(at(place).left, right) : right;
      if (before(left, end)) visit(Range{left, end});
      if (!is_range(place)) return;
      left = at(place).right;
    }
  }

 private:
  struct Place {
    unsigned leaf, slot;
  };

  [[nodiscard]] Leaf* index() const { return reinterpret_cast<Leaf*>(index_); }
  [[nodiscard]] Leaf& leaf(unsigned i) const { return index()[i]; }
  static Range* ranges_in(Block* block) { return reinterpret_cast<Range*>(block); }
  [[nodiscard]] Range* ranges(unsigned i) { return index_ == nullptr ? few_.data() : ranges_in(leaf(i).block); }
  [[nodiscard]] const Range* ranges(unsigned i) const {
    return index_ == nullptr ? few_.data() : ranges_in(leaf(i).block);
  }
  [[nodiscard]] unsigned leaves() const { return index_ == nullptr ? (count_ == 0 ? 0 : 1) : leaves_; }
  [[nodiscard]] unsigned count_of(unsigned i) const { return index_ == nullptr ? count_ : leaf(i).count; }
  [[nodiscard]] Range& at(Place p) { return ranges(p.leaf)[p.slot]; }
  [[nodiscard]] const Range& at(Place p) const { return ranges(p.leaf)[p.slot]; }
  [[nodiscard]] bool is_range(Place p) const { return p.leaf < leaves(); }
  [[nodiscard]] Place next(Place p) const {
    return p.slot + 1 < count_of(p.leaf) ? Place{p.leaf, p.slot + 1} : Place{p.leaf + 1, 0};
  }

  /// The first range that is not `below`, which all those in front of it are.
  template <class F>
  [[nodiscard]] Place find(F&& below) const {
    unsigned low = 0, high = leaves();
    while (low < high) {
      const unsigned middle = (low + high) / 2;
      if (below(ranges(middle)[count_of(middle) - 1]))
        low = middle + 1;
      else
        high = middle;
    }
    if (low == leaves()) return {low, 0};
    const Range* begin = ranges(low);
    const Range* found = std::partition_point(begin, begin + count_of(low), below);
    return {low, static_cast<unsigned>(found - begin)};
  }
  /// The first range that ends after `seq`: the only one that can have it.
  [[nodiscard]] Place first_after(Seq seq) const {
    return find([&](const Range& r) { return before_eq(r.right, seq); });
  }

  Insert insert_before(Pool& pool, Place place, Range range) {
    if (count_ == Max) return Insert::full;
    if (place.leaf == leaves() && place.leaf != 0) place = {place.leaf - 1, count_of(place.leaf - 1)};  // behind the last
    const unsigned room = index_ == nullptr ? Inline : leaf_ranges;
    if (count_ != 0 && count_of(place.leaf) == room) {
      if (index_ == nullptr ? !move_out(pool) : !split(pool, place)) return Insert::full;
    }
    Range* const here = ranges(place.leaf) + place.slot;
    std::memmove(static_cast<void*>(here + 1), here, (count_of(place.leaf) - place.slot) * sizeof(Range));
    *here = range;
    if (index_ != nullptr) ++leaf(place.leaf).count;
    ++count_;
    bytes_ += range.size();
    HF_DEBUG_ASSERT(before(front().left, back().right));  // within less than 2^31
    return Insert::added;
  }

  /// From the object to blocks.
  bool move_out(Pool& pool) {
    Block* const directory = pool.allocate();
    if (directory == nullptr) return false;
    Block* const block = pool.allocate();
    if (block == nullptr) {
      pool.free(directory);
      return false;
    }
    std::memcpy(static_cast<void*>(ranges_in(block)), few_.data(), count_ * sizeof(Range));
    index_ = directory;
    leaf(0) = {block, count_};
    leaves_ = 1;
    return true;
  }

  /// Makes room in a full leaf; `place` follows. At its very end a new leaf begins instead: so those that are filled in
  /// order stay full.
  bool split(Pool& pool, Place& place) {
    if (leaves_ == most_leaves) return false;
    Block* const block = pool.allocate();
    if (block == nullptr) return false;
    Leaf& old = leaf(place.leaf);
    const unsigned kept = place.slot == leaf_ranges ? leaf_ranges : leaf_ranges / 2;
    const unsigned moved = old.count - kept;
    std::memcpy(static_cast<void*>(ranges_in(block)), ranges_in(old.block) + kept, moved * sizeof(Range));
    old.count = kept;
    Leaf* const after_it = index() + place.leaf + 1;
    std::memmove(static_cast<void*>(after_it + 1), after_it, (leaves_ - place.leaf - 1) * sizeof(Leaf));
    *after_it = {block, moved};
    ++leaves_;
    if (place.slot >= kept) place = {place.leaf + 1, place.slot - kept};
    return true;
  }

  /// `n` ranges from `place` on; their bytes are off the sum already.
  void erase(Pool& pool, Place place, unsigned n) {
    if (n == 0) return;
    count_ -= n;
    if (index_ == nullptr) {
      Range* const here = few_.data() + place.slot;
      std::memmove(static_cast<void*>(here), here + n, (count_ - place.slot) * sizeof(Range));
      return;
    }
    unsigned emptied = 0, first_emptied = 0;
    for (unsigned i = place.leaf, slot = place.slot; n != 0; ++i, slot = 0) {
      Leaf& l = leaf(i);
      const unsigned here = std::min(n, l.count - slot);
      std::memmove(static_cast<void*>(ranges_in(l.block) + slot), ranges_in(l.block) + slot + here,
                   (l.count - slot - here) * sizeof(Range));
      l.count -= here;
      n -= here;
      if (l.count != 0) continue;
      pool.free(l.block);
      if (emptied++ == 0) first_emptied = i;  // they are next to each other: whole ones between two cut ones
    }
    if (emptied != 0) remove_leaves(first_emptied, emptied);
    merge_with_next(pool, place.leaf + 1);  // what was cut at the end, what was cut at its start, and what stands before
    merge_with_next(pool, place.leaf);
    if (place.leaf != 0) merge_with_next(pool, place.leaf - 1);
    if (leaves_ == 0 || (leaves_ == 1 && count_ <= Inline / 2)) move_in(pool);
  }

  void remove_leaves(unsigned first, unsigned n) {
    std::memmove(static_cast<void*>(index() + first), index() + first + n, (leaves_ - first - n) * sizeof(Leaf));
    leaves_ -= n;
  }

  void merge_with_next(Pool& pool, unsigned i) {
    if (i + 1 >= leaves_) return;
    Leaf &l = leaf(i), &gone = leaf(i + 1);
    if (l.count + gone.count > leaf_ranges / 2) return;
    std::memcpy(static_cast<void*>(ranges_in(l.block) + l.count), ranges_in(gone.block), gone.count * sizeof(Range));
    l.count += gone.count;
    pool.free(gone.block);
    remove_leaves(i + 1, 1);
  }

  /// From blocks back into the object.
  void move_in(Pool& pool) {
    if (leaves_ == 1) {
      std::memcpy(static_cast<void*>(few_.data()), ranges_in(leaf(0).block), count_ * sizeof(Range));
      pool.free(leaf(0).block);
    }
    pool.free(index_);
    index_ = nullptr;
    leaves_ = 0;
  }

  Block* index_ = nullptr;    // of Leaf; null while all are in few_
  std::uint32_t leaves_ = 0;  // in the index
  std::uint32_t count_ = 0;
  std::uint32_t bytes_ = 0;
  std::array<Range, Inline> few_{};
};

}  // namespace handfast::ds
