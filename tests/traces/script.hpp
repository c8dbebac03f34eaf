// SPDX-License-Identifier: BSD-3-Clause
// A trace script as data: what stands in a .trace file, with its variables put in and its loops unrolled.
// Layer: tests. Knows the language (README.md), and nothing of a stack or of gtest.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "handfast/time.hpp"

namespace handfast::traces {

/// What is wrong, with the line that it is wrong in.
class ScriptError : public std::runtime_error {
 public:
  ScriptError(int where, const std::string& what) : std::runtime_error(what), line(where) {}
  int line;
};

using Variables = std::map<std::string, std::string>;

/// A segment as a script writes it: one that the peer sends, or one that the stack must send. Relative
/// numbers.
struct SegmentText {
  std::uint8_t flags = 0;  ///< without ACK, PSH
  std::optional<bool> psh;
  std::optional<std::int64_t> begin, end;  ///< end - begin: payload
  std::optional<std::int64_t> ack;
  bool no_ack = false;
  std::optional<std::int64_t> window;  ///< bytes
  std::optional<std::int64_t> mss, wscale, ts_val, ts_ecr, urgent;
  bool sack_ok = false, ts = false, no_ts = false, any_sack = false, bad_sum = false;
  std::vector<std::pair<std::int64_t, std::int64_t>> sack;
  std::optional<int> ecn;  ///< the two bits of the IP header
  std::int64_t times = 1;
};

enum class Action { open, peer_sends, peer_queues, stack_sends, nothing, call, on, expect };

struct Step {
  int line = 0;
  std::string text;
  Action action = Action::nothing;
  Duration after{}, tolerance{};
  bool at_end_of_wait = false;  ///< `nothing`: the wait is `after`
  SegmentText segment;
  std::vector<std::string> words;  ///< of open, call, on, expect
};

struct Option {
  int line;
  std::string name, value;
};

struct Script {
  std::filesystem::path file;
  std::string parameters;  ///< "n=3,peer=sack": which case of the file
  std::vector<std::string> source;
  std::vector<Option> options;
  std::optional<std::string> must_fail;  ///< a self-test: the run fails, and says this
  std::vector<Step> steps;
};

/// The cases of a file: one, or one for each value of its `for` lines. Only names them; nothing else is
/// looked at.
[[nodiscard]] std::vector<Variables> cases_of(const std::filesystem::path& file);
[[nodiscard]] std::string name_of(const Variables& variables);
/// Reads one case. Throws ScriptError.
[[nodiscard]] Script read_script(const std::filesystem::path& file, const Variables& variables);

/// A sum of products with brackets; numbers may have a unit of time (s, ms, us, min, h: in seconds).
[[nodiscard]] double evaluate(const std::string& text, int line);
[[nodiscard]] std::int64_t integer(const std::string& text, int line);
[[nodiscard]] Duration seconds(const std::string& text, int line);

}  // namespace handfast::traces
