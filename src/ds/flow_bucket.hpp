// SPDX-License-Identifier: BSD-3-Clause
// One cache line of the flow table: nine (tag, slot) pairs under a version, and how the tags are compared.
// Layer: ds. Knows nothing of keys, hashes or probing.
#pragma once

#include <cstdint>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include "ds/atomics.hpp"
#include "ds/cache_line.hpp"

namespace handfast::ds {

/// Written by the owner only, through atomic stores; the owner's own reads may therefore be plain. Others
/// read through atomic loads and check the version, which is odd while a pair is being changed.
///
/// There are no fences (TSan does not know them): every store of a pair is a release and every load of it an
/// acquire, so a reader that sees any part of a change also sees the version that announced it.
template <class Access = Atomics>
struct alignas(cache_line) BasicFlowBucket {
  static constexpr unsigned entries = 9;
  static constexpr std::uint16_t empty_tag = 0;
  static constexpr std::uint16_t overflow_max = 0xffff;

  std::uint16_t tags[entries];   // empty_tag: no entry here
  std::uint16_t overflow;        // entries that found this bucket full and live further on
  std::uint32_t version;         // odd while the owner is writing
  std::uint32_t slots[entries];  // meaningful where the tag is not empty
  std::uint32_t unused;

  /// Bit i is set where tags[i] == tag. For the owner.
  [[nodiscard]] unsigned matching(std::uint16_t tag) const {
#if defined(__SSE2__)
    const __m128i wanted = _mm_set1_epi16(static_cast<short>(tag));
    const __m128i eight = _mm_load_si128(reinterpret_cast<const __m128i*>(tags));
    const __m128i equal = _mm_packs_epi16(_mm_cmpeq_epi16(eight, wanted), _mm_setzero_si128());
    return static_cast<unsigned>(_mm_movemask_epi8(equal)) | unsigned{tags[8] == tag} << 8;
#else
    return matching_portable(tag);
#endif
  }

  /// The same without vector instructions; the test compares the two.
  [[nodiscard]] unsigned matching_portable(std::uint16_t tag) const {
    unsigned mask = 0;
    for (unsigned i = 0; i < entries; ++i) mask |= unsigned{tags[i] == tag} << i;
    return mask;
  }

  void put(unsigned i, std::uint16_t tag, std::uint32_t slot) {
    const std::uint32_t before = version;
    store(version, before + 1);
    store(slots[i], slot);
    store(tags[i], tag);
    store(version, before + 2);
  }
  void clear(unsigned i) {
    const std::uint32_t before = version;
    store(version, before + 1);
    store(tags[i], empty_tag);
    store(version, before + 2);
  }
  /// One word changes, so no reader can see half of it; the version tells those who still look at the old
  /// slot.
  void replace(unsigned i, std::uint32_t slot) {
    store(slots[i], slot);
    store(version, version + 2);
  }
  // Sticks at its maximum, which costs look-ups some time and nothing else.
  void add_overflow() {
    if (overflow != overflow_max) store(overflow, static_cast<std::uint16_t>(overflow + 1));
  }
  void remove_overflow() {
    if (overflow != overflow_max) store(overflow, static_cast<std::uint16_t>(overflow - 1));
  }

  template <class Word>
  [[nodiscard]] static Word load(Word& word) {
    return Access::load(word);
  }
  template <class Word>
  static void store(Word& word, Word value) {
    Access::store(word, value);
  }
};
using FlowBucket = BasicFlowBucket<>;
static_assert(sizeof(FlowBucket) == cache_line && FlowBucket::entries == 9);

}  // namespace handfast::ds
