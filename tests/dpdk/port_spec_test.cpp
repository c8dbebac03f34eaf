// SPDX-License-Identifier: BSD-3-Clause
// The port words: what each means, and that anything else is refused with the list of them.
#include "dpdk/port_spec.hpp"

#include <gtest/gtest.h>

#include <string>

namespace handfast::dpdk {
namespace {

PortSpec parsed(const std::string& text) {
  auto spec = PortSpec::parse(text);
  EXPECT_TRUE(spec.has_value()) << text << ": " << (spec ? "" : spec.error().what);
  return spec.value_or(PortSpec{});
}

Error refused(const std::string& text) {
  const auto spec = PortSpec::parse(text);
  EXPECT_FALSE(spec.has_value()) << text;
  if (spec) return {};
  EXPECT_EQ(spec.error().kind, ErrorKind::usage) << text;
  EXPECT_FALSE(spec.error().what.empty());
  EXPECT_FALSE(spec.error().remedy.empty());
  return spec.error();
}

TEST(port_spec, each_word__has_its_kind_and_target) {
  EXPECT_EQ(parsed("ring").kind, PortKind::ring);
  EXPECT_EQ(parsed("ring").target, "default");
  EXPECT_EQ(parsed("ring:left").target, "left");
  EXPECT_EQ(parsed("null").kind, PortKind::null);
  EXPECT_EQ(parsed("vhost:/tmp/v.sock").kind, PortKind::vhost);
  EXPECT_EQ(parsed("virtio:/tmp/v.sock").target, "/tmp/v.sock");
  EXPECT_EQ(parsed("tap:hf0").kind, PortKind::tap);
  EXPECT_EQ(parsed("veth:va").kind, PortKind::veth);
  EXPECT_EQ(parsed("xdp:va").kind, PortKind::xdp);
  EXPECT_EQ(parsed("pci:0000:03:00.0").target, "0000:03:00.0");
  EXPECT_EQ(parsed("pci:03:00.1").target, "03:00.1");
}

TEST(port_spec, memif_role__by_word_or_key_and_client_without) {
  EXPECT_EQ(parsed("memif:/tmp/m").role, MemifRole::client);
  EXPECT_EQ(parsed("memif:/tmp/m,server").role, MemifRole::server);
  EXPECT_EQ(parsed("memif:/tmp/m,client").role, MemifRole::client);
  EXPECT_EQ(parsed("memif:/tmp/m,role=server").role, MemifRole::server);
  EXPECT_TRUE(parsed("memif:/tmp/m,role=server").extras.empty());
  refused("memif:/tmp/m,role=master");
  refused("memif:/tmp/m,servr");
}

TEST(port_spec, pcap__takes_two_files_of_which_one_may_be_empty) {
  EXPECT_EQ(parsed("pcap:a.pcap,b.pcap").target, "a.pcap");
  EXPECT_EQ(parsed("pcap:a.pcap,b.pcap").pcap_out, "b.pcap");
  EXPECT_EQ(parsed("pcap:,b.pcap").target, "");
  EXPECT_EQ(parsed("pcap:a.pcap").pcap_out, "");
  EXPECT_EQ(parsed("pcap:a.pcap,infinite_rx=1").extras.size(), 1u);
  refused("pcap:");
  refused("pcap:,");
}

TEST(port_spec, extras__are_kept_in_order) {
  const auto spec = parsed("vhost:/tmp/v,tso=1,client=0");
  ASSERT_EQ(spec.extras.size(), 2u);
  EXPECT_EQ(spec.extras[0].first, "tso");
  ASSERT_NE(spec.extra("client"), nullptr);
  EXPECT_EQ(*spec.extra("client"), "0");
  EXPECT_EQ(spec.extra("queues"), nullptr);
  EXPECT_EQ(parsed("null,size=128").extras.size(), 1u);
}

TEST(port_spec, malformed__is_refused) {
  for (const char* text : {"",
                           ":",
                           ",",
                           "tap",
                           "tap:",
                           "vhost:",
                           "memif:",
                           "virtio",
                           "veth:",
                           "xdp",
                           "null:x",
                           "TAP:x",
                           " tap:x",
                           "tap :x",
                           "tap:x,",
                           "tap:x,mac",
                           "tap:x,=1",
                           "tap:x,a=1,a=2",
                           "pci:",
                           "pci:3",
                           "pci:zz:00.0",
                           "pci:0000:03:00.8",
                           "pci:0000:03:00.00",
                           "pci:0000-03:00.0",
                           "nul",
                           "nulls"}) {
    refused(text);
  }
  refused(std::string("tap:a\0b", 7));
}

TEST(port_spec, unknown_word__lists_all_words) {
  const auto error = refused("eth:eth0");
  EXPECT_NE(error.what.find("'eth'"), std::string::npos);
  for (const char* known :
       {"ring", "vhost:", "virtio:", "memif:", "tap:", "veth:", "xdp:", "pcap:", "null", "pci:"}) {
    EXPECT_NE(error.remedy.find(known), std::string::npos) << known;
  }
}

TEST(port_spec, printed__parses_to_the_same) {
  for (const char* text :
       {"ring", "ring:x", "vhost:/a,tso=1", "virtio:/a", "memif:/a,server,bsize=4096", "tap:t", "veth:v",
        "xdp:v", "pcap:a,b", "pcap:,b", "pcap:a", "null", "null,size=80", "pci:0000:03:00.0"}) {
    const auto spec = parsed(text);
    EXPECT_EQ(parsed(spec.to_string()), spec) << text << " printed as " << spec.to_string();
  }
}

TEST(port_spec, any_bytes__never_crash) {
  std::uint32_t seed = 12345;
  const std::string letters = "tapringmemifpcapvhost:,=/0.\xff";
  for (int round = 0; round < 20000; ++round) {
    std::string text;
    for (unsigned i = 0; i < round % 24u; ++i) {
      seed = seed * 1664525u + 1013904223u;
      text += letters[(seed >> 16) % letters.size()];
    }
    const auto spec = PortSpec::parse(text);
    EXPECT_TRUE(spec || !spec.error().remedy.empty());
  }
}

}  // namespace
}  // namespace handfast::dpdk
