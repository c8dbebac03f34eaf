// SPDX-License-Identifier: BSD-3-Clause
// What other threads may do to a core that works: list its connections and post tasks to it. Nothing else.
// Layer: tests of the shard. Their worth is in a run under ThreadSanitizer: -Db_sanitize=thread.
#include <gtest/gtest.h>

#include <atomic>
#include <set>
#include <thread>

#include "net.hpp"
#include "support/recorder.hpp"

namespace handfast::test {
namespace {

struct Server {
  void on_data(Conn& c, const RxView&) {
    c.send_static("response");
    c.close();
  }
};

struct Client {
  Core* core = nullptr;
  HandlerRef self;
  int left = 0, ended = 0;
  std::set<Port> ports;  // of all that ever existed
  void start() {
    if (left == 0) return;
    --left;
    const auto id = core->connect({Net::address(1), 80}, self);
    ASSERT_TRUE(id);
    ports.insert(core->find(*id)->local().port);
  }
  void on_connect(Conn& c) { c.send_static("request"); }
  void on_peer_fin(Conn& c) { c.close(); }
  void on_closed(ConnId, CloseReason) {
    ++ended;
    start();
  }
};

TEST(Listing, from_other_threads_while_connections_come_and_go__each_line_is_one_that_existed) {
  Net net{test_seed(), {}, {}, [](CoreConfig& c) {
            c.limits.connections = 256;  // slots are used again and again
            c.limits.half_open = 64;
            c.limits.time_wait = 128;
            c.tcp.first_ephemeral_port = 40000;
          }};
  Server server;
  Client client;
  ASSERT_TRUE(net.core(1).listen_with({any, 80}, *net.core(1).add_handler_ref(server)));
  client.core = &net.core(0);
  client.self = *net.core(0).add_handler_ref(client);
  std::atomic<bool> stop{false};
  std::atomic<std::uint64_t> lists{0};
  struct Reader {
    std::set<std::pair<Endpoint, Endpoint>> seen;
    std::set<State> states;
    std::uint64_t lines = 0;
  } readers[2];
  std::vector<std::thread> threads;
  for (int i = 0; i < 2; ++i)
    threads.emplace_back([&, i] {
      const Core& core = net.core(i);
      Reader& r = readers[i];
      while (!stop.load()) {
        const auto list = core.connections();
        EXPECT_LE(list.size(), 256u + 64u + 128u + 64u);
        for (const ConnInfo& line : list) {
          r.seen.emplace(line.local, line.peer);
          r.states.insert(line.state);
          ++r.lines;
        }
        ++lists;
        std::this_thread::yield();
      }
    });
  client.left = 20000;
  for (int i = 0; i < 60; ++i) client.start();
  EXPECT_TRUE(net.run_until([&] { return client.ended == 20000; }, 10min));
  while (lists < 20) std::this_thread::yield();
  stop = true;
  for (std::thread& t : threads) t.join();
  for (int i = 0; i < 2; ++i) {
    EXPECT_GT(readers[i].lines, 0u);
    for (const auto& [local, peer] : readers[i].seen) {
      const Endpoint client_end = i == 0 ? local : peer, server_end = i == 0 ? peer : local;
      EXPECT_EQ(server_end, (Endpoint{Net::address(1), 80}));
      EXPECT_EQ(client_end.address, Net::address(0));
      EXPECT_TRUE(client.ports.contains(client_end.port)) << client_end.port << " was never opened";
    }
    EXPECT_FALSE(readers[i].states.contains(State::listen));
  }
}

TEST(Post, from_two_threads__every_task_runs_once_in_its_order_on_the_core) {
  Net net{test_seed(), {}, {}};
  constexpr std::uint32_t tasks = 20000;
  struct Sender;
  struct Task {
    Sender* sender = nullptr;
    std::uint32_t number = 0;
  };
  struct Sender {
    std::vector<Task> tasks;
    std::vector<int> runs;  // plain: the core's thread alone touches it
    std::uint32_t next = 0;
    bool in_order = true, on_core = true;
    std::thread::id core_thread;
    std::uint64_t full = 0;
  } senders[2];
  for (Sender& s : senders) {
    s.tasks.resize(tasks);
    s.runs.resize(tasks);
    s.core_thread = std::this_thread::get_id();
    for (std::uint32_t i = 0; i < tasks; ++i) s.tasks[i] = {&s, i};
  }
  const auto run = [](void* ctx) {
    const Task& task = *static_cast<Task*>(ctx);
    Sender& s = *task.sender;
    ++s.runs[task.number];
    s.in_order = s.in_order && task.number == s.next;
    s.next = task.number + 1;
    s.on_core = s.on_core && std::this_thread::get_id() == s.core_thread;
  };
  std::atomic<int> working{2};
  std::vector<std::thread> threads;
  Core& core = net.core(0);
  for (Sender& s : senders)
    threads.emplace_back([&] {
      for (Task& task : s.tasks)
        while (!core.post(run, &task)) {
          ++s.full;
          std::this_thread::yield();
        }
      --working;
    });
  while (working != 0) net.poll();
  for (int i = 0; i < 100; ++i) net.poll();
  for (std::thread& t : threads) t.join();
  for (const Sender& s : senders) {
    EXPECT_EQ(s.next, tasks);
    EXPECT_TRUE(s.in_order);
    EXPECT_TRUE(s.on_core);
    for (const int runs : s.runs) ASSERT_EQ(runs, 1);
  }
}

TEST(Post, ring_full__says_no_and_runs_no_more_than_it_took) {
  Net net{test_seed(), {}, {}, [](CoreConfig& c) { c.limits.posts = 128; }};
  std::uint64_t ran = 0, taken = 0;
  const auto task = [](void* n) { ++*static_cast<std::uint64_t*>(n); };
  for (int i = 0; i < 500; ++i) taken += net.core(0).post(task, &ran);
  EXPECT_EQ(taken, 128u);
  EXPECT_EQ(ran, 0u) << "not in the caller's hands";
  net.poll();
  EXPECT_EQ(ran, 64u) << "a burst a poll";
  net.poll();
  EXPECT_EQ(ran, 128u);
  EXPECT_TRUE(net.core(0).post(task, &ran));
  net.poll();
}

TEST(Post, task_waits__the_next_deadline_is_now) {
  Net net{test_seed(), {}, {}};
  shard::Shard& shard = net.member(0).shard;
  net.poll();
  EXPECT_EQ(shard.next_deadline(), Time::max());
  int ran = 0;
  ASSERT_TRUE(net.core(0).post([](void* n) { ++*static_cast<int*>(n); }, &ran));
  EXPECT_EQ(shard.next_deadline(), net.now());
  net.poll();
  EXPECT_EQ(ran, 1);
  EXPECT_EQ(shard.next_deadline(), Time::max());
}

TEST(Post, task_may_connect_and_post_again__it_runs_in_a_later_poll) {
  Net net{test_seed(), {}, {}};
  struct Again {
    Core* core;
    int left, ran = 0;
    static void run(void* self) {
      auto& a = *static_cast<Again*>(self);
      ++a.ran;
      if (--a.left > 0) static_cast<void>(a.core->post(run, self));
    }
  } again{&net.core(0), 10};
  ASSERT_TRUE(net.core(0).post(Again::run, &again));
  for (int i = 0; i < 12; ++i) net.poll();
  EXPECT_EQ(again.ran, 10);
}

}  // namespace
}  // namespace handfast::test
