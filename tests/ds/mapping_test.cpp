// SPDX-License-Identifier: BSD-3-Clause
// Mapping: what is resident before and after prefault(), and that what was written stays.
#include "ds/mapping.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace handfast::ds {
namespace {

constexpr std::size_t page = 4096;

/// How many of the mapping's pages have memory behind them.
std::size_t resident_pages(const Mapping& mapping, std::size_t size_bytes) {
  std::vector<unsigned char> pages((size_bytes + page - 1) / page);
  EXPECT_EQ(::mincore(mapping.data(), size_bytes, pages.data()), 0);
  std::size_t count = 0;
  for (const unsigned char p : pages) count += p & 1u;
  return count;
}

class PrefaultedMapping : public testing::TestWithParam<std::size_t> {};

TEST_P(PrefaultedMapping, prefault__whatever_size__all_is_resident_and_what_was_written_stays) {
  const std::size_t size = GetParam();
  Mapping mapping{size};
  auto* const bytes = static_cast<std::byte*>(mapping.data());
  EXPECT_EQ(resident_pages(mapping, size), 0u);
  bytes[size - 1] = std::byte{7};
  mapping.prefault();
  EXPECT_EQ(resident_pages(mapping, size), (size + page - 1) / page);
  EXPECT_EQ(bytes[size - 1], std::byte{7});
  EXPECT_EQ(bytes[0], size == 1 ? std::byte{7} : std::byte{0});
}

// Less than a page, not a multiple of one, and as much as is aligned to huge pages.
INSTANTIATE_TEST_SUITE_P(sizes, PrefaultedMapping,
                         testing::Values(1, 5 * page + 1, (std::size_t{9} << 20) + 100));

TEST(Mapping, prefault__of_nothing_and_after_a_move__is_of_what_is_held) {
  Mapping nothing;
  nothing.prefault();
  Mapping first{3 * page};
  Mapping second = std::move(first);
  first.prefault();
  EXPECT_EQ(resident_pages(second, 3 * page), 0u);
  second.prefault();
  EXPECT_EQ(resident_pages(second, 3 * page), 3u);
}

}  // namespace
}  // namespace handfast::ds
