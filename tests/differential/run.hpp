// SPDX-License-Identifier: BSD-3-Clause
// Runs programs against both endpoints and holds their replies side by side. Layer: differential test.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "kernel_subject.hpp"
#include "peer.hpp"

namespace handfast::differential {

/// The steps of one program: the handshake's first where there is one, then one for each op.
using Steps = std::vector<Step>;

struct KernelRun {
  std::vector<Steps> steps;  ///< of each program
  bool timely = true;        ///< no step took so long that a timer of the kernel may have expired in it
};
/// Many programs in step, each on a port of its own from `first_port` on.
[[nodiscard]] KernelRun run_on_kernel(Wire& wire, const std::vector<Program>& programs, Port first_port);
[[nodiscard]] Steps run_on_stack(const Program& program);

/// The first step in which they differ, for a reason that is not known.
struct Difference {
  std::size_t step = 0;
  std::string known;  ///< the name of the row of docs/differential.md that explains it; empty: unexplained
};
[[nodiscard]] std::optional<Difference> compare(const Program& program, const Steps& kernel,
                                                const Steps& stack);

/// The op that a step belongs to; nullptr: the handshake.
[[nodiscard]] const Op* op_of(const Program& program, std::size_t step);

}  // namespace handfast::differential
