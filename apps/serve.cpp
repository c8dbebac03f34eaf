// SPDX-License-Identifier: BSD-3-Clause
// `handfast serve`: one of four servers on every core of a port, until a signal. Layer: apps.
#include <fmt/format.h>

#include <cstdio>
#include <optional>

#include "commands.hpp"
#include "common/duration_text.hpp"
#include "listing.hpp"
#include "serve_chargen.hpp"
#include "serve_discard.hpp"
#include "serve_echo.hpp"
#include "serve_http.hpp"
#include "stack_options.hpp"

namespace handfast::apps {
namespace {

struct ServeOptions {
  std::string service;
  Port listen = 0;  // 0: the service's own
  std::size_t size = 64;
  std::string dir;
  std::uint32_t backlog = 4096;
  bool stats = false;
};

/// One line a second of what the cores count; what did not change is not repeated.
class StatsLines {
 public:
  explicit StatsLines(const Stack& stack) : stack_(stack), last_(stack.stats()), last_at_(stack.now()) {}
  void print() {
    const CoreStats stats = stack_.stats();
    const Time now = stack_.now();
    const double seconds = std::chrono::duration<double>(now - last_at_).count();
    const auto per_second = [&](std::uint64_t count, std::uint64_t before) {
      return count_text(static_cast<std::uint64_t>(static_cast<double>(count - before) / seconds + 0.5));
    };
    if (lines_++ % 20 == 0)
      fmt::print("{:>12} {:>10} {:>10} {:>10} {:>12} {:>12}\n", "accepted/s", "open", "TIME-WAIT", "rexmit",
                 "frames in/s", "frames out/s");
    fmt::print("{:>12} {:>10} {:>10} {:>10} {:>12} {:>12}\n", per_second(stats.accepted, last_.accepted),
               count_text(stats.connections), count_text(stats.time_wait),
               count_text(stats.retransmits - last_.retransmits),
               per_second(stats.frames_in, last_.frames_in), per_second(stats.frames_out, last_.frames_out));
    std::fflush(stdout);
    last_ = stats;
    last_at_ = now;
  }

 private:
  const Stack& stack_;
  CoreStats last_;
  Time last_at_;
  unsigned lines_ = 0;
};

template <class Server>
std::uint32_t state_bytes_of() {
  return handler_ops<Server>.state_bytes;
}

class Serve final : public Command {
 public:
  explicit Serve(CLI::App& app) : Command(app) {
    app.add_option("service", options_.service,
                   "http, echo (RFC 862), discard (RFC 863) or chargen (RFC 864)")
        ->type_name("WORD");
    add_number(app, "--listen", options_.listen, 1, 65535,
               "TCP port; else the service's own: 80, 7, 9 or 19");
    add_bytes(app, "--size", options_.size, 0, 1 << 30, "http: bytes of the fixed body, 64");
    app.add_option("--dir", options_.dir, "http: the files below this directory instead")->type_name("PATH");
    add_number(app, "--backlog", options_.backlog, 1, 1 << 20, "Half-open connections of the listener, 4096");
    app.add_flag("--stats", options_.stats, "Print a line each second");
  }

  int run(StackConfig config) override {
    const std::string& word = options_.service;
    if (word == "http") return http(config);
    if (word == "echo") return servers<EchoServer>(config, 7, [] { return std::make_unique<EchoServer>(); });
    if (word == "discard")
      return servers<DiscardServer>(config, 9, [] { return std::make_unique<DiscardServer>(); });
    if (word == "chargen")
      return servers<ChargenServer>(config, 19, [] { return std::make_unique<ChargenServer>(); });
    return report({ErrorKind::usage,
                   word.empty() ? "serve needs to know what" : "\"" + word + "\" is no service",
                   "Type one of these after \"serve\": http, echo, discard, chargen"});
  }

 private:
  int http(const StackConfig& config) {
    std::optional<FileStore> files;
    if (!options_.dir.empty()) {
      auto opened = FileStore::open(options_.dir);
      if (!opened) return report(opened.error());
      files.emplace(std::move(*opened));
    }
    const HttpContent content = files ? HttpContent::of(*files) : HttpContent::fixed(options_.size);
    return servers<HttpServer>(config, 80, [&] { return std::make_unique<HttpServer>(content); });
  }

  template <class Server, class Make>
  int servers(StackConfig config, Port usual_port, Make make) {
    Limits& limits = config.core.limits;
    limits.state_bytes = state_bytes_of<Server>();
    limits.somaxconn = std::max(limits.somaxconn, options_.backlog);
    const Endpoint local{any, options_.listen != 0 ? options_.listen : usual_port};
    std::vector<std::unique_ptr<Server>> cores;  // before the stack: connections call them to the last
    for (std::uint16_t i = 0; i < config.cores; ++i) cores.push_back(make());
    auto stack = Stack::create(config);
    if (!stack) return report(stack.error());

    const auto setup = [&](Core& core) -> Expected<void> {
      auto handler = core.add_handler_ref(*cores[core.shard_index()]);
      if (!handler) return tl::unexpected(handler.error());
      auto listener = core.listen_with(local, *handler, {.backlog = options_.backlog});
      if (!listener) return tl::unexpected(listener.error());
      return {};
    };
    fmt::print("{} on {}:{}, {}\n", options_.service, config.core.link.address.address.to_string(),
               local.port, (*stack)->describe());
    std::fflush(stdout);
    RunOptions run;
    const Listing listing{**stack};
    StatsLines lines{**stack};
    if (options_.stats)
      run.tick = [&] {
        lines.print();
        return true;
      };
    const int code = (*stack)->run(Stack::Setup{setup}, run);
    if (code != 0) return code;
    const CoreStats stats = (*stack)->stats();
    fmt::print("accepted {}", count_text(stats.accepted));
    summary(cores);
    fmt::print(", retransmits {}, TIME-WAIT cut short {}\n", count_text(stats.retransmits), count_text(stats.time_wait_cut_short));
    for (std::size_t i = 0; i < drop_count; ++i)
      if (stats.drops[i] != 0)
        fmt::print("dropped {} ({})\n", count_text(stats.drops[i]), name(static_cast<Drop>(i)));
    return 0;
  }

  static void summary(const std::vector<std::unique_ptr<HttpServer>>& cores) {
    HttpServer::Counters sum;
    for (const auto& server : cores) {
      sum.requests += server->counters().requests;
      sum.errors += server->counters().errors;
    }
    fmt::print(", requests {}, of them with an error status {}", count_text(sum.requests),
               count_text(sum.errors));
  }
  template <class Server>
  static void summary(const std::vector<std::unique_ptr<Server>>& cores) {
    std::uint64_t bytes = 0;
    for (const auto& server : cores) bytes += server->bytes();
    fmt::print(", {}", size_text(bytes));
  }

  ServeOptions options_;
};

}  // namespace

std::unique_ptr<Command> add_serve(CLI::App& program) {
  return std::make_unique<Serve>(
      *program.add_subcommand("serve", "A server: http, echo, discard or chargen")->fallthrough());
}

}  // namespace handfast::apps
