// SPDX-License-Identifier: BSD-3-Clause
// Several shards of one stack in one thread, every frame on a random one of them: no connection, no ARP
// answer, no ICMP error is lost to it. Layer: tests of the shard; mesh_test.cpp has the plain cases and the
// hash itself.
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "frames.hpp"
#include "net.hpp"
#include "support/recorder.hpp"
#include "support/usage.hpp"
#include "wire/icmpv4.hpp"

namespace handfast::test {
namespace {

struct Server {
  int accepted = 0, served = 0;
  void on_accept(Conn&) { ++accepted; }
  void on_data(Conn& c, const RxView& in) {
    ++served;
    c.send(in.text());
    c.close();
  }
};

struct Client {
  int connected = 0, finished = 0, other = 0;
  std::size_t bytes = 0;
  CloseReason last = CloseReason::count_;
  void on_connect(Conn& c) {
    ++connected;
    c.send_static("hello");
  }
  void on_data(Conn&, const RxView& in) { bytes += in.size(); }
  void on_peer_fin(Conn& c) { c.close(); }
  void on_closed(ConnId, CloseReason why) {
    if (why != CloseReason::finished) last = why;
    ++(why == CloseReason::finished ? finished : other);
  }
};

struct Fleet {
  Fleet(HostSetup clients, HostSetup servers, const std::function<void(CoreConfig&)>& adjust = {})
      : net(test_seed(), std::move(clients), std::move(servers), adjust) {
    for (std::uint16_t s = 0; s < net.shards(1); ++s) {
      server_refs.push_back(*net.core(1, s).add_handler_ref(server));
      EXPECT_TRUE(net.core(1, s).listen_with({any, 80}, server_refs.back()));
    }
    for (std::uint16_t s = 0; s < net.shards(0); ++s)
      client_refs.push_back(*net.core(0, s).add_handler_ref(client));
  }
  Expected<ConnId> connect(std::uint16_t from, ConnectOptions options = {}) {
    return net.core(0, from).connect({Net::address(1), 80}, client_refs[from], options);
  }
  void expect_all(int n, Duration limit) {
    EXPECT_TRUE(net.run_until([&] { return client.finished + client.other == n; }, limit));
    EXPECT_EQ(client.connected, n);
    EXPECT_EQ(client.finished, n) << "the last that did not: " << name(client.last);
    EXPECT_EQ(client.bytes, 5u * static_cast<std::size_t>(n));
    EXPECT_EQ(server.served, n);
  }
  std::uint64_t drops(int host, Drop reason) {
    return net.stats(host).drops[static_cast<std::size_t>(reason)];
  }
  Net net;
  Server server;
  Client client;
  std::vector<HandlerRef> server_refs, client_refs;
};

/// Queues by the low seven bits of the hash, in turn, as drivers set it up.
shard::RssTable rss_table(std::uint16_t queues) {
  shard::RssTable table;
  table.key = {0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67, 0x25, 0x3d, 0x43, 0xa3,
               0x8f, 0xb0, 0xd0, 0xca, 0x2b, 0xcb, 0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3,
               0x80, 0x30, 0xf2, 0x0c, 0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa};
  for (std::uint16_t i = 0; i < 128; ++i) table.indirection.push_back(static_cast<std::uint16_t>(i % queues));
  return table;
}

class Fleets : public testing::TestWithParam<std::uint16_t> {};
INSTANTIATE_TEST_SUITE_P(Sharded, Fleets, testing::Values(std::uint16_t{2}, std::uint16_t{3}));

TEST_P(Fleets, both_ends_sharded_every_frame_anywhere__no_connection_is_lost_and_none_is_late) {
  Fleet f{{GetParam(), {}}, {GetParam(), {}}};
  const int n = 300 * GetParam();
  for (int i = 0; i < n; ++i) {
    ASSERT_TRUE(f.connect(static_cast<std::uint16_t>(i % GetParam())));
    if (i % 16 == 0) f.net.poll();
  }
  f.expect_all(n, 10s);
  for (int host = 0; host < 2; ++host) {
    const CoreStats s = f.net.stats(host);
    EXPECT_EQ(s.retransmits, 0u);
    EXPECT_EQ(s.resets_out, 0u);
    EXPECT_EQ(s.drops[static_cast<std::size_t>(Drop::steering_ring_full)], 0u);
    // Of k shards one is right: (k - 1) / k of all segments are handed over.
    const double share =
        static_cast<double>(s.handed_over) / static_cast<double>(s.segments_in + s.handed_over);
    EXPECT_GT(s.handed_over, s.segments_in / 3);
    EXPECT_LT(share, 0.6);
    for (std::uint16_t i = 0; i < GetParam(); ++i)
      EXPECT_GT(f.net.core(host, i).stats().established, static_cast<std::uint64_t>(n) / GetParam() / 2)
          << "shard " << i;
  }
}

TEST_P(Fleets, with_loss__every_connection_ends_in_order) {
  // A server that is patient: after two SYN-ACKs without an answer the default gives up, which loss alone can
  // bring about.
  Fleet f{{GetParam(), {}}, {GetParam(), {}}, [](CoreConfig& c) { c.tcp.syn_ack_retries = 10; }};
  f.net.loss = 0.05;
  const int n = 300;
  for (int i = 0; i < n; ++i) ASSERT_TRUE(f.connect(static_cast<std::uint16_t>(i % GetParam())));
  f.expect_all(n, 30min);
  EXPECT_GT(f.net.lost, 50u);
}

TEST_P(Fleets, active_open__chooses_a_port_whose_answers_come_to_the_opening_shard) {
  for (const bool rss : {false, true}) {
    HostSetup clients{GetParam(), {}};
    if (rss) clients.rss = rss_table(GetParam());
    Fleet f{clients, {1, {}}};
    for (int i = 0; i < 1000; ++i) {
      const auto from = static_cast<std::uint16_t>(i % GetParam());
      const auto id = f.connect(from);
      ASSERT_TRUE(id);
      const Endpoint local = f.net.core(0, from).find(*id)->local();
      EXPECT_EQ(f.net.steering(0).owner({local, {Net::address(1), 80}}), from);
    }
    f.expect_all(1000, 10s);
  }
}

TEST_P(Fleets, port_that_hashes__nothing_is_handed_over) {
  Fleet f{{GetParam(), rss_table(GetParam())}, {GetParam(), rss_table(GetParam())}};
  f.net.delivery = Net::Delivery::as_the_port_hashes;
  for (int i = 0; i < 600; ++i) ASSERT_TRUE(f.connect(static_cast<std::uint16_t>(i % GetParam())));
  f.expect_all(600, 10s);
  EXPECT_EQ(f.net.stats(0).handed_over + f.net.stats(1).handed_over, 0u);
  for (std::uint16_t i = 0; i < GetParam(); ++i) EXPECT_GT(f.net.core(1, i).stats().accepted, 100u);
}

TEST_P(Fleets, port_that_hashes_otherwise_than_it_said__handed_over_and_not_lost) {
  Fleet f{{GetParam(), rss_table(GetParam())}, {GetParam(), rss_table(GetParam())}};
  for (int i = 0; i < 600; ++i) ASSERT_TRUE(f.connect(static_cast<std::uint16_t>(i % GetParam())));
  f.expect_all(600, 10s);
  EXPECT_GT(f.net.stats(0).handed_over, 0u);
}

TEST_P(Fleets, syn_cookies__the_third_segment_anywhere__accepted) {
  Fleet f{{1, {}}, {GetParam(), {}}, [](CoreConfig& c) { c.limits.half_open = 4; }};
  for (int i = 0; i < 500; ++i) ASSERT_TRUE(f.connect(0));
  f.expect_all(500, 1min);
  EXPECT_GT(f.net.stats(1).syn_cookies_accepted, 100u);
}

TEST_P(Fleets, arp__one_shard_hears_it_and_all_know) {
  Fleet f{{GetParam(), {}}, {GetParam(), {}}};
  const Ipv4Address who{10, 0, 7, 7};
  const MacAddress mac{{2, 0, 0, 0, 7, 7}};
  int replies = 0;
  f.net.watch = [&](int from, std::span<const std::byte> frame) {
    const auto arp = as_arp(frame);
    replies +=
        from == 0 && arp && arp->packet.operation == wire::ArpOperation::reply && arp->destination == mac;
  };
  f.net.inject(0, 1, arp_request(mac, who, Net::address(0)));
  f.net.run_for(1ms);
  EXPECT_EQ(replies, 1) << "answered once, not by every shard";
  for (std::uint16_t s = 0; s < GetParam(); ++s) EXPECT_TRUE(f.net.core(0, s).resolve(who)) << "shard " << s;
  // An answer to one shard's question, heard by another.
  const Ipv4Address asked{10, 0, 7, 8};
  f.net.unplugged = true;
  EXPECT_FALSE(f.net.core(0, 0).resolve(asked));
  f.net.poll();
  f.net.inject(0, 1, arp_reply(mac, asked, Net::address(0)));
  f.net.run_for(1ms);
  EXPECT_TRUE(f.net.core(0, 0).resolve(asked));
}

TEST_P(Fleets, arp_longer_than_any_frame_of_ours__its_copies_are_cut_and_not_read_past) {
  Fleet f{{GetParam(), {}}, {1, {}}};
  Bytes frame = arp_request({{2, 0, 0, 0, 7, 7}}, {10, 0, 7, 7}, Net::address(0));
  frame.resize(1600, std::byte{0xee});
  f.net.inject(0, 0, frame);
  f.net.run_for(1ms);
  for (std::uint16_t s = 0; s < GetParam(); ++s) EXPECT_TRUE(f.net.core(0, s).resolve({10, 0, 7, 7}));
  const CoreStats after = f.net.stats(0);
  EXPECT_LT(after.bytes_in, 1600u + 200u * GetParam()) << "a copy needs no padding";
}

TEST_P(Fleets, icmp_error__heard_by_another_shard__ends_the_connect_it_is_about) {
  Fleet f{{GetParam(), {}}, {1, {}}};
  ASSERT_TRUE(f.net.run_until([&] { return f.net.core(0, 0).resolve(Net::address(1)); }, 1s));
  std::optional<Bytes> syn;
  f.net.watch = [&](int from, std::span<const std::byte> frame) {
    if (from == 0 && flow_of(frame)) syn.emplace(frame.begin(), frame.end());
  };
  f.net.unplugged = true;
  ASSERT_TRUE(f.connect(0));
  f.net.poll();
  ASSERT_TRUE(syn);
  const std::span<const std::byte> quote = std::span{*syn}.subspan(14, 28);
  f.net.inject(0, 1,
               icmp_frame({Net::mac(1), Net::mac(0), Net::address(1), Net::address(0)},
                          wire::icmp::destination_unreachable, 3, 0, quote));
  f.net.run_for(1ms);
  EXPECT_EQ(f.client.other, 1);
  EXPECT_EQ(f.client.last, CloseReason::unreachable);
}

TEST_P(Fleets, connections_to_ourselves__whichever_shard_listens__none_is_lost) {
  Fleet f{{1, {}}, {GetParam(), {}}};
  Client self;
  std::vector<HandlerRef> refs;
  for (std::uint16_t s = 0; s < GetParam(); ++s) refs.push_back(*f.net.core(1, s).add_handler_ref(self));
  const int n = 100 * GetParam();
  for (int i = 0; i < n; ++i) {
    const auto s = static_cast<std::uint16_t>(i % GetParam());
    ASSERT_TRUE(f.net.core(1, s).connect({Net::address(1), 80}, refs[s]));
  }
  EXPECT_TRUE(f.net.run_until([&] { return self.finished + self.other == n; }, 10min));
  EXPECT_EQ(self.finished, n);
  EXPECT_EQ(f.server.served, n);
  EXPECT_EQ(f.drops(1, Drop::ip_martian_source), 0u);
}

TEST_P(Fleets, own_address_as_source_from_outside__stays_a_martian_on_every_shard) {
  Fleet f{{1, {}}, {GetParam(), {}}};
  for (Port port = 1000; port < 1100; ++port) {
    Packet land;
    land.source = {Net::address(1), port};
    land.destination = {Net::address(1), 80};
    land.source_mac = Net::mac(0);
    land.destination_mac = Net::mac(1);
    land.flags = SYN;
    f.net.inject(1, static_cast<std::uint16_t>(port % GetParam()), build(land));
  }
  f.net.run_for(1ms);
  EXPECT_EQ(f.drops(1, Drop::ip_martian_source), 100u);
  EXPECT_EQ(f.net.stats(1).half_open, 0u);
}

TEST_P(Fleets, local_port_that_belongs_to_another_shard__is_refused_at_once) {
  Fleet f{{GetParam(), {}}, {1, {}}};
  int opened = 0, refused = 0;
  for (Port port = 20000; port < 20100; ++port) {
    const bool mine = f.net.steering(0).owner({{Net::address(0), port}, {Net::address(1), 80}}) == 0;
    const auto id = f.connect(0, {.local = {any, port}});
    EXPECT_EQ(id.has_value(), mine) << "its answers would come to another shard";
    ++(id ? opened : refused);
  }
  EXPECT_GT(refused, 10);
  f.expect_all(opened, 10s);
}

TEST_P(Fleets, stopped_with_frames_between_the_shards__every_buffer_comes_back) {
  Fleet f{{1, {}}, {GetParam(), {}}};
  for (int i = 0; i < 200; ++i) ASSERT_TRUE(f.connect(0));
  // Until something stands in a ring: the Net's destructor counts the buffers.
  std::size_t waiting = 0;
  for (int i = 0; i < 1000 && waiting == 0; ++i) {
    f.net.poll();
    f.net.poll();
    for (std::uint16_t s = 0; s + 1 < GetParam(); ++s)
      waiting += f.net.mesh(1).ring(static_cast<std::uint16_t>(GetParam() - 1), s).size();
  }
  EXPECT_GT(waiting, 0u);
}

TEST(Mesh, ring_full__counted_and_the_buffer_is_not_lost) {
  Fleet f{{1, {}}, {2, {}}};
  const Packet base = [] {
    Packet p;
    p.source = {Net::address(0), 1};
    p.destination = {Net::address(1), 81};
    p.source_mac = Net::mac(0);
    p.destination_mac = Net::mac(1);
    p.flags = RST;
    return p;
  }();
  // All for shard 1, all heard by shard 0, and only shard 0 is polled.
  std::vector<Port> ports;
  for (Port port = 1; port < 2000; ++port)
    if (f.net.steering(1).owner({base.destination, {Net::address(0), port}}) == 1) ports.push_back(port);
  const std::size_t ring = shard::Mesh::ring_size;
  for (std::size_t i = 0; i < ring + 100; ++i) {
    Packet p = base;
    p.source.port = ports[i % ports.size()];
    f.net.inject(1, 0, build(p));
    if (i % 64 == 63) f.net.member(1, 0).loop.poll(f.net.now());
  }
  while (f.net.member(1, 0).loop.poll(f.net.now()) != 0) {
  }
  EXPECT_EQ(f.net.stats(1).handed_over, ring);
  EXPECT_EQ(f.drops(1, Drop::steering_ring_full), 100u);
  EXPECT_EQ(f.net.pool().in_use(), ring);
  f.net.run_for(1ms);
  EXPECT_EQ(f.net.pool().in_use(), 0u);
  EXPECT_EQ(f.drops(1, Drop::tcp_no_connection), ring);
}

TEST(RssSteering, owner__is_the_queue_that_the_table_gives_for_the_hash) {
  const shard::RssTable table = rss_table(4);
  const shard::Steering steering{table, 4};
  Rng rng{test_seed()};
  std::array<int, 4> count{};
  for (int i = 0; i < 4000; ++i) {
    const FlowKey key{{Ipv4Address{static_cast<std::uint32_t>(rng.next())}, static_cast<Port>(rng.next())},
                      {Ipv4Address{static_cast<std::uint32_t>(rng.next())}, static_cast<Port>(rng.next())}};
    const std::uint16_t owner = steering.owner(key);
    EXPECT_EQ(owner, (shard::Steering::toeplitz(table.key, key) & 127) % 4);
    ++count[owner];
  }
  for (const int n : count) EXPECT_NEAR(n, 1000, 150);
}

TEST(RssSteering, table_that_uses_one_queue__everything_is_owned_by_it) {
  shard::RssTable table = rss_table(1);
  const shard::Steering steering{table, 4};
  for (std::uint32_t i = 0; i < 1000; ++i)
    EXPECT_EQ(steering.owner({{Ipv4Address{i * 77}, 80}, {Ipv4Address{i * 991}, 1024}}), 0);
}

}  // namespace
}  // namespace handfast::test
