// SPDX-License-Identifier: BSD-3-Clause
// Numbers with units, in and out. Layer: apps.
#include "common/duration_text.hpp"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <optional>
#include <span>

namespace handfast::apps {
namespace {

struct Unit {
  std::string_view name;
  std::uint64_t factor;
};

constexpr std::uint64_t year_ns = 365ULL * 24 * 3600 * 1'000'000'000;

constexpr std::array<Unit, 6> time_units{{{"ns", 1},
                                          {"us", 1'000},
                                          {"ms", 1'000'000},
                                          {"s", 1'000'000'000},
                                          {"m", 60'000'000'000},
                                          {"h", 3'600'000'000'000}}};

constexpr std::array<Unit, 11> size_units{{{"", 1},
                                           {"B", 1},
                                           {"K", 1U << 10},
                                           {"k", 1U << 10},
                                           {"KiB", 1U << 10},
                                           {"M", 1U << 20},
                                           {"MiB", 1U << 20},
                                           {"G", 1U << 30},
                                           {"GiB", 1U << 30},
                                           {"T", 1ULL << 40},
                                           {"TiB", 1ULL << 40}}};

constexpr std::array<Unit, 5> count_units{
    {{"", 1}, {"k", 1'000}, {"K", 1'000}, {"M", 1'000'000}, {"G", 1'000'000'000}}};

// Digits, then one of the units; nullopt for anything else and for what exceeds `limit`.
std::optional<std::uint64_t> number_with_unit(std::string_view text, std::span<const Unit> units,
                                              std::uint64_t limit) {
  std::uint64_t number = 0;
  const char* const end = text.data() + text.size();
  const auto [rest, problem] = std::from_chars(text.data(), end, number);
  if (problem != std::errc{}) return std::nullopt;  // what is empty or has a sign, too
  const std::string_view name{rest, static_cast<std::size_t>(end - rest)};
  for (const Unit& unit : units) {
    if (unit.name != name) continue;
    if (number > limit / unit.factor) return std::nullopt;
    return number * unit.factor;
  }
  return std::nullopt;
}

tl::unexpected<Error> usage(std::string_view text, std::string_view what, std::string_view remedy) {
  // What was typed may be anything: only its beginning is repeated.
  return tl::unexpected<Error>{Error{
      ErrorKind::usage, fmt::format("\"{}\" is not {}", text.substr(0, 40), what), std::string{remedy}}};
}

}  // namespace

Expected<Duration> parse_duration(std::string_view text) {
  const auto ns = number_with_unit(text, time_units, year_ns);
  if (!ns) {
    return usage(text, "a time",
                 "Give a whole number with a unit: 10s, 250ms, 2m (also ns, us, h; up to a year).");
  }
  return Duration{static_cast<std::int64_t>(*ns)};
}

Expected<std::uint64_t> parse_size(std::string_view text) {
  const auto bytes = number_with_unit(text, size_units, UINT64_MAX);
  if (!bytes) return usage(text, "a size", "Give bytes, or K, M, G for powers of 1024: 64, 16K, 1M.");
  return *bytes;
}

Expected<std::uint64_t> parse_count(std::string_view text) {
  std::string_view number = text;
  if (number.ends_with("/s")) number.remove_suffix(2);
  const auto count = number_with_unit(number, count_units, UINT64_MAX);
  if (!count)
    return usage(text, "a count or a rate", "Give a whole number, or k, M for thousands: 500, 100k, 2M.");
  return *count;
}

std::string duration_text(Duration value) {
  const std::int64_t ns = value.count();
  if (ns > -1000 && ns < 1000) return fmt::format("{} ns", ns);
  double number = static_cast<double>(ns);
  std::string_view unit = "ns";
  for (const std::string_view larger : {"us", "ms", "s"}) {
    // 999.9995 would be printed as 1000: the next unit says it better.
    if (number > -999.5 && number < 999.5) break;
    number /= 1000.0;
    unit = larger;
  }
  const double size = number < 0 ? -number : number;
  const int decimals = size < 9.995 ? 2 : (size < 99.95 ? 1 : 0);
  return fmt::format("{:.{}f} {}", number, decimals, unit);
}

std::string count_text(std::uint64_t value) {
  std::string digits = fmt::format("{}", value);
  for (std::size_t at = digits.size(); at > 3;) {
    at -= 3;
    digits.insert(at, 1, ',');
  }
  return digits;
}

std::string size_text(std::uint64_t bytes) {
  if (bytes < 1024) return fmt::format("{} B", bytes);
  double number = static_cast<double>(bytes);
  std::string_view unit = "B";
  for (const std::string_view larger : {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"}) {
    if (number < 1023.995) break;
    number /= 1024.0;
    unit = larger;
  }
  return fmt::format("{:.2f} {}", number, unit);
}

}  // namespace handfast::apps
