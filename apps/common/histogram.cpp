// SPDX-License-Identifier: BSD-3-Clause
// The reading side of the latency histogram: everything that may take its time. Layer: apps.
#include "common/histogram.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>

namespace handfast::apps {
namespace {

constexpr unsigned bits = LatencyHistogram::sub_bucket_bits;

// The largest value that falls into the bucket.
std::uint64_t upper_end(std::size_t index) {
  const std::size_t range = index >> bits;
  if (range < 2) return index;
  const std::size_t shift = range - 1;
  const std::uint64_t leading = index - (shift << bits);
  return ((leading + 1) << shift) - 1;
}

double middle(std::size_t index) {
  const std::uint64_t last = upper_end(index);
  const std::size_t range = index >> bits;
  const std::uint64_t width = range < 2 ? 1 : std::uint64_t{1} << (range - 1);
  return static_cast<double>(last) - static_cast<double>(width - 1) / 2.0;
}

double microseconds(Duration value) { return static_cast<double>(value.count()) / 1000.0; }

}  // namespace

LatencyHistogram::LatencyHistogram() : counts_(bucket_count, 0) {}

void LatencyHistogram::merge(const LatencyHistogram& other) {
  for (std::size_t i = 0; i < bucket_count; ++i) counts_[i] += other.counts_[i];
  count_ += other.count_;
  clamped_ += other.clamped_;
  min_ns_ = std::min(min_ns_, other.min_ns_);
  max_ns_ = std::max(max_ns_, other.max_ns_);
}

void LatencyHistogram::reset() {
  std::fill(counts_.begin(), counts_.end(), 0);
  count_ = clamped_ = max_ns_ = 0;
  min_ns_ = highest_ns;
}

Duration LatencyHistogram::mean() const {
  if (count_ == 0) return Duration{0};
  double sum = 0;
  for (std::size_t i = 0; i < bucket_count; ++i) {
    if (counts_[i] != 0) sum += middle(i) * static_cast<double>(counts_[i]);
  }
  const double mean_ns = sum / static_cast<double>(count_);
  return std::clamp(Duration{std::llround(mean_ns)}, min(), max());
}

Duration LatencyHistogram::deviation() const {
  if (count_ == 0) return Duration{0};
  const double mean_ns = static_cast<double>(mean().count());
  double squares = 0;
  for (std::size_t i = 0; i < bucket_count; ++i) {
    if (counts_[i] == 0) continue;
    const double away = middle(i) - mean_ns;
    squares += away * away * static_cast<double>(counts_[i]);
  }
  return Duration{std::llround(std::sqrt(squares / static_cast<double>(count_)))};
}

Duration LatencyHistogram::percentile(double percent) const {
  if (count_ == 0) return Duration{0};
  const double share = std::clamp(percent, 0.0, 100.0) / 100.0;
  const double wanted = std::ceil(share * static_cast<double>(count_));
  const std::uint64_t rank = std::clamp<std::uint64_t>(static_cast<std::uint64_t>(wanted), 1, count_);
  std::uint64_t seen = 0;
  for (std::size_t i = 0; i < bucket_count; ++i) {
    seen += counts_[i];
    if (seen >= rank) return Duration{static_cast<std::int64_t>(std::min(upper_end(i), max_ns_))};
  }
  return max();
}

std::string LatencyHistogram::to_hgrm() const {
  constexpr std::uint64_t ticks_per_half = 5;  // lines for each halving of what is left to 100 %
  std::string text =
      fmt::format("{:>12} {:>14} {:>10} {:>14}\n\n", "Value", "Percentile", "TotalCount", "1/(1-Percentile)");
  auto out = std::back_inserter(text);
  std::uint64_t seen = 0;
  double next_share = 0;
  for (std::size_t i = 0; i < bucket_count && seen < count_; ++i) {
    if (counts_[i] == 0) continue;
    seen += counts_[i];
    const double value = static_cast<double>(std::min(upper_end(i), max_ns_)) / 1000.0;
    const double share = static_cast<double>(seen) / static_cast<double>(count_);
    if (seen == count_) {
      fmt::format_to(out, "{:12.3f} {:2.12f} {:10}\n", value, 1.0, seen);
      break;
    }
    if (share < next_share) continue;
    fmt::format_to(out, "{:12.3f} {:2.12f} {:10} {:14.2f}\n", value, share, seen, 1.0 / (1.0 - share));
    const double halvings = std::floor(std::log2(1.0 / (1.0 - share))) + 1.0;
    next_share = share + std::exp2(-halvings) / static_cast<double>(ticks_per_half);
  }
  fmt::format_to(out, "#[Mean    = {:12.3f}, StdDeviation   = {:12.3f}]\n", microseconds(mean()),
                 microseconds(deviation()));
  fmt::format_to(out, "#[Max     = {:12.3f}, Total count    = {:12}]\n", microseconds(max()), count_);
  fmt::format_to(out, "#[Buckets = {:12}, SubBuckets     = {:12}]\n", bucket_count >> bits,
                 std::uint64_t{1} << bits);
  return text;
}

}  // namespace handfast::apps
