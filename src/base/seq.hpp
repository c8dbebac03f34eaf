// SPDX-License-Identifier: BSD-3-Clause
// Sequence numbers: arithmetic modulo 2^32 (RFC 9293 section 3.4). Layer: base.
// There is no operator< : "before" is only meaningful for numbers less than 2^31 apart, and not an order.
#pragma once

#include <cstdint>

namespace handfast {

class Seq {
 public:
  constexpr Seq() = default;
  constexpr explicit Seq(std::uint32_t raw) : raw_(raw) {}

  [[nodiscard]] constexpr std::uint32_t raw() const { return raw_; }

  friend constexpr bool operator==(Seq, Seq) = default;
  friend constexpr Seq operator+(Seq a, std::uint32_t n) { return Seq{a.raw_ + n}; }
  friend constexpr Seq operator-(Seq a, std::uint32_t n) { return Seq{a.raw_ - n}; }
  constexpr Seq& operator+=(std::uint32_t n) {
    raw_ += n;
    return *this;
  }

 private:
  std::uint32_t raw_ = 0;
};

/// How far `to` lies after `from`, modulo 2^32; a caller who knows that it is not before uses it as a length.
[[nodiscard]] constexpr std::uint32_t distance(Seq from, Seq to) { return to.raw() - from.raw(); }

[[nodiscard]] constexpr bool before(Seq a, Seq b) { return static_cast<std::int32_t>(a.raw() - b.raw()) < 0; }
[[nodiscard]] constexpr bool before_eq(Seq a, Seq b) {
  return static_cast<std::int32_t>(a.raw() - b.raw()) <= 0;
}
[[nodiscard]] constexpr bool after(Seq a, Seq b) { return before(b, a); }
[[nodiscard]] constexpr bool after_eq(Seq a, Seq b) { return before_eq(b, a); }
[[nodiscard]] constexpr Seq max(Seq a, Seq b) { return before(a, b) ? b : a; }
[[nodiscard]] constexpr Seq min(Seq a, Seq b) { return before(a, b) ? a : b; }

}  // namespace handfast
