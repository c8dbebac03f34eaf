// SPDX-License-Identifier: BSD-3-Clause
// `handfast demo`: a web server and a load tester in one process, joined by a pair of rings. Layer: apps.
#include <fmt/format.h>

#include <algorithm>
#include <fstream>

#include "commands.hpp"
#include "common/cpu_wait.hpp"
#include "common/duration_text.hpp"
#include "dpdk/machine.hpp"
#include "load_monitor.hpp"
#include "load_options.hpp"
#include "load_run.hpp"
#include "serve_http.hpp"
#include "signals.hpp"

namespace handfast::apps {
namespace {

const Endpoint server_endpoint{Ipv4Address{10, 0, 0, 1}, 80};
constexpr Ipv4Address client_address{10, 0, 0, 2};
constexpr std::uint8_t network_bits = 16;
// A client that opens millions of connections a second to one port must not meet one of its own port numbers
// again while the server still keeps it in TIME-WAIT: 16 addresses are a million numbers.
constexpr std::uint32_t client_addresses = 16;
constexpr std::uint64_t default_concurrency = 512;

class Demo final : public Command {
 public:
  explicit Demo(CLI::App& app) : Command(app) {
    add_duration(app, "--duration", duration_, "How long, 10s");
    add_number(app, "--concurrency", concurrency_, 1, 1 << 20, "Connections that are kept going, 512");
    add_number(app, "--requests", requests_, 1, 1'000'000'000, "Requests on each connection, 1");
    add_bytes(app, "--size", size_, 0, 1 << 30, "Bytes of each answer's body, 64");
    app.add_flag("--one-core", one_core_, "Both ends on one core, even where there are more");
    app.add_option("--json", json_, "Write the report to this file as well")->type_name("FILE");
  }

  int run(StackConfig base) override {
    LoadTexts texts;
    LoadOptions words;
    words.target = server_endpoint;
    words.concurrency = concurrency_;
    words.requests = requests_;
    words.who_closes = "server";
    words.duration = duration_;
    const auto plan = make_plan(words, texts);
    if (!plan) return report(plan.error());
    std::ofstream json;
    if (!json_.empty()) {
      json.open(json_);
      if (!json)
        return report({ErrorKind::environment, "\"" + json_ + "\" cannot be written",
                       "Name a file that can, after --json"});
    }
    const bool share = one_core_ || dpdk::probe_resources().cpus.size() < 2u * base.cores;

    StackConfig client = base, server = base;
    client.core.link.address = {client_address, network_bits};
    client.core.link.address_count = client_addresses;
    server.core.link.address = {server_endpoint.address, network_bits};
    for (StackConfig* config : {&client, &server})
      size_tables_for(*plan, stack_option_given("--connections"), *config);
    server.core.limits.state_bytes = handler_ops<HttpServer>.state_bytes;

    // Before the stacks: connections call them to the last.
    const HttpContent content = HttpContent::fixed(size_);
    std::vector<std::unique_ptr<HttpServer>> servers;
    for (std::uint16_t i = 0; i < base.cores; ++i) servers.push_back(std::make_unique<HttpServer>(content));
    LoadMonitor monitor{*plan, base.cores, stdout};

    auto made = Stack::create_pair(client, server, share);
    if (!made) return report(made.error());
    Stack& client_stack = *made->first;
    Stack& server_stack = *made->second;
    announce(base.cores, share);
    const SignalFlag signals;
    const CpuWait waiting;
    const Time began = client_stack.now();
    const Stack::Setup serve = [&](Core& core) -> Expected<void> {
      auto handler = core.add_handler_ref(*servers[core.shard_index()]);
      if (!handler) return tl::unexpected(handler.error());
      auto listener = core.listen_with({any, server_endpoint.port}, *handler);
      if (!listener) return tl::unexpected(listener.error());
      // The first burst comes from all of the client's addresses at once: it shall not have to wait for ARP.
      for (std::uint32_t i = 0; i < client_addresses; ++i)
        core.resolve(Ipv4Address{client_address.value + i});
      return {};
    };
    const int code = Stack::run_together(
        {{&client_stack, [&](Core& core) { return monitor.start(core); }}, {&server_stack, serve}},
        load_run_options(monitor, client_stack, signals));
    if (code != 0) return code;

    const std::string remark = cpu_wait_remark(waiting.longest(), client_stack.now() - began);
    LoadReport result = monitor.report(cores_of(client_stack));
    LoadMonitor::add_stats(result, server_stack.stats());
    fmt::print("\n{}", result.to_text());
    conclude(result, base.cores, share);
    fmt::print("{}", remark);
    std::fflush(stdout);
    if (json.is_open()) json << result.to_json();
    return verdict(result, monitor);
  }

 private:
  void announce(std::uint16_t cores, bool share) const {
    fmt::print("A web server and a client in one process, joined by a pair of rings: {}.\n",
               share ? fmt::format("both on {}", cores == 1 ? "one core" : fmt::format("{} cores", cores))
                     : fmt::format("{} for each", cores == 1 ? "one core" : fmt::format("{} cores", cores)));
    fmt::print("Each connection: SYN, SYN-ACK, {} for {}, FIN from both. {} at a time, for {}.\n\n",
               requests_ == 1 ? "one GET" : count_text(requests_) + " GETs", size_text(size_),
               count_text(concurrency_), duration_text(duration_));
    std::fflush(stdout);
  }

  static void conclude(const LoadReport& result, std::uint16_t cores, bool share) {
    const double rate = result.connections_per_second();
    if (rate < 1) return;
    fmt::print("\n{} connections per second: {} ns each, on {} {}; {} failed.\n",
               count_text(static_cast<std::uint64_t>(rate)), static_cast<std::uint64_t>(1e9 / rate),
               share ? cores : 2 * cores,
               share && cores == 1 ? "core, both ends together" : "cores, both ends together",
               count_text(result.failed_total()));
    std::fflush(stdout);
  }

  Duration duration_ = 10s;
  std::uint64_t concurrency_ = default_concurrency;
  std::uint32_t requests_ = 1;
  std::uint64_t size_ = 64;
  bool one_core_ = false;
  std::string json_;
};

}  // namespace

std::unique_ptr<Command> add_demo(CLI::App& program) {
  return std::make_unique<Demo>(
      *program.add_subcommand("demo", "A server and a load test in one process")->fallthrough());
}

}  // namespace handfast::apps
