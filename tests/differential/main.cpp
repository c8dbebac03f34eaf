// SPDX-License-Identifier: BSD-3-Clause
// differential-tests [--programs N] [--seed FIRST] [--show] [GoogleTest's own]: the same segments to the
// kernel and to Handfast. Layer: differential test.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <map>

#include "run.hpp"

namespace handfast::differential {
namespace {

std::uint64_t programs_wanted = 300, first_seed = 1;
bool show = false;
constexpr std::size_t most_at_once = 150;  // two descriptors each
constexpr std::size_t least_at_once = 10;

Wire* wire = nullptr;
std::string why_not;

void describe(const Program& program, const Steps& kernel, const Steps& stack, std::size_t until) {
  std::printf("%s\n", text(program).c_str());
  for (std::size_t i = 0; i <= until; ++i) {
    const Op* op = op_of(program, i);
    std::printf("  %-34s kernel: %s\n", op == nullptr ? "(handshake)" : text(*op).c_str(),
                text(kernel[i]).c_str());
    if (kernel[i] != stack[i]) std::printf("  %-34s  stack: %s\n", "", text(stack[i]).c_str());
  }
}

/// Whether a program that differed does so by itself. The kernel's clock is the real one: where a step took long, a timer may
/// have had a part in it, and only a run in time says more. A machine that is too busy for any has differed each time.
bool differs_again(const Program& program, Port& port) {
  constexpr int times = 12;
  for (int i = 0; i < times; ++i) {
    port = static_cast<Port>(port + 1);
    const KernelRun run = run_on_kernel(*wire, {program}, port);
    const auto difference = compare(program, run.steps.front(), run_on_stack(program));
    if (!difference || !difference->known.empty()) return false;
    if (run.timely) return true;
  }
  return true;
}

void run(const std::vector<Program>& programs) {
  std::map<std::string, int> by_name;
  std::size_t equal = 0, unexplained = 0;
  Port again_port = 40000;
  std::size_t at_once = most_at_once;
  for (std::size_t at = 0, count = 0; at < programs.size(); at += count) {
    count = std::min(at_once, programs.size() - at);
    const std::vector<Program> batch(
        programs.begin() + static_cast<std::ptrdiff_t>(at),
        programs.begin() + static_cast<std::ptrdiff_t>(at + count));
    static Port next_port = 1000;
    const KernelRun run_in_step = run_on_kernel(*wire, batch, next_port);
    const std::vector<Steps>& kernel = run_in_step.steps;
    next_port = static_cast<Port>(next_port > 30000 ? 1000 : next_port + count);
    // What takes too long for many at once is done by few.
    at_once = run_in_step.timely ? std::min(2 * at_once, most_at_once) : std::max(at_once / 2, least_at_once);
    for (std::size_t i = 0; i < batch.size(); ++i) {
      const Steps stack = run_on_stack(batch[i]);
      const auto difference = compare(batch[i], kernel[i], stack);
      if (show) describe(batch[i], kernel[i], stack, stack.size() - 1);
      if (!difference) {
        ++equal;
      } else if (!difference->known.empty()) {
        ++by_name[difference->known];
      } else if (!run_in_step.timely && !differs_again(batch[i], again_port)) {
        ++by_name["(did not come again)"];
        describe(batch[i], kernel[i], stack, difference->step);
      } else {
        ++unexplained;
        describe(batch[i], kernel[i], stack, difference->step);
      }
    }
  }
  std::printf("%zu programs: %zu alike, %zu with a difference that nobody has explained\n", programs.size(),
              equal, unexplained);
  EXPECT_EQ(unexplained, 0u);
  for (const auto& [name, count] : by_name) std::printf("  %4d  %s\n", count, name.c_str());
  EXPECT_EQ(wire->malformed().size(), 0u) << wire->malformed().front();
}

TEST(Differential, hand_picked_programs__alike_or_explained) {
  if (wire == nullptr) GTEST_SKIP() << why_not;
  run(hand_picked());
}

TEST(Differential, generated_programs__alike_or_explained) {
  if (wire == nullptr) GTEST_SKIP() << why_not;
  std::vector<Program> programs;
  for (std::uint64_t i = 0; i < programs_wanted; ++i) programs.push_back(generate(first_seed + i));
  run(programs);
}

}  // namespace
}  // namespace handfast::differential

int main(int argc, char** argv) {
  using namespace handfast::differential;
  testing::InitGoogleTest(&argc, argv);
  for (int i = 1; i < argc; ++i) {
    const bool has_value = i + 1 < argc;
    if (std::strcmp(argv[i], "--show") == 0) {
      show = true;
    } else if (std::strcmp(argv[i], "--programs") == 0 && has_value) {
      programs_wanted = std::strtoull(argv[++i], nullptr, 10);
    } else if (std::strcmp(argv[i], "--seed") == 0 && has_value) {
      first_seed = std::strtoull(argv[++i], nullptr, 10);
    } else {
      std::fprintf(stderr, "usage: %s [--programs N] [--seed FIRST] [--show] [--gtest_filter=...]\n",
                   argv[0]);
      return 2;
    }
  }
  std::unique_ptr<Wire> made;
  try {
    made = std::make_unique<Wire>();
    wire = made.get();
  } catch (const std::exception& e) {
    why_not = e.what();
  }
  return RUN_ALL_TESTS();
}
