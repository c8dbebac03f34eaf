// SPDX-License-Identifier: BSD-3-Clause
// The load tester against servers over a link, in virtual time: what it starts and when, and that every
// connection is accounted for, whatever becomes of it. Layer: tests.
#include "load_client.hpp"

#include <gtest/gtest.h>

#include <string>

#include "load_monitor.hpp"
#include "serve_discard.hpp"
#include "serve_echo.hpp"
#include "serve_http.hpp"
#include "support/app.hpp"
#include "support/pair.hpp"

namespace handfast::apps {
namespace {

using test::App;
using test::LinkRules;
using test::Pair;

constexpr Duration delay = 1ms;  // one way, as LinkRules has it
const Endpoint target{Pair::address(0), 80};

std::uint64_t failures(const LoadReport& report) { return report.failed_total(); }

/// One core's load test, from its start to the report.
class Load {
 public:
  explicit Load(const LoadPlan& plan, std::function<void(CoreConfig&)> adjust = {})
      : monitor(plan, 1, nullptr), pair(7, LinkRules{}, std::move(adjust)) {}

  template <class Server>
  void serve(Server& server) {
    auto handler = pair.core(0).add_handler_ref(server);
    ASSERT_TRUE(pair.core(0).listen_with({any, target.port}, *handler));
  }
  /// Ticks until the monitor says that all is over; then drains, as Stack::run does.
  LoadReport run(Duration limit = 60s) {
    const std::vector<Core*> cores{&pair.core(1)};
    EXPECT_TRUE(monitor.start(*cores[0]));
    const Time began = pair.now();
    while (monitor.tick(pair.now(), cores)) {
      if (pair.now() - began > limit) {
        ADD_FAILURE() << "the test does not end";
        break;
      }
      if (interrupt_at && pair.now() - began >= *interrupt_at) monitor.interrupt();
      pair.run_for(10ms);
    }
    took = pair.now() - began;
    for (int end : {1, 0}) pair.core(end).drain();
    if (!pair.run_idle(2s)) {
      for (int end : {1, 0}) pair.core(end).abort_all();
      pair.run_idle(2s);
    }
    LoadReport report = monitor.report(cores);
    // Nothing gets lost: each connection that was started has one end.
    EXPECT_EQ(report.opened, report.closed + report.failed_total());
    EXPECT_EQ(report.connect.count(), report.established);
    EXPECT_EQ(report.life.count(), report.closed);
    return report;
  }

  std::optional<Duration> interrupt_at;
  Duration took{};
  LoadMonitor monitor;
  Pair pair;
};

struct HttpPlan : LoadPlan {
  explicit HttpPlan(std::string_view path = "/") {
    target = apps::target;
    keep = http_request_text(path, target, true);
    close = http_request_text(path, target, false);
    request = last_request = keep;
    duration = 1s;
    concurrency = 8;
  }
  void let_server_close() {
    server_closes = true;
    last_request = close;
  }
  HttpPlan(const HttpPlan&) = delete;
  std::string keep, close;
};

LoadPlan raw_plan(std::string_view request, std::uint64_t answer) {
  LoadPlan plan;
  plan.target = target;
  plan.http = false;
  plan.request = plan.last_request = request;
  plan.answer_bytes = answer;
  plan.duration = 1s;
  plan.concurrency = 4;
  return plan;
}

class LoadHttp : public testing::Test {
 protected:
  HttpContent content = HttpContent::fixed(64);
  HttpServer server{content};
  HttpPlan plan;
};

TEST_F(LoadHttp, closed_loop__as_many_as_the_concurrency_and_the_round_trips_allow) {
  Load load{plan};
  load.serve(server);
  const LoadReport report = load.run();
  // SYN, request, FIN: three round trips a connection, so 1 s / 6 ms for each of eight.
  EXPECT_NEAR(static_cast<double>(report.closed), 8 * 1000.0 / 6, 16);
  EXPECT_EQ(failures(report), 0u);
  EXPECT_EQ(report.requests, server.counters().requests);
  EXPECT_EQ(report.duration, 1s);
  EXPECT_FALSE(report.open_loop);
  EXPECT_EQ(report.connect.min(), 2 * delay);
  EXPECT_EQ(report.life.percentile(50) / 100us, 6 * delay / 100us);
  EXPECT_EQ(load.pair.core(0).stats().connections, 0u);
}

TEST_F(LoadHttp, count__exactly_so_many_and_then_the_end) {
  plan.count = 137;
  plan.duration = Duration{0};
  Load load{plan};
  load.serve(server);
  const LoadReport report = load.run();
  EXPECT_EQ(report.opened, 137u);
  EXPECT_EQ(report.closed, 137u);
  EXPECT_GT(report.duration, 100ms);  // 18 rounds of 6 ms
  EXPECT_LT(report.duration, 130ms);
}

TEST_F(LoadHttp, count_below_the_concurrency__no_more_than_that) {
  plan.count = 3;
  Load load{plan};
  load.serve(server);
  EXPECT_EQ(load.run().closed, 3u);
}

TEST_F(LoadHttp, open_loop__every_start_at_its_time) {
  plan.rate = 500;
  Load load{plan};
  load.serve(server);
  const LoadReport report = load.run();
  EXPECT_TRUE(report.open_loop);
  EXPECT_EQ(report.opened, 500u);
  EXPECT_EQ(report.not_started, 0u);
  EXPECT_EQ(report.closed, 500u);
  EXPECT_EQ(report.connect.max(), 2 * delay);  // not one of them late
}

TEST_F(LoadHttp, open_loop_with_count__ends_with_the_last) {
  plan.rate = 1000;
  plan.count = 50;
  plan.duration = Duration{0};
  Load load{plan};
  load.serve(server);
  EXPECT_EQ(load.run().closed, 50u);
  EXPECT_LT(load.took, 200ms);
}

TEST_F(LoadHttp, open_loop_with_too_few_places__what_was_due_and_not_started_is_said) {
  plan.rate = 2000;
  Load load{plan, [](CoreConfig& config) { config.limits.connections = 4; }};
  load.serve(server);
  const LoadReport report = load.run();
  EXPECT_EQ(report.opened + report.not_started, 2000u);
  EXPECT_GT(report.not_started, 1000u);
  EXPECT_GT(report.closed, 100u);
}

TEST_F(LoadHttp, closed_loop_with_too_few_places__goes_on_as_places_come_free) {
  plan.concurrency = 16;
  Load load{plan, [](CoreConfig& config) { config.limits.connections = 4; }};
  load.serve(server);
  EXPECT_GT(load.run().closed, 200u);
}

TEST_F(LoadHttp, open_loop_while_nothing_arrives__latency_counts_from_the_intended_start) {
  plan.rate = 100;
  Load load{plan};
  load.serve(server);
  // 300 ms of silence: the SYNs of that time come through with their retransmission, a second later.
  const Time began = load.pair.now();
  load.pair.rules.lose = [&, began](int, std::size_t, std::span<const std::byte>) {
    const Duration at = load.pair.now() - began;
    return at > 500ms && at < 800ms;
  };
  const LoadReport report = load.run();
  EXPECT_EQ(report.opened, 100u);
  EXPECT_EQ(report.closed, 100u);
  EXPECT_GT(report.retransmits, 25u);
  EXPECT_GE(report.connect.percentile(75), 1s);
  EXPECT_LT(report.connect.percentile(50), 10ms);
}

TEST_F(LoadHttp, keep_alive__so_many_requests_by_connection) {
  plan.requests = 10;
  plan.count = 20;
  Load load{plan};
  load.serve(server);
  const LoadReport report = load.run();
  EXPECT_EQ(report.closed, 20u);
  EXPECT_EQ(report.requests, 200u);
  EXPECT_EQ(server.counters().requests, 200u);
}

TEST_F(LoadHttp, server_closes__time_wait_stays_with_the_server) {
  plan.let_server_close();
  plan.requests = 2;
  plan.count = 40;
  Load load{plan};
  load.serve(server);
  const LoadReport report = load.run();
  EXPECT_EQ(report.closed, 40u);
  EXPECT_EQ(report.requests, 80u);
  EXPECT_EQ(load.pair.core(0).stats().time_wait, 40u);
  EXPECT_EQ(load.pair.core(1).stats().time_wait, 0u);
}

TEST_F(LoadHttp, client_closes__time_wait_stays_with_the_client) {
  plan.count = 40;
  Load load{plan};
  load.serve(server);
  EXPECT_EQ(load.run().closed, 40u);
  EXPECT_EQ(load.pair.core(0).stats().time_wait, 0u);
  EXPECT_EQ(load.pair.core(1).stats().time_wait, 40u);
}

TEST_F(LoadHttp, rst__counts_as_planned_and_leaves_no_time_wait) {
  plan.reset = true;
  plan.count = 40;
  Load load{plan};
  load.serve(server);
  const LoadReport report = load.run();
  EXPECT_EQ(report.closed, 40u);
  EXPECT_EQ(failures(report), 0u);
  EXPECT_EQ(load.pair.core(0).stats().time_wait + load.pair.core(1).stats().time_wait, 0u);
  EXPECT_EQ(load.pair.core(0).stats().resets_in, 40u);
}

TEST_F(LoadHttp, server_closes_before_the_second_answer__closed_early) {
  plan.last_request = plan.request = plan.close;
  plan.requests = 2;
  plan.count = 5;
  Load load{plan};
  load.serve(server);
  const LoadReport report = load.run();
  EXPECT_EQ(report.closed, 0u);
  EXPECT_EQ(report.requests, 5u);
  EXPECT_EQ(failures(report), 5u);
}

TEST_F(LoadHttp, error_status__an_answer_all_the_same_and_counted_apart) {
  const std::string nonsense = "POST / HTTP/1.1\r\nHost: h\r\n\r\n";
  plan.request = plan.last_request = nonsense;
  plan.count = 5;
  Load load{plan};
  load.serve(server);
  const LoadReport report = load.run();
  EXPECT_EQ(report.requests, 5u);
  EXPECT_EQ(report.not_ok, 5u);
}

TEST_F(LoadHttp, nobody_listens__refused) {
  plan.duration = 100ms;
  Load load{plan};
  const LoadReport report = load.run();
  EXPECT_EQ(report.established, 0u);
  EXPECT_GT(report.failed.at("refused"), 40u) << "one source gets a sixteenth of resets_per_second, 62";
  EXPECT_FALSE(load.monitor.unresolved());
}

TEST_F(LoadHttp, nobody_there__unreachable_and_an_end) {
  plan.target.address = Ipv4Address{10, 0, 0, 77};
  Load load{plan};
  const LoadReport report = load.run();
  EXPECT_EQ(report.established, 0u);
  EXPECT_GE(failures(report), 8u);
  EXPECT_TRUE(load.monitor.unresolved());
  EXPECT_LT(load.took, LoadClient::resolve_limit + 1s + LoadMonitor::grace + 100ms);
}

TEST_F(LoadHttp, server_never_answers__ends_after_the_grace_and_says_so) {
  DiscardServer silent;
  Load load{plan};
  load.serve(silent);
  const LoadReport report = load.run();
  EXPECT_EQ(report.opened, 8u);
  EXPECT_EQ(report.established, 8u);
  EXPECT_EQ(report.closed, 0u);
  EXPECT_EQ(failures(report), 8u);
  EXPECT_LT(load.took, 1s + LoadMonitor::grace + 100ms);
}

TEST_F(LoadHttp, interrupt__starts_no_more_and_plays_the_rest_to_the_end) {
  plan.duration = 1h;
  Load load{plan};
  load.serve(server);
  load.interrupt_at = 300ms;
  const LoadReport report = load.run();
  EXPECT_LT(load.took, 350ms);
  EXPECT_GT(report.closed, 300u);
  EXPECT_EQ(failures(report), 0u);
  EXPECT_NEAR(static_cast<double>(report.duration.count()), 3e8, 3e7);
}

TEST_F(LoadHttp, not_http__bad_answer_and_reset) {
  plan.count = 6;
  EchoServer echo;
  Load load{plan};
  load.serve(echo);
  EXPECT_EQ(load.run().failed.at("bad_answer"), 6u);
}

TEST_F(LoadHttp, answer_in_pieces_until_close__complete_with_the_fin) {
  App server_app;
  server_app.data = [](Conn& c, const RxView& in) {
    c.send(std::string_view{"HTTP/1.1 200 OK\r\n"});
    c.arm(5ms);
    return in.size();
  };
  server_app.timer = [](Conn& c) {
    c.send(std::string_view{"Connection: close\r\n\r\nall there is"});
    c.close();
  };
  plan.let_server_close();
  plan.count = 4;
  Load load{plan};
  load.serve(server_app);
  const LoadReport report = load.run();
  EXPECT_EQ(report.closed, 4u);
  EXPECT_EQ(report.requests, 4u);
}

TEST_F(LoadHttp, cut_off_answer__closed_early) {
  App server_app;
  server_app.data = [](Conn& c, const RxView& in) {
    c.send(std::string_view{"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"});
    c.close();
    return in.size();
  };
  plan.count = 4;
  Load load{plan};
  load.serve(server_app);
  EXPECT_EQ(load.run().failed.at("closed_early"), 4u);
}

TEST_F(LoadHttp, server_closes_later_than_it_answers__the_client_waits_for_it) {
  App server_app;
  server_app.data = [](Conn& c, const RxView& in) {
    c.send(std::string_view{"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"});
    c.arm(5ms);
    return in.size();
  };
  server_app.timer = [](Conn& c) { c.close(); };
  plan.let_server_close();
  plan.count = 4;
  Load load{plan};
  load.serve(server_app);
  EXPECT_EQ(load.run().closed, 4u);
  EXPECT_EQ(load.pair.core(0).stats().time_wait, 4u);
  EXPECT_EQ(load.pair.core(1).stats().time_wait, 0u);
}

TEST_F(LoadHttp, more_than_the_answer__bad_answer) {
  App server_app;
  server_app.data = [](Conn& c, const RxView& in) {
    c.send(std::string_view{"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok and more"});
    return in.size();
  };
  plan.count = 4;
  Load load{plan};
  load.serve(server_app);
  EXPECT_EQ(load.run().failed.at("bad_answer"), 4u);
}

TEST(LoadRaw, answer_before_the_request_is_sent__the_whole_request_goes_out_all_the_same) {
  const std::string request(20'000, 'x');
  LoadPlan plan = raw_plan(request, 1);
  plan.count = 4;
  App server_app;
  server_app.accepted = [](Conn& c) { c.send(std::string_view{"!"}); };
  Load load{plan, [](CoreConfig& config) { config.tcp.send_buffer = 4096; }};
  load.serve(server_app);
  const LoadReport report = load.run();
  EXPECT_EQ(report.closed, 4u);
  EXPECT_EQ(report.bytes_out, 4 * request.size());
}

TEST(LoadRaw, echo__every_byte_back_before_the_close) {
  const std::string request(20'000, 'x');
  LoadPlan plan = raw_plan(request, request.size());
  plan.requests = 3;
  plan.count = 10;
  EchoServer echo;
  Load load{plan, [](CoreConfig& config) {
              config.tcp.send_buffer = 4096;
              config.tcp.receive_buffer = 4096;
            }};
  load.serve(echo);
  const LoadReport report = load.run();
  EXPECT_EQ(report.closed, 10u);
  EXPECT_EQ(report.requests, 30u);
  EXPECT_EQ(report.bytes_in, 600'000u);
  EXPECT_EQ(report.bytes_out, 600'000u);
}

TEST(LoadRaw, no_answer_wanted__request_and_fin) {
  const std::string request(100, 'x');
  LoadPlan plan = raw_plan(request, 0);
  plan.count = 10;
  DiscardServer discard;
  Load load{plan};
  load.serve(discard);
  EXPECT_EQ(load.run().closed, 10u);
  EXPECT_EQ(discard.bytes(), 1000u);
}

TEST(LoadRaw, neither_request_nor_answer__connects_and_closes) {
  LoadPlan plan = raw_plan({}, 0);
  plan.count = 10;
  DiscardServer discard;
  Load load{plan};
  load.serve(discard);
  EXPECT_EQ(load.run().closed, 10u);
}

TEST(LoadRaw, more_than_asked_for__bad_answer) {
  const std::string request(100, 'x');
  LoadPlan plan = raw_plan(request, 99);
  plan.count = 10;
  EchoServer echo;
  Load load{plan};
  load.serve(echo);
  EXPECT_EQ(load.run().failed.at("bad_answer"), 10u);
}

/// Two stacks on a wire without length; they are polled only when the test says so, as by a core that was
/// busy.
class Slow {
 public:
  explicit Slow(Time start) {
    for (int i = 0; i < 2; ++i) {
      CoreConfig config;
      config.link.address = {Pair::address(i), 24};
      config.link.mac.bytes[5] = static_cast<std::uint8_t>(i + 1);
      config.seed = 1;
      config.limits.connections = 1024;
      ends[i] = std::move(*FrameStack::create(config, start, &Slow::pass, &others[i]));
    }
    others[0] = ends[1].get();
    others[1] = ends[0].get();
  }
  void poll(Time now) {
    while (ends[1]->poll(now) + ends[0]->poll(now) != 0) {
    }
  }
  static void pass(void* other, std::span<const std::byte> frame) {
    (*static_cast<FrameStack**>(other))->receive(frame);
  }
  FrameStack* others[2] = {};
  std::unique_ptr<FrameStack> ends[2];
};

TEST(LoadLate, core_that_stalls__the_waiting_is_part_of_the_latency) {
  LoadPlan plan = raw_plan({}, 0);
  plan.rate = 1000;
  plan.duration = 1h;
  LoadClient client{plan};
  DiscardServer discard;
  Time now{1h};
  Slow slow{now};
  ASSERT_TRUE(slow.ends[0]->core().listen_with({any, 80}, *slow.ends[0]->core().add_handler_ref(discard)));
  ASSERT_TRUE(client.start(slow.ends[1]->core()));
  while (client.phase() != LoadPhase::running) slow.poll(now += 1ms);
  slow.poll(now + 100ms);  // a hundred became due meanwhile, one each millisecond; nothing takes any time now
  slow.poll(now + 100ms);
  client.publish();
  const LoadSample& sample = *client.take();
  EXPECT_NEAR(static_cast<double>(sample.connect.count()), 100, 2);
  EXPECT_NEAR(static_cast<double>(sample.connect.percentile(50).count()), 50e6, 2e6);
  EXPECT_NEAR(static_cast<double>(sample.connect.max().count()), 99e6, 2e6);
}

TEST(LoadPlan, share__parts_add_up_to_the_whole) {
  LoadPlan plan;
  for (const std::uint64_t whole : {1u, 2u, 7u, 64u, 100'001u}) {
    for (const std::uint16_t cores : std::initializer_list<std::uint16_t>{1, 2, 3, 64}) {
      std::uint64_t rate = 0, concurrency = 0, count = 0;
      plan.count = 10 * whole;
      for (std::uint16_t i = 0; i < cores; ++i) {
        plan.rate = 0;
        plan.concurrency = whole;
        const LoadPlan closed = plan.share(i, cores);
        if (closed.count != 0) concurrency += closed.concurrency;
        plan.rate = whole;
        const LoadPlan open = plan.share(i, cores);
        if (open.count != 0) rate += open.rate;
        count += open.count;
        EXPECT_LT(open.first_start, 1s);
      }
      EXPECT_EQ(rate, whole);
      EXPECT_EQ(concurrency, whole);
      EXPECT_EQ(count, 10 * whole);
    }
  }
}

TEST(LoadPlan, share_of_a_count_below_the_cores__the_others_stay_idle) {
  LoadPlan plan;
  plan.count = 2;
  EXPECT_EQ(plan.share(0, 4).count, 1u);
  EXPECT_EQ(plan.share(1, 4).count, 1u);
  EXPECT_EQ(plan.share(2, 4).count, 0u);
}

}  // namespace
}  // namespace handfast::apps
