// SPDX-License-Identifier: BSD-3-Clause
// Path MTUs by destination. Layer: tcp; see path_cache.hpp.
#include "tcp/path_cache.hpp"

#include <algorithm>

namespace handfast::tcp {

PathCache::PathCache(std::uint32_t capacity, std::uint64_t secret)
    : buckets_((std::size_t{capacity} + ways - 1) / ways), factor_(secret | 1) {}

PathCache::Bucket& PathCache::bucket_of(Ipv4Address destination) {
  const std::uint64_t hash = (destination.value ^ factor_ >> 32) * factor_ >> 32;
  return buckets_[(hash & 0xffffffffu) * buckets_.size() >> 32];
}

PathCache::Entry* PathCache::lookup(Ipv4Address destination) {
  if (buckets_.empty()) return nullptr;
  for (Entry& entry : bucket_of(destination).entries)
    if (entry.mtu != 0 && entry.destination == destination) return &entry;
  return nullptr;
}

void PathCache::drop(Entry& entry) {
  entry.mtu = 0;
  --used_;
}

std::uint16_t PathCache::find(Ipv4Address destination, std::uint32_t now_ms) {
  Entry* entry = lookup(destination);
  if (entry == nullptr) return 0;
  if (now_ms - entry->since_ms < path_lifetime_ms) return entry->mtu;
  drop(*entry);
  return 0;
}

bool PathCache::store(Ipv4Address destination, std::uint16_t mtu, std::uint32_t now_ms) {
  if (buckets_.empty()) return false;
  bool pushed_out = false;
  Entry* place = lookup(destination);
  if (place == nullptr) {
    const auto age = [now_ms](const Entry& e) { return e.mtu == 0 ? ~std::uint32_t{0} : now_ms - e.since_ms; };
    auto& entries = bucket_of(destination).entries;
    place = &*std::ranges::max_element(entries, {}, age);
    pushed_out = place->mtu != 0 && now_ms - place->since_ms < path_lifetime_ms;
    if (place->mtu == 0) ++used_;
  }
  *place = {destination, now_ms, mtu};
  return pushed_out;
}

void PathCache::forget(Ipv4Address destination) {
  if (Entry* entry = lookup(destination)) drop(*entry);
}

}  // namespace handfast::tcp
