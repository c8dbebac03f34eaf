// SPDX-License-Identifier: BSD-3-Clause
// Addresses, prefixes, endpoints and Ethernet addresses as text: what is printed is read back, nothing else
// is.
#include <gtest/gtest.h>

#include "base/rng.hpp"
#include "handfast/address.hpp"

namespace handfast {
namespace {

TEST(Ipv4Address, good_text__is_the_value) {
  EXPECT_EQ(Ipv4Address::parse("10.0.0.1"), Ipv4Address(10, 0, 0, 1));
  EXPECT_EQ(Ipv4Address::parse("0.0.0.0"), any);
  EXPECT_EQ(Ipv4Address::parse("255.255.255.255")->value, 0xffffffffu);
  EXPECT_EQ(Ipv4Address(192, 168, 3, 4).to_string(), "192.168.3.4");
}

TEST(Ipv4Address, bad_text__is_refused) {
  for (const char* text : {"",           ".",         "1",
                           "1.2.3",      "1.2.3.",    ".1.2.3",
                           "1.2.3.4.",   "1.2.3.4.5", "1..3.4",
                           "256.0.0.1",  "1.2.3.256", "01.2.3.4",
                           "1.2.3.00",   "1.2.3.4 ",  " 1.2.3.4",
                           "1.2.3.-4",   "1.2.3.+4",  "0x1.2.3.4",
                           "1,2,3,4",    "a.b.c.d",   "1.2.3.99999999999999999999",
                           "1.2.3.4/24", "1.2.3.4:80"}) {
    EXPECT_FALSE(Ipv4Address::parse(text)) << text;
  }
  EXPECT_FALSE(Ipv4Address::parse(std::string_view("1.2.3.4\0", 8)));
}

TEST(Ipv4Address, text_that_goes_on_behind_the_view__is_not_read) {
  EXPECT_EQ(Ipv4Address::parse(std::string_view("1.2.3.45", 7)), Ipv4Address(1, 2, 3, 4));
}

TEST(Ipv4Address, random_values__survive_the_round_trip) {
  Rng rng{1};
  for (int i = 0; i < 10'000; ++i) {
    const Ipv4Address address{static_cast<std::uint32_t>(rng.next())};
    ASSERT_EQ(Ipv4Address::parse(address.to_string()), address);
  }
}

TEST(Ipv4Address, kinds__begin_and_end_where_they_should) {
  EXPECT_TRUE(Ipv4Address(224, 0, 0, 0).is_multicast());
  EXPECT_TRUE(Ipv4Address(239, 255, 255, 255).is_multicast());
  EXPECT_FALSE(Ipv4Address(223, 255, 255, 255).is_multicast());
  EXPECT_FALSE(Ipv4Address(240, 0, 0, 0).is_multicast());
  EXPECT_TRUE(Ipv4Address(240, 0, 0, 0).is_reserved());
  EXPECT_TRUE(Ipv4Address(255, 255, 255, 255).is_reserved());
  EXPECT_TRUE(Ipv4Address(127, 255, 0, 1).is_loopback());
  EXPECT_FALSE(Ipv4Address(128, 0, 0, 1).is_loopback());
  EXPECT_TRUE(Ipv4Address(0, 1, 2, 3).is_this_network());
  EXPECT_FALSE(Ipv4Address(1, 0, 0, 0).is_this_network());
}

TEST(Ipv4Prefix, text__round_trip_and_refusals) {
  const auto prefix = Ipv4Prefix::parse("10.0.0.2/24");
  ASSERT_TRUE(prefix);
  EXPECT_EQ(prefix->address, Ipv4Address(10, 0, 0, 2));
  EXPECT_EQ(prefix->length, 24);
  EXPECT_EQ(prefix->to_string(), "10.0.0.2/24");
  EXPECT_EQ(Ipv4Prefix::parse("0.0.0.0/0")->length, 0);
  EXPECT_EQ(Ipv4Prefix::parse("1.2.3.4/32")->length, 32);
  for (const char* text : {"", "10.0.0.2", "10.0.0.2/", "10.0.0.2/33", "10.0.0.2/024", "10.0.0.2/24 ", "/24",
                           "10.0.0.2/-1", "10.0.0/24", "10.0.0.2//24"}) {
    EXPECT_FALSE(Ipv4Prefix::parse(text)) << text;
  }
}

TEST(Ipv4Prefix, extreme_lengths__contain_all_or_one) {
  const Ipv4Prefix all{{1, 2, 3, 4}, 0};
  EXPECT_EQ(all.mask(), 0u);
  EXPECT_TRUE(all.contains({255, 255, 255, 255}));
  const Ipv4Prefix one{{1, 2, 3, 4}, 32};
  EXPECT_TRUE(one.contains({1, 2, 3, 4}));
  EXPECT_FALSE(one.contains({1, 2, 3, 5}));
  EXPECT_FALSE(one.is_broadcast({1, 2, 3, 4}));
  EXPECT_FALSE((Ipv4Prefix{{1, 2, 3, 4}, 31}).is_broadcast({1, 2, 3, 5}));
  EXPECT_TRUE((Ipv4Prefix{{1, 2, 3, 4}, 30}).is_broadcast({1, 2, 3, 7}));
}

TEST(Endpoint, text__round_trip_and_refusals) {
  EXPECT_EQ(Endpoint::parse("10.0.0.1:80"), (Endpoint{{10, 0, 0, 1}, 80}));
  EXPECT_EQ(Endpoint::parse("10.0.0.1:0"), (Endpoint{{10, 0, 0, 1}, 0}));
  EXPECT_EQ((Endpoint{{10, 0, 0, 1}, 65535}).to_string(), "10.0.0.1:65535");
  EXPECT_EQ(Endpoint::parse("10.0.0.1:65535")->port, 65535);
  for (const char* text : {"", "10.0.0.1", "10.0.0.1:", ":80", "10.0.0.1:65536", "10.0.0.1:080",
                           "10.0.0.1:80x", "10.0.0.1: 80", "10.0.0.1:80:80", "*:80"}) {
    EXPECT_FALSE(Endpoint::parse(text)) << text;
  }
}

TEST(MacAddress, text__round_trip_and_refusals) {
  EXPECT_EQ(MacAddress::parse("02:00:00:00:00:01"), (MacAddress{{2, 0, 0, 0, 0, 1}}));
  EXPECT_EQ(MacAddress::parse("aA:Bb:cc:DD:ee:ff"), (MacAddress{{0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff}}));
  EXPECT_EQ((MacAddress{{0xaa, 0xb, 0xcc, 0xdd, 0xee, 0xff}}).to_string(), "aa:0b:cc:dd:ee:ff");
  EXPECT_EQ(MacAddress::parse("ff:ff:ff:ff:ff:ff"), broadcast_mac);
  for (const char* text : {"", "02:00:00:00:00", "02:00:00:00:00:01:", "02:00:00:00:00:001", "2:0:0:0:0:1",
                           "02-00-00-00-00-01", "0g:00:00:00:00:01", "02:00:00:00:0001:", "020000000001"}) {
    EXPECT_FALSE(MacAddress::parse(text)) << text;
  }
}

}  // namespace
}  // namespace handfast
