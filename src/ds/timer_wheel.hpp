// SPDX-License-Identifier: BSD-3-Clause
// A hierarchical timer wheel: arm, cancel and expire in constant time, whatever the number of timers.
// Layer: ds. Reads no clock: the caller says what time it is. Never fires early; an exact deadline fires at
// it.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "base/assert.hpp"
#include "ds/cache_line.hpp"
#include "ds/timer_node.hpp"
#include "handfast/time.hpp"

namespace handfast::ds {

/// Five levels of 256 buckets. A bucket of level 0 is one tick of 512 ns, of level 1 a span of 131 us, then
/// 33.5 ms, 8.6 s and 36.7 min; together 6.5 days, beyond which a node is filed in the farthest bucket and
/// filed anew from there. The finest level keeps the nodes that a poll must look at few, however many fall
/// into one span of 131 us.
///
/// Filing is lazy: to arm a node for a later time only stores the deadline; the node is filed anew when the
/// bucket it lies in is reached. A node is hence never filed later than its deadline.
class TimerWheel {
 public:
  static constexpr unsigned tick_bits = 9;
  static constexpr unsigned level_bits = 8;
  static constexpr unsigned levels = 5;
  static constexpr unsigned buckets_per_level = 1u << level_bits;

  explicit TimerWheel(Time start) : now_(start), cursor_(tick_of(start)) {
    for (Bucket& bucket : buckets_) detail::TimerList::init_header(&bucket.head);
    detail::TimerList::init_header(&pending_);
    for (detail::TimerLink& list : sinking_) detail::TimerList::init_header(&list);
  }
  TimerWheel(const TimerWheel&) = delete;
  TimerWheel& operator=(const TimerWheel&) = delete;

  /// Arms the node, or moves its deadline. One that is not after the last advanced time fires at the next
  /// advance(), also where that is for the same time; never within the call that it is armed in twice.
  void arm(TimerNode& node, Time deadline) {
    if (node.armed()) {
      const bool later = deadline >= node.deadline;
      if (later || node.filed_ == due_bucket + 1 || is_early_enough(node.filed_ - 1u, tick_of(deadline))) {
        node.deadline = deadline;
        // Level 0 is watched by deadline, not by bucket. (Later: whatever was promised before still holds.)
        if (!later) next_work_ = std::min(next_work_, deadline);
        return;
      }
      remove(node);
    } else {
      ++size_;
    }
    node.deadline = deadline;
    file(node);
  }

  /// Nothing happens if the node is not armed.
  void cancel(TimerNode& node) {
    if (!node.armed()) return;
    remove(node);
    node.filed_ = 0;
    if (--size_ == 0 && !advancing_) {
      next_work_ = Time::max();
      is_cut_short_ = false;
      lag_ = Duration{0};
    }
  }

  /// Calls expired(TimerNode&) for each node whose deadline is not after `now`, disarmed before the call; it
  /// may arm and cancel any node, but not call advance(). At most `limit` nodes are looked at, expired or
  /// filed anew; what is left comes at the next call. A step back in time is taken for no step at all.
  /// Returns how many expired. The order is that of the buckets, within a bucket any.
  ///
  /// A coarse bucket may hold millions, that take many calls to be filed anew. Meanwhile what is due elsewhere
  /// fires in its time: either has half of the limit, and what the other leaves. So a crowd makes late only
  /// those of its own that are due before their turn comes.
  template <class F>
  std::size_t advance(Time now, std::size_t limit, F&& expired) {
    now_ = std::max(now_, now);
    if (now_ < next_work_ && !is_cut_short_) {  // the usual case: no bucket begins up to now
      cursor_ = tick_of(now_);
      return 0;
    }
    return advance_slowly(limit, expired);
  }

  /// nullopt when nothing is armed. Otherwise a time before which nothing expires, and calling advance() for
  /// it leads on: the deadline itself once that is near, before that the begin of a bucket. It is not
  /// after now() only if something is due (or was, and left since), or was left by the limit. Not for use
  /// within `expired`.
  [[nodiscard]] std::optional<Time> next_deadline() const {
    HF_ASSERT(!advancing_);
    if (size_ == 0) return std::nullopt;
    return is_cut_short_ ? begin_of(cursor_) : next_work_;
  }

  /// How many are armed.
  [[nodiscard]] std::size_t size() const { return size_; }
  /// The last time advanced to.
  [[nodiscard]] Time now() const { return now_; }
  /// How long the oldest work that the last advance() left, for its limit, has been waiting; else 0.
  [[nodiscard]] Duration lag() const { return lag_; }

 private:
  using Tick = std::int64_t;
  static constexpr unsigned index_mask = buckets_per_level - 1;
  static constexpr unsigned top_shift = level_bits * (levels - 1);
  static constexpr unsigned bucket_count = levels * buckets_per_level;
  static constexpr unsigned due_bucket = bucket_count;  // one more, with a bitmap that nobody reads
  static_assert(due_bucket + 1 <= UINT16_MAX && buckets_per_level % 64 == 0);
  using Links = detail::TimerLinkTraits;
  using Bitmap = std::array<std::uint64_t, buckets_per_level / 64>;

  // A list alone would be emptied at the pace of one cache miss after another. So each node is filed with the
  // whereabouts of the one filed `ahead` before it, in cache lines modulo 256 GiB: prefetched when it is
  // taken, from the back. It is a hint: that node may have left, or its memory be another's.
  struct alignas(cache_line) Bucket {
    static constexpr unsigned ahead = 8;
    detail::TimerLink head;
    std::uint32_t filed = 0;
    std::array<std::uint32_t, ahead> recent{};

    void append(TimerNode& node) {
      detail::TimerList::link_before(&head, &node);
      std::uint32_t& oldest = recent[filed++ % ahead];
      node.hint_ = oldest;
      oldest = static_cast<std::uint32_t>(reinterpret_cast<std::uintptr_t>(&node) / cache_line);
    }
  };
  static_assert(sizeof(Bucket) == cache_line);

  static void prefetch_hint(const TimerNode& node) {
    constexpr std::uintptr_t reach = std::uintptr_t{UINT32_MAX} * cache_line + cache_line - 1;
    const std::uintptr_t base = reinterpret_cast<std::uintptr_t>(&node) & ~reach;
    prefetch_for_write(reinterpret_cast<const void*>(base + std::uintptr_t{node.hint_} * cache_line));
  }

  static Tick tick_of(Time time) { return time.time_since_epoch().count() >> tick_bits; }
  static Time begin_of(Tick tick) { return Time{Duration{tick << tick_bits}}; }

  // Where a tick belongs, seen from the cursor. Below the top a level holds what shares all higher digits
  // with the cursor; its buckets never wrap. The top level does wrap, so the end of 6.5 days is no special
  // moment.
  [[nodiscard]] unsigned bucket_of(Tick tick) const {
    const auto differing = static_cast<std::uint64_t>(tick ^ cursor_);
    if (differing >> top_shift == 0) {
      const auto digits = static_cast<unsigned>(std::bit_width(differing | 1) - 1) / level_bits;
      return digits << level_bits | (static_cast<unsigned>(tick >> (digits * level_bits)) & index_mask);
    }
    const Tick farthest = (cursor_ >> top_shift) + index_mask;
    const auto index = static_cast<unsigned>(std::min(tick >> top_shift, farthest)) & index_mask;
    return (levels - 1) << level_bits | index;
  }

  // The same, remembered: what is armed in one burst is often armed for one moment.
  [[nodiscard]] unsigned bucket_again(Tick tick) {
    if (tick != last_tick_ || cursor_ != last_cursor_) {
      last_tick_ = tick;
      last_cursor_ = cursor_;
      last_bucket_ = bucket_of(tick);
    }
    return last_bucket_;
  }

  // The inverse: the tick at which an occupied bucket begins. For one that is being drained: not after the
  // cursor.
  [[nodiscard]] Tick first_tick(unsigned bucket) const {
    const unsigned level = bucket >> level_bits;
    const unsigned shift = level * level_bits;
    const Tick here = cursor_ >> shift;
    return (here + ((bucket - static_cast<unsigned>(here)) & index_mask)) << shift;
  }

  // Whether a node may stay where it is filed to fire at that tick. One that waits to be filed anew may not: who
  // is armed for soon shall not stand in that line.
  [[nodiscard]] bool is_early_enough(unsigned bucket, Tick tick) const {
    const Tick first = first_tick(bucket);
    return tick >= first && (bucket < buckets_per_level || first > cursor_);
  }

  // What is due already waits outside the levels for the next advance().
  void file(TimerNode& node) {
    const bool due = node.deadline <= now_;
    const unsigned bucket = due ? due_bucket : bucket_again(tick_of(node.deadline));
    node.filed_ = static_cast<std::uint16_t>(bucket + 1);
    buckets_[bucket].append(node);
    occupied_[bucket >> level_bits][(bucket & index_mask) / 64] |= std::uint64_t{1} << (bucket % 64);
    const bool by_deadline = due || bucket < buckets_per_level;
    next_work_ = std::min(next_work_, by_deadline ? node.deadline : begin_of(first_tick(bucket)));
  }

  // The node may lie in an opened list instead of its bucket: it is the head that says what to forget.
  void remove(TimerNode& node) {
    detail::TimerList::unlink(&node);
    const unsigned bucket = node.filed_ - 1u;
    if (detail::TimerList::unique(&buckets_[bucket].head)) forget(bucket);
  }
  void forget(unsigned bucket) {
    occupied_[bucket >> level_bits][(bucket & index_mask) / 64] &= ~(std::uint64_t{1} << (bucket % 64));
  }

  // The first set bit from `from` on, or buckets_per_level.
  static unsigned next_set(const Bitmap& bits, unsigned from) {
    if (from >= buckets_per_level) return buckets_per_level;
    unsigned word = from / 64;
    std::uint64_t rest = bits[word] & (~std::uint64_t{0} << (from % 64));
    while (rest == 0) {
      if (++word == bits.size()) return buckets_per_level;
      rest = bits[word];
    }
    return word * 64 + static_cast<unsigned>(std::countr_zero(rest));
  }

  // The occupied bucket that begins first, of level 0 from `skip` after the cursor on; bucket_count if none.
  // A lower level lies wholly before the next occupied bucket of a higher one.
  [[nodiscard]] unsigned first_occupied(unsigned skip) const {
    for (unsigned level = 0; level < levels; ++level) {
      const unsigned here = static_cast<unsigned>(cursor_ >> (level * level_bits)) & index_mask;
      unsigned index = next_set(occupied_[level], here + (level == 0 ? skip : 1));
      if (index == buckets_per_level && level == levels - 1) index = next_set(occupied_[level], 0);
      if (index != buckets_per_level) return level << level_bits | index;
    }
    return bucket_count;
  }

  // Moves the cursor to the next bucket that begins up to `target`, and its nodes to the pending list.
  // Returns false if there is none, with the cursor at `target`.
  bool open_next_bucket(Tick target) {
    next_work_ = Time::max();  // what was promised for the buckets opened so far is done with
    const unsigned bucket = first_occupied(0);
    if (bucket == bucket_count || first_tick(bucket) > target) {
      cursor_ = target;
      return false;
    }
    cursor_ = first_tick(bucket);
    pending_level_ = bucket >> level_bits;
    open(bucket);
    return true;
  }
  void open(unsigned bucket) {
    move_in_front(buckets_[bucket].head, pending_);
    forget(bucket);
  }
  // Of what is in that list already: that is taken from the back.
  static void move_in_front(detail::TimerLink& from, detail::TimerLink& to) {
    detail::TimerList::transfer(Links::get_next(&to), Links::get_next(&from), &from);
  }
  // What is left of a coarse bucket goes on beside what is due from the next call on.
  void set_aside() {
    if (pending_level_ == 0 || is_empty(pending_)) return;
    if (sinking_levels_ == 0) sinking_since_ = begin_of(cursor_);
    sinking_levels_ |= 1u << pending_level_;
    move_in_front(pending_, sinking_[pending_level_]);
  }

  // Links are read through the traits everywhere, never as `pending_.prev`: where both forms meet in one
  // loop, g++ 12.2 overlooks that they alias and hoists the load (a test pins it).
  [[nodiscard]] static TimerNode& last_of(const detail::TimerLink& list) {
    return static_cast<TimerNode&>(*Links::get_previous(&list));
  }
  [[nodiscard]] static bool is_empty(const detail::TimerLink& list) { return detail::TimerList::unique(&list); }

  // Expires the nodes of an opened list or files them anew, until `work` has looked at `most`.
  struct Work {
    std::size_t looked_at = 0, expired = 0;
  };
  template <class F>
  [[gnu::always_inline]] Work drain(detail::TimerLink& list, std::size_t most, Work work, F& expired) {
    while (work.looked_at < most && !is_empty(list)) {
      ++work.looked_at;
      TimerNode& node = last_of(list);
      detail::TimerList::unlink(&node);
      prefetch_hint(node);
      if (node.deadline > now_) {
        file(node);
        continue;
      }
      node.filed_ = 0;
      --size_;
      ++work.expired;
      expired(node);
    }
    return work;
  }

  // The same with what was set aside of the coarser levels. The finest of them first: who has come from afar is in no hurry. But
  // at least half is left for the coarsest, or it would wait for ever where there is always something else.
  template <class F>
  [[gnu::noinline, gnu::cold]] Work sink(std::size_t most, Work work, F& expired) {
    if (std::has_single_bit(sinking_levels_)) [[likely]]
      return sink_level(static_cast<unsigned>(std::countr_zero(sinking_levels_)), most, work, expired);
    const std::size_t first = most - (most - std::min(most, work.looked_at)) / 2;
    for (unsigned level = 1; level < levels; ++level)
      if ((sinking_levels_ >> level & 1) != 0) work = sink_level(level, first, work, expired);
    for (unsigned level = levels - 1; level != 0; --level)
      if ((sinking_levels_ >> level & 1) != 0) work = sink_level(level, most, work, expired);
    return work;
  }
  template <class F>
  Work sink_level(unsigned level, std::size_t most, Work work, F& expired) {
    work = drain(sinking_[level], most, work, expired);
    if (is_empty(sinking_[level])) sinking_levels_ &= ~(1u << level);
    return work;
  }

  template <class F>
  std::size_t advance_slowly(std::size_t limit, F&& expired) {
    HF_ASSERT(!advancing_);
    advancing_ = true;
    const Tick target = tick_of(now_);
    Work work;
    // The tick of `now` is opened once for each time, also where the limit makes it several calls: what is due later in it
    // goes back to its bucket, and would come out again for ever.
    bool last = is_cut_short_ && now_ == cut_at_ && next_work_ > now_ && cursor_ == target && is_finest_pending();
    pending_level_ = 0;
    open(due_bucket);
    // What was set aside has half of the limit, and in the end what is left of it.
    if (sinking_levels_ != 0) [[unlikely]]
      work = sink(limit - limit / 2, work, expired);
    for (;;) {
      work = drain(pending_, limit, work, expired);
      if (!is_empty(pending_) || last || !open_next_bucket(target)) break;
      last = cursor_ == target && is_finest_pending();
    }
    set_aside();
    if (sinking_levels_ != 0) [[unlikely]]
      work = sink(limit, work, expired);
    settle(!is_empty(pending_));
    advancing_ = false;
    return work.expired;
  }

  // When there is work next, and how long what was left for the limit has been waiting.
  void settle(bool is_pending) {
    const bool is_sinking = sinking_levels_ != 0;
    is_cut_short_ = is_pending || is_sinking;
    cut_at_ = now_;
    lag_ = Duration{0};
    if (is_pending) lag_ = now_ - begin_of(cursor_);
    if (is_sinking) lag_ = std::max(lag_, now_ - sinking_since_);
    if (is_pending) return;
    // What lies in the present tick was filed since the last bucket was opened, and so counted then.
    const unsigned next = first_occupied(1);
    if (next != bucket_count) next_work_ = std::min(next_work_, begin_of(first_tick(next)));
    if (!is_empty(buckets_[due_bucket].head)) next_work_ = std::min(next_work_, now_);
  }

  [[nodiscard]] bool is_finest_pending() const { return !is_empty(pending_) && last_of(pending_).filed_ <= buckets_per_level; }

  Time now_;
  Time next_work_ = Time::max();  // nothing expires and no bucket begins before it
  Tick last_tick_ = 0, last_cursor_ = -1;  // of last_bucket_
  unsigned last_bucket_ = 0;
  Tick cursor_;                   // all buckets that begin before it are empty; not after the tick of now_
  std::size_t size_ = 0;
  Duration lag_{0};
  bool advancing_ = false;
  bool is_cut_short_ = false;  // by the limit, at cut_at_: there is more to do at once
  Time cut_at_{};
  detail::TimerLink pending_;    // the opened bucket, which began at the cursor; between calls one of the finest level
  unsigned pending_level_ = 0;
  unsigned sinking_levels_ = 0;  // bits of those of the next that may not be empty
  Time sinking_since_{};         // when the first of those began
  std::array<detail::TimerLink, levels> sinking_;  // what the limit has left of coarser ones, by level
  std::array<Bitmap, levels + 1> occupied_{};
  std::array<Bucket, bucket_count + 1> buckets_;
};

}  // namespace handfast::ds
