// SPDX-License-Identifier: BSD-3-Clause
// Each script of a folder becomes a test: its topic is the suite, its file (and parameters) the name. Layer:
// tests. Scripts that are known to fail are listed, with the reason, in the file `known`; self-tests must
// fail.
#include <gtest/gtest-spi.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <sstream>

#include "traces/runner.hpp"

namespace handfast::traces {
namespace {

namespace fs = std::filesystem;

/// The scripts' folder, from the command line.
struct Case {
  fs::path file;
  Variables variables;
  std::string known;  ///< why it fails; empty: it does not
};

/// `topic/name reason...`, one a line; the name with or without parameters.
class KnownFailures {
 public:
  explicit KnownFailures(const fs::path& file) {
    std::ifstream in(file);
    for (std::string line; std::getline(in, line);) {
      if (line.empty() || line[0] == '#') continue;
      const std::size_t space = std::min(line.find(' '), line.size());
      reasons_[line.substr(0, space)] = space < line.size() ? line.substr(space + 1) : "known";
    }
  }
  [[nodiscard]] std::string reason(const std::string& script, const std::string& parameters) const {
    auto found = reasons_.find(script + "/" + parameters);
    if (found == reasons_.end()) found = reasons_.find(script);
    return found == reasons_.end() ? "" : found->second;
  }

 private:
  std::map<std::string, std::string> reasons_;
};

/// What a self-test says of itself, read apart: the rest of the script may be nonsense.
std::optional<std::string> must_fail_of(const fs::path& file) {
  std::ifstream in(file);
  for (std::string line; std::getline(in, line);) {
    if (line.rfind("must-fail \"", 0) != 0) continue;
    const std::size_t quote = line.rfind('"');
    return line.substr(11, quote - 11);
  }
  return std::nullopt;
}

std::string excerpt(const fs::path& file, int line) {
  std::ifstream in(file);
  std::ostringstream out;
  int number = 0;
  for (std::string text; std::getline(in, text);) {
    ++number;
    if (number < line - 8 || number > line + 2) continue;
    out << (number == line ? "  > " : "    ") << number << "  " << text << "\n";
  }
  return out.str();
}

class TraceTest : public testing::Test {
 public:
  explicit TraceTest(Case what) : case_(std::move(what)) {}

  void TestBody() override {
    const auto must_fail = must_fail_of(case_.file);
    if (!must_fail && case_.known.empty()) {
      run();
      return;
    }
    testing::TestPartResultArray results;
    {
      testing::ScopedFakeTestPartResultReporter reporter(
          testing::ScopedFakeTestPartResultReporter::INTERCEPT_ONLY_CURRENT_THREAD, &results);
      run();
    }
    std::string said;
    for (int i = 0; i < results.size(); ++i) said += results.GetTestPartResult(i).message();
    if (must_fail) {
      EXPECT_NE(results.size(), 0) << case_.file << " should have failed";
      EXPECT_NE(said.find(*must_fail), std::string::npos)
          << case_.file << " should say '" << *must_fail << "', and said\n"
          << said;
      return;
    }
    if (results.size() != 0) GTEST_SKIP() << case_.known;
    ADD_FAILURE() << case_.file << " holds: take it off the list of known failures";
  }

 private:
  void run() {
    std::unique_ptr<Runner> runner;
    try {
      const Script script = read_script(case_.file, case_.variables);
      runner = std::make_unique<Runner>(script);
      runner->run();
    } catch (const ScriptError& error) {
      ADD_FAILURE_AT(case_.file.c_str(), error.line)
          << error.what() << "\n"
          << excerpt(case_.file, error.line)
          << (runner ? "  so far (seconds, < from the peer, > from the stack):\n" + runner->history() : "");
    }
  }

  const Case case_;
};

void register_scripts(const fs::path& root) {
  const KnownFailures known{root / "known"};
  std::vector<fs::path> files;
  for (const auto& entry : fs::recursive_directory_iterator(root))
    if (entry.path().extension() == ".trace") files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  for (const fs::path& file : files) {
    const std::string topic = file.parent_path().filename().string(), stem = file.stem().string();
    for (const Variables& variables : cases_of(file)) {
      const std::string parameters = name_of(variables);
      const Case one{file, variables, known.reason(topic + "/" + stem, parameters)};
      testing::RegisterTest(topic.c_str(), (parameters.empty() ? stem : stem + "/" + parameters).c_str(),
                            nullptr, nullptr, file.c_str(), 1,
                            [one]() -> testing::Test* { return new TraceTest(one); });
    }
  }
}

}  // namespace
}  // namespace handfast::traces

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  if (argc != 2) {
    std::fprintf(stderr, "usage: %s FOLDER  (of scripts: FOLDER/<topic>/<name>.trace)\n", argv[0]);
    return 2;
  }
  handfast::traces::register_scripts(argv[1]);
  return RUN_ALL_TESTS();
}
