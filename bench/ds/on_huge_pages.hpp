// SPDX-License-Identifier: BSD-3-Clause
// An array that lies as connections do in a stack: in one mapping, on huge pages where there are any.
#pragma once

#include <cstdint>
#include <new>

#include "ds/mapping.hpp"

namespace handfast::bench {

template <class T>
class OnHugePages {
 public:
  explicit OnHugePages(std::uint32_t size) : memory_(size * sizeof(T)), size_(size) {
    for (std::uint32_t i = 0; i < size; ++i) new (&(*this)[i]) T{};
  }
  T& operator[](std::uint32_t i) const { return static_cast<T*>(memory_.data())[i]; }
  std::uint32_t size() const { return size_; }

 private:
  ds::Mapping memory_;
  std::uint32_t size_;
};

}  // namespace handfast::bench
