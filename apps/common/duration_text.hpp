// SPDX-License-Identifier: BSD-3-Clause
// Words that people type and read: "250ms", "16K", "100k"; and the way back, "1.25 ms", "1,234,567".
// Layer: apps. Knows nothing of command lines.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "handfast/error.hpp"
#include "handfast/time.hpp"

namespace handfast::apps {

/// A whole number and one of ns, us, ms, s, m, h: "250ms". The unit is required; at most a year.
[[nodiscard]] Expected<Duration> parse_duration(std::string_view text);

/// Bytes: "64", "16K", "1M", "2G", in powers of 1024; "KiB" and the like are taken too.
[[nodiscard]] Expected<std::uint64_t> parse_size(std::string_view text);

/// How many, in powers of 1000: "64", "100k", "2M", "1G". Also a rate per second: "100k" or "100k/s".
[[nodiscard]] Expected<std::uint64_t> parse_count(std::string_view text);

/// Three significant digits and a unit: "0 ns", "12.3 us", "1.25 ms", "61.0 s".
[[nodiscard]] std::string duration_text(Duration value);

/// "1,234,567"
[[nodiscard]] std::string count_text(std::uint64_t value);

/// "64 B", "1.50 KiB", "2.00 GiB"
[[nodiscard]] std::string size_text(std::uint64_t bytes);

}  // namespace handfast::apps
