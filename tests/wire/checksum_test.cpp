// SPDX-License-Identifier: BSD-3-Clause
// The checksum against RFC 1071's own definition: every length, every alignment, every cut in two.
#include "wire/checksum.hpp"

#include <gtest/gtest.h>

#include "base/rng.hpp"
#include "frames.hpp"

namespace handfast::wire {
namespace {

using test::Bytes;
using test::ExactBlock;
using test::naive_sum;

Bytes random_bytes(Rng& rng, std::size_t size) {
  Bytes bytes(size);
  // Now and then nothing but ones or zeros: where carries and the two zeros of ones' complement live.
  const std::uint32_t kind = rng.below(8);
  for (std::byte& byte : bytes) {
    byte = kind == 0 ? std::byte{0xff} : kind == 1 ? std::byte{0} : static_cast<std::byte>(rng.next());
  }
  return bytes;
}

/// The native result in the order of the packet.
std::uint16_t folded(std::uint64_t sum) { return swap16(fold(sum)); }

TEST(Checksum, worked_example_of_rfc1071__gives_its_sum) {
  const Bytes bytes = test::bytes_of({0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7});
  EXPECT_EQ(folded(sum_bytes(bytes)), 0xddf2);
  EXPECT_EQ(swap16(finish(sum_bytes(bytes))), 0x220d);
}

TEST(Checksum, every_length_and_alignment__equals_the_reference) {
  Rng rng{1};
  for (std::size_t length = 0; length <= 400; ++length) {
    for (std::size_t skip = 0; skip < 8; ++skip) {
      const ExactBlock block{random_bytes(rng, skip + length)};
      const auto piece = block.bytes().subspan(skip);
      ASSERT_EQ(folded(sum_bytes(piece)), naive_sum(piece)) << length << " at " << skip;
    }
  }
}

TEST(Checksum, long_pieces__equal_the_reference) {
  Rng rng{2};
  for (const std::size_t length : {1459u, 1460u, 1461u, 9000u, 65535u, 65536u, 1u << 20}) {
    const ExactBlock block{random_bytes(rng, length)};
    EXPECT_EQ(folded(sum_bytes(block.bytes())), naive_sum(block.bytes())) << length;
    const ExactBlock ones{Bytes(length, std::byte{0xff})};
    EXPECT_EQ(folded(sum_bytes(ones.bytes())), naive_sum(ones.bytes())) << length;
  }
}

TEST(Checksum, copy_and_sum__copies_exactly_and_equals_sum_bytes) {
  Rng rng{3};
  for (std::size_t length = 0; length <= 300; ++length) {
    for (const std::size_t skip : {0u, 1u, 2u, 3u, 7u}) {
      const ExactBlock from{random_bytes(rng, skip + length)};
      const ExactBlock to{Bytes(skip + length + 1, std::byte{0x5a})};
      const auto piece = from.bytes().subspan(skip);
      const std::uint64_t start = rng.next() >> 20;
      ASSERT_EQ(fold(copy_and_sum(to.bytes().data() + skip, piece, start)), fold(sum_bytes(piece, start)));
      ASSERT_EQ(std::memcmp(to.bytes().data() + skip, piece.data(), length), 0);
      ASSERT_EQ(to.bytes().back(), std::byte{0x5a});
    }
  }
}

TEST(Checksum, pieces_cut_anywhere__add_up) {
  Rng rng{4};
  for (std::size_t length = 1; length <= 200; ++length) {
    const ExactBlock block{random_bytes(rng, length)};
    for (std::size_t cut = 0; cut <= length; ++cut) {
      const std::uint64_t head = sum_bytes(block.bytes().first(cut));
      const std::uint64_t tail = sum_bytes(block.bytes().subspan(cut));
      const std::uint64_t sum = head + (cut % 2 == 0 ? tail : sum_at_odd_offset(tail));
      ASSERT_EQ(folded(sum), naive_sum(block.bytes())) << length << " cut at " << cut;
    }
  }
}

TEST(Checksum, fold__equals_the_remainder_and_is_zero_only_for_zero) {
  Rng rng{5};
  const auto slow_fold = [](std::uint64_t sum) {
    while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
    return static_cast<std::uint16_t>(sum);
  };
  for (const std::uint64_t sum :
       {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{0xffff}, std::uint64_t{0x10000},
        std::uint64_t{0xffffffff}, std::uint64_t{0x100000000}, std::uint64_t{1} << 63, ~std::uint64_t{0} - 1,
        ~std::uint64_t{0}}) {
    EXPECT_EQ(fold(sum), slow_fold(sum)) << sum;
  }
  for (int i = 0; i < 100'000; ++i) {
    const std::uint64_t sum = rng.next() >> rng.below(64);
    ASSERT_EQ(fold(sum), slow_fold(sum)) << sum;
  }
}

TEST(Checksum, finished_field__makes_the_whole_good_and_any_flipped_bit_makes_it_bad) {
  Rng rng{6};
  for (const std::size_t length : {8u, 20u, 60u, 133u}) {
    Bytes bytes = random_bytes(rng, length);
    bytes[0] = std::byte{0x45};
    bytes[2] = bytes[3] = std::byte{0};
    store_native(bytes.data() + 2, finish(sum_bytes(bytes)));
    ASSERT_TRUE(sum_is_good(sum_bytes(bytes)));
    for (std::size_t bit = 0; bit < 8 * length; ++bit) {
      bytes[bit / 8] ^= static_cast<std::byte>(1u << bit % 8);
      ASSERT_FALSE(sum_is_good(sum_bytes(bytes))) << length << " bit " << bit;
      bytes[bit / 8] ^= static_cast<std::byte>(1u << bit % 8);
    }
  }
}

TEST(Checksum, adjust__equals_summing_again) {
  Rng rng{7};
  for (int i = 0; i < 20'000; ++i) {
    Bytes bytes = random_bytes(rng, 20);
    bytes[4] = std::byte{1};  // never all zeros: no packet is, and there the two zeros would differ
    bytes[0] = bytes[1] = std::byte{0};
    const std::uint16_t before = finish(sum_bytes(bytes));
    const std::size_t at = 6 + 2 * rng.below(6);
    const std::uint64_t old_sum = load_native<std::uint16_t>(bytes.data() + at);
    const auto fresh = static_cast<std::uint16_t>(rng.below(4) == 0 ? 0xffff * rng.below(2) : rng.next());
    store16(bytes.data() + at, fresh);
    ASSERT_EQ(adjust(before, old_sum, sum_of16(fresh)), finish(sum_bytes(bytes)));
  }
}

TEST(Checksum, example_of_rfc1624__does_not_become_minus_zero) {
  // RFC 1624 section 4: 0xdd2f, a field going from 0x5555 to 0x3285, gives 0x0000 and not 0xffff.
  EXPECT_EQ(swap16(adjust(swap16(0xdd2f), sum_of16(0x5555), sum_of16(0x3285))), 0x0000);
}

TEST(Checksum, pseudo_header__equals_its_twelve_bytes) {
  Rng rng{8};
  for (int i = 0; i < 1000; ++i) {
    const Ipv4Address source{static_cast<std::uint32_t>(rng.next())};
    const Ipv4Address destination{static_cast<std::uint32_t>(rng.next())};
    const std::uint32_t length = rng.below(65536);
    Bytes bytes(12);
    test::put32(bytes, 0, source.value);
    test::put32(bytes, 4, destination.value);
    test::put16(bytes, 8, 6);
    test::put16(bytes, 10, length);
    ASSERT_EQ(folded(pseudo_header_sum(source, destination, 6, length)), naive_sum(bytes));
  }
}

}  // namespace
}  // namespace handfast::wire
