// SPDX-License-Identifier: BSD-3-Clause
// Zeroed memory straight from the kernel: reserved at once, committed page by page when first touched, so
// that a table sized for ten million costs nothing until they come. Layer: ds. Knows nothing of what is put
// in it.
#pragma once

#include <sys/mman.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <new>
#include <utility>

#include "base/assert.hpp"

namespace handfast::ds {

class Mapping {
 public:
  Mapping() = default;

  /// Throws std::bad_alloc where the kernel refuses; 0 bytes map nothing. Zeroed, aligned to a page, and to a
  /// huge page from two of those on.
  explicit Mapping(std::size_t size_bytes) {
    if (size_bytes == 0) return;
    if (size_bytes > SIZE_MAX / 2) throw std::bad_alloc{};
    const bool huge = size_bytes >= 2 * huge_page;
    const std::size_t wanted = huge ? size_bytes + huge_page : size_bytes;
    void* raw =
        ::mmap(nullptr, wanted, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (raw == MAP_FAILED) throw std::bad_alloc{};
    base_ = raw;
    base_bytes_ = wanted;
    data_ = raw;
    size_bytes_ = size_bytes;
    if (!huge) return;
    const std::uintptr_t address = reinterpret_cast<std::uintptr_t>(raw);
    const std::uintptr_t aligned = (address + huge_page - 1) & ~std::uintptr_t{huge_page - 1};
    data_ = static_cast<std::byte*>(raw) + (aligned - address);
    // A hint: without huge pages everything works, with more TLB misses.
    static_cast<void>(::madvise(data_, size_bytes, MADV_HUGEPAGE));
  }

  Mapping(Mapping&& other) noexcept { swap(other); }
  Mapping& operator=(Mapping&& other) noexcept {
    Mapping taken{std::move(other)};
    swap(taken);
    return *this;
  }
  ~Mapping() {
    if (base_ != nullptr) HF_ASSERT(::munmap(base_, base_bytes_) == 0);
  }

  [[nodiscard]] void* data() const { return data_; }

  /// Has the kernel give all of it now, not page by page when first touched; what is in it stays. Until this returns nobody
  /// else may write there. Throws std::bad_alloc where there is not so much.
  void prefault() {
    if (size_bytes_ == 0) return;
#ifdef MADV_POPULATE_WRITE
    if (::madvise(data_, size_bytes_, MADV_POPULATE_WRITE) == 0) return;
    if (errno != EINVAL) throw std::bad_alloc{};
#endif
    // A kernel before 5.14.
    for (std::size_t at = 0; at < size_bytes_; at += least_page) {
      volatile std::byte& first = static_cast<std::byte*>(data_)[at];
      first = first;
    }
  }

 private:
  static constexpr std::size_t huge_page = std::size_t{2} << 20, least_page = 4096;

  void swap(Mapping& other) noexcept {
    std::swap(base_, other.base_);
    std::swap(base_bytes_, other.base_bytes_);
    std::swap(data_, other.data_);
    std::swap(size_bytes_, other.size_bytes_);
  }

  void* base_ = nullptr;
  std::size_t base_bytes_ = 0;
  void* data_ = nullptr;
  std::size_t size_bytes_ = 0;  // from data_ on
};

}  // namespace handfast::ds
