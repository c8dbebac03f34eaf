// SPDX-License-Identifier: BSD-3-Clause
// Nothing is asked of the heap once a shard runs: from its first poll on, whatever comes and goes (API rule
// 8). Layer: tests of the shard; a program of its own, since it counts operator new and malloc.
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <new>

#include "frames.hpp"
#include "net.hpp"
#include "support/recorder.hpp"

namespace {
std::atomic<std::uint64_t> asked{0};

void* counted(std::size_t n, std::size_t alignment = 0) {
  ++asked;
  void* p = alignment == 0 ? std::malloc(n)
                           : std::aligned_alloc(alignment, (n + alignment - 1) / alignment * alignment);
  if (p == nullptr) throw std::bad_alloc{};
  return p;
}
// Not inlined: the compiler would see free() of what operator new returned, and warn.
[[gnu::noinline]] void give_back(void* p) { std::free(p); }
}  // namespace

void* operator new(std::size_t n) { return counted(n); }
void* operator new[](std::size_t n) { return counted(n); }
void* operator new(std::size_t n, std::align_val_t a) { return counted(n, static_cast<std::size_t>(a)); }
void* operator new[](std::size_t n, std::align_val_t a) { return counted(n, static_cast<std::size_t>(a)); }
void operator delete(void* p) noexcept { give_back(p); }
void operator delete[](void* p) noexcept { give_back(p); }
void operator delete(void* p, std::size_t) noexcept { give_back(p); }
void operator delete[](void* p, std::size_t) noexcept { give_back(p); }
void operator delete(void* p, std::align_val_t) noexcept { give_back(p); }
void operator delete[](void* p, std::align_val_t) noexcept { give_back(p); }
void operator delete(void* p, std::size_t, std::align_val_t) noexcept { give_back(p); }
void operator delete[](void* p, std::size_t, std::align_val_t) noexcept { give_back(p); }

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#endif
#if defined(__GLIBC__) && !defined(SANITIZED)
#define COUNTS_MALLOC 1
// In front of the C library's own, so that what does not come by operator new is seen as well.
extern "C" void* __libc_malloc(std::size_t n);
extern "C" void* malloc(std::size_t n) noexcept {
  ++asked;
  return __libc_malloc(n);
}
#endif

namespace handfast::test {
namespace {

constexpr std::string_view request = "GET / HTTP/1.1\r\n\r\n";
const std::string static_part(9000, 's');

struct Server {
  std::uint64_t served = 0;
  std::array<char, 5000> copied{};
  void on_data(Conn& c, const RxView& in) {
    ++served;
    c.send(std::string_view{copied.data(), copied.size()});
    c.send_static(static_part);
    if (served % 16 == 0) {  // passed on without a copy
      RxBuf buffer = in.take();
      c.send(std::move(buffer));
    }
    c.close();
  }
};

/// Keeps `target` connections open until `left` are used up. Some are aborted in the middle, some pause, some
/// time out.
struct Client {
  Core* core = nullptr;
  HandlerRef self;
  std::uint64_t left = 0, finished = 0, other = 0, opened = 0, bytes = 0;
  struct State {
    std::uint32_t turn = 0;
    std::uint32_t seen = 0;
  };
  void start(std::uint64_t n) {
    for (; n != 0 && left != 0; --n, --left)
      if (core->connect({Net::address(1), 80}, self)) ++opened;
  }
  void on_connect(Conn& c, State& s) {
    s.turn = static_cast<std::uint32_t>(opened % 32);
    c.send_static(request);
    if (s.turn == 3) {
      c.pause_rx();
      c.arm(3ms);
    }
    if (s.turn == 4) c.set_user_timeout(1s);
  }
  std::size_t on_data(Conn& c, State& s, const RxView& in) {
    bytes += in.size();
    if (s.turn == 5) c.abort();
    if (s.turn == 6 && in.size() < 3000 && s.seen++ == 0) return 0;  // it waits in the shard's own memory
    return in.size();
  }
  void on_timer(Conn& c) { c.resume_rx(); }
  void on_peer_fin(Conn& c) { c.close(); }
  void on_closed(ConnId, CloseReason why) {
    ++(why == CloseReason::finished ? finished : other);
    start(1);
  }
};

struct Both {
  explicit Both(const std::function<void(CoreConfig&)>& adjust = {}, std::uint16_t shards = 1)
      : net(test_seed(), {shards, {}}, {shards, {}}, adjust) {
    for (std::uint16_t s = 0; s < shards; ++s)
      EXPECT_TRUE(net.core(1, s).listen_with({any, 80}, *net.core(1, s).add_handler_ref(server)));
    client.core = &net.core(0);
    client.self = *net.core(0).add_handler_ref(client);
  }
  Net net;
  Server server;
  Client client;
};

void short_lives(CoreConfig& config) {
  config.tcp.msl = 50ms;
  config.link.neighbour_lifetime = 500ms;
}

TEST(NoAllocation, counters__see_what_they_are_there_to_see) {
  std::uint64_t before = asked;
  int* volatile kept = new int{1};  // volatile, or clang leaves the pair out
  delete kept;
  EXPECT_GT(asked, before);
#ifdef COUNTS_MALLOC
  before = asked;
  void* volatile p = std::malloc(100);
  std::free(p);
  EXPECT_GT(asked, before);
#endif
}

TEST(NoAllocation, thousands_of_connections_with_loss__from_the_first_poll_on) {
  Both both{short_lives};
  both.net.loss = 0.01;
  const std::uint64_t before = asked;
  both.client.left = 6000;
  both.client.start(200);
  const bool done = both.net.run_until([&] { return both.client.finished + both.client.other == 6000; }, 1h);
  both.net.run_for(5s);  // TIME-WAIT runs out, neighbours age
  const std::uint64_t after = asked;
  EXPECT_EQ(after, before);
  EXPECT_TRUE(done);
  EXPECT_GT(both.client.finished, 5000u);
  EXPECT_GT(both.client.other, 50u) << "aborts";
  EXPECT_GT(both.net.stats(1).retransmits, 100u) << "losses";
  EXPECT_GT(both.net.stats(0).out_of_order, 100u);
}

TEST(NoAllocation, three_shards_and_frames_on_any_of_them__none) {
  Both both{short_lives, 3};
  const std::uint64_t before = asked;
  both.client.left = 1500;
  both.client.start(100);
  const bool done = both.net.run_until([&] { return both.client.finished + both.client.other == 1500; }, 1h);
  EXPECT_EQ(asked, before);
  EXPECT_TRUE(done);
}

TEST(NoAllocation, thousands_opened_in_one_go__none) {
  Both both{short_lives};
  const std::uint64_t before = asked;
  both.client.left = 8000;
  both.client.start(8000);
  const bool done = both.net.run_until([&] { return both.client.finished + both.client.other == 8000; }, 1h);
  EXPECT_EQ(asked, before);
  EXPECT_TRUE(done);
}

TEST(NoAllocation, everybody_ended_at_once__none) {
  Both both;
  both.net.run_until([&] { return both.net.core(0).resolve(Net::address(1)); }, 1s);
  const std::uint64_t before = asked;
  both.client.left = 4000;
  both.client.start(4000);
  both.net.run_for(20us);
  both.net.core(1).abort_all();
  both.net.core(0).abort_all();
  both.net.run_for(1s);
  EXPECT_EQ(asked, before);
  EXPECT_EQ(both.client.opened, both.client.finished + both.client.other);
}

TEST(NoAllocation, connections_to_ourselves__none) {
  Net net{test_seed(), {}, {}};
  Server server;
  Client client;
  client.core = &net.core(1);
  ASSERT_TRUE(net.core(1).listen_with({any, 80}, *net.core(1).add_handler_ref(server)));
  client.self = *net.core(1).add_handler_ref(client);
  const std::uint64_t before = asked;
  client.left = 3000;
  client.start(500);
  const bool done = net.run_until([&] { return client.finished + client.other == 3000; }, 1min);
  EXPECT_EQ(asked, before);
  EXPECT_TRUE(done);
}

TEST(NoAllocation, few_places_used_again_and_again_within_a_round__none) {
  struct Hasty {
    int closed = 0;
    void on_connect(Conn& c) { c.abort(); }
    void on_closed(ConnId, CloseReason) { ++closed; }
  } hasty;
  Net net{test_seed(), {}, {}, [](CoreConfig& c) {
            if (c.link.mac == Net::mac(1)) c.limits.connections = 4;
          }};
  Server server;
  ASSERT_TRUE(net.core(1).listen_with({any, 80}, *net.core(1).add_handler_ref(server)));
  const HandlerRef ref = *net.core(0).add_handler_ref(hasty);
  const std::uint64_t before = asked;
  for (int round = 0; round < 20; ++round) {
    for (int i = 0; i < 400; ++i) static_cast<void>(net.core(0).connect({Net::address(1), 80}, ref));
    net.run_for(10ms);
  }
  EXPECT_EQ(asked, before);
  EXPECT_EQ(hasty.closed, 8000);
}

/// A frame that does not live on the heap, for what must be made while counting.
class Raw {
 public:
  explicit Raw(const Bytes& frame) : length_(frame.size()) {
    std::memcpy(bytes_.data(), frame.data(), length_);
  }
  std::byte* at(std::size_t offset) { return bytes_.data() + offset; }
  [[nodiscard]] std::span<const std::byte> frame() const { return {bytes_.data(), length_}; }

 private:
  std::array<std::byte, 128> bytes_{};
  std::size_t length_;
};

Bytes plain_syn() {
  Packet syn;
  syn.source = {Ipv4Address{10, 0, 99, 1}, 1024};
  syn.destination = {Net::address(1), 80};
  syn.source_mac = Net::mac(0);
  syn.destination_mac = Net::mac(1);
  syn.flags = SYN;
  return build(syn);
}

TEST(NoAllocation, floods_of_arp_icmp_and_syns__none) {
  Both both;
  const MacAddress flooder = Net::mac(0);
  Raw arp{arp_request(flooder, Ipv4Address{10, 0, 1, 0}, Net::address(1))};
  Raw echo{icmp_frame({flooder, Net::mac(1), Ipv4Address{10, 0, 1, 0}, Net::address(1)}, 8, 0, 1, Bytes(40))};
  const Raw syn{plain_syn()};
  Net& net = both.net;
  net.unplugged = true;
  const std::uint64_t before = asked;
  for (std::uint32_t i = 0; i < 20000; ++i) {
    wire::store32(arp.at(28), 0x0a000100u + i % 60000);
    net.inject(1, 0, arp.frame());
    net.inject(1, 0, echo.frame());
    net.inject(1, 0, syn.frame());
    while (i % 200 == 199 && net.poll() != 0) {
    }
  }
  net.run_for(10s);
  EXPECT_EQ(asked, before);
}

TEST(NoAllocation, thousands_of_neighbours_that_do_not_answer__none) {
  Both both;
  Net& net = both.net;
  net.unplugged = true;
  const std::uint64_t before = asked;
  for (std::uint32_t i = 0; i < 6000; ++i) {
    static_cast<void>(net.core(0).connect({Ipv4Address{0x0a000100u + i}, 80}, both.client.self));
    static_cast<void>(net.core(0).resolve(Ipv4Address{0x0a008000u + i}));
  }
  net.run_for(10s);
  EXPECT_EQ(asked, before);
}

TEST(NoAllocation, port_that_takes_nothing_for_long__backlog_is_bounded_and_counted) {
  Both both;
  Net& net = both.net;
  ASSERT_TRUE(net.run_until([&] { return net.core(0).resolve(Net::address(1)); }, 1s));
  net.jammed = true;
  const std::uint64_t before = asked;
  both.client.left = 8000;
  both.client.start(8000);
  for (int i = 0; i < 20; ++i) net.run_for(1s);  // their SYNs again and again
  EXPECT_EQ(asked, before);
  EXPECT_LE(net.member(0).loop.backlog(), 16384u + 4096u);
  EXPECT_GT(net.stats(0).drops[static_cast<std::size_t>(Drop::tx_no_buffer)], 0u);
  net.jammed = false;
  EXPECT_TRUE(net.run_until([&] { return both.client.finished + both.client.other == 8000; }, 10min));
}

TEST(NoAllocation, tasks_and_timers_of_the_core__none) {
  Net net{test_seed(), {}, {}};
  std::uint64_t ran = 0;
  const auto task = [](void* n) { ++*static_cast<std::uint64_t*>(n); };
  const std::uint64_t before = asked;
  std::uint64_t wanted = 0;
  for (int i = 0; i < 5000; ++i) {
    wanted += net.core(0).post(task, &ran);
    wanted += net.core(0).arm(Duration{i * 1us}, task, &ran);
    if (i % 50 == 0) net.run_for(200us);
  }
  net.run_for(1s);
  EXPECT_EQ(asked, before);
  EXPECT_EQ(ran, wanted);
}

}  // namespace
}  // namespace handfast::test
