// SPDX-License-Identifier: BSD-3-Clause
// The load tester's report as text and as JSON. Layer: apps.
#include "common/report.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <iterator>
#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>

#include "common/duration_text.hpp"

namespace handfast::apps {
namespace {

constexpr std::array<std::pair<double, std::string_view>, 5> percentiles{
    {{50.0, "p50"}, {90.0, "p90"}, {99.0, "p99"}, {99.9, "p99.9"}, {99.99, "p99.99"}}};

double per_second(std::uint64_t count, Duration span) {
  if (span <= Duration{0}) return 0;
  return static_cast<double>(count) * 1e9 / static_cast<double>(span.count());
}

std::string rate_text(double rate) { return count_text(static_cast<std::uint64_t>(std::llround(rate))); }

void row(std::string& text, std::string_view label, std::string_view value, std::string_view note = {}) {
  fmt::format_to(std::back_inserter(text), "  {:<24}{:>16}{}{}\n", label, value, note.empty() ? "" : "  ",
                 note);
}

void latency_table(std::string& text, const LatencyHistogram& connect, const LatencyHistogram& life) {
  auto out = std::back_inserter(text);
  fmt::format_to(out, "  {:<24}{:>16}{:>16}\n", "", "connect", "whole life");
  const auto line = [&](std::string_view label, Duration a, Duration b) {
    fmt::format_to(out, "  {:<24}{:>16}{:>16}\n", label, connect.count() == 0 ? "-" : duration_text(a),
                   life.count() == 0 ? "-" : duration_text(b));
  };
  line("  min", connect.min(), life.min());
  line("  mean", connect.mean(), life.mean());
  for (const auto& [percent, label] : percentiles) {
    line(fmt::format("  {}", label), connect.percentile(percent), life.percentile(percent));
  }
  line("  max", connect.max(), life.max());
}

nlohmann::ordered_json latency_json(const LatencyHistogram& histogram) {
  nlohmann::ordered_json object;
  object["count"] = histogram.count();
  object["min_ns"] = histogram.min().count();
  object["mean_ns"] = histogram.mean().count();
  for (const auto& [percent, label] : percentiles) {
    // "p99.9" is awkward as a key in most languages: p99_9_ns
    std::string key = fmt::format("{}_ns", label);
    std::replace(key.begin(), key.end(), '.', '_');
    object[key] = histogram.percentile(percent).count();
  }
  object["max_ns"] = histogram.max().count();
  return object;
}

}  // namespace

std::uint64_t LoadReport::failed_total() const {
  std::uint64_t total = 0;
  for (const auto& [cause, count] : failed) total += count;
  return total;
}

double LoadReport::connections_per_second() const { return per_second(established, duration); }
double LoadReport::requests_per_second() const { return per_second(requests, duration); }

void LoadReport::merge(const LoadReport& other) {
  duration = std::max(duration, other.duration);
  open_loop = open_loop || other.open_loop;
  target_rate += other.target_rate;
  opened += other.opened;
  established += other.established;
  closed += other.closed;
  requests += other.requests;
  not_ok += other.not_ok;
  not_started += other.not_started;
  retransmits += other.retransmits;
  time_wait_cut_short += other.time_wait_cut_short;
  bytes_in += other.bytes_in;
  bytes_out += other.bytes_out;
  for (const auto& [cause, count] : other.failed) failed[cause] += count;
  for (const auto& [reason, count] : other.dropped) dropped[reason] += count;
  connect.merge(other.connect);
  life.merge(other.life);
}

std::string LoadReport::to_text() const {
  std::string text;
  row(text, "duration", duration_text(duration));
  row(text, "connections per second", rate_text(connections_per_second()),
      open_loop ? fmt::format("of {} asked for", count_text(target_rate)) : "");
  row(text, "requests per second", rate_text(requests_per_second()));
  text += '\n';
  row(text, "opened", count_text(opened));
  row(text, "established", count_text(established));
  row(text, "closed", count_text(closed));
  if (not_ok != 0) row(text, "refused answers", count_text(not_ok), "HTTP status of 400 or above");
  row(text, "failed", count_text(failed_total()));
  for (const auto& [cause, count] : failed) {
    if (count != 0) row(text, fmt::format("  {}", cause), count_text(count));
  }
  if (not_started != 0) row(text, "not started", count_text(not_started), "due by the rate, never opened");
  row(text, "retransmits", count_text(retransmits));
  for (const auto& [reason, count] : dropped) {
    if (count != 0) row(text, fmt::format("dropped, {}", reason), count_text(count));
  }
  row(text, "TIME-WAIT cut short", count_text(time_wait_cut_short));
  row(text, "bytes in", size_text(bytes_in));
  row(text, "bytes out", size_text(bytes_out));
  text += '\n';
  text += open_loop ? "  latency, from the intended start of each connection\n"
                    : "  latency, from the actual start of each connection\n";
  latency_table(text, connect, life);
  if (connect.clamped() + life.clamped() != 0) {
    row(text, "outside 0 to 1 h", count_text(connect.clamped() + life.clamped()),
        "counted at the nearest end");
  }
  return text;
}

std::string LoadReport::to_json() const {
  nlohmann::ordered_json object;
  object["format"] = "handfast-load-1";
  object["duration_ns"] = duration.count();
  object["loop"] = open_loop ? "open" : "closed";
  object["latency_from"] = open_loop ? "intended_start" : "actual_start";
  object["target_rate"] = target_rate;
  object["connections_per_second"] = connections_per_second();
  object["requests_per_second"] = requests_per_second();
  object["opened"] = opened;
  object["established"] = established;
  object["closed"] = closed;
  object["requests"] = requests;
  object["not_ok"] = not_ok;
  object["failed"] = failed_total();
  auto& causes = object["failed_by_cause"] = nlohmann::ordered_json::object();
  for (const auto& [cause, count] : failed) {
    if (count != 0) causes[cause] = count;
  }
  object["not_started"] = not_started;
  object["retransmits"] = retransmits;
  auto& reasons = object["dropped"] = nlohmann::ordered_json::object();
  for (const auto& [reason, count] : dropped) {
    if (count != 0) reasons[reason] = count;
  }
  object["time_wait_cut_short"] = time_wait_cut_short;
  object["bytes_in"] = bytes_in;
  object["bytes_out"] = bytes_out;
  object["connect"] = latency_json(connect);
  object["life"] = latency_json(life);
  return object.dump(2) + '\n';
}

std::string second_header() {
  return fmt::format("{:>6} {:>12} {:>10} {:>8} {:>8} {:>11} {:>11}", "time", "conn/s", "open", "failed",
                     "rexmit", "p50 connect", "p99 connect");
}

std::string second_line(const SecondSample& sample) {
  const double seconds = static_cast<double>(sample.at.count()) / 1e9;
  return fmt::format("{:>4.0f} s {:>12} {:>10} {:>8} {:>8} {:>11} {:>11}", seconds,
                     rate_text(per_second(sample.established, sample.span)), count_text(sample.open_now),
                     count_text(sample.failed), count_text(sample.retransmits),
                     sample.established == 0 ? "-" : duration_text(sample.connect_p50),
                     sample.established == 0 ? "-" : duration_text(sample.connect_p99));
}

}  // namespace handfast::apps
