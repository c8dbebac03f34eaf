// SPDX-License-Identifier: BSD-3-Clause
// Holds back what DPDK prints while it is set up, so that an error can be one sentence instead of a page.
// Layer: dpdk. Must not know what is being set up.
#pragma once

#include <cstdio>
#include <mutex>
#include <string>

namespace handfast::dpdk {

/// While one of these lives, DPDK's log goes to memory instead of the standard error output. Nested ones are
/// fine; they end in reverse order. Threads take turns, so devices are made and closed one at a time.
class LogCapture {
 public:
  /// `log_and_streams` also catches what goes past the log to the error output (getopt's complaints), and
  /// throws away the standard output (EAL's usage text).
  enum class Scope { log, log_and_streams };

  explicit LogCapture(Scope scope = Scope::log);
  ~LogCapture();
  LogCapture(const LogCapture&) = delete;
  LogCapture& operator=(const LogCapture&) = delete;

  /// All that was caught so far.
  [[nodiscard]] std::string text() const;
  /// The last line that says something, at most 200 characters, without the subsystem's prefix.
  [[nodiscard]] std::string last_line() const;

 private:
  std::unique_lock<std::recursive_mutex> turn_;
  std::FILE* file_ = nullptr;
  std::FILE* previous_ = nullptr;
  int saved_out_ = -1;
  int saved_err_ = -1;
};

/// The last line of `text` with a letter in it, without a prefix such as "EAL: ".
[[nodiscard]] std::string last_meaningful_line(const std::string& text);

}  // namespace handfast::dpdk
