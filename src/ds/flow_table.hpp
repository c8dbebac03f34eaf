// SPDX-License-Identifier: BSD-3-Clause
// Hash to slot number, for the connections of one core: one writer, the owner, and any number of reading
// threads that never hold it up. Layer: ds. Keys stay with the connections (KeyOf finds them); the table
// holds 16 bits of the hash and the slot. Fixed size, no allocation, no rehashing.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <type_traits>
#include <utility>
#include <vector>

#include "base/assert.hpp"
#include "base/flow_key.hpp"
#include "ds/atomics.hpp"
#include "ds/cache_line.hpp"
#include "ds/flow_bucket.hpp"
#include "ds/mapping.hpp"

namespace handfast::ds {

/// An entry lives in its home bucket; where that was full, in the neighbouring cache line; where that was
/// full as well, in one of 14 others on a path of its own. (Were those simply the next ones, full buckets
/// would form runs longer than any bound.) Each bucket that it passed by counts it in `overflow`, so that a
/// look-up stops at the first bucket that nobody passed. KeyOf: `const FlowKey& operator()(std::uint32_t
/// slot) const`; called by the owner's side only.
template <class KeyOf, class Access = Atomics>
class FlowTable {
  using FlowBucket = BasicFlowBucket<Access>;

 public:
  static constexpr std::uint32_t npos = 0xffffffff;
  static constexpr unsigned max_probe = 16;

  /// At most `capacity` entries, at most `load_percent` of the places used then. At 50 one home bucket in sixty is full, so that
  /// a flow that is not there costs one cache miss (at 75 one in seven). At 75 a path with all its buckets full is out of
  /// reach in practice; it is still answered, by insert() == false.
  /// Throws std::bad_alloc where the kernel refuses the reservation.
  explicit FlowTable(std::uint32_t capacity, KeyOf key_of = KeyOf{}, unsigned load_percent = 50)
      : bucket_count_(count_for(capacity, load_percent)),
        capacity_(capacity),
        key_of_(std::move(key_of)),
        memory_(bytes_for(capacity, load_percent)),
        buckets_(static_cast<FlowBucket*>(memory_.data())) {}
  FlowTable(const FlowTable&) = delete;
  FlowTable& operator=(const FlowTable&) = delete;

  /// What a table of that capacity takes once it is full.
  [[nodiscard]] static std::uint64_t bytes_for(std::uint32_t capacity, unsigned load_percent = 50) {
    return std::uint64_t{count_for(capacity, load_percent)} * sizeof(FlowBucket);
  }
  /// See Mapping::prefault().
  void prefault() { memory_.prefault(); }

  // The owner's side.

  /// The slot of the flow, or npos.
  [[nodiscard]] std::uint32_t find(std::uint64_t hash, const FlowKey& key) const { return find(hash, key, home(hash)); }
  /// The same where `home` is home(hash).
  [[nodiscard]] std::uint32_t find(std::uint64_t hash, const FlowKey& key, const FlowBucket* home) const {
    const std::uint16_t tag = tag_of(hash);
    for (unsigned mask = home->matching(tag); mask != 0; mask &= mask - 1) {
      const std::uint32_t slot = home->slots[std::countr_zero(mask)];
      if (key_of_(slot) == key) [[likely]]
        return slot;
    }
    return home->overflow == 0 ? npos : find_beyond(hash, key);
  }
  /// The bucket that a flow is looked for in first.
  [[nodiscard]] const FlowBucket* home(std::uint64_t hash) const { return &at(hash, 0); }

  /// The key is known to be absent. False: at capacity, or all places within reach are taken.
  [[nodiscard]] bool insert(std::uint64_t hash, std::uint32_t slot) {
    if (size() == capacity_) return false;
    for (unsigned probe = 0; probe < max_probe; ++probe) {
      FlowBucket& bucket = at(hash, probe);
      const unsigned vacant = bucket.matching(FlowBucket::empty_tag);
      if (vacant == 0) [[unlikely]]
        continue;
      for (unsigned passed = 0; passed < probe; ++passed) at(hash, passed).add_overflow();
      bucket.put(static_cast<unsigned>(std::countr_zero(vacant)), tag_of(hash), slot);
      size_.store(size() + 1, std::memory_order_relaxed);
      return true;
    }
    return false;
  }

  /// False: no such entry.
  bool erase(std::uint64_t hash, std::uint32_t slot) {
    const Place place = locate(hash, slot);
    if (place.bucket == nullptr) return false;
    place.bucket->clear(place.index);
    for (unsigned passed = 0; passed < place.probe; ++passed) at(hash, passed).remove_overflow();
    size_.store(size() - 1, std::memory_order_relaxed);
    return true;
  }

  /// The same key now lives in another slot, as when a connection leaves for its TIME-WAIT entry. For readers
  /// the flow is never absent. False: no such entry.
  bool replace(std::uint64_t hash, std::uint32_t old_slot, std::uint32_t new_slot) {
    const Place place = locate(hash, old_slot);
    if (place.bucket == nullptr) return false;
    place.bucket->replace(place.index, new_slot);
    return true;
  }

  /// Stage one of a burst: before find(), insert() or erase().
  void prefetch(std::uint64_t hash) const { ds::prefetch(&at(hash, 0)); }

  /// Stage two: the slot that find() will most likely look at first, or npos; for prefetching the connection.
  [[nodiscard]] std::uint32_t candidate(std::uint64_t hash) const { return candidate(hash, home(hash)); }
  [[nodiscard]] std::uint32_t candidate(std::uint64_t hash, const FlowBucket* home) const {
    const unsigned mask = home->matching(tag_of(hash));
    return mask == 0 ? npos : home->slots[std::countr_zero(mask)];
  }

  /// For tests and debug builds, slow, allocates: whether every entry lies on its path and every overflow
  /// count is what the entries say. hash_of(std::uint32_t slot) is the hash that the slot was inserted with.
  template <class HashOf>
  [[nodiscard]] bool invariants(HashOf&& hash_of) const;

  // Any thread.

  [[nodiscard]] std::uint32_t size() const { return size_.load(std::memory_order_relaxed); }
  [[nodiscard]] std::uint32_t capacity() const { return capacity_; }

  /// Visits the slot of each entry, bucket by bucket, each bucket as it was at one instant. An entry that is
  /// there throughout is visited once; one that comes and goes meanwhile may be visited, more than once even,
  /// or missed. visit(std::uint32_t slot); the slot may have been freed by then: check its generation.
  template <class F>
  void snapshot(F&& visit) const {
    snapshot([](std::uint32_t slot) { return slot; }, visit);
  }

  /// The same with what `read(slot)` makes of each entry: visit(value). `read` is called while the entry stands in its
  /// bucket, so what it reads of the slot is of that entry, provided that it uses atomic loads with acquire, that the
  /// owner writes with release, and that it takes a flow out (or to another slot) before it reuses the slot. `read` may
  /// be called more often than `visit`, and for a slot that has just left.
  template <class Read, class Visit>
  void snapshot(Read&& read, Visit&& visit) const {
    std::invoke_result_t<Read&, std::uint32_t> copy[FlowBucket::entries];
    for (std::uint32_t i = 0; i < bucket_count_; ++i) {
      const unsigned count = copy_bucket(buckets_[i], read, copy);
      for (unsigned k = 0; k < count; ++k) visit(copy[k]);
    }
  }

  /// The slot for which match(slot) holds, or npos. A flow that is there throughout is always found, one that
  /// is absent throughout never, provided that `match` reads the key of a slot, which the owner may be
  /// changing underneath, through atomic loads with acquire, and that the owner erases a flow before it
  /// reuses the slot. `match` may be called more than once for a slot, and for one that has just left. Waits
  /// (spins, then yields) while the owner stands in the middle of a change of the bucket.
  template <class Match>
  [[nodiscard]] std::uint32_t find_concurrent(std::uint64_t hash, Match&& match) const {
    const std::uint16_t tag = tag_of(hash);
    for (unsigned probe = 0; probe < max_probe; ++probe) {
      std::uint16_t overflow = 0;
      const std::uint32_t found = search_bucket(at(hash, probe), tag, match, overflow);
      if (found != npos) return found;
      if (overflow == 0) break;
    }
    return npos;
  }

 private:
  struct Place {
    FlowBucket* bucket;
    unsigned index;
    unsigned probe;
  };
  static constexpr std::uint32_t least_buckets = 4 * max_probe;  // so that there are strides to choose from

  static std::uint32_t count_for(std::uint32_t capacity, unsigned load_percent) {
    HF_ASSERT(load_percent >= 1 && load_percent <= 100);
    const std::uint64_t places = (std::uint64_t{capacity} * 100 + load_percent - 1) / load_percent;
    const std::uint64_t pairs = places / (2 * FlowBucket::entries) + 1;
    HF_ASSERT(pairs * 2 <= UINT32_MAX);
    return std::max(least_buckets, static_cast<std::uint32_t>(pairs * 2));
  }

  // Tag, home and stride take different bits of the hash.
  static std::uint16_t tag_of(std::uint64_t hash) {
    const auto tag = static_cast<std::uint16_t>(hash >> 48);
    return tag == FlowBucket::empty_tag ? std::uint16_t{1} : tag;
  }

  // The bucket to try at each step. The stride is at least 2, and so small that the path never comes round to
  // where it has been.
  [[nodiscard]] FlowBucket& at(std::uint64_t hash, unsigned probe) const {
    const std::uint64_t home = (hash & 0xffffffff) * bucket_count_ >> 32;
    if (probe == 0) [[likely]]
      return buckets_[home];
    if (probe == 1) return buckets_[home ^ 1];
    const std::uint64_t strides = bucket_count_ / max_probe - 2;
    const std::uint64_t stride = 2 + ((hash >> 32 & 0xffff) * strides >> 16);
    const std::uint64_t index = home + (probe - 1) * stride;
    return buckets_[index < bucket_count_ ? index : index - bucket_count_];
  }

  [[nodiscard, gnu::noinline]] std::uint32_t find_beyond(std::uint64_t hash, const FlowKey& key) const {
    const std::uint16_t tag = tag_of(hash);
    for (unsigned probe = 1; probe < max_probe; ++probe) {
      const FlowBucket& bucket = at(hash, probe);
      for (unsigned mask = bucket.matching(tag); mask != 0; mask &= mask - 1) {
        const std::uint32_t slot = bucket.slots[std::countr_zero(mask)];
        if (key_of_(slot) == key) [[likely]]
          return slot;
      }
      if (bucket.overflow == 0) [[likely]]
        break;
    }
    return npos;
  }

  [[nodiscard]] Place locate(std::uint64_t hash, std::uint32_t slot) const {
    const std::uint16_t tag = tag_of(hash);
    for (unsigned probe = 0; probe < max_probe; ++probe) {
      FlowBucket& bucket = at(hash, probe);
      for (unsigned mask = bucket.matching(tag); mask != 0; mask &= mask - 1) {
        const auto index = static_cast<unsigned>(std::countr_zero(mask));
        if (bucket.slots[index] == slot) return {&bucket, index, probe};
      }
      if (bucket.overflow == 0) break;
    }
    return {nullptr, 0, 0};
  }

  // Reads the bucket until nothing changed meanwhile.
  template <class Read>
  static void read_unchanged(FlowBucket& bucket, Read&& read) {
    for (unsigned spins = 0;; ++spins) {
      const std::uint32_t before = FlowBucket::load(bucket.version);
      if ((before & 1) == 0) {
        read();
        if (FlowBucket::load(bucket.version) == before) return;
      }
      Access::pause(spins);
    }
  }

  template <class Match>
  static std::uint32_t search_bucket(FlowBucket& bucket, std::uint16_t tag, Match& match,
                                     std::uint16_t& overflow) {
    std::uint32_t found = npos;
    read_unchanged(bucket, [&] {
      found = npos;
      overflow = FlowBucket::load(bucket.overflow);
      for (unsigned i = 0; i < FlowBucket::entries; ++i) {
        if (FlowBucket::load(bucket.tags[i]) != tag) continue;
        const std::uint32_t slot = FlowBucket::load(bucket.slots[i]);
        if (match(slot)) {
          found = slot;
          return;
        }
      }
    });
    return found;
  }

  template <class Read, class Value>
  static unsigned copy_bucket(FlowBucket& bucket, Read& read, Value (&copy)[FlowBucket::entries]) {
    unsigned count = 0;
    read_unchanged(bucket, [&] {
      count = 0;
      for (unsigned i = 0; i < FlowBucket::entries; ++i) {
        if (FlowBucket::load(bucket.tags[i]) != FlowBucket::empty_tag) {
          copy[count++] = read(FlowBucket::load(bucket.slots[i]));
        }
      }
    });
    return count;
  }

  std::uint32_t bucket_count_;  // even: neighbours are pairs
  std::uint32_t capacity_;
  [[no_unique_address]] KeyOf key_of_;
  Mapping memory_;
  FlowBucket* buckets_;
  typename Access::template Atomic<std::uint32_t> size_{0};
};

template <class KeyOf, class Access>
template <class HashOf>
bool FlowTable<KeyOf, Access>::invariants(HashOf&& hash_of) const {
  std::uint32_t entries = 0;
  std::vector<std::uint32_t> passed(bucket_count_);
  for (std::uint32_t i = 0; i < bucket_count_; ++i) {
    for (unsigned e = 0; e < FlowBucket::entries; ++e) {
      if (buckets_[i].tags[e] == FlowBucket::empty_tag) continue;
      const std::uint64_t hash = hash_of(buckets_[i].slots[e]);
      unsigned probe = 0;
      for (; probe < max_probe && &at(hash, probe) != &buckets_[i]; ++probe) {
        ++passed[static_cast<std::size_t>(&at(hash, probe) - buckets_)];
      }
      if (probe == max_probe || buckets_[i].tags[e] != tag_of(hash)) return false;
      ++entries;
    }
  }
  for (std::uint32_t i = 0; i < bucket_count_; ++i) {
    const FlowBucket& bucket = buckets_[i];
    const bool stuck = bucket.overflow == FlowBucket::overflow_max;
    if ((bucket.overflow != passed[i] && !stuck) || (bucket.version & 1) != 0) return false;
  }
  return entries == size();
}

}  // namespace handfast::ds
