// SPDX-License-Identifier: BSD-3-Clause
// FlowHasher: not linear, spreads what was built to collide under CRC32c and Toeplitz, avalanche.
#include "ds/flow_hash.hpp"

#include <gtest/gtest.h>

#include <array>
#include <bit>
#include <cstdint>
#include <functional>
#include <unordered_set>
#include <vector>

#include "seeded.hpp"

namespace handfast::ds {
namespace {

FlowHasher random_hasher(Rng& rng) { return FlowHasher{{rng.next(), rng.next(), rng.next(), rng.next()}}; }

FlowKey random_key(Rng& rng) {
  FlowKey key;
  key.local_address = static_cast<std::uint32_t>(rng.next());
  key.remote_address = static_cast<std::uint32_t>(rng.next());
  key.ports = static_cast<std::uint32_t>(rng.next());
  return key;
}

FlowKey operator^(const FlowKey& a, const FlowKey& b) {
  FlowKey key;
  key.local_address = a.local_address ^ b.local_address;
  key.remote_address = a.remote_address ^ b.remote_address;
  key.ports = a.ports ^ b.ports;
  return key;
}

FlowKey single_bit(unsigned bit) {
  FlowKey key;
  (bit < 32 ? key.local_address : bit < 64 ? key.remote_address : key.ports) = 1u << (bit % 32);
  return key;
}

bool bit_of(const FlowKey& key, unsigned bit) {
  const FlowKey one = single_bit(bit);
  return ((key.local_address & one.local_address) | (key.remote_address & one.remote_address) |
          (key.ports & one.ports)) != 0;
}

std::uint32_t crc32c(const FlowKey& key) {
  std::uint32_t crc = 0;
  for (const std::uint32_t word : {key.local_address, key.remote_address, key.ports}) {
    crc ^= word;
    for (int i = 0; i < 32; ++i) crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78u : 0u);
  }
  return crc;
}

// The key that network cards come with.
std::uint32_t toeplitz(const FlowKey& key) {
  constexpr std::array<std::uint8_t, 16> secret{0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2,
                                                0x41, 0x67, 0x25, 0x3d, 0x43, 0xa3, 0x8f, 0xb0};
  std::uint32_t hash = 0;
  for (unsigned bit = 0; bit < 96; ++bit) {
    if (!bit_of(key, bit)) continue;
    std::uint32_t window = 0;
    for (unsigned i = bit; i < bit + 32; ++i) window = window << 1 | (secret[i / 8] >> (7 - i % 8) & 1u);
    hash ^= window;
  }
  return hash;
}

using LinearHash = std::function<std::uint32_t(const FlowKey&)>;

// Differences that leave a linear hash as it is: by elimination over the images of the 96 single bits.
std::vector<FlowKey> invisible_differences(const LinearHash& hash) {
  struct Row {
    std::uint32_t image;
    FlowKey input;
  };
  std::vector<Row> pivots;
  std::vector<FlowKey> kernel;
  for (unsigned bit = 0; bit < 96; ++bit) {
    Row row{hash(single_bit(bit)), single_bit(bit)};
    for (const Row& pivot : pivots) {
      if ((row.image & std::bit_floor(pivot.image)) == 0) continue;
      row.image ^= pivot.image;
      row.input = row.input ^ pivot.input;
    }
    if (row.image == 0) {
      kernel.push_back(row.input);
    } else {
      pivots.push_back(row);
    }
  }
  return kernel;
}

// Pearson's chi-square of the counts in 1024 bins must look like that of random numbers: 1023 +- 45.
void expect_even(const std::vector<std::uint64_t>& hashes, unsigned shift) {
  std::array<double, 1024> bins{};
  for (const std::uint64_t hash : hashes) bins[(hash >> shift) % bins.size()] += 1;
  const double expected = static_cast<double>(hashes.size()) / static_cast<double>(bins.size());
  double chi_square = 0;
  for (const double count : bins) chi_square += (count - expected) * (count - expected) / expected;
  EXPECT_LT(chi_square, 1023 + 8 * 45.2) << "bits from " << shift;
  EXPECT_GT(chi_square, 1023 - 8 * 45.2) << "bits from " << shift;
}

void expect_spread(const LinearHash& weak) {
  Rng rng = test::seeded_rng();
  const FlowHasher hasher = random_hasher(rng);
  const std::vector<FlowKey> differences = invisible_differences(weak);
  ASSERT_GE(differences.size(), 64u);
  const FlowKey base = random_key(rng);
  std::vector<std::uint64_t> hashes;
  for (std::uint32_t choice = 0; choice < 100'000; ++choice) {
    FlowKey key = base;
    for (unsigned bit = 0; bit < 17; ++bit) {
      if ((choice >> bit & 1) != 0) key = key ^ differences[bit * 3];
    }
    ASSERT_EQ(weak(key), weak(base));
    hashes.push_back(hasher(key));
  }
  for (unsigned shift = 0; shift <= 54; ++shift) expect_even(hashes, shift);
  const std::unordered_set<std::uint64_t> distinct(hashes.begin(), hashes.end());
  EXPECT_EQ(distinct.size(), hashes.size());
}

TEST(FlowHasher, tuples_that_collide_under_crc32c__spread_evenly) { expect_spread(crc32c); }

TEST(FlowHasher, tuples_that_collide_under_toeplitz__spread_evenly) { expect_spread(toeplitz); }

TEST(FlowHasher, four_inputs_that_cancel__outputs_do_not) {
  Rng rng = test::seeded_rng();
  const FlowHasher hasher = random_hasher(rng);
  std::unordered_set<std::uint64_t> sums;
  for (int i = 0; i < 10'000; ++i) {
    const FlowKey a = random_key(rng), b = random_key(rng), c = random_key(rng), d = a ^ b ^ c;
    ASSERT_EQ(crc32c(a) ^ crc32c(b) ^ crc32c(c) ^ crc32c(d), 0u);  // what a linear one does
    const std::uint64_t sum = hasher(a) ^ hasher(b) ^ hasher(c) ^ hasher(d);
    EXPECT_NE(sum, 0u);
    sums.insert(sum);
  }
  EXPECT_EQ(sums.size(), 10'000u);  // nor is the sum any other constant
}

TEST(FlowHasher, one_input_bit_flipped__each_output_bit_flips_half_the_time) {
  Rng rng = test::seeded_rng();
  const FlowHasher hasher = random_hasher(rng);
  constexpr int samples = 4000;
  for (unsigned in = 0; in < 96; ++in) {
    std::array<int, 64> flips{};
    for (int i = 0; i < samples; ++i) {
      const FlowKey key = random_key(rng);
      const std::uint64_t changed = hasher(key) ^ hasher(key ^ single_bit(in));
      for (unsigned out = 0; out < 64; ++out) flips[out] += static_cast<int>(changed >> out & 1);
    }
    for (unsigned out = 0; out < 64; ++out) {
      EXPECT_NEAR(static_cast<double>(flips[out]) / samples, 0.5, 0.06) << in << " -> " << out;
    }
  }
}

TEST(FlowHasher, ordinary_tuples__spread_evenly) {
  Rng rng = test::seeded_rng();
  const FlowHasher hasher = random_hasher(rng);
  std::vector<std::uint64_t> hashes;
  for (std::uint32_t i = 0; i < 100'000; ++i) {  // one client behind another, ports counted up
    const Endpoint server{Ipv4Address{10, 0, 0, 1}, 80};
    const Endpoint client{Ipv4Address{0x0a000100 + i / 50'000}, static_cast<Port>(1024 + i % 50'000)};
    hashes.push_back(hasher(FlowKey{server, client}));
  }
  for (unsigned shift = 0; shift <= 54; ++shift) expect_even(hashes, shift);
}

TEST(FlowHasher, another_key__another_hash) {
  Rng rng = test::seeded_rng();
  const FlowKey key = random_key(rng);
  std::array<std::uint64_t, 4> secret{rng.next(), rng.next(), rng.next(), rng.next()};
  const std::uint64_t before = FlowHasher{secret}(key);
  EXPECT_EQ(FlowHasher{secret}(key), before);
  for (std::uint64_t& word : secret) {
    word ^= 1;
    EXPECT_NE(FlowHasher{secret}(key), before);
    word ^= 1;
  }
}

}  // namespace
}  // namespace handfast::ds
