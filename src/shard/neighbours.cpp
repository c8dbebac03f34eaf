// SPDX-License-Identifier: BSD-3-Clause
// The ARP cache. Layer: shard; see neighbours.hpp.
#include "shard/neighbours.hpp"

#include <algorithm>

#include "wire/ethernet.hpp"

namespace handfast::shard {
namespace {
constexpr std::size_t probe_length = 16;  // places that an address may stand in
}

Neighbours::Neighbours(const LinkConfig& link, std::uint32_t capacity)
    : link_(link), entries_(std::max<std::size_t>(capacity, probe_length)) {}

Neighbours::Entry* Neighbours::lookup(Ipv4Address address) {
  const std::size_t home = address.value * 0x9e3779b1u % entries_.size();
  for (std::size_t i = 0; i < probe_length; ++i) {
    Entry& entry = entries_[(home + i) % entries_.size()];
    if (entry.state != State::free && entry.address == address) return &entry;
  }
  return nullptr;
}

Neighbours::Entry* Neighbours::add(Ipv4Address address) {
  const std::size_t home = address.value * 0x9e3779b1u % entries_.size();
  Entry* oldest = nullptr;
  for (std::size_t i = 0; i < probe_length; ++i) {
    Entry& entry = entries_[(home + i) % entries_.size()];
    if (entry.state == State::free) {
      ++used_;
      entry = {};
      entry.address = address;
      return &entry;
    }
    // The gateway is never put out by others.
    if (link_.gateway && entry.address == *link_.gateway) continue;
    if (oldest == nullptr || entry.since < oldest->since) oldest = &entry;
  }
  forget_fresh(oldest->address);
  lost_question_ = lost_question_ || oldest->state == State::incomplete;
  *oldest = {};
  oldest->address = address;
  return oldest;
}

Neighbours::Result Neighbours::find_slow(Ipv4Address next_hop, Time now) {
  Entry* entry = lookup(next_hop);
  if (entry != nullptr && entry->state == State::reachable) {
    const Time stale = entry->since + link_.neighbour_lifetime;
    if (now < stale) {
      fresh_[next_hop.value % fresh_.size()] = {next_hop, entry->mac, stale, wire::mac_word(entry->mac)};
      return {Lookup::known, entry->mac};
    }
    // Old: still used, while it is asked for again; without an answer it goes (rfc1122 2.3.2.1).
    if (entry->attempts < link_.neighbour_attempts) {
      const Time ask_again = stale + entry->attempts * link_.neighbour_retry;
      const bool refresh = now >= ask_again;
      if (refresh) {
        // The next question, and in the end giving up, count from this one, however long nobody had asked.
        entry->since = now - link_.neighbour_lifetime - entry->attempts * link_.neighbour_retry;
        ++entry->attempts;
      }
      return {Lookup::known, entry->mac, refresh};
    }
    if (now < stale + entry->attempts * link_.neighbour_retry) return {Lookup::known, entry->mac};
    entry->state = State::free;
    --used_;
    entry = nullptr;
  }
  if (entry != nullptr && entry->state == State::incomplete) return {Lookup::wait, {}};
  if (entry != nullptr && now < entry->since + link_.neighbour_retry) return {Lookup::unreachable, {}};
  if (entry == nullptr) entry = add(next_hop);
  entry->state = State::incomplete;
  entry->attempts = 1;
  entry->since = now;
  note_deadline(now + link_.neighbour_retry);
  return {Lookup::ask_and_wait, {}};
}

Drop Neighbours::learn(const wire::ArpPacket& packet, bool ours, Time now) {
  if (packet.sender_address.is_any()) return Drop::none;  // a probe (RFC 5227): it claims nothing
  Entry* entry = lookup(packet.sender_address);
  const bool reply = packet.operation == wire::ArpOperation::reply;
  if (entry == nullptr) {
    // Only who asks for us becomes a neighbour unasked: a reply to no question does not.
    if (!ours || reply) return ours ? Drop::arp_not_for_us : Drop::none;
    entry = add(packet.sender_address);
  } else if (entry->state == State::reachable && entry->mac != packet.sender_mac) {
    if (now < entry->since + neighbour_lock) return Drop::arp_locked;
  }
  entry->mac = packet.sender_mac;
  entry->state = State::reachable;
  entry->attempts = 0;
  entry->since = now;
  forget_fresh(entry->address);
  return Drop::none;
}

void Neighbours::suspect(Ipv4Address next_hop, Time now) {
  Entry* entry = lookup(next_hop);
  if (entry == nullptr || entry->state != State::reachable) return;
  const Duration age = now - entry->since;
  if (age < link_.neighbour_retry || age >= link_.neighbour_lifetime) return;
  entry->since = now - link_.neighbour_lifetime;  // old as of now: find_slow() does the rest
  entry->attempts = 0;
  forget_fresh(entry->address);
}

std::optional<Neighbours::Due> Neighbours::next_due(Time now) {
  if (now < next_deadline_) return std::nullopt;
  next_deadline_ = Time::max();
  std::optional<Due> due;
  for (Entry& entry : entries_) {
    if (entry.state != State::incomplete) continue;
    const Time when = entry.since + link_.neighbour_retry;
    if (due || now < when) {
      note_deadline(when);
      continue;
    }
    due = Due{entry.address, entry.attempts >= link_.neighbour_attempts};
    if (due->failed) {
      entry.state = State::failed;
    } else {
      ++entry.attempts;
      note_deadline(now + link_.neighbour_retry);
    }
    entry.since = now;
  }
  return due;
}

}  // namespace handfast::shard
