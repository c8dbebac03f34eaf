// SPDX-License-Identifier: BSD-3-Clause
// What all fuzz targets share: a finding, a reader of bytes, a block that ends where its bytes end.
// Layer: fuzz. Knows no protocol; a target is one LLVMFuzzerTestOneInput, run by libFuzzer or by driver.cpp.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <span>

#if defined(__SANITIZE_ADDRESS__)
#define HF_FUZZ_POISON 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HF_FUZZ_POISON 1
#endif
#endif
#if defined(HF_FUZZ_POISON)
#include <sanitizer/asan_interface.h>
#endif

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace handfast::fuzz {

/// Says what does not hold, and aborts: libFuzzer and the driver keep the input.
[[noreturn, gnu::cold, gnu::noinline]] inline void finding(const char* what, const char* file, int line) {
  std::fprintf(stderr, "%s:%d: finding: %s\n", file, line, what);
  std::abort();
}

/// Counts what a run has judged, and says it when the program ends.
class Tally {
 public:
  explicit Tally(const char* what) : what_(what) {}
  Tally(const Tally&) = delete;
  ~Tally() { std::fprintf(stderr, "tally: %llu %s\n", static_cast<unsigned long long>(count_), what_); }
  void add(std::uint64_t n = 1) { count_ += n; }

 private:
  const char* what_;
  std::uint64_t count_ = 0;
};

/// A number that follows from an input: the seed of whatever is varied about it.
[[nodiscard]] inline std::uint64_t digest(std::span<const std::byte> bytes) {
  std::uint64_t hash = 0xcbf29ce484222325;
  for (const std::byte byte : bytes) hash = (hash ^ std::to_integer<std::uint64_t>(byte)) * 0x100000001b3;
  return hash;
}

/// Takes an input apart from the front; past its end everything is zero, so that each input means something.
class Reader {
 public:
  Reader(const std::uint8_t* data, std::size_t size) : left_(data, size) {}

  [[nodiscard]] std::size_t left() const { return left_.size(); }
  [[nodiscard]] std::uint8_t u8() {
    if (left_.empty()) return 0;
    const std::uint8_t value = left_.front();
    left_ = left_.subspan(1);
    return value;
  }
  [[nodiscard]] std::uint16_t u16() {
    const std::uint8_t high = u8();
    return static_cast<std::uint16_t>(high << 8 | u8());
  }
  [[nodiscard]] std::uint32_t u32() {
    const std::uint32_t high = u16();
    return high << 16 | u16();
  }
  [[nodiscard]] std::uint64_t u64() {
    const std::uint64_t high = u32();
    return high << 32 | u32();
  }
  /// Up to n bytes.
  [[nodiscard]] std::span<const std::byte> bytes(std::size_t n) {
    const auto taken = left_.first(n < left_.size() ? n : left_.size());
    left_ = left_.subspan(taken.size());
    return std::as_bytes(taken);
  }

 private:
  std::span<const std::uint8_t> left_;
};

/// A heap block that is used again for each input and as good as one of exactly its size: under AddressSanitizer what lies
/// behind the bytes is poisoned, so that reading one byte too many is an error.
template <std::size_t Most>
class ExactBlock {
 public:
  /// `size` bytes of any content; what was placed before is gone.
  [[nodiscard]] std::span<std::byte> room(std::size_t size) {
#if defined(HF_FUZZ_POISON)
    __asan_unpoison_memory_region(bytes_.get(), size);
    __asan_poison_memory_region(bytes_.get() + size, rounded - size);
#endif
    return {bytes_.get(), size};
  }
  [[nodiscard]] std::span<std::byte> place(std::span<const std::byte> content) {
    const auto at = room(content.size());
    if (!content.empty()) std::memcpy(at.data(), content.data(), content.size());
    return at;
  }
  ~ExactBlock() { static_cast<void>(room(rounded)); }

 private:
  static constexpr std::size_t rounded = (Most + 15) / 8 * 8;
  std::unique_ptr<std::byte[]> bytes_ = std::make_unique<std::byte[]>(rounded);
};

}  // namespace handfast::fuzz

/// For what must hold whatever the input.
#define FUZZ_CHECK(condition) \
  (__builtin_expect(!(condition), 0) ? ::handfast::fuzz::finding(#condition, __FILE__, __LINE__) : void(0))
