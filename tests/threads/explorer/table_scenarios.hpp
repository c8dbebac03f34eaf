// SPDX-License-Identifier: BSD-3-Clause
// What threads do to a flow table: one owner that changes it, readers that look flows up and list them; and
// the sequential table that they are held against. Layer: test of threads.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "access.hpp"
#include "ds/flow_table.hpp"
#include "explorer_test.hpp"
#include "histories.hpp"
#include "tcp/flow_slot.hpp"

namespace handfast::explorer {

enum Kind : std::uint32_t { insert_flow, erase_flow, move_flow, find_flow, list_flows };

/// Flows 0 to 7, all of one bucket and one tag unless a scenario says otherwise. `TableMistake` is in the
/// table's accesses, `KeyMistake` in those to the keys that stand in the slots.
template <class TableMistake = Faithful, class KeyMistake = Faithful>
class TableWorld {
 public:
  static constexpr std::uint32_t flows = 8, slots = 24;
  using Keys = Explored<KeyMistake>;
  struct NoKeys {
    const FlowKey& operator()(std::uint32_t) const { return none; }
    static constexpr FlowKey none{};
  };

  [[nodiscard]] static FlowKey key(std::uint32_t flow) {
    FlowKey k;
    k.local_address = 100 + flow;
    k.remote_address = 200 + flow;
    k.ports = 300 + flow;
    return k;
  }
  /// The flow that a key is of; `flows` where its words are of two.
  [[nodiscard]] static std::uint32_t flow_of(const FlowKey& k) {
    const std::uint32_t flow = k.local_address - 100;
    return flow < flows && k == key(flow) ? flow : flows;
  }

  // The owner.
  void insert(std::uint32_t flow, std::uint32_t slot) {
    const std::size_t op = begin(insert_flow, flow | slot << 8);
    tcp::publish<Keys>(keys_[slot], key(flow));
    const bool done = table_.insert(hash, slot);
    end(op, done);
  }
  /// With the steps in the wrong order.
  void insert_then_publish(std::uint32_t flow, std::uint32_t slot) {
    const std::size_t op = begin(insert_flow, flow | slot << 8);
    const bool done = table_.insert(hash, slot);
    tcp::publish<Keys>(keys_[slot], key(flow));
    end(op, done);
  }
  void erase(std::uint32_t flow, std::uint32_t slot) {
    const std::size_t op = begin(erase_flow, flow);
    end(op, table_.erase(hash, slot));
  }
  void move(std::uint32_t flow, std::uint32_t from, std::uint32_t to) {
    const std::size_t op = begin(move_flow, flow | to << 8);
    tcp::publish<Keys>(keys_[to], key(flow));
    end(op, table_.replace(hash, from, to));
  }
  void fill(std::uint32_t first_slot, std::uint32_t count) {
    for (std::uint32_t i = 0; i < count; ++i) static_cast<void>(table_.insert(filler_hash, first_slot + i));
  }
  void drop_filler(std::uint32_t slot) { table_.erase(filler_hash, slot); }

  // Readers.
  void find(std::uint32_t flow) {
    const std::size_t op = begin(find_flow, flow);
    const std::uint32_t slot = table_.find_concurrent(
        hash, [&](std::uint32_t s) { return tcp::observe<Keys>(keys_[s]) == key(flow); });
    end(op, slot == table_.npos ? 0 : slot + 1);
  }
  /// As Shard::connections does it. Four bits a flow: how often it was listed; and the uppermost for a torn
  /// key.
  void list() {
    const std::size_t op = begin(list_flows, 0);
    std::uint64_t seen = 0;
    table_.snapshot([&](std::uint32_t slot) { return tcp::observe<Keys>(keys_[slot]); },
                    [&](const FlowKey& k) { seen += std::uint64_t{1} << 4 * flow_of(k); });
    end(op, seen);
  }
  /// With the keys read after the look at the bucket, and looked up once more.
  void list_in_two_looks() {
    const std::size_t op = begin(list_flows, 0);
    std::uint64_t seen = 0;
    table_.snapshot([&](std::uint32_t slot) {
      const FlowKey k = tcp::observe<Keys>(keys_[slot]);
      const auto same = [&](std::uint32_t other) {
        return other == slot && tcp::observe<Keys>(keys_[other]) == k;
      };
      if (table_.find_concurrent(hash, same) == slot) seen += std::uint64_t{1} << 4 * flow_of(k);
    });
    end(op, seen);
  }

  static constexpr std::uint64_t hash = 0x0007'0000'0000'0000, filler_hash = 0x0009'0000'0000'0000;

 private:
  static std::size_t begin(std::uint32_t kind, std::uint32_t argument) {
    return Machine::active == nullptr ? 0 : Machine::active->begin(kind, argument);
  }
  static void end(std::size_t op, std::uint64_t result) {
    if (Machine::active != nullptr) Machine::active->end(op, result);
  }

  ds::FlowTable<NoKeys, Explored<TableMistake>> table_{64};
  std::array<FlowKey, slots> keys_{};
};

/// The sequential table: of each flow the slot and one, 0 where it is absent.
struct TableModel {
  std::array<std::uint8_t, 8> slot_of{};
  friend auto operator<=>(const TableModel&, const TableModel&) = default;

  bool apply(const Operation& op) {
    std::uint8_t& slot = slot_of[op.argument & 0xff];
    switch (op.kind) {
      case insert_flow:
      case move_flow:
        if ((slot != 0) != (op.kind == move_flow)) return false;
        slot = static_cast<std::uint8_t>((op.argument >> 8) + 1);
        return op.result == 1;
      case erase_flow:
        if (slot == 0) return false;
        slot = 0;
        return op.result == 1;
      case find_flow:
        return op.result == slot;
      case list_flows: {
        std::uint64_t seen = 0;
        for (std::size_t flow = 0; flow < slot_of.size(); ++flow)
          if (slot_of[flow] != 0) seen += std::uint64_t{1} << 4 * flow;
        return op.result == seen;
      }
      default:
        return false;
    }
  }
};

inline std::string text(const Operation& op) {
  static constexpr const char* names[] = {"insert", "erase", "move", "find", "list"};
  return "\n  thread " + std::to_string(op.thread) + " " + names[op.kind] + "(" +
         std::to_string(op.argument & 0xff) + ", " + std::to_string(op.argument >> 8) +
         ") = " + std::to_string(op.result) + "  [" + std::to_string(op.begun) + ".." +
         std::to_string(op.ended) + "]";
}

/// One scenario: how the table begins, and what each thread does.
template <class World>
struct TableScenario {
  TableModel start;
  std::function<void(World&)> prepare;
  std::vector<std::function<void(World&)>> threads;
};

template <class World>
Outcome explore(const TableScenario<World>& scenario, Bounds bounds) {
  Stage<World> stage;
  if (scenario.prepare) scenario.prepare(stage.world());
  stage.keep();
  Machine machine;
  return machine.explore(
      static_cast<int>(scenario.threads.size()), bounds, [&] { stage.reset(); },
      [&](int me) { scenario.threads[static_cast<std::size_t>(me)](stage.world()); },
      [&] {
        if (Linearizer<TableModel>{machine}.possible(scenario.start)) return std::string{};
        std::string what = "no order explains:";
        for (const Operation& op : machine.history()) what += text(op);
        return what;
      });
}

// --- the scenarios -----------------------------------------------------------------------------------------

/// Flow 0 leaves slot 1, which flow 1 then takes.
template <class World>
TableScenario<World> slot_reused() {
  return {TableModel{{2}},
          [](World& w) { w.insert(0, 1); },
          {[](World& w) {
             w.erase(0, 1);
             w.insert(1, 1);
           },
           [](World& w) {
             w.find(1);
             w.find(0);
           },
           [](World& w) { w.find(0); }}};
}

/// Flow 0 moves to slot 2, and flow 1 takes slot 1: flow 0 is never absent.
template <class World>
TableScenario<World> flow_moves() {
  return {TableModel{{2}},
          [](World& w) { w.insert(0, 1); },
          {[](World& w) {
             w.move(0, 1, 2);
             w.insert(1, 1);
           },
           [](World& w) { w.find(0); },
           [](World& w) {
             w.find(1);
             w.find(0);
           }}};
}

/// The same, and all of it is listed.
template <class World, bool two_looks = false>
TableScenario<World> listed_while_it_moves() {
  return {TableModel{{2, 0, 6}},
          [](World& w) {
            w.insert(0, 1);
            w.insert(2, 5);
          },
          {[](World& w) {
             w.move(0, 1, 2);
             w.insert(1, 1);
             w.erase(2, 5);
           },
           [](World& w) {
             if constexpr (two_looks)
               w.list_in_two_looks();
             else
               w.list();
           }}};
}

/// The home bucket is full: flow 0 lives next door, comes back home, and flow 2 stays next door throughout.
template <class World>
TableScenario<World> beyond_a_full_bucket() {
  return {TableModel{{0, 0, 6}},
          [](World& w) {
            w.fill(10, 9);
            w.insert(2, 5);
          },
          {[](World& w) {
             w.insert(0, 1);
             w.erase(0, 1);
             w.drop_filler(12);
             w.insert(0, 1);
           },
           [](World& w) {
             w.find(0);
             w.find(2);
           }}};
}

}  // namespace handfast::explorer
