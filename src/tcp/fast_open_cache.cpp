// SPDX-License-Identifier: BSD-3-Clause
// The client's cache of cookies. Layer: tcp; see fast_open_cache.hpp.
#include "tcp/fast_open_cache.hpp"

#include <algorithm>

namespace handfast::tcp {
namespace {

Port remote_port(const FlowKey& key) { return static_cast<Port>(key.ports & 0xffff); }

bool is_for(const FastOpenCache::Entry& entry, const FlowKey& key) {
  return entry.remote_port == remote_port(key) && entry.remote_address == key.remote_address &&
         entry.local_address == key.local_address;
}

}  // namespace

FastOpenCache::FastOpenCache(std::uint32_t capacity, SipKey key)
    : key_(key), entries_((capacity + ways - 1) / ways * ways) {}

std::span<FastOpenCache::Entry> FastOpenCache::set_of(const FlowKey& key) {
  if (entries_.empty()) return {};
  const std::uint64_t addresses = std::uint64_t{key.local_address} << 32 | key.remote_address;
  const std::uint64_t set = siphash13(key_, addresses, remote_port(key)) % (entries_.size() / ways);
  return std::span{entries_}.subspan(set * ways, ways);
}

const FastOpenCache::Entry* FastOpenCache::find(const FlowKey& key) const {
  const auto set = const_cast<FastOpenCache*>(this)->set_of(key);
  const auto found = std::ranges::find_if(set, [&](const Entry& entry) { return is_for(entry, key); });
  return found != set.end() ? &*found : nullptr;
}

FastOpenCache::Entry* FastOpenCache::claim(const FlowKey& key) {
  const auto set = set_of(key);
  if (set.empty()) return nullptr;
  const auto found = std::ranges::find_if(set, [&](const Entry& entry) { return is_for(entry, key); });
  if (found != set.end()) return &*found;
  Entry& oldest = *std::ranges::min_element(set, {}, &Entry::since);
  oldest = {};
  oldest.local_address = key.local_address;
  oldest.remote_address = key.remote_address;
  oldest.remote_port = remote_port(key);
  return &oldest;
}

void FastOpenCache::learn(const FlowKey& key, std::span<const std::byte> cookie, std::uint16_t mss,
                          Time now) {
  Entry* entry = claim(key);
  if (entry == nullptr) return;
  entry->mss = mss;
  entry->length = static_cast<std::uint8_t>(std::min(cookie.size(), entry->cookie.size()));
  std::copy_n(cookie.begin(), entry->length, entry->cookie.begin());
  entry->since = now;
  entry->avoid_until = Time::min();
}

void FastOpenCache::approve(const FlowKey& key) {
  const auto set = set_of(key);
  for (Entry& entry : set)
    if (is_for(entry, key)) entry.avoid_until = Time::min();
}

void FastOpenCache::avoid(const FlowKey& key, Time now, Time until) {
  Entry* entry = claim(key);
  if (entry == nullptr) return;
  entry->since = now;
  entry->avoid_until = until;
}

}  // namespace handfast::tcp
