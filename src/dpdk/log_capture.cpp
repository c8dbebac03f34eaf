// SPDX-License-Identifier: BSD-3-Clause
// DPDK's log, and for a while the standard streams, into a file without a name. Layer: dpdk.
#include "dpdk/log_capture.hpp"

#include <fcntl.h>
#include <rte_log.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>

namespace handfast::dpdk {

namespace {

constexpr std::size_t longest_line = 200;

/// The stream that DPDK logs to now; rte_openlog_stream has no getter, so captures keep it themselves.
std::FILE* current_stream = nullptr;

/// The log stream and the standard streams are the process's: one thread redirects them at a time.
std::recursive_mutex& turns() {
  static std::recursive_mutex mutex;
  return mutex;
}

int redirect(int stream, int target) {
  const int saved = dup(stream);
  if (saved >= 0) dup2(target, stream);
  return saved;
}

void restore(int stream, int& saved) {
  if (saved < 0) return;
  dup2(saved, stream);
  close(saved);
  saved = -1;
}

}  // namespace

LogCapture::LogCapture(Scope scope) : turn_(turns()) {
  const int fd = memfd_create("handfast-log", MFD_CLOEXEC);
  if (fd < 0) return;
  file_ = fdopen(fd, "w+");
  if (file_ == nullptr) {
    close(fd);
    return;
  }
  setvbuf(file_, nullptr, _IONBF, 0);  // other threads of DPDK write too; nothing may be left behind
  previous_ = current_stream;
  current_stream = file_;
  rte_openlog_stream(file_);
  if (scope == Scope::log_and_streams) {
    std::fflush(stdout);
    std::fflush(stderr);
    // Usage text goes to the standard output and is wanted by nobody; complaints go to the error output.
    const int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
    if (nowhere >= 0) {
      saved_out_ = redirect(STDOUT_FILENO, nowhere);
      close(nowhere);
    }
    saved_err_ = redirect(STDERR_FILENO, fd);
  }
}

LogCapture::~LogCapture() {
  if (file_ == nullptr) return;
  if (saved_out_ >= 0 || saved_err_ >= 0) {
    std::fflush(stdout);
    std::fflush(stderr);
    restore(STDOUT_FILENO, saved_out_);
    restore(STDERR_FILENO, saved_err_);
  }
  current_stream = previous_;
  // The standard error output by name: EAL's own default would write to syslog as well.
  rte_openlog_stream(previous_ != nullptr ? previous_ : stderr);
  std::fclose(file_);
}

std::string LogCapture::text() const {
  if (file_ == nullptr) return {};
  std::string out;
  char chunk[4096];
  off_t at = 0;
  while (true) {
    const auto got = pread(fileno(file_), chunk, sizeof chunk, at);
    if (got <= 0) return out;
    out.append(chunk, static_cast<std::size_t>(got));
    at += got;
  }
}

std::string LogCapture::last_line() const { return last_meaningful_line(text()); }

std::string last_meaningful_line(const std::string& text) {
  auto end = text.size();
  while (end > 0) {
    const auto newline = text.rfind('\n', end - 1);
    const auto begin = newline == std::string::npos ? 0 : newline + 1;
    auto line = text.substr(begin, end - begin);
    const auto is_letter = [](unsigned char c) { return std::isalpha(c) != 0; };
    if (std::any_of(line.begin(), line.end(), is_letter)) {
      const auto colon = line.find(": ");
      if (colon != std::string::npos && line.find(' ') > colon) line.erase(0, colon + 2);  // "EAL: "
      while (!line.empty() && std::isspace(static_cast<unsigned char>(line.back())) != 0) line.pop_back();
      return line.substr(0, longest_line);
    }
    end = newline == std::string::npos ? 0 : newline;
  }
  return {};
}

}  // namespace handfast::dpdk
