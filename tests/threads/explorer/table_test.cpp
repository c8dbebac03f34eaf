// SPDX-License-Identifier: BSD-3-Clause
// The flow table under every schedule within the bounds, and mistakes that the explorer must find in it.
// Layer: test of threads.
#include "table_scenarios.hpp"

namespace handfast::explorer {
namespace {

using World = TableWorld<>;

void expect_sound(const TableScenario<World>& scenario) {
  expect_sound(explore(scenario, in_order()), "in order");
  expect_sound(explore(scenario, with_old_values()), "with old values");
}

TEST(ExploredTable, slot_reused__a_look_up_finds_what_is_there) { expect_sound(slot_reused<World>()); }
TEST(ExploredTable, flow_moves__it_is_never_absent) { expect_sound(flow_moves<World>()); }
TEST(ExploredTable, listed_while_it_moves__each_line_once_and_whole) {
  expect_sound(listed_while_it_moves<World>());
}
TEST(ExploredTable, beyond_a_full_bucket__found_where_it_is) { expect_sound(beyond_a_full_bucket<World>()); }

// Mistakes. Each must be found; where it takes old values, in order it must not be.

struct VersionNeverChanges : Faithful {
  static bool skip_store(const void* word) { return is_version(word); }
};
struct VersionNotLookedAt : Faithful {
  static bool skip_load(const void* word) { return is_version(word); }
};
struct EverythingRelaxed : Faithful {
  static std::memory_order order(std::memory_order) { return std::memory_order_relaxed; }
};
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

template <class Broken>
void expect_found(const TableScenario<Broken>& scenario, bool takes_old_values) {
  const Outcome ordered = explore(scenario, in_order());
  if (!takes_old_values) {
    EXPECT_NE(ordered.failure, "") << "in order, " << ordered.executions << " schedules";
    return;
  }
  EXPECT_EQ(ordered.failure, "");
  const Outcome old =
      explore(scenario, Bounds{std::max(preemptions, 2), std::max(stale, 2), most_executions});
  EXPECT_NE(old.failure, "") << old.executions << " schedules";
}

TEST(ExploredMistakes, version_never_changes__is_found) {
  expect_found(listed_while_it_moves<TableWorld<VersionNeverChanges>>(), false);
}
TEST(ExploredMistakes, version_not_looked_at_again__is_found) {
  expect_found(listed_while_it_moves<TableWorld<VersionNotLookedAt>>(), false);
}
TEST(ExploredMistakes, key_written_after_the_entry__is_found) {
  expect_found(TableScenario<World>{TableModel{{2}},
                                    [](World& w) { w.insert(0, 1); },
                                    {[](World& w) {
                                       w.erase(0, 1);
                                       w.insert_then_publish(1, 1);
                                     },
                                     [](World& w) { w.find(0); }, [](World& w) { w.list(); }}},
               false);
}
TEST(ExploredMistakes, slot_reused_before_its_flow_has_left__is_found) {
  expect_found(TableScenario<World>{TableModel{{2}},
                                    [](World& w) { w.insert(0, 1); },
                                    {[](World& w) {
                                       w.insert(1, 1);
                                       w.erase(0, 1);
                                     },
                                     [](World& w) { w.list(); }}},
               false);
}
TEST(ExploredMistakes, keys_read_after_the_bucket__is_found) {
  expect_found(listed_while_it_moves<World, true>(), false);
}
TEST(ExploredMistakes, table_without_orders__is_found) {
  expect_found(listed_while_it_moves<TableWorld<EverythingRelaxed>>(), true);
}
TEST(ExploredMistakes, keys_without_orders__is_found) {
  expect_found(listed_while_it_moves<TableWorld<Faithful, EverythingRelaxed>>(), true);
}
TEST(ExploredMistakes, keys_stored_without_release__is_found) {
  expect_found(flow_moves<TableWorld<Faithful, StoresRelaxed>>(), true);
}
TEST(ExploredMistakes, keys_loaded_without_acquire__is_found) {
  expect_found(flow_moves<TableWorld<Faithful, LoadsRelaxed>>(), true);
}

}  // namespace
}  // namespace handfast::explorer
