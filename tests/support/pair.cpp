// SPDX-License-Identifier: BSD-3-Clause
// Two stacks on a link; see pair.hpp. Layer: test support.
#include "support/pair.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <stdexcept>
#include <string>

#include "support/usage.hpp"

namespace handfast::test {

Pair::Pair(std::uint64_t seed, LinkRules link, std::function<void(CoreConfig&)> adjust)
    : rules(std::move(link)), rng_(seed), now_(Time{std::chrono::microseconds{rng_.below(1u << 31)}}) {
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
  const std::size_t n = from.sent++;
  recorder_.note(now_, frame);
  const auto chance = [this](double p) { return p > 0 && rng_.below(1u << 20) < p * (1u << 20); };
  if (chance(rules.loss) || (rules.lose && rules.lose(from.index, n, frame))) {
    ++lost_;
    return;
  }
  put_on_wire(1 - from.index, frame);
  if (chance(rules.duplicate)) put_on_wire(1 - from.index, frame);
}

void Pair::put_on_wire(int to, std::span<const std::byte> frame) {
  const auto more = Duration{
      rules.jitter.count() == 0
          ? 0
          : static_cast<Duration::rep>(rng_.next() % static_cast<std::uint64_t>(rules.jitter.count()))};
  wire_.push({now_ + rules.delay + more, order_++, to, {frame.begin(), frame.end()}});
}

bool Pair::step(Time end) {
  Time next = wire_.empty() ? Time::max() : wire_.top().at;
  for (End& e : ends_)
    if (const auto due = e.stack->next_deadline()) next = std::min(next, *due);
  if (next > end) return false;
  now_ = std::max(now_, next);
  while (!wire_.empty() && wire_.top().at <= now_) {
    ends_[wire_.top().to].stack->receive(wire_.top().bytes);
    wire_.pop();
  }
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
  if (!wire_.empty()) return false;
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
