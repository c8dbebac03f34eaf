// SPDX-License-Identifier: BSD-3-Clause
// Numbers and times in trace scripts. Layer: tests.
#include <cctype>
#include <cmath>
#include <cstdlib>

#include "traces/script.hpp"

namespace handfast::traces {
namespace {

class Expression {
 public:
  Expression(const std::string& text, int line) : text_(text), line_(line) {}

  double whole() {
    const double value = sum();
    if (at_ != text_.size()) fail();
    return value;
  }

 private:
  [[noreturn]] void fail() const {
    throw ScriptError(line_, "'" + text_ + "' is no number (a sum of products of numbers, without spaces)");
  }
  bool take(char c) {
    if (at_ >= text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  double sum() {
    double value = product();
    for (;;) {
      if (take('+'))
        value += product();
      else if (take('-'))
        value -= product();
      else
        return value;
    }
  }
  double product() {
    double value = factor();
    for (;;) {
      if (take('*'))
        value *= factor();
      else if (take('/'))
        value /= factor();
      else if (take('%'))
        value = std::fmod(value, factor());
      else
        return value;
    }
  }
  double factor() {
    if (take('-')) return -factor();
    if (take('(')) {
      const double value = sum();
      if (!take(')')) fail();
      return value;
    }
    if (at_ >= text_.size() || std::isdigit(static_cast<unsigned char>(text_[at_])) == 0) fail();
    char* end = nullptr;
    const double value = std::strtod(text_.c_str() + at_, &end);
    at_ = static_cast<std::size_t>(end - text_.c_str());
    return value * unit();
  }
  double unit() {
    std::string name;
    while (at_ < text_.size() && std::isalpha(static_cast<unsigned char>(text_[at_])) != 0)
      name += text_[at_++];
    if (name.empty() || name == "s") return 1;
    if (name == "ms") return 1e-3;
    if (name == "us") return 1e-6;
    if (name == "min") return 60;
    if (name == "h") return 3600;
    fail();
  }

  const std::string& text_;
  int line_;
  std::size_t at_ = 0;
};

}  // namespace

double evaluate(const std::string& text, int line) { return Expression{text, line}.whole(); }

std::int64_t integer(const std::string& text, int line) {
  const double value = evaluate(text, line);
  const double whole = std::round(value);
  if (std::abs(value - whole) > 1e-6) throw ScriptError(line, "'" + text + "' is not a whole number");
  return static_cast<std::int64_t>(whole);
}

Duration seconds(const std::string& text, int line) {
  return Duration{static_cast<std::int64_t>(std::llround(evaluate(text, line) * 1e9))};
}

}  // namespace handfast::traces
