// SPDX-License-Identifier: BSD-3-Clause
// libdpdk's flags ask for -march=corei7; this build's own target must win in files that include it, too.
#include <gtest/gtest.h>
#include <rte_config.h>

#include "instruction_sets.hpp"

TEST(march, file_with_dpdk__compiled_for_the_same_processor_as_the_core) {
  EXPECT_EQ(instruction_sets(), instruction_sets_of_core());
}
