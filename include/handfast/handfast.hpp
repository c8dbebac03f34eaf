// SPDX-License-Identifier: BSD-3-Clause
// Everything that an application needs on DPDK. For a stack without it, frame_port.hpp alone.
#pragma once

#include "handfast/config.hpp"
#include "handfast/conn.hpp"
#include "handfast/core.hpp"
#include "handfast/handler.hpp"
#include "handfast/stack.hpp"
