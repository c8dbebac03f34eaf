// SPDX-License-Identifier: BSD-3-Clause
// EAL's arguments for machines of all kinds, and its failures as sentences (in children: one start a
// process).
#include "dpdk/eal.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <csignal>
#include <filesystem>

#include "dpdk/log_capture.hpp"
#include "support.hpp"

namespace handfast::dpdk {
namespace {

using Words = std::vector<std::string>;

MachineFacts machine(std::uint64_t free_pages = 0, Words::size_type cpus = 2) {
  MachineFacts facts;
  facts.huge_pages = {{2u << 20, free_pages, free_pages}};
  for (unsigned cpu = 0; cpu < cpus; ++cpu) facts.cpus.push_back(cpu);
  return facts;
}

Words arguments(const EalOptions& options, const MachineFacts& facts = machine()) {
  return eal_arguments(options, facts, "prefix");
}

bool has(const Words& words, const std::string& word) {
  return std::count(words.begin(), words.end(), word) == 1;
}

std::string after(const Words& words, const std::string& word) {
  const auto at = std::find(words.begin(), words.end(), word);
  return at == words.end() || at + 1 == words.end() ? "" : at[1];
}

TEST(eal_arguments, without_huge_pages__ordinary_memory) {
  const auto words = arguments({});
  EXPECT_TRUE(has(words, "--no-huge"));
  EXPECT_TRUE(has(words, "--no-shconf"));
  EXPECT_FALSE(has(words, "--in-memory"));
  EXPECT_EQ(after(words, "-m"), "256");
  EXPECT_TRUE(has(words, "--no-pci"));
  EXPECT_TRUE(has(words, "--no-telemetry"));
  EXPECT_EQ(after(words, "--file-prefix"), "prefix");
}

TEST(eal_arguments, huge_pages__only_where_all_of_them_fit) {
  const auto enough = arguments({}, machine(128));
  EXPECT_TRUE(has(enough, "--in-memory"));
  EXPECT_TRUE(has(enough, "--single-file-segments"));
  EXPECT_FALSE(has(enough, "--no-huge"));
  EXPECT_TRUE(has(arguments({}, machine(127)), "--no-huge"));
  EXPECT_TRUE(has(arguments({.memory = MemoryMode::ordinary_pages}, machine(128)), "--no-huge"));
}

TEST(eal_arguments, users_memory__replaces_ours) {
  const auto amount = arguments({.extra = {"-m", "64"}});
  EXPECT_EQ(std::count(amount.begin(), amount.end(), "-m"), 1);
  EXPECT_EQ(after(amount, "-m"), "64");
  EXPECT_TRUE(has(amount, "--no-huge"));

  const auto attached = arguments({.extra = {"-m64"}});
  EXPECT_FALSE(has(attached, "-m"));

  const auto huge = arguments({.extra = {"--in-memory"}});
  EXPECT_FALSE(has(huge, "--no-huge"));
  EXPECT_FALSE(has(huge, "--no-shconf"));
  EXPECT_EQ(after(huge, "-m"), "256");

  const auto ordinary = arguments({.extra = {"--no-huge"}}, machine(4096));
  EXPECT_TRUE(has(ordinary, "--no-huge"));
  EXPECT_TRUE(has(ordinary, "--no-shconf"));
  EXPECT_FALSE(has(ordinary, "--in-memory"));
}

TEST(eal_arguments, users_cores_and_prefix__replace_ours_and_come_last) {
  const auto words = arguments({.extra = {"--lcores=(0-3)@0", "--file-prefix=x", "--log-level=debug"}});
  EXPECT_FALSE(has(words, "--lcores"));
  EXPECT_FALSE(has(words, "--file-prefix"));
  EXPECT_EQ(words.back(), "--log-level=debug");
  EXPECT_FALSE(has(arguments({.extra = {"-l", "0"}}), "--lcores"));
  EXPECT_TRUE(has(arguments({.extra = {"--log-level=debug"}}), "--lcores"))
      << "-l is not the start of --log-level";
}

TEST(eal_arguments, pci_asked_for__is_allowed_by_address) {
  const auto words = arguments({.pci = {"0000:03:00.0"}});
  EXPECT_FALSE(has(words, "--no-pci"));
  EXPECT_EQ(after(words, "-a"), "0000:03:00.0");
}

TEST(eal_arguments, more_cores_than_processors__start_again_at_the_first) {
  EXPECT_EQ(after(arguments({.cores = 4}), "--lcores"), "0@0,1@1,2@0,3@1");
  EXPECT_EQ(after(arguments({.cores = 2}), "--lcores"), "0@0,1@1");
}

TEST(eal_arguments, fewer_cores_than_processors__are_not_pinned) {
  EXPECT_EQ(after(arguments({.cores = 1}), "--lcores"), "0@(0,1)");
}

TEST(choose_cpus, isolated_ones__are_taken_when_they_suffice) {
  auto facts = machine(0, 4);
  facts.isolated_cpus = {6, 7};
  EXPECT_EQ(choose_cpus(2, facts), (std::vector<unsigned>{6, 7}));
  EXPECT_EQ(choose_cpus(3, facts), (std::vector<unsigned>{0, 1, 2}));
  EXPECT_EQ(choose_cpus(2, MachineFacts{}), (std::vector<unsigned>{0, 0}));
}

TEST(eal, second_start__is_refused) {
  const auto again = Eal::start({});
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().kind, ErrorKind::usage);
  EXPECT_NE(again.error().what.find("already started"), std::string::npos);
}

TEST(eal, impossible_options__are_refused_before_the_start) {
  EXPECT_EQ(Eal::start({.cores = 0}).error().kind, ErrorKind::usage);
  EXPECT_EQ(Eal::start({.cores = 100000}).error().kind, ErrorKind::usage);
  EXPECT_EQ(Eal::start({.memory_mib = 1}).error().kind, ErrorKind::usage);
}

TEST(eal, running__ignores_a_broken_pipe) {
  struct sigaction action {};
  ASSERT_EQ(sigaction(SIGPIPE, nullptr, &action), 0);
  EXPECT_EQ(action.sa_handler, SIG_IGN);
}

struct Failure {
  const char* arguments;
  const char* what;
  const char* remedy;
};

TEST(eal_failure, bad_argument__is_two_lines_and_never_the_usage_text) {
  for (const auto& [words, what, remedy] :
       {Failure{"--frobnicate", "unrecognized option '--frobnicate'", "EAL arguments"},
        Failure{"-l 4000", "core", "cores that this process may run on"},
        Failure{"-m", "requires an argument", "EAL arguments"},
        Failure{"-d /no/such.so", "/no/such.so", "EAL arguments"},
        Failure{"--vdev net_bogus0", "net_bogus0", "EAL arguments"}}) {
    const auto child = test::run_command(test::self_path() + " --start-eal " + words);
    EXPECT_EQ(child.exit_code, 3) << words;
    EXPECT_NE(child.output.find(what), std::string::npos) << child.output;
    EXPECT_NE(child.output.find(remedy), std::string::npos) << child.output;
    EXPECT_EQ(std::count(child.output.begin(), child.output.end(), '\n'), 2) << child.output;
  }
}

TEST(eal_failure, good_start__prints_nothing_of_its_own_and_leaves_no_directory) {
  const test::TemporaryDirectory runtime;
  const auto child = test::run_command("RUNTIME_DIRECTORY=" + runtime.file("") + " " + test::self_path() +
                                       " --start-eal --no-huge --lcores '(0-1)@0'");
  EXPECT_EQ(child.exit_code, 0);
  EXPECT_EQ(child.output, "started with 2 cores\n");
  EXPECT_TRUE(std::filesystem::is_empty(runtime.file("dpdk")));
}

TEST(log_capture, last_meaningful_line__drops_the_prefix_and_empty_lines) {
  EXPECT_EQ(last_meaningful_line(""), "");
  EXPECT_EQ(last_meaningful_line("\n\n---\n"), "");
  EXPECT_EQ(last_meaningful_line("EAL: first\nEAL: Cannot open: it is gone\n\n"), "Cannot open: it is gone");
  EXPECT_EQ(last_meaningful_line("connect failed: refused"), "connect failed: refused");
  EXPECT_EQ(last_meaningful_line(std::string(5000, 'x')).size(), 200u);
}

}  // namespace
}  // namespace handfast::dpdk
