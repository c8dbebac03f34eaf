// SPDX-License-Identifier: BSD-3-Clause
// One direction of an emulated link; see direction.hpp. Layer: emulator.
#include "emulator/direction.hpp"

#include <algorithm>
#include <cstdint>

namespace handfast::emulator {
namespace {

constexpr std::size_t ethernet_header = 14;

bool chance(Rng& rng, double p) {
  if (p <= 0) return false;
  return static_cast<double>(rng.next() >> 11) < p * static_cast<double>(std::uint64_t{1} << 53);
}

unsigned byte_at(std::span<const std::byte> frame, std::size_t i) {
  return std::to_integer<unsigned>(frame[i]);
}

bool is_ecn_capable(std::span<const std::byte> frame) {
  if (frame.size() < ethernet_header + 20 || byte_at(frame, 12) != 0x08 || byte_at(frame, 13) != 0x00)
    return false;
  return (byte_at(frame, ethernet_header + 1) & 3) != 0;
}

/// rfc3168 5: both bits of the ECN field; the header's sum follows (rfc1624 3).
void mark(std::vector<std::byte>& frame) {
  const auto word = [&](std::size_t i) { return byte_at(frame, i) << 8 | byte_at(frame, i + 1); };
  const unsigned before = word(ethernet_header);
  frame[ethernet_header + 1] |= std::byte{3};
  const unsigned after = word(ethernet_header);
  unsigned sum = (~word(ethernet_header + 10) & 0xffff) + (~before & 0xffff) + after;
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  sum = ~sum & 0xffff;
  frame[ethernet_header + 10] = static_cast<std::byte>(sum >> 8);
  frame[ethernet_header + 11] = static_cast<std::byte>(sum & 0xff);
}

}  // namespace

Direction::Direction(std::uint64_t seed, Rules rules_of_it)
    : rules(std::move(rules_of_it)), loss_(seed), copies_(0), flips_(0), jitter_(0), order_(0) {
  Rng seeds{seed};
  for (Rng* rng : {&loss_, &copies_, &flips_, &jitter_, &order_}) *rng = Rng{seeds.next()};
}

bool Direction::is_lost(std::size_t n, std::span<const std::byte> frame) {
  if (rules.lose && rules.lose(n, frame)) return true;
  if (chance(loss_, rules.loss)) return true;
  if (!rules.bursts) return false;
  if (chance(loss_, bad_ ? rules.bursts->r : rules.bursts->p)) bad_ = !bad_;
  return chance(loss_, bad_ ? rules.bursts->bad_loss : rules.bursts->good_loss);
}

void Direction::push(Time now, std::span<const std::byte> frame) {
  const std::size_t n = counts_.pushed++;
  counts_.pushed_bytes += frame.size();
  if (rules.mtu != 0 && frame.size() > ethernet_header + rules.mtu) {
    ++counts_.too_big;
    if (rules.too_big) rules.too_big(now, frame);
    return;
  }
  if (is_lost(n, frame)) {
    ++counts_.lost;
    return;
  }
  const bool twice = chance(copies_, rules.duplicate);
  const bool flip = chance(flips_, rules.corrupt);
  transmit(now, frame, flip);
  if (!twice) return;
  ++counts_.duplicated;
  transmit(now, frame, false);
}

void Direction::transmit(Time now, std::span<const std::byte> frame, bool flip) {
  if (heap_.size() >= max_in_flight) {
    ++counts_.too_many;
    return;
  }
  const std::size_t before = queued_bytes(now);
  if (rules.bits_per_second != 0 && before + frame.size() > rules.queue_bytes) {
    ++counts_.queue_full;
    return;
  }
  Time at = leave(now, frame.size()) + rules.delay;
  if (rules.jitter.count() > 0)
    at += Duration{
        static_cast<Duration::rep>(jitter_.next() % (static_cast<std::uint64_t>(rules.jitter.count()) + 1))};
  if (chance(order_, rules.reorder)) {
    at += rules.reorder_by;
    ++counts_.held_back;
  }
  const std::uint32_t slot = store(frame);
  std::vector<std::byte>& bytes = slots_[slot];
  if (before > rules.mark_above_bytes && is_ecn_capable(frame)) {
    mark(bytes);
    ++counts_.marked;
  }
  if (flip && bytes.size() > ethernet_header) {
    const std::uint32_t bit = flips_.below(static_cast<std::uint32_t>((bytes.size() - ethernet_header) * 8));
    bytes[ethernet_header + bit / 8] ^= std::byte{static_cast<std::uint8_t>(1u << bit % 8)};
    ++counts_.corrupted;
  }
  heap_.push_back({at, next_order_++, slot});
  std::ranges::push_heap(heap_, later);
}

Time Direction::leave(Time now, std::size_t bytes) {
  if (rules.bits_per_second == 0) return now;
  if (free_at_ <= now) {
    free_at_ = now;
    remainder_ = 0;
  }
  const std::uint64_t work = bytes * 8 * 1'000'000'000 + remainder_;
  free_at_ += Duration{static_cast<Duration::rep>(work / rules.bits_per_second)};
  remainder_ = work % rules.bits_per_second;
  queue_.push_back({free_at_, bytes});
  queued_bytes_ += bytes;
  counts_.most_queued_bytes = std::max(counts_.most_queued_bytes, queued_bytes_);
  return free_at_;
}

std::size_t Direction::queued_bytes(Time now) {
  while (!queue_.empty() && queue_.front().leaves <= now) {
    queued_bytes_ -= queue_.front().bytes;
    queue_.pop_front();
  }
  return queued_bytes_;
}

std::uint32_t Direction::store(std::span<const std::byte> frame) {
  if (free_.empty()) {
    slots_.emplace_back();
    free_.push_back(static_cast<std::uint32_t>(slots_.size() - 1));
  }
  const std::uint32_t slot = free_.back();
  free_.pop_back();
  slots_[slot].assign(frame.begin(), frame.end());
  return slot;
}

std::optional<Time> Direction::next() const {
  return heap_.empty() ? std::nullopt : std::optional{heap_.front().at};
}

Direction::Flying Direction::take() {
  std::ranges::pop_heap(heap_, later);
  const Flying flying = heap_.back();
  heap_.pop_back();
  ++counts_.delivered;
  counts_.delivered_bytes += slots_[flying.slot].size();
  return flying;
}

}  // namespace handfast::emulator
