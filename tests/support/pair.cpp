// SPDX-License-Identifier: BSD-3-Clause
// Two stacks on a link; see pair.hpp. Layer: test support.
#include "support/pair.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <stdexcept>
#include <string>

#include "support/usage.hpp"

namespace handfast::test {

Pair::Pair(std::uint64_t seed, LinkRules link, std::function<void(CoreConfig&)> adjust, std::optional<Time> start)
    : rules(std::move(link)), rng_(seed), now_(Time{std::chrono::microseconds{rng_.below(1u << 31)}}),
      ways_{emulator::Direction{rng_.next()}, emulator::Direction{rng_.next()}} {
  now_ = start.value_or(now_);
  for (int i = 0; i < 2; ++i) {
    CoreConfig config;
    config.link.address = {address(i), 24};
    config.link.mac = MacAddress{{2, 0, 0, 0, 0, static_cast<std::uint8_t>(i + 1)}};
    if (link.loss > 0) config.link.neighbour_attempts = 100;  // what the link loses of ARP is not what is tested
    config.seed = rng_.next();
    config.limits.connections = 512;
    config.limits.half_open = 128;
    config.limits.time_wait = 256;
    config.limits.buffer_memory = 16ull << 20;
    config.limits.send_extents = 16384;
    config.limits.recovery_blocks = 256;
    if (adjust) adjust(config);
    End& end = ends_[i];
    end.pair = this;
    end.index = i;
    ways_[i].rules.lose = [this, i](std::size_t n, std::span<const std::byte> frame) {
      return rules.lose && rules.lose(i, n, frame);
    };
    auto made = FrameStack::create(
        config, now_,
        [](void* e, std::span<const std::byte> frame) {
          auto& from = *static_cast<End*>(e);
          from.pair->on_frame(from, frame);
        },
        &end);
    if (!made) throw std::runtime_error(made.error().what);
    end.stack = std::move(*made);
  }
}

Pair::~Pair() {
  for (End& end : ends_) {
    SCOPED_TRACE("end " + std::to_string(end.index));
    EXPECT_EQ(end.stack->buffers_in_use(), 0u);
    expect_nothing_held(end.stack->core());
  }
  recorder_.write_on_failure();
}

void Pair::on_frame(End& from, std::span<const std::byte> frame) {
  ++from.sent;
  recorder_.note(now_, frame);
  emulator::Direction& way = ways_[from.index];
  emulator::Rules& on_way = way.rules;
  // A test may have changed its rules since the last frame.
  on_way.delay = rules.delay;
  on_way.jitter = rules.jitter;
  on_way.loss = rules.loss;
  on_way.duplicate = rules.duplicate;
  on_way.bits_per_second = rules.bits_per_second;
  on_way.queue_bytes = rules.queue_bytes;
  way.push(now_, frame);
}

bool Pair::step(Time end) {
  Time next = Time::max();
  for (const emulator::Direction& way : ways_)
    if (const auto due = way.next()) next = std::min(next, *due);
  for (End& e : ends_)
    if (const auto due = e.stack->next_deadline()) next = std::min(next, *due);
  if (next > end) return false;
  now_ = std::max(now_, next);
  for (int from = 0; from < 2; ++from)
    ways_[from].deliver(now_, [&](Time, std::span<const std::byte> frame) { ends_[1 - from].stack->receive(frame); });
  for (End& e : ends_) e.stack->poll(now_);
  return true;
}

void Pair::run_until(Time end) {
  for (End& e : ends_) e.stack->poll(now_);
  while (step(end)) {
  }
  now_ = std::max(now_, end);
  for (End& e : ends_) e.stack->poll(now_);
}

bool Pair::is_idle() {
  if (ways_[0].next() || ways_[1].next()) return false;
  return std::ranges::all_of(ends_, [this](End& e) {
    const Usage usage = usage_of(e.stack->core());
    const auto due = e.stack->next_deadline();
    return usage.connections == 0 && usage.half_open == 0 && (!due || *due > now_);
  });
}

bool Pair::run_until(const std::function<bool()>& done, Duration limit) {
  const Time end = now_ + limit;
  for (End& e : ends_) e.stack->poll(now_);
  while (!done())
    if (!step(end)) return false;
  return true;
}

bool Pair::run_idle(Duration limit) {
  return run_until([this] { return is_idle(); }, limit);
}

}  // namespace handfast::test
