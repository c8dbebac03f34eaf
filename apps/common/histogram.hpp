// SPDX-License-Identifier: BSD-3-Clause
// A latency histogram with logarithmic ranges and linear steps inside each: three significant digits from
// 1 ns to 1 hour, constant memory, mergeable across cores. Layer: apps. Knows nothing of connections or
// clocks.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "handfast/time.hpp"

namespace handfast::apps {

namespace detail {

// Below 2^(bits+1) each number has its own bucket; above, the leading bits+1 bits choose it.
constexpr std::size_t histogram_index(std::uint64_t value, unsigned bits) {
  const unsigned exact_bits = bits + 1;
  const unsigned width =
      static_cast<unsigned>(std::bit_width(value | ((std::uint64_t{1} << exact_bits) - 1)));
  const unsigned shift = width - exact_bits;
  return (static_cast<std::size_t>(shift) << bits) + static_cast<std::size_t>(value >> shift);
}

}  // namespace detail

class LatencyHistogram {
 public:
  /// 1024 steps in each power of two: a bucket is at most 1/1024 of its value wide.
  static constexpr unsigned sub_bucket_bits = 10;
  /// What lies outside is counted at the nearest end, and in clamped().
  static constexpr Duration lowest{0};
  static constexpr Duration highest = std::chrono::hours{1};

  LatencyHistogram();

  /// Counts one value. No division, no allocation, no branch on the value's magnitude.
  void record(Duration value) { record_n(value, 1); }

  /// The same value `n` times. n = 0 changes nothing.
  void record_n(Duration value, std::uint64_t n) {
    if (n == 0) return;
    const std::uint64_t ns = clamp(value, n);
    counts_[detail::histogram_index(ns, sub_bucket_bits)] += n;
    count_ += n;
    if (ns < min_ns_) min_ns_ = ns;
    if (ns > max_ns_) max_ns_ = ns;
  }

  /// Adds all that `other` has counted.
  void merge(const LatencyHistogram& other);
  void reset();

  [[nodiscard]] std::uint64_t count() const { return count_; }
  /// How many values lay outside the range, and were counted at its nearest end.
  [[nodiscard]] std::uint64_t clamped() const { return clamped_; }
  /// Exact. Zero when empty, as are all the others below.
  [[nodiscard]] Duration min() const {
    return Duration{count_ == 0 ? 0 : static_cast<std::int64_t>(min_ns_)};
  }
  [[nodiscard]] Duration max() const { return Duration{static_cast<std::int64_t>(max_ns_)}; }
  /// To three digits, as the values themselves are.
  [[nodiscard]] Duration mean() const;
  [[nodiscard]] Duration deviation() const;
  /// The value that `percent` (0 to 100) of the counted ones do not exceed: the upper end of its bucket, so
  /// never below the true one and at most 1/1024 above.
  [[nodiscard]] Duration percentile(double percent) const;

  /// The distribution as text that the public plotters of .hgrm files read; values in microseconds.
  [[nodiscard]] std::string to_hgrm() const;

 private:
  static constexpr std::uint64_t highest_ns = static_cast<std::uint64_t>(highest.count());

  static constexpr std::size_t bucket_count = detail::histogram_index(highest_ns, sub_bucket_bits) + 1;

  std::uint64_t clamp(Duration value, std::uint64_t n) {
    const std::int64_t ns = value.count();
    if (ns < 0 || ns > highest.count()) [[unlikely]] {
      clamped_ += n;
      return ns < 0 ? 0 : highest_ns;
    }
    return static_cast<std::uint64_t>(ns);
  }

  std::vector<std::uint64_t> counts_;  // bucket_count of them, always
  std::uint64_t count_ = 0;
  std::uint64_t clamped_ = 0;
  std::uint64_t min_ns_ = highest_ns;
  std::uint64_t max_ns_ = 0;
};

}  // namespace handfast::apps
