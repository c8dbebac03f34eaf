// SPDX-License-Identifier: BSD-3-Clause
// The two rings under every schedule within the bounds, and mistakes that the explorer must find in them.
// Layer: test of threads.
#include <array>
#include <compare>

#include "access.hpp"
#include "ds/mpsc_ring.hpp"
#include "ds/spsc_ring.hpp"
#include "explorer_test.hpp"
#include "histories.hpp"

namespace handfast::explorer {
namespace {

enum Kind : std::uint32_t { push_one, pop_one };

/// The sequential queue. A pop finds nothing where the queue is empty, or, in a ring of many producers, where
/// a push that is not over yet stands in its way. Where loads may return old values both sides may go by old
/// news at once, and "full" and "empty" prove nothing; what is taken must still be whole, once and in order.
template <bool held_up, bool old_news>
struct QueueModel {
  static constexpr std::uint8_t capacity = 2;
  std::array<std::uint8_t, capacity> items{};
  std::uint8_t count = 0;
  friend auto operator<=>(const QueueModel&, const QueueModel&) = default;

  bool apply(const Operation& op) {
    if (op.kind == push_one) {
      if (op.result == 0) return old_news || count == capacity;
      if (count == capacity) return false;
      items[count++] = static_cast<std::uint8_t>(op.argument);
      return true;
    }
    if (op.result == 0) return old_news || count == 0 || (held_up && op.argument != 0);
    if (count == 0 || items[0] != op.result) return false;
    items[0] = items[1];
    items[1] = 0;
    --count;
    return true;
  }
};

template <class Ring>
struct RingWorld {
  Ring ring{2};
  void push(std::uint32_t value) {
    Machine& m = *Machine::active;
    const std::size_t op = m.begin(push_one, value);
    m.end(op, ring.push(value));
  }
  void pop() {
    Machine& m = *Machine::active;
    const std::size_t op = m.begin(pop_one);
    std::uint32_t value = 0;
    m.end(op, ring.pop(value) ? value : 0);
  }
};

/// Pops that found nothing while a push was under way say so in their argument.
std::vector<Operation> with_overlaps(const Machine& machine) {
  std::vector<Operation> history = machine.history();
  for (Operation& op : history)
    for (const Operation& other : machine.history())
      if (op.kind == pop_one && other.kind == push_one && !machine.precedes(other, op) &&
          !machine.precedes(op, other))
        op.argument = 1;
  return history;
}

template <bool held_up, class World>
Outcome explore(const std::vector<std::function<void(World&)>>& threads, Bounds bounds) {
  Stage<World> stage;
  Machine machine;
  return machine.explore(
      static_cast<int>(threads.size()), bounds, [&] { stage.reset(); },
      [&](int me) { threads[static_cast<std::size_t>(me)](stage.world()); },
      [&] {
        const std::vector<Operation> history = with_overlaps(machine);
        if (bounds.stale == 0 ? Linearizer<QueueModel<held_up, false>>{machine, history}.possible({})
                              : Linearizer<QueueModel<held_up, true>>{machine, history}.possible({}))
          return std::string{};
        std::string what = "no order explains:";
        for (const Operation& op : machine.history())
          what += "\n  thread " + std::to_string(op.thread) + (op.kind == push_one ? " push " : " pop ") +
                  std::to_string(op.argument) + " = " + std::to_string(op.result) + "  [" +
                  std::to_string(op.begun) + ".." + std::to_string(op.ended) + "]";
        return what;
      });
}

template <class Mistake = Faithful>
using Spsc = RingWorld<ds::SpscRing<std::uint32_t, Explored<Mistake>>>;
template <class Mistake = Faithful>
using Mpsc = RingWorld<ds::MpscRing<std::uint32_t, Explored<Mistake>>>;

template <class World>
std::vector<std::function<void(World&)>> one_each_way() {
  return {[](World& w) {
            for (std::uint32_t i = 1; i <= 4; ++i) w.push(i);
          },
          [](World& w) {
            for (int i = 0; i < 4; ++i) w.pop();
          }};
}
template <class World>
std::vector<std::function<void(World&)>> two_producers() {
  return {[](World& w) {
            w.push(1);
            w.push(2);
          },
          [](World& w) { w.push(3); },
          [](World& w) {
            for (int i = 0; i < 3; ++i) w.pop();
          }};
}

TEST(ExploredRings, one_producer__is_a_queue) {
  expect_sound(explore<false>(one_each_way<Spsc<>>(), in_order()), "in order");
  expect_sound(explore<false>(one_each_way<Spsc<>>(), with_old_values()), "with old values");
}
TEST(ExploredRings, many_producers__is_a_queue_that_a_push_may_hold_up) {
  expect_sound(explore<true>(two_producers<Mpsc<>>(), in_order()), "in order");
  expect_sound(explore<true>(two_producers<Mpsc<>>(), with_old_values()), "with old values");
}

struct StoresRelaxed : Faithful {
  static std::memory_order order(std::memory_order asked) {
    return asked == std::memory_order_release ? std::memory_order_relaxed : asked;
  }
};
struct LoadsRelaxed : Faithful {
  static std::memory_order order(std::memory_order asked) {
    return asked == std::memory_order_acquire ? std::memory_order_relaxed : asked;
  }
};

TEST(ExploredRingMistakes, without_release__is_found) {
  EXPECT_NE(explore<false>(one_each_way<Spsc<StoresRelaxed>>(), with_old_values()).failure, "");
  EXPECT_NE(explore<true>(two_producers<Mpsc<StoresRelaxed>>(), with_old_values()).failure, "");
}
TEST(ExploredRingMistakes, without_acquire__is_found) {
  EXPECT_NE(explore<false>(one_each_way<Spsc<LoadsRelaxed>>(), with_old_values()).failure, "");
  EXPECT_NE(explore<true>(two_producers<Mpsc<LoadsRelaxed>>(), with_old_values()).failure, "");
}
/// One producer's ring with two of them.
TEST(ExploredRingMistakes, two_producers_on_a_ring_for_one__is_found) {
  EXPECT_NE(explore<false>(two_producers<Spsc<>>(), in_order()).failure, "");
}

}  // namespace
}  // namespace handfast::explorer
