// SPDX-License-Identifier: BSD-3-Clause
// Reads trace scripts: variables, loops, lines to steps. Layer: tests. What the words do is the runner's
// business.
#include "traces/script.hpp"

#include <algorithm>
#include <cctype>
#include <fstream>
#include <sstream>

#include "support/packet.hpp"

namespace handfast::traces {
namespace {

using Words = std::vector<std::string>;

struct Line {
  int number = 0;
  Words words;
};

std::vector<std::string> read_lines(const std::filesystem::path& file) {
  std::ifstream in(file);
  std::vector<std::string> lines;
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

/// Words between spaces; "several words" in quotes are one; from # on it is comment.
Words split(const std::string& line) {
  Words words;
  std::string word;
  bool quoted = false, any = false;
  const auto end_word = [&] {
    if (any) words.push_back(word);
    word.clear();
    any = false;
  };
  for (const char c : line) {
    if (c == '"') {
      quoted = !quoted;
      any = true;
    } else if (!quoted && c == '#') {
      break;
    } else if (!quoted && std::isspace(static_cast<unsigned char>(c)) != 0) {
      end_word();
    } else {
      word += c;
      any = true;
    }
  }
  end_word();
  return words;
}

bool is_name_char(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; }

std::string put_in(const std::string& line, const Variables& variables, int number) {
  std::string result;
  for (std::size_t i = 0; i < line.size(); ++i) {
    if (line[i] == '#') break;
    if (line[i] != '$') {
      result += line[i];
      continue;
    }
    std::size_t end = i + 1;
    while (end < line.size() && is_name_char(line[end])) ++end;
    const std::string name = line.substr(i + 1, end - i - 1);
    const auto found = variables.find(name);
    if (found == variables.end())
      throw ScriptError(number, "'$" + name + "' is not set; a `for`, `let` or `repeat` before sets it");
    result += found->second;
    i = end - 1;
  }
  return result;
}

std::string text_of(double value) {
  std::ostringstream out;
  out.precision(15);
  out << value;
  return out.str();
}

/// Puts variables in and unrolls `repeat i in a .. b` ... `end`, line by line.
class Unroller {
 public:
  Unroller(const std::vector<std::string>& source, Variables variables)
      : source_(source), variables_(std::move(variables)) {}

  std::vector<Line> lines() {
    run(0, source_.size());
    return std::move(lines_);
  }

 private:
  /// The line with the `end` of the block that begins before `i`.
  std::size_t end_of(std::size_t i, std::size_t limit) const {
    const int opened = static_cast<int>(i);
    for (int depth = 1; i < limit; ++i) {
      const Words words = split(source_[i]);
      if (words.empty()) continue;
      if (words[0] == "repeat") ++depth;
      if (words[0] == "end" && --depth == 0) return i;
    }
    throw ScriptError(opened, "`repeat` without `end`");
  }

  void run(std::size_t begin, std::size_t limit) {
    for (std::size_t i = begin; i < limit; ++i) {
      const int number = static_cast<int>(i) + 1;
      const Words words = split(put_in(source_[i], variables_, number));
      if (words.empty()) continue;
      if (words[0] == "for") continue;
      if (words[0] == "end") throw ScriptError(number, "`end` without `repeat`");
      if (words[0] == "let") {
        if (words.size() != 4 || words[2] != "=") throw ScriptError(number, "expected `let name = number`");
        variables_[words[1]] = text_of(evaluate(words[3], number));
      } else if (words[0] == "repeat") {
        i = repeat(i, limit, words, number);
      } else {
        lines_.push_back({number, words});
      }
    }
  }

  std::size_t repeat(std::size_t i, std::size_t limit, const Words& words, int number) {
    if (words.size() != 6 || words[2] != "in" || words[4] != "..")
      throw ScriptError(number, "expected `repeat name in first .. last`");
    const std::size_t end = end_of(i + 1, limit);
    const std::int64_t first = integer(words[3], number), last = integer(words[5], number);
    constexpr std::int64_t most_turns = 10000;
    if (last - first > most_turns) throw ScriptError(number, "too many turns");
    for (std::int64_t turn = first; turn <= last; ++turn) {
      variables_[words[1]] = std::to_string(turn);
      run(i + 1, end);
    }
    return end;
  }

  const std::vector<std::string>& source_;
  Variables variables_;
  std::vector<Line> lines_;
};

/// The words of one line, from left to right.
class Reader {
 public:
  Reader(const Line& line, std::size_t at) : line_(line), at_(at) {}
  [[nodiscard]] bool done() const { return at_ >= line_.words.size(); }
  [[nodiscard]] const std::string& peek() const { return line_.words[at_]; }
  std::string next(const char* expected) {
    if (done())
      throw ScriptError(line_.number, std::string{"the line ends where "} + expected + " was expected");
    return line_.words[at_++];
  }
  std::int64_t number(const char* expected) { return integer(next(expected), line_.number); }
  [[nodiscard]] int line() const { return line_.number; }
  [[nodiscard]] Words rest() const {
    return {line_.words.begin() + static_cast<std::ptrdiff_t>(at_), line_.words.end()};
  }

 private:
  const Line& line_;
  std::size_t at_;
};

constexpr const char* segment_words =
    "a number, first:last, or one of: syn fin rst psh nopsh urg ece cwr ack noack win mss wscale sackok ts "
    "tsval tsecr nots sack "
    "urgent badsum not-ect ect0 ect1 ce times by";

bool is_range(const std::string& word) {
  return !word.empty() && word.find(':') != std::string::npos &&
         (std::isdigit(static_cast<unsigned char>(word[0])) != 0 || word[0] == '-' || word[0] == '(');
}

bool is_number(const std::string& word) {
  return !word.empty() &&
         (std::isdigit(static_cast<unsigned char>(word[0])) != 0 || word[0] == '-' || word[0] == '(');
}

std::pair<std::int64_t, std::int64_t> range(const std::string& word, int line) {
  const std::size_t colon = word.find(':');
  const std::pair<std::int64_t, std::int64_t> r{integer(word.substr(0, colon), line),
                                                integer(word.substr(colon + 1), line)};
  return r;
}

bool read_flag(const std::string& word, SegmentText& s) {
  using namespace test;
  constexpr std::uint8_t ece = 0x40, cwr = 0x80;
  for (const auto& [name, bit] :
       {std::pair{"syn", SYN}, {"fin", FIN}, {"rst", RST}, {"urg", URG}, {"ece", ece}, {"cwr", cwr}}) {
    if (word != name) continue;
    s.flags |= bit;
    return true;
  }
  if (word == "psh" || word == "nopsh") return s.psh = word == "psh", true;
  if (word == "noack") return s.no_ack = true;
  if (word == "sackok") return s.sack_ok = true;
  if (word == "ts") return s.ts = true;
  if (word == "nots") return s.no_ts = true;
  if (word == "badsum") return s.bad_sum = true;
  for (const auto& [name, bits] : {std::pair{"not-ect", 0}, {"ect1", 1}, {"ect0", 2}, {"ce", 3}}) {
    if (word != name) continue;
    s.ecn = bits;
    return true;
  }
  return false;
}

bool read_value(const std::string& word, Reader& in, SegmentText& s) {
  if (word == "ack") return s.ack = in.number("the acknowledged number"), true;
  if (word == "win") return s.window = in.number("bytes"), true;
  if (word == "mss") return s.mss = in.number("bytes"), true;
  if (word == "wscale") return s.wscale = in.number("a shift"), true;
  if (word == "tsval") return s.ts_val = in.number("milliseconds"), true;
  if (word == "tsecr") return s.ts_ecr = in.number("milliseconds"), true;
  if (word == "urgent") return s.urgent = in.number("the urgent pointer"), true;
  if (word == "times") return s.times = in.number("a count"), true;
  if (word != "sack") return false;
  if (!in.done() && in.peek() == "any") {
    in.next("");
    return s.any_sack = true;
  }
  if (in.done() || !is_range(in.peek()))
    throw ScriptError(in.line(), "expected first:last (or `any`) after sack");
  while (!in.done() && is_range(in.peek())) s.sack.push_back(range(in.next(""), in.line()));
  return true;
}

/// One step, or several where the line says `by`.
void read_segment(Reader& in, Step step, std::vector<Step>& steps) {
  SegmentText& s = step.segment;
  std::optional<std::int64_t> by;
  while (!in.done()) {
    const std::string word = in.next(segment_words);
    if (word == "by") {
      by = in.number("bytes");
    } else if (is_range(word)) {
      std::tie(s.begin, s.end) = range(word, in.line());
    } else if (is_number(word)) {
      s.begin = s.end = integer(word, in.line());
    } else if (!read_flag(word, s) && !read_value(word, in, s)) {
      throw ScriptError(in.line(), "unknown word '" + word + "'; expected " + segment_words);
    }
  }
  if (s.begin && *s.end < *s.begin) throw ScriptError(in.line(), "a range that ends before it begins");
  if (!by) {
    steps.push_back(std::move(step));
    return;
  }
  if (!s.begin || *by <= 0) throw ScriptError(in.line(), "`by` needs first:last and a size");
  const std::int64_t last = *s.end;
  const std::uint8_t flags = s.flags;
  const auto psh = s.psh;
  for (std::int64_t at = *s.begin; at < last; at += *by) {
    Step one = step;
    const bool final = at + *by >= last;
    one.segment.begin = at;
    one.segment.end = std::min(at + *by, last);
    one.segment.flags = final ? flags : static_cast<std::uint8_t>(flags & ~test::FIN);
    one.segment.psh = final ? psh : std::nullopt;
    steps.push_back(one);
    step.after = Duration{};
  }
}

void read_step(const Line& line, const std::string& text, std::vector<Step>& steps) {
  Reader in{line, 0};
  Step step;
  step.line = line.number;
  step.text = text;
  std::string word = in.next("a step");
  if (word[0] == '+') {
    const std::size_t tilde = word.find('~');
    step.after = seconds(word.substr(1, tilde == std::string::npos ? tilde : tilde - 1), line.number);
    if (tilde != std::string::npos)
      step.tolerance =
          tilde + 1 == word.size() ? Duration{1ms} : seconds(word.substr(tilde + 1), line.number);
    if (step.after < Duration{0}) throw ScriptError(line.number, "time does not run backwards");
    word = in.next("one of: < << > call on expect open");
  }
  if (word == "<" || word == "<<") {
    step.action = word == "<" ? Action::peer_sends : Action::peer_queues;
    read_segment(in, step, steps);
  } else if (word == ">" && !in.done() && in.peek() == "nothing") {
    in.next("");
    if (!in.done()) throw ScriptError(line.number, "unknown word '" + in.peek() + "' after `nothing`");
    step.action = Action::nothing;
    steps.push_back(step);
  } else if (word == ">") {
    step.action = Action::stack_sends;
    read_segment(in, step, steps);
  } else {
    const std::map<std::string, Action> actions{
        {"open", Action::open}, {"call", Action::call}, {"on", Action::on}, {"expect", Action::expect}};
    const auto found = actions.find(word);
    if (found == actions.end())
      throw ScriptError(
          line.number,
          "unknown word '" + word + "'; expected one of: +time < << > call on expect open option let repeat");
    step.action = found->second;
    step.words = in.rest();
    steps.push_back(step);
  }
}

}  // namespace

std::vector<Variables> cases_of(const std::filesystem::path& file) {
  std::vector<Variables> cases(1);
  for (const std::string& line : read_lines(file)) {
    const Words words = split(line);
    if (words.size() < 4 || words[0] != "for" || words[2] != "in") continue;
    std::vector<Variables> more;
    for (const Variables& one : cases) {
      for (auto value = words.begin() + 3; value != words.end(); ++value) {
        more.push_back(one);
        more.back()[words[1]] = *value;
      }
    }
    cases = std::move(more);
  }
  return cases;
}

std::string name_of(const Variables& variables) {
  std::string name;
  for (const auto& [key, value] : variables) name += (name.empty() ? "" : ",") + key + "=" + value;
  std::replace(name.begin(), name.end(), ' ', '+');
  return name;
}

Script read_script(const std::filesystem::path& file, const Variables& variables) {
  Script script;
  script.file = file;
  script.parameters = name_of(variables);
  script.source = read_lines(file);
  if (script.source.empty()) throw ScriptError(1, "the script is empty, or cannot be read");
  for (const Line& line : Unroller{script.source, variables}.lines()) {
    if (line.words[0] == "option") {
      if (line.words.size() != 3) throw ScriptError(line.number, "expected `option name value`");
      script.options.push_back({line.number, line.words[1], line.words[2]});
    } else if (line.words[0] == "must-fail") {
      if (line.words.size() != 2) throw ScriptError(line.number, "expected `must-fail \"what it says\"`");
      script.must_fail = line.words[1];
    } else {
      read_step(line, script.source[static_cast<std::size_t>(line.number - 1)], script.steps);
    }
  }
  if (script.source[0].rfind("# ", 0) != 0)
    throw ScriptError(1, "the first line says what is shown, and the RFC's section");
  return script;
}

}  // namespace handfast::traces
