// SPDX-License-Identifier: BSD-3-Clause
// TCP options: every kind with every length at every data offset against a second, plain reading of the RFC,
// and what is written read back.
#include <gtest/gtest.h>

#include <cstring>
#include <optional>

#include "base/rng.hpp"
#include "frames.hpp"
#include "wire/tcp_writer.hpp"

namespace handfast::wire {
namespace {

using test::Bytes;
using test::ExactBlock;

/// One option as a list of (kind, body), or nothing where the list is malformed: the RFC's grammar only.
struct RawOption {
  std::uint8_t kind;
  Bytes body;
};
std::optional<std::vector<RawOption>> grammar(const Bytes& bytes) {
  std::vector<RawOption> list;
  for (std::size_t at = 0; at < bytes.size();) {
    const std::uint8_t kind = test::u8(bytes, at);
    if (kind == 0) break;
    if (kind == 1) {
      ++at;
      continue;
    }
    if (at + 1 == bytes.size()) return std::nullopt;
    const std::size_t length = test::u8(bytes, at + 1);
    if (length < 2 || at + length > bytes.size()) return std::nullopt;
    list.push_back({kind, Bytes(bytes.begin() + static_cast<long>(at + 2),
                                bytes.begin() + static_cast<long>(at + length))});
    at += length;
  }
  return list;
}

bool body_is_right(const RawOption& option) {
  switch (option.kind) {
    case 2:
      return option.body.size() == 2;
    case 3:
      return option.body.size() == 1;
    case 4:
      return option.body.empty();
    case 5:
      return !option.body.empty() && option.body.size() % 8 == 0;
    case 8:
      return option.body.size() == 8;
    default:
      return true;
  }
}

/// rfc7413 4.1.1: 0, or 4 to 16 and even; others are ignored.
bool is_fast_open_length(std::size_t n) { return n == 0 || (n >= 4 && n <= 16 && n % 2 == 0); }

/// What the parser should say of these bytes; the last option of a kind counts.
std::optional<TcpOptions> expected(const Bytes& bytes) {
  const auto list = grammar(bytes);
  if (!list) return std::nullopt;
  TcpOptions options;
  for (const RawOption& option : *list) {
    if (!body_is_right(option)) return std::nullopt;
    if (option.kind == 2) options.has_mss = true, options.mss = test::u16(option.body, 0);
    if (option.kind == 3) options.has_window_scale = true, options.window_scale = test::u8(option.body, 0);
    if (option.kind == 4) options.sack_permitted = true;
    if (option.kind == 5) {
      options.sack_count = static_cast<std::uint8_t>(option.body.size() / 8);
      for (std::size_t i = 0; i < options.sack_count; ++i) {
        options.sack.at(i) = {Seq{test::u32(option.body, 8 * i)}, Seq{test::u32(option.body, 8 * i + 4)}};
      }
    }
    if (option.kind == 8) {
      options.has_timestamps = true;
      options.ts_val = test::u32(option.body, 0);
      options.ts_ecr = test::u32(option.body, 4);
    }
    if (option.kind == 28 && option.body.size() == 2) options.user_timeout = test::u16(option.body, 0);  // rfc5482 3.3
    if (option.kind == 34 && is_fast_open_length(option.body.size())) {
      options.has_fast_open = true;
      options.fast_open_length = static_cast<std::uint8_t>(option.body.size());
    }
    if (option.kind == 19 || option.kind == 29) options.is_authenticated = true;
  }
  return options;
}

void expect_equal(const TcpOptions& got, const TcpOptions& want) {
  ASSERT_EQ(got.has_mss, want.has_mss);
  ASSERT_EQ(got.mss, want.mss);
  ASSERT_EQ(got.has_window_scale, want.has_window_scale);
  ASSERT_EQ(got.window_scale, want.window_scale);
  ASSERT_EQ(got.sack_permitted, want.sack_permitted);
  ASSERT_EQ(got.has_timestamps, want.has_timestamps);
  ASSERT_EQ(got.ts_val, want.ts_val);
  ASSERT_EQ(got.ts_ecr, want.ts_ecr);
  ASSERT_EQ(got.sack_count, want.sack_count);
  for (std::size_t i = 0; i < want.sack_count; ++i) ASSERT_EQ(got.sack.at(i), want.sack.at(i));
  ASSERT_EQ(got.user_timeout, want.user_timeout);
  ASSERT_EQ(got.has_fast_open, want.has_fast_open);
  ASSERT_EQ(got.fast_open_length, want.fast_open_length);
  ASSERT_EQ(got.is_authenticated, want.is_authenticated);
}

void check_against_reference(const Bytes& bytes) {
  const ExactBlock block{bytes};
  TcpOptions got;
  got.has_mss = got.sack_permitted = true;  // what was in `out` before must not shine through
  got.mss = 1;
  got.sack_count = 4;
  const auto want = expected(bytes);
  ASSERT_EQ(parse_tcp_options(block.bytes(), got), want.has_value());
  if (want) expect_equal(got, *want);
  TcpOptions quick;
  if (parse_timestamp_only(block.bytes(), quick)) expect_equal(quick, want.value());
}

// MUST-4, MUST-7, MUST-68
TEST(TcpOptions, sec_B1__every_kind_length_and_data_offset__equals_the_grammar) {
  for (std::size_t size = 0; size <= max_tcp_options_length; size += 4) {
    for (int kind = 0; kind < 256; ++kind) {
      for (int length = 0; length <= 41; ++length) {
        for (const std::byte fill : {std::byte{0}, std::byte{1}, std::byte{0xff}}) {
          Bytes bytes(size, fill);
          if (size != 0) test::put8(bytes, 0, static_cast<unsigned>(kind));
          if (size != 0) test::put8(bytes, 1, static_cast<unsigned>(length));
          ASSERT_NO_FATAL_FAILURE(check_against_reference(bytes)) << size << ' ' << kind << ' ' << length;
        }
      }
    }
  }
}

// MUST-64
TEST(TcpOptions, sec_B1__an_option_at_every_place__is_never_read_past_the_end) {
  for (std::size_t place = 0; place < max_tcp_options_length; ++place) {
    for (const int kind : {2, 3, 4, 5, 8, 9, 19, 28, 29, 34, 254, 255}) {
      for (int length = 0; length < 256; ++length) {
        Bytes bytes(max_tcp_options_length, std::byte{1});
        test::put8(bytes, place, static_cast<unsigned>(kind));
        if (place + 1 < bytes.size()) test::put8(bytes, place + 1, static_cast<unsigned>(length));
        ASSERT_NO_FATAL_FAILURE(check_against_reference(bytes)) << place << ' ' << kind << ' ' << length;
      }
    }
  }
}

TEST(TcpOptions, random_lists__equal_the_grammar) {
  Rng rng{1};
  for (int i = 0; i < 200'000; ++i) {
    Bytes bytes(4 * rng.below(11));
    for (std::byte& byte : bytes) {
      const std::uint32_t kind = rng.below(4);
      byte = kind == 0 ? static_cast<std::byte>(rng.next()) : static_cast<std::byte>(rng.below(11));
    }
    ASSERT_NO_FATAL_FAILURE(check_against_reference(bytes)) << i;
  }
}

// rfc7413 4.1.1, rfc5482 3.3: what is written is what is read, beside everything else that a SYN has
TEST(TcpOptions, fast_open_and_user_timeout__written_and_read_beside_all_others) {
  Bytes cookie;
  for (unsigned i = 1; i <= 16; ++i) cookie.push_back(static_cast<std::byte>(i));
  for (const unsigned length : {0u, 4u, 6u, 8u, 10u, 12u, 14u, 16u}) {
    TcpOptions in;
    in.has_mss = in.has_timestamps = in.has_window_scale = in.sack_permitted = in.has_fast_open = true;
    in.mss = 1460;
    in.ts_val = 7;
    in.window_scale = 3;
    in.fast_open_length = static_cast<std::uint8_t>(length);
    in.fast_open_cookie = cookie.data();
    in.user_timeout = length <= 12 ? 0x8005 : 0;
    Bytes room(max_tcp_options_length);
    const std::size_t size = write_options(room.data(), in);
    ASSERT_EQ(size % 4, 0u);
    ASSERT_LE(size, max_tcp_options_length);
    TcpOptions out;
    ASSERT_TRUE(parse_tcp_options(std::span{room}.first(size), out));
    expect_equal(out, in);
    EXPECT_EQ(std::memcmp(out.fast_open_cookie, cookie.data(), length), 0);
  }
}

TEST(TcpOptions, bytes_behind_the_end_of_list__are_not_looked_at) {
  Bytes bytes(8, std::byte{0xff});
  test::put8(bytes, 0, 0);
  TcpOptions options;
  EXPECT_TRUE(parse_tcp_options(bytes, options));
  EXPECT_FALSE(options.has_mss);
}

TEST(TcpOptions, more_than_forty_bytes__only_forty_are_read) {
  Bytes bytes(60, std::byte{1});
  test::put32(bytes, 40, 0x02040578);
  TcpOptions options;
  EXPECT_TRUE(parse_tcp_options(bytes, options));
  EXPECT_FALSE(options.has_mss);
}

TEST(TcpOptions, sec_B8__window_scale__is_passed_on_as_received) {
  for (unsigned shift = 0; shift < 256; ++shift) {
    const Bytes bytes = test::bytes_of({3, 3, static_cast<int>(shift), 0});
    TcpOptions options;
    ASSERT_TRUE(parse_tcp_options(bytes, options));
    EXPECT_EQ(options.window_scale, shift);
  }
}

TEST(TcpOptions, timestamp_only__takes_the_one_layout) {
  Bytes bytes = test::bytes_of({1, 1, 8, 10, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88});
  TcpOptions options;
  options.sack_count = 3;
  ASSERT_TRUE(parse_timestamp_only(bytes, options));
  EXPECT_EQ(options.ts_val, 0x11223344u);
  EXPECT_EQ(options.ts_ecr, 0x55667788u);
  EXPECT_EQ(options.sack_count, 0);
  for (std::size_t length = 0; length < 12; ++length) {
    EXPECT_FALSE(parse_timestamp_only(std::span(bytes).first(length), options));
  }
  bytes.resize(16);
  EXPECT_FALSE(parse_timestamp_only(bytes, options));
}

Bytes written(const TcpOptions& options) {
  const ExactBlock room{Bytes(max_tcp_options_length, std::byte{0x5a})};
  const std::uint8_t length = write_options(room.bytes().data(), options);
  EXPECT_EQ(length % 4, 0);
  for (std::size_t i = length; i < room.bytes().size(); ++i) EXPECT_EQ(room.bytes()[i], std::byte{0x5a});
  return {room.bytes().begin(), room.bytes().begin() + length};
}

TEST(TcpOptions, syn_with_everything__has_the_common_layout) {
  TcpOptions options;
  options.has_mss = options.has_window_scale = options.sack_permitted = options.has_timestamps = true;
  options.mss = 1460;
  options.window_scale = 7;
  options.ts_val = 0x01020304;
  EXPECT_EQ(written(options),
            test::bytes_of({2, 4, 5, 0xb4, 4, 2, 8, 10, 1, 2, 3, 4, 0, 0, 0, 0, 1, 3, 3, 7}));
}

TEST(TcpOptions, timestamps_and_sack__have_the_layout_of_rfc7323_appendix_a) {
  TcpOptions options;
  options.has_timestamps = true;
  options.ts_val = 1;
  options.ts_ecr = 2;
  EXPECT_EQ(written(options), test::bytes_of({1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2}));
  options.sack_count = 1;
  options.sack[0] = {Seq{3}, Seq{4}};
  EXPECT_EQ(written(options), test::bytes_of({1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2,  //
                                              1, 1, 5, 10, 0, 0, 0, 3, 0, 0, 0, 4}));
}

// MUST-68, MUST-69
TEST(TcpOptions, every_combination__is_read_back_and_never_exceeds_forty_bytes) {
  for (unsigned bits = 0; bits < 16; ++bits) {
    for (std::uint8_t blocks = 0; blocks <= 4; ++blocks) {
      TcpOptions options;
      options.has_mss = (bits & 1) != 0;
      options.has_window_scale = (bits & 2) != 0;
      options.sack_permitted = (bits & 4) != 0;
      options.has_timestamps = (bits & 8) != 0;
      if (options.has_mss) options.mss = 0xfedc;
      if (options.has_window_scale) options.window_scale = 14;
      if (options.has_timestamps) options.ts_val = 0xfffffffe, options.ts_ecr = 0x80000001;
      options.sack_count = blocks;
      for (std::uint32_t i = 0; i < blocks; ++i) options.sack.at(i) = {Seq{0xfffffff0 + i}, Seq{i}};

      const Bytes bytes = written(options);
      ASSERT_LE(bytes.size(), max_tcp_options_length);
      TcpOptions read;
      ASSERT_TRUE(parse_tcp_options(bytes, read));
      TcpOptions want = options;
      want.sack_count = read.sack_count;  // as many as fit:
      ASSERT_LE(read.sack_count, blocks);
      ASSERT_TRUE(read.sack_count == blocks || bytes.size() + 8 > max_tcp_options_length);
      expect_equal(read, want);
    }
  }
}

TEST(TcpOptions, sack_count_out_of_range__writes_at_most_four_blocks) {
  TcpOptions options;
  options.sack_count = 255;
  EXPECT_EQ(written(options).size(), 36u);
}

}  // namespace
}  // namespace handfast::wire
