// SPDX-License-Identifier: BSD-3-Clause
// The instruction sets that a file of the core is compiled for. Layer: tests.
#include "instruction_sets.hpp"

unsigned instruction_sets_of_core() { return instruction_sets(); }
