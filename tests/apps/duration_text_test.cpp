// SPDX-License-Identifier: BSD-3-Clause
// Numbers with units: what is taken, what is refused, how they print. Layer: tests.
#include "common/duration_text.hpp"

#include <gtest/gtest.h>

namespace handfast::apps {
namespace {

TEST(DurationText, parse_duration__number_and_unit__taken) {
  EXPECT_EQ(parse_duration("10s").value(), 10s);
  EXPECT_EQ(parse_duration("250ms").value(), 250ms);
  EXPECT_EQ(parse_duration("2m").value(), 2min);
  EXPECT_EQ(parse_duration("1h").value(), 1h);
  EXPECT_EQ(parse_duration("7us").value(), 7us);
  EXPECT_EQ(parse_duration("0ns").value(), 0ns);
  EXPECT_EQ(parse_duration("8760h").value(), 8760h);
}

TEST(DurationText, parse_duration__anything_else__usage_error_with_a_remedy) {
  for (const char* text : {"", "s", "10", "-1s", "+1s", " 1s", "1s ", "1 s", "1.5s", "10S", "1d", "8761h",
                           "1e3s", "18446744073709551616ns", "18446744073709551615h", "0x10s", "1ss"}) {
    const auto parsed = parse_duration(text);
    ASSERT_FALSE(parsed) << text;
    EXPECT_EQ(parsed.error().kind, ErrorKind::usage);
    EXPECT_FALSE(parsed.error().what.empty());
    EXPECT_NE(parsed.error().remedy.find("250ms"), std::string::npos);
  }
}

TEST(DurationText, parse_size__powers_of_1024) {
  EXPECT_EQ(parse_size("64").value(), 64U);
  EXPECT_EQ(parse_size("16K").value(), 16'384U);
  EXPECT_EQ(parse_size("1M").value(), 1'048'576U);
  EXPECT_EQ(parse_size("2GiB").value(), 2'147'483'648U);
  EXPECT_EQ(parse_size("16777215T").value(), 16'777'215ULL << 40);
  EXPECT_EQ(parse_size("18446744073709551615").value(), UINT64_MAX);
  for (const char* text : {"", "K", "-1", "16777216T", "1.5K", "1 K", "1X", "18446744073709551616"}) {
    EXPECT_FALSE(parse_size(text)) << text;
  }
}

TEST(DurationText, parse_count__powers_of_1000_and_rates) {
  EXPECT_EQ(parse_count("500").value(), 500U);
  EXPECT_EQ(parse_count("100k").value(), 100'000U);
  EXPECT_EQ(parse_count("2M").value(), 2'000'000U);
  EXPECT_EQ(parse_count("100k/s").value(), 100'000U);
  EXPECT_EQ(parse_count("7/s").value(), 7U);
  for (const char* text : {"", "/s", "k", "k/s", "100k/m", "-5", "18446744074G", "1 k"}) {
    EXPECT_FALSE(parse_count(text)) << text;
  }
}

TEST(DurationText, errors__long_input__only_its_beginning_repeated) {
  const auto parsed = parse_size(std::string(10'000, 'x'));
  ASSERT_FALSE(parsed);
  EXPECT_LT(parsed.error().what.size(), 100U);
}

TEST(DurationText, duration_text__three_digits_and_the_fitting_unit) {
  EXPECT_EQ(duration_text(0ns), "0 ns");
  EXPECT_EQ(duration_text(999ns), "999 ns");
  EXPECT_EQ(duration_text(1000ns), "1.00 us");
  EXPECT_EQ(duration_text(12'345ns), "12.3 us");
  EXPECT_EQ(duration_text(123'456ns), "123 us");
  EXPECT_EQ(duration_text(999'400ns), "999 us");
  EXPECT_EQ(duration_text(999'999ns), "1.00 ms");
  EXPECT_EQ(duration_text(9'999us), "10.0 ms");
  EXPECT_EQ(duration_text(99'990us), "100 ms");
  EXPECT_EQ(duration_text(61s), "61.0 s");
  EXPECT_EQ(duration_text(1h), "3600 s");
  EXPECT_EQ(duration_text(-1500us), "-1.50 ms");
}

TEST(DurationText, count_text__groups_of_three) {
  EXPECT_EQ(count_text(0), "0");
  EXPECT_EQ(count_text(999), "999");
  EXPECT_EQ(count_text(1000), "1,000");
  EXPECT_EQ(count_text(123456), "123,456");
  EXPECT_EQ(count_text(UINT64_MAX), "18,446,744,073,709,551,615");
}

TEST(DurationText, size_text__binary_units) {
  EXPECT_EQ(size_text(0), "0 B");
  EXPECT_EQ(size_text(1023), "1023 B");
  EXPECT_EQ(size_text(1536), "1.50 KiB");
  EXPECT_EQ(size_text(1U << 20), "1.00 MiB");
  EXPECT_EQ(size_text((1U << 20) - 1), "1.00 MiB");
  EXPECT_EQ(size_text(UINT64_MAX), "16.00 EiB");
}

}  // namespace
}  // namespace handfast::apps
