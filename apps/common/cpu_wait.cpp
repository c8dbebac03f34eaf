// SPDX-License-Identifier: BSD-3-Clause
// Waiting times of this process' threads, from /proc. Layer: apps.
#include "common/cpu_wait.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fstream>

#include "common/duration_text.hpp"

namespace handfast::apps {

std::optional<Duration> parse_schedstat_wait(std::string_view text) {
  const std::size_t space = text.find(' ');
  if (space == std::string_view::npos) return std::nullopt;
  std::int64_t ns = 0;
  const char* const end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data() + space + 1, end, ns);
  if (parsed.ec != std::errc{} || ns < 0 || parsed.ptr == end || *parsed.ptr != ' ') return std::nullopt;
  return Duration{ns};
}

std::map<std::string, Duration> CpuWait::waits() {
  std::map<std::string, Duration> found;
  std::error_code error;
  for (std::filesystem::directory_iterator task{"/proc/self/task", error}, none; !error && task != none;
       task.increment(error)) {
    std::string line;
    if (!std::getline(std::ifstream{task->path() / "schedstat"}, line)) continue;
    if (const auto wait = parse_schedstat_wait(line)) found[task->path().filename().string()] = *wait;
  }
  return found;
}

Duration CpuWait::longest() const {
  Duration longest{};
  for (const auto& [thread, wait] : waits()) {
    const auto before = at_start_.find(thread);
    longest = std::max(longest, wait - (before != at_start_.end() ? before->second : Duration{}));
  }
  return longest;
}

std::string cpu_wait_remark(Duration wait, Duration run) {
  if (wait * 20 <= run) return {};
  return fmt::format(
      "Mind: other processes had one of these cores for {} of {}. On an idle machine the figures are "
      "better.\n",
      duration_text(wait), duration_text(run));
}

}  // namespace handfast::apps
